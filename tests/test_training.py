"""The floor of training: the loop, checkpoints that survive a kill, stores, tokenizers, and small storage."""

import dataclasses
import json
import math
import re
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from easel import networks
from easel.errors import EaselError
from easel.jobs import train as train_job
from easel.jobs.generate import steer
from easel.networks.flow import Flow
from easel.pocket.train import (
    bars,
    cards,
    export,
    facts,
    judge,
    pages,
    perceptual,
    pictures,
    samples,
    score,
    spotter,
    subject,
    text,
    vae,
)
from easel.pocket.train import fit as fit_module
from easel.pocket.train.fit import Schedule, fit, trainer_for
from easel.pocket.train.pictures import Store
from easel.pocket.world import Scene, captions, segmentation
from easel.pocket.world.language import time_of_day
from easel.pocket.world.words import COLOURLESS, LABELS
from easel.training import augment, checkpoints, muon, objectives
from easel.training.plans import warmup_cosine
from easel.training.state import Position, State
from easel.training.trainer import Context, Measured, Phase, Trainer, frozen

QUIET: Any = lambda line: None  # noqa: E731


def problem() -> tuple[nn.Linear, Any]:
    """y = 2x - 1, with noise that comes from the step alone."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)

    def loss(context: Context) -> Measured:
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(context.step))
        return Measured((model(x) - (2 * x - 1)).square().mean())

    return model, loss


def test_the_loop_finds_the_known_answer(tmp_path: Path) -> None:
    model, loss = problem()
    fit(model, loss, Schedule(steps=400, lr=0.05, warmup=10, weight_decay=0, average_decay=0.9), tmp_path / "a", QUIET)
    assert model.weight.item() == pytest.approx(2, abs=0.01)
    assert model.bias.item() == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("kills", [[30], [7, 41], [1, 2, 59]])
def test_killed_at_any_step_it_resumes_to_the_same_weights(tmp_path: Path, kills: list[int]) -> None:
    plan = Schedule(steps=60, lr=0.05, warmup=10, save_seconds=0)
    whole, loss = problem()
    fit(whole, loss, plan, tmp_path / "whole", QUIET)
    for kill in kills:
        model, loss = problem()

        def killed(context: Context, kill: int = kill, loss: Any = loss) -> Measured:
            if context.step == kill:
                raise KeyboardInterrupt
            return loss(context)  # type: ignore[no-any-return]

        with pytest.raises(KeyboardInterrupt):
            fit(model, killed, plan, tmp_path / "cut", QUIET)
    model, loss = problem()
    fit(model, loss, plan, tmp_path / "cut", QUIET)
    assert torch.equal(model.weight, whole.weight)
    assert torch.equal(model.bias, whole.bias)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    model, loss = problem()
    fit(model, loss, Schedule(steps=5, save_seconds=0), tmp_path / "c", QUIET)
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(FloatingPointError, match="step 5"):
        fit(
            model, lambda _: Measured(torch.tensor(float("nan"), requires_grad=True)), Schedule(steps=9), tmp_path / "c"
        )
    assert (tmp_path / "c").read_bytes() == before


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    model, loss = problem()
    fit(model, loss, Schedule(steps=2), tmp_path / "c", QUIET)
    other = nn.Linear(2, 1)
    with pytest.raises(EaselError, match="is of another network than this recipe's"):
        fit(other, loss, Schedule(steps=2), tmp_path / "c", QUIET)


def test_the_rate_warms_up_peaks_and_falls() -> None:
    def rate(step: int) -> float:
        return warmup_cosine(step, 1.0, warmup=10, steps=100)

    assert [rate(step) for step in (0, 9, 10)] == [0.1, 1.0, 1.0]
    assert rate(55) == pytest.approx(0.02 + 0.98 / 2)
    assert rate(100) == pytest.approx(0.02)


# --- the trainer


def duel(phases: list[Phase], **more: Any) -> Trainer:
    """Two players of one number each, x = 1 and y = 2, moved by plain gradient descent."""
    players: dict[str, nn.Module] = {"x": nn.Linear(1, 1, bias=False), "y": nn.Linear(1, 1, bias=False)}
    with torch.no_grad():
        for player, value in zip(players.values(), (1.0, 2.0), strict=True):
            player.weight.fill_(value)  # type: ignore[operator, union-attr]
    optimizers = {name: torch.optim.SGD(player.parameters(), lr=0.1) for name, player in players.items()}
    return Trainer(players, phases, optimizers, lambda step, phase: 10 * step + phase, **more)


def values(trainer: Trainer) -> list[float]:
    return [next(player.parameters()).item() for player in trainer.players.values()]


def test_only_a_phases_players_learn_from_its_loss() -> None:
    """By hand: x goes down d(x y)/dx = 2 by 0.1; y, which is in the loss too, stays."""

    def product(context: Context) -> Measured:
        x, y = (player.weight for player in context.players.values())
        assert [x.requires_grad, y.requires_grad] == [True, False]
        return Measured((x * y).sum(), {"product": (x * y).sum()})

    trainer = duel([Phase("product", ("x",), 1, product)])
    assert trainer.step(0) == {"product": torch.tensor(2.0)}
    assert values(trainer) == pytest.approx([0.8, 2.0])
    assert all(weight.requires_grad for player in trainer.players.values() for weight in player.parameters())


def test_a_loss_sets_nothing_and_the_next_phase_sees_what_it_returned() -> None:
    seen: list[tuple[int, str, float]] = []

    def loss(context: Context, name: str) -> Measured:
        seen.append((context.step, name, context.state.augmentation))
        before = context.state
        with pytest.raises(dataclasses.FrozenInstanceError):
            before.augmentation = 9.0  # type: ignore[misc]
        return Measured(context.players["x"].weight.sum(), updates={"augmentation": before.augmentation + 0.25})

    phases = [Phase(name, ("x",), interval, partial(loss, name=name)) for name, interval in (("a", 1), ("b", 2))]
    trainer = duel(phases, state=State(augmentation=0.5))
    for step in range(3):
        trainer.step(step)
    assert seen == [(0, "a", 0.5), (0, "b", 0.75), (1, "a", 1.0), (2, "a", 1.25), (2, "b", 1.5)]
    assert trainer.state == State(augmentation=1.75)
    with pytest.raises(TypeError, match="unexpected keyword argument 'balance'"):
        duel([Phase("a", ("x",), 1, lambda c: Measured(c.players["x"].weight.sum(), updates={"balance": 1.0}))]).step(0)


def test_gradients_of_several_phases_add_up_before_one_step() -> None:
    """x^2 and 3 x at x = 1: one step of 0.1 along 2 + 3; as two steps it would be 1 - 0.2 - 0.3 as well, but of 2 x at
    0.7 for x^2 first. Both losses see x = 1.
    """
    found: list[float] = []

    def loss(context: Context, power: int, weight: float) -> Measured:
        x = context.players["x"].weight
        found.append(x.item())
        return Measured(weight * (x**power).sum(), {f"power {power}": x.sum()})

    phases = [
        Phase("prior", ("x",), 1, partial(loss, power=1, weight=3.0), accumulates=True),
        Phase("instance", ("x",), 1, partial(loss, power=2, weight=1.0)),
    ]
    trainer = duel(phases)
    assert set(trainer.step(0)) == {"power 1", "power 2"}
    assert found == [1.0, 1.0]
    assert values(trainer) == pytest.approx([0.5, 2.0])
    trainer.step(1)
    assert values(trainer)[0] == pytest.approx(0.5 - 0.1 * (3 + 1))


def test_gradients_are_clipped_and_the_learning_rate_follows_its_schedule() -> None:
    trainer = duel(
        [Phase("steep", ("x",), 1, lambda context: Measured(50 * context.players["x"].weight.sum()))],
        clip=1.0, lr_schedule=lambda step, lr: lr / (step + 1),
    )  # fmt: skip
    places = []
    for step in range(2):
        trainer.step(step)
        places.append(values(trainer)[0])
    assert places == pytest.approx([1 - 0.1, 1 - 0.1 - 0.05], abs=1e-5)


def test_weights_that_no_optimizer_holds_are_neither_saved_nor_averaged(tmp_path: Path) -> None:
    """As in a LoRA: what is frozen is large, and lies elsewhere already."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    phase = Phase(
        "fit", ("model",), 1, lambda context: Measured(context.players["model"](torch.randn(4, 2)).square().mean())
    )
    optimizers = {"model": torch.optim.SGD(learning, lr=0.1)}
    trainer = Trainer({"model": model}, [phase], optimizers, lambda step, _: step, averages={"model": lambda _: 0.5})
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    trainer.step(0)
    saved = {name for name in trainer.state_dict() if name.startswith(("player/", "average/"))}
    names = {"1.weight", "1.bias", "2.weight", "2.bias"}
    buffers = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert saved == {f"player/model/{n}" for n in names | buffers} | {f"average/model/{n}" for n in names}
    averaged = trainer.averaged("model")
    for name, weight in averaged.named_parameters():
        assert torch.allclose(weight, (before[name] + dict(model.named_parameters())[name]) / 2), name
    assert not averaged.training
    trainer.use_averages()
    assert torch.equal(model.get_parameter("2.weight"), averaged.get_parameter("2.weight"))


def test_pockets_parts_and_easel_train_share_the_trainer() -> None:
    """One class and one loop for both; a part is one player and one phase."""
    model, loss = problem()
    trainer = trainer_for(model, loss, Schedule(steps=3, warmup=0, lr=0.1))
    assert type(trainer) is Trainer
    assert list(trainer.players) == [phase.name for phase in trainer.phases] == ["model"]
    jobs: Any = train_job
    assert vars(fit_module)["loop"] is jobs.loop
    assert jobs.setup.trainer_for.__annotations__["return"] is Trainer


# --- checkpoints


def checkpoint(folder: Path, position: Position | None = None) -> Path:
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3), "c": torch.ones(2, dtype=torch.bfloat16)}
    checkpoints.write(folder / "c.safetensors", tensors, position or Position(step=7, seconds=1.5))
    return folder / "c.safetensors"


def test_a_checkpoint_gives_back_what_was_written(tmp_path: Path) -> None:
    position = Position(7, 1.5, State(augmentation=0.25), {"critic": [1.0, 2.5]}, {"data": "0f"})
    file = checkpoint(tmp_path, position)
    tensors, found = checkpoints.read(file)
    assert found == checkpoints.read_position(file) == position
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["b"].item() == 3
    assert tensors["c"].dtype == torch.bfloat16
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@given(data=st.data())
def test_a_flipped_bit_is_told(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = checkpoint(tmp_path_factory.getbasetemp())
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    try:
        tensors, position = checkpoints.read(file)
    except EaselError as problem:
        error = str(problem)
    else:  # a bit that says nothing
        whole = checkpoints.read(checkpoint(tmp_path_factory.getbasetemp()))
        assert position == whole[1]
        assert all(torch.equal(tensors[name], whole[0][name]) for name in whole[0])
        return
    assert re.search(r"is damaged .*: delete it|does not say how far it came.*: delete it", error)
    assert "\n" not in error


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "does not say how far it came, as those of an earlier easel: delete it to begin anew"),
        ({"state": '{"step": 3, "extras": {}}'}, "does not say how far it came"),
        ({"position": "{"}, r"is damaged \(.*JSON.*\): delete it to begin anew"),
        ({"position": "[]"}, "is damaged"),
        ({"position": '{"step": "many"}'}, r"is damaged \(step: .*integer"),
        ({"position": '{"step": -1}'}, r"is damaged \(step: .*greater than or equal to 0"),
        ({"position": '{"step": 3, "seconds": "long"}'}, r"is damaged \(seconds: .*number"),
        ({"position": '{"step": 3, "state": {"augmentation": "much"}}'}, r"is damaged \(state\.augmentation: .*number"),
        ({"position": '{"step": 3, "losses": {"critic": "high"}}'}, r"is damaged \(losses\.critic: .*array"),
        ({"position": '{"step": 3}'}, r"is damaged \(its checksum is another\)"),
    ],
)
def test_a_rotten_checkpoint_is_one_line(metadata: dict[str, str] | None, said: str, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "c", metadata)
    with pytest.raises(EaselError, match=said) as found:
        checkpoints.read(tmp_path / "c")
    assert "\n" not in str(found.value)


def store(folder: Path, name: str = "some", n: int = 6) -> Store:
    rng = np.random.default_rng(0)
    np.save(folder / f"{name}.npy", rng.integers(0, 256, (n, 256, 256, 3), np.uint8))
    rows = [
        {
            "captions": [f"a red bird {i}", "bird"],
            "questions": [["is it red?", "yes"], ["is it blue?", "no"]],
            "facts": {},
        }
        for i in range(n)
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return Store(folder, name)


def test_a_store_whose_lines_do_not_fit_is_refused(tmp_path: Path) -> None:
    store(tmp_path)
    with (tmp_path / "some.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(ValueError, match="6 pictures, 7 lines"):
        Store(tmp_path, "some")


def test_the_same_step_draws_the_same_batch(tmp_path: Path) -> None:
    mix = samples.Mix([store(tmp_path)], [1.0])
    first, again, other = (mix.batch(1, step, 4) for step in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first[0], again[0], strict=True))
    assert first[1] == again[1] != other[1]
    assert torch.equal(vae.crops(mix.stores, 3), vae.crops(mix.stores, 3))


def test_questions_are_drawn_as_often_from_yes_as_from_no(tmp_path: Path) -> None:
    row = {"questions": [["a?", "no"]] * 9 + [["b?", "yes"]]}
    drawn = samples.questions(row, np.random.default_rng(0), 400)
    assert 150 < sum(answer == "yes" for _, answer in drawn) < 250


def test_photos_are_cut_to_squares(tmp_path: Path) -> None:
    """Red grows to the right and green downwards, so that a cut says where it was made and how large."""
    across, down = np.meshgrid(np.linspace(0, 255, 300), np.linspace(0, 255, 520))
    Image.fromarray(np.stack([across, down, 0 * down], axis=2).round().astype(np.uint8)).save(tmp_path / "a.png")

    def cut(zoom: float, seed: int) -> Any:
        made = pictures.square(str(tmp_path / "a.png"), np.random.default_rng(seed), zoom).astype(int)
        assert made.shape == (256, 256, 3)
        return made

    plain = cut(1.0, 0)  # 256 x 444, of which the rows 94 to 349 are the middle
    assert plain[:, 0, 0].max() <= 2
    assert plain[:, -1, 0].min() >= 253
    assert plain[0, :, 1] == pytest.approx(255 * 94 / 443, abs=3)
    assert plain[-1, :, 1] == pytest.approx(255 * 349 / 443, abs=3)
    assert np.array_equal(plain, cut(1.0, 1))
    near = cut(1.6, 0)  # 410 x 710: 256 of each, from a place that is drawn
    assert near[0, -1, 0] - near[0, 0, 0] == pytest.approx(255 * 255 / 409, abs=3)
    assert near[-1, 0, 1] - near[0, 0, 1] == pytest.approx(255 * 255 / 709, abs=3)
    assert np.array_equal(near, cut(1.6, 0))
    assert len({tuple(cut(1.6, seed)[0, 0]) for seed in range(6)}) > 3


def test_tokenizers_learn_words_and_never_lose_letters(tmp_path: Path) -> None:
    clip, bert = text.tokenizers([store(tmp_path)], tmp_path)
    assert clip.model_max_length == 77
    for words in ("a red bird", "zebra quartz, 42!", "écrasé 雪"):
        assert clip.unk_token_id not in clip(words).input_ids[1:-1]
        read = clip.decode(clip(words).input_ids, skip_special_tokens=True)  # CLIP sets spaces around signs and digits
        assert read.replace(" ", "") == words.replace(" ", "")
    ids = bert("a red bird").input_ids
    assert (ids[0], ids[-1]) == (bert.cls_token_id, bert.sep_token_id)
    assert bert.decode(ids, skip_special_tokens=True) == "a red bird"
    assert bert.bos_token == "[DEC]"
    again, _ = text.tokenizers([], tmp_path)  # read back, not learned anew
    assert again("a red bird").input_ids == clip("a red bird").input_ids


def test_matrices_are_stored_in_one_byte_and_the_rest_in_two() -> None:
    matrix = torch.tensor([[0.5, -448.0], [1e9, 0.0]])
    assert export.shrink(matrix).dtype == torch.float8_e4m3fn
    assert export.shrink(matrix).float().tolist() == [[0.5, -448.0], [448.0, 0.0]]
    assert export.shrink(torch.ones(3)).dtype == torch.float16
    assert export.shrink(torch.ones(1, 3)).dtype == torch.float16  # a row is a vector
    assert export.shrink(torch.ones(3, 3, dtype=torch.long)).dtype == torch.long


def test_an_exported_folder_forgets_where_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    told = {"_name_or_path": "/home/someone/vae", "latent_channels": 8}
    (tmp_path / "vae" / "config.json").write_text(json.dumps(told))
    export.shrink_folder(tmp_path)
    assert json.loads((tmp_path / "vae" / "config.json").read_text()) == {"latent_channels": 8}


def test_the_subject_encoder_begins_as_blips_eyes() -> None:
    """The first layers of both, on the same picture, give the same tokens."""
    from transformers import BlipVisionConfig, BlipVisionModel

    from easel.pocket.train.blip import PATCH, WIDTH

    torch.manual_seed(0)
    shape = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_attention_heads=4, initializer_range=0.02)
    eyes = BlipVisionModel(
        BlipVisionConfig(**shape, num_hidden_layers=subject.LAYERS, image_size=subject.SIDE, patch_size=PATCH)
    ).eval()
    model = subject.network().eval()
    subject.adopt(model, eyes)
    x = torch.rand(1, 3, subject.SIDE, subject.SIDE)
    with torch.no_grad():
        assert torch.allclose(model(x).last_hidden_state, eyes(x).last_hidden_state, atol=1e-4)


def test_perceptual_summaries_are_centred() -> None:
    assert perceptual.summary(torch.rand(4, 8, 16, 16)).mean(dim=0).abs().max() < 1e-6


def test_stages_of_the_unet_share_one_network() -> None:
    from easel.pocket.train import unet

    assert list(unet.STAGES) == list(unet.BATCHES) == list(unet.SHARES) == [128, 256]
    schedule = unet.scheduler()
    assert schedule.alphas_cumprod[-1] < 1e-8  # the last step holds no signal


def test_an_error_counts_most_where_the_subjects_head_is() -> None:
    """By the world's own labels: a dog's place is found, and what is high on it counts more than its feet."""
    from easel.pocket.train import packing, unet

    scenes = [Scene.from_seed(seed, kind=kind, style="plain") for seed in range(6) for kind in ("dog", "woman", "car")]
    for scene in scenes:
        counts = unet.focus(packing.row_of(scene), 32)
        found = segmentation(scene, 32) == LABELS[scene.kind]
        assert (counts[found] > 1).mean() > 0.85
        rows = np.flatnonzero(found.any(axis=1))
        top, foot = (counts[row][found[row]].mean() for row in (rows[len(rows) // 5], rows[-3]))
        assert top > foot + 1
        assert counts.max() == pytest.approx(1 + unet.FOCUS, abs=0.2)


def test_kin_differ_where_the_subject_is_and_nowhere_else() -> None:
    from easel.pocket.train import packing

    made = packing.kin(200_007)
    assert [row["facts"]["kind"] for _, row in made] == list(packing.KIN)
    scenes = [Scene.from_seed(200_007, style="plain", kind=kind) for kind in packing.KIN]
    free = np.all([segmentation(scene) != LABELS[scene.kind] for scene in scenes], axis=0)
    beside = free & ~cv2.dilate((~free).astype(np.uint8), np.ones((25, 25))).astype(bool)  # their shadows and outlines
    beside[200:] = False  # things on the ground may stand before one and behind another
    (dog, _), (cat, _), (bird, _) = made
    for other in (cat, bird):
        assert np.abs(dog.astype(int) - other)[beside].mean() < 4  # the paper's grain is of each drawing
        assert np.abs(dog.astype(int) - other)[~free].mean() > 20


def test_a_redrawing_follows_the_plain_scene_and_says_so() -> None:
    from easel.pocket.train import packing

    (plain, first), (made, second) = packing.redrawn(60_003)
    assert (first["seed"], first["facts"]["style"]) == (second["seed"], "plain")
    assert second["redrawn"]
    assert "redrawn" not in first
    assert second["facts"] == first["facts"] | {"style": second["facts"]["style"]}
    assert plain.shape == made.shape
    assert not np.array_equal(plain, made)


def test_a_family_shares_its_words_but_for_the_kind(tmp_path: Path) -> None:
    from easel.pocket.train import packing, unet

    def store(name: str, rows: list[Any]) -> Any:
        np.save(tmp_path / f"latents-{name}-64.npy", np.arange(len(rows) * 8).reshape(-1, 8, 1, 1).astype(np.float16))
        return type("Few", (), {"rows": rows, "pixels": np.zeros((len(rows), 8, 8, 3), np.uint8)})()

    stores = {
        "kin": store("kin", [row for seed in (3, 4) for _, row in packing.kin(seed)]),
        "few": store("few", [packing.row_of(Scene.from_seed(5, kind="car"))]),
    }
    data = unet.Latents(cast("Any", None), stores, [0.0, 1.0], 64, tmp_path)
    told = [data.batch(step, 18) for step in range(6)]
    names = "|".join(sorted((name for kind in packing.KIN for name in facts.NAMES[kind]), key=len, reverse=True))
    size, strange = len(packing.KIN), 0
    for latents, over, prompts, _, rows, first in told:
        assert [row["facts"]["kind"] for row in rows] == [*packing.KIN * unet.FAMILIES, "car", "car", "car"]
        assert first.tolist() == [size * (i // size) for i in range(15)] + [15, 16, 17]
        for i in range(0, 15, size):
            assert len({row["seed"] for row in rows[i : i + size]}) == 1
            assert (latents[i + 1 : i + size] - latents[i] == torch.tensor([8, 16]).view(2, 1, 1, 1)).all()
            assert len({re.sub(names, "kind", prompt) for prompt in prompts[i : i + size]}) == 1
            under = {float(one[0]) for one in over[i : i + size]}
            assert under <= {float(one[0]) for one in latents[i : i + size]}
            assert len(under) in ((1, size) if prompts[i] else (size,))  # over one of them, or each over itself
            strange += len(under) == 1
        assert torch.equal(over[15:], latents[15:])
    assert 0.4 < strange / (6 * unet.FAMILIES) < 0.8  # REDRAWN of those whose words are not dropped
    assert {row["seed"] for batch in told for row in batch.rows[:15]} == {3, 4}


def test_what_a_family_shares_is_no_error_of_kin() -> None:
    from easel.pocket.train import unet

    first = torch.tensor([0, 0, 2, 3, 3, 3])
    errors = torch.tensor([1.0, 3.0, 7.0, 1.0, 1.0, 4.0])[:, None].expand(6, 2)
    assert unet.kindred(errors, first)[:, 1].tolist() == [-1, 1, 0, -1, -1, 2]


@pytest.mark.parametrize("facts", [{"kind": "room", "accessories": []}, {"style": "plain"}])
def test_a_room_and_a_photo_count_the_same_everywhere(facts: dict[str, Any]) -> None:
    from easel.pocket.train import unet

    assert (unet.focus({"seed": 1, "facts": facts}, 8) == 1).all()


def test_muon_gives_every_direction_the_same_step() -> None:
    torch.manual_seed(0)
    turned = muon.orthogonal(torch.randn(24, 24) @ torch.diag(torch.logspace(0, -2, 24)) @ torch.randn(24, 24))
    sizes = torch.linalg.svdvals(turned)
    assert sizes.max() < 1.3
    assert sizes.median() == pytest.approx(1, abs=0.35)


def test_muon_takes_matrices_and_convolutions_and_leaves_the_rest_to_adam() -> None:
    net = nn.Sequential(nn.Conv2d(16, 32, 3), nn.GroupNorm(4, 32), nn.Conv2d(32, 3, 1), nn.Embedding(20, 16))
    names = [name for name, p in net.named_parameters() if muon.is_matrix(name, p)]
    assert names == ["0.weight", "3.weight"]
    assert not muon.is_matrix("text.token_embedding.weight", nn.Parameter(torch.zeros(20, 16)))
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 32, 3)
    optimiser = muon.Muon(conv.named_parameters(), lr=0.1)
    assert conv.bias is not None
    before, start = conv.weight.detach().clone(), conv.bias.detach().clone()
    conv.weight.grad, conv.bias.grad = torch.randn(32, 16, 3, 3), torch.full((32,), -3.0)
    optimiser.step()
    # Adam's first step is the rate itself, against the sign of the gradient
    assert torch.allclose(conv.bias - start, torch.full((32,), 0.1), atol=1e-6)
    change = (conv.weight - before).flatten(1) / 0.1
    assert change.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.3)  # singular values of 0.7 to 1.2
    assert set(optimiser.state[conv.weight]) == {"exp_avg", "step"}


def test_muon_finds_a_known_matrix_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    target = torch.randn(12, 12, generator=torch.Generator().manual_seed(1))

    def begin() -> tuple[nn.Linear, Any]:
        torch.manual_seed(0)
        model = nn.Linear(12, 12)

        def loss(context: Context) -> Measured:
            x = torch.randn(32, 12, generator=torch.Generator().manual_seed(context.step))
            return Measured((model(x) - x @ target.T).square().mean())

        return model, loss

    plan = Schedule(steps=300, lr=0.1, warmup=10, weight_decay=0, average_decay=0.9, save_seconds=0, muon=True)
    model, loss = begin()
    fit(model, loss, plan, tmp_path / "whole", QUIET)
    assert (model.weight - target).abs().max() < 0.05
    cut, loss_again = begin()

    def killed(context: Context) -> Measured:
        if context.step == 120:
            raise KeyboardInterrupt
        return loss_again(context)  # type: ignore[no-any-return]

    with pytest.raises(KeyboardInterrupt):
        fit(cut, killed, plan, tmp_path / "cut", QUIET)
    cut, loss_again = begin()
    fit(cut, loss_again, plan, tmp_path / "cut", QUIET)
    assert torch.equal(cut.weight, model.weight)
    kept = checkpoints.read(tmp_path / "whole")[0]
    assert {"moment/model/weight/exp_avg", "moment/model/bias/exp_avg_sq"} < set(kept)
    assert "moment/model/weight/exp_avg_sq" not in kept  # AdamW, which would find the matrix too, keeps the squares


def test_the_spotter_tells_latents_apart_and_what_they_do_not_show() -> None:
    torch.manual_seed(0)
    network = spotter.Spotter()
    latents, others = torch.randn(2, 8, 16, 16), torch.randn(2, 8, 16, 16)
    rows: Any = [{"facts": {"kind": "dog"}}, {"facts": {"style": "malevich"}}]

    def losses(made: torch.Tensor, *weight: float) -> torch.Tensor:
        return torch.stack(network.losses(made, latents, rows, torch.tensor(weight)))

    assert losses(latents, 1.0, 1.0)[0].abs() < 1e-5
    guess = others.clone().requires_grad_(True)
    missed = losses(guess, 1.0, 1.0)
    assert missed.min() > 0.05
    for index in (0, 1):
        (gradient,) = torch.autograd.grad(missed[index], guess, retain_graph=True)
        nearer = guess.detach() - 0.1 * gradient / gradient.norm()
        assert losses(nearer, 1.0, 1.0)[index] < missed[index]
    apart, named = losses(others, 1.0, 0.0) + losses(others, 0.0, 1.0)
    assert torch.allclose(torch.stack([apart, named]), missed)
    assert losses(others, 0.0, 0.0).abs().max() == 0


def test_the_painter_is_judged_by_what_it_guesses_and_by_the_signal_that_was_left(tmp_path: Path) -> None:
    """Where there is no noise yet, a network that says nothing guesses the latent itself."""
    from transformers import CLIPTokenizer

    from easel.models.catalog.tables import PACKAGE
    from easel.pocket.train import unet

    tokenizer = CLIPTokenizer.from_pretrained(
        PACKAGE / "pocket" / "weights" / "diffusion" / "tokenizer", local_files_only=True
    )
    latents, rows, asked = torch.randn(4, 8, 8, 8), [{"facts": {"style": "plain"}}] * 4, []

    class Still:
        side = 256

        def batch(self, step: int, size: int) -> unet.Batch:
            alone = torch.arange(4)
            return unet.Batch(latents, latents, ["a dog", "", "a dog", "a dog"], torch.zeros(4), rows, alone)

    def losses(guess: torch.Tensor, true: torch.Tensor, shown: Any, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        asked.append((guess.detach(), true, shown, weight))
        return guess.mean(), guess.square().mean()

    painter, data, one = unet.Painter(tokenizer), cast("Any", Still()), Schedule(steps=1, average_decay=0)
    painter.unet.conv_out.weight.data.zero_()
    painter.unet.conv_out.bias.data.zero_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(unet.BATCHES, 256, 4)
        unet.run(painter, data, tokenizer, one, tmp_path / "state", cast("Any", losses))
    ((guess, true, shown, weight),) = asked
    first = unet.scheduler().alphas_cumprod[0]  # reach 0: the first time of the schedule
    assert torch.allclose(weight, first.sqrt().expand(4), atol=1e-4)
    assert torch.allclose(guess, first * latents, atol=0.2)
    assert torch.equal(true, latents)
    assert shown == rows


def test_patches_that_tell_the_features_at_their_places_miss_nothing() -> None:
    from easel.pocket.train import blip

    pair = blip.begin(few_words())
    grid = blip.SIDE // blip.PATCH
    told = torch.randn(2, 1 + grid * grid, blip.WIDTH)
    tell: Any
    for tell in pair.places:  # each tells the first of a patch's numbers as they are
        nn.init.eye_(tell.weight)
        nn.init.zeros_(tell.bias)
    maps = told[:, 1:].mT.unflatten(2, (grid, grid))
    found = [maps[:, :width] for width in spotter.WIDTHS[1:3]]
    with torch.no_grad():
        right, wrong = pair.places_missed(told, found), pair.places_missed(-told, found)
    assert right.item() == pytest.approx(0, abs=1e-5)
    assert wrong.item() == pytest.approx(4, abs=1e-4)


def few_words() -> Any:
    """A tokenizer of BLIP's kind that knows three words."""
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", "bird", "yes", "no"]
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)}, bos_token="[DEC]")


def test_blips_eyes_learn_first_and_then_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from easel.pocket.train import blip

    class Seen:
        def draw(self, rng: np.random.Generator, size: int) -> Any:
            rows = [samples.row(shelf, 0)] * size
            return rows, np.zeros((size, 8, 32, 32), np.float32), [shelf.pixels[0]] * size

    shelf, pair = store(tmp_path), blip.begin(few_words())
    monkeypatch.setattr(blip, "BATCH", 2)
    words = {name: p.clone() for name, p in pair.captioner.text_decoder.named_parameters()}
    data: Any = Seen()
    blip.run(pair, data, spotter.Spotter(), few_words(), tmp_path / "first", Schedule(steps=1, average_decay=0))
    assert "caption" not in capsys.readouterr().out
    assert all(torch.equal(p, words[name]) for name, p in pair.captioner.text_decoder.named_parameters())
    monkeypatch.setattr(blip, "LOOKING", 0.0)
    blip.run(pair, data, spotter.Spotter(), few_words(), tmp_path / "then", Schedule(steps=1, average_decay=0))
    assert "caption" in capsys.readouterr().out
    assert any(not torch.equal(p, words[name]) for name, p in pair.captioner.text_decoder.named_parameters())


def test_what_is_worn_is_named_by_the_token_that_is_surest() -> None:
    from easel.pocket.train.heads import EXTRAS, name_facts

    class Named:
        extras = nn.Identity()

    rows: Any = [{"facts": {"accessories": [EXTRAS[1]]}}]
    seen = torch.full((1, 9, len(EXTRAS)), -9.0)
    missed = name_facts(Named(), seen, rows)
    seen[0, 4, 1] = 9.0
    assert name_facts(Named(), seen, rows) < 0.01 < missed


def test_the_sharpened_decoder_fights_its_critic() -> None:
    real, made = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32, requires_grad=True)
    torch.manual_seed(0)
    sharpener: Any = vae.Sharpener(nn.Identity())
    sharpener.duel(real, made, 1.0).backward()
    assert made.grad is not None
    first = sharpener.critic[0].parametrizations.weight.original.grad
    assert first.abs().max() > 0
    sharpener.eval()  # a spectral norm moves on with every call in training
    with torch.no_grad():
        before = sharpener.duel(real, made, 1.0)
        # the critic goes down this loss, the decoder up
        assert sharpener.duel(real, made - 0.5 * made.grad / made.grad.norm(), 1.0) > before


def test_sharpening_leaves_the_encoder_and_resumes(tmp_path: Path) -> None:
    from easel.networks.autoencoder import PixelAutoencoder

    pictures_there = store(tmp_path)
    torch.manual_seed(0)
    model: Any = PixelAutoencoder(8, (3, 12, 16, 16), (1, 1), (1, 1))
    encoder = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    decoder = {name: tensor.clone() for name, tensor in model.decoder.state_dict().items()}
    net, schedule = perceptual.network(), Schedule(steps=2, warmup=1, muon=True)
    vae.sharpen(model, net, [pictures_there], tmp_path, schedule=schedule)
    assert all(torch.equal(tensor, encoder[name]) for name, tensor in model.encoder.state_dict().items())
    assert any(not torch.equal(tensor, decoder[name]) for name, tensor in model.decoder.state_dict().items())
    again: Any = PixelAutoencoder(8, (3, 12, 16, 16), (1, 1), (1, 1))
    vae.sharpen(
        again, net, [pictures_there], tmp_path, schedule=schedule
    )  # the checkpoint is at the end: nothing is left to do
    assert all(torch.equal(a, b) for a, b in zip(again.decoder.parameters(), model.decoder.parameters(), strict=True))


def test_the_velocity_of_a_noisy_latent_and_its_velocity_is_the_latent() -> None:
    """What the painter's guess of the latent rests on."""
    from easel.pocket.train import unet

    schedule, times = unet.scheduler(), torch.tensor([10, 500, 990])
    latents, noise = torch.randn(2, 3, 8, 4, 4).unbind()
    noisy, velocity = schedule.add_noise(latents, noise, times), schedule.get_velocity(latents, noise, times)
    assert torch.allclose(schedule.get_velocity(velocity, noisy, times), latents, atol=1e-5)
    alphas = schedule.alphas_cumprod[times][:, None, None, None]
    assert torch.allclose(unet.velocity(alphas, noisy, latents), velocity, atol=1e-4)


def test_what_is_left_of_a_photo_is_what_the_sampler_leaves() -> None:
    """DDIM from a noisy photo, with guesses that are always the filtered one: at each step the rest is as reckoned."""
    from easel.pocket.train import unet

    schedule = unet.scheduler()
    schedule.set_timesteps(20)
    photo, filtered, noise = torch.randn(3, 1, 8, 4, 4).unbind()
    alphas, begun = schedule.alphas_cumprod, 599
    held = schedule.add_noise(photo, noise, torch.tensor([begun]))
    for t in schedule.timesteps[schedule.timesteps <= begun]:
        if t < begun:
            share = torch.tensor([(begun - t) / (1000 * unet.PHOTO_NOISE - t)])
            rest = unet.left(alphas, t[None], share)
            assert 0 < rest < 1
            true = schedule.add_noise(torch.lerp(filtered, photo, rest), noise, t[None])
            assert torch.allclose(held, true, atol=2e-2)
        held = schedule.step(unet.velocity(alphas[t], held, filtered), int(t), held).prev_sample
    assert torch.allclose(held, filtered, atol=1e-4)
    assert unet.left(alphas, torch.tensor([999, 300]), torch.zeros(2)).tolist() == pytest.approx([1, 1])


def test_only_a_filtered_picture_is_drawn_over_the_plain_one() -> None:
    from easel.pocket.train import unet

    photo, painted = {"path": "a.jpg", "facts": {"style": "plain"}}, {"facts": {"style": "banksy"}}
    assert unet.plain_of(photo, 6) == 6
    assert unet.plain_of(photo | painted, 7) == 6
    assert unet.plain_of(painted, 7) == 7
    assert unet.plain_of(painted | {"redrawn": True}, 7) == 6


@pytest.mark.parametrize("seed", range(40))
def test_facts_are_read_back_from_the_canonical_caption(seed: int) -> None:
    scene = Scene.from_seed(seed)
    told = facts.said(captions(scene)[0])
    true = {("kind", scene.kind), ("time", time_of_day(scene))}
    true |= {("place", scene.place)} if scene.kind != "room" else set()
    true |= {("colour", scene.colour)} if scene.style not in COLOURLESS else set()
    true |= {("mood", scene.mood)} if scene.mood != "neutral" else set()
    true |= {("worn", name) for name in scene.accessories}
    true |= {("mask", "panda")} if scene.mask else set()
    true |= {("castle", "castle")} if scene.castle else set()
    true |= {("weather", scene.light)} if scene.light in ("fog", "winter") else set()
    true |= {("style", scene.style)} if scene.style != "plain" else set()
    assert told == true


def test_facts_of_free_words_and_their_f1() -> None:
    assert ("kind", "room") not in facts.said("a red bird in a room")
    assert facts.said("a hotel room with a green bed") >= {("kind", "room"), ("colour", "green"), ("time", "day")}
    assert facts.said("nothing known here") == {("time", "day")}
    one, other = facts.said("a red bird at night"), facts.said("a blue bird at night")
    assert facts.f1([one], [one]) == 1
    assert facts.f1([one], [other]) == pytest.approx(2 / 3)


def test_the_judge_learns_a_tiny_set_and_is_saved_whole(tmp_path: Path) -> None:
    pixels = np.stack([np.full((256, 256, 3), shade, np.uint8) for shade in (20, 230)])
    np.save(tmp_path / "judged.npy", pixels)
    told = [
        {"kind": "bird", "colour": None, "place": "moon", "time": time, "style": "plain"} for time in ("night", "day")
    ]
    (tmp_path / "judged.jsonl").write_text("\n".join(json.dumps({"truth": row}) for row in told))
    plan = Schedule(steps=12, lr=2e-3, warmup=2, average_decay=0)
    made = judge.run(Store(tmp_path, "judged"), tmp_path, plan, batch=8)
    judge.save(made, tmp_path / "j.safetensors")
    assert judge.load(tmp_path / "j.safetensors").name(pixels)["time"] == ["night", "day"]
    assert judge.truth(Scene(1, style="banksy"))["colour"] is None


def test_the_page_of_held_out_pictures_is_drawn(tmp_path: Path) -> None:
    pictures = np.zeros((4, 32, 32, 3), np.uint8)
    right = [{"kind": True, "time": True}, {"kind": False, "time": True}] * 2
    pages.prompts_page(["a", "b", "c", "d"], pictures, right, tmp_path / "page.jpg")
    with Image.open(tmp_path / "page.jpg") as page:
        assert page.width > 1000
    pages.prompts_page(["a"], pictures[:1], right[:1], tmp_path / "absent" / "page.jpg")


def made_up(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 9, "judge": "me", "what": "nothing"}


def test_cards_and_page_say_which_bars_are_met_and_which_are_missed(tmp_path: Path) -> None:
    scores = {
        "clip": {"retrieval top-1": made_up(0.9)},
        "caption": {"caption F1 over attributes": made_up(0.85), "caption says the kind": made_up(0.8)},
        "perceptual": {"photo found again (banksy)": made_up(0.1)},
    }
    for part, found in scores.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "scores.json").write_text(json.dumps(found))
    cards.write(tmp_path, tmp_path)
    page = (tmp_path / "pocket-scores.md").read_text()
    assert "1 of 2 bars are met. Missed: caption F1 over attributes (0.85 of 0.95)." in page
    card = (tmp_path / "caption" / "README.md").read_text()
    for written in (page, card):
        assert "| score | value | 95 % interval | bar | n | judge | on |\n|---|---|---|---|---|---|---|\n" in written
        assert "| caption F1 over attributes | 0.85 | 0.75 to 0.95 | 0.95: **missed** | 9 | me | nothing |" in written
        assert "| caption says the kind | 0.8 | 0.7 to 0.9 |  | 9 | me | nothing |" in written
    assert "| retrieval top-1 | 0.9 | 0.8 to 1 | 0.9: met | 9 | me | nothing |" in page
    assert "| photo found again (banksy) | 0.1 | 0 to 0.2 |  | 9 |" in page
    assert "0 of 1 bars are met. Missed: caption F1" in card
    assert "bars are met" not in (tmp_path / "perceptual" / "README.md").read_text()
    assert bars.missed({"clip": scores["clip"]}) == "1 of 1 bars are met."


def test_no_score_is_written_where_the_photos_are_absent(tmp_path: Path) -> None:
    kept = tmp_path / "perceptual" / "scores.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    with pytest.raises(SystemExit, match=r"no pictures in .*photos_commons: name the folder above it with --photos"):
        score.run(tmp_path, tmp_path / "absent")
    assert kept.read_text() == "{}"


# --- objectives


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        ("non-saturating", math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))),
        ("hinge", 0.0 + 0.0, 1.0),
        ("wgan-gp", -1.0 - 2.0, 1.0),
        ("least-squares", 0.5 * (1 + 1), 0.5 * 4),
    ],
)
def test_objectives_by_hand(name: str, critic: float, generator: float) -> None:
    """Two real pictures scored 2, two made ones scored -1."""
    game = objectives.OBJECTIVES[name]
    real, fake = torch.full((2,), 2.0), torch.full((2,), -1.0)
    assert game.critic(real, fake).item() == pytest.approx(critic)
    assert game.generator(fake).item() == pytest.approx(generator)


@pytest.mark.parametrize("name", objectives.OBJECTIVES)
@given(
    st.floats(-0.875, 0.875, width=32, allow_subnormal=False), st.floats(-0.875, 0.875, width=32, allow_subnormal=False)
)
def test_objectives_push_scores_apart_and_the_generator_pulls(name: str, real: float, fake: float) -> None:
    game = objectives.OBJECTIVES[name]
    r, f = (torch.tensor([value], requires_grad=True) for value in (real, fake))
    game.critic(r, f).backward()  # type: ignore[no-untyped-call]
    assert r.grad is not None
    assert f.grad is not None
    assert r.grad.item() < 0
    assert (f.grad.item() > 0) == (name != "least-squares" or fake > 0)
    g = torch.tensor([fake], requires_grad=True)
    game.generator(g).backward()
    assert g.grad is not None
    assert g.grad.item() < 0


def test_a_wrong_caption_weighs_as_much_as_a_made_picture() -> None:
    game = objectives.OBJECTIVES["hinge"]
    real, wrong, fake = (torch.tensor([value]) for value in (0.5, 0.25, -0.5))
    assert objectives.matching_aware(game, real, wrong, fake).item() == pytest.approx(0.5 + 0.5 * (1.25 + 0.5))


def small_critic() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(64, 1)).double()


def test_r1_is_the_gradient_squared_by_finite_differences() -> None:
    critic, x = small_critic(), torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    penalty = objectives.r1(critic(x).flatten(), x)
    total, h = 0.0, 1e-5
    with torch.no_grad():
        for i in range(x[0].numel()):
            shift = torch.zeros(x[0].numel(), dtype=torch.double)
            shift[i] = h
            shift = shift.view(x[0].shape)
            total += ((critic(x + shift) - critic(x - shift)) / (2 * h)).square().sum().item()
    assert penalty.item() == pytest.approx(total / 2, rel=1e-6)


def test_the_gradient_of_r1_by_finite_differences() -> None:
    """What the optimiser follows: d R1 / d weight, for some weights of a critic."""
    critic, x = small_critic(), torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    objectives.r1(critic(x).flatten(), x).backward()  # type: ignore[no-untyped-call]
    weight: Any = critic[0].weight  # type: ignore[index]
    for place in [(0, 0, 0, 0), (3, 2, 1, 2), (1, 1, 2, 0)]:
        values = []
        for h in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += h
            values.append(objectives.r1(critic(x).flatten(), x).item())
            with torch.no_grad():
                weight[place] -= h
        assert weight.grad[place].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("word", ["stylegan", "dcgan"])
def test_r1_reaches_the_weights_of_the_critics(word: str) -> None:
    critic: Any = networks.players(networks.config(TINY_GANS[word]))["critic"]
    x = torch.rand(4, 3, 16, 16, requires_grad=True)
    objectives.r1(critic(x), x).backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_the_gradient_penalty_of_a_linear_critic_by_hand() -> None:
    weight = torch.tensor([3.0, 4.0, 0.0])[:, None, None] / 2  # the slope of 4 pixels of it: 5 / 2 * 2
    critic = lambda x: (x * weight).sum(dim=(1, 2, 3))  # noqa: E731
    real, fake = torch.randn(6, 3, 2, 2), torch.randn(6, 3, 2, 2)
    assert objectives.gradient_penalty(critic, real, fake).item() == pytest.approx((5.0 - 1) ** 2)


def test_path_lengths_of_a_linear_generator_by_hand() -> None:
    """Pictures A w: the mean squared length over many y is the squared Frobenius norm of A over its pixels."""
    torch.manual_seed(0)
    a = torch.randn(3 * 4 * 4, 5)
    styles = torch.randn(4000, 1, 5, requires_grad=True)
    pictures = (styles[:, 0] @ a.t()).view(-1, 3, 4, 4)
    lengths = objectives.path_lengths(pictures, styles, torch.Generator().manual_seed(1))
    assert lengths.shape == (4000,)
    assert lengths.square().mean().item() == pytest.approx(a.square().sum().item() / 16, rel=0.05)
    layered = torch.randn(8, 6, 5, requires_grad=True)  # the same w for six layers: the mean over layers, not the sum
    pictures = (layered[:, 0] @ a.t()).view(-1, 3, 4, 4)
    seeded = torch.Generator().manual_seed(2)
    one = objectives.path_lengths(pictures, layered, seeded)
    again = objectives.path_lengths((styles[:8, 0] @ a.t()).view(-1, 3, 4, 4), styles, torch.Generator().manual_seed(2))
    assert torch.allclose(one, again[:8] / 6**0.5, rtol=1e-4)


def test_the_target_of_path_lengths_is_their_moving_mean() -> None:
    target = torch.zeros(())
    penalty, target = objectives.path_penalty(torch.tensor([1.0, 3.0]), target, decay=0.5)
    assert target.item() == 1.0
    assert penalty.item() == pytest.approx(0.5 * (0 + 4))
    for _ in range(30):
        penalty, target = objectives.path_penalty(torch.tensor([1.0, 3.0]), target, decay=0.5)
    assert target.item() == pytest.approx(2.0)
    assert penalty.item() == pytest.approx(1.0)
    assert not target.requires_grad


def test_path_length_reaches_the_weights_of_stylegan() -> None:
    generator: Any = networks.players(networks.config(TINY_GANS["stylegan"]))["generator"]
    styles = generator.styles(generator.latent(4))
    lengths = objectives.path_lengths(generator.synthesis(styles, "random"), styles)
    penalty, _ = objectives.path_penalty(lengths, torch.zeros(()))
    penalty.backward()  # type: ignore[no-untyped-call]
    assert generator.synthesis.blocks[1].grow.convolution.weight.grad.abs().sum() > 0
    assert generator.mapping.layers[0].weight.grad.abs().sum() > 0


def test_adam_where_a_penalty_comes_every_16_steps() -> None:
    lr, betas = objectives.lazy_regularization(0.002, (0.0, 0.99), 16)
    assert lr == pytest.approx(0.002 * 16 / 17)
    assert list(betas) == pytest.approx([0.0, 0.99 ** (16 / 17)])


def test_kl_by_hand() -> None:
    assert objectives.kl(torch.zeros(3, 4), torch.zeros(3, 4)).item() == 0
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)]])
    assert objectives.kl(mean, log_variance).item() == pytest.approx(0.5 + 0.5 * (4 - 1 - math.log(4)))


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_kl_is_torchs_own(mean: float, log_variance: float) -> None:
    """Conditioning augmentation's regulariser and the VAE's are this one."""
    ours = objectives.kl(torch.tensor([[mean]]), torch.tensor([[log_variance]]))
    q = torch.distributions.Normal(mean, math.exp(0.5 * log_variance))
    theirs = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4, abs=1e-6)


@torch.no_grad()
def test_kl_to_a_prior_that_is_still_normal_is_the_closed_form() -> None:
    """A flow that has learned nothing: the mean over many codes is the formula's."""
    mean, log_variance = torch.tensor([[0.5, -1.0, 0.0, 2.0]]), torch.tensor([[-2.0, 0.0, 1.0, -4.0]])
    noise = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    u, log_determinant = Flow(4).inverse(mean + noise * (0.5 * log_variance).exp())
    by_codes = objectives.kl_of_codes(noise, log_variance, u, log_determinant)
    assert by_codes.item() == pytest.approx(objectives.kl(mean, log_variance).item(), rel=0.01)


def test_a_flow_learns_where_codes_lie() -> None:
    """Codes in two heaps: the KL to what was learned is far below that to the standard normal."""
    torch.manual_seed(0)
    flow, draw = Flow(2, wide=32), torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
    log_variance = torch.full((128, 2), -2.0)
    for _ in range(200):
        mean = torch.randint(0, 2, (128, 1), generator=draw) * 8.0 - 4 + torch.zeros(128, 2)
        noise = torch.randn(128, 2, generator=draw)
        learned = objectives.kl_of_codes(noise, log_variance, *flow.inverse(mean + noise * (0.5 * log_variance).exp()))
        optimiser.zero_grad()
        learned.backward()
        optimiser.step()
    assert learned < 0.3 * objectives.kl(mean, log_variance)
    drawn = flow(torch.randn(400, 2, generator=draw))
    assert (drawn.abs() - 4).abs().mean() < 1.0


def test_the_kl_warms_up_to_beta() -> None:
    assert [objectives.kl_weight(step, 100, 4.0) for step in (0, 50, 100, 999)] == [0, 2, 4, 4]
    assert objectives.kl_weight(0, 0, 4.0) == 4


def test_the_gaussian_error_by_hand() -> None:
    made, x = torch.zeros(2, 3, 2, 2), torch.full((2, 3, 2, 2), 2.0)
    assert objectives.gaussian_error(made, x).item() == 0.5 * 12 * 4
    assert objectives.gaussian_error(made, x, 2.0).item() == 0.5 * 12


def test_the_classifiers_weight_moves_to_its_equilibrium() -> None:
    assert objectives.update_classifier_weight(1.0, fake=2.0, real=1.0, rate=0.1) == pytest.approx(1.1)
    assert objectives.update_classifier_weight(1.0, fake=0.5, real=1.0, rate=0.1) == pytest.approx(0.95)
    assert objectives.update_classifier_weight(0.01, fake=0.0, real=9.0, rate=0.1) == 0
    logits, asked = torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert objectives.classification_loss(logits, asked).item() == pytest.approx(2 * math.log(2))
    labels = torch.tensor([0, 2])
    assert objectives.classification_loss(torch.zeros(2, 3), labels).item() == pytest.approx(math.log(3))
    sure = torch.tensor([[9.0, 0, 0], [0, 0, 9]])
    assert objectives.classification_loss(sure, labels).item() == pytest.approx(
        math.log(1 + 2 * math.exp(-9)), rel=1e-3
    )


TINY_GANS: dict[str, dict[str, Any]] = {
    "dcgan": dict(network="dcgan", resolution=16, latent=5, channels=4),
    "cgan": dict(network="cgan", resolution=16, latent=5, channels=4, classes=3),
    "control-gan": dict(network="control-gan", resolution=16, latent=5, channels=4, attributes=2),
    "stylegan": dict(network="stylegan", resolution=16, latent=8, style=8, channels=64, widest=8, mapping=2),
    "text-dcgan": dict(network="text-dcgan", resolution=16, latent=5, channels=4, embedding=6, words=4),
    "stackgan": dict(network="stackgan", resolution=32, first=16, channels=4, embedding=6, words=4, residuals=1),
}
CONDITIONS: dict[str, Tensor] = {
    "cgan": torch.tensor([0, 1, 2, 1]),
    "control-gan": torch.tensor([[0.0, 1], [1, 1], [0, 0], [1, 0]]),
    "text-dcgan": torch.linspace(-1, 1, 24).view(4, 6).sin(),
    "stackgan": torch.linspace(-1, 1, 24).view(4, 6).sin(),
}


@pytest.mark.parametrize("name", objectives.OBJECTIVES)
@pytest.mark.parametrize("word", TINY_GANS)
def test_every_network_trains_a_step_with_every_objective(word: str, name: str) -> None:
    """The critic's step moves the critic alone, the generator's the generator alone; all stays finite, also in bf16."""
    torch.manual_seed(0)
    players: Any = networks.players(networks.config(TINY_GANS[word]))
    generator, critic, condition = players["generator"], players["critic"], CONDITIONS.get(word)
    game, side = objectives.OBJECTIVES[name], generator.config.resolution
    z, real = generator.latent(4), torch.rand(4, 3, side, side) * 2 - 1
    for player, other in ((critic, generator), (generator, critic)):
        weights = [p for p in player.parameters() if p.requires_grad]
        rest = [*(p for p in player.parameters() if not p.requires_grad), *other.parameters()]
        before = [p.detach().clone() for p in [*weights, *rest]]
        optimiser = torch.optim.Adam([*player.parameters(), *other.parameters()], lr=0.001)
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16), frozen(other.parameters()):
            fake = critic(generator(z, condition), condition)
            loss = game.generator(fake) if player is generator else game.critic(critic(real, condition), fake)
        assert torch.isfinite(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        after = [*weights, *rest]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert sum(moved[: len(weights)]) > len(weights) / 2
        assert not any(moved[len(weights) :])
        assert all(torch.isfinite(p).all() for p in after)
        assert all(p.requires_grad for p in weights)


def test_a_vae_learns_four_pictures() -> None:
    torch.manual_seed(0)
    players = networks.players(networks.config(dict(network="vae", resolution=16, latent=8, channels=8)))
    x = torch.eye(4).repeat_interleave(4, 0).repeat_interleave(4, 1).expand(4, 3, 16, 16) * torch.linspace(
        -1, 1, 4
    ).view(4, 1, 1, 1)
    optimiser = torch.optim.Adam([p for player in players.values() for p in player.parameters()], lr=3e-3)
    errors = []
    for step in range(60):
        mean, log_variance = players["encoder"](x)
        z = mean + torch.randn(mean.shape) * (0.5 * log_variance).exp()
        error = objectives.gaussian_error(players["generator"](z), x)
        loss = error + objectives.kl_weight(step, 60, 0.1) * objectives.kl(mean, log_variance)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


# --- augmentation


def test_no_augmentation_is_the_same_object() -> None:
    x = torch.rand(4, 3, 8, 8)
    assert augment.augmented(x, 0.0) is x
    assert torch.equal(augment.augmented(x, 1.0, ()), x)
    with pytest.raises(EaselError, match="no augmentation called 'color': use one of colour"):
        augment.augmented(x, 1.0, ["color"])


@given(st.floats(0.05, 1), st.sampled_from([8, 16, 28, 33]), st.integers(0, 99))
def test_augmentation_keeps_gradients_shape_and_seed(p: float, side: int, seed: int) -> None:
    x = torch.rand(8, 3, side, side, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    y, again = (augment.augmented(x, p, generator=torch.Generator().manual_seed(seed)) for _ in range(2))
    assert torch.equal(y, again)
    assert y.shape == x.shape
    y.square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_a_share_of_pictures_is_augmented() -> None:
    x = torch.rand(1000, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    y = augment.augmented(x, 0.3, ["colour"], torch.Generator().manual_seed(1))
    assert 0.25 < (x != y).any(dim=(1, 2, 3)).float().mean() < 0.35


def test_each_change_by_hand() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4) / 16
    top, middle = (lambda: torch.tensor([[[[0.999]]]])), (lambda: torch.tensor([[[[0.5]]]]))
    assert torch.allclose(augment.colour(x, middle), x)  # the middle of each range is no change
    assert torch.allclose(augment.brightness(x, top), x + 0.499)
    assert augment.contrast(x, top).std().item() == pytest.approx(1.499 * x.std().item(), rel=1e-5)
    assert torch.allclose(augment.saturation(x, top), x, atol=1e-6)  # grey has no colour to strengthen
    moved = augment.translation(x, top)  # one pixel down and right
    assert torch.equal(moved[:, :, 1:, 1:], x[:, :, :-1, :-1])
    assert moved[:, :, 0].abs().sum() == moved[:, :, :, 0].abs().sum() == 0
    assert torch.equal(augment.translation(x, middle), x)
    cut = augment.cutout(x + 1, middle)[0, 0]
    assert (cut == 0).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_p_adapts_to_the_sign_of_overfitting() -> None:
    assert augment.overfitting(torch.tensor([1.0, 2.0, 3.0, -1.0])) == 0.5
    assert augment.adapted(0.5, 0.9, pictures=5000) == pytest.approx(0.51)
    assert augment.adapted(0.5, 0.2, pictures=5000) == pytest.approx(0.49)
    assert augment.adapted(0.5, 0.6, pictures=5000) == 0.5
    assert augment.adapted(0.999, 1.0, pictures=500_000) == 1
    assert augment.adapted(0.001, -1.0, pictures=500_000) == 0


# --- steering


def test_a_direction_without_the_others() -> None:
    hat = torch.tensor([1.0, 1.0, 1.0, 0.0])
    others = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    assert steer.conditioned(hat, others).tolist() == pytest.approx([1, 0, 0, 0], abs=1e-6)
    assert steer.conditioned(hat, torch.zeros(0, 4)).tolist() == pytest.approx([3**-0.5] * 3 + [0], abs=1e-6)
    with pytest.raises(EaselError, match="hold fewer"):
        steer.conditioned(hat, torch.stack([hat, others[0]]))


@given(st.integers(0, 999))
def test_a_step_moves_one_logit_and_is_the_conditioned_direction(seed: int) -> None:
    slopes = torch.randn(1, 3, 12, generator=torch.Generator().manual_seed(seed))
    move = steer.step(slopes, torch.tensor([[0.5, 0.0, 0.0]]), damping=0)
    assert torch.allclose(slopes[0] @ move[0], torch.tensor([0.5, 0, 0]), atol=1e-4)
    along = steer.conditioned(slopes[0, 0], slopes[0, 1:])
    assert torch.allclose(move[0] / move[0].norm(), along, atol=1e-3)


def test_the_boundary_of_an_attribute_is_found() -> None:
    z = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    truth = torch.tensor([3.0, 4, 0, 0, 0, 0, 0, 0]) / 5
    assert (steer.boundary(z, z @ truth > 0) @ truth).item() > 0.99
    with pytest.raises(EaselError, match="none has"):
        steer.boundary(z, torch.zeros(2000))


def paint(z: Tensor) -> Tensor:
    """A curved 'generator' whose attributes hang together."""
    return torch.stack([z[:, 0] + 0.8 * z[:, 1], z[:, 1] + 0.03 * z[:, 0] ** 2, z[:, 2] + 0.5 * z[:, 0]], dim=1)


def classify(x: Tensor) -> Tensor:
    return 2 * x


@pytest.mark.parametrize("value", [1.0, -1.0, 0.0, 0.5])
def test_one_attribute_goes_where_it_is_wished_and_the_others_stay(value: float) -> None:
    z = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    way = steer.Steering(keep_length=False, logit=6)
    moved = steer.steer(paint, classify, z, {0: value}, way)
    before, after = classify(paint(z)), classify(paint(moved))
    short = after[:, 0] - 6 * value
    assert (short.abs() < 0.31).all() if value == 0 else (short * value > -0.31).all()  # beyond the wish is fine
    held = before[:, 1:].abs() < 6
    assert ((after - before)[:, 1:].abs()[held] < 0.5).float().mean() > 0.97
    unheld = steer.Steering(keep_length=False, logit=6, hold=False)
    loose = classify(paint(steer.steer(paint, classify, z, {0: value}, unheld)))
    assert (after - before)[:, 1:].abs().mean() < 0.3 * (loose - before)[:, 1:].abs().mean()


def test_steering_a_picture_does_not_depend_on_its_neighbours() -> None:
    z = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    whole = steer.steer(paint, classify, z, {0: 1.0, 2: -1.0})
    assert torch.allclose(steer.steer(paint, classify, z[2:3], {0: 1.0, 2: -1.0}), whole[2:3], atol=1e-5)
    assert torch.allclose(whole.norm(dim=1), z.norm(dim=1), rtol=1e-5)  # on its sphere
    assert steer.steer(paint, classify, z, {}) is z


@pytest.mark.parametrize("word", ["dcgan", "stylegan"])
def test_steering_walks_through_any_generator(word: str) -> None:
    """An untrained generator and classifier: the logit rises all the same, in z and in w."""
    torch.manual_seed(0)
    generator: Any = networks.players(networks.config(TINY_GANS[word]))["generator"].eval()
    classifier = networks.players(networks.config(TINY_GANS["control-gan"]))["classifier"].eval().requires_grad_(False)
    z = generator.latent(4, generator=torch.Generator().manual_seed(1))
    draw = generator
    if word == "stylegan":
        z = generator.mapping(z).detach()
        draw = lambda w: generator.synthesis(w[:, None].expand(-1, generator.synthesis.layers, -1))  # noqa: E731
    start = classifier(draw(z)).detach()
    way = steer.Steering(steps=10, logit=10 * start.abs().max().item(), keep_length=False)
    after = classifier(draw(steer.steer(draw, classifier, z, {0: 1.0}, way)))
    assert (after[:, 0] > start[:, 0]).all()


def test_wishes_are_told_by_name() -> None:
    assert steer.target_indices({"hat": 1.0, "smile": -0.5}, ["smile", "hat"]) == {1: 1.0, 0: -0.5}
    with pytest.raises(EaselError, match="no attribute called 'hatt': use one of hat"):
        steer.target_indices({"hatt": 1}, ["smile", "hat"])
    with pytest.raises(EaselError, match="attribute hat=3: ask for -1"):
        steer.target_indices({"hat": 3}, ["smile", "hat"])
