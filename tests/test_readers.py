"""Readers that know what they do not know: the facts beside their weights, and what is said where they are lost."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from easel import jobs, models
from easel.data.texts import read_texts
from easel.errors import EaselError
from easel.images import open_picture
from easel.models import knowing
from easel.models.captioners import Captioner, Trust
from easel.models.diffusion.settings import defaults
from easel.models.knowing import Depth, Knowing
from easel.pocket.world import Scene, render
from easel.recipes.ask import Ask
from easel.recipes.base import Recipe
from easel.recipes.caption import Caption
from easel.recipes.score import ScoreStyles
from easel.recipes.stylize import Stylize
from easel.result import Result
from easel.workspace import Workspace
from tests import fakes, tiny

WEIGHTS = Path(__file__).parent.parent / "easel" / "pocket" / "weights"
COMMONS = Path(__file__).parent.parent.parent / "shared" / "data" / "photos_commons"
FACTS: dict[str, Any] = {
    "confidence": {"intercept": 2.0, "log_probability": 1.0, "distance": -1.0},
    "guess_below": 0.5,
    "silent_below": 0.1,
    "remembered_within": 0.5,
    "depth_limit": 3.0,
    "instead": "base",
}
LAID = {"mean": np.array([1.0, 0.0]), "whitening": np.diag([1.0, 0.5]), "remembered": np.array([[9.0, 0.0]])}


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> fakes.Family:
    made = fakes.Family()
    monkeypatch.setattr("easel.models.load", made.load)
    return made


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """One picture that the fake captioner knows, one that it half knows, one that it does not."""
    place = tmp_path / "photos"
    place.mkdir()
    for name, colour in (("a", (0, 0, 255)), ("b", fakes.DOUBTFUL), ("c", fakes.STRANGE)):
        Image.new("RGB", (64, 40), colour).save(place / f"{name}.png")
    return place


def run(recipe: Recipe, out: Path) -> Result:
    return jobs.run(recipe, Workspace(out, "cpu", "float32", None))


def folder_of(tmp_path: Path, tensors: dict[str, Any] | None = None, **facts: Any) -> Path:
    """A folder with facts, changed by keyword; None takes one away."""
    kept = {key: value for key, value in (FACTS | facts).items() if value is not None}
    (tmp_path / knowing.FACTS).write_text(json.dumps(kept))
    save_file({key: rows.astype(np.float32) for key, rows in (tensors or LAID).items()}, tmp_path / knowing.DEPTH)
    return tmp_path


# what is known


def test_distances_by_hand() -> None:
    depth = Depth(*LAID.values())
    # (4, 8) less (1, 0), times (1, 0.5): (3, 4). (10.3, 0) is 0.3 from what is remembered, (10.6, 0) too far from it.
    found = depth.distances(np.array([[4.0, 8.0], [10.3, 0.0], [10.6, 0.0]]), 0.5)
    assert found == pytest.approx([5.0, 0.3, 9.6])


def test_confidence_by_hand(tmp_path: Path) -> None:
    known = knowing.read(folder_of(tmp_path))
    assert known.confidence(-1.0, 0.5) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert known.out_of_depth(np.array([[1.0, 0.0], [5.0, 0.0]])) == [False, True]
    assert (known.guess_below, known.silent_below, known.instead) == (0.5, 0.1, "base")


def test_without_facts_it_is_the_tokens_probability(tmp_path: Path) -> None:
    known = knowing.read(tmp_path)
    assert known == Knowing()
    assert known.confidence(math.log(0.25), 99.0) == pytest.approx(0.25)
    assert known.distances(np.ones((2, 3))).tolist() == [0.0, 0.0]
    assert known.out_of_depth(np.ones((2, 3))) == [False, False]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"guess_below": "half"}, r"easel\.json: 'guess_below' must be a number, not 'half'"),
        ({"guess_below": math.nan}, "'guess_below' must be a number, not nan"),
        ({"guess_below": True}, "'guess_below' must be a number, not True"),
        ({"guess_below": 1.5}, "'guess_below' must be from 0 to 1, not 1.5"),
        ({"depth_limit": -1}, "'depth_limit' must be from 0 to inf"),
        ({"silent_below": 0.9}, "'silent_below' is above 'guess_below'"),
        ({"confidence": None}, "'confidence' must give intercept, log_probability, distance"),
        ({"confidence": {"intercept": 1}}, "'confidence' must give"),
        ({"confidence": {**FACTS["confidence"], "distance": math.inf}}, "'distance' must be a number, not inf"),
        ({"instead": 3}, "'instead' must be the name of a model"),
        ({"known_everywhere": "style"}, "'known_everywhere' must be a list of words"),
        ({"guess_belov": 0.5}, "no fact called 'guess_belov'.*guess_below"),
    ],
)
def test_facts_that_cannot_be(tmp_path: Path, facts: dict[str, Any], words: str) -> None:
    with pytest.raises(EaselError, match=words):
        knowing.read(folder_of(tmp_path, **facts))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"mean": LAID["mean"]}, "'whitening' is missing"),
        (LAID | {"mean": np.array([np.nan, 0.0])}, "'mean' is missing or has what is no number"),
        (LAID | {"whitening": np.eye(3)}, "the shapes do not fit a width of 2"),
        (LAID | {"remembered": np.ones((1, 3))}, "the shapes do not fit a width of 2"),
        (LAID | {"remembered": np.ones(2)}, "the shapes do not fit a width of 2"),
    ],
)
def test_depths_that_cannot_be(tmp_path: Path, tensors: dict[str, Any], words: str) -> None:
    with pytest.raises(EaselError, match=words):
        knowing.read(folder_of(tmp_path, tensors))


def test_a_missing_depth_is_named(tmp_path: Path) -> None:
    (folder_of(tmp_path) / knowing.DEPTH).unlink()
    with pytest.raises(EaselError, match=r"depth\.safetensors"):
        knowing.read(tmp_path)


def test_a_captioner_without_facts_is_never_doubted(tmp_path: Path) -> None:
    captioner: Captioner = models.load(str(tiny.blip(tmp_path)), "caption", "cpu")
    (read,) = captioner.read([Image.new("RGB", (40, 40), "red")])
    assert 0 < read.confidence < 1
    assert (read.guess, read.silent, read.text) == (False, False, read.captions[0])
    assert captioner.caption([Image.new("RGB", (40, 40), "red")]) == [read.captions]
    assert captioner.out_of_depth([Image.new("RGB", (40, 40), "red")]) == [False]


def test_facts_of_another_model_are_refused(tmp_path: Path) -> None:
    folder_of(tiny.blip(tmp_path))
    with pytest.raises(EaselError, match="is of another model"):
        models.load(str(tmp_path), "caption", "cpu")


def test_an_answers_confidence_by_hand() -> None:
    assert Trust(0.5, 0.6).confidence(0.9) == pytest.approx(0.45)
    assert [Trust(0.5, 0.6).guess(0.9), Trust(1.0, 0.6).guess(0.9), Trust().guess(0.01)] == [True, False, False]


# what is said


def test_captions_say_what_is_a_guess(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    result = run(Caption(photos=(str(strange),)), tmp_path / "out")
    said = "a picture of 64 by 40"
    assert result.texts == {
        "a.png": said,
        "b.png": f"{said} (pocket's guess)",
        "c.png": "a photo (pocket cannot tell of what)",
    }
    assert [(score.name, score.of, score.value, score.judge) for score in result.scores] == [
        ("caption confidence", "a.png", 0.9, "caption:pocket"),
        ("caption confidence", "b.png", 0.2, "caption:pocket"),
        ("caption confidence", "c.png", 0.02, "caption:pocket"),
    ]
    guess = "pocket's guess: take --model base (`easel models pull base` fetches it)"
    lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    assert lines == [
        {"file_name": "a.png", "text": said, "confidence": 0.9},
        {"file_name": "b.png", "text": said, "confidence": 0.2, "guess": guess},
        {"file_name": "c.png", "text": "a photo", "confidence": 0.02, "guess": guess},
    ]
    (note,) = result.notes
    assert note.startswith("2 of 3 captions are pocket's guess")
    assert "of 1 of these it says only 'a photo'" in note
    assert "--model base (`easel models pull base` fetches it)" in note
    shutil.copy(tmp_path / "out" / "metadata.jsonl", strange)
    assert read_texts(strange).texts == {"a.png": said, "b.png": said, "c.png": "a photo"}


def test_tags_beyond_their_depth_say_so(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    result = run(Caption(photos=(str(strange),), interrogate=True), tmp_path / "out")
    rows = (tmp_path / "out" / "tags.csv").read_text().splitlines()
    assert rows[0].endswith(",guess")
    assert {row[0]: row[-1] for row in rows[1:]} == {"a": "0", "b": "1", "c": "1"}
    assert result.texts["c.png"] == "a photo (pocket cannot tell of what)"
    assert result.texts["c.png, tags"].endswith("(pocket's guess)")
    assert "guess" not in result.texts["a.png, tags"]
    assert any(note.startswith("the tags of 2 of 3 pictures are pocket's guess") for note in result.notes)


def test_an_answer_that_is_a_guess(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    result = run(Ask(photo=str(strange / "c.png"), question="is it red?"), tmp_path / "out")
    assert result.texts == {"answer": "no (pocket's guess)"}
    assert [(score.name, score.value) for score in result.scores] == [
        ("answer 'no'", 0.75),
        ("answer confidence", pytest.approx(0.03)),
    ]
    assert "--model base" in result.notes[0]


def test_a_guess_does_not_drive_a_picture(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    for name in ("b", "c"):
        result = run(Stylize(photo=str(strange / f"{name}.png"), styles=("monet",), steps=2), tmp_path / name)
        assert family.diffusion.calls[-1]["texts"] == ["a photo in the style of Monet"]
        assert result.texts["caption"] == "a photo"
        (note,) = [note for note in result.notes if "does not know what this photo shows" in note]
        assert '--caption "..." or --captioner base' in note
    own = Stylize(photo=str(strange / "c.png"), styles=("monet",), steps=2, caption="my cat")
    result = run(own, tmp_path / "own")
    assert family.diffusion.calls[-1]["texts"] == ["my cat in the style of Monet"]
    assert not [note for note in result.notes if "does not know" in note]


def test_describe_needs_somebody_who_knows(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    recipe = Stylize(photo=str(strange / "c.png"), styles=("monet",), method="describe", steps=2)
    with pytest.raises(EaselError, match="describe draws from the caption alone, and pocket does not know"):
        run(recipe, tmp_path / "out")
    assert not family.diffusion.calls


@pytest.mark.parametrize(("method", "drawn", "words"), [("describe", 1, "2 of 3 pictures were skipped: b.png: pocket")])
def test_score_styles_describes_what_is_known(
    family: fakes.Family, strange: Path, tmp_path: Path, method: Any, drawn: int, words: str
) -> None:
    result = run(ScoreStyles(folder=str(strange), styles=("monet",), method=method, steps=2), tmp_path / "out")
    assert len(result.pictures) == drawn
    assert any(note.startswith(words) for note in result.notes)


def test_score_styles_redraws_what_is_not_known(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    result = run(ScoreStyles(folder=str(strange), styles=("monet",), steps=2), tmp_path / "out")
    assert result.texts == {"a.png": "a picture of 64 by 40", "b.png": "a photo", "c.png": "a photo"}
    assert any(
        note.startswith("2 of 3 photos have the style's words alone as prompt; b.png: ") for note in result.notes
    )


def test_styles_that_a_model_was_not_taught(family: fakes.Family, strange: Path, tmp_path: Path) -> None:
    family.diffusion.defaults = defaults("sd", 64, "ddim", {"untaught_styles": {"joy": "sd-1.5"}}, None)
    photo = str(strange / "a.png")
    result = run(Stylize(photo=photo, styles=("joy", "monet"), steps=2), tmp_path / "out")
    assert "pocket was not taught this on photos: Joy; --model sd-1.5 can" in result.notes
    result = run(Stylize(photo=photo, styles=("monet",), steps=2), tmp_path / "other")
    assert not [note for note in result.notes if "taught" in note]


@pytest.mark.parametrize("value", ['{"joy": 3}', '{"joy": " "}', '["joy"]', "NaN"])
def test_untaught_styles_that_cannot_be(tmp_path: Path, value: str) -> None:
    (tmp_path / "easel.json").write_text(f'{{"untaught_styles": {value}}}')
    with pytest.raises(EaselError, match="untaught_styles"):
        defaults("sd", 64, "ddim", {}, tmp_path)


# pocket


def test_pockets_readers_and_their_size() -> None:
    for name in ("caption", "ask"):
        known = knowing.read(WEIGHTS / name)
        assert known.instead == "base"
        assert 0 < known.guess_below < 1
        assert (WEIGHTS / name / knowing.DEPTH).stat().st_size < 200_000


def test_pocket_keeps_its_captions_of_scenes() -> None:
    """Ten held-out scenes that no training and no calibration saw."""
    captioner: Captioner = models.load("pocket", "caption", "cpu")
    read = captioner.read([Image.fromarray(render(Scene.from_seed(5_900_000 + i), 256)) for i in range(10)])
    assert sum(not one.guess for one in read) >= 9
    assert not any(one.silent for one in read)


def test_pocket_is_humble_about_photos() -> None:
    """Ten of the photos that nothing was trained on, picked by a seed: of none is a caption claimed to be known."""
    files = sorted(COMMONS.glob("*.jpg"))
    if not files:
        pytest.skip("needs the photos of Wikimedia Commons in ../shared/data/photos_commons")
    picked = [files[int(i)] for i in np.random.default_rng(7).permutation(len(files))[:10]]
    captioner: Captioner = models.load("pocket", "caption", "cpu")
    read = captioner.read([open_picture(file) for file in picked])
    assert sum(not one.guess for one in read) <= 1  # at most 1 in 10
    assert all(one.text == "a photo" for one in read if one.silent)


def test_pocket_knows_a_photo_that_it_learned() -> None:
    captioner: Captioner = models.load("pocket", "caption", "cpu")
    photo = open_picture(Path(__file__).parent.parent / "examples" / "photo.jpg")
    whole, half = captioner.read([photo, photo.resize((photo.width // 2, photo.height // 2))])
    assert (whole.text, whole.guess, half.guess) == ("a close-up of a tabby cat's face", False, False)
