"""Clients that people have, against a running studio with pocket: webuiapi for A1111's REST, openai for OpenAI's."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import webuiapi
from PIL import Image, ImageChops, ImageDraw
from PIL.PngImagePlugin import PngInfo

from tests.test_web_queue import ROOT, environment

pytestmark = pytest.mark.enable_socket
SMALL = {"steps": 2, "seed": 4}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A studio of its own with one worker; where it listens."""
    place = tmp_path_factory.mktemp("clients") / "studio"
    command = [sys.executable, "-m", "tests.web_toy", "web", str(place)]
    running = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        yield int(line.rstrip().rstrip("/").rpartition(":")[2])
    finally:
        running.terminate()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()


@pytest.fixture
def spot() -> Image.Image:
    """A teal spot on wheat."""
    image = Image.new("RGB", (96, 64), "wheat")
    ImageDraw.Draw(image).ellipse((20, 10, 60, 50), fill="teal")
    return image


def change(first: Image.Image, second: Image.Image, box: tuple[int, int, int, int]) -> int:
    """The largest change of a pixel within a box."""
    extrema = ImageChops.difference(first.convert("RGB"), second.convert("RGB")).crop(box).getextrema()
    return max(int(band[1]) for band in extrema)  # type: ignore[index]


@pytest.fixture
def a1111(port: int) -> Iterator[Any]:
    """webuiapi's client."""
    api = webuiapi.WebUIApi(port=port, steps=2)
    yield api
    api.session.close()


def test_webuiapi_draws(a1111: Any, spot: Image.Image) -> None:
    assert a1111.has_controlnet
    made = a1111.txt2img(prompt="a red circle", seed=3, width=64, height=64, batch_size=2)
    assert [image.size for image in made.images] == [(64, 64), (64, 64)]
    assert made.info["all_seeds"] == [3, 4]
    assert made.info["infotexts"][1].startswith("a red circle\nSteps: 2, Sampler: Euler a, CFG scale: 7, Seed: 4")
    mask = Image.new("L", spot.size, 0)
    mask.paste(255, (0, 0, 48, 64))
    words = {"prompt": "a blue circle", "seed": 1, "width": 96, "height": 64, "denoising_strength": 0.9}
    painted = a1111.img2img(images=[spot], mask_image=mask, mask_blur=0, **words)
    assert change(spot, painted.image, (48, 0, 96, 64)) == 0
    assert change(spot, painted.image, (0, 0, 48, 64)) > 50
    assert "init_images" not in painted.parameters
    unit = webuiapi.ControlNetUnit(image=spot, module="canny", model="pocket-canny", threshold_a=50, threshold_b=150)
    steered, followed = a1111.txt2img(prompt="a", seed=3, width=96, height=64, controlnet_units=[unit]).images
    assert steered.size == (96, 64)
    assert followed.convert("L").point(lambda level: 255 * (level > 127)).histogram()[255] > 50  # the spot's outline
    assert a1111.interrogate(spot).info


def test_webuiapi_s_other_calls(a1111: Any, spot: Image.Image) -> None:
    notes = PngInfo()
    notes.add_text("parameters", "a cat\nSteps: 4")
    stream = io.BytesIO()
    spot.save(stream, "PNG", pnginfo=notes)
    assert a1111.png_info(Image.open(stream)).info == "a cat\nSteps: 4"
    edges = a1111.controlnet_detect([spot], module="canny", processor_res=128).image
    assert (edges.size, edges.getextrema()) == ((192, 128), ((0, 255),) * 3)
    assert (a1111.controlnet_version(), "pocket-canny" in a1111.controlnet_model_list()) == (2, True)
    assert a1111.controlnet_module_list() == ["none", "canny", "depth", "scribble_xdog"]
    assert a1111.extra_single_image(spot, upscaler_1="Lanczos", upscaling_resize=3).image.size == (288, 192)
    near = a1111.extra_batch_images(
        [spot, spot],
        upscaler_1=webuiapi.Upscaler.Nearest,
        resize_mode=1,
        upscaling_resize_w=192,
        upscaling_resize_h=128,
    )
    assert [image.size for image in near.images] == [(192, 128)] * 2
    doubled = near.images[0].convert("RGB")
    assert doubled.resize((96, 64), Image.Resampling.NEAREST).tobytes() == spot.tobytes()
    a1111.util_set_model("pocket")
    assert a1111.util_get_current_model() == "pocket"
    assert {"Euler a", "DPM++ 2M"} <= set(a1111.util_get_sampler_names())
    assert [row["name"] for row in a1111.get_upscalers()] == ["None", "Lanczos", "Nearest"]
    assert {"name", "prompt", "negative_prompt"} == set(a1111.get_prompt_styles()[0])
    assert a1111.get_memory()["ram"]["total"] > 1e8
    assert a1111.get_embeddings() == {"loaded": {}, "skipped": {}}
    for name in ("hypernetworks", "face_restorers", "realesrgan_models", "sd_vae", "loras"):
        assert getattr(a1111, f"get_{name}")() == []
    assert a1111.get_cmd_flags()["api"]
    assert a1111.refresh_checkpoints() is None
    assert (a1111.interrupt(), a1111.skip()) == ({}, {})
    assert a1111.get_progress()["progress"] == 0
    a1111.util_wait_for_ready(0.2)
    for wrong, words in (
        ({"restore_faces": True}, "restore_faces"),
        ({"sampler_name": "Nope"}, "no sampler"),
        ({"alwayson_scripts": {"ADetailer": {"args": [True]}}}, "ADetailer"),
        ({"controlnet_units": [webuiapi.ControlNetUnit(image=spot, module="openpose")]}, "no module"),
    ):
        with pytest.raises(RuntimeError, match=words):
            a1111.txt2img(prompt="a", **wrong)
    with pytest.raises(RuntimeError, match="no neural upscaler such as"):
        a1111.extra_single_image(spot, upscaler_1=webuiapi.Upscaler.ESRGAN_4x)


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def opened(row: Any) -> Image.Image:
    """The picture of a row of an answer."""
    return Image.open(io.BytesIO(base64.b64decode(row.b64_json)))


def test_openai_draws_edits_and_names_its_errors(port: int, spot: Image.Image, tmp_path: Path) -> None:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any") as client:
        assert "pocket" in [model.id for model in client.models.list().data]
        events = list(
            client.images.generate(
                prompt="a red circle", model="gpt-image-1", n=2, size="64x64", stream=True, extra_body=SMALL
            )
        )
        assert [event.type for event in events] == ["image_generation.completed"] * 2
        assert opened(events[1]).size == (64, 64)
        clear = Image.new("RGBA", spot.size, (0, 0, 0, 255))
        clear.paste((0, 0, 0, 0), (0, 0, 48, 64))
        painted = opened(
            client.images.edit(image=[png(spot)], mask=png(clear), prompt="a blue circle", extra_body=SMALL).data[0]
        )
        assert change(spot, painted, (48, 0, 96, 64)) == 0
        assert change(spot, painted, (0, 0, 48, 64)) > 50
        with pytest.deprecated_call():
            varied = client.images.create_variation(image=png(spot), response_format="url", extra_body=SMALL)
        with urllib.request.urlopen(str((varied.data or [])[0].url), timeout=60) as answer:
            content = answer.read()
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.size == (96, 64)
            assert change(spot, picture, (0, 0, 96, 64)) > 50
        for make, kind, param in (
            (lambda: client.images.generate(prompt="a", model="nope"), openai.NotFoundError, "model"),
            (lambda: client.images.generate(prompt="a", size="63x64"), openai.BadRequestError, "size"),  # type: ignore[call-overload]
            (lambda: client.images.generate(prompt="a", n=99), openai.BadRequestError, "n"),
            (lambda: client.images.generate(prompt="a", extra_body={"hue": 1}), openai.BadRequestError, "hue"),
            (lambda: client.images.edit(image=[png(spot)] * 2, prompt="a"), openai.BadRequestError, "image"),
            (lambda: client.images.edit(image=b"no picture", prompt="a"), openai.BadRequestError, None),
        ):
            with pytest.raises(kind) as found:
                make()
            assert found.value.param == param
            assert found.value.response.headers["x-should-retry"] == "false"
