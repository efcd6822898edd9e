"""A stranger who tries: bodies without end, servers before the studio, guessed words, files that lie, damaged calls."""

from __future__ import annotations

import asyncio
import gc
import json
from pathlib import Path
from typing import Any

import pytest

from easel.errors import EaselError
from tests.test_web_people import two
from tests.web_studio import JSON, a_result, png, put_in
from tests.web_toy import Nap

__all__ = ["two"]


# What is sent


def sent(parts: list[bytes], said: int | None = None, **headers: str) -> tuple[int, int, dict[str, Any]]:
    """Send a body in parts to the whole application; the status, how many parts were taken, and the answer's JSON."""
    from easel.web.asgi import application

    names = {"host": "localhost", "content-type": JSON} | headers
    lines = [(name.encode(), value.encode()) for name, value in names.items()]
    lines += [] if said is None else [(b"content-length", str(said).encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/jobs", "raw_path": b"/api/jobs", "query_string": b"", "root_path": "", "headers": lines,
        "client": ("10.0.0.9", 1234), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    left, messages, taken = list(parts), [], 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if not left:
            await asyncio.sleep(3600)
        taken += 1
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    asyncio.run(asyncio.wait_for(application(scope, receive, send), 60))
    content = b"".join(message.get("body", b"") for message in messages[1:])
    kinds = {name.lower(): value for name, value in messages[0]["headers"]}
    is_json = kinds.get(b"content-type", b"").startswith(b"application/json")
    return messages[0]["status"], taken, json.loads(content) if is_json else {}


def test_a_stranger_fills_no_disk(owner: Any, two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    from easel.web.models import Token
    from easel.web.studio import hashed

    megabyte = b" " * 1_000_000
    assert sent([b"{}"], 2)[0] == 401
    status, taken, answer = sent([megabyte] * 9, 9_000_000)
    assert (status, taken, "not logged in" in answer["detail"]) == (413, 0, True)
    status, taken, _ = sent([megabyte] * 9)  # its length unsaid
    assert (status, taken) == (413, 2)
    status, taken, _ = sent([megabyte] * 9, 10)  # its length a lie
    assert (status, taken) == (413, 2)
    Token.objects.create(owner=two[0], name="t", hash=hashed("anna-s"), created=0)
    with_token = {"authorization": "Bearer anna-s"}
    status, taken, answer = sent([megabyte] * 3 + [b"{}"], 3_000_002, **with_token)
    assert (status, taken, "a recipe has at most" in answer["detail"]) == (413, 4, True)  # it was let through
    monkeypatch.setattr(settings, "QUOTA", 2_000_000)
    status, taken, answer = sent([megabyte] * 9, 9_000_000, **with_token)
    assert (status, taken, "no room" in answer["detail"]) == (413, 0, True)
    assert sent([megabyte] * 9, 9_000_000, authorization="Bearer guessed")[0] == 413


def test_a_full_disk_is_said_before_anything_is_written(
    client: Any, owner: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(EaselError, match="disk of the studio is full"):
        put_in(two[0])
    from easel.web.models import Token
    from easel.web.studio import hashed

    Token.objects.create(owner=two[0], name="t", hash=hashed("anna-s"), created=0)
    status, taken, answer = sent([b" "], 9_000_000, authorization="Bearer anna-s")
    assert (status, taken, "disk" in answer["detail"]) == (507, 0, True)


def test_a_database_that_does_not_answer_is_said(client: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from easel.web import queue

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(queue, "enqueue", full)
    for address, body in (
        ("/api/jobs", {"kind": "nap"}),
        ("/sdapi/v1/txt2img", {"prompt": "a"}),
        ("/v1/images/generations", {"prompt": "a"}),
    ):
        answer = client.post(address, json.dumps(body), content_type=JSON)
        assert (answer.status_code, b"disk is full" in answer.content) == (503, True), address
    assert client.post("/nap/", {"steps": "1"}).status_code == 503


# What is named


def test_a_text_that_hides_a_path_is_refused(owner: Any) -> None:
    hidden = (
        b'- name: a\n  image: "\\x2e\\x2e/\\x2e\\x2e/out/nap-1/01.png"\n',
        b"- name: a\n  image: x/../../../out/nap-1/01.png\n",
        b'- name: a\n  image: ".\\\n    ./secret.key"\n',
        b"- name: a\n  image: &a ../x\n",
    )
    for content in hidden:
        with pytest.raises(EaselError, match="outside of its own folder"):
            put_in(owner, "styles.yaml", content)
    with pytest.raises(EaselError, match="outside of its own folder"):
        put_in(owner, "metadata.jsonl", b'{"file_name": "\\u002e\\u002e\\/x.png"}\n')
    with pytest.raises(EaselError, match="does not read"):
        put_in(owner, "styles.yaml", b"- !!python/object/apply:os.system ['x']\n")
    assert put_in(owner, "styles.yaml", b"- name: a\n  prompt: black and/or white... and more\n").count == 1


def test_uploads_at_once_share_the_room(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    from easel.web import uploads
    from easel.web.models import Upload

    content = png()
    monkeypatch.setattr(settings, "QUOTA", len(content) * 3 // 2)
    put_in(owner, content=content)
    monkeypatch.setattr(uploads, "refuse_size", lambda *_, **__: None)  # both looked before either had written
    with pytest.raises(EaselError, match="no room"):
        put_in(owner, content=content)
    assert len(list(Path("uploads").glob("*/*.png"))) == Upload.objects.count() == 1


def test_letters_that_no_database_takes_are_refused(client: Any, owner: Any) -> None:
    for body in ({"kind": "generate", "prompt": "a\x00b"}, {"kind": "generate", "prompt": "a", "label": "\x00"}):
        assert client.post("/api/jobs", json.dumps(body), content_type=JSON).status_code == 422
    for address in ("/jobs/?q=%00", "/uploads/%00/delete/", "/files/%00", "/api/jobs?state=%00"):
        assert client.get(address).status_code == 400, address


def test_numbers_and_searches_without_end_break_nothing(client: Any, owner: Any) -> None:
    for address in (f"/jobs/{10**30}/", f"/api/jobs/{2**62}", f"/gallery/{10**30}/", f"/models/{10**30}/"):
        assert client.get(address).status_code == 404, address
    assert client.get(f"/api/jobs?before={10**30}").status_code == 422
    for query in ("q=" + "a+" * 5000, "page=" + "9" * 99, "score=x&low=nan&high=1e999", "since=9999-99-99"):
        assert client.get(f"/gallery/?{query}").status_code == 200, query
    assert client.get("/files/out/nap-" + "9" * 99 + "/x").status_code == 404
    assert client.post(f"/jobs/{10**30}/cancel/").status_code == 404


def test_one_person_opens_so_many_streams(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.test import AsyncClient

    from easel.web import live

    monkeypatch.setattr(live, "MOST_STREAMS", 2)

    async def statuses() -> list[int]:
        asker, found, open_ones = AsyncClient(headers={"host": "localhost"}), [], []
        for _ in range(3):
            answer = await asker.get("/jobs/events/")
            found.append(answer.status_code)
            if answer.status_code == 200:
                open_ones.append(answer.streaming_content.__aiter__())
                await anext(open_ones[-1])
        for one in open_ones:
            await one.aclose()
        open_ones.clear()
        del answer
        gc.collect()
        await asyncio.sleep(0.2)  # what is under it is closed by the loop
        answer = await asker.get("/jobs/events/")
        found.append(answer.status_code)
        return found

    assert asyncio.run(statuses()) == [200, 200, 429, 200]
    assert not +live._OPEN


def test_what_a_killed_process_left_is_swept(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import uploads

    kept = put_in(owner)
    Path("uploads/tmp123.upload").write_bytes(b"half")
    lost = Path("uploads/0123456789ab")
    lost.mkdir()
    (lost / "photo.png").write_bytes(png())
    assert uploads.sweep() == 0  # they may be on their way
    monkeypatch.setattr(uploads, "OLD", -1.0)
    assert uploads.sweep() == 2
    assert [path.name for path in Path("uploads").iterdir()] == [kept.pk]


def test_only_posts_change_anything(client: Any, owner: Any) -> None:
    from easel.web import queue
    from easel.web.models import Job

    queue.enqueue(owner, Nap())
    job = queue.claim("w", "here", heavy=False)
    assert job is not None
    for name in ("interrupt", "skip", "txt2img", "refresh-checkpoints"):
        answer = client.get(f"/sdapi/v1/{name}")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert client.get("/v1/images/generations").status_code == 405
    assert not Job.objects.get(pk=job.pk).stop
    assert client.post("/sdapi/v1/interrupt", b"", content_type=JSON).json() == {}
    assert Job.objects.get(pk=job.pk).stop


ODD: tuple[Any, ...] = (True, -1, 1.5, 10**400, "x", "\ud800", [1], {"a": []}, float("nan"))


def some(names: str) -> dict[str, None]:
    """Settings that are not sent but for the one that is tried."""
    return dict.fromkeys(names.split())


@pytest.mark.parametrize("api", ["a1111", "openai"])
def test_no_value_breaks_a_call(client: Any, owner: Any, api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting that a client may send is sent with every odd value: each is refused in words, or means nothing."""
    from easel.web.api import waiting

    async def made(*_: Any, **__: Any) -> None:
        raise EaselError("nothing is drawn here")

    monkeypatch.setattr(waiting, "made", made)
    monkeypatch.setattr(waiting, "enqueued", made)
    photo = "data:image/png;base64," + __import__("base64").b64encode(png()).decode()
    unit = {"image": photo, "module": "canny"}
    whole: dict[str, dict[str, Any]] = {
        "txt2img": some(
            "prompt negative_prompt seed steps cfg_scale width height batch_size n_iter "
            "sampler_name sampler_index scheduler styles enable_hr hr_scale hr_resize_x override_settings "
            "alwayson_scripts subseed_strength eta send_images"
        ),
        "img2img": {"init_images": [photo], "mask": photo, "denoising_strength": 0.5, "resize_mode": 1, "mask_blur": 4},
        "extra-single-image": some(
            "image resize_mode upscaling_resize upscaling_resize_w upscaler_1 gfpgan_visibility upscaling_crop"
        ),
        "extra-batch-images": {"imageList": [{"data": photo, "name": "a"}]},
        "png-info": {"image": photo},
        "interrogate": {"image": photo, "model": "clip"},
        "options": {"sd_model_checkpoint": "pocket", "x": 1},
        "controlnet": unit | some("weight guidance_start guidance_end threshold_a control_mode model"),
        "/controlnet/detect": {
            "controlnet_images": [photo],
            "controlnet_module": "canny",
            "controlnet_processor_res": 64,
        },
    }
    if api == "openai":
        names = "prompt model n size background output_format output_compression stream partial_images seed steps"
        whole = {"/v1/images/generations": {"prompt": "a"} | some(names)}
    statuses = set()
    for name, body in whole.items():
        for setting in body:
            for odd in ODD:
                sent_body: dict[str, Any] = {key: value for key, value in body.items() if value is not None}
                sent_body |= {"width": 64, "height": 64, "prompt": "a"} if name in {"img2img", "txt2img"} else {}
                sent_body[setting] = odd
                address = name if name.startswith("/") else f"/sdapi/v1/{name}"
                if name == "controlnet":
                    sent_body = {"prompt": "a", "width": 64, "alwayson_scripts": {"controlnet": {"args": [sent_body]}}}
                    address = "/sdapi/v1/txt2img"
                answer = client.post(address, json.dumps(sent_body), content_type=JSON)
                statuses.add(answer.status_code)
                assert answer.status_code < 500, (name, setting, odd)
                assert answer.headers["Content-Type"].startswith(("application/json", "text/event-stream"))
    assert statuses <= {200, 400, 404, 422}
    for content in (b"{", b"[]", b"\xff", b"[" * 100_000, b'{"prompt": NaN}', b""):
        address = "/v1/images/generations" if api == "openai" else "/sdapi/v1/txt2img"
        assert client.post(address, content, content_type=JSON).status_code in {400, 422}


def test_a_form_s_own_words_break_nothing(client: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings
    from django.core.files.uploadedfile import SimpleUploadedFile

    def edit(**more: Any) -> Any:
        files = {"image": SimpleUploadedFile("upload", png())}
        return client.post("/v1/images/edits", {"prompt": "a"} | files | more)

    for name, value in (("steps", ".5"), ("guidance_scale", "nan"), ("n", "x"), ("seed", "1e9"), ("size", "²x²")):
        answer = edit(**{name: value})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    monkeypatch.setattr(settings, "MOST_UPLOAD", 10)
    answer = edit()
    assert (answer.status_code, "too large" in answer.json()["error"]["message"]) == (413, True)
    answer = client.post("/api/uploads", {"file": SimpleUploadedFile("a.png", png())})
    assert (answer.status_code, "too large" in answer.json()["detail"]) == (422, True)
    answer = client.post("/api/jobs", json.dumps({"kind": "nap", "x": "y" * 1_000_000}), content_type=JSON)
    assert (answer.status_code, "1,000,000 bytes" in answer.json()["detail"]) == (413, True)
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", 10)
    answer = client.post("/sdapi/v1/txt2img", json.dumps({"prompt": "a" * 20}), content_type=JSON)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/json")
    assert client.get("/api/jobs", headers={"host": "evil.example"}).json()["detail"].startswith("the studio does not")


# Other people


def test_nobody_pushes_ahead_of_others(client: Any, owner: Any, two: Any) -> None:
    from easel.web import queue
    from easel.web.models import Job

    anna, ben = two
    a1, b1, a2, a3 = (queue.enqueue(person, Nap(seed=number)) for number, person in enumerate((anna, ben, anna, anna)))

    def order() -> list[int]:
        return list(Job.objects.order_by("-priority", "place", "pk").values_list("pk", flat=True))

    client.force_login(anna)
    client.post(f"/jobs/{a3.pk}/move/", {"before": a1.pk})
    assert order() == [a3.pk, b1.pk, a1.pk, a2.pk]
    client.post(f"/jobs/{a1.pk}/sooner/")
    assert order() == [a1.pk, b1.pk, a3.pk, a2.pk]
    client.post(f"/jobs/{a2.pk}/move/", {"before": b1.pk})  # another's: behind all of her own
    assert order() == [a1.pk, b1.pk, a3.pk, a2.pk]
    client.post("/nap/", {"steps": "1", "first": "yes"})
    newest = Job.objects.order_by("pk").last()
    assert newest is not None
    assert order() == [newest.pk, b1.pk, a1.pk, a3.pk, a2.pk]
    assert set(Job.objects.values_list("priority", flat=True)) == {0}


def test_one_person_does_not_fill_the_queue(client: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import queue

    monkeypatch.setattr(queue, "MOST_WAITING", 2)
    for _ in range(2):
        assert client.post("/api/jobs", json.dumps({"kind": "nap"}), content_type=JSON).status_code == 202
    assert client.post("/api/jobs", json.dumps({"kind": "nap"}), content_type=JSON).status_code == 429
    body = json.dumps({"prompt": "a"})
    assert client.post("/sdapi/v1/txt2img", body, content_type=JSON).status_code == 429
    answer = client.post("/v1/images/generations", body, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_error")


def test_numbers_of_jobs_tell_nothing(client: Any, owner: Any, two: Any) -> None:
    anna, ben = two
    job, _ = a_result(anna)
    client.force_login(ben)
    for number in (job.pk, job.pk + 1, 4711, 2**62):
        answers = {
            (answer.status_code, answer.content.replace(str(number).encode(), b"N"))
            for answer in [client.get(f"/api/jobs/{number}"), client.post(f"/api/jobs/{number}/cancel")]
        }
        assert answers == {(404, b'{"detail": "you have no job N", "fields": {}}')}
