"""The curves of a training, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from easel.jobs.chart import png

COLOURS = ("#c4472d", "#2f6f8f", "#8a8f3c", "#8a5a83", "#5c5c62")
PANELS = (
    ("losses", ("critic", "generator", "classifier", "error", "asked", "evidence"), False),
    ("the critic's scores", ("real", "fake"), False),
    ("KID", ("KID",), True),
    ("diversity (1: the set's)", ("diversity", "p", "precision", "recall"), False),
)
"""Title, the numbers shown, and whether on a logarithmic scale."""

Rows = Sequence[dict[str, float]]


def curves(rows: Rows, title: str) -> bytes:
    """PNG of four panels over thousands of pictures seen; panels without numbers are left out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [panel for panel in PANELS if any(name in row for row in rows for name in panel[1])]
    wide = 3.6 * max(1, len(shown))
    figure = Figure(figsize=(wide, 3.2), dpi=110)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.55 / wide, right=1 - 0.15 / wide, bottom=0.16, top=0.82, wspace=0.22)
    figure.suptitle(title, fontsize=11, parse_math=False)
    for place, (heading, names, is_log) in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        axes.set_title(heading, fontsize=10)
        _lines(axes, rows, names)
        if is_log and all(row["KID"] > 0 for row in rows if "KID" in row):
            axes.set_yscale("log")
        axes.set_xlabel("thousand pictures seen", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    return png(figure)


def _lines(axes: Any, rows: Rows, names: Sequence[str]) -> None:
    """A line for each number; KID's with its interval."""
    for colour, name in zip(COLOURS, (n for n in names if any(n in row for row in rows)), strict=False):
        own = [row for row in rows if name in row]
        axes.plot(
            [row["kimg"] for row in own], [row[name] for row in own], "o-", color=colour, label=name, markersize=2
        )
        if name == "KID" and all("low" in row for row in own):
            low = [max(row["low"], 1e-9) for row in own]
            axes.fill_between([row["kimg"] for row in own], low, [row["high"] for row in own], color=colour, alpha=0.2)
