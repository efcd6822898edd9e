"""The studio's folder, and how a process enters it: its secret, its database, its owner."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from filelock import FileLock, Timeout

from easel.errors import EaselError, shortened
from easel.files import check_folder, unwritable, write_atomic

FOLDERS = ("uploads", "out", "previews", "thumbs")
"""What people put in; what was made; pictures of runs under way; small copies."""
ADDRESS = "write postgresql://USER:PASSWORD@HOST:PORT/NAME, or unset it"
OWNER = "owner"
"""What the first person is called until they choose a name."""


def enter(folder: str | Path) -> Path:
    """Make this process one of the studio in `folder`: from here on paths are relative to it, and Django is set up.

    The folder, its secret and its tables are made where they are not there. Raises EaselError where that cannot be, or
    where Django is not installed.
    """
    for name in ("django", "ninja", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise EaselError(
                f"the studio needs {name}, which is not installed: pip install 'easel' again, with all it needs"
            )
    folder = Path(folder).absolute()
    if not folder.exists():
        with contextlib.suppress(OSError):  # what is wrong with it is said below
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)  # who else has an account on this machine reads no sessions in the database
    check_folder(folder)
    try:
        for name in FOLDERS:
            (folder / name).mkdir(exist_ok=True)
    except OSError as problem:
        raise unwritable(problem, folder) from problem
    try:
        with FileLock(folder / ".studio.lock", timeout=120):
            make_secret(folder / "secret.key")
            os.environ["EASEL_STUDIO"] = str(folder)
            os.environ["DJANGO_SETTINGS_MODULE"] = "easel.web.settings"
            os.chdir(folder)
            migrate()
    except Timeout:
        raise EaselError(f"another process has been starting the studio in {folder} for two minutes: end it") from None
    return folder


def make_secret(path: Path) -> None:
    """The key that cookies are signed with, for this user's eyes alone; kept where there is one."""
    if not path.exists():
        write_atomic(path, secrets.token_urlsafe(50).encode())
        path.chmod(0o600)


def migrate() -> None:
    """Set Django up, and bring the tables to this version. Raises EaselError where the database is not reached."""
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import call_command
    from django.db import DatabaseError

    try:
        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
    except (DatabaseError, ImproperlyConfigured) as problem:
        if importlib.util.find_spec("psycopg") is None and "psycopg" in str(problem):
            raise EaselError("DATABASE_URL names PostgreSQL, which needs: pip install 'easel[postgresql]'") from problem
        raise EaselError(f"the database is not reached: {shortened(problem, 200)}; see DATABASE_URL") from problem


def owner_link() -> str | None:
    """The word of the one-time link that makes the owner; None once there is one with a password."""
    from django.contrib.auth import get_user_model

    from easel.web.models import Studio

    people = get_user_model()
    if any(person.has_usable_password() for person in people.objects.filter(is_superuser=True)):
        return None
    word = secrets.token_urlsafe(24)
    Studio.get()
    Studio.objects.filter(pk=1).update(owner_link=hashed(word))
    return word


def hashed(word: str) -> str:
    """What is kept of a secret word."""
    return hashlib.sha256(word.encode()).hexdigest()


def database(url: str, folder: Path) -> dict[str, Any]:
    """Django's DATABASES entry for an address: postgresql://USER:PASSWORD@HOST:PORT/NAME, or '' for SQLite in `folder`.

    A host that begins with a slash is a folder of sockets: postgresql:///NAME?host=/var/run/postgresql.
    """
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(folder / "studio.sqlite3"),
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON",
            },
        }
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise EaselError(f"DATABASE_URL is no address ({shortened(problem)}): {ADDRESS}") from None
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise EaselError(f"DATABASE_URL is {shortened(parts.scheme)}://...: {ADDRESS}")
    asked = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": asked.pop("host", parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": asked,
    }
