"""What the parts of a shared run have made, put together in order, a part at a time: tables, scores, result, report."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Any

from PIL import Image

from easel.files import atomic_path
from easel.jobs.inputs import shortened_list
from easel.jobs.judges import ENDS
from easel.metrics.intervals import EVERYWHERE, Z95, Estimate, mean_interval
from easel.result import Result, Score
from easel.runners.cluster.manifest import Manifest
from easel.sheet import MOST_CELLS, Cell, sheet
from easel.workspace import Workspace, clock

PHOTOS, SCORES, REPORT, CELLS = "photos.jsonl", "scores.csv", "report.md", ".cells"
HEADS = ("photo", "of", "name", "value", "low", "high", "n", "judge")
MOST_IN_RESULT = 2000
"""Photos whose pictures, texts and scores are in result.json too; of more than these it has the means alone."""
MOST_KEPT = 2000
"""Values of a score that are kept, for an interval as it is elsewhere; beyond that their sums are."""
MOST_NOTES = 200
COUNTED = re.compile(r"\d+(?= of )|(?<= of )\d+(?= )")


class Values:
    """Values of one score, one a photo, in memory that does not grow with them."""

    def __init__(self) -> None:
        self.n, self.mean, self._squares, self._kept = 0, 0.0, 0.0, array("d")

    def add(self, value: float) -> None:
        """One photo's value (Welford 1962)."""
        self.n += 1
        behind = value - self.mean
        self.mean += behind / self.n
        self._squares += behind * (value - self.mean)
        if self.n <= MOST_KEPT:
            self._kept.append(value)

    def estimate(self, within: tuple[float, float] = EVERYWHERE) -> Estimate:
        """The mean with its 95 % interval: of many values by the normal distribution, as their mean has it. `within` is
        the least and the greatest that it can be.
        """
        if self.n <= MOST_KEPT:
            return mean_interval(list(self._kept), within=within)
        half = Z95 * math.sqrt(self._squares / (self.n - 1) / self.n)
        return Estimate(self.mean, self.mean - half, self.mean + half, self.n)


class _Tables:
    """Files that grow line by line, each whole or not there at the end."""

    def __init__(self, workspace: Workspace, stack: contextlib.ExitStack) -> None:
        self._workspace, self._stack = workspace, stack
        self.open: dict[str, IO[str]] = {}

    def add(self, name: str, text: str) -> None:
        """Put a part's lines behind those before; a CSV's head stands once."""
        is_new = name not in self.open
        if is_new:
            place = self._workspace.place_for(name)
            part = self._stack.enter_context(atomic_path(place))
            self.open[name] = self._stack.enter_context(part.open("w", encoding="utf-8", newline=""))
        if not is_new and name.endswith(".csv") and name != SCORES:
            text = text.partition("\n")[2]
        self.open[name].write(text)


def glued(manifest: Manifest, workspace: Workspace, kind: str, heading: str, extra: Sequence[str]) -> Result:
    """The result of a run whose parts are over. `extra` are notes of the run itself."""
    total = manifest.total or 0
    done, _ = manifest.counts()
    small = total <= MOST_IN_RESULT
    pictures: list[str] = []
    others: list[str] = []
    texts: dict[str, str] = {}
    scores: list[Score] = []
    means: dict[tuple[str, str], Values] = {}
    notes: dict[str, list[list[int]]] = {}
    versions: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        tables = _Tables(workspace, stack)
        tables.add(PHOTOS, "")
        for at, (part, made) in enumerate(manifest.made()):
            if at % 50 == 0:
                workspace.step("putting together", part.first, total)
            failed = manifest.failed_in(part)
            lines = {
                number: {"photo": name, "failed": failed[number]} for number, name in _names(manifest, part, failed)
            }
            for row in made.get("done", ()):
                lines[row["number"]] = {key: row[key] for key in ("photo", "pictures", "texts")} | {
                    "scores": {_label(score, row): score["value"] for score in row["scores"]}
                }
                _count(row["scores"], means)
                if small:
                    pictures += row["pictures"]
                    others += row["files"]
                    texts |= _texts(row, texts)
                    scores += [Score.model_validate(score) for score in row["scores"]]
                if row["scores"]:
                    tables.add(SCORES, _csv(row, with_head=SCORES not in tables.open))
            for number in sorted(lines):
                tables.add(PHOTOS, json.dumps(lines[number], ensure_ascii=False) + "\n")
            for name, text in made.get("tables", {}).items():
                tables.add(name, text)
            for note in made.get("notes", ()):
                _sum(note, notes)
            versions |= made.get("versions", {})
        names = [name for name in tables.open if name != PHOTOS]
    of = f"{done} {'pictures' if kind == 'generate' else 'photos'}"
    scores += [
        _score(name, judge, values, of) for (name, judge), values in means.items() if done > 1 and values.n == done
    ]
    said = [*extra, *_failures(manifest, total), *_told(notes, done), *manifest.notes()]
    if not small:
        said.append(f"the pictures, texts and scores of each of {total:,} are in {PHOTOS} and {SCORES}")
    with_sheet = _sheet(workspace, heading or of, total)
    return Result(
        kind=kind,
        folder=workspace.folder,
        pictures=tuple(pictures),
        files=(*names, PHOTOS, *others, *with_sheet, REPORT),
        texts=texts,
        scores=tuple(scores),
        versions=versions,
        notes=tuple(said),
    )


def _names(manifest: Manifest, part: Any, failed: dict[int, str]) -> Iterator[tuple[int, str]]:
    if failed:
        for item in manifest.items(part):
            if item.number in failed:
                yield item.number, item.name


def _texts(row: dict[str, Any], known: dict[str, str]) -> dict[str, str]:
    """A photo's texts; a key that another photo has too gets the photo's name before it."""
    mine = {row["photo"], *row["pictures"]}
    return {
        key if key in mine or known.get(key, text) == text else f"{row['photo']}: {key}": text
        for key, text in row["texts"].items()
    }


def _label(score: dict[str, Any], row: dict[str, Any]) -> str:
    """A score's name, with the picture's where a photo has several."""
    return score["name"] if len(row["pictures"]) < 2 else f"{score['name']} of {score['of']}"


def _count(scores: Sequence[dict[str, Any]], means: dict[tuple[str, str], Values]) -> None:
    """A photo's mean of each score: photos are what was drawn, however many pictures each has."""
    mine: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        mine.setdefault((score["name"], score["judge"]), []).append(float(score["value"]))
    for key, values in mine.items():
        if key in means or len(means) < MOST_NOTES:
            means.setdefault(key, Values()).add(sum(values) / len(values))


def _score(name: str, judge: str, values: Values, of: str) -> Score:
    found = values.estimate(ENDS.get(name, (0.0, 1.0) if name.endswith("confidence") else EVERYWHERE))
    return Score(name=name, value=found.value, low=found.low, high=found.high, n=found.n, judge=judge, of=f"all {of}")


def _csv(row: dict[str, Any], *, with_head: bool) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    if with_head:
        writer.writerow(HEADS)
    for score in row["scores"]:
        writer.writerow((row["photo"], *(score[head] for head in HEADS[1:])))
    return made.getvalue()


def _sum(note: str, notes: dict[str, list[list[int]]]) -> None:
    """Notes of parts that say the same of other numbers, '3 of 64 captions ...', are one note with their sums."""
    is_counted = re.match(r"\d+ of \d+ ", note) is not None
    key = COUNTED.sub("\0", note) if is_counted else note
    if key in notes or len(notes) < MOST_NOTES:
        numbers = [int(found) for found in COUNTED.findall(note)] if is_counted else []
        before = notes.setdefault(key, [])
        before[:] = [[a + b for a, b in zip(before[0], numbers, strict=True)]] if before else [numbers]


def _told(notes: dict[str, list[list[int]]], done: int) -> list[str]:
    """The notes with their sums; what they are counted of is all photos, also those of parts that said nothing."""
    said = []
    for key, (numbers,) in notes.items():
        left = iter([numbers[0], done, *numbers[2:]] if numbers else [])
        said.append("".join(str(next(left)) if letter == "\0" else letter for letter in key))
    return shortened_list(said)


def _failures(manifest: Manifest, total: int) -> list[str]:
    _, failed = manifest.counts()
    if not failed:
        return []
    some = [f"{name}: {why}" if name not in why else why for name, why in manifest.failures(5)]
    more = [f"and {failed - 5} more, see {REPORT}"] if failed > 5 else []
    return [f"{failed} of {total} failed: {'; '.join([*some, *more])}"]


def keep_cells(workspace: Workspace, cells: Sequence[tuple[int, bytes, str, list[str]]]) -> None:
    """Keep small pictures of the first photos for the sheet."""
    folder = workspace.folder / CELLS
    for number, content, title, lines in cells:
        folder.mkdir(exist_ok=True)
        (folder / f"{number:04d}.jpg").write_bytes(content)
        (folder / f"{number:04d}.json").write_text(json.dumps([title, lines]), encoding="utf-8")


def _sheet(workspace: Workspace, heading: str, total: int) -> tuple[str, ...]:
    """The contact sheet of the first photos; none where there are no small pictures of them."""
    cells = []
    for path in sorted((workspace.folder / CELLS).glob("*.jpg"))[:MOST_CELLS]:
        with contextlib.suppress(OSError, ValueError), Image.open(path) as picture:
            title, lines = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            cells.append(Cell(picture.convert("RGB"), title, tuple(lines)))
    if not cells:
        return ()
    more = f" (the first {len(cells)} of {total:,})" if total > len(cells) else ""
    workspace.save_picture("sheet.png", sheet(cells, heading=heading + more))
    return ("sheet.png",)


def report(manifest: Manifest, result: Result, facts: dict[str, Any]) -> str:
    """report.md: what was asked, what came of it, what failed and why, and how long it took."""
    total, (done, failed) = manifest.total or 0, manifest.counts()
    spent, workers = manifest.spent()
    took = float(facts["seconds"])
    lines = [
        f"# {result.kind}: {total:,} {'pictures' if result.kind == 'generate' else 'photos'}",
        "",
        "| | |",
        "|---|---|",
        f"| done | {done:,} |",
        f"| failed | {failed:,} |",
        f"| starts | {facts['starts']} |",
        f"| workers | {workers} |",
        f"| workers lost | {facts['deaths']} |",
        f"| time, all starts | {clock(took)} |",
        f"| rate | {done / took if took else 0:.2f} a second |",
        f"| workers' own time | {clock(spent)}, {spent / max(done, 1):.3f} s each |",
        "",
    ]
    means = [score for score in result.scores if score.of.startswith("all ")]
    if means:
        lines += ["| score | mean | 95 % interval | n | judge |", "|---|---|---|---|---|"]
        for score in means:
            ends = "" if score.low is None or score.high is None else f"{score.low:.4f} to {score.high:.4f}"
            lines.append(f"| {score.name} | {score.value:.4f} | {ends} | {score.n:,} | {score.judge} |")
        lines.append("")
    if failed:
        lines += [
            "## Failed",
            "",
            f"All of them are in the view `photos` of `{manifest.path.name}`, those whose `state` is `failed`.",
            "",
        ]
        lines += [f"- {name}: {why}" for name, why in manifest.failures(100)]
        lines += [f"- and {failed - 100:,} more"] if failed > 100 else []
        lines.append("")
    if result.notes:
        lines += ["## Notes", "", *(f"- {note}" for note in result.notes), ""]
    return "\n".join(lines)
