"""Style transfer by optimisation: statistics and gradients worked out by hand, and the job around it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from easel import models, runners
from easel.errors import Cancelled, EaselError
from easel.images import open_picture
from easel.jobs import transfer as transfer_job
from easel.jobs.stylize import styles
from easel.models.style import features, optimise
from easel.models.style.losses import FeatureMaps, StyleStatistics, gram, sums, tiles, total_variation
from easel.models.style.optimise import Iteration, Settings
from easel.networks import vgg
from easel.provenance import read_provenance
from easel.recipes import recipe_from
from easel.recipes.score import ScoreStyles
from easel.recipes.transfer import Transfer, weighted
from tests import fakes
from tests.conftest import drawn


class Plain:
    """Two layers: the pixels, and a fixed convolution of them at half resolution."""

    def __init__(self) -> None:
        self.strides: Mapping[str, int] = {"pixels": 1, "half": 2}
        self.reach = 1
        self.kernel = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(1)) / 5

    def __call__(self, pictures: Tensor, layers: Collection[str]) -> FeatureMaps:
        pictures = pictures.expand(-1, 3, -1, -1)
        half = functional.relu(functional.conv2d(pictures.double(), self.kernel.double(), stride=2, padding=1))
        return {name: {"pixels": pictures.double(), "half": half}[name] for name in layers}


def picture(height: int = 48, width: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = dict(
        content_layers={"half": 1.0}, style_layers={"pixels": 0.5, "half": 0.5}, content_weight=0.5
    )
    return Settings(**(given | dict(tv_weight=0.1, iterations=6) | changes))


# Statistics


def test_gram_by_hand() -> None:
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    assert gram(maps).tolist() == [[2.5, 0.5], [0.5, 5.0]]
    both = sums(maps).plus(sums(maps))
    assert both.positions == 4
    assert both.first.tolist() == [6.0, 4.0]
    assert torch.equal(both.second, 2 * sums(maps).second)


def test_total_variation_of_a_ramp() -> None:
    ramp = (torch.arange(8.0) * 0.1).expand(1, 3, 5, 8)
    assert float(total_variation(ramp)) == pytest.approx(0.01)  # a step of 0.1 to the right, none below
    assert float(total_variation(ramp.transpose(2, 3))) == pytest.approx(0.01)
    assert float(total_variation(torch.full((1, 3, 4, 4), 0.3))) == 0


def test_style_of_a_picture_against_itself_is_zero_and_by_hand() -> None:
    maps = picture(seed=3)
    found = sums(maps)
    mean, gram_matrix = found.first / found.positions, found.second / found.positions
    for gram_only in (False, True):
        assert float(StyleStatistics(mean, gram_matrix, gram_only=gram_only).loss(found)) == pytest.approx(0, abs=1e-9)
    doubled = sums(2 * maps)
    # G becomes 4 G: |4 G - G|^2 / |G|^2
    assert float(StyleStatistics(mean, gram_matrix, gram_only=True).loss(doubled)) == pytest.approx(9, rel=1e-4)
    # of one channel with mean m and spread s, 1 unit further: E z^2 = 2 instead of 1, and the mean 1 instead of 0
    one = torch.tensor([[[[-1.0, 1.0]]]])
    style = StyleStatistics(torch.zeros(1), torch.ones(1, 1))
    assert float(style.loss(sums(one + 1))) == pytest.approx((2 - 1) ** 2 + 1)


# Tiles


@given(height=st.integers(20, 90), width=st.integers(20, 90), most=st.integers(16, 48), gram_only=st.booleans())
def test_the_gradient_of_tiles_is_that_of_the_whole(height: int, width: int, most: int, gram_only: bool) -> None:
    photo, x = picture(height, width, 1).double(), picture(height, width, 2).double()
    blend = [(picture(40, 30, 3).double(), 2.0), (picture(30, 40, 4).double(), 1.0)]
    found = [
        optimise.objective_of(photo, blend, Plain(), settings(gram_only=gram_only, tile=tile)).loss_and_gradient(x)
        for tile in (1000, most)
    ]
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-9)
    assert torch.allclose(found[1][1], found[0][1], atol=1e-11, rtol=1e-6)


@given(height=st.integers(8, 200), width=st.integers(8, 200), most=st.integers(8, 64))
def test_every_place_is_counted_once(height: int, width: int, most: int) -> None:
    places = torch.arange(height * width).reshape(1, 1, height, width)
    for stride in (1, 2):
        whole = places[..., ::stride, ::stride]
        counted = [
            tile.crop_maps(tile.crop(places)[..., ::stride, ::stride], stride).flatten()
            for tile in tiles(height, width, most, Plain())
        ]
        assert torch.equal(torch.cat(counted).sort().values, whole.flatten())


@pytest.fixture(scope="module")
def pocket() -> features.FeatureNetwork:
    """Pocket's perceptual net."""
    return models.load("pocket", "style", "cpu")


def test_pocket_in_tiles_sees_what_it_sees_whole(pocket: features.FeatureNetwork) -> None:
    x, photo = picture(64, 500, 5), picture(64, 500, 6)
    wish = dict(content_layers={"stage2": 1.0}, style_layers=dict.fromkeys(pocket.layers, 0.2), tv_weight=0.0)
    found = [
        optimise.objective_of(photo, [(picture(64, 64), 1.0)], pocket, settings(**wish, tile=tile)).loss_and_gradient(x)
        for tile in (1000, 480)
    ]
    assert [tile.inner[2:] for tile in tiles(64, 500, 480, pocket)] == [(0, 160), (160, 320), (320, 480), (480, 500)]
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-4)
    assert (found[1][1] - found[0][1]).norm() < 1e-3 * found[0][1].norm()


def test_pocket_without_aliasing_carries_gradients_to_all_pixels_alike(pocket: features.FeatureNetwork) -> None:
    x = torch.full((1, 3, 96, 96), 0.5).requires_grad_()
    maps = pocket(x, {"stage1", "stage3"})
    assert {name: tuple(maps[name].shape) for name in maps} == {"stage1": (1, 24, 24, 24), "stage3": (1, 96, 6, 6)}
    (gradient,) = torch.autograd.grad(maps["stage1"].sum(), x)
    inside = gradient[..., 32:64, 32:64].abs().sum(dim=1)
    phases = torch.stack([inside[..., i::4, j::4].mean() for i in range(4) for j in range(4)])
    assert float(phases.max() / phases.min()) < 1.6  # the network as it is: far more


# The optimisation


def run_plain(photo: Tensor, style: Tensor, seed: int = 1, report: Any = None, **changes: Any) -> Tensor:
    return optimise.transfer(photo, [(style, 1.0)], Plain(), settings(**changes), seed, report)


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_the_loss_falls_at_every_size(optimiser: Any) -> None:
    moments: list[Iteration] = []
    photo = picture(128, 256)
    made = run_plain(photo, picture(64, 64, 9) ** 3, report=moments.append, optimizer=optimiser, iterations=12)
    assert made.shape == photo.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    by_size = {size: [m for m in moments if m.size == size] for size in dict.fromkeys(m.size for m in moments)}
    assert list(by_size) == [(64, 128), (128, 256)]
    assert [len(rows) for rows in by_size.values()] == [18, 12]
    for rows in by_size.values():
        assert rows[-1].loss < rows[0].loss
        assert (rows[-1].done, rows[-1].total) == (len(rows), len(rows))
    assert by_size[64, 128][-1].loss < 0.5 * by_size[64, 128][0].loss


def test_a_step_of_lbfgs_that_runs_away_is_taken_back() -> None:
    """A bowl whose third gradient is a lie: the picture leaps away, comes back, and reaches the bottom."""

    class Lying:
        calls = 0

        def loss_and_gradient(self, x: Tensor) -> tuple[float, Tensor]:
            self.calls += 1
            lie = 1e6 if self.calls == 3 else 1.0
            return float((x - 0.5).square().sum()), lie * 2 * (x - 0.5)

    start = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    losses: list[float] = []
    bowl: Any = Lying()
    made = optimise.optimized(start, bowl, 20, "lbfgs", lambda moment: losses.append(moment.loss))
    assert max(losses) == losses[0]
    assert torch.allclose(made, torch.full_like(made, 0.5), atol=1e-2)


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_without_style_the_photo_stays(optimiser: Any) -> None:
    photo = picture(48, 64)
    made = run_plain(photo, picture(seed=2), style_weight=0.0, tv_weight=0.0, optimizer=optimiser)
    assert torch.equal(made, photo)


def test_without_content_and_style_only_smoothness_is_left() -> None:
    photo = picture(48, 64)
    made = run_plain(photo, photo, style_weight=0.0, content_weight=0.0, tv_weight=1.0, iterations=20)
    assert float(total_variation(made)) < 0.5 * float(total_variation(photo))


def test_seeds_and_starts() -> None:
    photo, style = picture(48, 64), picture(seed=2)
    first = run_plain(photo, style, 1, start="noise")
    assert torch.equal(first, run_plain(photo, style, 1, start="noise"))
    assert not torch.equal(first, run_plain(photo, style, 2, start="noise"))
    assert torch.equal(run_plain(photo, style, 1), run_plain(photo, style, 2))  # nothing is left to chance


def test_blended_statistics_are_weighted_means() -> None:
    a, b = picture(32, 32, 1).double(), picture(32, 32, 2).double()
    blend = optimise.blended_statistics([(a, 3.0), (b, 1.0)], Plain(), ("half",), settings(gram_only=True))["half"]
    by_hand = [gram(Plain()(side, ("half",))["half"]) for side in (a, b)]
    assert torch.allclose(blend.target, 0.75 * by_hand[0] + 0.25 * by_hand[1])


@given(longest=st.integers(16, 9000), iterations=st.integers(1, 500))
def test_the_schedule_goes_from_coarse_to_fine(longest: int, iterations: int) -> None:
    rows = optimise.schedule(longest, iterations)
    assert rows[-1] == (1.0, iterations)
    assert all(fine[0] == 2 * coarse[0] and fine[1] <= coarse[1] for coarse, fine in pairwise(rows))
    assert len(rows) == 1 or 128 <= longest * rows[0][0] < 256


@pytest.mark.parametrize(("optimiser", "advice"), [("adam", ""), ("lbfgs", "--optimiser adam, or ")])
def test_numbers_that_run_away_are_an_error(optimiser: Any, advice: str) -> None:
    photo = picture()
    photo[0, 0, 3, 3] = float("nan")
    with pytest.raises(EaselError, match=rf"at step 1 of 64 x 48 px: use {advice}a smaller --style-weight"):
        run_plain(photo, picture(seed=2), optimizer=optimiser)


def test_a_grey_channel_goes_downhill_as_three_equal_ones_together() -> None:
    photo, x, style = (optimise.luminance(picture(seed=seed)).double() for seed in (1, 2, 3))
    found = []
    for channels in (1, 3):
        wide, style_wide, at = (side.expand(-1, channels, -1, -1) for side in (photo, style, x))
        found.append(optimise.objective_of(wide, [(style_wide, 1.0)], Plain(), settings()).loss_and_gradient(at))
    assert found[0][0] == pytest.approx(found[1][0])
    assert torch.allclose(found[0][1], found[1][1].sum(dim=1, keepdim=True))
    assert optimise.transfer(photo, [(style, 1.0)], Plain(), settings(), 1).shape == photo.shape


def test_a_layer_without_a_pattern_is_left_out() -> None:
    flat = torch.full((1, 3, 32, 32), 0.3).double()
    for style in (flat, flat + 1e-4 * picture(32, 32)):
        assert not optimise.blended_statistics([(style, 1.0)], Plain(), ("pixels",), settings())
    striped = flat.clone()
    striped[..., ::4] = 0.5
    assert set(optimise.blended_statistics([(striped, 1.0)], Plain(), ("pixels",), settings())) == {"pixels"}
    assert torch.isfinite(run_plain(picture(16, 33), flat.float())).all()


def test_a_margin_is_painted_and_cut_off() -> None:
    photo = picture(20, 24)
    assert torch.equal(optimise.reflect_padded(photo, 2)[..., 2:-2, 2:-2], photo)
    assert torch.equal(optimise.reflect_padded(photo, 2)[..., 0], optimise.reflect_padded(photo, 2)[..., 4])
    seen: list[Iteration] = []
    sizes: set[tuple[int, ...]] = set()

    class Watched(Plain):
        def __call__(self, pictures: Tensor, layers: Collection[str]) -> FeatureMaps:
            sizes.add(tuple(pictures.shape[2:]))
            return super().__call__(pictures, layers)

    optimise.transfer(photo, [(picture(32, 32), 1.0)], Watched(), settings(), 1, seen.append)
    assert (20 + 2 * 16, 24 + 2 * 16) in sizes
    assert {(moment.size, tuple(moment.picture.shape[2:])) for moment in seen} == {((20, 24), (20, 24))}


def test_luminance_is_matched_by_hand() -> None:
    photo, style = picture(seed=1) * 0.2 + 0.4, picture(seed=2)
    found = optimise.luminance_matched(optimise.luminance(style), optimise.luminance(photo))
    grey = optimise.luminance(photo)
    assert float(found.mean()) == pytest.approx(float(grey.mean()), abs=1e-3)
    assert float(found.std()) == pytest.approx(float(grey.std()), rel=0.02)
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(1, 3, 2, 2)
    assert optimise.luminance(red).unique().tolist() == [pytest.approx(0.299)]


# Networks


def test_vgg_is_the_published_one() -> None:
    with torch.device("meta"):
        network = vgg.Vgg19()
    assert sum(weight.numel() for weight in network.parameters()) == 20_024_384
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    numbers = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert list(shapes) == [f"features.{n}.{part}" for n in numbers for part in ("weight", "bias")]
    assert shapes["features.19.weight"] == (512, 256, 3, 3)
    assert vgg.LAYERS[0] == "conv1_1"
    assert vgg.LAYERS[9] == "conv4_2"
    assert len(vgg.LAYERS) == 16
    assert (vgg.STRIDES["conv1_2"], vgg.STRIDES["conv5_4"]) == (1, 16)


def test_vgg_maps_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg, "WIDTHS", ((2,), (2,)))
    monkeypatch.setattr(vgg, "LAYERS", ("conv1_1", "conv2_1"))
    network = vgg.Vgg19().requires_grad_(False)
    first, second = network.features[0], network.features[3]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    x = picture(7, 10)
    normal = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    one = functional.relu(first(normal))
    for word in (True, False):
        network.average = word
        maps = network(x, {"conv1_1", "conv2_1"})
        assert torch.allclose(maps["conv1_1"][..., 1:-1, 1:-1], one[..., 1:-1, 1:-1], atol=1e-6)
        pool = functional.avg_pool2d if word else functional.max_pool2d
        wanted = functional.relu(second(pool(maps["conv1_1"], 2, ceil_mode=True)))
        assert torch.equal(maps["conv2_1"], wanted)
        assert maps["conv2_1"].shape == (1, 2, 4, 5)
    assert set(network(x, {"conv1_1"})) == {"conv1_1"}


TINY = ((4,), (6,))


@pytest.fixture
def tiny_vgg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a small network under the published names, beside a classifier's."""
    monkeypatch.setattr(vgg, "WIDTHS", TINY)
    monkeypatch.setattr(vgg, "LAYERS", ("conv1_1", "conv2_1"))
    torch.manual_seed(5)
    weights = {name: tensor.contiguous() for name, tensor in vgg.Vgg19().state_dict().items()}
    weights["classifier.0.weight"], weights["classifier.3.weight"] = torch.zeros(8, 8), torch.ones(8, 8)
    from safetensors.torch import save_file

    folder = tmp_path / "vgg"
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text('{"architecture": "vgg19"}')
    torch.save(weights, tmp_path / "vgg19-dcbb9e9d.pth")
    return tmp_path


def test_vgg_from_a_folder_a_file_and_a_pth(tiny_vgg: Path) -> None:
    x = picture(32, 32)
    found = [
        models.load(str(tiny_vgg / name), "style", "cpu")
        for name in ("vgg", "vgg/model.safetensors", "vgg19-dcbb9e9d.pth")
    ]
    maps = [network(x, ("conv2_1",))["conv2_1"] for network in found]
    assert torch.equal(maps[0], maps[1])
    assert torch.equal(maps[0], maps[2])
    assert not any(weight.requires_grad for weight in found[0].network.parameters())
    assert found[0].defaults is features.VGG
    found[0].pool("largest")
    assert not torch.equal(found[0](x, ("conv2_1",))["conv2_1"], maps[0])


def test_wrong_weights_are_told(tiny_vgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg, "WIDTHS", ((4,), (7,)))
    with pytest.raises(EaselError, match=r"'features.3.weight' is \(6, 4, 3, 3\), wanted \(7, 4, 3, 3\)"):
        models.load(str(tiny_vgg / "vgg"), "style", "cpu")
    (tmp_path / "broken.pth").write_bytes((tiny_vgg / "vgg19-dcbb9e9d.pth").read_bytes()[:300])
    with pytest.raises(EaselError, match="cannot be read as plain weights"):
        models.load(str(tmp_path / "broken.pth"), "style", "cpu")
    with pytest.raises(EaselError, match="easel models pull vgg19"):
        models.load("vgg19", "style", "cpu")
    with pytest.raises(EaselError, match="'clip-b32' has no model for style: use one of pocket, resnet-18, vgg19"):
        models.load("clip-b32", "style", "cpu")


def test_layers_are_named_and_weighed(pocket: features.FeatureNetwork) -> None:
    assert pocket.layer_weights({"stem": 3.0, "stage1": 1.0}) == {"stem": 0.75, "stage1": 0.25}
    with pytest.raises(EaselError, match="no layer of pocket called 'stage9': use one of stage"):
        pocket.layer_weights({"stage9": 1.0})


def test_edges_by_hand() -> None:
    ramp = (torch.arange(4.0) * 2).expand(1, 1, 3, 4)
    assert features.edges(ramp)[0, 0].tolist() == [[2, 2, 2, 0]] * 3
    assert not features.edges(ramp)[0, 1].any()


# Words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("wave.jpg", ("wave.jpg", 1.0)),
        ("wave.jpg:0.3", ("wave.jpg", 0.3)),
        (r"C:\art\wave.jpg", (r"C:\art\wave.jpg", 1.0)),
        (r"C:\art\wave.jpg:2", (r"C:\art\wave.jpg", 2.0)),
        ("a:b.jpg", ("a:b.jpg", 1.0)),
        ("at 12:30.png:1e-2", ("at 12:30.png", 0.01)),
        ("s3:5:7", ("s3:5", 7.0)),
    ],
)
def test_weights_after_a_name(text: str, wanted: tuple[str, float]) -> None:
    assert weighted(text) == wanted


@pytest.mark.parametrize("text", ["", ":0.5", "a.jpg:", "a.jpg:0", "a.jpg:-1", "a.jpg:nan", "a.jpg:inf", "a.jpg:1e9"])
def test_wrong_weights_after_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"is '.*': (write NAME|a weight is a number above 0)"):
        weighted(text)


@given(name=st.text(st.characters(codec="ascii", exclude_characters="\x00"), min_size=1), weight=st.floats(1e-3, 1e5))
def test_any_name_takes_a_weight(name: str, weight: float) -> None:
    if name.strip() and not name.endswith(":"):
        assert weighted(f"{name}:{weight!r}") == (name, weight)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"style_weight": 0.0}, "style_weight is 0"),
        ({"style": ["a.jpg:0"]}, "a weight is a number above 0"),
        ({"style": ["a.jpg"], "styles": ["monet", "pencil"]}, "give one name, or none"),
        ({"count": 2}, "count: from the photo every picture comes out the same"),
        ({"optimizer": "adams"}, "no optimizer called 'adams': use one of adam"),
        ({"style_weight": -1}, "style_weight is -1"),
        ({"model": "sd-1.5"}, "model is not a setting of transfer"),
        ({"kind": "stylize", "side": 1024}, "side is not a setting of stylize"),
        (
            {"kind": "stylize", "steps": 3, "strength": 0.3},
            "steps: 3 at strength 0.3 are less than one: give 4 or more",
        ),
    ],
)
def test_recipes_that_make_no_sense(values: dict[str, Any], words: str) -> None:
    with pytest.raises(EaselError, match=words):
        recipe_from({"kind": "transfer", "photo": "a.jpg"} | values)
    if "count" in values:
        recipe_from({"kind": "transfer", "photo": "a.jpg", "start": "noise"} | values)


# The job


class Family(fakes.Family):
    """The fake judges, and pocket's own network for style."""

    def load(self, name: str, role: str, device: str = "auto", dtype: str = "auto", **more: Any) -> Any:
        if role == "style":
            return models_load(name, role, device)
        return super().load(name, role, device, dtype, **more)


models_load: Any = models.load


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Family:
    found = Family()
    monkeypatch.setattr("easel.models.load", found.load)
    return found


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    """Stripes of blue and yellow."""
    rows = np.zeros((80, 96, 3), np.uint8)
    rows[:] = (240, 210, 40)
    rows[:, ::4] = (20, 40, 160)
    path = tmp_path / "stripes.png"
    Image.fromarray(rows).save(path)
    return path


QUICK: dict[str, Any] = dict(side=64, iterations=4, seed=3)


def transferred(photo: Path, out: Path, **changes: Any) -> Any:
    return runners.run(Transfer(**({"photo": str(photo)} | QUICK | changes)), out, "cpu")


def test_a_painting_is_taken_from_a_file_and_made_again(
    family: Family, photo: Path, painting: Path, tmp_path: Path
) -> None:
    result = transferred(photo, tmp_path / "a", style=(f"{painting}:2",))
    assert [path.name for path in result.picture_paths] == ["01-stripes.png"]
    assert result.images[0].size == (64, 43)
    assert not (tmp_path / "a" / "preview.png").exists()
    assert {score.name for score in result.scores} == {
        "style",
        "style on the photo",
        "CLIP-T",
        "perceptual distance",
    }
    assert "in the style of stripes" in result.texts["01-stripes.png"]
    assert ("pocket", "image-to-image") not in family.loaded
    made = read_provenance(result.picture_paths[0])
    assert made["easel"]["recipe"]["styles"] == ["stripes"]
    assert "Sampler: Adam, Seed: 3, Size: 64x43, Model: pocket, RNG: CPU" in made["parameters"]
    assert (made["easel"]["dtype"], made["easel"]["optimizer"]) == ("float32", "adam")
    assert (made["easel"]["recipe"]["photo"], made["easel"]["recipe"]["style"]) == ("photo.jpg", ["stripes.png:2"])
    whole = made["easel"]["recipe"] | {"photo": str(photo), "style": [f"{painting}:2"]}
    again = runners.run(recipe_from(whole), tmp_path / "b", "cpu")
    assert again.picture_paths[0].read_bytes() == result.picture_paths[0].read_bytes()


def test_the_picture_goes_towards_the_painting(family: Family, photo: Path, painting: Path, tmp_path: Path) -> None:
    result = transferred(photo, tmp_path / "a", style=(str(painting),), iterations=40, content_weight=0.05)
    colours = [
        np.asarray(image, np.float32).mean(axis=(0, 1)) for image in (open_picture(photo), open_picture(painting))
    ]
    mine = np.asarray(result.images[0], np.float32).mean(axis=(0, 1))
    assert np.linalg.norm(mine - colours[1]) < 0.6 * np.linalg.norm(colours[0] - colours[1])


def test_kept_colours(family: Family, photo: Path, painting: Path, tmp_path: Path) -> None:
    result = transferred(photo, tmp_path / "a", style=(str(painting),), keep_colours=True, iterations=10)
    turn = np.array(features.OPPONENT)
    fitted = open_picture(photo).resize((64, 43), Image.Resampling.LANCZOS)
    before, after = (np.asarray(image, np.float32) / 255 @ turn.T for image in (fitted, result.images[0]))
    assert np.abs(before.mean(axis=(0, 1)) - after.mean(axis=(0, 1)))[1:].max() < 0.02
    assert np.abs(before - after)[..., 0].mean() > 0.02  # and something was painted


def test_named_styles_have_pictures_of_their_own(family: Family, photo: Path, painting: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "- name: stripes\n  prompt: '{caption} striped'\n  question: striped?\n  image: stripes.png\n"
        "- name: monet\n  title: Mine\n"
    )
    known = styles.table(str(tmp_path / "mine.yaml"))
    assert Path(known["stripes"].image) == painting
    assert Path(known["monet"].image).is_file()  # still the built-in one's
    result = transferred(photo, tmp_path / "a", styles=("stripes", "monet"), styles_file=str(tmp_path / "mine.yaml"))
    assert [path.name for path in result.picture_paths] == ["01-stripes.png", "02-monet.png"]
    assert result.images[0] != result.images[1]
    for style in styles.table().values():
        if style.image:
            assert open_picture(style.image).width >= 400
            assert Path(style.image).stat().st_size <= 60_000
    with pytest.raises(EaselError, match=r"the style 'banksy' has no picture .*--style FILE.*\(van-gogh, mal"):
        transferred(photo, tmp_path / "b", styles=("monet", "banksy"))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style": ("no.jpg",)}, "there is no file no.jpg"),
        ({"style": ("black.png",)}, "black.png is of one colour"),
        ({"styles": ("monet",), "features": "vgg20"}, "no model called 'vgg20': use one of vgg19"),
        ({"styles": ("monet",), "style_layers": ("stage7",)}, "no layer of pocket called 'stage7'"),
        ({"styles": ("monet",), "content_layers": ("stage2:0",)}, "a weight is a number above 0"),
    ],
)
def test_wrong_words_end_before_the_painting(
    family: Family, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40)).save("black.png")
    with pytest.raises((EaselError, ValueError), match=words):
        transferred(photo, tmp_path / "a", **changes)
    assert not list(tmp_path.glob("a/*.png"))


def test_progress_by_size_a_preview_and_a_stop(
    family: Family, photo: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_job, "PREVIEW_EVERY", 0.0)
    seen: list[Any] = []
    recipe = Transfer(photo=str(photo), style=(str(painting),), **(QUICK | {"side": 256}))

    def report(step: Any) -> None:
        if step.phase.startswith("painting at 256 x 171"):
            seen.append((step, open_picture(tmp_path / "a" / "preview.png").size))
            if step.done == 2:
                raise Cancelled("enough")
        elif step.phase.startswith("painting"):
            seen.append((step, None))

    with pytest.raises(Cancelled):
        runners.run(recipe, tmp_path / "a", "cpu", report=report)
    rows = [(step.phase, step.done, step.total) for step, _ in seen]
    assert rows[:6] == [("painting at 128 x 86", done, 6) for done in range(1, 7)]
    assert rows[6:] == [("painting at 256 x 171", done, 4) for done in (1, 2)]
    assert seen[-1][1] == (256, 171) == seen[-1][0].preview.size
    assert not (tmp_path / "a").exists()


def test_styles_are_scored_by_the_same_judges(family: Family, painting: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        drawn(48 + 8 * number, 48).save(folder / f"{number}.png")
    wish: dict[str, Any] = dict(method="neural", folder=str(folder), styles=("hokusai",), judge="pocket") | QUICK
    steps: list[Any] = []
    result = runners.run(ScoreStyles(**wish), tmp_path / "out", "cpu", report=steps.append)
    assert {"style recognised", "style success", "perceptual distance"} <= {score.name for score in result.scores}
    assert (tmp_path / "out" / "pictures" / "1.png" / "01-hokusai.png").is_file()
    shown = [(step.done, step.total) for step in steps if step.phase == "drawing and judging"]
    assert shown[-1] == (8, 8)
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)
