"""What calls of other programs become in easel's words, and what is refused: A1111's units, LoRAs, styles, sizes and
extras, OpenAI's streams.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.errors import EaselError
from tests.conftest import drawn
from tests.test_web_pages import at_once
from tests.web_studio import JSON, a_result, put_in

__all__ = ["at_once"]


def coded(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def post(client: Any, name: str, **body: Any) -> Any:
    return client.post(f"/sdapi/v1/{name}", json.dumps(body), content_type=JSON)


def units(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"alwayson_scripts": {"ControlNet": {"args": list(rows)}}}


SIZE = {"prompt": "a cat", "width": 128, "height": 64, "steps": 4}


def test_units_become_maps_of_an_edit(client: Any, at_once: list[Any]) -> None:
    photo = coded(drawn(96, 64))
    canny = {"image": photo, "module": "canny", "model": "pocket-canny", "weight": 0.75, "threshold_a": 60}
    more = {"guidance_start": 0.25, "guidance_end": 0.5}
    assert post(client, "txt2img", **SIZE, **units(canny | more)).status_code == 200
    made = at_once[-1]
    assert (made.kind, made.method, made.prompt, made.strength) == ("edit", "canny", "a cat", None)
    assert (made.control_start, made.control_end, made.control_model) == (0.25, 0.5, "pocket-canny")
    ((kind, file, scale),) = [_parts(text) for text in made.control]
    assert (kind, scale) == ("canny", 0.75)
    with Image.open(file) as edges, Image.open(made.photo) as seen:
        assert edges.size == seen.size == (128, 64)
        assert {level for _, level in edges.convert("L").getcolors() or ()} == {0, 255}
    # A ready map, by the name of its network's own file; depth is measured by the workers; the photo starts it.
    ready = {"image": photo, "module": "none", "model": "control_v11p_sd15_scribble [d4ba51ff]"}
    depth = {"module": "depth", "model": "None"}
    body = {"init_images": [photo], "denoising_strength": 0.5, **SIZE}
    assert post(client, "img2img", **body, **units(ready, depth)).status_code == 200
    made = at_once[-1]
    assert (made.method, made.strength, made.control_model) == ("scribble", 0.5, "sd-1.5-scribble")
    assert [_parts(text)[0] for text in made.control] == ["scribble", "depth"]
    assert _parts(made.control[1])[1] == ""
    off = {"image": photo, "module": "openpose", "enabled": False}
    assert post(client, "txt2img", **SIZE, **units(off)).status_code == 200
    assert at_once[-1].kind == "generate"
    adapter = {"image": photo, "module": "canny", "model": "pocket-canny-adapter"}
    assert post(client, "txt2img", **SIZE, **units(adapter)).status_code == 200
    assert at_once[-1].method == "adapter-canny"
    for wrong, words in (
        ({"module": "openpose"}, "no module called 'openpose': use one of"),
        ({"module": "none", "model": "None"}, "what the map shows"),
        ({"module": "canny", "model": "pocket-depth"}, "reads depth maps"),
        ({"module": "canny", "model": "mine"}, "no model called 'mine'"),
        ({"module": "canny", "control_mode": "ControlNet is more important"}, "Balanced alone"),
        ({"module": "canny", "mask": photo}, "mask"),
        ({"module": "canny", "image": "x"}, "image"),
        ({"module": "canny", "image": ""}, "image is missing"),
        ({"module": "canny", "resize_mode": "Zoom"}, "resize_mode"),
        ({"module": "canny", "guidance_start": 0.9, "guidance_end": 0.2}, "control_start"),
        ({"module": "canny", "weight": 3}, "scale"),
    ):
        answer = post(client, "txt2img", **SIZE, **units({"image": photo} | wrong))
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.content


def _parts(text: str) -> tuple[str, str, float | None]:
    from easel.recipes.edit import control_parts

    kind, file, scale = control_parts(text)
    return kind, file, scale


def test_loras_and_styles_by_their_names(client: Any, owner: Any, at_once: list[Any]) -> None:
    header = json.dumps({"__metadata__": {}}).encode()
    weights = put_in(owner, "ink.safetensors", len(header).to_bytes(8, "little") + header)
    assert [row["name"] for row in client.get("/sdapi/v1/loras").json()] == ["ink"]
    assert post(client, "txt2img", **SIZE | {"prompt": "a cat <lora:ink:0.8>"}).status_code == 200
    assert (at_once[-1].prompt, at_once[-1].lora) == ("a cat", (f"{weights.place}:0.8",))
    post(client, "txt2img", **SIZE | {"prompt": "<lora:ink:0.2:0.9> a cat"})
    assert at_once[-1].lora == (f"{weights.place}:0.9:0.2",)  # there the text encoder comes first
    answer = post(client, "txt2img", **SIZE | {"prompt": "a <lora:../../etc/passwd:1>"})
    assert (answer.status_code, "no LoRA called" in answer.json()["detail"]) == (422, True)
    known = {row["name"]: row for row in client.get("/sdapi/v1/prompt-styles").json()}
    assert known["monet"]["prompt"] == "{prompt} in the style of Monet"
    post(client, "txt2img", **SIZE, styles=["monet"], negative_prompt="fog")
    assert (at_once[-1].prompt, at_once[-1].negative_prompt) == ("a cat in the style of Monet", "fog, photograph")
    assert post(client, "txt2img", **SIZE, styles=["nobody"]).status_code == 422


def test_photos_are_brought_to_the_size_as_a1111_does(client: Any, at_once: list[Any]) -> None:
    halves = Image.new("RGB", (100, 100), "red")
    halves.paste("blue", (50, 0, 100, 100))
    corners = {}
    for mode in (0, 1, 2):
        body = SIZE | {"init_images": [coded(halves)], "resize_mode": mode, "width": 200, "height": 104}
        assert post(client, "img2img", **body).status_code == 200
        with Image.open(at_once[-1].photo) as picture:
            assert picture.size == (200, 104)
            corners[mode] = [picture.convert("RGB").getpixel(at) for at in ((2, 52), (90, 52), (197, 52))]
    red, blue = (255, 0, 0), (0, 0, 255)
    assert corners == {mode: [red, red, blue] for mode in (0, 1, 2)}
    body = SIZE | {"init_images": [coded(halves)], "resize_mode": 3}
    assert "resize_mode" in post(client, "img2img", **body).json()["detail"]
    big = post(client, "txt2img", **SIZE, enable_hr=True, hr_scale=1.5)
    assert big.status_code == 200
    assert (at_once[-1].width, at_once[-1].height) == (192, 96)
    assert "second pass" in post(client, "txt2img", **SIZE, enable_hr=True, hr_second_pass_steps=9).json()["detail"]


def test_the_same_picture_is_kept_once(client: Any, owner: Any, at_once: list[Any]) -> None:
    from easel.web import uploads
    from easel.web.models import Upload

    body = SIZE | {"init_images": [coded(drawn())]}
    for strength in (0.4, 0.5, 0.6):
        assert post(client, "img2img", **body, denoising_strength=strength).status_code == 200
    assert Upload.objects.count() == 1
    uploads.delete(Upload.objects.get())
    assert post(client, "img2img", **body).status_code == 200
    with Image.open(at_once[-1].photo) as picture:
        assert picture.size == (128, 64)
    assert post(client, "img2img", **body | {"init_images": [coded(drawn(colour="navy"))]}).status_code == 200
    assert Upload.objects.count() == 2


def test_extras_are_plain_resampling(client: Any, owner: Any) -> None:
    dots = Image.new("RGB", (16, 16), "white")
    dots.putpixel((3, 5), (0, 0, 0))
    body = {"image": "data:image/png;base64," + coded(dots), "upscaling_resize": 4}
    near = opened(post(client, "extra-single-image", **body, upscaler_1="Nearest").json()["image"])
    assert near.convert("RGB").tobytes() == dots.resize((64, 64), Image.Resampling.NEAREST).tobytes()
    soft = opened(post(client, "extra-single-image", **body, upscaler_1="lanczos").json()["image"])
    assert soft.convert("RGB").tobytes() == dots.resize((64, 64), Image.Resampling.LANCZOS).tobytes()
    both = body | {"upscaler_1": "Nearest", "upscaler_2": "Lanczos", "extras_upscaler_2_visibility": 0.5}
    mixed = opened(post(client, "extra-single-image", **both).json()["image"])
    assert mixed.convert("RGB").tobytes() == Image.blend(near.convert("RGB"), soft.convert("RGB"), 0.5).tobytes()
    kept = opened(post(client, "extra-single-image", **body).json()["image"])
    assert kept.size == (16, 16)  # the upscaler None
    cover = {"resize_mode": 1, "upscaling_resize_w": 40, "upscaling_resize_h": 20, "upscaler_1": "Nearest"}
    assert opened(post(client, "extra-single-image", **body | cover).json()["image"]).size == (40, 20)
    whole = body | cover | {"upscaling_crop": False}
    assert opened(post(client, "extra-single-image", **whole).json()["image"]).size == (40, 40)
    for wrong, words in (
        ({"gfpgan_visibility": 0.5}, "restores no faces"),
        ({"upscaler_1": "R-ESRGAN 4x+"}, "no neural upscaler"),
        ({"upscaling_resize": 1000}, "at most 8 times"),
        ({"image": coded(dots)[:40]}, "image"),
    ):
        answer = post(client, "extra-single-image", **body | {"upscaler_1": "Nearest"} | wrong)
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.content


def test_a_stream_shows_what_there_is_so_far(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import index
    from easel.web.api import openai, waiting

    job, _ = a_result(owner)
    looks = [0.0, 5.0, 5.0, 6.0, 7.0, 8.0]

    async def followed(*_: Any) -> Any:
        for preview in looks:
            job.state, job.preview = "running", preview
            yield job
        job.state = "done"
        yield job

    monkeypatch.setattr(waiting, "followed", followed)
    index.save_preview(job, drawn())

    async def events(partial: int) -> list[dict[str, Any]]:
        about = {"output_format": "png", "quality": "auto", "size": "auto", "background": "opaque"}
        stream = openai.streamed(job, about, 100, "image_generation", partial).streaming_content
        return [json.loads(text.decode().partition("data: ")[2]) async for text in stream]

    for partial in (0, 2, 3):
        told = asyncio.run(events(partial))
        assert [one.get("partial_image_index") for one in told] == [*range(partial), None]
        assert told[-1]["type"] == "image_generation.completed"
        assert all(opened(one["b64_json"]).format == "PNG" for one in told)

    async def failing(*_: Any) -> Any:
        for words in ("the cat is out",):
            raise EaselError(words)
        yield job

    monkeypatch.setattr(waiting, "followed", failing)
    assert asyncio.run(events(0))[0]["error"]["message"] == "the cat is out"


def test_a_call_gives_up_in_words_and_its_job_goes_on(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import live, queue
    from easel.web.api import waiting
    from easel.web.models import Job
    from tests.web_toy import Nap

    job = queue.enqueue(owner, Nap())
    with pytest.raises(waiting.StillWorking, match=f"job {job.pk} is not done after 0 seconds: it goes on"):
        asyncio.run(waiting.over(job, 0.01))
    monkeypatch.setattr(live.ENDING, "is_set", lambda: True)
    with pytest.raises(waiting.StillWorking, match="now that the studio stops: it goes on"):
        asyncio.run(waiting.over(job))
    assert Job.objects.get(pk=job.pk).state == "queued"
    queue.cancel(job)
    with pytest.raises(EaselError, match="was cancelled"):
        asyncio.run(waiting.over(job))
    assert not list(Path("uploads").glob("*.part"))
