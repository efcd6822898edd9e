"""A bar chart with error bars, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easel.metrics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#c4472d", "#b9b4a8")


@dataclass(frozen=True)
class Bars:
    """Bars of one colour, one over each label, values 0 to 1."""

    name: str
    estimates: Sequence[Estimate]


def rate_chart(labels: Sequence[str], series: Sequence[Bars], title: str) -> bytes:
    """PNG of grouped bars with the ends of each 95 % interval.

    Matplotlib without a window, so that it works on any machine.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 1.3 * len(labels) + 2), 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    for index, bars in enumerate(series):
        places = [place + (index - (len(series) - 1) / 2) * width for place in range(len(labels))]
        heights = [estimate.value for estimate in bars.estimates]
        axes.bar(
            places,
            heights,
            width * 0.94,
            yerr=_errors(bars.estimates),
            capsize=4,
            label=bars.name,
            color=COLOURS[index % 2],
        )
        for place, estimate in zip(places, bars.estimates, strict=True):
            # Beside the error bar, not under it.
            axes.text(place + width * 0.06, estimate.value + 0.01, f"{estimate.value:.2f}", fontsize=8, va="bottom")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(0, 1.08)
    axes.set_ylabel("rate of yes, with 95 % interval")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(series))
    return png(figure)


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
