"""Sweeps over training: who is best beyond chance, what is learned by heart, cells that go on, and what they leave."""

from __future__ import annotations

import csv
import errno
import json
import mmap
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from easel import models, runners
from easel.errors import EaselError, NoRoom, Unconfirmed
from easel.files import ROOM_WANTED
from easel.jobs.compare import advice as advising
from easel.jobs.compare import sweep, sweep_report
from easel.jobs.compare.sweep_report import rows_of
from easel.jobs.journal import Journal
from easel.jobs.judges import CLIP_T
from easel.jobs.likeness import COPIES, DIV, LEARNED, SUBJECT
from easel.jobs.personalize import setup, words
from easel.metrics.intervals import Estimate
from easel.metrics.sweeps import change, front, learned_by_heart, race
from easel.models.diffusion import latents, lora
from easel.recipes import read_yaml, recipe_from, to_yaml
from easel.recipes.compare import Compare
from easel.recipes.drawing import Drawing, scales_of
from easel.recipes.personalize import Personalize
from easel.result import Result
from easel.training import checkpoints, finetune
from easel.training.peak import Peak
from tests import tiny
from tests.conftest import drawn, killed_in_training, of_few_cells

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted([*ROOT.glob("examples/sweep-*.yaml"), *ROOT.glob("examples/dreambooth-*.yaml")])


# Numbers by hand


def test_who_is_best_beyond_chance_and_what_is_a_tie() -> None:
    item = np.array([0.0, 1.0, 2.0, 3.0])  # prompts differ by far more than candidates do
    shift = np.array([[0.0], [0.01]])  # seeds do the same to all
    wiggle = np.array([0.02, -0.02, 0.01, -0.01])
    tables = np.stack([item + shift, item + shift + 0.5, item + shift + 0.5 + wiggle])
    found = race({"x": tables}, lambda means: means["x"])
    assert found.values == pytest.approx([1.505, 2.005, 2.005])
    assert found.best in {1, 2}
    assert found.tied == [3 - found.best]
    assert found.behind[0].value == pytest.approx(0.5)
    assert found.behind[0].low == pytest.approx(0.5, abs=0.1)
    assert found.behind[0].n == 4
    again = race({"x": tables}, lambda means: means["x"])
    assert again.behind == found.behind  # the same numbers give the same intervals


def test_a_number_is_worked_out_of_several_scores() -> None:
    likeness = np.array([[[0.8, 0.8]], [[0.4, 0.4]], [[0.9, 0.9]]])
    fit = np.array([[[0.5, 0.5]], [[0.9, 0.9]], [[0.5, 0.5]]])
    copies = np.array([[[0.0, 0.0]], [[0.0, 0.0]], [[1.0, 0.0]]])
    found = race({SUBJECT: likeness, CLIP_T: fit, COPIES: copies}, advising.balances)
    assert found.values == pytest.approx([0.4, 0.36, 0.225])
    assert found.best == 0


def test_one_picture_says_nothing_of_chance_and_bad_tables_are_refused() -> None:
    found = race({"x": [[[1.0]], [[2.0]]]}, lambda means: means["x"])
    assert (found.best, found.is_told, found.tied) == (1, False, [0])
    assert change([[1.0]], [[0.0]]).low is None
    with pytest.raises(ValueError, match="one shape"):
        race({"x": [[[1.0]]], "y": [[[1.0, 2.0]]]}, lambda means: means["x"])
    with pytest.raises(ValueError, match="finite"):
        race({"x": [[[np.nan]]]}, lambda means: means["x"])


def test_equals_are_a_tie_and_a_clear_winner_is_found() -> None:
    """Of 100 sweeps of six trainings that are the same but for chance, few may name a winner."""
    rng = np.random.default_rng(4)
    wrong = right = 0
    for _ in range(100):
        shared, noise = rng.normal(0, 1, (1, 1, 6)), rng.normal(0, 0.3, (6, 2, 1)) + rng.normal(0, 0.3, (6, 2, 6))
        same = race({"x": shared + noise}, lambda means: means["x"], resamples=300)
        wrong += len(same.tied) < 5
        better = shared + noise
        better[2] += 3.0
        right += race({"x": better}, lambda means: means["x"], resamples=300).tied == []
    assert wrong <= 10
    assert right >= 95


def test_one_seed_more_or_less_a_lucky_training_does_not_win() -> None:
    """A training that was lucky with one of two seeds is far above in the mean, and all prompts agree on it."""
    table = np.zeros((6, 2, 5)) + np.linspace(0, 0.01, 5)
    table[0, 0] += 1.0
    assert len(race({"x": table}, lambda means: means["x"]).tied) == 5


def test_a_change_has_the_interval_of_its_items() -> None:
    found = change([[2.0, 2.2, 1.8, 2.0]], [[1.0, 1.0, 1.0, 1.0]])
    assert found.value == pytest.approx(1.0)
    assert found.n == 4
    # as Student's of 1.0, 1.2, 0.8, 1.0: 3.182 * 0.163299 / 2
    assert (found.high or 0) - found.value == pytest.approx(3.182 * 0.163299 / 2, rel=0.08)
    assert change([[1.0], [3.0]], [[0.0], [0.0]]).n == 2  # of one item it is the seeds


def test_the_front_is_what_nothing_beats() -> None:
    points = [(1, 1, 1), (2, 1, 1), (1, 3, 0), (2, 1, 1), (0, 0, 5), (1, 2, 0)]
    assert front(points) == [1, 2, 3, 4]
    assert front([(1.0,)]) == [0]


def flat(*values: float) -> list[np.ndarray]:
    """Tables of one seed and four prompts, all with a value."""
    return [np.full((1, 4), value) + np.array([0.0, 0.001, -0.001, 0.0]) for value in values]


def test_what_is_learned_by_heart_is_said() -> None:
    well = learned_by_heart(flat(0.5, 0.6, 0.7), flat(0.5, 0.5, 0.5), flat(2, 2, 2), flat(0, 0, 0))
    assert well == [[], [], []]
    over = learned_by_heart(flat(0.5, 0.6, 0.7), flat(0.5, 0.5, 0.3), flat(2, 2, 1), None)
    assert over == [[], [], ["likeness to the learned photos rises while fit to the words and variety fall"]]
    varied = learned_by_heart(flat(0.5, 0.7), flat(0.5, 0.3), flat(2, 2.5), None)
    assert varied == [[], []]  # variety does not fall
    copies = learned_by_heart(flat(0.5, 0.5), flat(0.5, 0.5), None, [np.zeros((1, 4)), np.eye(4)[:1]])
    assert copies == [[], ["25% of the pictures are near-copies of learned photos"]]
    before = learned_by_heart(flat(0.5), flat(0.5), None, [np.eye(4)[:1]], untrained_copies=0.25)
    assert before == [[]]  # the untrained model has them too
    noise = [np.array([[0.5, 0.5, 0.5, 0.5]]), np.array([[0.9, 0.2, 0.7, 0.3]])]
    assert learned_by_heart(noise, noise[::-1], None, None) == [[], []]


# What it says


def cell(training: str, step: int, seed: int, numbers: dict[str, list[float]], drawing: str = "") -> dict[str, Any]:
    values = {score: [[value] for value in each] for score, each in numbers.items()}
    prompts = [f"p{number}" for number in range(len(numbers[SUBJECT]))]
    own = {"training": training, "step": step, "seed": seed, "photo": "dog", "drawing": drawing, "values": values}
    files = [f"{training}-{step}-{seed}-{name}.png" for name in prompts]
    return own | {"prompts": prompts, "pictures": files, "judges": dict.fromkeys(values, "nobody")}


def scored(like: float, fit: float = 0.5, div: float = 2.0, **more: float) -> dict[str, list[float]]:
    wiggle = (0.0, 0.002, -0.002, 0.001)
    base = {SUBJECT: like, CLIP_T: fit, DIV: div, COPIES: 0.0} | more
    return {name: [value + one * (name != COPIES) for one in wiggle] for name, value in base.items()}


def a_sweep(**more: Any) -> Compare:
    values = {
        "base": {"kind": "personalize", "subject": "sks dog"},
        "axes": {"learning_rate": [1e-4, 1e-3, 1e-2]},
        "photos": ["dog"],
        "seeds": [1, 2],
        "seed": 1,
    }
    return Compare.model_validate(values | more)


LOW, MIDDLE, HIGH = (f"learning rate {rate}" for rate in (1e-4, 1e-3, 1e-2))


def both(training: str, step: int, numbers: dict[str, list[float]]) -> list[dict[str, Any]]:
    return [cell(training, step, seed, numbers) for seed in (1, 2)]


def test_a_winner_is_recommended_with_its_reason() -> None:
    cells = both(LOW, 0, scored(0.1)) + both(LOW, 100, scored(0.3)) + both(HIGH, 100, scored(0.8))
    found = advising.advice(a_sweep(), cells + both(MIDDLE, 100, scored(0.5)))
    assert found.take is not None
    assert found.take.label == f"{HIGH}, 100 steps"
    assert found.text.startswith(f"take {HIGH}, 100 steps (balance 0.400: likeness 0.80, CLIP-T 0.50, DIV 2.00, near")
    assert f"it beats all 2 others beyond chance, the next of them, {MIDDLE}, 100 steps, by 0.150" in found.text
    assert "its learning rate is the largest tried: try beyond it" in found.text
    assert "over 4 items, 2 training seeds" in found.text
    assert [one.label for one in found.front] == [f"{HIGH}, 100 steps"]


def test_a_tie_is_called_one() -> None:
    rng = np.random.default_rng(0)

    def noisy(like: float) -> dict[str, list[float]]:
        return {name: [v + rng.normal(0, 0.05) for v in each] for name, each in scored(like).items() if name != COPIES}

    cells = both(LOW, 0, scored(0.1))
    for name, step in ((LOW, 200), (MIDDLE, 100), (HIGH, 300)):
        cells += [cell(name, step, seed, noisy(0.7)) for seed in (1, 2)]
    found = advising.advice(a_sweep(), cells)
    assert found.text.startswith("a tie within the noise: all 3 candidates cannot be told apart; at the top is ")
    assert found.take is found.tied[0]
    assert max(found.race.values) == found.race.values[found.runners.index(found.take)]  # type: ignore[union-attr]


def test_what_is_no_better_than_the_untrained_model_is_not_recommended() -> None:
    worse = advising.advice(a_sweep(), both(LOW, 0, scored(0.5)) + both(LOW, 9, scored(0.2)))
    assert worse.take is None
    assert worse.text.startswith("nothing was learned")
    noisy = scored(0.5) | {SUBJECT: [0.6, 0.41, 0.5, 0.52]}
    same = advising.advice(a_sweep(), both(LOW, 0, scored(0.5)) + both(LOW, 9, noisy))
    assert same.take is None
    assert same.text.startswith("nothing is told from the untrained model")


def test_what_has_learned_by_heart_is_left_out_and_a_lonely_seed_is_said() -> None:
    cells = [cell(LOW, 0, 1, scored(0.1)), cell(LOW, 50, 1, scored(0.6)), cell(LOW, 99, 1, scored(0.9, 0.4, 1.0))]
    found = advising.advice(a_sweep(seeds=[1]), cells)
    assert found.take is not None
    assert found.take.step == 50
    assert list(found.alarms) == [f"{LOW}, 99 steps"]
    assert "1 left out as learned by heart" in found.text
    assert "one training seed: what another would change is not in the noise" in found.text
    by_learned = [cell(LOW, s, 1, scored(0.6, 0.5 - s / 500, 2 - s / 99, **{LEARNED: s / 99})) for s in (50, 99)]
    assert list(advising.advice(a_sweep(seeds=[1]), by_learned).alarms) == [f"{LOW}, 99 steps"]


def test_a_seed_that_is_missing_takes_its_candidate_out() -> None:
    cells = both(LOW, 0, scored(0.1)) + both(LOW, 9, scored(0.5)) + [cell(HIGH, 9, 1, scored(0.9))]
    found = advising.advice(a_sweep(), cells)
    assert [one.label for one in found.tried] == ["untrained", f"{LOW}, 9 steps"]
    assert advising.advice(a_sweep(), both(LOW, 0, scored(0.1))).text.startswith("no training has come")


def test_of_several_subjects_each_counts_once() -> None:
    cells = [cell(LOW, 9, 1, scored(0.5)), cell(LOW, 9, 1, scored(0.7)) | {"photo": "cat"}]
    (one,) = advising.tried_of(cells, [1])
    assert one.tables[SUBJECT] == pytest.approx(np.array([[0.50025, 0.70025]]))
    assert [row["photo"] for row in rows_of(cells)] == ["dog", "cat"]
    alone = rows_of(cells[:1])
    assert [row["photo"] for row in alone] == ["p0", "p1", "p2", "p3"]
    assert alone[1]["pictures"] == [f"{LOW}-9-1-p1.png"]
    assert {name: value for name, _, value in alone[1]["values"]}[SUBJECT] == pytest.approx(0.502)


# The recipe


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"photos": []}, "photos or subjects: neither is given"),
        ({"subjects": [{"photos": "a"}]}, "photos or subjects: both are given"),
        ({"photos": ["a/dog", "b/dog"]}, "the name 'dog' stands twice"),
        ({"photos": [], "subjects": [{"name": "a"}]}, "subjects: number 1 has no photos"),
        ({"photos": [], "subjects": [{"photos": "a", "subjekt": "x y"}]}, "did you mean subject"),
        ({"photos": [], "subjects": [{"photos": "a", "learning_rate": 1.0}]}, "learning_rate is an axis too"),
        ({"base": {"kind": "personalize", "subject": "sks dog", "photos": "dog"}}, "photos is said by 'photos'"),
        ({"base": {"kind": "personalize", "subject": "dog"}}, "class is missing"),
        ({"axes": {"rank": [0, 4]}}, "rank 0: rank"),
        ({"axes": {"lerning_rate": [1.0]}}, "did you mean learning_rate"),
        ({"axes": {"method": ["full"], "rank": [4]}}, "rank belongs to lora"),
        ({"generate": {"guidance": 3.0}}, "generate: guidance"),
        ({"generate": {"guidance_scale": [3.0, 99.0]}}, "generate: guidance_scale"),
        ({"generate": {"guidance_scale": []}}, "a setting is an empty list"),
        ({"generate": {"lora_scale": ["0.8:x"]}}, "write a number, or UNET:TEXT"),
        ({"generate": {"lora_scale": 0}}, "at 0 nothing of what was learned is seen"),
        ({"generate": {"strength": 0.5}}, "strength: is of a photo"),
        ({"axes": {"method": ["full"]}, "generate": {"lora_scale": 0.8}}, "lora_scale: belongs to the method lora"),
        ({"base": {"kind": "edit", "prompt": "x"}, "axes": {}, "generate": {"steps": 5}}, "belongs to trainings"),
    ],
)
def test_what_cannot_be_swept_is_said_before_anything_runs(more: dict[str, Any], said: str) -> None:
    values = {
        "kind": "compare",
        "base": {"kind": "personalize", "subject": "sks dog"},
        "axes": {"learning_rate": [1e-4, 1e-3]},
        "photos": ["dog"],
    }
    with pytest.raises(EaselError, match=said):
        recipe_from(values | more)


def test_drawings_are_combined_and_belong_to_those_that_have_a_use_for_them() -> None:
    recipe = a_sweep(
        axes={"method": ["lora", "full"]}, generate={"guidance_scale": [3, 6.0], "lora_scale": [1, "0.8:0.5"]}
    )
    with_lora, full = recipe.candidates()
    assert list(recipe.drawings(with_lora).values())[1] == "guidance scale 3, lora scale 0.8:0.5"
    assert list(recipe.drawings(full).values()) == ["guidance scale 3", "guidance scale 6.0"]
    assert list(a_sweep().drawings(None)) == [Drawing()]
    assert [scales_of(value) for value in (None, 0.8, "0.8:0.5")] == [(1.0, 1.0), (0.8, 0.8), (0.8, 0.5)]
    again = recipe_from({"kind": "compare"} | recipe.plain())
    assert again == recipe


def test_the_papers_file_of_prompts(tmp_path: Path) -> None:
    file = ROOT / "examples" / "world-prompts.txt"
    live, thing = (words.papers_prompts(str(file), noun) for noun in ("dog", "vase"))
    assert (len(live), len(thing)) == (10, 10)
    assert live[-1].prompt == "a {subject} wearing a scarf"
    assert (thing[-1].name, thing[-1].prompt) == ("a it in the fog", "a {subject} in the fog")
    other = tmp_path / "other.txt"
    other.write_text("a sks dog\n")
    recipe = Personalize(photos="dog", subject="sks dog", prompts=str(other))
    with pytest.raises(EaselError, match="there is no list under 'Live Subject Prompts'"):
        words.evaluation_prompts(recipe, "sks dog")
    papers = ROOT.parent / "shared" / "data" / "dreambooth" / "prompts_and_classes.txt"
    if papers.is_file():
        assert [len(words.papers_prompts(str(papers), noun)) for noun in ("cat", "toy")] == [25, 25]


def test_a_peak_is_of_what_was_done_since() -> None:
    before = Peak("cpu")
    with mmap.mmap(-1, 64 * 2**20) as block:  # given back at once, whatever an allocator would keep
        block.write(b"1" * len(block))
        held = before.bytes
    after = Peak("cpu")
    assert held > 0
    if not after.since_begun:  # where the system can begin the count anew
        assert after.bytes < held - 32 * 2**20


# Small sweeps


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shelf")
    tiny.sd(place / "sd")
    tiny.clip(place / "judges" / "clip")
    tiny.vit(place / "judges" / "subject")
    tiny.resnet(place / "judges" / "perceptual")
    dog = place / "dog"
    dog.mkdir()
    for number, colour in enumerate(("teal", "navy", "maroon", "olive", "purple")):
        drawn(80, 64 + 4 * number, colour).save(dog / f"{number}.png")
    (place / "set.yaml").write_text(
        "- {name: moon, prompt: 'a {subject} on the moon', negative_prompt: fog}\n"
        "- {name: sea, prompt: 'a {subject} at sea'}\n"
    )
    return place


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pictures by the untouched models are drawn once for all tests, and are few."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path_factory.mktemp("assets")))
        patch.setattr(setup, "COMPARED", 1)
        yield


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts take longer than so small a training; `whole` draws them."""
    for name in ("sweep_curves", "front_chart"):
        monkeypatch.setattr(sweep_report, name, lambda *_: b"a chart")


def small(shelf: Path, **more: Any) -> Compare:
    base = {
        "kind": "personalize",
        "subject": "sks dog",
        "model": str(shelf / "sd"),
        "judge": str(shelf / "judges"),
        "prompts": str(shelf / "set.yaml"),
        "resolution": 64,
        "steps": 2,
        "batch_size": 1,
        "evaluate_every": 1,
        "sampling_steps": 1,
        "count": 2,
    }
    values = {"base": base | more.pop("base", {}), "photos": [str(shelf / "dog")], "seeds": [5], "seed": 5}
    return Compare.model_validate(values | {"axes": {"learning_rate": [1e-3, 1e-2]}} | more)


def run(recipe: Compare, out: Path, report: Any = None) -> Result:
    return runners.run(recipe, out, "cpu", "float32", report)


SAME = ("sheet.png", "table.csv", "cells.csv", "report.html", "curves.png", "front.png")


@pytest.fixture(scope="module")
def whole(shelf: Path, kept: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Compare, Path, Result]:
    """A sweep of two trainings, each checkpoint drawn in two ways."""
    place = tmp_path_factory.mktemp("whole")
    recipe = small(shelf, generate={"guidance_scale": [1.5, 5.0], "lora_scale": "0.8:0.5"})
    return recipe, place, run(recipe, place)


def test_a_sweep_leaves_everything(whole: tuple[Compare, Path, Result]) -> None:
    _, out, result = whole
    assert len(result.pictures) == 2 * 3 * 2 * 2 * 2  # trainings, checkpoints, ways to draw, prompts, pictures
    assert all(path.is_file() for path in result.paths)
    assert {*SAME, "trainings.csv"} <= {*result.files}
    lines = list(csv.DictReader((out / "trainings.csv").read_text().splitlines()))
    assert [(one["training"], one["subject"], one["cells"], one["failed"]) for one in lines] == [
        ("learning rate 0.001", "dog", "6", ""),
        ("learning rate 0.01", "dog", "6", ""),
    ]
    assert all(float(one["seconds"]) > 0 and int(one["memory MiB"]) > 50 for one in lines)
    table = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert {one["candidate"] for one in table} == {
        *(f"untrained, guidance scale {scale}" for scale in (1.5, 5.0)),
        *(
            f"learning rate {r}, guidance scale {s}, {n} steps"
            for r in (0.001, 0.01)
            for s in (1.5, 5.0)
            for n in (1, 2)
        ),
    }
    assert {one["n"] for one in table} == {"2"}
    names = {one["score"] for one in table}
    assert {SUBJECT, LEARNED, CLIP_T, DIV} <= names
    page = (out / "report.html").read_text()
    for heading in ("Which settings?", "Curves over steps", "Pareto front", "Trainings", "2 prompts"):
        assert heading in page
    assert "method: lora" in page  # a picture's own recipe
    assert "one training seed" in result.texts["verdict"]


def test_ways_to_draw_are_seen_in_the_pictures(whole: tuple[Compare, Path, Result]) -> None:
    _, out, _ = whole
    (training,) = (out / "cells").glob("02-*/01-dog/5")
    first, second = (np.asarray(Image.open(training / f"000002-{way}" / "00-00.png")) for way in (0, 1))
    assert not np.array_equal(first, second)


def test_killed_it_goes_on_to_the_same_bytes(whole: tuple[Compare, Path, Result], tmp_path: Path) -> None:
    recipe, out, result = whole
    calls = 0

    def report_of(do: Any) -> Any:
        def reported(step: Any) -> None:
            nonlocal calls
            calls += 1
            do(type(step)("training", calls, 0, None, None))

        return reported

    killed_in_training(60, lambda do: run(recipe, tmp_path / "cut", report_of(do)))
    rows = [json.loads(line) for line in (tmp_path / "cut" / "progress.jsonl").read_text().splitlines()]
    assert 0 < len(rows) < 14
    again = run(recipe, tmp_path / "cut")
    assert again.pictures == result.pictures
    assert again.texts["verdict"] == result.texts["verdict"]
    for name in [*result.pictures, *SAME[:3], *SAME[4:]]:
        assert (out / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    lines = (tmp_path / "cut" / "progress.jsonl").read_text().count("\n")
    (tmp_path / "cut" / result.pictures[-1]).unlink()
    run(recipe, tmp_path / "cut")  # only the training whose picture is gone
    assert (tmp_path / "cut" / "progress.jsonl").read_text().count("\n") <= lines + 3
    assert (tmp_path / "cut" / result.pictures[-1]).is_file()


@pytest.mark.usefixtures("no_charts")
def test_trainings_share_what_they_can(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    real = latents.encode
    monkeypatch.setattr(latents, "encode", lambda vae, picture: encoded.append(1) or real(vae, picture))  # type: ignore[func-returns-value]
    recipe = small(shelf, axes={"rank": [2, 4]})
    run(recipe, tmp_path / "out")
    assert len(encoded) == 4  # five photos, one held back; not eight
    alone = runners.run(
        recipe.candidates()[1].training(recipe.each_subject()[0], 5), tmp_path / "alone", "cpu", "float32"
    )
    (swept,) = (tmp_path / "out" / "trainings").glob("02-*/01-dog/5/" + setup.CHECKPOINT)
    mine, theirs = checkpoints.read(swept)[0], checkpoints.read(tmp_path / "alone" / setup.CHECKPOINT)[0]
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert alone.kind == "personalize"


@pytest.mark.usefixtures("no_charts")
def test_a_training_that_diverges_is_told_and_the_rest_goes_on(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = finetune.Denoiser.instance

    def broken(self: Any, context: Any) -> Any:
        found = real(self, context)
        is_well = rates[-1] < 10 or context.step < 1
        return found if is_well else type(found)(found.loss * float("nan"), found.numbers)

    rates: list[float] = []
    begun = finetune.trainer_for

    def noted(players: Any, learning: Any, plan: Any, *rest: Any) -> Any:
        rates.append(plan.learning_rate)
        return begun(players, learning, plan, *rest)

    monkeypatch.setattr(finetune, "trainer_for", noted)
    monkeypatch.setattr(finetune.Denoiser, "instance", broken)
    result = run(small(shelf, axes={"learning_rate": [10.0, 1e-3]}), tmp_path / "out")
    (note,) = [note for note in result.notes if "failed" in note]
    assert note.startswith("1 of 2 trainings failed: learning rate 10.0: the loss of 'instance' is nan at step 1")
    lines = list(csv.DictReader((tmp_path / "out" / "trainings.csv").read_text().splitlines()))
    assert [int(one["cells"]) for one in lines] == [2, 3]
    assert "measured up to step 1" in lines[0]["failed"]
    assert "<h2>Failed</h2>" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(EaselError, match=r"photos: there is no folder .*nowhere"):
        run(small(shelf, photos=[str(tmp_path / "nowhere")]), tmp_path / "none")


@pytest.mark.usefixtures("no_charts")
def test_very_many_cells_ask_first_and_go_on(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "MOST_UNASKED", 3)
    recipe = small(shelf)
    with pytest.raises(Unconfirmed, match=r"4 cells are left, about 0:\d\d at \d+\.\d s each checkpoint: add --yes"):
        run(recipe, tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "progress.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1]
    result = run(recipe_from(recipe.plain() | {"yes": True}), tmp_path / "out")  # type: ignore[arg-type]
    assert len(result.pictures) == 2 * 3 * 4


@pytest.mark.usefixtures("no_charts")
def test_several_subjects_are_learned_each_and_a_photo_is_redrawn(shelf: Path, tmp_path: Path) -> None:
    photo = shelf / "dog" / "3.png"
    subjects = [{"photos": str(shelf / "dog"), "name": name, "subject": f"{name} dog"} for name in ("sks", "zwx")]
    recipe = small(
        shelf,
        base={"evaluate_every": 2},
        photos=[],
        subjects=subjects,
        axes={"learning_rate": [1e-3]},
        generate={"photo": str(photo), "strength": [0.3, 0.9], "steps": 4},
    )
    result = run(recipe, tmp_path / "out")
    lines = list(csv.DictReader((tmp_path / "out" / "trainings.csv").read_text().splitlines()))
    assert {line["subject"] for line in lines} == {"sks", "zwx"}
    assert len(result.pictures) == 2 * 2 * 2 * 2 * 2  # subjects, checkpoints, strengths, prompts, pictures
    (end,) = (tmp_path / "out" / "cells").glob("*/01-*/5/000002-0")
    first, second = (np.asarray(Image.open(end.with_name(f"000002-{way}") / "00-00.png")) for way in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.usefixtures("no_charts")
def test_a_disk_too_small_for_all_checkpoints_is_said_at_the_first(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, real = sweep.Sweep._check_room, shutil.disk_usage
    more = -1

    def beside(self: Any, plan: Any, training: Any, size: int, folder: Path) -> None:
        free = 4 * size + ROOM_WANTED + more  # two trainings of two checkpoints
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda place: real(place)._replace(free=free))
            check(self, plan, training, size, folder)

    monkeypatch.setattr(sweep.Sweep, "_check_room", beside)
    with pytest.raises(NoRoom, match=r"the 4 checkpoints .* take about .* evaluate_every higher"):
        run(small(shelf), tmp_path / "out")
    assert not list((tmp_path / "out").glob("trainings/*/*/5/training/steps/*"))
    more = 0
    run(small(shelf), tmp_path / "out")
    assert len(list((tmp_path / "out").glob("trainings/*/*/5/training/steps/*"))) == 4


@pytest.mark.usefixtures("no_charts")
def test_a_full_disk_ends_a_sweep_and_is_no_failure_of_a_training(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(EaselError, match="the disk is full"):
        run(small(shelf), tmp_path / "out")
    rows = Journal(tmp_path / "out" / "progress.jsonl", sweep.is_row).rows
    assert not [row for row in rows.values() if "failed" in row]


@pytest.mark.usefixtures("no_charts")
def test_what_is_recommended_is_written_for_other_tools(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easel.metrics.sweeps.change", lambda *_: Estimate(1.0, 0.5, 1.5, 2))  # more than untrained
    result = run(small(shelf, base={"method": "textual-inversion"}, axes={"learning_rate": [1e-3]}), tmp_path / "out")
    assert result.texts["recommended"].endswith(": the folder 'recommended' is what --embedding takes")
    assert (tmp_path / "out" / "recommended" / "learned_embeds.safetensors").is_file()


def test_a_lora_counts_as_told_and_then_as_before(shelf: Path) -> None:
    pipeline = models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32").pipeline
    lora.attach(pipeline, "subject", ["unet", "text_encoder"], lora.Shape(2, 4.0))
    of = {
        part: [m for m in getattr(pipeline, part).modules() if "subject" in (getattr(m, "lora_A", None) or {})]
        for part in ("unet", "text_encoder")
    }
    with lora.scaled(pipeline, "subject", 0.5, 0.25):
        assert {m.scaling["subject"] for m in of["unet"]} == {1.0}
        assert {m.scaling["subject"] for m in of["text_encoder"]} == {0.5}
    assert {m.scaling["subject"] for part in of.values() for m in part} == {2.0}


@pytest.mark.usefixtures("no_charts")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = of_few_cells(read_yaml(path))
    assert isinstance(recipe, Compare)
    photos = recipe.each_subject()[0].own["photos"]
    if not Path(photos).is_dir():
        pytest.skip(f"{photos} is not on this machine")
    assert sweep.planned(read_yaml(path))  # type: ignore[arg-type]
    own = {"model": str(shelf / "sd"), "judge": str(shelf / "judges")}
    if path.stem == "dreambooth-benchmark":
        own |= {"prompts": "examples/world-prompts.txt"}
    few = Compare.model_validate(recipe.plain() | {"base": recipe.base | own})
    (tmp_path / "again.yaml").write_text(to_yaml(few))
    assert read_yaml(tmp_path / "again.yaml") == few
    result = run(few, tmp_path / "out")
    assert "report.html" in result.files
    assert all(file.exists() for file in result.paths)
