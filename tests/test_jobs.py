"""The jobs' stories: with models whose answers are known, and with the real pocket where it is in the tree."""

from __future__ import annotations

import csv
import importlib
import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from benchmarks import study
from easel import charts, jobs, models, runners
from easel.errors import Cancelled, EaselError
from easel.images import open_picture
from easel.jobs import caption, journal
from easel.jobs.caption import tags
from easel.jobs.inputs import file_name, gather, model_label
from easel.jobs.judges import Fitness, Verdict
from easel.jobs.score.rates import rates
from easel.jobs.score.set_features import Pictures, picture_at
from easel.jobs.stylize import styles
from easel.kinds import KINDS
from easel.metrics.frechet import frechet, frechet_distance
from easel.metrics.intervals import Estimate, wilson
from easel.metrics.kernel import kernel_distance
from easel.metrics.manifold import nearest
from easel.models.diffusion.settings import Defaults
from easel.pocket.world import words
from easel.provenance import read_provenance, with_places
from easel.recipes import Recipe, read_yaml, recipe_from
from easel.recipes.ask import Ask
from easel.recipes.caption import Caption
from easel.recipes.generate import Generate
from easel.recipes.score import ScorePrompt, ScoreSets, ScoreStyles
from easel.recipes.stylize import Stylize
from easel.result import Result
from easel.result import Score as Number
from easel.workspace import Step, Workspace
from tests import fakes
from tests.conftest import of_few_cells

ROOT = Path(__file__).parent.parent
POCKET = ROOT / "easel" / "pocket" / "weights" / "diffusion"
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml") if "\nkind:" in path.read_text())


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> fakes.Family:
    made, real = fakes.Family(), models.load

    def load(name: str, role: Any, *args: Any, **more: Any) -> Any:
        kept = role in {"generator", "style"}
        return real(name, role, *args, **more) if kept else made.load(name, role, *args, **more)

    monkeypatch.setattr("easel.models.load", load)
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
    return made


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is kept outside the test's folder."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path / "assets" / "easel"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos, the first two of which the judge takes for a Van Gogh as they are, and a sub-folder."""
    place = tmp_path / "photos"
    (place / "deeper").mkdir(parents=True)
    for index, colour in enumerate(["blue", "blue", "wheat", "wheat"]):
        Image.new("RGB", (60 + index, 40), colour).save(place / f"{index}.png")
    Image.new("RGB", (60, 40), "wheat").save(place / "deeper" / "4.png")
    return place


def value(result: Result, name: str, of: str) -> tuple[Any, ...]:
    """One score's numbers."""
    (score,) = [score for score in result.scores if (score.name, score.of) == (name, of)]
    return score.value, score.low, score.high, score.n


def run(recipe: Recipe, out: Path, report: Any = None) -> Result:
    return jobs.run(recipe, Workspace(out, "cpu", "float32", report))


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def stop_at(phase: str, done: int) -> Any:
    """A report that cancels once `done` of `phase` are reached."""

    def report(step: Step) -> None:
        if step.phase == phase and step.done >= done:
            raise Cancelled("stopped")

    return report


# Tables


def test_built_in_styles_say_what_the_world_says() -> None:
    table = styles.table()
    for name, phrase in words.STYLE_PHRASES.items():
        if name != "plain":
            assert table[name].prompt == f"{{caption}} {phrase}"
            assert table[name].question == words.STYLE_QUESTIONS[name]
    assert set(table) - set(words.STYLE_PHRASES) == {"disneyland", "joy", "sadness", "panda-mask"}
    assert table["disneyland"].prompt_for("a cat.") == "a cat in front of a Disneyland castle"
    assert table["panda-mask"].question == "is there a panda mask?"


def test_a_persons_styles_add_and_change(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        '- name: noir\n  prompt: "{caption}, film noir"\n  question: is it dark?\n- name: monet\n  title: Claude\n'
    )
    noir, monet = styles.chosen(["noir", "monet"], str(path))
    assert (noir.label, noir.negative_prompt) == ("noir", "")
    assert (monet.label, monet.prompt) == ("Claude", "{caption} in the style of Monet")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- name: a\n  prompt: no place\n  question: q?\n", r"mine\.yaml: line 2: prompt needs \{caption\}"),
        ("- name: a\n  prompt: '{caption}'\n", r"mine\.yaml: line 1: question is missing"),
        ("- name: monet\n  qestion: why?\n", r"mine\.yaml: line 2: qestion .*question"),
        ("- name: monet\n- name: monet\n", r"mine\.yaml: line 2: the name 'monet' stands twice"),
        ("- name: a/b\n  prompt: '{caption}'\n  question: q?\n", r"line 1: name must be made of letters"),
        ("- name: monet\n  question: false\n", r"line 2: question is False"),
        ("- name: monet\n  prompt: [\n", r"mine\.yaml: line \d+ is not YAML"),
        ("name: monet\n", r"mine\.yaml: wanted a list"),
        ("- monet\n", r"mine\.yaml: line 1: wanted 'name: ...'"),
        ("", r"mine\.yaml: wanted a list"),
    ],
)
def test_mistakes_in_a_styles_file_are_told_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(EaselError, match=said):
        styles.table(str(path))


def test_unknown_and_repeated_styles() -> None:
    with pytest.raises(EaselError, match="no style called 'vangogh': use one of van-gogh, "):
        styles.chosen(["vangogh"])
    with pytest.raises(EaselError, match="'joy' stands twice"):
        styles.chosen(["joy", "joy"])


def test_tags_from_files(tmp_path: Path) -> None:
    lines = tmp_path / "tags.txt"
    lines.write_text("# remark\nred\n\n blue \nred\n")
    assert tags.read_tags(str(lines)) == {"tags": ("red", "blue")}
    assert list(tags.read_tags("builtin")) == ["subject", "medium", "artist", "light", "mood"]
    listed = tmp_path / "tags.yaml"
    listed.write_text("[red, blue]")
    assert tags.read_tags(str(listed)) == {"tags": ("red", "blue")}
    listed.write_text("mood: calm")
    with pytest.raises(EaselError, match="mood: wanted a list"):
        tags.read_tags(str(listed))
    with pytest.raises(EaselError, match=r"there is no file .*one tag a line"):
        tags.read_tags(str(tmp_path / "none.txt"))


def test_an_interrogation_reads_as_expected() -> None:
    found = [
        tags.Tag("subject", "a cat", 0.9),
        tags.Tag("medium", "an oil painting", 0.8),
        tags.Tag("artist", "in the style of Monet", 0.7),
        tags.Tag("light", "at night", 0.3),
        tags.Tag("light", "at sunset", 0.6),
    ]
    assert tags.interrogated("a cat", found) == "a cat, an oil painting in the style of Monet, at sunset"


def test_tags_have_limits(tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text("\n".join(f"tag {number}" for number in range(5001)))
    with pytest.raises(EaselError, match="has 5,001 tags: from 1 to 5,000 are ranked"):
        tags.read_tags(str(many))
    many.write_text("short\n" + "x" * 501)
    with pytest.raises(EaselError, match="has 501 letters, at most 500 are read"):
        tags.read_tags(str(many))


def test_a_row_that_lacks_what_its_job_needs_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    whole = {"text": "x", "captions": ["x"], "confidence": 0.9, "guess": False, "tags_guess": False, "instead": ""}
    rows: list[dict[str, Any]] = [
        {"key": "a", "tags": [["mood", "calm", 0.5]], **whole},
        {"key": "b", "tags": [["mood", "calm"]], **whole},
    ]
    journal.Journal(path).append(rows)
    assert list(journal.Journal(path).rows) == ["a", "b"]
    assert list(journal.Journal(path, caption.is_row).rows) == ["a"]


def test_a_journal_survives_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    journal.Journal(path).append([{"key": "a", "n": 1}, {"key": "b", "n": 2}])
    path.write_bytes(path.read_bytes() + b'{"key": "c", "n"')
    again = journal.Journal(path)
    assert list(again.rows) == ["a", "b"]
    again.append([{"key": "c", "n": 3}])
    assert [row["n"] for row in journal.Journal(path).rows.values()] == [1, 2, 3]


@pytest.mark.parametrize("line", ["no json", "null", "3", '{"key": 3}', "[" * 20_000, '{"n": 1}', "\xff"])
def test_a_journal_goes_on_from_the_line_before_a_damaged_one(tmp_path: Path, line: str) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_bytes(b'{"key": "a"}\n' + line.encode("latin-1") + b'\n{"key": "b"}\n')
    found = journal.Journal(path)
    assert list(found.rows) == ["a"]
    assert found.notes == ["progress.jsonl is damaged at line 2: what it told from there is done again"]
    assert path.read_bytes() == b'{"key": "a"}\n'
    found.append([{"key": "c"}])
    assert list(journal.Journal(path).rows) == ["a", "c"]


def test_photos_are_named_from_the_folder_that_holds_them_all(folder: Path, tmp_path: Path) -> None:
    assert list(gather([str(folder)], tmp_path)) == ["0.png", "1.png", "2.png", "3.png"]
    assert list(gather([str(folder / "1.png"), str(folder / "deeper")], tmp_path)) == ["1.png", "deeper/4.png"]
    Image.new("RGB", (60, 40)).save(folder / "sheet.png")
    assert "sheet.png" in gather([str(folder)], tmp_path)
    assert "sheet.png" not in gather([str(folder)], folder)
    with pytest.raises(EaselError, match="there is no photo or folder nowhere"):
        gather(["nowhere"], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EaselError, match="no pictures in"):
        gather([str(tmp_path / "empty")], tmp_path)


def test_file_names() -> None:
    assert file_name(0, 4, "A red bird, on Crete!") == "01-a-red-bird-on-crete.png"
    assert file_name(99, 1000, "../../etc") == "0100-etc.png"
    assert file_name(0, 1, "***") == "01-picture.png"


def test_a_model_is_called_by_its_name_not_by_its_place(tmp_path: Path) -> None:
    assert model_label("pocket") == "pocket"
    assert model_label("openai/clip-vit-base-patch32") == "openai/clip-vit-base-patch32"
    assert model_label(str(tmp_path)) == tmp_path.name


@given(st.text(max_size=300), st.integers(0, 9999))
def test_any_prompt_gives_a_file_name(text: str, index: int) -> None:
    name = file_name(index, 10_000, text)
    assert "/" not in name
    assert len(name.encode()) < 255
    assert name == Path(name).name


# caption and ask


def test_caption_one_photo(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    result = run(Caption(photos=(str(photo),)), tmp_path / "out")
    assert result.texts == {"photo.jpg": "a picture of 96 by 64"}
    assert (tmp_path / "out" / "sheet.png").exists()
    assert family.loaded == [("pocket", "caption")]
    assert Result.read(tmp_path / "out").texts == result.texts


def test_caption_a_folder_as_an_imagefolder(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    out = tmp_path / "out"
    result = run(Caption(photos=(str(folder),), batch_size=3), out)
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert rows == [
        {"file_name": f"{n}.png", "text": f"a picture of {60 + n} by 40", "confidence": 0.9} for n in range(4)
    ]
    assert result.notes[0].startswith("1 of 5 pictures were skipped: ")
    assert "broken.jpg" in result.notes[0]
    assert sorted(set(folder.rglob("*")) - {folder / "broken.jpg"}) == before


def test_caption_goes_on_where_it_was_stopped(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "out", Caption(photos=(str(folder),), batch_size=2)
    with pytest.raises(Cancelled):
        run(recipe, out, stop_at("captioning", 2))
    assert len((out / "metadata.jsonl").read_text().splitlines()) == 2
    assert not (out / "result.json").exists()
    assert family.captioner.seen == 2
    whole = run(Caption(photos=(f"{folder}/",), batch_size=1), out)
    assert len(whole.texts) == 4
    assert family.captioner.seen == 4
    run(recipe, out)
    assert family.captioner.seen == 4
    with pytest.raises(EaselError, match=r"other settings \(count was 1, is 2\)"):
        run(Caption(photos=(str(folder),), count=2), out)
    assert not list(out.glob(".*"))


def test_all_broken_is_an_error(family: fakes.Family, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(EaselError, match=r"a\.jpg is empty"):
        run(Caption(photos=(str(tmp_path / "a.jpg"),)), tmp_path / "out")


def test_someones_own_metadata_stays(family: fakes.Family, folder: Path) -> None:
    (folder / "metadata.jsonl").write_text("mine")
    with pytest.raises(EaselError, match="is not this run's"):
        run(Caption(photos=(str(folder),)), folder)
    assert (folder / "metadata.jsonl").read_text() == "mine"


def test_tags_are_ranked_with_their_probabilities(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_text("red\nblue\n")
    result = run(Caption(photos=(str(folder / "0.png"),), tags=str(tmp_path / "tags.txt"), count=2), tmp_path / "out")
    # A blue picture and 'blue' have cosine 1, 'red' about 0: softmax of (10, 0).
    (best,) = [score for score in result.scores if score.name == "tags: blue"]
    assert best.value == pytest.approx(1 / (1 + 2.718281828**-10), abs=1e-5)
    assert best.judge == "clip:pocket"
    rows = read_csv(tmp_path / "out" / "tags.csv")
    assert [row["tag"] for row in rows] == ["blue", "red"]
    assert result.texts["0.png, caption 2"].startswith("sampled")


def test_interrogate(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    result = run(Caption(photos=(str(folder / "0.png"),), interrogate=True), tmp_path / "out")
    text = result.texts["0.png"]
    assert text.startswith("a picture of 60 by 40, ")
    assert "in the style of Van Gogh" in text
    assert json.loads((tmp_path / "out" / "metadata.jsonl").read_text())["text"] == text


def test_ask(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    result = run(Ask(photo=str(photo), question="is it red?", count=2), tmp_path / "out")
    assert result.texts == {"answer": "no", "answer 2": "yes"}
    assert [(score.name, score.value, score.judge) for score in result.scores] == [
        ("answer 'no'", 0.75, "vqa:pocket"),
        ("answer 'yes'", 0.25, "vqa:pocket"),
        ("answer confidence", 0.75, "vqa:pocket"),
    ]


# generate


def test_generate(family: fakes.Family, tmp_path: Path) -> None:
    recipe = Generate(
        prompt="a red bird", negative_prompt="blur", count=3, seed=7, steps=2, batch_size=2, scheduler="euler-a"
    )
    result = run(recipe, tmp_path / "out")
    assert result.pictures == ("01-a-red-bird.png", "02-a-red-bird.png", "03-a-red-bird.png")
    assert result.files == ("sheet.png",)
    assert [call["seeds"] for call in family.diffusion.calls] == [[7, 8], [9]]
    assert value(result, "CLIP-T", "all pictures")[0] == pytest.approx(1.0)
    assert value(result, "CLIP-T", "all pictures")[3] == 3
    assert value(result, "CLIP-T", "02-a-red-bird.png")[1:] == (None, None, 1)
    found = read_provenance(tmp_path / "out" / "02-a-red-bird.png")
    assert found["parameters"] == (
        "a red bird\nNegative prompt: blur\nSteps: 2, Sampler: Euler a, CFG scale: 7.5, Seed: 8, Size: 64x64, "
        "Model: pocket, RNG: CPU, Version: easel 0.2.0"
    )
    assert found["easel"]["recipe"] == recipe.bound(family="diffusion models").plain() | {
        "seed": 8,
        "count": 1,
        "guidance_scale": 7.5,
    }


def test_a_prompt_set(family: fakes.Family, tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("- name: one\n  prompt: red\n- name: two\n  prompt: blue\n  negative_prompt: rain\n")
    result = run(
        Generate(prompts=str(path), negative_prompt="blur", count=2, seed=1, steps=1, batch_size=4), tmp_path / "out"
    )
    assert result.pictures == ("01-one.png", "02-one.png", "03-two.png", "04-two.png")
    (call,) = family.diffusion.calls
    assert call["seeds"] == [1, 2, 3, 4]
    assert call["negative_prompts"] == ["blur", "blur", "rain", "rain"]
    alone = recipe_from(read_provenance(tmp_path / "out" / "04-two.png")["easel"]["recipe"])
    assert (alone.prompt, alone.prompts, alone.seed) == ("blue", None, 4)  # type: ignore[attr-defined]
    path.write_text("- name: one\n  promt: red\n")
    with pytest.raises(EaselError, match="line 2: promt"):
        run(Generate(prompts=str(path)), tmp_path / "out2")


# stylize


def test_stylize_scores_by_hand(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    recipe = Stylize(photo=str(folder / "3.png"), styles=("van-gogh", "malevich", "banksy"), seed=5, steps=4)
    result = run(recipe, tmp_path / "out")
    assert result.pictures == ("01-van-gogh.png", "02-malevich.png", "03-banksy.png")
    assert result.files == ("sheet.png",)
    assert result.texts["caption"] == "a picture of 63 by 40"
    assert result.texts["01-van-gogh.png"] == "a picture of 63 by 40 in the style of Van Gogh"
    assert "63 x 40, drawn at 80 x 48" in result.texts["photo"]
    assert [call["seeds"] for call in family.diffusion.calls] == [[5], [6], [7]]
    assert all(call["images"][0].size == (80, 48) for call in family.diffusion.calls)
    numbers = {score.name: score.value for score in result.scores if score.of == "01-van-gogh.png"}
    assert numbers["style"] == 0.9
    assert numbers["style on the photo"] == 0.2
    assert numbers["CLIP-T"] == pytest.approx(1.0)
    assert numbers["perceptual distance"] == 0.5
    assert "CLIP-I" not in numbers  # pocket's CLIP cannot find a photo again
    assert any(note.startswith("CLIP-I is left out: clip:pocket finds the photo of a") for note in result.notes)
    judges = {score.name: score.judge for score in result.scores if score.of == "01-van-gogh.png"}
    assert set(judges.values()) == {"vqa:pocket", "clip:pocket", "perceptual:pocket"}
    # Two of three styles are recognised, none on the photo; one photo says nothing of others.
    of = "all 3 pictures of one photo"
    assert value(result, "style recognised", of) == (pytest.approx(2 / 3), None, None, 1)
    assert value(result, "style success", of) == (pytest.approx(2 / 3), None, None, 1)
    assert value(result, "perceptual distance", of)[1:] == (None, None, 1)


def test_a_stylized_picture_makes_itself_again(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    run(
        Stylize(photo=str(photo), styles=("van-gogh", "malevich"), count=2, seed=5, steps=2, strength=0.5),
        tmp_path / "out",
    )
    path = tmp_path / "out" / "04-malevich.png"
    found = read_provenance(path)
    recipe = found["easel"]["recipe"]
    assert (recipe["seed"], recipe["count"], recipe["styles"], recipe["caption"]) == (
        8,
        1,
        ["malevich"],
        "a picture of 96 by 64",
    )
    assert "Denoising strength: 0.5" in found["parameters"]
    placed = with_places(recipe, read_yaml(tmp_path / "out" / "recipe.yaml").plain())
    again = runners.run(recipe_from(placed), tmp_path / "again")
    assert ImageChops.difference(open_picture(path), again.images[0]).getbbox() is None


def test_each_style_is_drawn_at_the_strength_the_model_needs_for_it(
    family: fakes.Family, photo: Path, tmp_path: Path
) -> None:
    for strength, wanted in ((None, [0.6, 0.8]), (0.4, [0.4, 0.4])):
        family.diffusion.calls.clear()
        recipe = Stylize(photo=str(photo), styles=("van-gogh", "malevich"), steps=3, strength=strength)
        result = run(recipe, tmp_path / str(strength))
        assert [call["strength"] for call in family.diffusion.calls] == wanted
        found = [read_provenance(tmp_path / str(strength) / file)["easel"] for file in result.pictures[:2]]
        assert [one["recipe"]["strength"] for one in found] == wanted


def test_a_picture_of_two_passes_says_so_in_the_words_of_other_tools(family: fakes.Family, tmp_path: Path) -> None:
    family.diffusion.defaults = Defaults(width=64, height=64, hires_strength=0.3)
    both = "Size: 88x48, Model: pocket, Denoising strength: 0.3, RNG: CPU, Hires resize: 192x104"
    for width, height, wanted in ((192, 104, both), (72, 64, "")):
        result = run(Generate(prompt="a cat", steps=4, width=width, height=height), tmp_path / str(width))
        found = read_provenance(tmp_path / str(width) / result.pictures[0])["parameters"]
        assert wanted in found
        assert ("Hires" in found) == bool(wanted)


def test_describe_draws_from_words_alone(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    recipe = Stylize(photo=str(photo), styles=("monet",), method="describe", caption="my cat", steps=1, width=64)
    result = run(recipe, tmp_path / "out")
    (call,) = family.diffusion.calls
    assert call["images"] is None
    assert call["texts"] == ["my cat in the style of Monet"]
    assert (call["settings"].width, call["settings"].height) == (64, 56)
    assert ("pocket", "caption") not in family.loaded
    assert "Denoising" not in read_provenance(tmp_path / "out" / result.pictures[0])["parameters"]


def test_the_captions_own_manner_is_not_asked_for(
    family: fakes.Family, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Captioner, "caption", lambda self, images, count=1: [["a cat in the style of Monet"]])
    result = run(Stylize(photo=str(photo), styles=("malevich",)), tmp_path)
    assert result.texts["caption"] == "a cat"
    assert "a cat in the style of Malevich" in result.texts.values()


def test_several_pictures_a_style_have_intervals(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    result = run(Stylize(photo=str(photo), styles=("van-gogh", "banksy"), count=3, steps=1), tmp_path / "out")
    assert value(result, "style", "van-gogh (3 pictures of one photo)") == (
        pytest.approx(0.9),
        pytest.approx(0.9),
        pytest.approx(0.9),
        3,
    )
    assert value(result, "style", "all 6 pictures of one photo") == (pytest.approx(0.55), None, None, 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"styles": ("van-gog",)}, "no style called 'van-gog': use one of van-gogh"),
        ({"photo": "nowhere.jpg"}, "there is no file nowhere.jpg"),
        ({"styles_file": "none.yaml"}, "there is no file none.yaml"),
    ],
)
def test_mistakes_are_told_before_any_model_is_loaded(
    family: fakes.Family, photo: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(EaselError, match=said):
        run(Stylize(**{"photo": str(photo), **settings}), tmp_path / "out")
    assert family.loaded == []


# score


def test_score_styles_by_hand(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(ScoreStyles(folder=str(folder), styles=("van-gogh", "banksy"), steps=2, seed=3), out)
    # Every Van Gogh is recognised, but two of the four plain photos pass for one; Banksy never is.
    assert value(result, "style recognised", "van-gogh") == (1.0, pytest.approx(wilson(4, 4)[0]), 1.0, 4)
    assert value(result, "style recognised on the photo", "van-gogh")[0] == 0.5
    assert value(result, "style success", "van-gogh")[0] == 0.5
    assert value(result, "style recognised", "banksy")[0] == 0.0
    assert value(result, "style success", "all styles")[0] == pytest.approx(0.25)
    assert value(result, "style success", "all styles")[3] == 4
    assert value(result, "CLIP-T", "van-gogh")[0] == pytest.approx(1.0)
    rows = read_csv(out / "table.csv")
    assert [(row["photo"], row["style"], row["yes"], row["yes on the photo"]) for row in rows[:3]] == [
        ("0.png", "van-gogh", "1", "1"),
        ("0.png", "banksy", "0", "0"),
        ("1.png", "van-gogh", "1", "1"),
    ]
    assert [row["seed"] for row in rows] == [str(seed) for seed in range(3, 11)]
    assert open_picture(out / "chart.png").width > 300
    assert result.files == ("table.csv", "chart.png", "sheet.png")
    assert "pictures/0.png/01-van-gogh.png" in result.pictures
    alone = read_provenance(out / "pictures" / "1.png" / "01-van-gogh.png")["easel"]["recipe"]
    assert (alone["kind"], alone["seed"], alone["photo"]) == ("stylize", 5, "1.png")


def test_the_axis_of_a_chart_reaches_to_the_lowest_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    def keep(figure: Any) -> bytes:
        drawn.append(figure.axes[0])
        return b""

    monkeypatch.setattr(charts, "png", keep)
    bars = [
        charts.Bars("redraw", [Estimate(0.1, -0.3, 0.4, 12), Estimate(0.5, 0.2, 0.8, 12)]),
        charts.Bars("describe", [Estimate(1.0, 0.7, 1.0, 12), Estimate(0.9, 0.6, 1.0, 12)]),
        charts.Bars("neural", [None, Estimate(0.2, None, None, 1)]),
    ]
    charts.bar_chart(["a", "b"], bars, "title", "difference")
    charts.bar_chart(["a", "b"], bars[1:], "title", "rate of yes")
    below, plain = drawn
    assert (below.get_ylim()[0], plain.get_ylim()[0]) == (pytest.approx(-0.32), 0)
    assert below.get_ylabel() == "difference, with 95 % interval"
    assert len({one.patches[0].get_facecolor() for one in below.containers if hasattr(one, "patches")}) == 3
    assert len(below.patches) == 5


def test_the_study_asks_neural_for_styles_with_a_picture() -> None:
    assert study.able("neural", study.ARTISTS) == ("van-gogh", "malevich", "delaunay")
    assert study.able("redraw", study.ARTISTS) == study.ARTISTS
    names = [(name, style) for style in ("van-gogh", "banksy") for name in study.NAMES]
    whole = [Number(name=name, value=0.5, low=0.4, high=0.6, n=9, judge="me", of=style) for name, style in names]
    results = {
        "redraw": whole,
        "neural": whole[: len(study.NAMES)],
    }
    rows = study.table(results, ("van-gogh", "banksy")).splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| van-gogh", "redraw"],
        ["| van-gogh", "neural"],
        ["| banksy", "redraw"],
    ]
    redraw, neural = study.successes(results, ("van-gogh", "banksy"))
    assert redraw.estimates == [Estimate(0.5, 0.4, 0.6, 9)] * 2
    assert neural.estimates == [Estimate(0.5, 0.4, 0.6, 9), None]


def test_the_study_tells_scenes_from_photos(tmp_path: Path) -> None:
    lines = ["photo,style,yes", "scene-1.png,malevich,0.9", "scene-2.png,malevich,0.2", "a.jpg,malevich,0.6"]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    (row,) = study.halves({"redraw": [tmp_path]}, ("malevich", "banksy")).splitlines()[2:]
    assert row.startswith("| malevich | redraw | 0.50 (0.09 to 0.91) | 2 | 1.00 (0.21 to 1.00) | 1 |")


def test_score_styles_goes_on(family: fakes.Family, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common: dict[str, Any] = {"folder": str(folder), "styles": ("van-gogh", "malevich"), "steps": 2}
    whole = run(ScoreStyles(**common, seed=3), tmp_path / "whole")
    family.diffusion.calls.clear()
    with pytest.raises(Cancelled):
        run(ScoreStyles(**common, seed=3), out, stop_at("drawing and judging", 10))
    assert not (out / "result.json").exists()
    (folder / "broken.png").write_bytes(b"nothing")
    second = run(ScoreStyles(**common), out)
    drawn = [seed for call in family.diffusion.calls for seed in call["seeds"]]
    assert sorted(set(drawn)) == list(range(3, 11))
    assert len(drawn) < 16
    assert second.scores == whole.scores
    assert "1 of 5 pictures" in second.notes[0]
    with pytest.raises(EaselError, match="seed was 3, is 4"):
        run(ScoreStyles(**common, seed=4), out)
    with pytest.raises(EaselError, match="steps was 2, is 3"):
        run(ScoreStyles(**{**common, "steps": 3}), out)


def test_several_pictures_of_a_photo_count_as_one() -> None:
    after, before, gain = rates([[(0.9, 0.1), (0.1, 0.1)], [(0.9, 0.8), (0.9, 0.8)]])
    assert (after.value, after.n) == (0.75, 2)
    assert before.value == 0.5
    assert gain.value == 0.25
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < 0
    assert gain.high > 0.5
    assert rates([[(0.9, 0.1), (0.1, 0.1)]])[0] == (0.5, None, None, 1)
    never, _, _ = rates([[(0.1, 0.1), (0.1, 0.1)]] * 4)
    assert (never.low, never.high) == pytest.approx(wilson(0, 4))


def test_a_judge_is_asked_to_find_the_photos_of_the_folder(
    family: fakes.Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake's CLIP sees the colour in the middle: with the photo's own it finds the photo, else never."""
    place = tmp_path / "photos"
    place.mkdir()
    for index in range(12):
        Image.new("RGB", (48, 48), (20 * index, 250 - 20 * index, 40)).save(place / f"{index:02}.png")
    recipe = ScoreStyles(folder=str(place), styles=("van-gogh",), steps=1, seed=3)
    blind = run(recipe, tmp_path / "blind")
    assert "CLIP-I" not in {score.name for score in blind.scores}
    (note,) = [note for note in blind.notes if note.startswith("CLIP-I")]
    assert note.startswith("CLIP-I is left out: clip:pocket finds the photo of a restyled picture among 12 in 8%")
    with monkeypatch.context() as patched:
        patched.setattr(fakes.Diffusion, "generate", _keeping(fakes.Diffusion.generate))
        seeing = run(recipe, tmp_path / "seeing")
    assert value(seeing, "CLIP-I", "van-gogh")[0] == pytest.approx(1.0)
    (note,) = [note for note in seeing.notes if note.startswith("CLIP-I")]
    assert note.startswith("CLIP-I: clip:pocket finds the photo of a restyled picture among 12 in 100%")


def _keeping(generate: Any) -> Any:
    """Draws the photo itself."""

    def kept(self: Any, requests: Any, batch_size: int | None = None, report: Any = None) -> Any:
        for request, drawn in zip(requests, generate(self, requests, batch_size, report), strict=True):
            yield replace(drawn, image=request.image)

    return kept


def test_the_fitness_of_a_judge_is_kept_beside_its_weights(tmp_path: Path) -> None:
    pocket = Fitness.of("pocket")
    assert pocket.found is not None
    assert pocket.found.n == 65
    assert not pocket.is_fit
    unknown = Fitness("base")
    assert unknown.is_fit
    assert "was not measured" in unknown.note
    assert "CLIP-I 0.70" in Verdict(0.9, 0.1, 0.5, 0.7, 0.2).lines(unknown)[1]
    assert "CLIP-I" not in Verdict(0.9, 0.1, 0.5, 0.7, 0.2).lines(pocket)[1]


def test_score_prompt_by_hand(family: fakes.Family, tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    for name in ("red", "blue"):
        Image.new("RGB", (40, 40), name).save(place / f"{name}.png")
    rows = [{"file_name": "red.png", "text": "red"}, {"file_name": "blue.png", "text": "blue"}]
    (place / "metadata.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"file_name": "no.png", "text": "x"}])
    )
    result = run(ScorePrompt(folder=str(place)), tmp_path / "out")
    assert value(result, "CLIP-T", "2 pictures")[0] == pytest.approx(1.0)
    assert value(result, "CLIP-T beyond a wrong text", "2 pictures")[0] > 0.3
    assert "1 of 3 pictures were skipped" in result.notes[0]
    table = read_csv(tmp_path / "out" / "table.csv")
    assert [row["file_name"] for row in table] == ["red.png", "blue.png"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no metadata.jsonl: `easel caption"),
        ("", "metadata.jsonl is empty"),
        ("{", "line 1 is not JSON"),
        ('{"text": "b"}\n', "line 1: 'file_name' is missing"),
        (
            '{"file_name": "a", "text": "b"}\n{"file_name": "a", "text": "b"}\n',
            "1 of 1 pictures were skipped: a is not",
        ),
    ],
)
def test_score_prompt_mistakes(family: fakes.Family, tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(EaselError, match=said):
        run(ScorePrompt(folder=str(tmp_path)), tmp_path / "out")
    assert family.loaded == []


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """Real pictures of many colours, and made ones of the same colours but redder."""
    noise = np.random.default_rng(0).integers(0, 120, (2, 12, 3))
    places = tmp_path / "real", tmp_path / "made"
    for place, colours, more in zip(places, noise, (0, 130), strict=True):
        place.mkdir()
        for index, (red, green, blue) in enumerate(colours):
            colour = (int(red) + more, int(green), int(blue))
            Image.new("RGB", (64 + index % 3, 64), colour).save(place / f"{index:02}.png")
    return places


def of_sets(sets: tuple[Path, Path], **more: Any) -> ScoreSets:
    return ScoreSets(folder=str(sets[0]), made=str(sets[1]), seed=1, **more)


def test_score_sets_by_hand(family: fakes.Family, sets: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(of_sets(sets), tmp_path / "out")
    of = "12 PNG, most 64x64 against 12 PNG, most 64x64"
    fake = fakes.SetFeatureModel()
    real, made = (fake.features([open_picture(path) for path in sorted(place.glob("*.png"))]) for place in sets)
    distance, kernel = "Frechet distance (clip:pocket)", "kernel distance (clip:pocket)"
    assert value(result, distance, of)[0] == pytest.approx(frechet_distance(real, made), rel=1e-5)
    assert value(result, distance, of)[1] is not None
    assert value(result, kernel, of) == pytest.approx(tuple(kernel_distance(real, made)), rel=1e-4)
    assert value(result, "Inception Score", of)[0] == pytest.approx(1)
    assert {score.judge for score in result.scores} == {"features:pocket"}
    assert [score.name for score in result.scores] == [
        distance, f"{distance} corrected", kernel, "precision", "recall", "Inception Score"
    ]  # fmt: skip
    told = frechet(real, made, 1)
    assert told.corrected is not None
    assert value(result, f"{distance} corrected", of)[0] == pytest.approx(told.corrected.value, rel=1e-4)
    assert [note for note in result.notes if note.startswith(f"expected bias of {distance}")]
    assert [note for note in result.notes if "the papers' are of VGG-16's" in note]
    assert [note for note in result.notes if "Inception Score of 12 pictures comes out low" in note]
    assert result.texts == {"real": "12 PNG, most 64x64", "made": "12 PNG, most 64x64", "resize": "none"}
    assert [note for note in result.notes if note.startswith("12 pictures are few: the Fréchet distance grows")]
    rows = read_csv(tmp_path / "out" / "table.csv")
    places, far = nearest(made, real)
    assert [row["nearest real"] for row in rows] == [f"{place:02}.png" for place in places]
    assert [float(row["distance"]) for row in rows] == pytest.approx(list(far), abs=1e-5)


def test_a_set_is_looked_at_once(
    family: fakes.Family, sets: tuple[Path, Path], own_cache: Path, tmp_path: Path
) -> None:
    first = run(of_sets(sets), tmp_path / "out")
    assert family.set_features.seen == 24
    moved = sets[0].rename(tmp_path / "elsewhere")
    again = run(of_sets((moved, sets[1])), tmp_path / "again")
    assert (family.set_features.seen, again.scores) == (24, first.scores)
    run(of_sets((moved, moved)), tmp_path / "same")
    assert family.set_features.seen == 24
    (moved / "00.png").write_bytes((sets[1] / "00.png").read_bytes())
    run(of_sets((moved, sets[1])), tmp_path / "changed")
    assert family.set_features.seen == 36
    family.set_features.fingerprint = "another judge"  # type: ignore[misc]
    run(of_sets((moved, sets[1])), tmp_path / "other")
    assert family.set_features.seen == 60
    for kept in own_cache.rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert run(of_sets((moved, sets[1])), tmp_path / "repaired").scores[0].n == 12
    assert family.set_features.seen == 84


def test_score_sets_says_what_to_mind(family: fakes.Family, sets: tuple[Path, Path], tmp_path: Path) -> None:
    same = run(of_sets((sets[0], sets[0])), tmp_path / "same")
    assert same.scores[0].value == pytest.approx(0, abs=1e-6)
    assert any(note.startswith("both sets are the same pictures") for note in same.notes)
    turned = tmp_path / "turned"
    turned.mkdir()
    for index, path in enumerate(sorted(sets[0].glob("*.png"))):
        (turned / f"{99 - index}.png").write_bytes(path.read_bytes())
    again = run(of_sets((sets[0], turned)), tmp_path / "again")
    assert any(note.startswith("both sets are the same pictures") for note in again.notes)
    for path in sorted(sets[1].glob("*.png")):
        Image.open(path).resize((32, 32)).save(path.with_suffix(".jpg"))
        path.unlink()
    (sets[1] / "04.jpg").write_bytes(b"")
    for name in ("05.jpg", "06.jpg", "07.jpg", "08.jpg", "09.jpg", "10.jpg", "11.jpg", "00.jpg", "01.jpg"):
        (sets[1] / name).unlink()
    for out in ("first", "kept"):
        notes = run(of_sets(sets), tmp_path / out).notes
        assert any(note.startswith("1 of 3 pictures were skipped") and "04.jpg is empty" in note for note in notes)
        assert any(note.startswith("the real pictures are PNG and the made ones JPEG") for note in notes)
        assert any("are most 64x64 and the made ones 32x32" in note for note in notes)
        assert any("--resolution 32 cuts both" in note for note in notes)
        assert "the Fréchet distance has no interval: this judge needs more than 4 pictures in both sets" in notes
        assert "precision and recall need more than 3 pictures in both sets" in notes


def test_the_sheet_of_a_run_is_none_of_its_set(family: fakes.Family, sets: tuple[Path, Path], tmp_path: Path) -> None:
    Image.new("RGB", (640, 640)).save(sets[1] / "sheet.png")
    assert run(of_sets(sets), tmp_path / "before").texts["made"].startswith("13 PNG")
    (sets[1] / "result.json").write_text("{}")
    assert run(of_sets(sets), tmp_path / "after").texts["made"].startswith("12 PNG")


@pytest.mark.parametrize("layout", ["classes", "metadata"])
def test_score_sets_reads_what_training_reads(
    family: fakes.Family, sets: tuple[Path, Path], tmp_path: Path, layout: str
) -> None:
    flat = run(of_sets(sets), tmp_path / "flat")
    place = tmp_path / layout
    for index, path in enumerate(sorted(sets[0].glob("*.png"))):
        below = place / ("images" if layout == "metadata" else f"class {index // 6}")
        below.mkdir(parents=True, exist_ok=True)
        path.rename(below / path.name)
    if layout == "metadata":
        rows = [{"file_name": f"images/{path.name}", "text": ""} for path in sorted(place.rglob("*.png"))]
        rows.append({"file_name": "images/gone.png", "text": ""})
        (place / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        Image.new("RGB", (640, 640)).save(place / "sheet.png")
    result = run(of_sets((place, sets[1])), tmp_path / "out")
    assert result.scores == flat.scores
    assert family.set_features.seen == 24
    gone = [note for note in result.notes if note.endswith("are not there")]
    assert len(gone) == (layout == "metadata")
    nearest_real = read_csv(tmp_path / "out" / "table.csv")[0]["nearest real"]
    assert nearest_real.startswith("images/" if layout == "metadata" else "class ")


def test_one_part_of_the_real_set_is_compared(family: fakes.Family, sets: tuple[Path, Path], tmp_path: Path) -> None:
    """What lies in train/ says nothing about a model that learned from it: test/ is asked for, and it alone is read."""
    alone, place = run(of_sets(sets), tmp_path / "alone"), tmp_path / "both"
    shutil.copytree(sets[0], place / "test")
    shutil.copytree(sets[1], place / "train")
    part = run(of_sets((place, sets[1]), split="test", layout="flat"), tmp_path / "part")
    assert part.scores == alone.scores
    assert run(of_sets((place, sets[1])), tmp_path / "whole").texts["real"].startswith("24 PNG")
    with pytest.raises(EaselError, match=r"is not laid out as 'cub'"):
        run(of_sets((place, sets[1]), layout="cub"), tmp_path / "wrong")


def test_real_pictures_are_cut_as_for_training(family: fakes.Family, tmp_path: Path) -> None:
    """Wide photos whose middle squares are the made pictures: nothing is left between the two sets."""
    real, made = tmp_path / "real", tmp_path / "made"
    colours = np.random.default_rng(0).integers(0, 256, (12, 3))
    for place in (real, made):
        place.mkdir()
    for index, colour in enumerate(colours):
        small = Image.new("RGB", (32, 32), tuple(map(int, colour)))
        small.save(made / f"{index}.png")
        wide = Image.new("RGB", (96, 64), "white")
        wide.paste(small.resize((64, 64)), (16, 0))
        wide.save(real / f"{index}.png")
    whole, cut = (run(of_sets((real, made), resolution=side), tmp_path / f"{side}") for side in (None, 32))
    assert whole.scores[0].value > 1
    assert cut.scores[0].value == pytest.approx(0, abs=1e-6)
    assert cut.texts["real"] == cut.texts["made"] == "12 PNG, 32x32"
    assert cut.texts["resize"].startswith("cut to squares of 32 px")
    assert any("--resolution 32 cuts both" in note for note in whole.notes)
    assert not any("resized is measured" in note for note in cut.notes)
    again = run(of_sets((real, made), resolution=32), tmp_path / "again")
    assert (family.set_features.seen, again.scores) == (48, cut.scores)
    boxed = Pictures(str(real), {"0.png": real / "0.png"}, {"0.png": (0, 0, 16, 16)}, 8, 0)
    assert np.all(np.asarray(picture_at(boxed.place("0.png"), boxed.side)) == 255)


def test_score_sets_mistakes(family: fakes.Family, sets: tuple[Path, Path], tmp_path: Path) -> None:
    empty, single = tmp_path / "empty", tmp_path / "single"
    for place in (empty, single):
        place.mkdir()
    with pytest.raises(EaselError, match=r"there are no pictures in .*empty"):
        run(of_sets((sets[0], empty)), tmp_path / "a")
    with pytest.raises(EaselError, match=r"there is no folder .*none"):
        run(of_sets((tmp_path / "none", sets[1])), tmp_path / "b")
    Image.new("RGB", (64, 64)).save(single / "a.png")
    with pytest.raises(EaselError, match="single has one picture: a set needs at least 2"):
        run(of_sets((sets[0], single)), tmp_path / "c")
    (single / "b.png").write_bytes(b"no picture")
    with pytest.raises(EaselError, match=r"one picture that opens \(a.png\): a set needs at least 2"):
        run(of_sets((sets[0], single)), tmp_path / "d")
    (single / "a.png").write_bytes(b"no picture")
    with pytest.raises(EaselError, match=r"a\.png is not a picture that easel reads.*; so are all 2"):
        run(of_sets((sets[0], single)), tmp_path / "e")


def test_a_broken_judge_is_told(
    family: fakes.Family, sets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = family.set_features.features
    monkeypatch.setattr(family.set_features, "features", lambda images: np.log(rows(images) - rows(images)[3]))
    with (
        np.errstate(divide="ignore", invalid="ignore"),
        pytest.raises(EaselError, match=r"fake gave numbers that are not finite for 12 of 12 pictures \(00.png first"),
    ):
        run(of_sets(sets), tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "score-sets", "folder": "a"}, "made is missing: Folder of made pictures"),
        ({"kind": "score-styles", "folder": "a", "split": "test"}, "split is not a setting of score-styles"),
        ({"kind": "score-prompt", "folder": "a", "made": "b"}, "made is not a setting of score-prompt"),
        ({"kind": "score-styles", "folder": "a", "resolution": 64}, "resolution is not a setting of score-styles"),
    ],
)
def test_every_measure_has_its_own_settings(values: dict[str, Any], words: str) -> None:
    with pytest.raises(EaselError, match=words):
        recipe_from(values)


# The way every job is run


def test_a_folder_of_another_kind_is_left_alone(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    run(Ask(photo=str(photo), question="is it red?"), tmp_path / "out")
    with pytest.raises(EaselError, match="holds a run of 'ask'"):
        run(Caption(photos=(str(photo),)), tmp_path / "out")


def test_result_and_recipe_are_kept(family: fakes.Family, photo: Path, tmp_path: Path, capsys: Any) -> None:
    recipe = Stylize(photo=str(photo), steps=1)
    phases = []
    result = runners.run(
        recipe, tmp_path / "out", report=lambda step: phases.append((step.phase, step.done, step.total))
    )
    assert read_yaml(tmp_path / "out" / "recipe.yaml") == recipe
    kept = json.loads((tmp_path / "out" / "result.json").read_text())
    assert set(kept["seconds"]) == {"loading judges", "captioning", "loading the model", "drawing", "judging"}
    assert {"easel", "torch", "device"} <= set(kept["versions"])
    assert ("drawing", 4, 4) in phases
    assert len(result.pictures) == 4
    assert capsys.readouterr() == ("", "")


def test_a_folder_holds_the_pictures_of_its_last_run(family: fakes.Family, photo: Path, tmp_path: Path) -> None:
    run(Stylize(photo=str(photo), steps=2, seed=1), tmp_path / "out")
    run(Stylize(photo=str(photo), steps=2, seed=1, styles=("monet",)), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["01-monet.png", "sheet.png"]


@pytest.mark.parametrize("phase", ["loading judges", "captioning", "loading the model", "drawing", "judging"])
def test_stopping_anywhere_leaves_no_half_file(family: fakes.Family, photo: Path, tmp_path: Path, phase: str) -> None:
    with pytest.raises(Cancelled):
        run(Stylize(photo=str(photo), steps=1), tmp_path / "out", stop_at(phase, 1))
    assert not (tmp_path / "out" / "result.json").exists()
    for path in (tmp_path / "out").iterdir():
        assert path.name == "recipe.yaml" or open_picture(path).size == (80, 56)


def test_there_is_a_story_for_every_kind() -> None:
    for word, kind in KINDS.items():
        job = importlib.import_module(kind.job)
        assert list(inspect.signature(job.run).parameters) == ["recipe", "workspace"], word


# Real classes with random weights


@pytest.fixture(scope="module")
def tiny_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a whole family, as pocket's does, of tiny untrained models."""
    from tests import tiny

    place = tmp_path_factory.mktemp("models") / "tiny"
    tiny.eight_channels(place / "diffusion")
    tiny.blip(place / "caption")
    tiny.blip(place / "ask", "ask")
    tiny.clip(place / "clip")
    tiny.resnet(place / "perceptual")
    return place


def test_a_real_stylize_and_again(tiny_family: Path, photo: Path, tmp_path: Path) -> None:
    name = str(tiny_family)
    styled: dict[str, Any] = {"judge": name, "captioner": name, "model": name, "steps": 2, "strength": 1.0, "seed": 4}
    recipe = Stylize(photo=str(photo), styles=("van-gogh", "banksy"), scheduler="ddim", **styled)
    result = runners.run(recipe, tmp_path / "out", dtype="float32")
    assert {score.judge for score in result.scores} == {"vqa:tiny", "clip:tiny", "perceptual:tiny"}
    assert str(tiny_family) not in (tmp_path / "out" / "result.json").read_text()
    made = result.picture_paths[1]
    inside = read_provenance(made)["easel"]["recipe"]
    assert str(tmp_path) not in str(inside)
    again = runners.run(recipe_from(with_places(inside, recipe.plain())), tmp_path / "again", dtype="float32")
    assert ImageChops.difference(open_picture(made), again.images[0]).getbbox() is None
    assert "Model: tiny, " in read_provenance(made)["parameters"]


def test_a_real_score(tiny_family: Path, folder: Path, tmp_path: Path) -> None:
    name = str(tiny_family)
    recipe = ScoreStyles(
        folder=str(folder),
        judge=name,
        captioner=name,
        model=name,
        steps=2,
        strength=1.0,
        seed=4,
        count=2,
    )
    result = runners.run(recipe, tmp_path / "out", dtype="float32")
    assert len(result.picture_paths) == 4 * 4 * 2
    captioned = runners.run(Caption(photos=(str(folder),), model=name, judge=name, interrogate=True), folder / "run")
    assert len(captioned.texts) == 8


# Examples


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples are written to be run from the project's own folder."""
    monkeypatch.chdir(ROOT)


def test_there_is_an_example_of_every_kind() -> None:
    assert {read_yaml(path).kind for path in EXAMPLES} == KINDS.keys()


TAUGHT = [path for path in EXAMPLES if "kind: personalize\n" in path.read_text()]
"""They teach a real model, as tests/test_personalize.py and tests/test_sweeps.py do on small ones."""
SWEEP = ROOT / "examples" / "sweep-lora-pocket.yaml"


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path not in TAUGHT], ids=lambda path: path.stem)
def test_examples_run(path: Path, family: fakes.Family, at_home: None, tmp_path: Path) -> None:
    result = runners.run(of_few_cells(read_yaml(path)), tmp_path / "out")
    assert "sheet.png" in result.files
    assert all(file.exists() for file in result.paths)


ON_POCKET = [
    path
    for path in EXAMPLES
    if "\nkind: train\n" not in path.read_text() and (path not in TAUGHT or path.stem in {"personalize", SWEEP.stem})
]
"""A training is real above already, and tests/test_train.py has it judged by pocket."""


@pytest.mark.slow
@pytest.mark.skipif(not POCKET.is_dir(), reason="pocket's weights are not in this tree: make pocket")
@pytest.mark.parametrize("path", ON_POCKET, ids=lambda path: path.stem)
def test_examples_run_on_pocket(path: Path, at_home: None, tmp_path: Path) -> None:
    plain = read_yaml(path)
    draws = plain.kind in {"generate", "stylize"}
    small = read_yaml(path, {"steps": 4, "width": 64, "height": 64}) if draws else plain
    if path.stem == "personalize":
        small = read_yaml(path, {"steps": 2, "evaluate_every": 2, "sampling_steps": 2, "count": 1})
    if plain.kind == "compare" and path != SWEEP:
        small = plain.model_copy(update={"base": getattr(plain, "base") | {"steps": 4}})  # noqa: B009 - of this kind alone
    if plain.kind == "score-styles":
        small = read_yaml(path, {"steps": 4})
    if path.stem == "control-pearl-earring" and not (POCKET.parent / "control").is_dir():
        pytest.skip("pocket has no ControlNet in this tree")
    result = runners.run(of_few_cells(small), tmp_path / "out")
    assert all(file.exists() for file in result.paths)
    assert all(score.judge.endswith(":pocket") or score.judge == "pixels" for score in result.scores)
