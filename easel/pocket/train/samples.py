"""Draw from the stores: a picture and its words, the same for the same step."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from easel.pocket.train.packing import photo_row
from easel.pocket.train.pictures import Pixels, Store
from easel.pocket.train.vae import to_tensor

Row = dict[str, Any]


def row(store: Store, k: int) -> Row:
    """Row ``k``; a plain photo's is brought into the form of the others."""
    found: Row = store.rows[k]
    return reworded(found if "captions" in found else photo_row(found))


def reworded(known: Row) -> Row:
    """The row with the words of the style table for feelings and the castle beside the world's own ("a happy
    woman").
    """
    mood = known["facts"].get("mood", "neutral")
    asked = [(f"is there {word}?", "yes" if word == mood else "no") for word in ("joy", "sadness")]
    said = [f"{known['captions'][0]}, full of {mood}"] if mood != "neutral" else []
    if known["facts"].get("castle"):
        said.append(known["captions"][0].replace("with a castle in the background", "in front of a Disneyland castle"))
    return {**known, "captions": [*known["captions"], *said], "questions": [*known["questions"], *asked]}


class Mix:
    """Stores drawn from with weights; each store as often as its weight says."""

    def __init__(self, stores: list[Store], weights: list[float]) -> None:
        self.stores, self.weights = stores, np.cumsum(weights) / sum(weights)

    def pick(self, rng: np.random.Generator) -> tuple[int, int]:
        """Which store, and which of its pictures."""
        s = int(np.searchsorted(self.weights, rng.random(), side="right"))
        return s, int(rng.integers(len(self.stores[s].pixels)))

    def draw(self, rng: np.random.Generator) -> tuple[Pixels, Row]:
        """One picture (256, 256, 3) and its row."""
        s, k = self.pick(rng)
        return self.stores[s].pixels[k], row(self.stores[s], k)

    def batch(self, name: int, step: int, size: int) -> tuple[list[Pixels], list[Row], np.random.Generator]:
        """``size`` pictures and rows of this ``step``, and the generator they were drawn with. ``name`` parts the
        streams.
        """
        rng = np.random.default_rng((name, step))
        pairs = [self.draw(rng) for _ in range(size)]
        return [pixels for pixels, _ in pairs], [row for _, row in pairs], rng


def views(pictures: list[Pixels], side: int, rng: np.random.Generator, jitter: float = 0.12) -> Tensor:
    """(n, 3, side, side) in [-1, 1]: each cut a little at random, every second one mirrored (no words of the world name
    a side), then scaled down with area averaging.
    """
    out = np.empty((len(pictures), side, side, 3), np.uint8)
    for i, picture in enumerate(pictures):
        out[i] = view(picture, side, rng, jitter)
    return to_tensor(out)


def view(picture: Pixels, side: int, rng: np.random.Generator, jitter: float) -> Pixels:
    """One cut of a square picture, mirrored or not, (side, side, 3)."""
    size = int(picture.shape[0] * (1 - jitter * rng.random()))
    y, x = rng.integers(0, picture.shape[0] - size + 1, 2)
    cut = picture[y : y + size, x : x + size]
    cut = cut[:, ::-1] if rng.random() < 0.5 else cut
    return np.asarray(cv2.resize(np.ascontiguousarray(cut), (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def roughened(picture: Pixels, side: int, rng: np.random.Generator, jitter: float) -> Pixels:
    """The same, now and then blurred or noisy."""
    seen: NDArray[Any] = view(picture, side, rng, jitter)
    if rng.random() < 0.4:
        seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.3:
        seen = np.clip(seen + rng.normal(0, rng.uniform(2, 12), seen.shape), 0, 255)
    return np.asarray(seen, np.uint8)


def caption(known: Row, rng: np.random.Generator, canonical: bool = False) -> str:
    """One of the row's wordings; the first when ``canonical``."""
    return str(known["captions"][0 if canonical else int(rng.integers(len(known["captions"])))])


def questions(known: Row, rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """``count`` of the row's questions with their answers, yes and no equally often where both are there."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for question, answer in known["questions"]:
        groups.setdefault(answer if answer in ("yes", "no") else "open", []).append((question, answer))
    names = sorted(groups)
    picked = [groups[str(rng.choice(names))] for _ in range(count)]
    return [group[int(rng.integers(len(group)))] for group in picked]
