"""Pages and APIs in one process, without a browser: forms from recipes, errors at their fields, the gallery."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.kinds import KINDS, Kind
from easel.recipes import read_yaml
from tests.web_studio import JSON, a_result, png, put_in

ROOT = Path(__file__).parent.parent


# Forms


def test_every_kind_has_a_page_made_from_its_recipe(client: Any, owner: Any) -> None:
    from easel.recipes.describe import settings
    from easel.web import forms, inference

    for word, kind in KINDS.items():
        page = client.get(f"/{word}/")
        assert page.status_code == 200
        text = page.content.decode()
        assert kind.about in text.replace("&#x27;", "'").replace("&quot;", '"')
        facts = inference.facts_of(word, {}, owner)
        shown = {field.name for group in forms.groups(kind.recipe, {}, None, facts) for field in group.fields}
        chosen = forms.values_of(kind.recipe, {})
        known = settings(kind.recipe)
        assert shown == {one.name for one in known if forms.applies(kind.recipe, one, chosen, facts)}
        for name in shown:
            assert re.search(rf'name="{name}(--file)?"|data-name="{name}"', text), f"{word}: {name}"
    assert client.get("/no-such-kind/").status_code == 404


def test_a_new_kind_has_its_page_by_itself(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "frame", Kind("Put a frame around a photo.", "tests.toy.recipe:Frame", "tests.toy.job"))
    text = client.get("/frame/").content.decode()
    assert "more covers more of the wall" in text
    assert 'name="colour"' not in text
    text = client.post("/frame/fields/", {"material": "paint"}).content.decode()
    assert 'name="colour"' in text
    assert 'hx-post="/frame/fields/"' in text


def test_what_does_not_apply_is_not_asked_for(client: Any) -> None:
    assert 'name="image_guidance_scale"' in client.get("/edit/").content.decode()
    text = client.post("/edit/fields/", {"method": "inpaint", "mask_feather": "5"}).content.decode()
    assert 'name="image_guidance_scale"' not in text
    assert re.search(r'name="mask_feather"\s+value="5"', text)
    text = client.post("/train/fields/", {"network": "vae"}).content.decode()
    assert ('name="beta"' in text, 'name="r1_gamma"' in text) == (True, False)


def test_every_error_stands_at_its_field_and_what_was_typed_stays(client: Any) -> None:
    page = client.post("/generate/", {"prompt": "  ", "steps": "0", "width": "65", "seed": "x", "scheduler": "nope"})
    assert page.status_code == 422
    text = page.content.decode()
    for name in ("steps", "width", "seed", "scheduler"):
        assert f'id="wrong-{name}"' in text, name
    assert "must be a multiple of 8, such as 64 or 72" in text
    assert 'value="65"' in text
    page = client.post("/edit/", {"prompt": "night", "method": "inpaint", "photo": "uploads/x/y.png"})
    assert 'id="wrong-mask"' in page.content.decode()
    page = client.post("/stylize/", {"photo": "/etc/passwd"})
    assert "which is no file of yours" in page.content.decode()


def test_shortcuts_and_compiling_are_chosen_in_a_form(client: Any, owner: Any) -> None:
    from easel.web.models import Job

    text = client.get("/generate/").content.decode()
    for name in ("fast", "compile"):
        assert re.search(rf'name="{name}"|data-name="{name}"', text), name
    words = {"prompt": "a red bird", "seed": "1", "fast": ["cache", "steps"], "compile": "auto"}
    assert client.post("/generate/", words).status_code == 302
    recipe = Job.objects.latest("pk").recipe
    assert (recipe.fast, recipe.compile) == (("cache", "steps"), "auto")  # type: ignore[attr-defined]
    page = client.post("/generate/", words | {"fast": ["slowly"], "compile": "always"})
    assert page.status_code == 422
    assert all(f'id="wrong-{name}"' in page.content.decode() for name in ("fast", "compile"))


def test_a_form_becomes_a_job_and_its_recipe_the_same_yaml(client: Any, owner: Any, tmp_path: Path) -> None:
    from easel.web.models import Job

    photo = put_in(owner)
    typed = {"photo": photo.place, "styles": ["monet", "banksy\nmine"], "steps": "8", "strength": "0.5", "seed": "7"}
    text = client.post("/stylize/yaml/", typed).content.decode()
    shown = re.search(r'<pre id="yaml-text"[^>]*>(.*?)</pre>', text, re.S)
    assert shown is not None
    (tmp_path / "copied.yaml").write_text(shown[1].replace("&#x27;", "'"))
    sent = client.post("/stylize/", typed | {"first": "yes"})
    job = Job.objects.get()
    assert sent.headers["location"] == f"/jobs/{job.pk}/"
    assert job.recipe == read_yaml(tmp_path / "copied.yaml")
    assert job.recipe.styles == ("monet", "banksy", "mine")  # type: ignore[attr-defined]
    assert job.priority == 1
    again = client.get(f"/stylize/?job={job.pk}").content.decode()
    assert 'value="8"' in again
    assert photo.place in again


def test_a_list_of_numbers_is_numbers(client: Any) -> None:
    from easel.web import forms

    recipe, wrong = forms.checked("compare", {"base": ["kind: generate\nprompt: a"], "seeds": ["3\n5"]})
    assert (getattr(recipe, "seeds", None), wrong) == ((3, 5), {})


@pytest.mark.parametrize(("typed", "meant"), [("", None), ("yes", True), ("no", False)])
def test_a_switch_may_be_left_to_the_model(typed: str, meant: bool | None) -> None:
    from easel.recipes.describe import settings
    from easel.recipes.personalize import Personalize
    from easel.web import forms

    values = forms.values_of(Personalize, {"new_token": [typed], "mirror": [typed]})
    assert values.get("new_token") == meant
    assert values["mirror"] is (typed == "yes")
    setting = next(one for one in settings(Personalize) if one.name == "new_token")
    field = forms.field_of(Personalize, setting, [typed])
    assert (field.widget, field.choices) == ("list", ("yes", "no"))
    assert forms.typed_from(Personalize, values).get("new_token", [""]) == [typed]


def test_a_job_s_settings_are_compared(client: Any, owner: Any) -> None:
    from easel.recipes import recipe_from
    from easel.web import queue

    recipe = recipe_from({"kind": "stylize", "photo": put_in(owner).place, "styles": ["monet"], "steps": 9, "seed": 4})
    text = client.get(f"/compare/?base_of={queue.enqueue(owner, recipe).pk}").content.decode()
    base = re.search(r'<textarea id="base"[^>]*>(.*?)</textarea>', text, re.S)
    assert base is not None
    assert base[1].splitlines() == ["kind: stylize", "styles:", "- monet", "steps: 9"]
    assert re.search(r'<textarea id="seeds"[^>]*>4</textarea>', text)
    assert f'name="photos" value="{recipe.photo}"' in text  # type: ignore[attr-defined]


def test_a_form_without_javascript_takes_its_files_along(client: Any, owner: Any) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    from easel.web.models import Job

    sent = {"question": "is it red?", "photo--file": SimpleUploadedFile("a.png", png())}
    assert client.post("/ask/", sent).status_code == 302
    assert Job.objects.get().settings["photo"].startswith("uploads/")


def test_a_picture_s_own_recipe_fills_the_form(client: Any, owner: Any) -> None:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_itxt("easel", json.dumps({"recipe": {"kind": "generate", "prompt": "a red bird", "steps": 9, "seed": 3}}))
    from django.core.files.uploadedfile import SimpleUploadedFile

    answer = client.post("/uploads/", {"files": SimpleUploadedFile("x.png", png(pnginfo=notes))}).json()["made"][0]
    assert answer["kind"] == "generate"
    text = client.get(f"/generate/?upload={answer['id']}").content.decode()
    assert "a red bird" in text
    assert re.search(r'name="steps"\s+value="9"', text)


# Jobs


def test_the_queue_s_page(client: Any, owner: Any) -> None:
    from easel.web import queue
    from easel.web.models import Job, Studio
    from tests.web_toy import Nap

    jobs = [queue.enqueue(owner, Nap(seed=number)) for number in range(3)]
    order = lambda: list(Job.objects.filter(state="queued").order_by("-priority", "place").values_list("pk", flat=True))  # noqa: E731
    first, second, third = (job.pk for job in jobs)
    client.post(f"/jobs/{third}/sooner/")
    assert order() == [first, third, second]
    client.post(f"/jobs/{first}/later/")
    assert order() == [third, first, second]
    client.post(f"/jobs/{second}/move/", {"before": third})
    assert order() == [second, third, first]
    client.post(f"/jobs/{second}/cancel/")
    assert order() == [third, first]
    client.post(f"/jobs/{second}/retry/")
    assert order() == [third, first, second]
    client.post("/jobs/steer/", {"pause": "yes"})
    assert "It is paused" in client.get("/jobs/").content.decode()
    assert client.post("/jobs/steer/", {"heavy_from": "25:00", "heavy_until": "06:00"}).status_code == 400
    client.post("/jobs/steer/", {"heavy_from": "22:00", "heavy_until": "06:00"})
    assert Studio.get().heavy_from == "22:00"
    assert client.get("/jobs/4711/").status_code == 404


def test_a_job_s_page_shows_what_was_made_and_its_log_is_searched(client: Any, owner: Any) -> None:
    from easel.web import queue

    job, _ = a_result(owner)
    queue.log(job, "the walrus is in")
    text = client.get(f"/jobs/{job.pk}/").content.decode()
    for words in ("a wheat spot", "style 0.750", "the walrus is in", "kind: nap"):
        assert words in text
    assert f"/jobs/{job.pk}/" in client.get("/jobs/?q=walrus").content.decode()
    assert f"/jobs/{job.pk}/" not in client.get("/jobs/?q=ptarmigan").content.decode()


def test_events_tell_what_changes(studio: Path, owner: Any) -> None:
    from django.test import AsyncClient

    from easel.web import queue
    from tests.web_toy import Nap

    job = queue.enqueue(owner, Nap())

    async def told() -> list[str]:
        from asgiref.sync import sync_to_async

        answer = await AsyncClient().get(f"/api/jobs/{job.pk}/events")
        events = answer.streaming_content.__aiter__()
        found = [await anext(events), await anext(events)]
        await sync_to_async(queue.cancel)(job)
        found += [event async for event in events]
        return [str(event.decode() if isinstance(event, bytes) else event) for event in found]

    events = asyncio.run(asyncio.wait_for(told(), 120))
    states = [json.loads(event.partition("data: ")[2])["state"] for event in events if "data: " in event]
    assert (states[0], states[-1]) == ("queued", "cancelled")


# Gallery


def test_the_gallery_finds_by_words_and_scores(client: Any, owner: Any) -> None:
    _, picture = a_result(owner)
    address = f"/gallery/{picture.pk}/"
    for query, is_there in (
        ("", True), ("?q=wheat+spot", True), ("?q=zebra", False), ("?kind=nap", True), ("?kind=edit", False),
        ("?score=style&low=0.7", True), ("?score=style&low=0.8", False), ("?score=style&high=0.75&sort=best", True),
        ("?since=2020-01-01&until=2999-01-01", True), ("?until=2020-01-01", False), ("?score=other", False),
    ):  # fmt: skip
        assert (address in client.get(f"/gallery/{query}").content.decode()) is is_there, query
    assert "is no date" in client.get("/gallery/?since=soon").content.decode()
    page = client.get(address).content.decode()
    assert "0.500 to 0.900" in page
    other = a_result(owner)[1]
    assert "0.750" in client.get(f"/gallery/compare/?p={picture.pk}&p={other.pk}").content.decode()
    client.post(f"{address}bin/")
    assert address not in client.get("/gallery/").content.decode()
    assert address in client.get("/bin/").content.decode()
    client.post("/bin/empty/")
    assert client.get(address).status_code == 404
    assert not picture.path.exists()


# APIs


def test_the_native_api(client: Any, owner: Any) -> None:
    made = client.post("/api/jobs", json.dumps({"kind": "nap", "seed": 3}), content_type=JSON)
    assert made.status_code == 202
    number = made.json()["id"]
    assert client.get(f"/api/jobs/{number}").json()["state"] == "queued"
    assert client.get(f"/api/jobs/{number}/result").status_code == 409
    assert client.get("/api/jobs/4711").status_code == 404
    for body, words in (
        ({"kind": "nap", "steps": -1}, "steps is -1"),
        ({"kind": "nope"}, "no kind of job called"),
        ({"kind": "stylize", "photo": "/etc/passwd"}, "no file of yours"),
        ({"kind": "generate", "prompt": "a", "model": "/tmp"}, "no model called"),
        ({}, "kind is missing"),
    ):
        answer = client.post("/api/jobs", json.dumps(body), content_type=JSON)
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.content
    answer = client.post("/api/jobs", json.dumps({"kind": "stylize", "photo": "/etc/passwd"}), content_type=JSON)
    assert "no file of yours" in answer.json()["fields"]["photo"]
    answer = client.post("/api/jobs", json.dumps({"kind": "nap", "steps": -1}), content_type=JSON)
    assert list(answer.json()["fields"]) == ["steps"]
    for text in ("{", "[]", "3", '"x"'):
        assert client.post("/api/jobs", text, content_type=JSON).status_code in {400, 422}
    assert client.post(f"/api/jobs/{number}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/api/jobs/{number}/retry").status_code == 202
    assert client.post(f"/api/jobs/{number}/retry").status_code == 409
    job, _ = a_result(owner)
    result = client.get(f"/api/jobs/{job.pk}/result").json()
    assert client.get(result["addresses"]["01.png"]).status_code == 200
    schema = client.get("/api/openapi.json").json()
    assert "/api/jobs/{number}/result" in schema["paths"]
    posted = schema["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert posted["discriminator"]["mapping"]["edit"] == "#/components/schemas/recipe-edit"
    assert schema["components"]["schemas"]["recipe-edit"]["properties"]["photo"]["description"]
    assert client.get("/api/docs").status_code == 200
    from django.core.files.uploadedfile import SimpleUploadedFile

    assert client.post("/api/uploads", {"file": SimpleUploadedFile("a.png", png())}).status_code == 201


@pytest.fixture
def at_once(owner: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Recipes that calls of other programs put in; each is done at once, with one picture."""
    from easel.web.api import waiting

    asked: list[Any] = []

    async def made(person: Any, recipe: Any, patience: float = 0) -> Any:
        return await over(await enqueued(person, recipe))

    async def enqueued(person: Any, recipe: Any) -> Any:
        from asgiref.sync import sync_to_async

        from easel.web import gate

        await sync_to_async(gate.admitted)(recipe, person)
        asked.append(recipe)
        return (await sync_to_async(a_result)(person))[0]

    async def over(job: Any, patience: float = 0) -> Any:
        return job

    for name, function in (("made", made), ("enqueued", enqueued), ("over", over)):
        monkeypatch.setattr(waiting, name, function)
    return asked


def test_a1111_s_calls(client: Any, at_once: list[Any]) -> None:
    def post(name: str, body: Any) -> Any:
        return client.post(f"/sdapi/v1/{name}", json.dumps(body), content_type=JSON)

    body = {
        "prompt": "a cat",
        "negative_prompt": "fog",
        "steps": 9,
        "cfg_scale": 5,
        "seed": 4,
        "width": 256,
        "height": 128,
    }
    body |= {"sampler_name": "DPM++ 2M", "scheduler": "Karras", "n_iter": 2, "styles": [], "alwayson_scripts": {}}
    answer = post("txt2img", body).json()
    assert Image.open(io.BytesIO(base64.b64decode(answer["images"][0]))).size == (96, 64)
    assert json.loads(answer["info"])["seed"] == 4
    recipe = at_once[-1]
    assert (recipe.prompt, recipe.steps, recipe.guidance_scale, recipe.count) == ("a cat", 9, 5.0, 2)
    assert (recipe.scheduler, recipe.width, recipe.seed) == ("dpmpp-2m-karras", 256, 4)
    photo = base64.b64encode(png()).decode()
    body = {
        "init_images": [f"data:image/png;base64,{photo}"],
        "mask": photo,
        "prompt": "night",
        "denoising_strength": 0.5,
    }
    assert post("img2img", body | {"width": 64, "height": 64}).status_code == 200
    assert (at_once[-1].kind, at_once[-1].method, at_once[-1].strength) == ("edit", "inpaint", 0.5)
    for wrong, words in (
        ({"prompt": "a", "tiling": True}, "tiling"),
        ({"prompt": "a", "sampler_name": "Nope"}, "no sampler"),
        ({"prompt": "a", "steps": "many"}, "steps: must be a number"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a", "override_settings": {"sd_model_checkpoint": "/etc"}}, "no model"),
    ):
        answer = post("txt2img", wrong)
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.content
    assert client.get("/sdapi/v1/progress").json()["state"]["job_count"] == 0
    assert client.get("/sdapi/v1/sd-models").json()[0]["title"] == "pocket"
    assert "Euler a" in {row["name"] for row in client.get("/sdapi/v1/samplers").json()}
    assert post("options", {"sd_model_checkpoint": "nope"}).status_code == 422
    assert post("options", {"sd_model_checkpoint": "pocket"}).status_code == 200
    assert client.get("/sdapi/v1/options").json() == {"sd_model_checkpoint": "pocket"}
    assert post("interrupt", {}).json() == {}
    assert post("png-info", {"image": photo}).json()["info"] == ""


def test_openai_s_calls(client: Any, at_once: list[Any]) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    def draw(**body: Any) -> Any:
        return client.post("/v1/images/generations", json.dumps(body), content_type=JSON)

    answer = draw(prompt="a cat", model="gpt-image-1", n=2, size="256x128", seed=4).json()
    assert Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))).size == (96, 64)
    assert (at_once[-1].model, at_once[-1].count, at_once[-1].width, at_once[-1].seed) == ("pocket", 2, 256, 4)
    jpeg = draw(prompt="a cat", output_format="jpeg").json()["data"][0]["b64_json"]
    assert Image.open(io.BytesIO(base64.b64decode(jpeg))).format == "JPEG"
    link = draw(prompt="a cat", response_format="url").json()["data"][0]["url"]
    assert client.get(link.removeprefix("http://localhost")).status_code == 200
    assert client.get("/v1/files/forged").status_code == 404
    clear = Image.new("RGBA", (96, 64), (0, 0, 0, 255))
    clear.putpixel((3, 3), (0, 0, 0, 0))
    stream = io.BytesIO()
    clear.save(stream, "PNG")
    files = {"image": SimpleUploadedFile("upload", png()), "mask": SimpleUploadedFile("mask", stream.getvalue())}
    assert client.post("/v1/images/edits", {"prompt": "night", **files}).status_code == 200
    recipe = at_once[-1]
    assert (recipe.kind, recipe.method) == ("edit", "inpaint")
    with Image.open(recipe.mask) as mask:
        assert (mask.getpixel((3, 3)), mask.getpixel((4, 4))) == (255, 0)
    for body, param in (({}, "prompt"), ({"prompt": "a", "n": 99}, "n"), ({"prompt": "a", "size": "big"}, "size")):
        answer = draw(**body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert draw(prompt="a", model="/etc/passwd").json()["error"]["type"] == "invalid_request_error"
    assert client.get("/v1/models").json()["data"][0]["id"] == "pocket"
