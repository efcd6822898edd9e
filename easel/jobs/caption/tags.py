"""Tags for CLIP to rank: the built-in groups, or a person's own; and how an interrogation joins the best of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from easel.errors import EaselError, is_text, printable, shortened
from easel.files import read_text
from easel.metrics.clip import probabilities
from easel.recipes.read import MOST_BYTES, load_yaml

BUILT_IN = Path(__file__).with_name("tags.yaml")
SUBJECT = "subject"  # the caption says it already, so an interrogation leaves it out
TOGETHER = ("medium", "artist")  # "an oil painting in the style of Monet": one phrase, no comma
MOST_TAGS, MOST_LETTERS = 5000, 500
KEPT = 10  # the ranks worth keeping of each group
SHOWN = 5  # and worth showing in a line

Groups = dict[str, tuple[str, ...]]


class Tag(NamedTuple):
    """One tag for one picture; `probability` is its share of its group, the group summing to 1."""

    group: str
    text: str
    probability: float


def read_tags(source: str) -> Groups:
    """The groups of tags in a file, or the built-in ones for the word 'builtin'.

    A file is YAML (group: [tag, ...], or a list) or has one tag a line. Raises EaselError naming the file and the line.
    """
    if source == "builtin":
        source = str(BUILT_IN)
    path = Path(source)
    if path.suffix.lower() in {".yaml", ".yml"}:
        groups, _ = load_yaml(path)
        groups = {"tags": groups} if isinstance(groups, list) else groups
    else:
        groups = {"tags": _lines(path)}
    if not isinstance(groups, dict):
        raise EaselError(f"{path}: wanted groups of tags, 'group: [tag, tag]', or a list of tags")
    found = {str(group): _checked(path, str(group), tags) for group, tags in groups.items()}
    count = sum(map(len, found.values()))
    if not 0 < count <= MOST_TAGS:
        raise EaselError(f"{path} has {count:,} tags: from 1 to {MOST_TAGS:,} are ranked")
    return found


def ranked(
    pictures: NDArray[np.floating], tags: Mapping[str, NDArray[np.floating]], groups: Groups, scale: float
) -> list[list[Tag]]:
    """For each picture row (n, d) the best `KEPT` tags of every group, the likeliest first; `tags` are a group's text
    rows (m, d).
    """
    found: list[list[Tag]] = [[] for _ in pictures]
    for group, words in groups.items():
        for mine, shares in zip(found, probabilities(pictures, tags[group], scale), strict=True):
            best = np.argsort(-shares, kind="stable")[:KEPT]
            mine += [Tag(group, words[index], float(shares[index])) for index in best]
    return found


def best_of(tags: Sequence[Tag]) -> dict[str, Tag]:
    """The likeliest tag of each group, groups in their order."""
    best: dict[str, Tag] = {}
    for tag in tags:
        if tag.group not in best or tag.probability > best[tag.group].probability:
            best[tag.group] = tag
    return best


def interrogated(caption: str, tags: Sequence[Tag]) -> str:
    """Caption and the best tag of each group but the subject, as CLIP-Interrogator's users expect: "a cat, a photo in
    the style of X, at night".
    """
    best = best_of(tags)
    together = " ".join(best[group].text for group in TOGETHER if group in best)
    others = [tag.text for group, tag in best.items() if group not in (*TOGETHER, SUBJECT)]
    return ", ".join(part for part in (caption, together, *others) if part)


def lines(tags: Sequence[Tag | Sequence[Any]]) -> list[str]:
    """'mood: calm 0.61, cosy 0.20, ...', a line a group, its best five."""
    found: dict[str, list[str]] = {}
    for group, text, probability in tags:
        found.setdefault(group, []).append(f"{text} {probability:.2f}")
    return [f"{group}: {', '.join(words[:SHOWN])}" for group, words in found.items()]


def table(tags: Mapping[str, Sequence[Tag | Sequence[Any]]], guesses: Collection[str] = ()) -> str:
    """CSV of the tags of each picture: file_name, group, rank, tag, probability; and guess (1 or 0), where some
    pictures are beyond the judge's depth.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file_name", "group", "rank", "tag", "probability", *(("guess",) if guesses else ())))
    for name, mine in tags.items():
        ranks: dict[str, int] = {}
        for group, words, probability in mine:
            ranks[group] = ranks.get(group, 0) + 1
            is_guess = (int(name in guesses),) if guesses else ()
            writer.writerow((name, group, ranks[group], words, f"{probability:.6f}", *is_guess))
    return text.getvalue()


def _lines(path: Path) -> list[str]:
    """The lines of a text file that say something; '#' begins a remark."""
    try:
        lines = read_text(path, MOST_BYTES).splitlines()
    except EaselError as problem:
        raise EaselError(f"cannot read tags: {problem}; use a file with one tag a line, or 'builtin'") from problem
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _checked(path: Path, group: str, tags: object) -> tuple[str, ...]:
    if not isinstance(tags, list) or not tags or not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise EaselError(f"{path}: {group}: wanted a list of tags, each a few words, got {shortened(repr(tags))}")
    found = tuple(dict.fromkeys(tag.strip() for tag in tags))
    for tag in found:
        if len(tag) > MOST_LETTERS or not is_text(tag):
            what = f"has {len(tag):,} letters, at most {MOST_LETTERS} are read" if is_text(tag) else "is no text"
            raise EaselError(f"{path}: {group}: the tag '{shortened(printable(tag), 40)}' {what}")
    return found
