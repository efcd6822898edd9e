"""The floor of networks: shapes, weights counted against the papers, layers by hand, and what is stored comes back."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from easel import networks
from easel.errors import EaselError
from easel.networks import layers, text_dcgan, vae
from easel.networks.autoencoder import PixelAutoencoder
from easel.networks.equalised import EqualConv, EqualLinear, ModulatedConv, halved, upsampled
from easel.networks.flow import Flow
from easel.networks.stylegan import CriticBlock, minibatch_stddev, mixed_styles


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


TINY: dict[str, dict[str, Any]] = {
    "dcgan": dict(resolution=16, latent=5, channels=4),
    "cgan": dict(resolution=16, latent=5, channels=4, classes=3),
    "control-gan": dict(resolution=16, latent=5, channels=4, attributes=2),
    "stylegan": dict(resolution=16, latent=8, style=8, channels=64, widest=8, mapping=2),
    "vae": dict(resolution=16, latent=5, channels=4, classes=3),
    "text-dcgan": dict(resolution=16, latent=5, channels=4, embedding=6, words=4),
    "stackgan": dict(resolution=32, first=16, latent=5, channels=4, embedding=6, words=4, residuals=1),
}
CONDITIONS: dict[str, Tensor] = {
    "cgan": torch.tensor([0, 1, 2, 1]),
    "vae": torch.tensor([2, 0, 1, 1]),
    "control-gan": torch.tensor([[0.0, 1], [1, 1], [0, 0], [1, 0]]),
    "text-dcgan": torch.linspace(-1, 1, 24).view(4, 6).sin(),
    "stackgan": torch.linspace(-1, 1, 24).view(4, 6).sin(),
}
"""For a batch of four; dcgan and stylegan (without classes) are told nothing."""


def made(word: str, **changes: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return networks.players(networks.config({"network": word, **TINY[word], **changes}))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_network_is_known_and_tiny_here() -> None:
    assert set(networks.FILES) == set(TINY)


@pytest.mark.parametrize("word", TINY)
def test_all_generators_keep_one_contract(word: str) -> None:
    """Pictures in [-1, 1], a function of z and condition alone, the same alone as in a batch."""
    generator, condition = made(word)["generator"].eval(), CONDITIONS.get(word)
    z = generator.latent(4, generator=seeded(3))
    assert torch.equal(z, generator.latent(4, generator=seeded(3)))
    assert not torch.equal(z, generator.latent(4, generator=seeded(4)))
    x = generator(z, condition)
    side = generator.config.resolution
    assert x.shape == (4, 3, side, side)
    assert x.dtype == torch.float32
    assert x.abs().max() <= 1
    alone = generator(z[1:2], None if condition is None else condition[1:2])
    assert torch.allclose(alone, x[1:2], atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = generator(z, condition)
    assert half.dtype == torch.float32
    assert (half - x).abs().mean() < 0.05


@pytest.mark.parametrize("word", TINY)
def test_stored_and_rebuilt_from_its_config_it_draws_the_same(word: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(networks.settings(made_config(word))))
    for name, player in made(word).items():
        save_file(player.state_dict(), tmp_path / "weights.safetensors")
        again = networks.players(networks.config(json.loads((tmp_path / "config.json").read_text())))
        assert not all(torch.equal(a, b) for a, b in zip(player.parameters(), again[name].parameters(), strict=True))
        again[name].load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert_same(word, player.eval(), again[name].eval(), name)


def made_config(word: str) -> Any:
    return networks.config({"network": word, **TINY[word]})


def assert_same(word: str, one: Any, two: Any, name: str) -> None:
    side = made_config(word).resolution
    if name == "generator":
        given = (one.latent(4, generator=seeded()), CONDITIONS.get(word))
    elif name == "classifier":
        given = (torch.rand(4, 3, side, side, generator=seeded()),)  # type: ignore[assignment]
    else:
        given = (torch.rand(4, 3, side, side, generator=seeded()), CONDITIONS.get(word))
    first, second = one(*given), two(*given)
    pairs = zip(first, second, strict=True) if isinstance(first, tuple) else [(first, second)]
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("word", TINY)
def test_configurations_are_plain_values_and_come_back(word: str) -> None:
    config = made_config(word)
    assert networks.config(json.loads(json.dumps(networks.settings(config)))) == config
    assert networks.config({"network": word}) == type(config)()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network": "dcgann"}, "no network called 'dcgann': use one of dcgan"),
        ({"network": "dcgan", "chanels": 4}, "no setting called 'chanels': use one of channels"),
        ({"network": "dcgan", "channels": "4"}, "channels is '4', but takes int"),
        ({"network": "dcgan", "channels": 0}, "channels is 0, but must be at least 1"),
        ({"network": "vae", "classes": -1}, "classes is -1, but must be at least 0"),
        ({"network": "vae", "prior": "flwo"}, "flow"),
        ({"network": "vae", "prior": "flow", "latent": 1}, "latent must be at least 2"),
        ({"network": "dcgan", "resolution": 48}, "no network draws 48 px: take a power of two"),
        ({"network": "dcgan", "resolution": 4}, "no network draws 4 px"),
        ({"network": "stylegan", "resolution": 28}, "stylegan: resolution must be a power of two"),
        ({"network": "stackgan", "resolution": 512}, "after 64 px cannot draw 512 px: take 64 .stage I., 128 or 256"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_advice(values: dict[str, Any], words: str) -> None:
    with pytest.raises(EaselError, match=words):
        networks.config(values)


@pytest.mark.parametrize("norm", [*layers.NORMS, "btach"])
def test_critics_take_each_norm_and_no_other(norm: str) -> None:
    if norm == "btach":
        with pytest.raises(EaselError, match="use one of batch"):
            made("dcgan", norm=norm)
    else:
        assert made("dcgan", norm=norm)["critic"](torch.rand(4, 3, 16, 16)).shape == (4,)


@pytest.mark.parametrize(
    ("word", "condition", "words"),
    [
        ("dcgan", torch.zeros(4, 2), "without a condition"),
        ("cgan", None, "one number from 0 to 2 each"),
        ("cgan", torch.tensor([0, 1, 3, 0]), "from 0 to 2"),
        ("cgan", torch.zeros(4, 2), r"classes as condition, shape \(n, 3\); it was given shape \(4, 2\)"),
        ("control-gan", None, "attributes as condition.*given none"),
        ("text-dcgan", torch.zeros(4, 5), "caption embeddings"),
        ("stackgan", None, "caption embeddings"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(word: str, condition: Tensor | None, words: str) -> None:
    generator = made(word)["generator"]
    with pytest.raises(EaselError, match=words):
        generator(generator.latent(4), condition)


@given(st.sampled_from([8, 16, 28, 32, 56, 64, 128, 256]), st.integers(1, 3), st.integers(1, 20))
@settings(max_examples=12)
def test_dcgan_draws_any_resolution(resolution: int, channels: int, widest: int) -> None:
    config = networks.config(dict(network="dcgan", resolution=resolution, latent=3, channels=channels, widest=widest))
    players: Any = networks.players(config)
    x = players["generator"].eval()(torch.zeros(1, 3))
    assert x.shape == (1, 3, resolution, resolution)
    assert players["critic"].eval()(x).shape == (1,)


def test_28_pixels_begin_at_7() -> None:
    assert (layers.sides(28), layers.sides(64)) == ([7, 14], [4, 8, 16, 32])
    assert layers.widths(64, 64, 1024) == [512, 256, 128, 64]
    assert layers.widths(256, 64, 512) == [512, 512, 512, 256, 128, 64]


def test_dcgan_has_as_many_weights_as_the_paper_at_64_pixels() -> None:
    players: Any = networks.players(networks.config({"network": "dcgan"}))
    assert count(players["generator"]) == 3_576_704
    assert count(players["critic"]) == 2_765_568


def test_stylegan_has_as_many_weights_as_configuration_f() -> None:
    """At 1024 px the reference prints 28,794,124 with two mapping layers, and 29,012,513."""
    with torch.device("meta"):
        players: Any = networks.players(networks.config({"network": "stylegan", "resolution": 1024}))
    generator = players["generator"]
    assert count(generator) == 28_794_124 + 6 * (512 * 512 + 512)
    assert count(players["critic"]) == 29_012_513
    assert generator.synthesis.layers == 18


# --- cgan


def test_the_projection_critic_adds_the_inner_product_by_hand() -> None:
    critic = made("cgan", norm="none")["critic"]
    x, labels = torch.rand(4, 3, 16, 16, generator=seeded()), CONDITIONS["cgan"]
    phi = critic.body(x).sum(dim=(2, 3))
    for i, label in enumerate(labels):
        by_hand = critic.psi(phi[i]) + critic.projection.weight[:, label] @ phi[i]
        assert critic(x, labels)[i].item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_shares_of_one_class_are_its_label() -> None:
    generator = made("cgan")["generator"].eval()
    z = generator.latent(4, generator=seeded())
    shares = nn.functional.one_hot(CONDITIONS["cgan"], 3).float()
    assert torch.equal(generator(z, shares), generator(z, CONDITIONS["cgan"]))


def test_a_spectral_critic_has_a_largest_singular_value_of_one() -> None:
    critic = made("cgan")["critic"].train()
    for _ in range(60):
        critic(torch.rand(4, 3, 16, 16), CONDITIONS["cgan"])
    weight = critic.eval().body.layers[2].weight
    assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_conditional_norm_by_hand() -> None:
    norm = layers.ConditionalNorm(2, 1)
    nn.init.zeros_(norm.told.weight)  # type: ignore[union-attr]
    norm.told.bias.data = torch.tensor([1.0, 0, 0, 5])  # type: ignore[union-attr]
    x = torch.randn(64, 2, 4, 4, generator=seeded())
    y = norm(x, torch.zeros(64, 1))
    assert y.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 5], abs=1e-5)
    assert y.std(dim=(0, 2, 3)).tolist() == pytest.approx([2, 1], abs=1e-3)


# --- stylegan


def grouped(layer: ModulatedConv, x: Tensor, w: Tensor) -> Tensor:
    """Equations 1 and 3 as they stand: every picture has its own weights, one group each."""
    weight = layer.scale * layer.weight[None] * layer.affine(w)[:, None, :, None, None]
    if layer.demodulate:
        weight = weight / (weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    n, made, channels, k, _ = weight.shape
    flat = x.reshape(1, n * channels, *x.shape[2:])
    if layer.up:
        kernel = weight.transpose(1, 2).reshape(n * channels, made, k, k)
        y = nn.functional.conv_transpose2d(flat, kernel, stride=2, groups=n)
        y = y.view(n, made, *y.shape[2:])
        taps = torch.tensor([1.0, 3, 3, 1], dtype=y.dtype) / 4
        fir = taps.outer(taps).expand(made, 1, 4, 4)
        return nn.functional.conv2d(nn.functional.pad(y, (1, 1, 1, 1)), fir, groups=made)
    y = nn.functional.conv2d(flat, weight.reshape(n * made, channels, k, k), padding=k // 2, groups=n)
    return y.view(n, made, *y.shape[2:])


@pytest.mark.parametrize(
    ("kernel", "up", "demodulate"), [(3, False, True), (3, True, True), (1, False, False), (3, False, False)]
)
def test_scaled_inputs_are_the_convolution_with_weights_for_each_picture(
    kernel: int, up: bool, demodulate: bool
) -> None:
    torch.manual_seed(1)
    layer = ModulatedConv(5, 7, kernel, 6, up, demodulate).double()
    x, w = torch.randn(3, 5, 8, 8).double(), torch.randn(3, 6).double() * 3
    y, factors = layer(x, w)
    assert (factors is None) == (not demodulate)
    y = y if factors is None else y * factors
    assert y.shape == (3, 7, 8 * (1 + up), 8 * (1 + up))
    assert torch.allclose(y, grouped(layer, x, w), rtol=1e-4, atol=1e-5)  # styles are taken in float32


@given(st.floats(0.01, 100), st.integers(0, 99))
def test_demodulation_gives_unit_variance(size: float, seed: int) -> None:
    """However large the styles, normal inputs come out with a deviation of one."""
    torch.manual_seed(seed)
    layer = ModulatedConv(32, 16, 3, 4)
    w = torch.randn(2, 4)
    layer.affine.bias.data *= size
    layer.affine.weight.data *= size
    y, factors = layer(torch.randn(2, 32, 34, 34), w)
    inner = (y * factors)[:, :, 1:-1, 1:-1]  # the border sees zeros
    assert inner.var(dim=(2, 3)).mean().item() == pytest.approx(1, abs=0.12)


def test_the_learning_rate_is_equalised() -> None:
    """Weights of any layer are N(0, 1), outputs keep the variance, and a step of Adam moves each weight by its lr."""
    torch.manual_seed(0)
    for size in (16, 256):
        layer = EqualLinear(size, 400)
        assert layer.weight.std().item() == pytest.approx(1, abs=0.05)
        assert layer(torch.randn(400, size)).std().item() == pytest.approx(1, abs=0.05)
        before = layer.weight.detach().clone()
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(torch.randn(4, size)).square().sum().backward()
        optimiser.step()
        assert (layer.weight - before).abs().median().item() == pytest.approx(0.01, rel=1e-3)
    slow = EqualLinear(256, 400, bias=0.5, lr=0.01)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.05)
    assert slow(torch.zeros(1, 256)).mean().item() == pytest.approx(0.5)
    x = torch.randn(8, 32, 16, 16)
    active = EqualConv(32, 64, 3)(x)[:, :, 1:-1, 1:-1]
    assert active.square().mean().item() == pytest.approx(1 + 0.2**2, rel=0.1)


def test_resampling_filters_by_hand() -> None:
    """An impulse upsampled is the filter, a plane keeps its value, halving is the filter at every second pixel."""
    impulse = torch.zeros(1, 1, 6, 6)
    impulse[0, 0, 3, 3] = 1
    row = upsampled(impulse)[0, 0].sum(dim=0)
    assert row.tolist() == pytest.approx([0, 0, 0, 0, 0, 0.5, 1.5, 1.5, 0.5, 0, 0, 0])
    assert torch.allclose(upsampled(torch.ones(1, 2, 6, 6))[:, :, 2:-2, 2:-2], torch.ones(()))
    x = torch.randn(2, 3, 8, 8, generator=seeded())
    taps = torch.tensor([1.0, 3, 3, 1]) / 8
    whole = nn.functional.conv2d(x, taps.outer(taps).expand(3, 1, 4, 4), stride=2, padding=1, groups=3)
    assert torch.allclose(halved(x), whole, atol=1e-6)


def test_residual_blocks_add_two_ways_of_half_the_power_each() -> None:
    torch.manual_seed(0)
    block, x = CriticBlock(32, 64), torch.randn(8, 32, 32, 32)
    halves = block.halve(block.same(x)), block.skip(x)
    assert block(x).shape == (8, 64, 16, 16)
    assert torch.equal(block(x), halves[0] + halves[1])
    assert block.skip.scale == pytest.approx(math.sqrt(0.5 / 32))
    assert block.halve.scale == pytest.approx(math.sqrt(2 * 0.5 / (32 * 9)))


def test_the_minibatch_deviation_by_hand() -> None:
    x = torch.zeros(4, 2, 4, 4)
    x[2:, 0] = 2.0  # groups of two: pictures 0 and 2, 1 and 3; one channel deviates by 1, the other by 0
    plane = minibatch_stddev(x, 2)[:, 2]
    assert torch.allclose(plane, torch.full((4, 4, 4), 0.5), atol=1e-3)
    assert minibatch_stddev(torch.ones(5, 2, 4, 4), 4)[:, 2].abs().max() < 1e-3  # five pictures: groups of one


def test_truncation_pulls_to_the_mean_and_styles_mix_from_a_layer_on() -> None:
    generator = made("stylegan")["generator"].train()
    for seed in range(40):
        generator.mapping(generator.latent(64, generator=seeded(seed)))
    generator.eval()
    z = generator.latent(500, generator=seeded(99))
    w, average = generator.mapping(z), generator.mapping.average
    share = 1 - 0.995**40  # of the way from 0 to the mean
    assert (average - share * w.mean(dim=0)).norm() < 0.15 * average.norm()
    assert torch.allclose(generator.styles(z, truncation_psi=0)[:, 0], average.expand(500, -1))
    half = generator.styles(z, truncation_psi=0.5)[:, -1]
    assert torch.allclose(half, (w + average) / 2, atol=1e-6)
    one, other = torch.zeros(200, 6, 2), torch.ones(200, 6, 2)
    both = mixed_styles(one, other, 0.9, seeded())[:, :, 0]
    assert (both.diff(dim=1) >= 0).all()  # once the other's, always the other's
    assert (both[:, 0] == 0).all()
    assert 0.8 < (both[:, -1] == 1).float().mean() < 0.97
    assert torch.equal(mixed_styles(one, other, 0.0, seeded()), one)


def test_noise_is_drawn_in_training_and_stored_otherwise() -> None:
    generator = made("stylegan")["generator"]
    for block in generator.synthesis.blocks:
        block.layer.strength.data.fill_(1.0)
    styles = generator.styles(generator.latent(2, generator=seeded()))
    drawn = [generator.synthesis(styles, "random") for _ in range(2)]
    fixed = [generator.synthesis(styles) for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(*fixed)
    assert not torch.equal(fixed[0], generator.synthesis(styles, "none"))


def test_stylegan_with_classes_is_told_them() -> None:
    players = made("stylegan", classes=3)
    generator, critic = players["generator"].eval(), players["critic"]
    z, labels = generator.latent(4, generator=seeded()), torch.tensor([0, 1, 2, 2])
    x = generator(z, labels)
    assert not torch.allclose(x, generator(z, labels.roll(1)))
    assert not torch.allclose(critic(x, labels), critic(x, labels.roll(1)))
    with pytest.raises(EaselError, match="draws by class"):
        generator(z)


# --- vae, text, stackgan


def test_a_vae_comes_back_by_its_mean_and_walks_between_two() -> None:
    players = made("vae")
    encoder, generator = players["encoder"].eval(), players["generator"].eval()
    x, labels = torch.rand(2, 3, 16, 16, generator=seeded()), torch.tensor([0, 2])
    back = vae.reconstruct(encoder, generator, x, labels)
    walk = vae.interpolate(encoder, generator, x, 5, labels)
    assert walk.shape == (5, 3, 16, 16)
    assert torch.allclose(walk[[0, -1]], back, atol=1e-5)
    plain = made("vae", classes=0)
    assert vae.interpolate(plain["encoder"].eval(), plain["generator"].eval(), x, 3).shape == (3, 3, 16, 16)


def moved_flow(size: int) -> Flow:
    """A flow that does something, in float64."""
    flow = Flow(size)
    for index, weight in enumerate(flow.parameters()):
        nn.init.normal_(weight, std=0.03, generator=seeded(index))
    return flow


@pytest.mark.parametrize("size", [2, 5, 8])
def test_a_flow_goes_there_and_back_and_knows_its_slope(size: int) -> None:
    """Real NVP: the logarithm of the slope is that of the Jacobian's determinant, by autograd."""
    u = torch.randn(4, size, generator=seeded())
    assert torch.equal(Flow(size)(u), u)
    flow = moved_flow(size)
    z = flow(u)
    back, slope = flow.inverse(z)
    assert (z - u).abs().max() > 0.01
    assert torch.allclose(back, u, atol=1e-5)
    for row, own in zip(z, slope, strict=True):
        matrix: Any = torch.autograd.functional.jacobian(lambda one: flow.inverse(one[None])[0][0], row)
        assert own.item() == pytest.approx(torch.linalg.slogdet(matrix)[1].item(), abs=1e-4)


def test_a_flow_is_computed_in_float32() -> None:
    flow, u = moved_flow(4), torch.randn(3, 4, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(flow(u), moved_flow(4)(u))
        assert flow.inverse(u.bfloat16())[0].dtype == torch.float32


def test_a_vae_with_a_flow_draws_through_it_and_rebuilds_without_it() -> None:
    players = made("vae", classes=0, prior="flow")
    encoder, generator = players["encoder"].eval(), players["generator"].eval()
    generator.prior = moved_flow(5)
    x, z = torch.rand(2, 3, 16, 16, generator=seeded()), generator.latent(2, seeded())
    assert torch.equal(generator(z), generator.decode(generator.prior(z)))
    back = vae.reconstruct(encoder, generator, x)
    assert torch.equal(back, generator.decode(encoder(x)[0]))
    way, latents = vae.interpolate(encoder, generator, x, 3), generator.latent_of(encoder(x)[0])
    assert torch.allclose(way[[0, 2]], back, atol=1e-4)
    assert torch.allclose(way[1], generator(latents.mean(dim=0, keepdim=True))[0], atol=1e-5)


def test_the_reparameterisation_by_hand() -> None:
    mean, log_variance = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, math.log(9.0)]])
    assert layers.sample((mean, log_variance), torch.tensor([[1.0, -2.0]])).tolist() == [[2.0, pytest.approx(-4.0)]]


def test_captions_are_told_apart_by_what_differs() -> None:
    """Embeddings that nearly agree are centred and stretched by `fit_words`, in every player, and it is stored."""
    seen = torch.tensor([[5.0, 0.1, 7.0], [5.0, 0.3, 9.0]])
    players = made("text-dcgan", embedding=3)
    networks.fit_words(players, seen)
    for player in players.values():
        assert torch.allclose(player.words[0](seen), torch.tensor([[0.0, -1, -1], [0, 1, 1]]), atol=1e-4)
        assert player.state_dict()["words.0.mean"].tolist() == pytest.approx([5, 0.2, 8])
    generator = players["generator"].eval()
    x = generator(generator.latent(1, generator=seeded()).expand(2, -1), seen)
    assert not torch.allclose(x[0], x[1])


def test_captions_between_captions() -> None:
    pair = torch.tensor([[0.0, 2.0], [4.0, 6.0]])
    assert text_dcgan.interpolated(pair).tolist() == [[2, 4], [2, 4]]
    assert text_dcgan.interpolated(pair, 0.75).tolist() == [[1, 3], [3, 5]]


def test_conditioning_augmentation_draws_about_the_caption() -> None:
    """z holds the noise of the conditioning: the same z is the same picture, other last numbers are another."""
    generator = made("stackgan", resolution=16)["generator"].eval()
    captions = CONDITIONS["stackgan"]
    mean, log_variance = generator.moments(captions)
    assert mean.shape == log_variance.shape == (4, 4)
    z = generator.latent(4, generator=seeded())
    assert z.shape == (4, 5 + 4)
    other = torch.cat([z[:, :5], -z[:, 5:]], dim=1)
    assert not torch.allclose(generator(z, captions), generator(other, captions))


def test_stage_two_keeps_stage_one_as_it_was() -> None:
    """Weights and batch statistics of stage I stand still while stage II learns, and its picture is what is refined."""
    players = made("stackgan")
    generator = players["generator"].train()
    before = {key: value.clone() for key, value in generator.first.state_dict().items()}
    z, captions = generator.latent(4, generator=seeded()), CONDITIONS["stackgan"]
    optimiser = torch.optim.Adam([p for p in generator.parameters() if p.requires_grad], lr=0.1)
    players["critic"](generator(z, captions), captions).sum().backward()
    optimiser.step()
    assert all(torch.equal(value, before[key]) for key, value in generator.first.state_dict().items())
    assert generator.first(z, captions).shape == (4, 3, 16, 16)
    four = made("stackgan", resolution=64)["generator"].eval()
    assert four(z, captions).shape == (4, 3, 64, 64)


def test_the_papers_stage_two_has_its_widths() -> None:
    """128, 256 and 512 maps on the way down to 16 px, 512 there, and 32 at 256 px (Zhang 2017, section 4.2's code)."""
    with torch.device("meta"):
        generator: Any = networks.players(networks.config({"network": "stackgan", "resolution": 256}))["generator"]
    downs = [part.out_channels for part in generator.encode if isinstance(part, nn.Conv2d)]
    assert downs == [128, 256, 512]
    assert len(generator.grow) == 4
    assert generator.last.in_channels == 32
    assert generator.first.open.out_features == 1024 * 4 * 4
