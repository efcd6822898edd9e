"""Styles drawn by instruction and by edges, several methods measured side by side, and which one wins."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops
from pydantic import ValidationError

from easel import charts, runners
from easel.errors import EaselError
from easel.jobs.score import style_report
from easel.jobs.score.winners import Drawn, Outcome, outcome, sentence
from easel.jobs.stylize.restyler import Restyler
from easel.jobs.stylize.styles import Style, table
from easel.metrics.intervals import Estimate, grouped_rate_difference_interval, rate_difference_interval
from easel.metrics.pairs import Standing
from easel.models.diffusion import maps
from easel.pocket.world import edits
from easel.pocket.world.words import STYLE_PHRASES
from easel.provenance import read_provenance, with_places
from easel.recipes import recipe_from
from easel.recipes.score import ScoreStyles
from easel.recipes.stylize import Stylize
from easel.workspace import Workspace
from tests import tiny
from tests.conftest import drawn


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family that has pictures from words and by instruction, its judges, a ControlNet, and one of another base."""
    place = tmp_path_factory.mktemp("shelf")
    family = place / "tiny"
    tiny.eight_channels(family / "diffusion")
    tiny.with_channels(family / "diffusion", family / "instruct", "instruct")
    tiny.blip(family / "caption")
    tiny.blip(family / "ask", "ask")
    tiny.clip(family / "clip")
    tiny.resnet(family / "perceptual")
    tiny.controlnet(family / "diffusion", place / "canny")
    tiny.sdxl(place / "xl")
    tiny.controlnet(place / "xl", place / "other-canny")
    return place


def values(shelf: Path, **more: Any) -> dict[str, Any]:
    name = str(shelf / "tiny")
    own = {"judge": name, "captioner": name, "model": name, "steps": 2, "seed": 4, "scheduler": "ddim"}
    return own | {"styles": ("monet", "pencil")} | more


def stylize(shelf: Path, photo: Path, method: str, **more: Any) -> Stylize:
    own = {"photo": str(photo), "caption": "a spot", "method": method}
    return Stylize.model_validate(values(shelf) | own | more)


# Words


def style(prompt: str, instruction: str = "") -> Style:
    return Style(name="mine", prompt=prompt, instruction=instruction, question="is it?")


@pytest.mark.parametrize(
    ("prompt", "instruction", "said"),
    [
        ("{caption} in the style of Van Gogh", "", "make it in the style of Van Gogh"),
        ("{caption}, as a poster", "", "draw it as a poster"),
        ("{caption}, full of joy", "", "make it full of joy"),
        ("an etching of {caption}", "", "make it an etching of a cat"),
        ("{caption}", "", "make it a cat"),
        ("{caption} wearing a hat", "put a hat on {caption}", "put a hat on a cat"),
    ],
)
def test_a_style_is_worded_as_an_instruction(prompt: str, instruction: str, said: str) -> None:
    assert style(prompt, instruction).instruction_for("a cat.") == said


def test_every_built_in_style_has_an_instruction_as_pocket_learns_them() -> None:
    known = table()
    for name in STYLE_PHRASES:
        if name != "plain":
            assert known[name].instruction_for("a cat") == edits.style_wordings(name)[0]
    assert known["disneyland"].instruction_for("a cat") == "put a Disneyland castle in the background"
    assert all("cat" not in one.instruction_for("a cat") for one in known.values())


# Pictures


def test_instruct_tells_the_model_and_is_judged_by_the_prompt(shelf: Path, photo: Path, tmp_path: Path) -> None:
    recipe = stylize(shelf, photo, "instruct", image_guidance_scale=2.0)
    result = runners.run(recipe, tmp_path / "out", dtype="float32")
    assert [result.texts[name] for name in result.pictures] == [
        "make it in the style of Monet",
        "draw it as a pencil drawing",
    ]
    made = read_provenance(result.picture_paths[1])
    assert "Image CFG scale: 2" in made["parameters"]
    inside = made["easel"]["recipe"]
    assert (inside["method"], inside["image_guidance_scale"], inside["seed"]) == ("instruct", 2.0, 5)
    again = runners.run(recipe_from(with_places(inside, recipe.plain())), tmp_path / "again", dtype="float32")
    assert ImageChops.difference(again.images[0], result.images[1]).getbbox() is None
    closer = stylize(shelf, photo, "instruct", image_guidance_scale=6.0)
    other = runners.run(closer, tmp_path / "closer", dtype="float32")
    assert ImageChops.difference(other.images[0], result.images[0]).getbbox() is not None
    own = runners.run(stylize(shelf, photo, "instruct", styles=("monet",)), tmp_path / "own", dtype="float32")
    done = read_provenance(own.picture_paths[0])["easel"]
    assert done["recipe"]["image_guidance_scale"] == done["image_guidance_scale"] == 1.5  # the model's, written out


def test_canny_follows_the_edges_of_the_photo(shelf: Path, photo: Path, tmp_path: Path) -> None:
    steered = {"control_model": str(shelf / "canny")}
    recipe = stylize(shelf, photo, "canny", **steered)
    result = runners.run(recipe, tmp_path / "out", dtype="float32")
    assert result.texts[result.pictures[0]] == "a spot in the style of Monet"
    inside = read_provenance(result.picture_paths[1])["easel"]["recipe"]
    again = runners.run(recipe_from(with_places(inside, recipe.plain())), tmp_path / "again", dtype="float32")
    assert ImageChops.difference(again.images[0], result.images[1]).getbbox() is None
    off = runners.run(stylize(shelf, photo, "canny", **steered, control_scale=0.0), tmp_path / "off", dtype="float32")
    plain = runners.run(stylize(shelf, photo, "describe"), tmp_path / "plain", dtype="float32")
    assert ImageChops.difference(off.images[0], result.images[0]).getbbox() is not None
    assert np.abs(np.asarray(off.images[0], int) - np.asarray(plain.images[0], int)).max() <= 1  # no edges: words alone


def test_the_map_is_the_fitted_photos_own(shelf: Path, photo: Path, tmp_path: Path) -> None:
    recipe = stylize(shelf, photo, "canny", control_model=str(shelf / "canny"), canny_low=50, canny_high=100)
    painter = Restyler(recipe, "canny", Workspace(tmp_path, "cpu", "float32"))
    for one in (drawn(), drawn(70, 90, "red")):
        fitted = painter.fitted(one)
        (control,) = painter.request(_planned(), fitted).controls or ()
        assert ImageChops.difference(control.image, maps.canny(fitted, 50, 100)).getbbox() is None


def _planned() -> Any:
    from easel.jobs.painter import PlannedPicture

    return PlannedPicture("a.png", "a", "", 1, {}, "monet")


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("instruct", {"model": "pocket-of-nobody"}, "no model called 'pocket-of-nobody': use one of"),
        ("instruct", {"model": "sd-1.5"}, "'sd-1.5' has no model for instruct: use one of .*instruct-pix2pix"),
        ("instruct", {"model": "{xl}"}, "instruct"),
        ("canny", {}, "no controlnet is known for this base"),
        ("canny", {"control_model": "{other}"}, "does not fit this model"),
        ("canny", {"control_model": "sdxl-canny-adapter"}, "has no model for controlnet"),
    ],
)
def test_models_that_cannot_are_refused_in_words(
    shelf: Path, photo: Path, tmp_path: Path, method: str, more: dict[str, str], said: str
) -> None:
    places = {name: value.format(xl=shelf / "xl", other=shelf / "other-canny") for name, value in more.items()}
    with pytest.raises(EaselError, match=said):
        runners.run(stylize(shelf, photo, method, **places), tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        (Stylize, {"method": "canny", "strength": 0.5}, "strength: belongs to redraw, not to canny"),
        (Stylize, {"method": "canny", "image_guidance_scale": 2.0}, "belongs to instruct, not to canny"),
        (Stylize, {"control_scale": 0.5}, "control_scale: belongs to canny, not to redraw"),
        (Stylize, {"method": "canny", "control_start": 0.9, "control_end": 0.1}, "less than control_end"),
        (ScoreStyles, {"method": ("redraw", "canny"), "iterations": 3}, "belongs to neural, not to redraw and canny"),
        (ScoreStyles, {"method": ("redraw", "redraw")}, "names redraw twice"),
        (ScoreStyles, {"method": ()}, "give at least 1"),
        (ScoreStyles, {"instruct_model": "a"}, "instruct_model: belongs to instruct, not to redraw"),
    ],
)
def test_settings_of_other_methods_are_refused(kind: Any, more: dict[str, Any], said: str) -> None:
    place = {"photo": "a"} if kind is Stylize else {"folder": "a"}
    with pytest.raises(ValidationError, match=said):
        kind.model_validate(place | more)


def test_one_method_is_a_list_of_one() -> None:
    one = ScoreStyles(folder="a", method="canny", control_scale=0.5, seed=1)  # type: ignore[arg-type]
    assert one == ScoreStyles(folder="a", method=("canny",), control_scale=0.5, seed=1)
    both = ScoreStyles(folder="a", method=("canny", "neural"), strength=None)
    assert {"tile", "steps", "control_scale"} <= both.plain().keys()
    assert not {"strength", "instruct_model", "image_guidance_scale"} & both.plain().keys()
    with pytest.raises(EaselError, match="no method called 'cany': use one of canny"):
        recipe_from({"kind": "score-styles", "folder": "a", "method": ["redraw", "cany"]})


# Several methods


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "photos"
    place.mkdir()
    for number, colour in enumerate(("teal", "red")):
        drawn(colour=colour).save(place / f"{number}.png")
    return place


def test_methods_side_by_side_go_on_and_replay(
    shelf: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charted: list[Any] = []

    def chart(*given: Any) -> bytes:
        charted.append(given)
        return charts.bar_chart(*given)

    monkeypatch.setattr(style_report, "bar_chart", chart)
    methods = ("redraw", "instruct", "canny", "neural")
    more = {"strength": 1.0, "control_model": str(shelf / "canny"), "side": 32, "iterations": 1}
    recipe = ScoreStyles.model_validate(values(shelf, folder=str(folder), method=methods) | more)
    result = runners.run(recipe, tmp_path / "out", dtype="float32")
    # neural has no picture of a pencil drawing; the other three draw two photos in two styles
    assert len(result.pictures) == 2 * (3 * 2 + 1)
    assert result.pictures[0] == "pictures/0.png/redraw/01-monet.png"
    assert any(
        "neural takes a style from a picture, and these have none: Pencil drawing" in one for one in result.notes
    )
    rows = list(csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines()))
    assert [row["method"] for row in rows].count("neural") == 2
    seeds = {(row["photo"], row["style"]): set() for row in rows}  # type: ignore[var-annotated]
    for row in rows:
        seeds[row["photo"], row["style"]].add(row["seed"])
    assert all(len(one) == 1 for one in seeds.values())  # the same noise for every method
    labels, series, title, unit = charted[0]
    assert [bars.name for bars in series] == list(methods)
    assert series[3].estimates[1] is None
    assert all(label.split("\n")[1] == "within the noise" or label.endswith(" wins") for label in labels)
    assert "tiny (redraw, instruct, canny), pocket (neural)" in title
    assert unit == "difference of two rates of yes"
    found = {(score.name, score.of) for score in result.scores}
    assert ("style success", "monet by canny") in found
    assert ("style success", "all styles by instruct") in found
    assert sum(name.startswith("style success beyond ") for name, _ in found) == 3 + 2
    assert [note.partition(" (2 photos): ")[0] for note in result.notes[:2]] == ["Monet", "Pencil drawing"]
    made = result.folder / "pictures" / "1.png" / "canny" / "02-pencil.png"  # type: ignore[operator]
    inside = read_provenance(made)["easel"]["recipe"]
    assert (inside["kind"], inside["method"], inside["seed"]) == ("stylize", "canny", 4 + 3)
    replayed = recipe_from(
        with_places(inside, stylize(shelf, folder / "1.png", "canny", control_model=str(shelf / "canny")).plain())
    )
    again = runners.run(replayed, tmp_path / "again", dtype="float32")
    assert ImageChops.difference(again.images[0], Image.open(made).convert("RGB")).getbbox() is None
    # A journal cut short goes on: what is left is drawn by its own method, and all comes out the same.
    shutil.copytree(tmp_path / "out", tmp_path / "cut")
    journal = tmp_path / "cut" / "progress.jsonl"
    journal.write_text("".join(f"{line}\n" for line in journal.read_text().splitlines()[:3]))
    resumed = runners.run(recipe, tmp_path / "cut", dtype="float32")
    assert resumed.scores == result.scores
    assert json.loads(journal.read_text().splitlines()[-1])["method"] == "neural"


def test_what_one_method_lacks_is_said_before_anything_is_drawn(shelf: Path, folder: Path, tmp_path: Path) -> None:
    recipe = ScoreStyles.model_validate(values(shelf, folder=str(folder), method=("redraw", "canny"), strength=1.0))
    with pytest.raises(EaselError, match="no controlnet is known for this base"):
        runners.run(recipe, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))


# Winners


def test_a_winner_is_ahead_of_all_beyond_the_noise() -> None:
    """40 photos: one method is recognised on all, one on all but two, one on half; the last keeps most."""

    def method(hits: int, distance: float) -> dict[str, Drawn]:
        return {str(i): Drawn([(0.9 if i < hits else 0.1, 0.1)], distance + 0.01 * (i % 3)) for i in range(40)}

    two = {"canny": method(20, 1.0), "instruct": method(40, 2.0)}
    found = outcome(two)
    assert found is not None
    assert (found.success.best, found.best, found.n) == ("instruct", 1.0, 40)
    alone = rate_difference_interval([1.0] * 40, [1.0] * 20 + [0.0] * 20)
    assert found.success.behind["canny"] == pytest.approx(alone)
    assert (found.success.tied, found.kept.best, found.kept.tied) == ([], "canny", [])
    assert found.kept.behind["instruct"].value == pytest.approx(1.0)
    assert found.nearest == pytest.approx(1.01, abs=0.001)
    close = outcome(two | {"describe": method(38, 4.0)})
    assert close is not None
    assert list(close.success.behind) == ["describe", "canny"]
    assert close.success.tied == ["describe"]
    assert "no method wins: instruct has 1.00, and describe is within the noise" in sentence("Monet", close)
    # three pairs at once: each interval is wider than that of a pair alone
    wide, narrow = close.success.behind["canny"], found.success.behind["canny"]
    assert (wide.low or 0) < (narrow.low or 0) < 0.5 < (narrow.high or 0) < (wide.high or 0)


def test_a_difference_of_rates_at_another_level_is_newcombes() -> None:
    """z 0 leaves no length, and groups of one answer are single answers."""
    first, second = [1, 1, 1, 0], [1, 0, 0, 0]
    assert rate_difference_interval(first, second, 0.0) == pytest.approx((0.5, 0.5, 0.5, 4))
    groups = [[one] for one in first], [[one] for one in second]
    assert grouped_rate_difference_interval(*groups, 2.5) == rate_difference_interval(first, second, 2.5)


def test_methods_are_compared_on_the_photos_that_all_drew() -> None:
    good, bad = Drawn([(0.9, 0.1)], 1.0), Drawn([(0.1, 0.1)], 1.0)
    found = outcome({"redraw": {"a": good, "b": bad, "c": bad}, "describe": {"a": good}})
    assert found is not None
    assert (found.n, found.best) == (1, 1.0)
    assert outcome({"redraw": {"a": good}, "describe": {"b": good}}) is None
    assert sentence("Monet", None) == "Monet: the methods have no photo in common, so none can win"


def test_an_outcome_in_a_sentence() -> None:
    behind = {"redraw": Estimate(0.25, 0.1, 0.4, 12), "canny": Estimate(0.5, 0.2, 0.7, 12)}
    kept = Standing("redraw", {"canny": Estimate(0.1, -0.1, 0.3, 12), "instruct": Estimate(0.9, 0.5, 1.3, 12)})
    assert sentence("Monet", Outcome(Standing("instruct", behind), 0.9, kept, 1.2, 12)) == (
        "Monet (12 photos): instruct wins with 0.90, 0.25 (0.10 to 0.40) above redraw; redraw keeps most of the photo, "
        "within the noise (perceptual distance 1.20, 0.10 (-0.10 to 0.30) below canny)"
    )
