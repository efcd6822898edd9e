"""Likeness, diversity and preservation on numbers worked out by hand, and how diffusion models learn from noise."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from easel import models, runners
from easel.errors import EaselError
from easel.jobs import likeness
from easel.jobs.judges import Fitness
from easel.jobs.score.likeness import read_prompts
from easel.metrics import likeness as metric
from easel.metrics.intervals import Estimate
from easel.recipes.score import ScoreLikeness
from easel.training import denoising, finetune
from easel.training.distributed import Team
from easel.training.finetune import Example, Examples, Learning
from tests import fakes
from tests.conftest import drawn

# The metric, by hand


def test_subject_fidelity_is_the_mean_cosine_over_all_pairs() -> None:
    """Made (1, 0) and (0, 2) against real (1, 0), (1, 1): (1 + 1/sqrt 2) / 2 and (0 + 1/sqrt 2) / 2."""
    found = metric.subject_fidelity([[1, 0], [0, 2]], [[1, 0], [1, 1]])
    half = 1 / math.sqrt(2)
    assert found == pytest.approx([(1 + half) / 2, half / 2])
    assert found.mean() == pytest.approx((1 + 0 + half + half) / 4)  # over the four pairs
    assert metric.subject_fidelity([[3.0]], [[-2.0]]) == pytest.approx([-1])
    with pytest.raises(ValueError, match="a row is zero"):
        metric.subject_fidelity([[0, 0]], [[1, 0]])
    with pytest.raises(ValueError, match="cannot be compared"):
        metric.subject_fidelity([[0, 1]], [[1, 0, 0]])


def test_div_is_the_mean_over_pairs() -> None:
    """Three pictures have three pairs; four have six."""
    assert metric.pairs(3) == [(0, 1), (0, 2), (1, 2)]
    assert len(metric.pairs(4)) == 6
    assert metric.diversity([0.2, 0.4, 0.9]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="distances of pairs"):
        metric.diversity([])


def test_a_near_copy_is_nearer_than_half_of_what_photos_are_apart() -> None:
    found = metric.near_copies([[0.9, 0.49], [0.51, 0.9], [0.0]], 1.0)
    assert found.tolist() == [True, False, True]
    assert metric.near_copies([[0.9]], 2.0).tolist() == [True]
    with pytest.raises(ValueError, match="nothing tells a copy"):
        metric.near_copies([[0.1]], 0.0)


class Subject:
    """The colour in the middle, as a unit vector."""

    def images(self, images: Any) -> Any:
        rows = np.array([fakes.centre(image) for image in images], np.float64) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Perceptual:
    """The share of the mean difference of colours in 255."""

    def distance(self, a: Any, b: Any) -> list[float]:
        both = zip(a, b, strict=True)
        return [float(np.abs(np.subtract(fakes.centre(x), fakes.centre(y), dtype=float)).mean() / 255) for x, y in both]


class Words:
    """A picture's colour, and the colour that a text names."""

    def images(self, images: Any) -> Any:
        return Subject().images(images)

    def texts(self, texts: Any) -> Any:
        rows = np.array([fakes.colour_of(text) for text in texts], np.float64) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def judges(fit: float = 1.0) -> Any:
    made: Any = likeness.LikenessJudges
    return made("made-up", Subject(), Words(), Perceptual(), Fitness("made-up", Estimate(fit, None, None, 20)))


def flat(*colour: int) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


RED, GREEN, BLUE = flat(255, 0, 0), flat(0, 255, 0), flat(0, 0, 255)


def test_the_numbers_of_pictures_by_hand() -> None:
    """Two prompts of two pictures: red, red for 'red', and red, green for 'blue'; the subject is red."""
    cosine = (256 + 256 + 1) / (256**2 + 2)  # of two colours with one added to each channel
    real, trained = likeness.Photos.of([RED], judges()), likeness.Photos.of([RED, BLUE], judges())
    assert real.apart is None
    assert real.ceiling is None
    assert trained.apart == pytest.approx(2 / 3)
    values = likeness.measure(judges(), [("red", [RED, RED]), ("blue", [RED, GREEN])], real, trained)
    assert values[likeness.SUBJECT] == [pytest.approx([1, 1]), pytest.approx([1, cosine])]
    assert values["CLIP-T"] == [pytest.approx([1, 1]), pytest.approx([cosine, cosine])]
    assert values[likeness.DIV] == [[0.0], [pytest.approx(2 / 3)]]
    assert values[likeness.COPIES] == [[1, 1], [1, 0]]  # green is 2/3 from both photos
    found = likeness.estimates(values)
    assert found[likeness.SUBJECT].value == pytest.approx((1 + (1 + cosine) / 2) / 2)
    assert found[likeness.SUBJECT].n == 2  # prompts
    assert found[likeness.COPIES].value == pytest.approx(0.75)
    assert found[likeness.DIV].value == pytest.approx(1 / 3)


def test_pres_and_the_diversity_of_the_class_by_hand() -> None:
    real = likeness.Photos.of([RED, RED], judges())
    cosine = (256 + 256 + 1) / (256**2 + 2)
    found = likeness.estimates(likeness.of_class(judges(), [RED, GREEN, BLUE], real))
    assert found[likeness.PRES].value == pytest.approx((1 + 2 * cosine) / 3)
    assert found[likeness.CLASS_DIV].value == pytest.approx(2 / 3)
    collapsed = likeness.estimates(likeness.of_class(judges(), [RED, RED], real))
    assert collapsed[likeness.PRES].value == pytest.approx(1)
    assert collapsed[likeness.CLASS_DIV].value == 0


def test_what_has_no_meaning_is_left_out() -> None:
    real = likeness.Photos.of([RED], judges())
    values = likeness.measure(judges(0.2), [("red", [RED])], real, real)
    assert set(values) == {likeness.SUBJECT, "CLIP-T"}  # no CLIP-I by an unfit judge, no pair, no distance among photos
    assert likeness.without("a photo of a sks dog, sks", "sks") == "a photo of a dog,"
    assert likeness.without("asks", "sks") == "asks"


# easel score likeness


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of two prompts, photos, and pictures of the class, before judges of colours."""
    sets = {"made": [RED, RED, RED, GREEN], "real": [RED], "photos": [RED, BLUE], "class": [RED, GREEN]}
    for name, pictures in sets.items():
        (tmp_path / name).mkdir()
        for number, picture in enumerate(pictures):
            picture.save(tmp_path / name / f"{number}.png")
    (tmp_path / "prompts.txt").write_text("# two\na sks red thing\na sks blue thing\n")
    parts = {"subject": Subject(), "clip": Words(), "perceptual": Perceptual()}
    monkeypatch.setattr(models, "load", lambda _name, role, *_more, **_named: parts[role])
    monkeypatch.setattr(Fitness, "of", lambda family: Fitness(family, Estimate(1.0, None, None, 20)))
    return tmp_path


def score(place: Path, name: str = "out", **more: Any) -> Any:
    values = {"real": str(place / "real"), "made": str(place / "made"), "identifier": "sks", "seed": 1}
    return runners.run(ScoreLikeness.model_validate({**values, **more}), place / name, "cpu", "float32")


def test_pictures_of_any_tool_are_scored(scored: Path) -> None:
    more = {"photos": str(scored / "photos"), "class_pictures": str(scored / "class")}
    result = score(scored, prompts=str(scored / "prompts.txt"), **more)
    values = {one.name: one.value for one in result.scores}
    cosine = (256 + 256 + 1) / (256**2 + 2)
    assert values[likeness.SUBJECT] == pytest.approx((1 + (1 + cosine) / 2) / 2)
    assert values["CLIP-T"] == pytest.approx((1 + cosine) / 2)
    assert values[likeness.COPIES] == pytest.approx(0.75)
    assert values[likeness.PRES] == pytest.approx((1 + cosine) / 2)
    rows = list(csv.DictReader((scored / "out" / "table.csv").read_text().splitlines()))
    assert [row["prompt"] for row in rows] == ["a sks red thing"] * 2 + ["a sks blue thing"] * 2
    assert rows[3]["file_name"] == "3.png"


def test_prompts_belong_to_pictures_by_order_folder_or_caption(scored: Path) -> None:
    (scored / "three.yaml").write_text("".join(f"- name: p{n}\n  prompt: red {n}\n" for n in range(3)))
    with pytest.raises(EaselError, match=r"4 pictures in .* cannot be shared among 3 prompts"):
        score(scored, prompts=str(scored / "three.yaml"))
    for number, name in enumerate("ab"):
        (scored / "apart" / name).mkdir(parents=True)
        for turn in range(number + 1):
            drawn().save(scored / "apart" / name / f"{turn}.png")
    result = score(scored, "apart-out", made=str(scored / "apart"), prompts=str(scored / "prompts.txt"))
    assert any("each of the 2 folders was taken for a prompt" in note for note in result.notes)
    with pytest.raises(EaselError, match="has no caption and no prompt inside: name a file of prompts"):
        score(scored, "none")
    for number in range(4):
        (scored / "made" / f"{number}.txt").write_text(f"a red {number // 2}")
    assert {one.n for one in score(scored, "said").scores if one.name == "CLIP-T"} == {2}
    (scored / "empty.txt").write_text("\n# nothing\n")
    with pytest.raises(EaselError, match="has no prompts"):
        read_prompts(str(scored / "empty.txt"))


# Noise, targets, weights


def test_targets_lead_back_to_the_latents() -> None:
    """By hand at alpha 0.64: x = 0.8 x0 + 0.6 e, v = 0.8 e - 0.6 x0; and x0 = 0.8 x - 0.6 v."""
    latents, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), -1.0)
    alphas = torch.tensor([0.64])
    x = denoising.noisy(latents, noise, alphas)
    assert x.item() == pytest.approx(0.8 * 2 - 0.6)
    v = denoising.target_of("v_prediction", latents, noise, alphas)
    assert v.item() == pytest.approx(-0.8 - 1.2)
    assert (0.8 * x - 0.6 * v).item() == pytest.approx(2.0)
    assert denoising.target_of("epsilon", latents, noise, alphas).item() == -1
    assert denoising.target_of("sample", latents, noise, alphas).item() == 2
    nothing = torch.tensor([0.0])  # zero terminal SNR: pure noise, and the velocity is the latents'
    assert torch.equal(denoising.noisy(latents, noise, nothing), noise)
    assert torch.equal(denoising.target_of("v_prediction", latents, noise, nothing), -latents)


def test_min_snr_weights_by_hand() -> None:
    """SNR 1/3, 4 and 9 at alphas 0.25, 0.8, 0.9, gamma 5."""
    alphas = torch.tensor([0.25, 0.8, 0.9])
    assert denoising.min_snr_weights("epsilon", alphas, 5.0).tolist() == pytest.approx([1, 1, 5 / 9])
    assert denoising.min_snr_weights("v_prediction", alphas, 5.0).tolist() == pytest.approx([0.25, 0.8, 0.5])
    assert denoising.min_snr_weights("sample", alphas, 5.0).tolist() == pytest.approx([1 / 3, 4, 5])
    at_the_ends = denoising.min_snr_weights("v_prediction", torch.tensor([0.0, 1.0]), 5.0)
    assert bool(torch.isfinite(at_the_ends).all())


def test_errors_are_weighed_and_masked_by_hand() -> None:
    said, target = torch.zeros(2, 1, 1, 2), torch.tensor([[[[1.0, 3.0]]], [[[2.0, 0.0]]]])
    assert denoising.squared_error(said, target).item() == pytest.approx((5 + 2) / 2)
    assert denoising.squared_error(said, target, torch.tensor([1.0, 0.0])).item() == pytest.approx(2.5)
    left = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 0.0]]]])
    assert denoising.squared_error(said, target, None, left).item() == pytest.approx((1 + 4) / 2)
    assert denoising.squared_error(said, target, None, torch.zeros_like(left)).item() == 0


def test_offset_noise_shifts_whole_channels() -> None:
    shape = torch.Size((64, 4, 16, 16))
    plain, shifted = (denoising.noise_of(shape, by, torch.Generator().manual_seed(1)) for by in (0.0, 2.0))
    assert plain.mean(dim=(2, 3)).std().item() == pytest.approx(1 / 16, abs=0.01)
    assert shifted.mean(dim=(2, 3)).std().item() == pytest.approx(2, abs=0.2)
    assert (shifted - plain).std(dim=(2, 3)).max().item() < 1e-5


def test_times_are_spread_over_the_schedule() -> None:
    for seed in range(5):
        times = denoising.times_of(10, 1000, torch.Generator().manual_seed(seed))
        assert sorted(int(time) // 100 for time in times) == list(range(10))
    assert 0 <= int(denoising.times_of(1, 7, torch.Generator().manual_seed(1))[0]) < 7


# Batches, plans, rates


def examples(count: int, **more: Any) -> list[Example]:
    return [Example(torch.full((1, 2, 2), float(number)), f"p{number}", **more) for number in range(count)]


def test_batches_follow_from_the_step_and_every_photo_is_seen_once_an_epoch() -> None:
    source = Examples(examples(5), examples(3), 2, seed=7)
    seen = [prompt for step in range(5) for prompt in source.batch(step).instance.prompts]
    assert sorted(seen[:5]) == sorted(seen[5:]) == [f"p{n}" for n in range(5)]
    assert source.batch(3).instance.prompts == Examples(examples(5), examples(3), 2, seed=7).batch(3).instance.prompts
    prior = source.batch(0).prior
    assert prior is not None
    assert len(prior.prompts) == 2
    shares = [Examples(examples(5), [], 2, 7, Team(rank, 2)).batch(4).instance.prompts for rank in range(2)]
    assert (*shares[0], *shares[1]) == source.batch(4).instance.prompts


def test_a_batch_is_of_one_shape_and_half_is_mirrored() -> None:
    wide = [Example(torch.zeros(1, 2, 4), "wide", torch.ones(1, 2, 4))] * 2
    source = Examples([*examples(3), *wide], [], 4, seed=1)
    shapes = {source.batch(step).instance.latents.shape[2:] for step in range(12)}
    assert shapes == {(2, 2), (2, 4)}
    turned = [row.mean().item() for step in range(40) for row in Examples(wide, [], 2, 1).batch(step).instance.latents]
    assert np.mean(turned) == pytest.approx(0.5, abs=0.15)


def test_plans_are_the_methods_the_models_and_the_persons_in_this_order() -> None:
    own = {"lora": {"learning_rate": 0.5, "targets": ["all"]}}
    plan = finetune.plan_for("lora", own, {"rank": 3, "learning_rate": None, "targets": ()})
    assert (plan.learning_rate, plan.targets, plan.rank) == (0.5, ("all",), 3)
    assert finetune.plan_for("full", own, {}).prior_weight == 1
    for wrong, said in (
        ({"lora": {"rate": 1}}, "no setting of personalize called 'rate'"),
        ({"lora": {"rank": "many"}}, "'rank' of personalize cannot be 'many'"),
        ({"lora": {"rank": -1}}, "'rank' of personalize cannot be -1"),
        ({"lora": 3}, "has no table for lora"),
    ):
        with pytest.raises(EaselError, match=said):
            finetune.plan_for("lora", wrong, {})


def test_rates_rise_stay_and_fall() -> None:
    constant = [finetune.scheduled(step, 1.0, Learning(warmup=4), 10) for step in range(6)]
    assert constant == [0.25, 0.5, 0.75, 1, 1, 1]
    falling = [finetune.scheduled(step, 1.0, Learning(lr_schedule="cosine"), 10) for step in (0, 5, 10)]
    assert falling == pytest.approx([1.0, 0.02 + 0.98 / 2, 0.02])


class EightBit(torch.optim.Optimizer):
    """An optimizer that keeps a byte for each weight, and counts in Python's numbers, as bitsandbytes' does."""

    def __init__(self, weights: Any) -> None:
        super().__init__(weights, {"lr": 0.1})

    def step(self, _closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state |= {"step": 0, "state1": torch.zeros(3, dtype=torch.uint8), "absmax1": torch.zeros(1)}
                state["step"] += 1
                state["state1"] += 7
                state["absmax1"] += weight.grad.abs().max()
                weight.data -= 0.1 * weight.grad * state["step"]


def test_moments_of_any_form_are_kept_and_restored(tmp_path: Path) -> None:
    from easel.training.state import Position
    from easel.training.trainer import Measured, Phase, Trainer

    def trainer() -> Trainer:
        torch.manual_seed(0)
        player = torch.nn.Linear(2, 1)
        phase = Phase("p", ("x",), 1, lambda c: Measured(c.players["x"](torch.ones(1, 2)).square().mean()))
        return Trainer({"x": player}, [phase], {"x": EightBit(player.parameters())}, lambda step, _: step)

    whole, cut = trainer(), trainer()
    for step in range(4):
        whole.step(step)
    for step in range(2):
        cut.step(step)
    cut.save(tmp_path / "c", Position(2))
    again = trainer()
    again.restore(tmp_path / "c")
    for step in (2, 3):
        again.step(step)
    states = [list(one.optimizers["x"].state.values()) for one in (whole, again)]
    for left, right in zip(*states, strict=True):
        assert left["step"] == right["step"] == 4
        assert isinstance(right["step"], int)
        assert torch.equal(left["state1"], right["state1"])
    assert torch.equal(whole.players["x"].weight, again.players["x"].weight)  # type: ignore[arg-type]
