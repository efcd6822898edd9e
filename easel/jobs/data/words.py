"""The numbers of a summary, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from easel.data import Annotations, PictureSet
from easel.errors import printable
from easel.jobs.data.duplicates import DuplicateGroup, redundant
from easel.jobs.data.panels import ratio_words
from easel.jobs.data.values import SetStats
from easel.jobs.inputs import shortened_list


def numbers(pictures: PictureSet, stats: SetStats, groups: list[DuplicateGroup], key: str) -> dict[str, str]:
    """The table: each number in words, those that say nothing left out."""
    widths, heights = np.array(stats.widths), np.array(stats.heights)
    short = np.minimum(widths, heights)
    is_whole = len(stats.indices) + len(stats.broken) == len(pictures)
    found = {
        "pictures": f"{len(pictures):,}",
        "layout": pictures.layout,
        "looked at": "all" if is_whole else f"{len(stats.indices) + len(stats.broken):,}, spread evenly",
        "missing": f"{pictures.missing:,} that the tables name are not there" if pictures.missing else "",
        "unnamed": f"{pictures.unnamed:,} in the folder that its table does not name" if pictures.unnamed else "",
        "broken": f"{len(stats.broken):,}",
        "classes": class_words(pictures),
        "captions": caption_words(pictures),
        "attributes": ", ".join(pictures.attributes),
        "splits": split_words(pictures),
        "shorter side": f"{short.min()} to {short.max()} px, half of them {int(np.median(short))} or more",
        "sizes": size_words(stats),
        "shape": ratio_words(float(np.median(widths / heights))),
        "brightness": f"{np.mean(stats.brightness):.0f} of 255, contrast {np.mean(stats.contrast):.0f}",
        "without colour": f"{stats.colourless:,}" if stats.colourless else "",
        "near-duplicates": duplicate_words(groups),
        "hash": key[:16],
    }
    return {name: text for name, text in found.items() if text}


def left_out_notes(pictures: PictureSet) -> list[str]:
    """What of the folder and its tables is none of the set, and what was taken for what."""
    found = list(pictures.notes)
    if pictures.unnamed:
        count, first = pictures.unnamed, printable(pictures.unnamed_names[0])
        one = f"1 picture in the folder has no line in its table and is left out: {first}"
        more = f"{count:,} pictures in the folder have no line in its table and are left out, such as {first}"
        found.insert(0, one if count == 1 else more)
    return found


def duplicate_words(groups: list[DuplicateGroup]) -> str:
    """'2 groups of 7 pictures; 5 pictures could go'."""
    if not groups:
        return "none"
    several = f"{len(groups):,} groups" if len(groups) > 1 else "1 group"
    count = redundant(groups)
    return f"{several} of {count + len(groups):,} pictures; {count:,} {'pictures' if count > 1 else 'picture'} could go"


def class_words(pictures: Annotations) -> str:
    """'10, 39 to 60 pictures each; 2 with one picture alone (hat, shoe)'."""
    if not pictures.classes:
        return ""
    counts = np.bincount(pictures.labels[pictures.labels >= 0], minlength=len(pictures.classes))
    single, without = pictures.small_classes(), int((pictures.labels < 0).sum())
    each = f"{counts.max():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    words = f"{len(pictures.classes):,}, {each} pictures each"
    words += f"; {len(single)} with one picture alone ({', '.join(shortened_list(single))})" if single else ""
    return words + (f"; {without:,} pictures have none" if without else "")


def caption_words(pictures: Annotations) -> str:
    """'535 of 535 pictures, 1 each, 8 words on average'."""
    counts = [len(captions) for captions in _captions(pictures)]
    having = [count for count in counts if count]
    if not having:
        return "none"
    words = [len(text.split()) for captions in _captions(pictures) for text in captions]
    each = f"{min(having)}" if min(having) == max(having) else f"{min(having)} to {max(having)}"
    return f"{len(having):,} of {len(counts):,} pictures, {each} each, {np.mean(words):.1f} words on average"


def _captions(pictures: Annotations) -> Iterator[tuple[str, ...]]:
    return (pictures.captions[at] for at in range(len(pictures)))


def split_words(pictures: PictureSet) -> str:
    """'train 5,994, test 5,794'."""
    if pictures.split is None:
        return ""
    counts = np.bincount(pictures.split.codes[pictures.split.codes >= 0], minlength=len(pictures.split.values))
    return ", ".join(f"{name} {count:,}" for name, count in zip(pictures.split.values, counts, strict=True))


def size_words(stats: SetStats) -> str:
    """The commonest sizes, or that there is one."""
    counts = Counter(zip(stats.widths, stats.heights, strict=True)).most_common(3)
    (width, height), most = counts[0]
    if most == len(stats.indices):
        return f"all {width} x {height}"
    return ", ".join(f"{w} x {h} ({count:,})" for (w, h), count in counts)
