"""Charts as PNGs: bars with error bars, and the curves of a training. Figures of other charts begin and end here too.

Matplotlib without a window, so that it works on any machine; it is imported when a chart is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
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


SWEEP_COLOURS = (
    "#c4472d", "#2f6f8f", "#8a8f3c", "#8a5a83", "#d28f2b", "#3f9c8f", "#5c5c62", "#b0647c", "#5a6fb5", "#7d5a3c",
)  # fmt: skip


@dataclass(frozen=True)
class Course:
    """A training in a chart: (step, value) by score; the steps at which it is alarming."""

    name: str
    points: Mapping[str, Sequence[tuple[int, float]]]
    alarms: Sequence[int] = ()


def sweep_curves(courses: Sequence[Course], panels: Sequence[tuple[str, str, str]], title: str) -> bytes:
    """PNG of the courses of trainings over steps, a panel for each (heading, score, score of a dashed line or ''). A
    cross marks a checkpoint that is alarming. Colours are used again beyond ten courses, with other marks.
    """
    shown = [panel for panel in panels if any(panel[1] in one.points for one in courses)]
    wide, rows = 3.6 * max(1, len(shown)), (len(courses) + 2) // 3
    figure = new_figure(wide, 3.3 + 0.19 * rows, 110, layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    handles: list[Any] = []
    for place, (heading, score, dashed) in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        axes.set_title(heading, fontsize=10)
        handles = []
        for number, one in enumerate(courses):
            colour = SWEEP_COLOURS[number % len(SWEEP_COLOURS)]
            mark = "os^Dv"[number // len(SWEEP_COLOURS) % 5]
            for name, line in ((score, "-"), (dashed, "--")):
                points = one.points.get(name, ())
                drawn = axes.plot([x for x, _ in points], [y for _, y in points], line, color=colour, linewidth=1.2)
                if line == "-":
                    drawn[0].set(marker=mark, markersize=3.5)
                    handles.append(drawn[0])
            crossed = [(x, y) for x, y in one.points.get(score, ()) if x in one.alarms]
            axes.plot([x for x, _ in crossed], [y for _, y in crossed], "x", color="#1c1c1e", markersize=8)
        if not any(y for one in courses for _, y in one.points.get(score, ())):
            axes.set_ylim(-0.02, 1)  # a share that is zero everywhere is shown as such
        axes.set_xlabel("steps", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    if shown:
        names = [one.name for one in courses]
        figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return png(figure)


@dataclass(frozen=True)
class Spot:
    """A candidate in a chart of two scores and, in colour, a third; on the Pareto front it has a number and a ring."""

    across: float
    up: float
    colour: float | None
    number: int | None = None
    is_taken: bool = False


def front_chart(spots: Sequence[Spot], names: tuple[str, str, str]) -> bytes:
    """PNG of candidates by two scores, `names` of what is across, up, and in colour; the one to take is a star."""
    figure = new_figure(6.4, 4.6, 110, layout="constrained")
    axes = figure.add_subplot()
    has_colour = all(one.colour is not None for one in spots)
    levels = [one.colour or 0.0 for one in spots]
    low, high = min(levels, default=0.0), max(levels, default=1.0)
    scale: dict[str, Any] = {"vmin": low, "vmax": max(high, low + 1e-9), "cmap": "viridis"} if has_colour else {}
    for mark, chosen in (("o", [one for one in spots if not one.is_taken]), ("*", [o for o in spots if o.is_taken])):
        if not chosen:
            continue
        drawn = axes.scatter(
            [one.across for one in chosen],
            [one.up for one in chosen],
            c=[one.colour or 0.0 for one in chosen] if has_colour else "#2f6f8f",
            marker=mark,
            s=[46 if mark == "o" else 190] * len(chosen),
            edgecolors=["#1c1c1e" if one.number is not None else "#ffffff" for one in chosen],
            **scale,
        )
        if has_colour and mark == "o":
            figure.colorbar(drawn, ax=axes, label=names[2])
    for one in spots:
        if one.number is not None:
            axes.annotate(str(one.number), (one.across, one.up), (6, 4), textcoords="offset points", fontsize=9)
    axes.set_xlabel(names[0], fontsize=9)
    axes.set_ylabel(names[1], fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)
