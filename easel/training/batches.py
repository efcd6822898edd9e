"""Batches out of a packed set, and their conditions. All that is drawn follows from the step: a run can be resumed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easel.data import Annotations, Column, Packed
from easel.errors import EaselError
from easel.training.distributed import ALONE, Team

ORDER, PLACE, WORDS = 1, 2, 3
"""What a draw is for, so that no two are the same."""
TRIES = 8
"""Draws of another picture before a caption of the same words is taken for a wrong one."""

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Captions -> rows (n, embedding)."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """What a network is conditioned on, picture by picture: ``values`` (n,) labels or (n, attributes), or embeddings of
    captions. ``kind``: nothing, labels, attributes or captions; ``names``: of the classes or attributes.

    With captions, ``values`` is (captions, embedding), and ``ends`` (n,) says where each picture's rows of
    ``captions`` end: numbers of rows in ``values``. ``texts`` are the captions themselves.
    """

    kind: str = "nothing"
    names: tuple[str, ...] = ()
    values: NDArray[np.generic] | None = None
    captions: NDArray[np.int64] | None = None
    ends: NDArray[np.int64] | None = None
    texts: tuple[str, ...] = ()

    def rows(self, places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of ``values`` for pictures: their own, or one of their captions each, drawn by ``rng``."""
        if self.captions is None or self.ends is None:
            return places
        starts = np.where(places > 0, self.ends[places - 1], 0)
        counts = self.ends[places] - starts
        return np.asarray(self.captions[starts + (rng.random(len(places)) * counts).astype(np.int64)])

    def condition(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Rows of ``values`` as a network takes them."""
        return None if self.values is None else torch.from_numpy(np.ascontiguousarray(self.values[rows]))

    def small_classes(self, least: int = 2) -> list[str]:
        """Classes with fewer than ``least`` pictures: a network sees too little of them. Empty without classes."""
        if self.kind != "labels" or self.values is None:
            return []
        counts = np.bincount(self.values, minlength=len(self.names))
        return [name for name, count in zip(self.names, counts, strict=True) if count < least]


def label_conditions(facts: Annotations, name: str) -> Conditions:
    """Classes: ``name`` is 'label' for the set's own, or the attribute that tells them. Raises EaselError."""
    own = name == "label" and name not in facts.attributes
    facts.require("labels" if own else name)
    column = facts.label if own else facts.attribute(name)
    return Conditions("labels", tuple(str(value) for value in column.values), column.codes.astype(np.int64))


def attribute_conditions(facts: Annotations, names: Sequence[str]) -> Conditions:
    """Attributes as 0 and 1: yes-or-no ones by name, others as colour=red; all yes-or-no ones where none is named.

    Raises EaselError on an unknown one (nearest shown), on pictures without it, and where there is none at all.
    """
    chosen = tuple(names) or tuple(name for name, column in facts.attributes.items() if column.is_yes_no)
    if not chosen:
        known = ", ".join(facts.attributes) or "none"
        raise EaselError(f"the set has no attribute with yes or no (it has {known}): name some, such as colour=red")
    columns = []
    for name in chosen:
        word, _, value = name.partition("=")
        facts.require(word)
        columns.append(_marks(facts.attribute(word), value))
    return Conditions("attributes", chosen, np.stack(columns, axis=1))


def _marks(column: Column, value: str) -> NDArray[np.float32]:
    """1 where the picture has the attribute, else 0."""
    if not value:
        if not column.is_yes_no:
            raise EaselError(
                f"'{column.name}' is no yes or no: write {column.name}={column.values[0]}, or another value"
            )
        marks: NDArray[np.float32] = column.numbers()
        return marks
    words = [str(one) for one in column.values]
    if value not in words:
        raise EaselError(f"no picture has {column.name}={value}: it is one of {', '.join(words[:20])}")
    found: NDArray[np.float32] = (column.codes == words.index(value)).astype(np.float32)
    return found


def caption_conditions(facts: Annotations, embed: Embed) -> Conditions:
    """Captions as embeddings, each text encoded once. Raises EaselError naming pictures that have none."""
    facts.require("captions")
    places: dict[str, int] = {}
    numbers: list[int] = []
    ends: list[int] = []
    for several in facts.captions:
        numbers += [places.setdefault(text, len(places)) for text in several]
        ends.append(len(numbers))
    texts = tuple(places)
    values = np.asarray(embed(texts), np.float32)
    return Conditions("captions", (), values, np.array(numbers, np.int64), np.array(ends, np.int64), texts)


@dataclass(frozen=True)
class Batch:
    """Pictures (n, 3, side, side) in [-1, 1], their conditions, and with captions those of other pictures."""

    real: Tensor
    condition: Tensor | None
    wrong: Tensor | None = None

    def half(self) -> "Batch":
        """Its first half, for penalties that cost much memory (Karras 2020, ADA's program)."""
        n = max(1, len(self.real) // 2)
        return Batch(self.real[:n], None if self.condition is None else self.condition[:n])


@dataclass(eq=False)
class Batches:
    """Batches of a packed set, each picture once in an epoch, in an order drawn for it.

    Where a ``team`` trains together, `batch` gives this process its share: all shares are what one alone would see.
    """

    pictures: Packed
    conditions: Conditions
    batch_size: int
    seed: int
    mirror: bool = False
    """Show every picture half of the time in a mirror."""
    device: torch.device | str = "cpu"
    team: Team = ALONE

    def __post_init__(self) -> None:
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def batch(self, step: int) -> Batch:
        """This process's share of the batch of a step, whatever was drawn before."""
        return self._cut(step, self.team.share(self.batch_size))

    def whole(self, step: int) -> Batch:
        """The batch of a step, everybody's shares."""
        return self._cut(step, slice(0, self.batch_size))

    def _cut(self, step: int, own: slice) -> Batch:
        """Part of a batch; what is drawn is drawn for the whole."""
        places = self._places(step)
        rng = np.random.default_rng((self.seed, WORDS, step))
        rows = self.conditions.rows(places, rng)
        wrong = self._others(rows, rng) if self.conditions.kind == "captions" else None
        turned = rng.random(len(places)) < 0.5 if self.mirror else np.zeros(len(places), np.bool_)
        pixels = self.pixels(places[own], turned[own])
        return Batch(pixels, self._put(rows[own]), None if wrong is None else self._put(wrong[own]))

    def fixed_condition(self, count: int) -> Tensor | None:
        """The conditions of ``count`` pictures from all over the set, always the same."""
        places = np.linspace(0, len(self.pictures) - 1, count).round().astype(np.int64)
        rows = self.conditions.rows(places, np.random.default_rng((self.seed, WORDS)))
        return self._put(rows)

    def pixels(self, places: NDArray[np.int64], turned: NDArray[np.bool_] | None = None) -> Tensor:
        """Pictures (n, 3, side, side) float32 in [-1, 1], channels last; those that are ``turned`` in a mirror."""
        pixels = np.asarray(self.pictures.pixels[places])
        if turned is not None and turned.any():
            pixels[turned] = pixels[turned][:, :, ::-1]
        there = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
        return there.float().div_(127.5).sub_(1)

    def _places(self, step: int) -> NDArray[np.int64]:
        count = len(self.pictures)
        wanted = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        places = np.empty(self.batch_size, np.int64)
        for epoch in range(int(wanted[0]) // count, int(wanted[-1]) // count + 1):
            if epoch != self._epoch:
                self._epoch = epoch
                self._order = np.random.default_rng((self.seed, ORDER, epoch)).permutation(count)
            inside = wanted // count == epoch
            places[inside] = self._order[wanted[inside] % count]
        return places

    def _others(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Captions that were not said of these pictures; the same words only where no others were found."""
        wrong = rows.copy()
        for _ in range(TRIES):
            same = wrong == rows
            if not same.any():
                break
            wrong[same] = self.conditions.rows(rng.integers(0, len(self.pictures), int(same.sum())), rng)
        return wrong

    def _put(self, rows: NDArray[np.int64]) -> Tensor | None:
        condition = self.conditions.condition(rows)
        return None if condition is None else condition.to(self.device)
