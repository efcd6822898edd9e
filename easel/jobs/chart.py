"""A bar chart with error bars, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easel.metrics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#c4472d", "#b9b4a8", "#3b6ea5", "#7a9a4f")
"""One for each series; a chart takes no more series than there are colours."""
ROOM = 0.08
"""Above a bar of 1, for its number."""


@dataclass(frozen=True)
class Bars:
    """Bars of one colour, one over each label, values -1 to 1; none where there is no estimate."""

    name: str
    estimates: Sequence[Estimate | None]


def rate_chart(labels: Sequence[str], series: Sequence[Bars], title: str, unit: str) -> bytes:
    """PNG of grouped bars with the ends of each 95 % interval; `unit` says what the numbers are.

    Matplotlib without a window, so that it works on any machine.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 1.3 * len(labels) + 2), 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bottom = lowest(series)
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
    axes.set_ylim(bottom, 1 + ROOM)
    if bottom < 0:
        axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel(f"{unit}, with 95 % interval")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(series))
    return png(figure)


def lowest(series: Sequence[Bars]) -> float:
    """Where the axis begins: 0, or as far below as an interval of a difference reaches, with a little room."""
    ends = [one.value if one.low is None else one.low for bars in series for one in bars.estimates if one]
    least = min((0.0, *ends))
    return least - ROOM / 4 if least < 0 else 0.0


def png(figure: Figure, **more: Any) -> bytes:
    """A figure as a PNG with no date or program in it: the same numbers give the same file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None}, **more)
    return stream.getvalue()


def _errors(estimates: Sequence[Estimate]) -> list[list[float]]:
    """Lengths below and above each value; 0 where there is no interval."""
    below = [max(0.0, e.value - (e.value if e.low is None else e.low)) for e in estimates]
    above = [max(0.0, (e.value if e.high is None else e.high) - e.value) for e in estimates]
    return [below, above]
