"""Who may see what: the owner's link, log-in, tokens, two people at every address, and what recipes may name."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.kinds import KINDS
from easel.recipes import recipe_from
from tests.conftest import drawn
from tests.web_studio import JSON, a_result, png, put_in
from tests.web_toy import Nap


@pytest.fixture
def two(owner: Any) -> tuple[Any, Any]:
    """Two people with passwords, and an owner who has one; from here on everybody logs in."""
    from django.contrib.auth import get_user_model

    from easel.web.people import named

    named(owner, "olga", "a long password 1")
    people = []
    for name in ("anna", "ben"):
        person = get_user_model()()
        named(person, name, f"a long password {name}")
        people.append(person)
    return people[0], people[1]


# The owner


def test_this_machine_is_open_until_there_is_an_owner(client: Any) -> None:
    from easel.web.studio import owner_link

    assert client.get("/").status_code == 200
    assert client.get("/", headers={"x-forwarded-for": "10.0.0.1"}).status_code == 302
    assert client.get("/api/jobs", REMOTE_ADDR="10.0.0.1").status_code == 401
    word = owner_link()
    assert client.get(f"/owner/{word}x/").status_code == 404
    assert client.get(f"/owner/{word}/").status_code == 200
    page = client.post(f"/owner/{word}/", {"name": "olga", "password": "short"})
    assert page.status_code == 422
    assert "too short" in page.content.decode()
    assert client.post(f"/owner/{word}/", {"name": "olga", "password": "a long password 1"}).status_code == 302
    assert client.get("/").status_code == 200
    client.logout()
    assert client.get("/").headers["location"] == "/login/?next=/"
    assert client.get("/api/jobs").status_code == 401
    assert client.get(f"/owner/{word}/").status_code == 404
    assert owner_link() is None


def test_log_in_and_its_limit(client: Any, two: Any) -> None:
    for _ in range(5):
        assert client.post("/login/", {"name": "anna", "password": "wrong"}).status_code == 403
    right = {"name": "anna", "password": "a long password anna", "next": "//evil.example/"}
    assert client.post("/login/", right).status_code == 429
    from django.core.cache import cache

    cache.clear()
    assert client.post("/login/", right).headers["location"] == "/"
    assert client.get("/account/").status_code == 200


def test_tokens(client: Any, two: Any) -> None:
    from easel.web.models import Token

    anna, _ = two
    client.force_login(anna)
    page = client.post("/account/tokens/", {"name": "my script"}).content.decode()
    found = re.search(r"easel-[\w-]{40,}", page)
    assert found is not None
    assert found[0] not in client.get("/account/").content.decode()
    client.logout()
    bearer = {"authorization": f"Bearer {found[0]}"}
    assert client.get("/api/jobs", headers=bearer).status_code == 200
    assert client.get("/api/jobs", headers={"authorization": "Bearer wrong"}).status_code == 401
    import base64

    basic = base64.b64encode(f"anna:{found[0]}".encode()).decode()
    assert client.get("/api/jobs", headers={"authorization": f"Basic {basic}"}).status_code == 200
    Token.objects.all().delete()
    assert client.get("/api/jobs", headers=bearer).status_code == 401


def test_another_site_s_page_changes_nothing(client: Any) -> None:
    body = json.dumps({"kind": "nap"})
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert client.post("/api/jobs", body, content_type=JSON, headers=headers).status_code == 403
    assert client.post("/api/jobs", body, content_type=JSON, headers={"origin": "http://localhost"}).status_code == 202
    from django.test import Client

    strict = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    assert strict.post("/jobs/steer/", {"pause": "yes"}).status_code == 403
    assert Client(headers={"host": "evil.example"}).get("/").status_code == 400


def test_what_a_browser_may_do_is_said(client: Any) -> None:
    page = client.get("/")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["X-Frame-Options"] == "DENY"
    for name in ("home", "stylize"):
        text = client.get("/" if name == "home" else "/stylize/").content.decode()
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|javascript:", text)


# Two people


def test_every_address_is_tried_by_another_person(client: Any, two: Any) -> None:
    """A walk over the table of addresses: what holds a number or a name of Anna's answers Ben with 404; a stranger is
    led to the login, a program told 401. A new address is tried by itself.
    """
    from django.urls import get_resolver

    from easel.web.models import Job, Picture, Preset, Pull, Token, Upload
    from easel.web.safety import PUBLIC

    anna, ben = two
    job, picture = a_result(anna)
    waiting = Nap(seed=6)
    from easel.web import queue

    waits = queue.enqueue(anna, waiting)
    upload = put_in(anna)
    token = Token.objects.create(owner=anna, name="t", hash="h", created=0)
    preset = Preset.objects.create(owner=anna, kind="nap", name="p", typed={})
    pull = Pull.objects.create(name="owner/name", created=0, state="done")
    fills = {
        "preset": [preset.pk], "pull": [pull.pk],
        "job": [job.pk, waits.pk], "picture": [picture.pk], "upload": [upload.pk], "token": [token.pk],
        "person": [anna.pk],
        "file": [upload.place, picture.path.as_posix(), f"{job.folder}/result.json"],
    }  # fmt: skip
    by_name = {
        "job": "job", "job-events": "job", "preview": "job", "act": "job", "model": "job", "api-events": "job",
        "delete-model": "job", "drop-preset": "preset", "stop-pull": "pull",
        "picture": "picture", "to-bin": "picture", "take-away": "upload", "drop-token": "token", "file": "file",
        "shut-out": "person",
    }  # fmt: skip
    patterns = [(str(one.pattern), one.name or "") for one in flat(get_resolver().url_patterns)]
    assert len(patterns) > 50
    tried = 0
    for pattern, name in patterns:
        owned = by_name.get(name) or ("job" if pattern.startswith("api/") and "{number}" in braces(pattern) else None)
        addresses = [
            "/"
            + re.sub(r"<kind:word>", "nap", re.sub(r"<(?!kind)[^>]*>|\{number\}", str(fill), plain, count=1)).replace(
                "<str:what>", "cancel"
            )
            for plain in [braces(pattern)]
            for fill in (fills[owned] if owned else ["x"])
        ]
        assert owned or "<int:" not in pattern, f"{pattern}: whose is it? say so in this test"
        for address in addresses:
            if name not in PUBLIC:
                client.logout()
                for ask in (client.get, client.post):
                    assert ask(address).status_code in {302, 401}, address
            if owned:
                client.force_login(ben)
                for ask in (client.get, client.post):
                    assert ask(address).status_code in {404, 405}, address
                    tried += 1
    assert tried > 20
    assert Job.objects.get(pk=waits.pk).state == "queued"
    assert Picture.objects.get().binned is None
    assert Upload.objects.count() == Token.objects.count() == Preset.objects.count() == Pull.objects.count() == 1
    client.force_login(ben)
    for address in ("/jobs/", "/gallery/", "/account/", "/api/jobs", "/bin/", "/models/", "/logs/", "/inference/"):
        text = client.get(address).content.decode()
        assert "nap" not in text.replace("snap", "") or address == "/api/kinds", address
        assert upload.pk not in text
    client.force_login(anna)
    assert client.get(f"/jobs/{job.pk}/").status_code == 200
    assert client.get(f"/files/{upload.place}").status_code == 200


def flat(patterns: Any, before: str = "") -> list[Any]:
    """The addresses of a table, those of tables in it too."""

    class One:
        def __init__(self, pattern: str, name: str | None) -> None:
            self.pattern, self.name = pattern, name

    found: list[Any] = []
    for one in patterns:
        if hasattr(one, "url_patterns"):
            found += flat(one.url_patterns, before + str(one.pattern))
        else:
            found.append(One(before + str(one.pattern), one.name))
    return found


def braces(pattern: str) -> str:
    """An address's pattern, numbers of the API as {number}."""
    return re.sub(r"^(api/.*)<(?:int:)?number>", r"\1{number}", pattern)


def test_the_owner_sees_all(client: Any, owner: Any, two: Any) -> None:
    job, picture = a_result(two[0])
    client.force_login(owner)
    assert client.get(f"/jobs/{job.pk}/").status_code == 200
    assert client.get(f"/gallery/{picture.pk}/").status_code == 200


# What recipes may name

PATHS = (
    "/etc/passwd", "../secret.key", "secret.key", "studio.sqlite3", "uploads", "out", "uploads/../secret.key", "~/x",
    "uploads/x/y.png", "out/nap-1/../../secret.key", "file:///etc/passwd", "C:\\x", "/dev/zero", "./out", "",
)  # fmt: skip
WHOLE: dict[str, dict[str, Any]] = {
    "caption": {"photos": ["a"]}, "ask": {"photo": "a", "question": "what?"}, "generate": {"prompt": "a"},
    "stylize": {"photo": "a"}, "transfer": {"photo": "a"}, "edit": {"photo": "a", "prompt": "b"},
    "train": {"network": "vae", "data": "a"}, "score-styles": {"folder": "a"}, "score-prompt": {"folder": "a"},
    "score-sets": {"folder": "a", "made": "b"}, "score-ppl": {"model": "pocket"}, "data-summary": {"folder": "a"},
    "data-world": {}, "personalize": {"photos": "a", "subject": "sks dog"},
    "score-likeness": {"real": "a", "made": "b"}, "compare": {"pictures": ["a"], "against": "b"},
}  # fmt: skip


def test_no_text_of_a_recipe_opens_a_file(owner: Any, two: Any, studio: Path) -> None:
    """Every setting of every kind that is a text is given places of the machine; only known words come through."""
    from easel.errors import EaselError
    from easel.recipes.describe import settings
    from easel.web import forms, gate

    anna, ben = two
    theirs = put_in(ben).place
    refused = 0
    for word, kind in KINDS.items():
        if word in {"nap", "siege"}:
            continue
        for setting in settings(kind.recipe):
            widget = forms.widget_of(kind.recipe, setting)
            if widget not in forms.FILES | {"model"}:
                continue
            for path in (*PATHS, theirs):
                several = "tuple" in str(setting.form)
                values = {"kind": word} | WHOLE.get(word, {}) | {setting.name: [path] if several else path}
                if setting.only and setting.only.of == "network":
                    values["network"] = setting.only.values[0]
                if setting.only and setting.only.of == "method":
                    values["method"] = next(one for one in setting.only.values if one not in {"pose", "segmentation"})
                try:
                    recipe = recipe_from(values)
                except EaselError:
                    continue
                assert setting.name in gate.refusals(recipe, anna), f"{word} {setting.name}: {path}"
                refused += 1
    assert refused > 200


def test_recipes_within_a_recipe_are_looked_at_too(owner: Any) -> None:
    from easel.web import gate

    mine = put_in(owner).place
    base = {"kind": "stylize", "styles": ["monet"]}
    values = {"kind": "compare", "base": base, "axes": {"steps": [4, 8]}, "photos": [mine]}
    assert gate.refusals(recipe_from(values), owner) == {}
    for name, value in (("lora", ["/etc/passwd"]), ("model", "/etc"), ("styles_file", "/etc/passwd")):
        assert name in gate.refusals(recipe_from(values | {"base": base | {name: value}}), owner)
        assert name in gate.refusals(recipe_from(values | {"axes": {name: [value]}}), owner)


def test_a_new_setting_of_unknown_nature_is_refused(owner: Any) -> None:
    from easel.recipes.base import Recipe
    from easel.web import gate

    class Novel(Recipe):
        kind: str = "novel"
        file: str = "/etc/passwd"

    assert gate.refusals(Novel(), owner) == {"file": "cannot be set here"}


def test_own_files_models_and_words_come_through(owner: Any, studio: Path) -> None:
    from easel.web import gate

    mine = put_in(owner)
    job, picture = a_result(owner)
    good = {"kind": "stylize", "photo": mine.place, "styles": ["monet"], "model": "pocket"}
    assert gate.refusals(recipe_from(good), owner) == {}
    assert gate.refusals(recipe_from(good | {"photo": picture.path.as_posix()}), owner) == {}
    assert gate.refusals(recipe_from({"kind": "caption", "photos": [mine.place], "tags": "builtin"}), owner) == {}
    link = job.folder / "link.png"
    link.symlink_to("/etc/passwd")
    assert gate.own_path(link.as_posix(), owner) is None
    assert gate.own_path(f"{job.folder}/.easel.lock", owner) is None


# Putting in


def test_the_content_decides_and_the_place_is_taken_out(owner: Any) -> None:
    from easel.errors import EaselError

    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    for form, ending in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
        stream = io.BytesIO()
        drawn().save(stream, form, exif=exif, quality=90)
        made = put_in(owner, "My Photo (1).txt.exe", stream.getvalue())
        assert made.name == f"My-Photo-1-txt.{ending}"
        assert "place where it was taken" in made.notes[0]
        with Image.open(made.place) as kept, Image.open(stream) as sent:
            assert not kept.getexif().get_ifd(0x8825)
            assert kept.getexif()[0x0112] == 6
            assert kept.tobytes() == sent.tobytes()
    for content, words in (
        (b"<svg onload=alert(1)>", "no picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a picture"),
        (b"\x80\x04pickle", "no picture"),
        (b"", "no picture"),
    ):
        with pytest.raises(EaselError, match=words):
            put_in(owner, "x.png", content)
    with pytest.raises(EaselError, match="no safetensors"):
        put_in(owner, "x.safetensors", b"\x80\x04\x95" + bytes(100))
    with pytest.raises(EaselError, match="outside of its own folder"):
        put_in(owner, "styles.yaml", b"- name: mine\n  prompt: a\n  image: /etc/passwd\n")
    assert put_in(owner, "prompts.yaml", b"- name: mine\n  prompt: black and/or white\n").count == 1


def test_a_folder_of_pictures(client: Any, owner: Any) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    from easel.web.models import Upload

    files = {
        "a/1.png": png(),
        "a/2.png": png(),
        "a/2.txt": b"a wheat spot",
        "b.html": b"<html>",
        "config.json": b"{}",
        "../../x.png": png(),
    }
    sent = [SimpleUploadedFile(name, content) for name, content in files.items()]
    answer = client.post("/uploads/", {"files": sent, "paths": [f"birds/{name}" for name in files], "folder": "yes"})
    assert answer.status_code == 200
    (made,) = answer.json()["made"]
    assert (made["count"], made["name"]) == (4, "birds")
    assert "2 files were left out" in made["notes"][0]
    kept = sorted(path.relative_to(made["place"]).as_posix() for path in Path(made["place"]).rglob("*.*"))
    assert kept == ["a/1.png", "a/2.png", "a/2.txt", "x.png"]
    client.post(f"/uploads/{made['id']}/delete/")
    assert not Upload.objects.exists()
    assert not Path(made["place"]).exists()


def test_there_is_a_limit(client: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "QUOTA", 100)
    from django.core.files.uploadedfile import SimpleUploadedFile

    answer = client.post("/uploads/", {"files": SimpleUploadedFile("a.png", png())})
    assert (answer.status_code, "no room" in answer.json()["error"]) == (422, True)


def test_files_come_as_what_they_are(client: Any, owner: Any) -> None:
    job, picture = a_result(owner)
    address = f"/files/{picture.path.as_posix()}"
    whole = client.get(address)
    content = b"".join(whole.streaming_content) if not whole.is_async else None
    assert whole.headers["Content-Type"] == "image/png"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(address, headers={"if-none-match": whole.headers["ETag"]})
    assert again.status_code == 304
    part = client.get(address, headers={"range": "bytes=0-3"})
    assert (part.status_code, part.headers["Content-Length"]) == (206, "4")
    assert client.get(address, headers={"range": "bytes=999999-"}).status_code == 416
    assert "attachment" in client.get(f"{address}?download=1").headers["Content-Disposition"]
    assert "attachment" in client.get(f"/files/{job.folder}/result.json").headers["Content-Disposition"]
    assert client.get(f"{address}?small=1").headers["Content-Type"] == "image/webp"
    (job.folder / "page.html").write_text("<script>alert(1)</script>")
    page = client.get(f"/files/{job.folder}/page.html")
    assert (page.headers["Content-Type"], "attachment" in page.headers["Content-Disposition"]) == (
        "application/octet-stream",
        True,
    )
    assert content is None or len(content) > 100
    shutil.rmtree(job.folder)
