"""Maps that steer a diffusion model, made from a photo or brought ready: a row a kind.

Each is RGB and of the photo's size, in the colours that ControlNets and T2I-Adapters were taught: edges and scribbles
are white on black, near is white.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from easel.errors import EaselError, unknown

if TYPE_CHECKING:
    from easel.models.depth import Depth

HIGHEST = 1000
"""Of Canny's thresholds: gradients of 8-bit levels, which Sobel's filter makes up to 1020 high."""


@dataclass(frozen=True)
class MapKind:
    """One row: what it shows, and how it is made from a photo, where it can be."""

    about: str
    make: Callable[..., Image.Image] | None
    needs_depth: bool = False
    """Whether `make` needs a model of depth."""
    is_flat: bool = False
    """Its colours are names, and are not mixed when it is resized."""


def canny(photo: Image.Image, low: float | None = None, high: float | None = None) -> Image.Image:
    """Edges (Canny 1986): gradients above `high`, and those above `low` that touch them; 100 and 200 are usual.

    Thresholds left out come from the photo: the upper one is Otsu's (1979) between dark and light, the lower half of
    it. More edges come with lower ones. EaselError where they are out of order.
    """
    import cv2
    import numpy as np

    grey = np.asarray(photo.convert("L"))
    if high is None:
        otsu, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        high = max(float(otsu), 1.0) if low is None else max(2 * low, float(otsu))
    low = high / 2 if low is None else low
    if not 0 <= low <= high <= HIGHEST:
        raise EaselError(f"Canny's thresholds are {low:g} and {high:g}: give 0 <= low <= high <= {HIGHEST}")
    return Image.fromarray(cv2.Canny(grey, low, high)).convert("RGB")


def depth(photo: Image.Image, model: Depth) -> Image.Image:
    """How near things are, near is white, by a model of depth."""
    return model.maps([photo])[0]


SCRIBBLE_FINE, SCRIBBLE_COARSE = 0.5, 5.0
SCRIBBLE_LEVEL = 16.0


def scribble(photo: Image.Image) -> Image.Image:
    """Rough lines: where the difference of two Gaussians of the photo is large (XDoG, Winnemoeller et al. 2012, with
    the scales that ControlNet 1.1 was taught with, 0.5 and 5 pixels).
    """
    import cv2
    import numpy as np

    levels = np.asarray(photo.convert("RGB"), dtype=np.float32)
    fine, coarse = (cv2.GaussianBlur(levels, (0, 0), sigma) for sigma in (SCRIBBLE_FINE, SCRIBBLE_COARSE))
    darker = (coarse - fine).max(axis=2)  # lines are what is darker than around it, in any colour
    return Image.fromarray(np.where(darker > SCRIBBLE_LEVEL, 255, 0).astype(np.uint8)).convert("RGB")


KINDS: dict[str, MapKind] = {
    "canny": MapKind("edges, white on black", canny),
    "depth": MapKind("how near things are, near is white", depth, needs_depth=True),
    "scribble": MapKind("rough lines, white on black", scribble),
    "pose": MapKind("people as OpenPose draws them, coloured limbs on black", None),
    "segmentation": MapKind("a colour for each kind of thing, as in ADE20K", None, is_flat=True),
}


def make(kind: str, photo: Image.Image, *, depth_model: Depth | None = None, **settings: Any) -> Image.Image:
    """A photo's map of a kind of KINDS, of the photo's size. `settings` are canny's `low` and `high`.

    Raises EaselError on kinds that must be brought ready, and on depth without a model of it.
    """
    if kind not in KINDS:
        raise unknown("kind of map", kind, KINDS)
    row = KINDS[kind]
    if row.make is None:
        raise EaselError(f"a map of the kind '{kind}' is not made from a photo here ({row.about}): bring it ready")
    if settings and kind != "canny":
        raise EaselError(f"'{kind}' takes no {' and no '.join(settings)}")
    if not row.needs_depth:
        return row.make(photo, **settings)
    if depth_model is None:
        raise EaselError(f"a map of the kind '{kind}' needs a model of depth, such as depth-small")
    return row.make(photo, depth_model)


def fitted(ready: Image.Image, size: tuple[int, int], kind: str = "canny") -> Image.Image:
    """A ready map at a size (w, h), RGB: its edges trimmed evenly as a photo's are, never stretched."""
    flat = KINDS[kind].is_flat if kind in KINDS else False
    how = Image.Resampling.NEAREST if flat else Image.Resampling.LANCZOS
    return ImageOps.fit(ready.convert("RGB"), size, how)
