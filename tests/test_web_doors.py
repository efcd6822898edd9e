"""Who comes in: servers before the studio, guessed words, the owner's link, who logs out, who is shut out."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_web_people import two
from tests.web_toy import Nap

__all__ = ["two"]


def test_a_server_before_the_studio_opens_nothing(owner: Any) -> None:
    from django.core.handlers.asgi import ASGIRequest
    from django.test import Client

    from easel.web import safety

    here = Client(headers={"host": "localhost"})
    assert here.get("/api/jobs").status_code == 200
    for name in ("x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via", "cf-connecting-ip"):
        assert here.get("/api/jobs", headers={name: "10.0.0.1"}).status_code == 401, name
    at = "https://studio.example/jobs/"
    assert here.get("/api/jobs", headers={"sec-fetch-site": "same-origin", "referer": at}).status_code == 401
    link = {"sec-fetch-site": "cross-site", "referer": "https://docs.example/"}  # a link to this machine, clicked here
    assert here.get("/", headers=link).status_code == 200
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("127.0.0.1", 1)}
    said = {version: ASGIRequest(scope | {"http_version": version}, io.BytesIO()) for version in ("1.0", "1.1")}
    assert [safety.is_here(said[version]) for version in ("1.0", "1.1")] == [False, True]


def test_any_key_will_do_where_none_is_needed(client: Any, two: Any) -> None:
    from django.contrib.auth import get_user_model

    for scheme in ("Bearer any", "Basic YTpi"):
        assert client.get("/api/jobs", headers={"authorization": scheme}).status_code == 401
    for person in get_user_model().objects.all():
        person.set_unusable_password()
        person.save()
    for scheme in ("Bearer any", "Basic YTpi"):
        assert client.get("/api/jobs", headers={"authorization": scheme}).status_code == 200


def test_words_are_counted_before_they_are_looked_at(client: Any, two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import safety

    for _ in range(20):  # whoever knows the word is not held up by their own log-ins
        assert client.post("/login/", {"name": "ben", "password": "a long password ben"}).status_code == 302
    looked: list[str] = []

    def many(*_: Any, **named: Any) -> None:
        looked.append(named["password"])
        if len(looked) < 9:  # others that come while this one is worked out
            client.post("/login/", {"name": "anna", "password": f"guess {len(looked)}"})

    monkeypatch.setattr("easel.web.people.authenticate", many)
    client.post("/login/", {"name": "anna", "password": "guess"})
    assert len(looked) == safety.MOST_TRIES
    keys = {safety._try_keys("a", f"2001:db8:1:2::{end}")[1] for end in range(9)}
    assert len(keys) == 1  # the addresses of one customer
    assert client.post("/login/", {"name": "a\x00b", "password": "x"}).status_code in {403, 429}


def test_the_owner_s_link_is_good_once_even_in_the_same_moment(
    client: Any, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.auth import get_user_model

    from easel.web import people, safety
    from easel.web.studio import owner_link

    word, first = owner_link(), safety.first_owner

    def slow() -> Any:
        monkeypatch.setattr(safety, "first_owner", first)
        client.post(f"/owner/{word}/", {"name": "first", "password": "a long password 1"})
        return first()

    monkeypatch.setattr(safety, "first_owner", slow)
    assert people.become_owner
    assert client.post(f"/owner/{word}/", {"name": "second", "password": "a long password 2"}).status_code == 404
    assert get_user_model().objects.get().username == "first"


def test_who_logs_out_sees_no_more(owner: Any, two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from asgiref.sync import sync_to_async
    from django.test import AsyncClient

    from easel.web import live, queue
    from easel.web.models import Token
    from easel.web.studio import hashed

    job = queue.enqueue(two[0], Nap())
    monkeypatch.setattr(live, "ALIVE", 0.1)

    async def left(begin: Callable[[AsyncClient], Awaitable[Any]], end: Callable[[AsyncClient], Awaitable[Any]]) -> int:
        asker = AsyncClient(headers={"host": "localhost"})
        headers = await begin(asker)
        answer = await asker.get(f"/api/jobs/{job.pk}/events", headers=headers or {})
        assert answer.status_code == 200
        events = answer.streaming_content.__aiter__()
        assert "queued" in str([await anext(events) for _ in range(2)])
        await end(asker)
        return len([event async for event in events])

    async def log_in(asker: AsyncClient) -> None:
        await asker.aforce_login(two[0])

    async def log_out(asker: AsyncClient) -> None:
        await asker.alogout()

    async def take(_: AsyncClient) -> dict[str, str]:
        await sync_to_async(Token.objects.create)(owner=two[0], name="t", hash=hashed("anna-s"), created=0)
        return {"authorization": "Bearer anna-s"}

    async def drop(_: AsyncClient) -> None:
        await sync_to_async(Token.objects.all().delete)()

    for begin, end in ((log_in, log_out), (take, drop)):
        assert asyncio.run(asyncio.wait_for(left(begin, end), 60)) < 20
    assert not live._FEEDS.popitem()[1]._watchers


def test_the_owner_shuts_people_out_and_people_change_their_password(client: Any, owner: Any, two: Any) -> None:
    from django.contrib.auth import get_user_model
    from django.core.cache import cache
    from django.test import Client

    from easel.web.models import Token
    from easel.web.studio import hashed

    anna, ben = two
    Token.objects.create(owner=anna, name="t", hash=hashed("anna-s"), created=0)
    token, elsewhere = {"authorization": "Bearer anna-s"}, Client(headers={"host": "localhost"})
    login = {"name": "anna", "password": "a long password anna"}
    elsewhere.post("/login/", login)
    assert elsewhere.get("/account/").status_code == 200
    client.force_login(ben)
    assert client.post(f"/account/people/{anna.pk}/out/").status_code == 404
    client.force_login(owner)
    assert client.post(f"/account/people/{owner.pk}/out/").status_code == 404
    client.post(f"/account/people/{anna.pk}/out/")
    assert elsewhere.get("/account/").status_code == 302
    assert elsewhere.get("/api/jobs", headers=token).status_code == 401
    assert Client(headers={"host": "localhost"}).post("/login/", login).status_code == 403
    assert "shut out" in client.get("/account/").content.decode()
    client.post(f"/account/people/{anna.pk}/out/")
    assert elsewhere.get("/api/jobs", headers=token).status_code == 200
    cache.clear()
    here = Client(headers={"host": "localhost"})
    for one in (here, elsewhere):
        assert one.post("/login/", login).status_code == 302
    for old, new, status in (("wrong", "another long one", 422), (login["password"], "short", 422)):
        assert here.post("/account/password/", {"old": old, "password": new}).status_code == status
    assert (
        here.post("/account/password/", {"old": login["password"], "password": "another long one"}).status_code == 302
    )
    assert here.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302
    assert get_user_model().objects.get(pk=anna.pk).check_password("another long one")
