"""The studio as an ASGI application, for uvicorn or another server."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

application = get_asgi_application()
