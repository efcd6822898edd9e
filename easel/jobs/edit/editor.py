"""A painter that edits one photo at a time: draws it in a frame, and brings what was drawn back to the photo's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from easel.errors import EaselError
from easel.jobs.frame import Frame
from easel.jobs.painter import Painter, PlannedPicture
from easel.metrics import details
from easel.models.diffusion import masks
from easel.models.diffusion.batch import Control, PictureRequest


@dataclass(frozen=True, eq=False)
class Subject:
    """A photo to edit: whole, its place in what is drawn, its mask at its size, and what steers."""

    photo: Image.Image
    frame: Frame
    mask: Image.Image | None
    controls: tuple[Control, ...] | None


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the model drew, at its own size, and the photo in its light where details are kept."""

    part: Image.Image
    carried: details.Carried | None


class Editor(Painter):
    """A loaded model that edits the photo it was given last."""

    subject: Subject
    keep: str = "auto"
    """keep_details of the recipe."""
    made: dict[str, Drawn]
    """By file, of the photo it was given last."""

    def take(self, subject: Subject) -> Image.Image:
        """From now on edit this photo; gives it as it is drawn. Raises EaselError where it cannot be shown."""
        self.subject, self.made = subject, {}
        narrow = min(subject.frame.part) < details.LEAST
        if narrow and self.keep == "yes":
            across, down = subject.frame.part
            raise EaselError(
                f"keep_details: a photo that is drawn at {across} x {down} is too narrow: give a larger side"
            )
        fitted = subject.frame.fit(subject.photo)
        self._mask = None
        if subject.mask is not None:
            self._mask = subject.frame.fill(subject.mask.resize(subject.frame.part, Image.Resampling.BILINEAR))
        self._reference = None
        if self.keep != "no" and subject.mask is None and not narrow:
            through = self.model.through_autoencoder(fitted)  # what the autoencoder loses is no change
            self._reference = np.asarray(subject.frame.back(through))
        return fitted

    def request(self, one: PlannedPicture, photo: Image.Image | None) -> PictureRequest:
        """With the mask and the controls of the photo."""
        return replace(super().request(one, photo), mask=self._mask, controls=self.subject.controls)

    def finish(self, one: PlannedPicture, drawn: Image.Image) -> Image.Image:
        """The edit at the photo's size: its details kept, or enlarged, and outside a mask the photo itself."""
        photo, mask = self.subject.photo, self.subject.mask
        part = self.subject.frame.back(drawn)
        carried = None
        if self._reference is not None:
            carried = details.carry(np.asarray(photo), np.asarray(part), self._reference)
            if self.keep == "auto" and not carried.fits:
                carried = None
        self.made[one.file] = Drawn(part, carried)
        if carried is not None:
            return Image.fromarray(carried.picture)
        whole = part.resize(photo.size, Image.Resampling.LANCZOS)
        return whole if mask is None else masks.paste_back(photo, whole, mask)
