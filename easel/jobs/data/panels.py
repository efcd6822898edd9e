"""The counts of a summary, each a panel of bars: drawn the same on the page and on the chart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from easel.data import Annotations, Column

MAX_BARS = 20
TEXT_LENGTH = 40
"""Letters of a value, on average, from which on it is no word but a text."""
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "his", "her", "in", "into", "is", "it",
    "its", "of", "on", "or", "some", "that", "the", "their", "them", "there", "this", "to", "two", "up", "with",
})  # fmt: skip
"""Words that every caption has."""

RATIOS = {
    "1:2": 0.5,
    "9:16": 0.5625,
    "2:3": 0.6667,
    "3:4": 0.75,
    "4:5": 0.8,
    "1:1": 1.0,
    "5:4": 1.25,
    "4:3": 1.3333,
    "3:2": 1.5,
    "16:9": 1.7778,
    "2:1": 2.0,
}


@dataclass(frozen=True)
class Panel:
    """Bars under a title. `is_scale`: the labels are a scale, left to right; else each names a bar, from above."""

    title: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    is_scale: bool
    foot: str = ""


def panels(
    annotations: Annotations, widths: Sequence[int], heights: Sequence[int], brightness: Sequence[float]
) -> list[Panel]:
    """All panels that have something to show, the most telling first."""
    made = [
        named("classes", annotations.label),
        *caption_panels(annotations),
        histogram("shorter side, px", [min(pair) for pair in zip(widths, heights, strict=True)]),
        shapes(widths, heights),
        histogram("brightness, 0 to 255", brightness, (0, 255)),
        yes_no(annotations),
        *(named(name, column) for name, column in annotations.attributes.items() if not column.is_yes_no),
    ]
    return [panel for panel in made if panel is not None and len(panel.labels) > 1]


def named(title: str, column: Column) -> Panel | None:
    """Pictures of each class or value, the commonest first; None where values are texts, or nearly all differ."""
    codes = column.codes[column.codes >= 0]
    if not len(codes):
        return None
    counts = np.bincount(codes, minlength=len(column.values))
    letters = float(np.mean([len(str(value)) for value in column.values[:1000]]))
    if letters > TEXT_LENGTH or (title != "classes" and 2 * len(column.values) > len(codes) and len(codes) > 4):
        return None
    if all(isinstance(value, int | float) for value in column.values) and len(column.values) > MAX_BARS:
        return histogram(title, column.numbers()[column.codes >= 0].tolist())
    by_count = np.argsort(-counts, kind="stable")[:MAX_BARS]
    left = len(counts) - len(by_count)
    labels = tuple(str(column.values[at]) for at in by_count)
    return Panel(title, labels, tuple(int(counts[at]) for at in by_count), False, f"and {left:,} more" if left else "")


def yes_no(annotations: Annotations) -> Panel | None:
    """How many pictures say yes to each attribute that is yes or no."""
    columns = [column for column in annotations.attributes.values() if column.is_yes_no]
    counts = {c.name: int(np.nansum(c.numbers() == 1)) for c in columns}
    top = sorted(counts, key=lambda name: -counts[name])[:MAX_BARS]
    left = len(counts) - len(top)
    foot = f"and {left:,} more" if left else ""
    return Panel("attributes that are yes", tuple(top), tuple(counts[name] for name in top), False, foot)


def caption_panels(annotations: Annotations) -> list[Panel | None]:
    """How long captions are, and their words."""
    words: Counter[str] = Counter()
    lengths: list[int] = []
    for at in range(len(annotations)):
        for text in annotations.captions[at]:
            parts = re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text.lower())
            lengths.append(len(parts))
            words.update(part for part in parts if part not in STOP_WORDS)
    if not lengths:
        return []
    top = words.most_common(MAX_BARS)
    foot = f"{len(words):,} different words"
    return [
        Panel("words in captions", tuple(word for word, _ in top), tuple(count for _, count in top), False, foot),
        histogram("words a caption", lengths),
    ]


def histogram(title: str, values: Sequence[float], ends: tuple[float, float] | None = None) -> Panel:
    """Up to 24 bins between round numbers; one bin where all values are the same."""
    low, high = ends or (float(np.min(values)), float(np.max(values)))
    whole = all(float(value).is_integer() for value in values)
    step = _round_step((high - low) / 20, whole)
    start = np.floor(low / step) * step
    count = max(1, int(np.floor((high - start) / step)) + 1)
    counts, edges = np.histogram(values, bins=count, range=(start, start + count * step))
    return Panel(title, tuple(f"{edge:g}" for edge in edges[:-1]), tuple(int(n) for n in counts), True)


def _round_step(least: float, whole: bool) -> float:
    """1, 2 or 5 times a power of ten, at least so large."""
    if least <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
    return float(max(step, 1.0)) if whole else float(step)


def shapes(widths: Sequence[int], heights: Sequence[int]) -> Panel:
    """Width to height, each picture under the nearest of the usual shapes, tall to wide."""
    counts = Counter(ratio_words(width / height) for width, height in zip(widths, heights, strict=True))
    labels = [name for name in ("tall", *RATIOS, "wide") if counts[name]]
    return Panel("width : height", tuple(labels), tuple(counts[name] for name in labels), True)


def ratio_words(ratio: float) -> str:
    """'3:2' for 1.5: the nearest usual shape, or 'tall' or 'wide' beyond all of them."""
    if not 0.46 <= ratio <= 2.17:
        return "tall" if ratio < 1 else "wide"
    return min(RATIOS, key=lambda name: abs(np.log(ratio / RATIOS[name])))
