"""What the studio knows of models, sets and runs under way: their pages, in one process, without a browser."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.errors import EaselError
from tests.web_studio import a_result, a_training, png, put_in


def place_of(job: Any) -> str:
    return str(job.folder.as_posix())


def a_folder(person: Any, count: int = 3) -> Any:
    """A folder of pictures, put in."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    from easel.web import uploads

    files = []
    for number in range(count):
        stream = io.BytesIO()
        Image.effect_noise((64, 48), 20 + 30 * number).save(stream, "PNG")
        files.append((f"{number}.png", SimpleUploadedFile(f"{number}.png", stream.getvalue())))
    return uploads.take_folder(person, "set", files)


# Inference


def test_the_form_asks_for_what_the_model_needs(client: Any, owner: Any) -> None:
    by_class, by_attribute = place_of(a_training(owner)), place_of(a_training(owner, "control-gan"))
    text = client.get(f"/inference/?model={by_class}").content.decode()
    for name, is_there in (("label", True), ("truncation", True), ("walk", True), ("prompt", False), ("steps", False)):
        assert (f'name="{name}"' in text) is is_there, name
    assert "<option>coat</option>" in text
    text = client.get(f"/inference/?model={by_attribute}").content.decode()
    assert '<option value="hat=+1">surely with</option>' in text
    assert 'name="label"' not in text
    text = client.get("/inference/?model=pocket").content.decode()
    assert 'name="prompt"' in text
    assert 'name="truncation"' not in text
    assert 'name="question"' in client.get("/inference/?model=pocket&task=ask").content.decode()
    assert client.get("/inference/?model=/etc").status_code == 400


def test_what_another_model_needs_is_left_out_of_the_recipe(client: Any, owner: Any) -> None:
    from easel.web.models import Job

    place = place_of(a_training(owner, "control-gan"))
    typed = {"model": place, "prompt": "from before", "steps": "9", "attribute": ["hat=+1", "", "glasses=-0.3"]}
    assert client.post("/generate/", typed).status_code == 302
    settings = Job.objects.order_by("-pk")[0].settings
    assert (settings["prompt"], settings["attribute"]) == (None, ["hat=+1", "glasses=-0.3"])
    assert "steps" not in settings
    page = client.post("/generate/", {"model": place, "attribute": "hat=+7"})
    assert 'id="wrong-attribute"' in page.content.decode()


def test_recipes_say_who_asks_a_model_for_what_and_what_comes_first() -> None:
    from easel.kinds import KINDS
    from easel.models.catalog.tables import ROLES
    from easel.web import forms, inference

    found = inference.tasks()
    assert set(found) <= set(ROLES)
    assert (found["caption"], found["generator"], found["style"]) == (
        ("caption", "model"), ("generate", "model"), ("transfer", "features"),
    )  # fmt: skip
    for kind in (one.recipe for one in KINDS.values()):
        assert set(kind.front) <= set(kind.model_fields)
    first, settings, more, *_ = forms.groups(KINDS["train"].recipe, {"network": ["vae"]})
    assert [field.name for field in first.fields] == ["data", "network"]
    assert [field.name for field in settings.fields][:3] == ["resolution", "kimg", "minutes"]
    assert (more.title, more.folds) == ("More", True)
    first = forms.groups(KINDS["transfer"].recipe, {})[0]
    assert [field.name for field in first.fields] == ["photo", "style", "styles"]
    assert set(first.fields[2].known) == {"van-gogh", "malevich", "delaunay", "monet", "hokusai", "kandinsky"}


# The models


def test_a_model_is_named_and_deleted_but_not_under_a_job(client: Any, owner: Any) -> None:
    from easel.recipes import recipe_from
    from easel.web import queue
    from easel.web.models import Job

    job = a_training(owner)
    place = place_of(job)
    card = client.get(f"/models/{job.pk}/").content.decode()
    for words in ("boot, coat, dress", "1.000 to 2.000", "Draws clothes.", "losses: critic 3.000, generator 1.000"):
        assert words in card
    client.post("/models/label/", {"place": place, "name": "Wardrobe"})
    assert "Wardrobe" in client.get("/models/").content.decode()
    assert "Wardrobe: cgan of clothes" in client.get("/generate/").content.decode()
    assert client.post("/models/label/", {"place": "/etc", "name": "x"}).status_code == 404
    user = queue.enqueue(owner, recipe_from({"kind": "generate", "model": place, "seed": 1}))
    refused = client.post(f"/models/{job.pk}/delete/")
    assert (refused.status_code, f"generate {user.pk} still needs it" in refused.content.decode()) == (400, True)
    queue.cancel(user)
    assert client.post(f"/models/{job.pk}/delete/").status_code == 302
    assert not Path(place).exists()
    assert not Job.objects.filter(pk=job.pk).exists()


def test_weights_say_what_they_hold(client: Any, owner: Any) -> None:
    import numpy as np
    from safetensors.numpy import save

    lora = save({"unet.lora_A.weight": np.zeros(2, np.float32)}, metadata={"modelspec.title": "Wool"})
    put_in(owner, "wool.safetensors", lora)
    assert "a LoRA, 1 tensors, called Wool" in client.get("/models/").content.decode()


def test_a_model_comes_from_the_hub(client: Any, owner: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """How far it is, that it may then be named, and what a failure says; without the thread around it all."""
    from easel.models.catalog import download, locate
    from easel.web import gate, pulls
    from easel.web.models import Pull

    monkeypatch.setattr(locate, "cache_folder", lambda source: tmp_path)
    monkeypatch.setattr(pulls, "LOOK", 0.01)
    monkeypatch.setattr(pulls, "begin", lambda row: pulls.fetch(row.pk, row.name))

    def comes(name: str, report: Any) -> None:
        (tmp_path / "part.incomplete").write_bytes(b"x" * 1000)
        report(0, 1)
        until = time.monotonic() + 20
        while not Pull.objects.filter(done=1000).exists() and time.monotonic() < until:
            time.sleep(0.02)

    monkeypatch.setattr(download, "pull", comes)
    assert not gate.is_model("somebody/something", owner)
    assert client.post("/models/pull/", {"name": "somebody/something"}).status_code == 302
    row = Pull.objects.get()
    assert (row.state, row.done) == ("done", 1000)
    assert gate.is_model("somebody/something", owner)
    assert "somebody/something: from the hub" in client.get("/generate/").content.decode()

    def fails(name: str, report: Any) -> None:
        raise EaselError("cannot pull it: check the network")

    monkeypatch.setattr(download, "pull", fails)
    client.post("/models/pull/", {"name": "somebody/else"})
    assert "cannot pull it: check the network" in client.get("/models/pulls/").content.decode()
    assert not gate.is_model("somebody/else", owner)
    for name in ("../etc", "pocket", ""):
        assert client.post("/models/pull/", {"name": name}).status_code == 400, name


def test_a_pull_that_was_cut_off_is_begun_again(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import pulls
    from easel.web.models import Pull

    begun: list[int] = []
    monkeypatch.setattr(pulls, "begin", lambda row: begun.append(row.pk))
    lost = Pull.objects.create(name="a/b", created=0, beat=time.time() - 60)
    Pull.objects.create(name="c/d", created=0, beat=time.time())
    pulls.shown()
    assert begun == [lost.pk]


# Sets, and what is in hand


def test_a_set_is_looked_at_before_anything_is_asked(client: Any, owner: Any) -> None:
    folder = a_folder(owner)
    text = client.post("/sets/look/", {"place": folder.place}).content.decode()
    for words in ("<dd>3</dd>", "all 64 x 48", f"/files/{folder.place}/0.png"):
        assert words in text
    assert client.get(f"/files/{folder.place}/0.png?small=1").status_code == 200
    assert client.get(f"/files/{put_in(owner).place}/0.png").status_code == 404
    assert client.post("/sets/look/", {"place": "/etc"}).status_code == 404
    empty = a_folder(owner, 1)
    next(Path(empty.place).glob("*")).write_text("no picture")
    assert 'role="alert"' in client.post("/sets/look/", {"place": empty.place}).content.decode()


def test_what_can_be_done_with_a_thing(client: Any, owner: Any) -> None:
    photo, folder = put_in(owner), a_folder(owner)
    text = client.get(f"/begin/?place={photo.place}").content.decode()
    assert f'href="/stylize/?photo={photo.place}"' in text
    assert "/train/" not in text
    text = client.get(f"/begin/?place={folder.place}").content.decode()
    assert f'href="/train/?data={folder.place}"' in text
    assert f'href="/personalize/?photos={folder.place}"' in text
    assert client.get("/begin/?place=/etc/passwd").status_code == 404
    painting = client.get("/paintings/monet/")
    assert (painting.status_code, painting.headers["content-type"]) == (200, "image/webp"), painting.content[:2000]
    assert client.get("/paintings/nobody/").status_code == 404


# Presets


def test_a_form_is_kept_under_a_name(client: Any, owner: Any) -> None:
    from easel.web.models import Preset

    typed = {"prompt": "a cat", "steps": "0", "preset_name": "Cat", "csrfmiddlewaretoken": "x"}
    address = client.post("/generate/preset/", typed).headers["location"]
    assert Preset.objects.get().typed == {"prompt": ["a cat"], "steps": ["0"]}
    assert "a cat" in client.get(address).content.decode()
    client.post("/generate/preset/", typed | {"prompt": "a dog"})
    assert Preset.objects.get().typed["prompt"] == ["a dog"]
    assert client.post("/generate/preset/", typed | {"preset_name": " "}).status_code == 400
    client.post(f"/presets/{Preset.objects.get().pk}/delete/")
    assert not Preset.objects.exists()


# Runs under way


def test_a_training_goes_on_longer_with_what_may_change(client: Any, owner: Any) -> None:
    job = a_training(owner)
    folder = a_folder(owner)
    plain = job.settings | {"data": folder.place}
    type(job).objects.filter(pk=job.pk).update(settings=plain)
    typed = {"network": "cgan", "data": folder.place, "go_on": str(job.pk), "kimg": "9"}
    page = client.post("/train/", typed | {"resolution": "32"})
    assert 'id="wrong-resolution"' in page.content.decode()
    assert "was 64, and stays so" in page.content.decode()
    assert client.post("/train/", typed).headers["location"] == f"/jobs/{job.pk}/"
    job.refresh_from_db()
    assert (job.state, job.settings["kimg"], job.settings["seed"]) == ("queued", 9.0, 1)
    assert "still under way" in client.post("/train/", typed | {"kimg": "12"}).content.decode()


def test_curves_have_the_shape_of_their_numbers(tmp_path: Path) -> None:
    from easel.web import watch

    (tmp_path / "metrics.csv").write_text(
        "step,kimg,critic,kernel distance,low,high\n0,0,1,10,8,12\n1,5,3,1,0.8,1.2\n2,10,2,0.1,0.05,0.2\n"
    )
    losses, distance = watch.panels_of(tmp_path)
    assert losses.lines[0].points == "0.0,150.0 160.0,0.0 320.0,75.0"
    assert distance.lines[0].points == "0.0,0.0 160.0,75.0 320.0,150.0"  # evenly on a logarithmic scale
    assert losses.said == "losses: critic 2.000, at 10 thousand pictures seen"
    (tmp_path / "metrics.csv").write_text("step,kimg,critic\n0,0,")
    assert watch.panels_of(tmp_path) == []
    assert watch.panels_of(tmp_path / "nowhere") == []


def test_a_comparison_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    from easel.web import watch

    lines = []
    for candidate, value in (("few", 0.2), ("many", 0.8)):
        for seed in (1, 2, 3):
            row = {"key": f"{candidate}{seed}", "candidate": candidate, "photo": "", "seed": seed, "seconds": 1.0}
            lines.append(
                json.dumps(
                    row | {"pictures": [f"{seed}.png"], "notes": [], "values": [["CLIP-T", "j", value + seed / 100]]}
                )
            )
    (tmp_path / "progress.jsonl").write_text("\n".join(lines) + "\nnonsense\n" + lines[0][:20])
    report = watch.report_of(tmp_path)
    assert report is not None
    assert (report.cells, report.verdict[:19]) == (6, "CLIP-T: many wins (")
    assert [mean.stands for _, means in report.candidates for mean in means if mean] == ["behind", "best"]
    assert report.lines[1] == ("seed 2", [(["2.png"], ""), (["2.png"], "")])
    assert watch.report_of(tmp_path / "nowhere") is None


def test_the_chain_of_a_picture(client: Any, owner: Any) -> None:
    from PIL.PngImagePlugin import PngInfo

    photo = put_in(owner)
    _, first = a_result(owner)
    _, second = a_result(owner)
    for picture, source in ((first, photo.place), (second, first.path.as_posix())):
        notes = PngInfo()
        recipe = {"kind": "edit", "photo": source, "prompt": "night", "seed": 1}
        notes.add_itxt("easel", json.dumps({"recipe": recipe}))
        picture.path.write_bytes(png(pnginfo=notes))
        type(picture).objects.filter(pk=picture.pk).update(words=source)
    text = client.get(f"/gallery/{second.pk}/").content.decode()
    chain = text[text.index('class="chain"') : text.index("</ol>")]
    assert chain.index(photo.place) < chain.index(f"/gallery/{first.pk}/") < chain.index("This one")
    assert f"/gallery/{second.pk}/" in client.get(f"/gallery/{first.pk}/").content.decode()
    client.post("/gallery/bin/", {"p": [first.pk, second.pk, "x"]})
    assert "2 for good" in client.get("/bin/").content.decode()


def test_logs_are_found_by_words_job_and_error(client: Any, owner: Any) -> None:
    from easel.web import queue
    from tests.web_toy import Nap

    one, other = queue.enqueue(owner, Nap()), queue.enqueue(owner, Nap())
    queue.log(one, "the walrus is in")
    queue.log(other, "error: no walrus: open the door")
    for query, there in (
        ("", (True, True)), ("?q=walrus+door", (False, True)), (f"?job={one.pk}", (True, False)),
        ("?errors=yes", (False, True)), ("?q=zebra", (False, False)), ("?job=x", (True, True)),
    ):  # fmt: skip
        text = client.get(f"/logs/{query}").content.decode()
        assert ("the walrus is in" in text, "no walrus" in text) == there, query
