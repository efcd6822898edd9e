"""Charts as PNGs: bars with error bars, and the curves of a training. Figures of other charts begin and end here too.

Matplotlib without a window, so that it works on any machine; it is imported when a chart is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easel.metrics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#c4472d", "#b9b4a8", "#3b6ea5", "#7a9a4f", "#8a5a83")
"""One for each series; a chart takes no more series than there are colours."""
HEADROOM = 0.08
"""Above a bar of 1, for its number."""


@dataclass(frozen=True)
class Bars:
    """Bars of one colour, one over each label, values -1 to 1; none where there is no estimate."""

    name: str
    estimates: Sequence[Estimate | None]


def new_figure(width: float, height: float, dpi: int, **options: Any) -> Figure:
    """An empty figure of so many inches, drawn without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, **options)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure, **options: Any) -> bytes:
    """A figure as a PNG with no date or program in it: the same numbers give the same file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None}, **options)
    return stream.getvalue()


def bar_chart(labels: Sequence[str], series: Sequence[Bars], title: str, unit: str) -> bytes:
    """PNG of grouped bars with the ends of each 95 % interval; `unit` says what the numbers are."""
    each = max(1.3, 0.45 * len(series))
    figure = new_figure(max(6.0, each * len(labels) + 2), 4.5, 130, layout="constrained")
    axes = figure.add_subplot()
    bottom = _axis_start(series)
    width = 0.8 / len(series)
    for index, bars in enumerate(series):
        drawn = {
            place + (index - (len(series) - 1) / 2) * width: one for place, one in enumerate(bars.estimates) if one
        }
        axes.bar(
            list(drawn),
            [estimate.value for estimate in drawn.values()],
            width * 0.94,
            yerr=_errors(list(drawn.values())),
            capsize=4,
            label=bars.name,
            color=COLOURS[index],
        )
        for place, estimate in drawn.items():
            # Beside the error bar, not under it.
            axes.text(place + width * 0.06, estimate.value + 0.01, f"{estimate.value:.2f}", fontsize=8, va="bottom")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(bottom, 1 + HEADROOM)
    if bottom < 0:
        axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel(f"{unit}, with 95 % interval")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(series))
    return png(figure)


def _axis_start(series: Sequence[Bars]) -> float:
    """Where the axis begins: 0, or as far below as an interval of a difference reaches, with a little room."""
    ends = [one.value if one.low is None else one.low for bars in series for one in bars.estimates if one]
    least = min((0.0, *ends))
    return least - HEADROOM / 4 if least < 0 else 0.0


def _errors(estimates: Sequence[Estimate]) -> list[list[float]]:
    """Lengths below and above each value; 0 where there is no interval."""
    below = [max(0.0, e.value - (e.value if e.low is None else e.low)) for e in estimates]
    above = [max(0.0, (e.value if e.high is None else e.high) - e.value) for e in estimates]
    return [below, above]


LINE_COLOURS = ("#c4472d", "#2f6f8f", "#8a8f3c", "#8a5a83", "#5c5c62")
PANELS = (
    ("losses", ("critic", "generator", "classifier", "classifier_fake", "reconstruction", "elbo"), False),
    ("the critic's scores", ("real", "fake"), False),
    ("kernel distance", ("kernel distance",), True),
    ("diversity (1: the set's)", ("diversity", "p", "precision", "recall"), False),
)
"""Title, the numbers shown, and whether on a logarithmic scale."""

Rows = Sequence[dict[str, float]]
"""Rows of metrics.csv: `kimg` and the numbers measured then."""


SUBJECT_PANELS = (
    ("losses", ("instance", "prior"), False),
    ("likeness", ("subject similarity", "CLIP-I"), False),
    ("fit to the words (CLIP-T)", ("CLIP-T",), False),
    ("diversity, near-copies", ("DIV", "near-copies"), False),
)
"""The same for a training that teaches a subject."""
ALONG = {"kimg": "thousand pictures seen", "step": "steps"}
"""What curves run along, in words."""


def training_curves(
    rows: Rows,
    title: str,
    judged: str = "kernel distance",
    panels: Sequence[tuple[str, tuple[str, ...], bool]] = PANELS,
    along: str = "kimg",
) -> bytes:
    """PNG of up to four panels over what the curves run ``along``; panels without numbers are left out. `judged` is
    what the kernel distance is called, with its judge: it heads its panel.
    """
    shown = [panel for panel in panels if any(name in row for row in rows for name in panel[1])]
    wide = 3.6 * max(1, len(shown))
    figure = new_figure(wide, 3.2, 110)
    figure.subplots_adjust(left=0.55 / wide, right=1 - 0.15 / wide, bottom=0.16, top=0.82, wspace=0.22)
    figure.suptitle(title, fontsize=11, parse_math=False)
    for place, (heading, names, is_log) in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        axes.set_title(judged if heading == "kernel distance" else heading, fontsize=10)
        _lines(axes, rows, names, along)
        if is_log and all(row[heading] > 0 for row in rows if heading in row):
            axes.set_yscale("log")
        axes.set_xlabel(ALONG[along], fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    return png(figure)


def _lines(axes: Any, rows: Rows, names: Sequence[str], along: str) -> None:
    """A line for each number; the kernel distance's with its interval, and others' where their rows have one."""
    for colour, name in zip(LINE_COLOURS, (n for n in names if any(n in row for row in rows)), strict=False):
        own = [row for row in rows if name in row]
        place = [row[along] for row in own]
        axes.plot(place, [row[name] for row in own], "o-", color=colour, label=name, markersize=2)
        ends = ("low", "high") if name == "kernel distance" else (f"{name} low", f"{name} high")
        if own and all(end in row for row in own for end in ends):
            least = 1e-9 if name == "kernel distance" else -1.0
            low = [max(row[ends[0]], least) for row in own]
            axes.fill_between(place, low, [row[ends[1]] for row in own], color=colour, alpha=0.2)
