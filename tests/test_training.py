"""The floor of training: the loop, checkpoints that survive a kill, stores, tokenizers, and small storage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from easel.training import checkpoints
from easel.training.loop import Plan, rate, train
from easel.training.pocket import export, perceptual, pictures, samples, subject, text, vae
from easel.training.pocket.pictures import Store

QUIET: Any = lambda line: None  # noqa: E731


def problem() -> tuple[nn.Linear, Any]:
    """y = 2x - 1, with noise that comes from the step alone."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        return (model(x) - (2 * x - 1)).square().mean(), {}

    return model, loss


def test_the_loop_finds_the_known_answer(tmp_path: Path) -> None:
    model, loss = problem()
    train(model, loss, Plan(steps=400, lr=0.05, warmup=10, weight_decay=0, average_decay=0.9), tmp_path / "a", QUIET)
    assert model.weight.item() == pytest.approx(2, abs=0.01)
    assert model.bias.item() == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("kills", [[30], [7, 41], [1, 2, 59]])
def test_killed_at_any_step_it_resumes_to_the_same_weights(tmp_path: Path, kills: list[int]) -> None:
    plan = Plan(steps=60, lr=0.05, warmup=10, save_seconds=0)
    whole, loss = problem()
    train(whole, loss, plan, tmp_path / "whole", QUIET)
    for kill in kills:
        model, loss = problem()

        def killed(step: int, kill: int = kill, loss: Any = loss) -> tuple[Tensor, dict[str, float]]:
            if step == kill:
                raise KeyboardInterrupt
            return loss(step)  # type: ignore[no-any-return]

        with pytest.raises(KeyboardInterrupt):
            train(model, killed, plan, tmp_path / "cut", QUIET)
    model, loss = problem()
    train(model, loss, plan, tmp_path / "cut", QUIET)
    assert torch.equal(model.weight, whole.weight)
    assert torch.equal(model.bias, whole.bias)


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    model, loss = problem()
    train(model, loss, Plan(steps=5, save_seconds=0), tmp_path / "c", QUIET)
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(FloatingPointError, match="step 5"):
        train(model, lambda step: (torch.tensor(float("nan"), requires_grad=True), {}), Plan(steps=9), tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    model, loss = problem()
    train(model, loss, Plan(steps=2), tmp_path / "c", QUIET)
    other = nn.Linear(2, 1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        checkpoints.restore(tmp_path / "c", other, {}, torch.optim.AdamW(other.parameters()))


def test_the_rate_warms_up_peaks_and_falls() -> None:
    plan = Plan(steps=100, lr=1.0, warmup=10)
    assert [rate(plan, s) for s in (0, 9, 10)] == [0.1, 1.0, 1.0]
    assert rate(plan, 55) == pytest.approx(0.02 + 0.98 / 2)
    assert rate(plan, 100) == pytest.approx(0.02)


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
    from PIL import Image

    Image.new("RGB", (300, 520), "red").save(tmp_path / "a.png")
    for zoom in (1.0, 1.6):
        assert pictures.square(str(tmp_path / "a.png"), np.random.default_rng(0), zoom).shape == (256, 256, 3)


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


def test_the_subject_encoder_begins_as_blips_eyes() -> None:
    """The first layers of both, on the same picture, give the same tokens."""
    from transformers import BlipVisionConfig, BlipVisionModel

    from easel.training.pocket.blip import PATCH, SIDE, WIDTH

    torch.manual_seed(0)
    shape = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_attention_heads=4, initializer_range=0.02)
    eyes = BlipVisionModel(
        BlipVisionConfig(**shape, num_hidden_layers=subject.LAYERS, image_size=SIDE, patch_size=PATCH)
    ).eval()
    model = subject.network().eval()
    subject.adopt(model, eyes)
    x = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        assert torch.allclose(model(x).last_hidden_state, eyes(x).last_hidden_state, atol=1e-4)


def test_perceptual_summaries_are_centred() -> None:
    assert perceptual.summary(torch.rand(4, 8, 16, 16)).mean(dim=0).abs().max() < 1e-6


def test_stages_of_the_unet_share_one_network() -> None:
    from easel.training.pocket import unet

    assert list(unet.STAGES) == list(unet.BATCHES) == list(unet.SHARES) == [128, 256]
    schedule = unet.scheduler()
    assert schedule.alphas_cumprod[-1] < 1e-8  # the last step holds no signal
