"""The studio as an ASGI application, for uvicorn or another server."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

from easel.web.bodies import Bounded

application = Bounded(get_asgi_application())

import easel.web.urls  # noqa: E402, F401 - found out now, and not by the first who asks
