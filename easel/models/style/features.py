"""Feature networks for style transfer: named maps of a ResNet (pocket's perceptual net, ResNet-18), or of VGG-19
from the hub or from a file of the published weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from easel.errors import EaselError, shortened, unknown
from easel.models.catalog import checks
from easel.models.catalog.locate import LocatedModel
from easel.models.devices import pick_device
from easel.models.style.losses import FeatureMaps
from easel.networks import vgg
from easel.networks.smooth_resnet import SmoothResNet

PIXELS, EDGES = "pixels", "edges"
"""Layers before the first: luma and two colour differences; and the differences of these to the right and below."""
OPPONENT = ((0.299, 0.587, 0.114), (0.5, -0.25, -0.25), (0.0, 0.5, -0.5))


@dataclass(frozen=True)
class LayerDefaults:
    """Layers and weights that suit a network, for where the recipe leaves them open."""

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    """Layers as NAME or NAME:weight."""
    content_weight: float
    tv_weight: float
    gram_only: bool
    """Whether style is Gram matrices alone, as in the paper, not those of standardised channels."""


RESNET = LayerDefaults(
    ("stage2", "stage3"), (PIXELS, f"{EDGES}:0.3", "stem", "stage1", "stage2", "stage3", "stage4"), 0.3, 0.5, False
)
VGG = LayerDefaults(("conv4_2",), ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"), 0.1, 0.1, True)
"""Layers of Gatys et al. 2016, section 2.3."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A frozen network with named layers, on a device, and the layer defaults that suit it."""

    name: str
    network: Any
    """Called with pictures (n, 3, h, w) in 0 to 1 and names of layers."""
    strides: Mapping[str, int]
    """Pixels between neighbours in each layer's map."""
    reach: int
    """Radius in pixels of the largest receptive field, at most."""
    defaults: LayerDefaults
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    notes: tuple[str, ...] = ()

    def __call__(self, pictures: Tensor, layers: Collection[str]) -> FeatureMaps:
        """Maps (n, c, ceil(h / stride), ceil(w / stride)) of `layers`, from pictures (n, 3, h, w), or (n, 1, h, w) of
        grey.
        """
        found: FeatureMaps = {}
        pictures = pictures.expand(-1, 3, -1, -1)
        if PIXELS in layers or EDGES in layers:
            matrix = torch.tensor(OPPONENT, device=pictures.device)
            opponent = torch.einsum("ij,njhw->nihw", matrix, pictures)
            found = {PIXELS: opponent, EDGES: edges(opponent)}
        deeper = [name for name in layers if name not in found]
        found |= self.network(pictures, deeper) if deeper else {}
        return {name: found[name] for name in layers}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all layers, from the pixels up."""
        return tuple(self.strides)

    def pool(self, word: str) -> None:
        """Pool by the 'average' or the 'largest', where the network is VGG-19; a ResNet's maps are always averaged."""
        if isinstance(self.network, vgg.Vgg19):
            self.network.average = word == "average"

    def layer_weights(self, layers: Mapping[str, float]) -> dict[str, float]:
        """Names of layers with weights that sum to 1. Raises EaselError on a name that this network has not."""
        for name in layers:
            if name not in self.strides:
                raise unknown(f"layer of {self.name}", name, self.strides)
        return {name: weight / sum(layers.values()) for name, weight in layers.items()}


def edges(maps: Tensor) -> Tensor:
    """The differences of (n, c, h, w) to the right and below, (n, 2 c, h, w); the last one of a line is 0."""
    right = functional.pad(maps[..., 1:] - maps[..., :-1], (0, 1, 0, 0))
    below = functional.pad(maps[..., 1:, :] - maps[..., :-1, :], (0, 0, 0, 1))
    return torch.cat([right, below], dim=1)


def load(located: LocatedModel, device: str = "auto", dtype: str = "auto") -> FeatureNetwork:  # noqa: ARG001 - float32 always
    """The network at `located`: a transformers folder of a ResNet, or VGG-19's weights under torchvision's names, in a
    folder or a file. A `.pth` file is read as plain weights, which runs no code.

    Raises EaselError on anything else.
    """
    where = pick_device(device)
    if located.path.is_dir() and checks.read_json(located.path / "config.json").get("model_type") == "resnet":
        from easel.models.vision import load_vision

        loaded = load_vision(located, ("ResNetModel",), device, "float32")
        network = SmoothResNet(loaded.model, loaded.processor.image_mean, loaded.processor.image_std)
        found: nn.Module = network
        strides, reach, defaults = network.strides, network.reach, RESNET
    else:
        found = load_vgg(located.path)
        strides, reach, defaults = vgg.STRIDES, vgg.REACH, VGG
    found = found.to(where).eval().requires_grad_(False)
    return FeatureNetwork(located.name, found, {PIXELS: 1, EDGES: 1, **strides}, reach, defaults, where, located.notes)


def load_vgg(path: Path) -> vgg.Vgg19:
    """VGG-19's convolutions, out of a file or folder that may hold its classifier too. Raises EaselError."""
    file = path if path.is_file() else checks.weight_files(path)[0][0]
    network = vgg.Vgg19()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    weights = _weights(file, wanted)
    wrong = [name for name, shape in wanted.items() if name not in weights or tuple(weights[name].shape) != shape]
    if wrong:
        now = tuple(weights[wrong[0]].shape) if wrong[0] in weights else "missing"
        raise EaselError(
            f"{file} is neither a ResNet's folder nor VGG-19's weights: '{wrong[0]}' is {now}, wanted "
            f"{wanted[wrong[0]]}; `easel models pull vgg19` fetches them"
        )
    network.load_state_dict({name: weights[name].float() for name in wanted})
    checks.check_finite(network, file.name)
    return network


def _weights(file: Path, wanted: Collection[str]) -> dict[str, Any]:
    """Those of the tensors in a file that are wanted."""
    if file.suffix in {".pth", ".pt"} and checks.is_pickle(file):
        try:
            plain = torch.load(file, map_location="cpu", weights_only=True)
            return {name: tensor for name, tensor in plain.items() if name in wanted}
        except Exception as problem:  # torch raises whatever the damage brings about
            raise EaselError(f"{file} cannot be read as plain weights ({shortened(problem)})") from problem
    checks.check_file(file)
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys() if name in wanted}  # noqa: SIM118
