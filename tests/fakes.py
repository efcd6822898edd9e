"""Models with known answers, to prove the jobs' stories with numbers worked out by hand.

A drawn picture is one flat colour, told by its prompt, with its seed in the corner. The judge says yes with 0.9 where
the colour is the style's, else with 0.2. CLIP's rows are the colour and the colour named in the text; the distance is 0
for equal colours, else 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from easel.models.diffusion.settings import Defaults, Sampling

COLOURS = {
    "Van Gogh": (0, 0, 255),
    "Malevich": (255, 0, 0),
    "Delaunay": (0, 255, 0),
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
}
OTHER = (120, 120, 120)


def colour_of(text: str) -> tuple[int, int, int]:
    """The colour that a text stands for."""
    return next((colour for word, colour in COLOURS.items() if word in text), OTHER)


def centre(image: Image.Image) -> tuple[int, int, int]:
    """The colour in the middle."""
    pixel: Any = image.getpixel((image.width // 2, image.height // 2))
    return pixel  # type: ignore[no-any-return]


class Diffusion:
    """Paints the prompt's colour; remembers what it was asked."""

    def __init__(self) -> None:
        self.defaults = Defaults(strength=0.6, strengths={"malevich": 0.8})
        self.notes: list[str] = []
        self.calls: list[dict[str, Any]] = []

    def settle(self, settings: Sampling, image: Image.Image | None = None) -> Sampling:
        ratio = 1.0 if image is None else image.width / image.height
        width, height = (
            settings.width or round(64 * ratio**0.5 / 8) * 8,
            settings.height or round(64 / ratio**0.5 / 8) * 8,
        )
        guidance = 7.5 if settings.guidance_scale is None else settings.guidance_scale
        return Sampling(settings.steps, guidance, settings.scheduler or "ddim", width, height)

    def generate(
        self, texts: list[str], seeds: list[int], *, settings: Sampling, report: Any, **more: Any
    ) -> list[Image.Image]:
        self.calls.append({"texts": texts, "seeds": seeds, "settings": settings, **more})
        full = self.settle(settings)
        made = []
        for text, seed in zip(texts, seeds, strict=True):
            picture = Image.new("RGB", (full.width or 64, full.height or 64), colour_of(text))
            picture.putpixel((0, 0), (seed % 256, seed // 256 % 256, 0))
            made.append(picture)
        for step in range(1, settings.steps + 1):
            report(step * len(texts), settings.steps * len(texts))
        return made


class Captioner:
    """Says the size."""

    def __init__(self) -> None:
        self.seen = 0

    def caption(self, images: Sequence[Image.Image], count: int = 1, seed: int = 0) -> list[list[str]]:
        self.seen += len(images)
        more = [f"sampled {seed} {number}" for number in range(1, count)]
        return [[f"a picture of {image.width} by {image.height}", *more] for image in images]


class Answerer:
    """Yes where the picture has the question's colour."""

    def yes(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[float]:
        pairs = zip(images, questions, strict=True)
        return [0.9 if centre(image) == colour_of(question) != OTHER else 0.2 for image, question in pairs]

    def answers(
        self, images: Sequence[Image.Image], questions: Sequence[str], count: int = 1
    ) -> list[list[tuple[str, float]]]:
        return [[("no", 0.75), ("yes", 0.25)][:count] for _ in images]


class Clip:
    """Vectors are colours, and a little of everything so that none is zero."""

    scale = 10.0

    def _rows(self, colours: Sequence[tuple[int, int, int]]) -> Any:
        rows = np.array([[*(value / 255 for value in colour), 0.01] for colour in colours], np.float32).reshape(-1, 4)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def images(self, images: Sequence[Image.Image]) -> Any:
        return self._rows([centre(image) for image in images])

    def texts(self, texts: Sequence[str]) -> Any:
        return self._rows([colour_of(text) for text in texts])


class Perceptual:
    """0 for equal colours, else 0.5; sizes must agree. Of numbers it gives the mean squared difference."""

    def distance(self, a: Sequence[Image.Image], b: Sequence[Image.Image]) -> list[float]:
        assert all(one.size == other.size for one, other in zip(a, b, strict=True))
        return [0.0 if centre(one) == centre(other) else 0.5 for one, other in zip(a, b, strict=True)]

    def resized_distance(self, a: Any, b: Any) -> Any:
        return self.tensor_distance(a.double(), b.double()).numpy()

    def tensor_distance(self, a: Any, b: Any) -> Any:
        return (a - b).square().mean(dim=(1, 2, 3))


class SetFeatureModel:
    """Features are the mean colours, 0 to 1, and the width; two classes: is it red?"""

    name, resize, fingerprint, has_classes = "fake", "none", "0", True
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.seen = 0

    def features(self, images: Sequence[Image.Image]) -> Any:
        self.seen += len(images)
        colours = [np.asarray(image, np.float32).mean(axis=(0, 1)) / 255 for image in images]
        return np.array([[*colour, image.width / 64] for colour, image in zip(colours, images, strict=True)])

    def probabilities(self, features: Any) -> Any:
        red = (features[:, 0] > 0.5).astype(float)
        return np.stack([red, 1 - red], axis=1)


class Family:
    """Stands in for `easel.models.load`, and remembers what was loaded."""

    def __init__(self) -> None:
        self.diffusion, self.captioner, self.set_features = Diffusion(), Captioner(), SetFeatureModel()
        self.loaded: list[tuple[str, str]] = []

    def load(self, name: str, role: str, device: str = "auto", dtype: str = "auto", **more: Any) -> Any:
        self.loaded.append((name, role))
        return {
            "text-to-image": self.diffusion,
            "image-to-image": self.diffusion,
            "caption": self.captioner,
            "ask": Answerer(),
            "clip": Clip(),
            "perceptual": Perceptual(),
            "features": self.set_features,
        }[role]
