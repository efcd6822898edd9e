"""Results on stdout: what was said, the scores, and where the files are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from easel.errors import printable
from easel.kinds import KINDS
from easel.runners.machine import is_first

if TYPE_CHECKING:
    from easel.result import Result, Score

MOST_ROWS = 40


def result(made: Result, *, as_json: bool, quiet: bool) -> None:
    """Print a result: JSON alone with `as_json`; the answer alone with `quiet`; else texts, scores, notes and files.

    Of several processes that were started together the first alone says anything.
    """
    if not is_first():
        return
    if as_json:
        sys.stdout.write(made.to_json(with_folder=True))
        return
    answer = _texts(made)
    if quiet:
        lines = answer if answer and KINDS[made.kind].recipe.answers_in_words else [str(made.folder)]
        print("\n".join(map(printable, lines)))
        return
    for line in answer:
        print(printable(line))
    table(("score", "value", "95 % interval", "n", "judge", "of"), [_row(score) for score in made.scores])
    for note in made.notes:
        print(printable(f"note: {note}"))
    main = next((name for name in ("sheet.png", "chart.png") if name in made.files), None)
    count = len(made.pictures)
    if main and made.folder is not None:
        pages = [f" and {made.folder / name}" for name in made.files if name.endswith(".html")]
        print(
            printable(f"look at {made.folder / main}{''.join(pages)}") + (f" ({count} pictures)" if count > 1 else "")
        )
    else:
        print(printable(f"written to {made.folder}"))


def _texts(made: Result) -> list[str]:
    return [text if len(made.texts) == 1 else f"{key}: {text}" for key, text in made.texts.items()]


def _row(score: Score) -> tuple[str, ...]:
    span = f"{score.low:.3f} to {score.high:.3f}" if score.low is not None and score.high is not None else ""
    return score.name, f"{score.value:.3f}", span, str(score.n), score.judge, score.of


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, as wide as they need; columns without content are left out."""
    if not rows:
        return
    kept = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    lines = [[heads[index] for index in kept], *([printable(row[index]) for index in kept] for row in rows[:MOST_ROWS])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(kept))]
    for line in lines:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    if len(rows) > MOST_ROWS:
        print(f"... and {len(rows) - MOST_ROWS} more in result.json")
