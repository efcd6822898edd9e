"""The numbers of a summary, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from easel.data import Facts, PictureSet
from easel.jobs.data.duplicates import Pair, extra
from easel.jobs.data.panels import ratio_words
from easel.jobs.inputs import shortened_list

if TYPE_CHECKING:
    from easel.jobs.data.summary import Looks


def numbers(pictures: PictureSet, looks: Looks, pairs: list[Pair], key: str) -> dict[str, str]:
    """The table: each number in words, those that say nothing left out."""
    widths, heights = np.array(looks.widths), np.array(looks.heights)
    short = np.minimum(widths, heights)
    seen_all = len(looks.rows) + len(looks.broken) == len(pictures)
    found = {
        "pictures": f"{len(pictures):,}",
        "layout": pictures.layout,
        "looked at": "all" if seen_all else f"{len(looks.rows) + len(looks.broken):,}, spread evenly",
        "missing": f"{pictures.missing:,} that the tables name are not there" if pictures.missing else "",
        "unnamed": f"{pictures.unnamed:,} in the folder that its table does not name" if pictures.unnamed else "",
        "broken": f"{len(looks.broken):,}",
        "classes": class_words(pictures),
        "captions": caption_words(pictures),
        "attributes": ", ".join(pictures.attributes),
        "splits": split_words(pictures),
        "shorter side": f"{short.min()} to {short.max()} px, half of them {int(np.median(short))} or more",
        "sizes": size_words(looks),
        "shape": ratio_words(float(np.median(widths / heights))),
        "brightness": f"{np.mean(looks.brightness):.0f} of 255, contrast {np.mean(looks.contrast):.0f}",
        "without colour": f"{looks.colourless:,}" if looks.colourless else "",
        "near-duplicates": f"{len(pairs):,} pairs; {extra(pairs):,} pictures could go" if pairs else "none",
        "hash": key[:16],
    }
    return {name: text for name, text in found.items() if text}


def unnamed_note(pictures: PictureSet) -> list[str]:
    """That pictures of the folder are none of the set, where that is so."""
    if not pictures.unnamed:
        return []
    count, first = pictures.unnamed, pictures.unnamed_names[0]
    if count == 1:
        return [f"1 picture in the folder has no line in its table and is left out: {first}"]
    return [f"{count:,} pictures in the folder have no line in its table and are left out, such as {first}"]


def class_words(pictures: Facts) -> str:
    """'10, 39 to 60 pictures each; 2 with one picture alone (hat, shoe)'."""
    if not pictures.classes:
        return ""
    counts = np.bincount(pictures.labels[pictures.labels >= 0], minlength=len(pictures.classes))
    lonely, without = pictures.small_classes(), int((pictures.labels < 0).sum())
    each = f"{counts.max():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    words = f"{len(pictures.classes):,}, {each} pictures each"
    words += f"; {len(lonely)} with one picture alone ({', '.join(shortened_list(lonely))})" if lonely else ""
    return words + (f"; {without:,} pictures have none" if without else "")


def caption_words(pictures: Facts) -> str:
    """'535 of 535 pictures, 1 each, 8 words on average'."""
    counts = [len(said) for said in _captions(pictures)]
    having = [count for count in counts if count]
    if not having:
        return "none"
    words = [len(text.split()) for said in _captions(pictures) for text in said]
    each = f"{min(having)}" if min(having) == max(having) else f"{min(having)} to {max(having)}"
    return f"{len(having):,} of {len(counts):,} pictures, {each} each, {np.mean(words):.1f} words on average"


def _captions(pictures: Facts) -> Iterator[tuple[str, ...]]:
    return (pictures.captions[at] for at in range(len(pictures)))


def split_words(pictures: PictureSet) -> str:
    """'train 5,994, test 5,794'."""
    if pictures.split is None:
        return ""
    counts = np.bincount(pictures.split.codes[pictures.split.codes >= 0], minlength=len(pictures.split.values))
    return ", ".join(f"{name} {count:,}" for name, count in zip(pictures.split.values, counts, strict=True))


def size_words(looks: Looks) -> str:
    """The commonest sizes, or that there is one."""
    counts = Counter(zip(looks.widths, looks.heights, strict=True)).most_common(3)
    (width, height), most = counts[0]
    if most == len(looks.rows):
        return f"all {width} x {height}"
    return ", ".join(f"{w} x {h} ({count:,})" for (w, h), count in counts)
