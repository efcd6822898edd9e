"""Settings side by side: candidates, cells that go on and fail, who wins on what, the page, ready pictures."""

from __future__ import annotations

import csv
import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import easel
from easel import models, runners
from easel.cli import commands, main, progress
from easel.errors import Cancelled, EaselError, Unconfirmed
from easel.images import open_picture
from easel.jobs import compare
from easel.jobs.compare.standings import findings, sentence
from easel.jobs.judges import Fitness
from easel.kinds import KINDS, Kind
from easel.metrics.pairs import standing, student, within
from easel.models.shelf import MOST_DRAWING, kept, taken
from easel.recipes import read_yaml, recipe_from, to_yaml
from easel.recipes.compare import Compare
from easel.result import Result
from easel.sheet import Line, grid
from easel.workspace import Step
from tests import fakes, tiny
from tests.conftest import drawn
from tests.test_edit import shelf  # noqa: F401 - a fixture
from tests.toy import spot

ROOT = Path(__file__).parent.parent
SPOT = Kind("Put a spot on a photo.", "tests.toy.spot:Spot", "tests.toy.spot")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind `spot`, on a machine without torch."""
    monkeypatch.setitem(KINDS, "spot", SPOT)
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
    spot.RUNS.clear()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos, two of even and two of odd lightness."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, grey in enumerate((100, 121, 140, 161)):
        Image.new("RGB", (48, 32), (grey, grey, grey)).save(folder / f"{number}.png")
    return folder


def spots(folder: Path, **more: Any) -> Compare:
    values: dict[str, Any] = {
        "base": {"kind": "spot"},
        "axes": {"level": [0.2, 0.4, 0.6]},
        "photos": [str(folder)],
        "seed": 7,
    }
    return Compare.model_validate(values | more)


def labels(recipe: Compare) -> list[str]:
    return [one.label for one in recipe.candidates()]


# Intervals


def test_students_quantiles_are_those_of_the_tables() -> None:
    known = {(0.95, 1): 12.706205, (0.95, 9): 2.262157, (0.999, 9): 4.780913, (0.99, 1): 63.656741, (0.9, 2): 2.919986}
    for (level, degrees), t in known.items():
        assert student(level, degrees) == pytest.approx(t, abs=2e-6)
        assert within(t, degrees) == pytest.approx(level, abs=1e-7)
    assert student(1 - 0.05 / 3, 3) == pytest.approx(4.857, abs=1e-3)  # Bonferroni's table: three pairs, four items
    with pytest.raises(ValueError, match=r"a level in 0\.\.1"):
        student(1.0, 3)


def test_a_standing_worked_out_by_hand() -> None:
    items = "abcd"
    table = {
        "low": dict(zip(items, (0.0, 2.0, 1.0, 3.0), strict=True)),
        "high": dict(zip(items, (1.0, 2.0, 3.0, 4.0), strict=True)),
    }
    found = standing(table, more_is_better=True)
    assert found.best == "high"
    mean, low, high, n = found.behind["low"]
    half = 3.182446 * math.sqrt(2 / 3) / 2  # differences 1, 0, 2, 1
    assert (mean, n) == (1.0, 4)
    assert (low, high) == pytest.approx((1 - half, 1 + half), abs=1e-5)
    assert found.tied == ["low"]
    table["far"] = {item: value - 5 for item, value in table["high"].items()}
    three = standing(table, more_is_better=True)
    assert three.tied == ["low"]
    assert three.behind["far"][:2] == (5.0, 5.0)
    assert three.behind["low"].low == pytest.approx(1 - 4.857 / 3.182446 * half, abs=1e-3)
    assert standing(table, more_is_better=False).best == "far"


def test_what_a_standing_cannot_tell() -> None:
    one = standing({"a": {1: 0.5}, "b": {1: 0.4}}, more_is_better=True)
    assert not one.is_told
    assert one.tied == ["b"]
    apart = standing({"a": {1: 0.5}, "b": {2: 0.4}}, more_is_better=True)
    assert apart.behind["b"].n == 0
    with pytest.raises(ValueError, match="no numbers"):
        standing({"a": {}}, more_is_better=True)
    with pytest.raises(ValueError, match="not finite"):
        standing({"a": {1: math.nan}}, more_is_better=True)


# Candidates


def test_axes_are_combined_and_what_comes_to_the_same_is_made_once(toy: None, photos: Path) -> None:
    assert labels(spots(photos)) == ["level 0.2", "level 0.4", "level 0.6"]
    both = spots(photos, axes={"way": ["round", "square"], "level": [0.2, 0.4, 0.2]})
    assert labels(both) == ["round, level 0.2", "round, level 0.4", "square"]
    assert both.candidates()[2].changes == {"way": "square"}
    assert labels(spots(photos, axes={"level": [0.5]})) == ["level 0.5"]
    assert labels(spots(photos, axes={})) == ["as it is"]


def test_a_setting_of_the_base_is_left_out_where_a_candidate_has_no_use_for_it(toy: None, photos: Path) -> None:
    recipe = spots(photos, base={"kind": "spot", "level": 0.9}, axes={"way": ["round", "square"]})
    assert [dict(one.values) for one in recipe.candidates()] == [
        {"kind": "spot", "level": 0.9, "way": "round"},
        {"kind": "spot", "way": "square"},
    ]


def test_variants_are_tried_at_every_combination(toy: None, photos: Path) -> None:
    variants = [{"name": "a", "way": "round"}, {"name": "b", "way": "square"}]
    assert labels(spots(photos, variants=variants)) == ["a, level 0.2", "a, level 0.4", "a, level 0.6", "b"]
    long = spots(photos, base={"kind": "edit"}, axes={"prompt": ["night " * 20, "night " * 21]})
    assert labels(long)[1] == labels(long)[0] + " (2)"
    words = spots(
        photos, base={"kind": "edit", "prompt": "x"}, axes={"model": ["/a/one", "sd-1.5"], "lora": [[], ["b"]]}
    )
    assert labels(words)[:2] == ["one, lora none", "one, lora b"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"axes": {"levle": [1]}}, "axes: levle is not a setting of spot: did you mean level"),
        ({"axes": {"zzz": [1]}}, "axes: zzz is not a setting of spot: it knows way, level, count"),
        ({"axes": {"level": []}}, "axes: level is empty: give the values to try"),
        ({"axes": {"level": [0.5, 2.0]}}, "level 2.0: level is 2.0: should be less than or equal to 1"),
        ({"axes": {"level": ["0.5"]}}, "0.5: level is '0.5': should be a valid number"),
        ({"axes": {"way": ["rond"]}}, "rond: no way called 'rond': use one of round"),
        ({"axes": {"photo": ["a"]}}, "axes: photo is said by 'photos', for all candidates alike"),
        ({"axes": {"seed": [1]}}, "axes: seed is said by 'seeds'"),
        ({"axes": {"kind": ["edit"]}}, "axes: kind is not a setting"),
        (
            {"base": {"kind": "spot", "way": "square"}},
            "level belongs to round ones, not to square: no candidate can use it",
        ),
        ({"base": {"kind": "spot", "levl": 1}}, "base: levl is not a setting of spot: did you mean level"),
        ({"base": {"way": "round"}}, "base: kind is missing: use one of generate"),
        ({"base": {"kind": "spto"}}, "base: no kind of job called 'spto': use one of spot"),
        ({"base": {"kind": "caption"}}, "base: caption draws no pictures that could be compared"),
        ({"base": {"kind": "compare"}}, "base: compare draws no pictures that could be compared"),
        ({"base": {}}, "base is missing"),
        ({"photos": []}, "photos is missing"),
        ({"base": {"kind": "generate", "prompt": "x"}, "axes": {}}, "photos: generate takes no photo"),
        ({"seeds": [1, 1]}, "seeds: one stands twice"),
        ({"seeds": [1, 2], "base": {"kind": "spot", "count": 2}}, "give seeds 2 apart"),
        ({"variants": [{"way": "round"}]}, "variants: name is missing"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "the name 'a' stands twice"),
        ({"variants": [{"name": "a", "level": 0.5}]}, "variants: a: level is an axis too"),
        ({"variants": [{"name": "a", "wya": "round"}]}, "variants: a: wya is not a setting of spot: did you mean way"),
        ({"axes": {}, "variants": [{"name": "a", "way": "square", "level": 0.1}]}, "a: level: belongs to round ones"),
        (
            {"axes": {"level": [n / 200 for n in range(200)], "count": list(range(1, 100))}},
            "19,800 candidates: at most",
        ),
        ({"against": "p.jpg"}, "belongs to drawn pictures and trainings, not to ready pictures"),
        ({"judge": "base"}, "judge: belongs to ready pictures, not to drawn pictures"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(
    toy: None, photos: Path, more: dict[str, Any], said: str
) -> None:
    values = spots(photos).model_dump() | more
    with pytest.raises(EaselError, match=said.replace("(", r"\(")):
        recipe_from(values)


def test_the_recipe_survives_yaml(toy: None, photos: Path, tmp_path: Path) -> None:
    recipe = spots(photos, variants=[{"name": "a", "way": "round"}], seeds=[3, 5])
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    assert read_yaml(tmp_path / "r.yaml") == recipe


# Runs


def test_who_wins_and_what_is_a_tie(toy: None, photos: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    result = runners.run(spots(photos, seeds=[3, 9]), tmp_path / "out", report=steps.append)
    assert result.texts["verdict"] == (
        "CLIP-T: level 0.6 wins; perceptual distance: a tie, nobody is beyond the noise of the best (level 0.2) "
        "(4 photos, 2 seeds each; paired differences, 95 % for all 3 pairs of a score)"
    )
    scores = {(score.name, score.of): score for score in result.scores}
    mean = 0.6 + (100 + 121 + 140 + 161) / 4 / 2550
    assert scores["CLIP-T", "level 0.6"].value == pytest.approx(mean)
    assert {score.n for score in result.scores} == {4}
    assert {score.judge for score in result.scores} == {"nobody"}
    assert len(result.pictures) == 3 * 4 * 2
    assert all(path.is_file() for path in result.paths)
    assert result.notes == ("a spot is round",)
    rows = {
        (row["candidate"], row["score"]): row
        for row in csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines())
    }
    assert rows["level 0.6", "CLIP-T"]["stands"] == "best"
    assert float(rows["level 0.2", "CLIP-T"]["behind the best"]) == pytest.approx(0.4)
    assert rows["level 0.2", "CLIP-T"]["stands"] == "behind"
    assert rows["level 0.4", "perceptual distance"]["stands"] == "within the noise"
    assert rows["level 0.4", "width"]["stands"] == ""
    assert [step.done for step in steps if step.phase == "comparing"][-1] == 24
    assert {step.phase for step in steps} == {"comparing", "laying out"}


def test_one_photo_rests_on_its_seeds_and_one_picture_on_nothing(toy: None, photos: Path, tmp_path: Path) -> None:
    one = str(photos / "0.png")
    several = runners.run(spots(photos, photos=[one], seeds=[1, 2, 3]), tmp_path / "a")
    assert {score.n for score in several.scores} == {3}
    assert "CLIP-T: level 0.6 wins" in several.texts["verdict"]
    assert "(1 photo, 3 seeds;" in several.texts["verdict"]
    single = runners.run(spots(photos, photos=[one]), tmp_path / "b")
    assert single.texts["verdict"].startswith("of 1 photo, 1 seed nothing can be said of noise")
    alone = runners.run(spots(photos, axes={}), tmp_path / "c")
    assert alone.texts["verdict"] == "as it is is alone: there is nothing to compare it with"


def test_a_failed_cell_is_told_and_the_rest_goes_on(toy: None, photos: Path, tmp_path: Path) -> None:
    recipe = spots(photos, axes={"way": ["round", "broken", "faulty", "square"]})
    result = runners.run(recipe, tmp_path / "out")
    assert len(result.pictures) == 8
    assert any(
        "8 of 16 cells failed: broken: the spot ran out: take another; faulty: easel met" in n for n in result.notes
    )
    cells = list(csv.DictReader((tmp_path / "out" / "cells.csv").read_text().splitlines()))
    assert {row["failed"] for row in cells if row["candidate"] == "broken"} == {"the spot ran out: take another"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "failed: the spot ran out: take another" in page
    spot.RUNS.clear()
    runners.run(recipe, tmp_path / "out")
    assert len(spot.RUNS) == 8  # what failed is tried again, and nothing else
    with pytest.raises(EaselError, match="broken: the spot ran out: take another; all 4 cells failed"):
        runners.run(spots(photos, axes={"way": ["broken"]}), tmp_path / "none")


KILLED = """
import sys
from easel.kinds import KINDS
from tests.test_compare import SPOT
from tests.toy import spot
import easel
KINDS["spot"] = SPOT
spot.LETHAL.append(5)
easel.run(sys.argv[1], out=sys.argv[2], device="cpu", dtype="float32")
"""


def test_a_killed_run_goes_on_to_the_same_bytes(toy: None, photos: Path, tmp_path: Path) -> None:
    recipe = spots(photos)
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    words = [sys.executable, "-c", KILLED, str(tmp_path / "r.yaml"), str(tmp_path / "cut")]
    assert subprocess.run(words, cwd=ROOT, check=False, timeout=120).returncode == -signal.SIGKILL
    assert (tmp_path / "cut" / "progress.jsonl").read_text().count("\n") == 4
    resumed = runners.run(recipe, tmp_path / "cut")
    assert len(spot.RUNS) == 12 - 4
    whole = runners.run(recipe, tmp_path / "whole")
    assert resumed.pictures == whole.pictures
    for name in [*whole.pictures, "sheet.png", "table.csv", "cells.csv", "report.html"]:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    spot.RUNS.clear()
    runners.run(recipe, tmp_path / "cut")
    assert spot.RUNS == []
    (tmp_path / "cut" / resumed.pictures[3]).unlink()
    runners.run(recipe, tmp_path / "cut")
    assert len(spot.RUNS) == 1
    with pytest.raises(EaselError, match=r"other settings \(axes was"):
        runners.run(spots(photos, axes={"level": [0.1]}), tmp_path / "cut")


def test_a_cancelled_run_goes_on(toy: None, photos: Path, tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        runners.run(spots(photos), tmp_path / "out", report=stop)
    assert len(spot.RUNS) == 3
    runners.run(spots(photos), tmp_path / "out")
    assert len(spot.RUNS) == 12


def test_very_many_cells_ask_first(
    toy: None, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(compare, "MOST_UNASKED", 11)
    recipe, out = spots(photos), tmp_path / "out"
    with pytest.raises(Unconfirmed, match=r"10 cells are left, about 0:0\d at 0\.\d s each: add --yes"):
        runners.run(recipe, out)
    assert len(spot.RUNS) == compare.FIRST
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    words = ["compare", str(tmp_path / "r.yaml"), "--quiet", "--out"]
    other = str(tmp_path / "other")
    assert main([*words, other]) == 2
    assert "add --yes" in capsys.readouterr().err
    assert main([*words, other, "--yes"]) == 0
    assert capsys.readouterr().out.startswith("CLIP-T: level 0.6 wins")
    asked: list[str] = []
    monkeypatch.setattr(progress, "asked", lambda question: not asked.append(question))  # type: ignore[func-returns-value]
    assert main([*words, str(tmp_path / "third")]) == 0
    assert asked[0].endswith("run them?")
    with pytest.raises(EaselError, match=r"the first 2 cells failed, and 10 are left; level 0\.2: the spot ran out"):
        runners.run(spots(photos, base={"kind": "spot", "way": "broken"}), tmp_path / "failing")


@pytest.mark.parametrize(
    ("said", "is_yes"), [("y\n", True), ("Yes\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_a_person_at_a_terminal_is_asked(said: str, is_yes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return said

        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress.asked("so many?") == is_yes


def test_photos_that_do_not_open_are_left_out(toy: None, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxxx")
    result = runners.run(spots(photos), tmp_path / "out")
    assert len(result.pictures) == 12
    assert "1 of 5 pictures were skipped: " in result.notes[0]
    with pytest.raises(EaselError, match="not a picture that easel reads"):
        runners.run(spots(photos, photos=[str(photos / "broken.png")]), tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EaselError, match="there are no pictures in"):
        runners.run(spots(photos, photos=[str(tmp_path / "empty")]), tmp_path / "none")


def test_a_run_inside_the_photos_does_not_take_its_own(toy: None, photos: Path) -> None:
    recipe = spots(photos)
    assert runners.run(recipe, photos / "out").pictures == runners.run(recipe, photos / "out").pictures
    assert len(spot.RUNS) == 12


# Page and grid


class Page(HTMLParser):
    """Tags with their attributes, and the text of the last script of data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.held = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][1].get("type") == "application/json":
            self.held += data


def test_the_page_needs_nothing_else(toy: None, photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (48, 32), "navy").save(photos / "<img src=x>&'\".png")
    recipe = spots(photos, axes={"way": ["round", "square"]}, seeds=[5])
    runners.run(recipe, tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img" and "src" in attrs]
    assert len(images) == 5 + 10
    assert all(source and source.startswith("data:image/jpeg;base64,") for source in images)
    looks = json.loads(page.held)
    buttons = [attrs for tag, attrs in page.tags if tag == "button" and attrs.get("class") == "look"]
    assert [button["data-look"] for button in buttons] == [str(number) for number in range(len(looks))]
    made = [look for look in looks if "recipe" in look]
    assert {look["large"][:15] for look in looks} == {"data:image/jpeg"}
    for look in made:
        (tmp_path / "cell.yaml").write_text(look["recipe"])
        own = read_yaml(tmp_path / "cell.yaml")
        assert own.kind == "spot"
        assert own.seed == 5
        assert look["scores"][0][:2] == ["CLIP-T", "nobody"]
    assert str(tmp_path) not in text  # names, no places
    sorting = [attrs for tag, attrs in page.tags if tag == "th" and "aria-sort" in attrs]
    assert len(sorting) == 1 + 3


def test_a_grid_says_what_it_leaves_out() -> None:
    picture = drawn()
    lines = [Line(f"photo {number}", (picture,) * 30) for number in range(25)]
    page = grid([(f"candidate {number}", ("a 0.5",)) for number in range(30)], lines, "heading")
    smaller = grid([("a", ()), ("b", ())], [Line("x", (picture, "failed: it did not work"))], "heading")
    assert page.width > smaller.width
    assert page.height > smaller.height
    assert smaller.getcolors(1_000_000) is not None


# Models


def test_models_are_kept_within_the_block_and_the_oldest_goes() -> None:
    made: list[str] = []

    def get(key: str) -> str:
        return taken(key, lambda: made.append(key) or key, draws=True)  # type: ignore[func-returns-value]

    get("a"), get("a")
    assert made == ["a", "a"]
    made.clear()
    with kept(), kept():
        for key in "aabab":
            get(key)
        assert made == ["a", "b"]
        get("c")
        get("b")
        get("a")
    assert MOST_DRAWING == 2
    assert made == ["a", "b", "c", "a"]
    get("a")
    assert made[-1] == "a"
    assert len(made) == 5


@pytest.fixture
def night(shelf: Path, tmp_path: Path) -> Callable[..., Compare]:  # noqa: F811
    """The example of the night, on the tests' own checkpoints."""
    family = str(shelf / "tiny")
    if not (shelf / "adapter").is_dir():
        tiny.adapter(shelf / "tiny" / "diffusion", shelf / "adapter")

    def build(**more: Any) -> Compare:
        plain = read_yaml(ROOT / "examples" / "compare-night.yaml").plain()
        own = {"model": family, "judge": family, "captioner": family, "steps": 4, "depth_model": str(shelf / "depth")}
        plain["base"] |= own | {"scheduler": "ddim", "caption": "a room"}
        networks = {"canny": "canny", "depth": "canny", "adapter": "adapter"}
        for variant in plain["variants"]:
            if variant["name"] in networks:
                variant["control_model"] = str(shelf / networks[variant["name"]])
            if variant["name"] == "instruct":
                variant["model"] = str(shelf / "instruct")
        drawn().save(tmp_path / "a.png")
        drawn(colour="red").save(tmp_path / "b.png")
        plain |= {"photos": [str(tmp_path / "a.png"), str(tmp_path / "b.png")]}
        found = recipe_from(plain | more)
        assert isinstance(found, Compare)
        return found

    return build


def test_the_night_example_on_real_layouts(
    night: Callable[..., Compare], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[str, str]] = []
    real = models._load

    def load(where: Any, role: str, *rest: Any) -> Any:
        loaded.append((where.name, role))
        return real(where, role, *rest)

    monkeypatch.setattr(models, "_load", load)
    result = runners.run(night(), tmp_path / "out", dtype="float32")
    assert not [note for note in result.notes if "failed" in note]
    assert len(result.pictures) == 7 * 2
    assert {score.of for score in result.scores} == set(labels(night()))
    assert {score.judge for score in result.scores} == {"clip:tiny", "perceptual:tiny", "pixels", "depth:depth"}
    assert len(loaded) == len(set(loaded))  # each once, for all 14 cells
    alone = recipe_from(night().candidates()[3].recipe(str(tmp_path / "b.png"), 1).plain())
    again = runners.run(alone, tmp_path / "alone", dtype="float32")
    in_cell = tmp_path / "out" / "cells" / "04-canny" / "b.png" / "1" / again.pictures[0]
    assert open_picture(in_cell).tobytes() == again.images[0].tobytes()  # a cell is what its recipe makes alone


def test_a_role_that_a_kept_model_does_not_play_is_said(shelf: Path, photo: Path, tmp_path: Path) -> None:  # noqa: F811
    family = str(shelf / "tiny")
    model = str(shelf / "tiny" / "diffusion")
    base = {"kind": "edit", "prompt": "night", "model": model, "judge": family, "caption": "a room", "steps": 2}
    recipe = Compare(base=base, axes={"method": ("redraw", "instruct")}, photos=(str(photo),), seed=1)
    result = runners.run(recipe, tmp_path / "out", dtype="float32")
    assert any("1 of 2 cells failed: instruct: " in note for note in result.notes)
    assert "not instruct" in " ".join(result.notes)


# Ready pictures


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> fakes.Family:
    made = fakes.Family()
    monkeypatch.setattr("easel.models.load", made.load)
    monkeypatch.setattr("easel.jobs.edit.verdict.Fitness.of", Fitness)
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
    return made


def test_ready_pictures_against_their_photo(
    judges: fakes.Family, photo: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_picture(photo).save(tmp_path / "same.png")
    Image.new("RGB", (192, 128), "red").save(tmp_path / "red.png")
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "square.png")
    words = ["compare", "same.png", "red.png", "square.png"]
    words += ["--against", photo.name, "--prompt", "red", "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    result = Result.model_validate_json(capsys.readouterr().out)
    scores = {(score.name, score.of): score.value for score in result.scores}
    assert scores["perceptual distance", "same.png"] == 0
    assert scores["edges F1", "same.png"] == 1
    assert scores["CLIP-T", "red.png"] > scores["CLIP-T", "same.png"]
    assert ("perceptual distance", "square.png") not in scores
    assert not [name for name, _ in scores if name == "CLIP direction similarity"]
    assert result.pictures == ()
    assert result.notes[0].startswith("1 of 3 cells failed: square.png: the picture is 64 x 64 and the photo 96 x 64")
    assert "1 pictures have another size than their photo" in result.notes[1]
    assert not [role for _, role in judges.loaded if role not in {"clip", "perceptual"}]  # no model draws
    assert result.texts["verdict"].startswith("of 1 photo nothing can be said of noise")


def test_folders_of_ready_pictures_against_a_folder(judges: fakes.Family, photos: Path, tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / name).mkdir()
        for number in range(4 if name == "a" else 3):
            Image.new("RGB", (48, 32), colour).save(tmp_path / name / f"{number}.jpg")
    pictures = [tmp_path / "a", tmp_path / "b"]
    result = easel.compare(pictures, against=photos, prompt="red", caption="grey", seed=1, out=tmp_path / "out")
    assert "CLIP direction similarity" in {score.name for score in result.scores}
    assert {(score.of, score.n) for score in result.scores if score.name == "CLIP-T"} == {("a", 4), ("b", 3)}
    assert "CLIP-T" in result.texts["verdict"].partition(": a wins")[0]
    assert any("b: there is no picture for 3.png" in note for note in result.notes)


@pytest.mark.parametrize(
    ("pictures", "against", "said"),
    [
        (["photo.jpg"], None, "against is missing: the photo"),
        ([], "photo.jpg", "pictures is missing"),
        (["none.png"], "photo.jpg", "there is no photo or folder .*none.png"),
        (["photo.jpg"], "none.jpg", "there is no photo or folder .*none.jpg"),
        (["photo.jpg"], "photos", "is no folder: against a folder of photos"),
        (["empty"], "photos", "there are no pictures in"),
        (["broken.jpg"], "photo.jpg", "broken.jpg"),
        (["photo.jpg"], "broken.jpg", "broken.jpg"),
        (["strange"], "photos", "has no picture with the name of a photo"),
        (["twice"], "photos", "has two pictures for 0.png"),
    ],
)
def test_ready_pictures_that_cannot_be(
    judges: fakes.Family, photos: Path, photo: Path, tmp_path: Path, pictures: list[str], against: str | None, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0xxx")
    for name in ("strange/x.png", "twice/0.png", "twice/0.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        drawn().save(tmp_path / name)
    more: dict[str, Any] = {} if against is None else {"against": tmp_path / against}
    with pytest.raises(EaselError, match=said):
        easel.compare([tmp_path / name for name in pictures], **more, out=tmp_path / "out")


def test_two_recipes_are_one_too_many(toy: None, photos: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "r.yaml").write_text(to_yaml(spots(photos)))
    assert main(["compare", str(tmp_path / "r.yaml"), "--recipe", str(tmp_path / "r.yaml")]) == 2
    assert "are two recipes" in capsys.readouterr().err
    result = easel.compare(tmp_path / "r.yaml", seeds=[2, 4], out=tmp_path / "out")
    assert len(result.pictures) == 24
    assert callable(commands.compare)


def test_a_sentence_names_a_few_and_counts_the_rest() -> None:
    numbers = {"first": (0.52, 0.50, 0.53, 0.51), "low": (0.0, 0.01, 0.0, 0.01)}
    numbers |= {f"c{place}": (0.50, 0.53, 0.50, 0.52 - place / 1000) for place in range(5)}
    rows = [
        {"candidate": candidate, "photo": str(photo), "seed": 1, "values": [("CLIP-T", "j", number)]}
        for candidate, each in numbers.items()
        for photo, number in enumerate(each)
    ]
    said = sentence(findings(rows), rows)
    assert said.startswith("CLIP-T: first is best, and 5 others are within the noise of it (4 photos, 1 seed; ")
    few = [row for row in rows if row["candidate"] in {"first", "low", "c0"}]
    assert sentence(findings(few), few).startswith("CLIP-T: first is best, and c0 is within the noise of it")
