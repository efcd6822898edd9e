"""A training's curves and grids for TensorBoard, where its package is installed (`pip install easel[tensorboard]`)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from easel.files import unwritable

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "tensorboard"


class TensorBoard:
    """One event file of a training's folder, begun with the first thing that is written; none without the package.

    Steps are pictures seen. A run that goes on begins a file of its own, and what earlier files say of its steps is
    no longer shown.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def write(self, step: int, numbers: Mapping[str, float], pictures: Mapping[str, Image.Image] | None = None) -> None:
        """Numbers and pictures at a step. Raises EaselError on a full disk and the like."""
        if find_spec("tensorboard") is None:
            return
        try:
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self.folder), purge_step=step)
            for name, value in numbers.items():
                self._writer.add_scalar(name, value, step)
            for name, picture in (pictures or {}).items():
                self._writer.add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")
            self._writer.flush()
        except OSError as problem:
            raise unwritable(problem, self.folder) from problem

    def close(self) -> None:
        """Close the file; a later `write` begins another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
