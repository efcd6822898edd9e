"""What stands before every page: who asks, from where, and what a browser may do with the answer."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.core.cache import cache
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import resolve

from easel.errors import EaselError, printable
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

HERE = frozenset({"localhost", "127.0.0.1", "::1"})
"""How a browser on this machine calls it."""
PASSED_ON = re.compile(
    r"x-forwarded-|(x-)?forwarded$|x-(real|client|cluster-client)-ip$|true-client-ip$|via$|cf-", re.I
)
"""Headers by which a server before the studio says so."""

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
    if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return refused(request, "the address holds a character that is no text", 400)
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return None
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site not in {"same-origin", "none"} or (origin and urlsplit(origin).netloc != request.headers.get("Host")):
        return refused(request, "a page of another site asked for this: open the studio itself", 403)
    return None


own_pages_only = middleware(_from_elsewhere)


def who(request: HttpRequest) -> HttpResponse | None:
    """Find who asks: by a token, a session, or, at this machine and before there is an owner, the owner to be. Others
    are led to the login, programs told 401.
    """
    token = token_in(request)
    if token is not None:
        row = Token.objects.select_related("owner").filter(hash=hashed(token), owner__is_active=True).first()
        if row is None:
            return refused(request, "this token is not known: make one on the page Account", 401)
        request.user, request.token_number = row.owner, row.pk
    elif not request.user.is_authenticated and is_open(request):
        request.user = first_owner()
    name = resolve(request.path_info).url_name if _resolves(request) else ""
    if request.user.is_authenticated or name in PUBLIC:
        return None
    if is_program(request):
        return refused(request, "log in first: send a token of yours as  Authorization: Bearer TOKEN", 401)
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?next={request.path}")


people = middleware(who)


def _resolves(request: HttpRequest) -> bool:
    from django.http import Http404

    try:
        resolve(request.path_info)
    except Http404:
        return False
    return True


def token_in(request: HttpRequest) -> str | None:
    """The token that a program sent: as a bearer, or as the password of HTTP Basic, which older clients speak."""
    kind, _, word = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() in {"bearer", "basic"} and word.strip() and is_open(request):
        return None  # clients that cannot do without one send anything
    if kind.lower() == "bearer" and word.strip():
        return word.strip()
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
    """Whether a request comes from this machine itself, and not through a server before the studio.

    Such a server shows by its headers; by HTTP/1.0, which nginx speaks unless told otherwise and no browser does; or by
    a page of the studio's own that the browser knows under another name.
    """
    if request.META.get("REMOTE_ADDR") not in HERE or any(map(PASSED_ON.match, request.headers)):
        return False
    if getattr(request, "scope", {}).get("http_version", "1.1") == "1.0":
        return False
    own_page = request.headers.get("Sec-Fetch-Site") == "same-origin" or "Origin" in request.headers
    page = request.headers.get("Origin") or request.headers.get("Referer", "")
    return not own_page or not page or urlsplit(page).hostname in HERE


def is_still_in(request: HttpRequest) -> bool:
    """Whether who began a long request may still see it: not logged out, and the token not deleted."""
    number = getattr(request, "token_number", None)
    if number is not None:
        return Token.objects.filter(pk=number, owner__is_active=True).exists()
    if is_open(request):
        return True
    fresh = HttpRequest()
    fresh.session = import_module(settings.SESSION_ENGINE).SessionStore(request.session.session_key)
    return bool(get_user(fresh).pk == request.user.pk)


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
        more: dict[str, Any] = (
            {"fields": {}} if request.path.startswith("/api/") else {"error": words, "errors": words, "body": ""}
        )
        return JsonResponse({"detail": words} | more, status=status)
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
        if isinstance(problem, OperationalError):
            said = printable(problem, 200)
            words = f"the database does not answer ({said}): try again, and look whether the disk is full"
            return refused(request, words, 503)
        return refused(request, str(problem), 400) if isinstance(problem, EaselError) else None


def may_try(name: str, address: str) -> bool:
    """Count a password for a name, from an address, before it is looked at; whether there were not too many."""
    tries = []
    for key in _try_keys(name, address):
        cache.add(key, 0, TRIES_SECONDS)
        tries.append(cache.incr(key))
    return max(tries) <= MOST_TRIES


def right_password(name: str, address: str) -> None:
    """Count it as none: the next of this name, or of those who share the address, has its tries again."""
    of_name, of_address = _try_keys(name, address)
    cache.delete(of_name)
    if cache.get(of_address):
        cache.decr(of_address)


def _try_keys(name: str, address: str) -> tuple[str, str]:
    """What is counted: the name, and the address, of IPv6 the network of one customer."""
    try:
        host = ipaddress.ip_address(address)
        network = str(host) if host.version == 4 else str(ipaddress.ip_network(f"{host}/64", strict=False))
    except ValueError:
        network = address
    return f"try-name-{hashed(name.casefold())}", f"try-from-{hashed(network)}"


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
