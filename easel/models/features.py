"""Feature vectors of pictures and texts (CLIP, DINO), and a perceptual distance of LPIPS's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from easel.models.catalog.locate import LocatedModel
from easel.models.vision import load_vision

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray
    from torch import Tensor

BATCH = 16


class Clip:
    """Pictures and words in one space (Radford et al. 2021, arXiv 2103.00020)."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        self._loaded = load_vision(located, ("CLIPModel",), device, dtype, with_tokenizer=True)
        self.processor = self._loaded.processor
        self._loaded.trial(lambda image: (self.images([image]), self.texts(["a"])))
        self.scale = float(self._loaded.model.logit_scale.detach().float().exp())

    def images(self, images: Sequence[Image.Image]) -> NDArray[float32]:
        """Unit vectors (n, d)."""
        model = self._loaded.model
        return _unit_vectors(
            images, lambda batch: model.get_image_features(pixel_values=self._loaded.pixels(batch)).pooler_output
        )

    def texts(self, texts: Sequence[str]) -> NDArray[float32]:
        """Unit vectors (n, d); a text is cut at the model's window (77 tokens)."""
        model = self._loaded.model
        return _unit_vectors(
            texts, lambda batch: model.get_text_features(**self._loaded.tokens(list(batch))).pooler_output
        )


STRANGER = 0.3
"""Two photos with a cosine below may show two subjects, where a model's easel.json does not say otherwise (`stranger`):
by DINO two photos of one have 0.5 to 0.9, and of two 0 to 0.3.
"""


class Subject:
    """What is in the picture, as a vector: the class token of DINO (Caron et al. 2021), as in DreamBooth, or of
    DINOv2.
    """

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        from easel.models.catalog import checks

        self.name, self.notes = located.name, list(located.notes)
        pooled = (
            checks.read_json(located.path / "config.json").get("model_type") == "vit"
            if located.path.is_dir()
            else False
        )
        own = located.path / "easel.json"
        said = checks.read_json(own) if own.is_file() else {}
        self.stranger = float(said.get("stranger", STRANGER))
        options = {"add_pooling_layer": False} if pooled else {}  # DINO has no pooler; transformers would make one up
        self._loaded = load_vision(located, ("ViTModel", "Dinov2Model"), device, dtype, **options)
        self._loaded.trial(lambda image: self.images([image]))
        self.processor = self._loaded.processor

    def images(self, images: Sequence[Image.Image]) -> NDArray[float32]:
        """Unit vectors (n, d)."""
        model = self._loaded.model
        return _unit_vectors(
            images, lambda batch: model(pixel_values=self._loaded.pixels(batch)).last_hidden_state[:, 0]
        )


class Perceptual:
    """How different two pictures look: LPIPS without its learned weights (Zhang et al. 2018, arXiv 1801.03924, equation
    1).
    """

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        self._loaded = load_vision(located, ("ResNetModel",), device, dtype)
        self._loaded.model.requires_grad_(False)
        self._loaded.trial(lambda image: self.distance([image], [image]))

    def distance(self, a: Sequence[Image.Image], b: Sequence[Image.Image]) -> list[float]:
        """For each pair the sum over stages of the mean squared difference of unit-length features; 0 is the same
        picture.
        """
        import torch

        if len(a) != len(b):
            raise ValueError(f"{len(a)} pictures against {len(b)}")
        found: list[float] = []
        for start in range(0, len(a), BATCH):
            with torch.no_grad():
                left, right = (self._loaded.pixels(images[start : start + BATCH]) for images in (a, b))
                found += [float(value) for value in self._distances(left, right)]
        return found

    def resized_distance(self, a: Tensor, b: Tensor) -> NDArray[float32]:
        """The same for pictures (n, 3, h, w) in -1..1 not rounded to 8 bits, which would lose small steps: (n,).

        For path lengths. They are resized to the network's side, without the crop of some processors.
        """
        import torch

        if a.shape != b.shape:
            raise ValueError(f"pictures of shapes {tuple(a.shape)} and {tuple(b.shape)}")
        with torch.no_grad():
            found: NDArray[float32] = self.tensor_distance(self._resized(a), self._resized(b)).cpu().numpy()
        return found

    def tensor_distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The same at the pictures' own size, differentiable, where the pictures are: (n,), for training."""
        return self._distances(self._prepared(a), self._prepared(b))

    def _resized(self, pictures: Tensor) -> Tensor:
        import torch

        size = self._loaded.processor.size
        side = size.get("shortest_edge") or size.get("height")
        x = pictures.to(self._loaded.device, torch.float32)
        return torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True)

    def _prepared(self, pictures: Tensor) -> Tensor:
        processor, model = self._loaded.processor, self._loaded.model
        mean, std = (
            pictures.new_tensor(list(values))[:, None, None] for values in (processor.image_mean, processor.image_std)
        )
        return ((pictures + 1) / 2 - mean).div(std).to(model.dtype)

    def _distances(self, left: Any, right: Any) -> Tensor:
        """Distances (n,) of prepared pictures (n, 3, h, w)."""
        import torch

        pairs = zip(self._stages(left), self._stages(right), strict=True)
        return torch.stack([(x - y).square().sum(dim=1).mean(dim=(1, 2)) for x, y in pairs]).sum(dim=0)

    def _stages(self, pixels: Any) -> list[Any]:
        """Features of every stage, (n, c, h, w) each, every pixel's vector of length one."""
        states = self._loaded.model(pixel_values=pixels, output_hidden_states=True).hidden_states
        return [state.float() / (state.float().norm(dim=1, keepdim=True) + 1e-10) for state in states]


def _unit_vectors(inputs: Sequence[Any], features: Any) -> NDArray[float32]:
    import numpy as np
    import torch

    made = []
    for start in range(0, len(inputs), BATCH):
        with torch.no_grad():
            vectors = features(inputs[start : start + BATCH]).float()
        made.append((vectors / vectors.norm(dim=-1, keepdim=True)).cpu().numpy())
    return np.concatenate(made) if made else np.zeros((0, 0), dtype=np.float32)
