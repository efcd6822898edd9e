"""The floor of networks: shapes, factor, and that what is stored comes back."""

from typing import Any

import pytest
import torch

from easel.networks.autoencoder import PixelAutoencoder


def tiny() -> PixelAutoencoder:
    torch.manual_seed(0)
    return PixelAutoencoder(latent_channels=4, block_out_channels=(3, 12, 8, 16)).eval()


@pytest.mark.parametrize("size", [(8, 8), (64, 40), (256, 256)])
def test_latents_are_an_eighth_and_pictures_come_back_whole(size: tuple[int, int]) -> None:
    model, x = tiny(), torch.rand(2, 3, *size) * 2 - 1
    latent = model.encode(x).latent_dist.mode()
    assert latent.shape == (2, 4, size[0] // 8, size[1] // 8)
    assert model.decode(latent).sample.shape == x.shape
    assert torch.equal(model.decode(latent, return_dict=False)[0], model.decode(latent).sample)


def test_forward_is_there_and_back_by_the_mean() -> None:
    model, x = tiny(), torch.rand(1, 3, 16, 16)
    assert torch.equal(model(x), model.decode(model.encode(x).latent_dist.mean).sample)


def test_sides_that_are_no_multiple_of_eight_are_refused() -> None:
    with pytest.raises(RuntimeError, match="pixel_unshuffle"):
        tiny().encode(torch.rand(1, 3, 30, 32))


def test_saved_and_read_again_is_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = tiny()
    model.register_to_config(scaling_factor=0.5)
    model.save_pretrained(tmp_path)
    again = PixelAutoencoder.from_pretrained(tmp_path)
    assert again.config.scaling_factor == 0.5
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(model(x), again.eval()(x))


def test_blocks_begin_as_nothing() -> None:
    """The last convolution of a block starts at zero, so a fresh network is a plain stack of resamplings."""
    x = torch.rand(1, 8, 4, 4)
    block: Any = tiny().encoder[2]
    assert torch.equal(block(x), x + block.conv2.bias[:, None, None])
