"""Feature extractors for set metrics (FID, KID, precision and recall): CLIP or DINO, from the hub or from pocket, or
FID's Inception. Each gives `features`, and says how it resized the pictures (`resize`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from easel.errors import EaselError
from easel.models.catalog import checks
from easel.models.catalog.locate import LocatedModel
from easel.models.devices import pick_device
from easel.models.features import BATCH, Clip, Subject

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "config.json")


class SetFeatureModel:
    """CLIP's or DINO's features: unit vectors of length sqrt(d), so that x.y / d in KID's kernel is their cosine.

    Such a distance is not the published FID: its size depends on the judge (Stein et al. 2023, arXiv 2306.04675, on
    DINOv2; Jayasumana et al. 2024, arXiv 2401.09603, on CLIP).
    """

    has_classes = False
    frechet = "Frechet distance"
    """What the Fréchet distance of these features is called; the published name is Inception's alone."""
    kernel = "kernel distance"
    """What their kernel distance is called."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        kind = checks.read_json(located.path / "config.json").get("model_type") if located.path.is_dir() else None
        judge: Clip | Subject = (Clip if kind == "clip" else Subject)(located, device, dtype)
        self.kind = "clip" if kind == "clip" else "dino"
        self.name, self.notes, self.fingerprint = located.name, judge.notes, fingerprint(located.path)
        self.resize = _resize(judge.processor)
        self._judge = judge

    def features(self, images: Sequence[Image.Image]) -> NDArray[float32]:
        """Features (n, d), each vector of length sqrt(d)."""
        unit = self._judge.images(images)
        return unit * unit.dtype.type(unit.shape[1] ** 0.5)

    def probabilities(self, features: NDArray[float32]) -> NDArray[float32]:  # noqa: ARG002 - as its subclass takes them
        """Classes (n, classes), each row summing to 1, from a judge that `has_classes`; EaselError from another."""
        raise EaselError(f"{self.name} names no classes: the Inception Score needs --judge fid-inception")


class InceptionFeatures(SetFeatureModel):
    """The network that FID is defined by, with the reference's own resize."""

    has_classes = True
    kind = "inception"
    """What sort of network it is: clip, dino or inception."""
    frechet, kernel = "FID", "KID"

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:  # noqa: ARG002 - float32 always
        from safetensors.torch import load_file

        from easel.networks.inception import SIDE, FidInception, check_names

        files, _ = checks.weight_files(located.path)
        network = FidInception()
        check_names(load := load_file(files[0]), network, files[0])
        network.load_state_dict(load, strict=False)  # what may be missing are the counters that check_names leaves out
        checks.check_finite(network, located.name)
        self.name, self.notes, self.fingerprint = located.name, list(located.notes), fingerprint(located.path)
        self.resize = f"bilinear to {SIDE} px, corners not aligned"
        self._device = pick_device(device)
        self._network: Any = network.folded().to(self._device)

    def features(self, images: Sequence[Image.Image]) -> NDArray[float32]:
        """Features (n, 2048), >= 0, in float32."""
        import numpy as np
        import torch

        made = []
        for start in range(0, len(images), BATCH):
            batch = [np.asarray(image.convert("RGB"), np.float32) for image in images[start : start + BATCH]]
            pixels = [torch.from_numpy(array).permute(2, 0, 1)[None].to(self._device) for array in batch]
            same = len({tuple(one.shape) for one in pixels}) == 1
            with torch.no_grad():
                parts = [torch.cat(pixels)] if same else pixels
                # pictures of several sizes are resized one by one, and then go through together
                sides = torch.cat([self._network.resized(part) for part in parts])
                sides = sides.contiguous(memory_format=torch.channels_last)
                made.append(self._network(sides).cpu().numpy())
        return np.concatenate(made) if made else np.zeros((0, 2048), np.float32)

    def probabilities(self, features: NDArray[float32]) -> NDArray[float32]:
        """Classes (n, 1008), each row summing to 1, of features (n, 2048)."""
        import torch

        with torch.no_grad():
            found = self._network.probabilities(torch.from_numpy(features).to(self._device))
        result: NDArray[float32] = found.cpu().numpy()
        return result


def load(located: LocatedModel, device: str = "auto", dtype: str = "auto") -> SetFeatureModel:
    """The extractor for a folder, by what its config.json says it is. EaselError on a file and on another kind."""
    from easel.networks.inception import INCEPTION

    if located.path.is_dir() and checks.read_json(located.path / "config.json").get("model_type") == INCEPTION:
        return InceptionFeatures(located, device, dtype)
    return SetFeatureModel(located, device, dtype)


def fingerprint(folder: Path) -> str:
    """SHA-256 of a model's weights and of its preprocessing: all that its features depend on."""
    digest = hashlib.sha256()
    for file in [*checks.weight_files(folder)[0], *(folder / name for name in PROCESSOR_FILES)]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _resize(processor: Any) -> str:
    """How a transformers image processor resizes pictures, in words such as 'bicubic to 160 px, centre cropped'."""
    size = dict(processor.size)
    side = size.get("shortest_edge") or size.get("height") or next(iter(size.values()))
    filter_name = Image.Resampling(int(processor.resample)).name.lower()
    cropped = bool(getattr(processor, "do_center_crop", False))
    return f"{filter_name} to {side} px{', centre cropped' if cropped else ''}"
