"""People: the link that makes the owner, log in and out, tokens for programs, other people."""

from __future__ import annotations

import secrets
import time
from typing import Any

from django.contrib.auth import authenticate, get_user_model, login, logout, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from easel.errors import EaselError, printable
from easel.web import safety, uploads
from easel.web.models import Studio, Token, Upload
from easel.web.studio import hashed
from easel.web.views import _back

MOST_TOKENS = 50


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Log in by name and password; after five wrong ones a name, or an address, waits five minutes."""
    if request.method == "GET":
        return render(request, "login.html", {"next": request.GET.get("next", "/")})
    name, address = request.POST.get("name", "")[:150], str(request.META.get("REMOTE_ADDR"))
    words, status = "this name and password do not go together", 403
    if not safety.may_try(name, address):
        words, status = "there were too many wrong passwords: wait five minutes", 429
    elif "\x00" not in name:
        person = authenticate(request, username=name, password=request.POST.get("password", ""))
        if person is not None:
            safety.right_password(name, address)
            login(request, person)
            return HttpResponseRedirect(_back(request))
    page = {"words": words, "name": name, "next": request.POST.get("next", "/")}
    return render(request, "login.html", page, status=status)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Log out."""
    logout(request)
    return HttpResponseRedirect("/login/")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def become_owner(request: HttpRequest, word: str) -> HttpResponse:
    """The one-time link: choose a name and a password, and own the studio with all that is in it."""
    studio = Studio.get()
    if not studio.owner_link or not secrets.compare_digest(studio.owner_link, hashed(word)):
        raise Http404
    if request.method == "GET":
        return render(request, "owner.html", {"name": ""})
    person = safety.first_owner()
    try:
        with transaction.atomic():
            if not Studio.objects.filter(pk=1, owner_link=hashed(word)).update(owner_link=""):
                raise Http404  # somebody used it in the same moment
            named(person, request.POST.get("name", ""), request.POST.get("password", ""))
    except EaselError as problem:
        return render(request, "owner.html", {"words": str(problem), "name": request.POST.get("name", "")}, status=422)
    login(request, person, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponseRedirect("/")


def named(person: Any, name: str, password: str) -> None:
    """Give a person a name and a password. Raises EaselError where either will not do."""
    users = get_user_model()
    person.username = users.normalize_username(name.strip())
    try:
        if not person.username:
            raise ValidationError("choose a name")
        users._meta.get_field("username").clean(person.username, person)
        validate_password(password, person)
    except ValidationError as problem:
        raise EaselError("; ".join(problem.messages)) from problem
    if users.objects.filter(username__iexact=person.username).exclude(pk=person.pk).exists():
        raise EaselError(f"there is somebody called {person.username} already: choose another name")
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError:
        raise EaselError(f"there is somebody called {person.username} already: choose another name") from None


def account(request: HttpRequest, shown: str = "", words: str = "") -> HttpResponse:
    """One's tokens, what one put in, and, for the owner, the others."""
    mine = Upload.objects.filter(owner=request.user).order_by("-created")
    others = get_user_model().objects.order_by("username") if request.user.is_superuser else []
    page = {
        "tokens": request.user.tokens.order_by("-created"),
        "uploads": mine[:200],
        "room": uploads.room_left(request.user),
        "others": others,
        "shown_token": shown,
        "words": words,
    }
    return render(request, "account.html", page, status=422 if words else 200)


@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    """A key for a program, shown this once."""
    if request.user.tokens.count() >= MOST_TOKENS:
        return account(request, words=f"{MOST_TOKENS} tokens are enough: delete one first")
    word = "easel-" + secrets.token_urlsafe(32)
    name = printable(request.POST.get("name", "").strip()[:80], 100) or "a program"
    Token.objects.create(owner=request.user, name=name, hash=hashed(word), created=time.time())
    return account(request, shown=word)


@require_POST
def drop_token(request: HttpRequest, number: int) -> HttpResponse:
    """A key that opens nothing from now on."""
    get_object_or_404(Token.objects.filter(owner=request.user), pk=number).delete()
    return HttpResponseRedirect("/account/")


@sensitive_post_parameters("password")
@require_POST
def add_person(request: HttpRequest) -> HttpResponse:
    """Somebody else who may work here; the owner's to say."""
    if not request.user.is_superuser:
        raise EaselError("only the owner of the studio adds people")
    try:
        named(get_user_model()(), request.POST.get("name", ""), request.POST.get("password", ""))
    except EaselError as problem:
        return account(request, words=str(problem))
    return HttpResponseRedirect("/account/")


@require_POST
def shut_out(request: HttpRequest, number: int) -> HttpResponse:
    """Let a person in no more, by any way, or again; what they made stays. The owner's to say, of others."""
    others = get_user_model().objects.exclude(pk=request.user.pk)
    if not request.user.is_superuser:
        raise Http404
    person = get_object_or_404(others, pk=number)
    person.is_active = not person.is_active
    person.save(update_fields=["is_active"])
    return HttpResponseRedirect("/account/")


@sensitive_post_parameters("old", "password")
@require_POST
def change_password(request: HttpRequest) -> HttpResponse:
    """Another password for oneself, who knows the old one; other browsers are logged out by it."""
    person, address = request.user, str(request.META.get("REMOTE_ADDR"))
    if not safety.may_try(person.username, address):
        return account(request, words="there were too many wrong passwords: wait five minutes")
    if not person.check_password(request.POST.get("old", "")):
        return account(request, words="this is not your password until now")
    safety.right_password(person.username, address)
    try:
        named(person, person.username, request.POST.get("password", ""))
    except EaselError as problem:
        return account(request, words=str(problem))
    update_session_auth_hash(request, person)
    return HttpResponseRedirect("/account/")
