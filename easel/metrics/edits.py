"""Numbers of an edit: what stayed (edges, depth, structure), what changed (light, colour), where, and the right way.

Arrays in, floats out; intervals are left to callers (`easel.metrics.intervals`). Pictures are RGB uint8 (h, w, 3),
before and after of one size. A number that has no meaning for the pictures given, such as a correlation with a flat
plane, is NaN: it is never made up.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from easel.metrics.clip import cosines

Picture = NDArray[np.uint8]
Marks = NDArray[np.bool_]
Plane = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

TOLERANCE = 0.0075
"""How far an edge may lie off, as a share of the picture's diagonal: that of the BSDS benchmark."""
DARKEST, BRIGHTEST = 8, 247
"""Levels below and above which a pixel counts as clipped."""


class EdgeMatch(NamedTuple):
    """precision: share of found edges near a true one; recall: share of true ones near a found one; all 0..1."""

    precision: float
    recall: float
    f1: float
    tolerance: float
    """In pixels."""


class Light(NamedTuple):
    """Mean luminance before and after, levels 0..255, and after divided by before (NaN where before is black)."""

    before: float
    after: float
    ratio: float


class Colour(NamedTuple):
    """Mean CIE a* (green to red) and b* (blue to yellow) before and after, and the mean shift of colour.

    hue: degrees, -180..180, from the mean colour before to that after; NaN where either is as good as grey.
    """

    before: tuple[float, float]
    after: tuple[float, float]
    shift: float
    hue: float


class Clipped(NamedTuple):
    """Shares of pixels, 0..1: with all colours below `DARKEST`, and with all above `BRIGHTEST`."""

    dark: float
    bright: float


class Change(NamedTuple):
    """Change inside and outside a mask, levels 0..255: mean and greatest; NaN where there is no pixel."""

    inside_mean: float
    inside_max: float
    outside_mean: float
    outside_max: float


def edges(picture: Picture, low: float | None = None, high: float | None = None) -> Marks:
    """Canny's edges (1986, IEEE TPAMI 8:679), (h, w), with thresholds of 0..255 levels on the gradient's length.

    Without thresholds they are 0.67 and 1.33 times the median brightness (Rosebrock's rule), and at least 10 and 20, so
    that a night scene does not turn into noise. Raises ValueError where only one is given, or low > high.
    """
    grey = _grey(picture)
    if low is None or high is None:
        if low is not None or high is not None:
            raise ValueError("two thresholds or none are needed for edges")
        middle = float(np.median(grey))
        low, high = max(0.67 * middle, 10.0), max(min(1.33 * middle, 255.0), 20.0)
    if low > high:
        raise ValueError(f"the low threshold {low:g} is above the high one {high:g}: exchange them")
    return np.asarray(cv2.Canny(grey, low, high, L2gradient=True) > 0, np.bool_)


def edge_match(true: ArrayLike, found: ArrayLike, tolerance: float = TOLERANCE) -> EdgeMatch:
    """Compare two edge maps (h, w), true where an edge is: precision, recall and F1 = 2PR / (P + R).

    tolerance: a share of the diagonal (Martin, Fowlkes, Malik 2004, IEEE TPAMI 26:530, section 3.2). Matching is by
    distance to the nearest edge, where theirs is one to one: doubled lines count as right here. Two empty maps agree.
    """
    left, right = np.asarray(true, np.bool_), np.asarray(found, np.bool_)
    if left.ndim != 2 or left.shape != right.shape:
        raise ValueError(f"edge maps of one size (h, w) are needed, got {left.shape} and {right.shape}")
    pixels = tolerance * math.hypot(*left.shape)
    if not left.any() and not right.any():
        return EdgeMatch(1.0, 1.0, 1.0, pixels)
    if not left.any() or not right.any():
        return EdgeMatch(float(not right.any()), float(not left.any()), 0.0, pixels)
    precision = float((_distance(left)[right] <= pixels).mean())
    recall = float((_distance(right)[left] <= pixels).mean())
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return EdgeMatch(precision, recall, f1, pixels)


def _distance(marks: Marks) -> Plane:
    """Pixels from each place to the nearest mark, exactly (Felzenszwalb & Huttenlocher 2012)."""
    return np.asarray(cv2.distanceTransform((~marks).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def depth_correlation(before: ArrayLike, after: ArrayLike, ranks: bool = True) -> float:
    """Correlation, -1..1, of two depth maps (h, w): Spearman's of ranks (1904), ties shared, or else Pearson's.

    Both are blind to a scale and an offset, which monocular depth does not know (Ranftl et al. 2022, section 5), and
    Spearman's to any rising curve: depth and log depth agree; disparity has the other sign. NaN where a map is flat.
    """
    one, other = _planes(before, after)
    return _pearson(_ranks(one.ravel()), _ranks(other.ravel())) if ranks else _pearson(one.ravel(), other.ravel())


def structure_correlation(before: Picture, after: Picture, window: int = 11, floor: float = 2.0) -> float:
    """How far the gradients of two pictures go together, -1..1: mean over windows of their correlation.

    In each window c = sum(g1 . g2) / sqrt(sum |g1|^2 sum |g2|^2) with Scharr's gradients of the brightness, as the
    structure term of SSIM (Wang et al. 2004, equation 10) has it for pixels; a window counts by its gradient before, as
    flat ones have none. `floor` (levels a pixel) holds off noise. NaN where the picture before is flat.
    """
    _same_size(before, after)
    first, second = _gradients(_grey(before)), _gradients(_grey(after))
    size = (window, window)
    products = cv2.blur((first * second).sum(2), size)
    left, right = cv2.blur((first * first).sum(2), size), cv2.blur((second * second).sum(2), size)
    weights = np.where(left > floor * floor, np.sqrt(left), 0)
    total = float(weights.sum())
    local = products / np.sqrt(np.maximum(left * right, 1e-12))
    return float((local * weights).sum()) / total if total else math.nan


def luminance(before: Picture, after: Picture) -> Light:
    """Mean of Y' = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), levels, and its ratio."""
    one, other = (float(_grey(picture).mean(dtype=np.float64)) for picture in (before, after))
    return Light(one, other, other / one if one > 0 else math.nan)


def colour(before: Picture, after: Picture, grey: float = 2.0) -> Colour:
    """Means of CIELAB's a* and b* (CIE 1976, D65) and the distance between them; below a chroma of `grey` no hue."""
    (a1, b1), (a2, b2) = _mean_ab(before), _mean_ab(after)
    hue = math.nan
    if math.hypot(a1, b1) >= grey and math.hypot(a2, b2) >= grey:
        hue = (math.degrees(math.atan2(b2, a2) - math.atan2(b1, a1)) + 180) % 360 - 180
    return Colour((a1, b1), (a2, b2), math.hypot(a2 - a1, b2 - b1), hue)


def clipped(picture: Picture) -> Clipped:
    """Shares of pixels that are as good as black (< 8 of 255 in all colours) and as good as white (> 247)."""
    _checked(picture)
    return Clipped(
        float((picture.max(axis=2) < DARKEST).mean()),
        float((picture.min(axis=2) > BRIGHTEST).mean()),
    )


def change(before: Picture, after: Picture, mask: ArrayLike) -> Change:
    """Levels changed inside and outside of a mask (h, w), true inside: mean over pixels and colours, and greatest."""
    _same_size(before, after)
    inside = np.asarray(mask, np.bool_)
    if inside.shape != before.shape[:2]:
        raise ValueError(f"the mask is {inside.shape}, the picture {before.shape[:2]}: one size is needed")
    levels = np.abs(after.astype(np.int16) - before)
    (one, most), (other, greatest) = (
        (float(part.mean()), float(part.max())) if part.size else (math.nan, math.nan)
        for part in (levels[inside], levels[~inside])
    )
    return Change(one, most, other, greatest)


def direction_similarity(
    picture_before: ArrayLike, picture_after: ArrayLike, text_before: ArrayLike, text_after: ArrayLike
) -> Floats:
    """Cosine, -1..1, of the change in pictures and the change in words, a number for each of n rows (n, d).

    (E_i(after) - E_i(before)) . (E_t(after) - E_t(before)) over their lengths, of CLIP's unit rows (Gal et al. 2022,
    arXiv 2108.00946, equation 2; Brooks et al. 2023, arXiv 2211.09800, section 3.1.2). Texts may be one row for all.
    NaN for a row where nothing changed. Raises ValueError on shapes that do not fit.
    """
    i0, i1, t0, t1 = (np.asarray(rows, np.float64) for rows in (picture_before, picture_after, text_before, text_after))
    if i0.shape != i1.shape or t0.shape != t1.shape or i0.ndim != 2 or t0.ndim != 2:
        raise ValueError(f"pairs of rows (n, d) are needed, got {i0.shape}, {i1.shape}, {t0.shape}, {t1.shape}")
    pictures = _units(i1) - _units(i0)
    texts = np.broadcast_to(_units(t1) - _units(t0), pictures.shape) if len(t0) == 1 else _units(t1) - _units(t0)
    if texts.shape != pictures.shape:
        raise ValueError(f"{len(pictures)} pictures and {len(texts)} texts cannot be paired")
    result = np.full(len(pictures), math.nan)
    moved = (np.linalg.norm(pictures, axis=1) > 1e-9) & (np.linalg.norm(texts, axis=1) > 1e-9)
    if moved.any():
        result[moved] = cosines(pictures[moved], texts[moved])
    return result


def _units(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("a row is zero or not finite: the model that made it is broken")
    result: Floats = rows / lengths
    return result


def _checked(picture: Picture) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"a picture is RGB uint8 (h, w, 3), this is {picture.dtype} {picture.shape}")


def _same_size(before: Picture, after: Picture) -> None:
    _checked(before)
    _checked(after)
    if before.shape != after.shape:
        raise ValueError(f"pictures of one size are needed, got {before.shape[:2]} and {after.shape[:2]}")


def _grey(picture: Picture) -> Picture:
    _checked(picture)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _gradients(grey: Picture) -> Floats:
    """Levels a pixel along x and y, (h, w, 2): Scharr's kernel over its sum."""
    return np.stack([cv2.Scharr(grey, cv2.CV_64F, 1, 0), cv2.Scharr(grey, cv2.CV_64F, 0, 1)], axis=2) / 32


def _mean_ab(picture: Picture) -> tuple[float, float]:
    _checked(picture)
    lab = cv2.cvtColor(picture.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    a, b = np.asarray(lab[..., 1:], np.float64).mean(axis=(0, 1))
    return float(a), float(b)


def _planes(before: ArrayLike, after: ArrayLike) -> tuple[Floats, Floats]:
    one, other = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if one.ndim != 2 or one.shape != other.shape or not one.size:
        raise ValueError(f"planes of one size (h, w) are needed, got {one.shape} and {other.shape}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a depth is not finite: the model that made it is broken")
    return one, other


def _ranks(values: Floats) -> Floats:
    """Ranks from 0, equal values sharing the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: Floats = (last - (counts + 1) / 2)[places.ravel()]
    return result


def _pearson(one: Floats, other: Floats) -> float:
    left, right = one - one.mean(), other - other.mean()
    size = math.sqrt(float(left @ left) * float(right @ right))
    return max(-1.0, min(1.0, float(left @ right) / size)) if size > 1e-12 else math.nan
