"""One picture to draw, the pictures that are drawn together, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from easel.models.diffusion.settings import Sampling, Settings

if TYPE_CHECKING:
    from easel.models.diffusion.control import ControlNetwork

EXTRA_INPUTS = ("image", "mask", "controls")
"""Fields of a PictureRequest that only some tasks need."""


@dataclass(frozen=True)
class Control:
    """A map that steers a picture, and the network that reads it."""

    network: ControlNetwork
    image: Image.Image
    """The map: edges, depth, a pose, ... (`easel.models.diffusion.maps`), shown as the photo is."""
    scale: float = 1.0
    """How much of it: 0 is nothing."""
    start: float = 0.0
    end: float = 1.0
    """From which share of the steps to which it steers; a T2I-Adapter does in all of them."""


@dataclass(frozen=True)
class PictureRequest:
    """One picture to draw: all that it depends on."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    task: str = "text-to-image"
    """A row of `easel.models.diffusion.tasks.TASKS`, which says what else must be given."""
    image: Image.Image | None = None
    """The photo that the picture starts from."""
    place: tuple[int, int] | None = None
    """Row and size of a batch: the picture is drawn in that row of one of that size, with copies of it in the others.

    The order of sums inside a product depends on both, and so do a picture's last bits; what the neighbours show does
    not matter. Drawn again in the place that `DrawnPicture` tells, a picture is the same to the last bit.
    """
    mask: Image.Image | None = None
    """As large as the photo: what is white is drawn anew, what is black is kept (`easel.models.diffusion.masks`)."""
    controls: tuple[Control, ...] | None = None
    """What steers the picture, with networks that were made for the model."""


@dataclass(frozen=True)
class DrawnPicture:
    """A picture, RGB, and how it was really drawn."""

    image: Image.Image
    settings: Settings
    place: tuple[int, int] | None = None
    """Row and size of the batch that it was drawn in, where that had more than one row."""


@dataclass(frozen=True)
class Batch:
    """Requests that go through the model together: they agree in task, settings, number of chunks, and in the networks
    of their controls with scale, start and end.
    """

    requests: tuple[PictureRequest, ...]
    settings: Settings
    chunks: int
    """How many chunks of tokens each prompt is read in."""
    wanted: Mapping[int, int]
    """Number of a picture in the whole call -> its row here. Rows that nobody wants only fill the batch."""

    @property
    def task(self) -> str:
        """What all of them ask for."""
        return self.requests[0].task

    @property
    def controls(self) -> tuple[Control, ...]:
        """What steers the first of them: all agree in everything but the maps."""
        return self.requests[0].controls or ()

    def filled(self, size: int) -> Batch:
        """The same with at least `size` rows: what is missing are copies of the last one that nobody wants."""
        return replace(self, requests=self.requests + self.requests[-1:] * (size - len(self.requests)))

    def parts(self, most: int) -> list[Batch]:
        """Batches of at most `most` pictures, of a batch without rows that nobody wants."""
        numbers = list(self.wanted)
        return [
            Batch(
                self.requests[start : start + most],
                self.settings,
                self.chunks,
                {number: row for row, number in enumerate(numbers[start : start + most])},
            )
            for start in range(0, len(numbers), most)
        ]


def batches(
    requests: Mapping[int, PictureRequest], settings: Mapping[int, Settings], chunks: Sequence[int]
) -> list[Batch]:
    """Numbered requests in batches, each of what agrees; the order within a batch is that of the requests.

    Settings and chunks are looked up by number. A request for a place is alone with its copies.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, request in requests.items():
        alone = number if request.place is not None else None
        steered = tuple((one.network, one.scale, one.start, one.end) for one in request.controls or ())
        groups.setdefault((request.task, settings[number], chunks[number], steered, alone), []).append(number)
    made = []
    for (_, shared, read, _, _), numbers in groups.items():
        first = requests[numbers[0]]
        if first.place is None:
            rows = tuple(requests[number] for number in numbers)
            made.append(Batch(rows, shared, read, {number: row for row, number in enumerate(numbers)}))
        else:
            row, size = first.place
            made.append(Batch((first,) * size, shared, read, {numbers[0]: row}))
    return made
