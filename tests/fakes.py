"""Models with known answers, to prove the jobs' stories with numbers worked out by hand.

A drawn picture is one flat colour, told by its prompt, with its seed in the corner. The judge says yes with 0.9 where
the colour is the style's, else with 0.2. CLIP's rows are the colour and the colour named in the text; the distance is 0
for equal colours, else 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from easel.jobs.inputs import batches
from easel.models.captioners import Reading, Trust
from easel.models.diffusion.batch import DrawnPicture, PictureRequest
from easel.models.diffusion.compiled import Compiled
from easel.models.diffusion.settings import Defaults, Sampling, Settings, resolve

COLOURS = {
    "Van Gogh": (0, 0, 255),
    "Malevich": (255, 0, 0),
    "Delaunay": (0, 255, 0),
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
}
OTHER = (120, 120, 120)
STRANGE, DOUBTFUL = (1, 2, 3), (4, 5, 6)


def colour_of(text: str) -> tuple[int, int, int]:
    """The colour that a text stands for."""
    return next((colour for word, colour in COLOURS.items() if word in text), OTHER)


def centre(image: Image.Image) -> tuple[int, int, int]:
    """The colour in the middle."""
    pixel: Any = image.getpixel((image.width // 2, image.height // 2))
    return pixel  # type: ignore[no-any-return]


class Diffusion:
    """Paints the prompt's colour; remembers each batch that it was asked for."""

    device, dtype, file_hash = "cpu", "torch.float32", None

    def __init__(self) -> None:
        self.defaults = Defaults(strength=0.6, strengths={"malevich": 0.8})
        self.notes: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.compiled = Compiled(None, "cpu")

    def resolve(self, asked: Sampling, photo: Image.Image | None = None) -> Settings:
        ratio = 1.0 if photo is None else photo.width / photo.height
        width = asked.width or round(64 * ratio**0.5 / 8) * 8
        height = asked.height or round(64 / ratio**0.5 / 8) * 8
        enough = replace(asked, width=width, height=height, steps=max(2, asked.steps))
        return replace(resolve(enough, self.defaults, photo), steps=asked.steps, width=width, height=height)

    def control_for(self, kind: str, method: str = "controlnet") -> str:
        return f"fake-{kind}-{method}"

    def through_autoencoder(self, photo: Image.Image) -> Image.Image:
        return photo

    def generate(
        self, requests: Sequence[PictureRequest], batch_size: int | None = None, report: Any = None
    ) -> Iterator[DrawnPicture]:
        done, total = 0, sum(request.sampling.steps for request in requests)
        for batch in batches(requests, batch_size or len(requests)):
            images = [request.image for request in batch]
            call = {
                "texts": [request.prompt for request in batch],
                "seeds": [request.seed for request in batch],
                "negative_prompts": [request.negative_prompt for request in batch],
                "settings": batch[0].sampling,
                "images": None if images[0] is None else images,
                "strength": batch[0].sampling.strength,
            }
            self.calls.append(call)
            for _ in range(batch[0].sampling.steps):
                done += len(batch)
                report(done, total)
            for request in batch:
                settings = self.resolve(request.sampling, request.image)
                picture = Image.new("RGB", (settings.width, settings.height), colour_of(request.prompt))
                picture.putpixel((0, 0), (request.seed % 256, request.seed // 256 % 256, 0))
                yield DrawnPicture(picture, settings)


class Captioner:
    """Says the size; knows nothing of a strange colour, and little of a doubtful one."""

    def __init__(self) -> None:
        self.seen = 0

    def caption(self, images: Sequence[Image.Image], count: int = 1, seed: int = 0) -> list[list[str]]:
        self.seen += len(images)
        more = [f"sampled {seed} {number}" for number in range(1, count)]
        return [[f"a picture of {image.width} by {image.height}", *more] for image in images]

    def read(self, images: Sequence[Image.Image], count: int = 1, seed: int = 0) -> list[Reading]:
        sure = [0.02 if centre(image) == STRANGE else 0.2 if centre(image) == DOUBTFUL else 0.9 for image in images]
        said = self.caption(images, count=count, seed=seed) if count > 1 else self.caption(images, count=1)
        return [
            Reading(captions, one, guess=one < 0.5, silent=one < 0.1, instead="base")
            for captions, one in zip(said, sure, strict=True)
        ]

    def out_of_depth(self, images: Sequence[Image.Image]) -> list[bool]:
        return [centre(image) == STRANGE for image in images]


class Answerer:
    """Yes where the picture has the question's colour."""

    def yes(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[float]:
        pairs = zip(images, questions, strict=True)
        return [0.9 if centre(image) == colour_of(question) != OTHER else 0.2 for image, question in pairs]

    def answers(
        self, images: Sequence[Image.Image], questions: Sequence[str], count: int = 1
    ) -> list[list[tuple[str, float]]]:
        return [[("no", 0.75), ("yes", 0.25)][:count] for _ in images]

    def knows(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Trust]:
        return [Trust(0.04 if centre(image) == STRANGE else 1.0, 0.5, "base") for image in images]


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


class Subject:
    """The colour in the middle, as a unit vector."""

    stranger = 0.3

    def images(self, images: Sequence[Image.Image]) -> Any:
        rows = np.array([centre(image) for image in images], np.float64) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


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
    kind, frechet, kernel = "clip", "Frechet distance", "kernel distance"
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


class Network:
    """Stands in for a ControlNet or an adapter."""

    multiple, notes = 8, ()


class Depth:
    """Things are the nearer the further to the right they are."""

    def nearness(self, images: Sequence[Image.Image]) -> list[Any]:
        return [np.tile(np.linspace(0, 1, image.width), (image.height, 1)) for image in images]

    def maps(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        return [Image.new("RGB", image.size, "grey") for image in images]


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
            "inpaint": self.diffusion,
            "instruct": self.diffusion,
            "caption": self.captioner,
            "ask": Answerer(),
            "clip": Clip(),
            "subject": Subject(),
            "perceptual": Perceptual(),
            "features": self.set_features,
            "controlnet": Network(),
            "adapter": Network(),
            "depth": Depth(),
        }[role]
