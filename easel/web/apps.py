"""The studio as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class Studio(AppConfig):
    """Tables and pages of the studio."""

    name = "easel.web"
    label = "studio"
    default_auto_field = "django.db.models.BigAutoField"
