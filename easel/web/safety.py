"""What stands before every page: who asks, from where, and what a browser may do with the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import resolve

from easel.errors import EaselError
from easel.web.models import Token
from easel.web.studio import OWNER, hashed

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
PUBLIC = frozenset({"login", "owner", "static", "health", "signed-file"})
"""Names of addresses that need no login."""
MOST_TRIES, TRIES_SECONDS = 5, 300
"""Wrong passwords for one name, or from one address, before it has to wait, and how long they count."""

Handler = Callable[[HttpRequest], Any]


def middleware(
    before: Callable[[HttpRequest], HttpResponse | None], after: Callable[[HttpRequest, Any], None] | None = None
) -> Any:
    """A middleware for both kinds of view: `before` may answer in the view's stead, `after` changes the answer."""

    def factory(get_response: Handler) -> Handler:
        if iscoroutinefunction(get_response):

            async def handle_async(request: HttpRequest) -> Any:
                response = await sync_to_async(before)(request) or await get_response(request)
                if after is not None:
                    after(request, response)
                return response

            return markcoroutinefunction(handle_async)

        def handle(request: HttpRequest) -> Any:
            response = before(request) or get_response(request)
            if after is not None:
                after(request, response)
            return response

        return handle

    factory.sync_capable = factory.async_capable = True  # type: ignore[attr-defined]
    return factory


def _nothing(_request: HttpRequest) -> None:
    return None


def _with_headers(_request: HttpRequest, response: Any) -> None:
    response.headers.setdefault("Content-Security-Policy", CSP)
    response.headers.setdefault("Permissions-Policy", "camera=(self), microphone=(), geolocation=()")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")


headers = middleware(_nothing, _with_headers)
"""Every answer says what a browser may do with it."""


def _from_elsewhere(request: HttpRequest) -> HttpResponse | None:
    """Refuse what another site's page makes a browser send. Programs send no such headers; Django's own token guards
    the forms beside this.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site not in {"same-origin", "none"} or (origin and urlsplit(origin).netloc != request.headers.get("Host")):
        return refused(request, "a page of another site asked for this: open the studio itself", 403)
    return None


own_pages_only = middleware(_from_elsewhere)


def _who(request: HttpRequest) -> HttpResponse | None:
    """Find who asks: by a token, a session, or, at this machine and before there is an owner, the owner to be. Others
    are led to the login, programs told 401.
    """
    token = token_in(request)
    if token is not None:
        row = Token.objects.select_related("owner").filter(hash=hashed(token), owner__is_active=True).first()
        if row is None:
            return refused(request, "this token is not known: make one on the page Account", 401)
        request.user = row.owner
    elif not request.user.is_authenticated and is_open(request):
        request.user = first_owner()
    name = resolve(request.path_info).url_name if _resolves(request) else ""
    if request.user.is_authenticated or name in PUBLIC:
        return None
    if is_program(request):
        return refused(request, "log in first: send a token of yours as  Authorization: Bearer TOKEN", 401)
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?next={request.path}")


people = middleware(_who)


def _resolves(request: HttpRequest) -> bool:
    from django.http import Http404

    try:
        resolve(request.path_info)
    except Http404:
        return False
    return True


def token_in(request: HttpRequest) -> str | None:
    """The token that a program sent: as a bearer, or as the password of HTTP Basic, which older clients speak."""
    import base64
    import binascii

    kind, _, word = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and word.strip():
        return None if is_open(request) else word.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(word, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None


def is_open(request: HttpRequest) -> bool:
    """Whether the studio is this machine's alone, and has no owner with a password yet."""
    if not settings.OPEN or not is_here(request):
        return False
    owners = get_user_model().objects.filter(is_superuser=True)
    return not any(owner.has_usable_password() for owner in owners)


def is_here(request: HttpRequest) -> bool:
    """Whether a request comes from this machine itself, and not through a server before the studio."""
    passed_on = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"))
    return not passed_on and request.META.get("REMOTE_ADDR") in {"127.0.0.1", "::1"}


def first_owner() -> Any:
    """The owner, made without a password where there is none."""
    users = get_user_model()
    found = users.objects.filter(is_superuser=True).order_by("pk").first()
    if found is None:
        found, made = users.objects.get_or_create(username=OWNER, defaults={"is_superuser": True, "is_staff": True})
        if made:
            found.set_unusable_password()
            found.save()
    return found


def is_program(request: HttpRequest) -> bool:
    """Whether a program asks, which wants JSON and no pages."""
    return request.path.startswith(("/api/", "/sdapi/", "/controlnet/", "/v1/"))


def refused(request: HttpRequest, words: str, status: int) -> HttpResponse:
    """An error as a page, or in the shape that the client of that address reads."""
    if request.path.startswith("/v1/"):
        kind = {401: "authentication_error", 403: "permission_error"}.get(status, "invalid_request_error")
        error = {"message": words, "type": kind, "param": None, "code": None}
        return JsonResponse({"error": error}, status=status)
    if is_program(request):
        return JsonResponse({"detail": words, "error": words, "errors": words}, status=status)
    return render(request, "error.html", {"words": words, "status": status}, status=status)


def csrf_failed(request: HttpRequest, **_reason: str) -> HttpResponse:
    """What Django's guard says of a form without its token."""
    return refused(request, "this form was not the studio's own, or is too old: load the page again", 403)


class advice:  # noqa: N801 - a middleware, named as the others
    """An expected error of a view is a page, or JSON, with its advice; never a traceback."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Nothing but the view."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, problem: Exception) -> HttpResponse | None:
        """One line for a person, where a view raised one."""
        return refused(request, str(problem), 400) if isinstance(problem, EaselError) else None


def must_wait(name: str, address: str) -> bool:
    """Whether there were too many wrong passwords for a name, or from an address."""
    return any(cache.get(key, 0) >= MOST_TRIES for key in _try_keys(name, address))


def wrong_password(name: str, address: str) -> None:
    """Count one."""
    for key in _try_keys(name, address):
        cache.add(key, 0, TRIES_SECONDS)
        cache.incr(key)


def _try_keys(name: str, address: str) -> tuple[str, str]:
    return f"try-name-{hashed(name.casefold())}", f"try-from-{hashed(address)}"


def most_bytes(name: str) -> int:
    """Bytes that a file of this name may have."""
    return settings.MOST_WEIGHTS if name.endswith(".safetensors") else settings.MOST_UPLOAD


class Limited(FileUploadHandler):
    """Ends an upload that is larger than one file may be, as soon as that shows."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass the chunk on, or end."""
        if start + len(raw_data) > most_bytes(self.file_name or ""):
            self.request.too_large = True
            raise StopUpload(connection_reset=False)
        return raw_data

    def file_complete(self, _file_size: int) -> None:
        """The next handler keeps the file."""
