"""Django's settings, from the environment that `easel.web.studio.enter` sets: the folder, the hosts, the database."""

from __future__ import annotations

import os
from pathlib import Path

from easel.errors import EaselError, shortened
from easel.files import read_text
from easel.web.studio import database

FOLDER = Path(os.environ.get("EASEL_STUDIO", "studio"))
"""The studio's folder: what people put in, what was made, and the database where DATABASE_URL names none."""
PACKAGE = Path(__file__).parent


def _key() -> str:
    """The studio's secret key, which `studio.prepare` made."""
    try:
        return read_text(FOLDER / "secret.key").strip()
    except EaselError:
        return ""


def _flag(name: str) -> bool:
    return os.environ.get(name, "") == "1"


def _gigabytes(name: str, usual: str) -> int:
    """Bytes, of a variable that says gigabytes. Raises EaselError where it says none."""
    text = os.environ.get(name) or usual
    try:
        count = int(float(text) * 1e9)
    except (ValueError, OverflowError):
        count = -1
    if count < 0:
        raise EaselError(f"{name} is '{shortened(text)}': write a number of gigabytes, such as {usual}")
    return count


SECRET_KEY = _key()
DEBUG = False
HTTPS = _flag("EASEL_HTTPS")
"""Whether people reach the studio by HTTPS: cookies are then never sent without it."""
OPEN = _flag("EASEL_OPEN")
"""Whether who sits at this machine needs no login, until there is an owner with a password."""
ALLOWED_HOSTS = [host for host in os.environ.get("EASEL_HOSTS", "localhost,127.0.0.1,[::1]").split(",") if host]
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if HTTPS and host != "*"]
DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""), FOLDER)}
# Each request has a thread of its own: a connection that outlives it would never be used again.
DATABASES["default"]["CONN_MAX_AGE"] = 0
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}}

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "easel.web.apps.Studio",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "easel.web.safety.headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "easel.web.safety.own_pages_only",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "easel.web.safety.people",
    "easel.web.safety.advice",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "easel.web.urls"
ASGI_APPLICATION = "easel.web.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PACKAGE / "templates"],
        "OPTIONS": {
            "context_processors": ["django.template.context_processors.request", "easel.web.views.common"],
            "builtins": ["easel.web.words"],
        },
    }
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login/"
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

MOST_UPLOAD = 256 * 1024 * 1024
"""Bytes of one file that is put in, at most."""
MOST_WEIGHTS = 10_000_000_000
"""Bytes of a .safetensors file that is put in, at most."""
MOST_FILES = 100_000
"""Files of a folder that is put in, at most."""
QUOTA = _gigabytes("EASEL_QUOTA_GB", "20")
"""Bytes that a person's uploads may take."""
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 100
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
FILE_UPLOAD_HANDLERS = [
    "easel.web.safety.Limited",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
FILE_UPLOAD_TEMP_DIR = FOLDER / "uploads"

SESSION_COOKIE_NAME = "easel"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "easel-csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "easel.web.safety.csrf_failed"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = False
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SILENCED_SYSTEM_CHECKS = ["security.W008"]
"""The studio answers HTTP on one port: to lead people from HTTP to HTTPS is for what stands before it."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}, "nowhere": {"class": "logging.NullHandler"}},
    "loggers": {
        "django": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        # What strangers send is answered, and fills no log.
        "django.security": {"handlers": ["nowhere"], "propagate": False},
    },
}
