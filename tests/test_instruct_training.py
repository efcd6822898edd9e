"""How pocket learns to edit by instruction: the pairs are what they say, and the widened UNet begins as the old one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from easel.models.diffusion import pipelines
from easel.pocket.train import export, instruct, pairs
from easel.pocket.train.fit import Schedule
from easel.pocket.world import changes
from tests import tiny


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    rough = np.random.default_rng(1).integers(0, 255, (12, 15, 3), dtype=np.uint8)
    Image.fromarray(rough).resize((320, 256), Image.Resampling.BICUBIC).save(path)
    return path


def test_a_photo_s_family_is_that_photo_changed(photo: Path) -> None:
    shown, made = pairs.of_photo((3, str(photo)))
    assert all(picture.shape == (256, 256, 3) for picture in shown)
    assert all(pair.photo for pair in made)
    abouts = [pair.about for pair in made]
    assert "night" in abouts
    for pair in made:
        before, after = shown[pair.before].astype(float), shown[pair.after].astype(float)
        assert (pair.about == "same") == (pair.before == pair.after)
        if pair.about in ("night", "darker"):
            assert after.mean() < before.mean() - 10
        if pair.about == "lamps":
            assert (after.mean() < before.mean()) == (pair.wordings == changes.LAMPS["off"])
    again, _ = pairs.of_photo((3, str(photo)))
    assert all(np.array_equal(a, b) for a, b in zip(shown, again, strict=True))


def test_a_scene_s_family_has_its_edits_and_changes_of_the_whole() -> None:
    shown, made = pairs.of_scene(pairs.FIRST + 2)
    assert len(made) >= 6
    assert max(pair.after for pair in made) < len(shown)
    assert not any(pair.photo for pair in made)
    assert {"colour"} & {pair.about for pair in made}


def test_the_widened_unet_begins_as_the_old_one(tmp_path: Path) -> None:
    tiny.eight_channels(tmp_path / "eight")
    unet = pipelines.assemble(tmp_path / "eight", torch.float32).unet
    noisy, photo = torch.randn(2, 1, 8, 8, 8)
    states = torch.randn(1, 7, unet.config.cross_attention_dim)
    with torch.no_grad():
        before = unet(noisy, 500, states).sample
        blind = instruct.widened(unet, 0.0)(torch.cat([noisy, photo], dim=1), 500, states).sample
        seeing = instruct.widened(unet)(torch.cat([noisy, photo], dim=1), 500, states).sample
    assert torch.allclose(before, blind, atol=1e-6)
    assert not torch.allclose(before, seeing, atol=1e-3)


def test_an_error_counts_most_where_the_picture_changes() -> None:
    before = torch.zeros(1, 8, 4, 4)
    after = before.clone()
    after[..., 0, 0] = 5.0
    counted = instruct.counts(before, after)
    assert counted[0, 0, 0] == pytest.approx(1 + instruct.CHANGED)
    assert counted[0, 1:].max() == 1


def test_training_moves_the_weights_and_ships_a_unet_on_top_of_its_base(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "WORKERS", 1)
    vae = export.POCKET / "diffusion" / "vae"
    pairs.pack("scenes", [pairs.FIRST], vae, tmp_path)
    pairs.pack("photos", [(0, str(photo))], vae, tmp_path)
    assert pairs.is_packed(tmp_path, "photos")
    data = pairs.Pairs(tmp_path)
    monkeypatch.setattr(instruct, "BATCH", 2)
    tiny.eight_channels(tmp_path / "eight")
    base = pipelines.assemble(tmp_path / "eight", torch.float32)
    said = instruct.Words(base.text_encoder, base.tokenizer)

    wide = instruct.widened(base.unet)
    begun = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    schedule = Schedule(steps=3, lr=1e-3, warmup=1, average_decay=0.9)
    instruct.run(wide, said, data, 0.8583, tmp_path / "state.safetensors", schedule)
    assert max(float((one - begun[name]).abs().max()) for name, one in wide.state_dict().items()) > 1e-4
    export.write_instruct(wide, tmp_path / "weights")
    folder = tmp_path / "weights" / "instruct"
    assert sorted(path.name for path in folder.iterdir()) == ["easel.json", "model_index.json", "scheduler", "unet"]
