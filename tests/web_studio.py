"""A studio for tests: Django is set up once in a process, each test finds the tables empty."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easel.kinds import KINDS
from tests import web_toy

FOLDER: list[Path] = []


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The studio's folder, which is where one stands; its tables are empty, and the toy kinds are known."""
    from easel.web.studio import enter

    monkeypatch.setattr("easel.runners.machine.resolve", lambda device="auto", dtype="auto": ("cpu", "float32"))
    before = Path.cwd()
    kinds = dict(KINDS)
    if not FOLDER:
        os.environ["EASEL_OPEN"] = "1"
        os.environ.pop("DATABASE_URL", None)
        FOLDER.append(Path(tempfile.mkdtemp(prefix="easel-studio-")))
    enter(FOLDER[0])
    web_toy.add_kinds()
    from django.core.cache import cache
    from django.core.management import call_command
    from django.db import connection

    call_command("flush", verbosity=0, interactive=False)
    cache.clear()
    yield FOLDER[0]
    connection.close()
    KINDS.clear()
    KINDS.update(kinds)
    os.chdir(before)


@pytest.fixture
def owner(studio: Path) -> Any:
    """The studio's owner, without a password."""
    from easel.web.safety import first_owner

    return first_owner()
