"""A summary as one HTML file that needs no other: numbers, panels, the map, the ends of the set, what is broken."""

from __future__ import annotations

from html import escape

from PIL import Image

from easel.data import opened
from easel.errors import EaselError, printable
from easel.images import address
from easel.jobs.data.panels import Panel
from easel.jobs.data.values import Summary

MAX_GROUPS = 16
MAX_BROKEN = 200
MAP_SIDE, END_SIDE = 64, 160

STYLE = """
:root { --paper: #faf9f6; --card: #ffffff; --ink: #1c1c1e; --grey: #5c5c62; --line: #e4e0d7; --red: #c4472d; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #17171a; --card: #212125; --ink: #f1efe9; --grey: #a5a3a0; --line: #37363a; --red: #e0684e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 1180px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 2rem; margin: 0 0 1rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line); }
td { padding: .38rem .8rem; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:first-child td { border-top: 0; } td:first-child { color: var(--grey); white-space: nowrap; width: 11rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1rem; }
.panel { background: var(--card); border: 1px solid var(--line); padding: .8rem 1rem; }
.panel h3 { font-size: .95rem; margin: 0 0 .6rem; } .foot { color: var(--grey); font-size: .8rem; margin-top: .4rem; }
.named { display: grid; grid-template-columns: minmax(4rem, 9rem) 1fr 3.6rem; gap: .18rem .6rem; font-size: .82rem; }
.named span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.named i { background: var(--red); align-self: center; height: .78rem; min-width: 1px; }
.named b { font-weight: 400; color: var(--grey); text-align: right; }
.scale { display: flex; align-items: flex-end; gap: 2px; height: 130px; border-bottom: 1px solid var(--line); }
.scale i { flex: 1; background: var(--red); min-height: 0; }
.ticks { display: flex; gap: 2px; color: var(--grey); font-size: .78rem; white-space: nowrap; height: 1.2rem; }
.ticks span { flex: 1; min-width: 0; display: flex; justify-content: center; }
.map { display: grid; gap: 2px; } .map img { width: 100%; display: block; aspect-ratio: 1; transition: transform .1s; }
.map img:hover { transform: scale(2.2); position: relative; z-index: 2; box-shadow: 0 2px 12px #0008; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; } .row img { height: 120px; display: block; max-width: none; }
.row figure { margin: 0; width: min-content; min-width: 110px; }
figcaption { font-size: .74rem; color: var(--grey); overflow-wrap: anywhere; }
.pair { display: flex; gap: 2px; }
"""


def page(summary: Summary) -> str:
    """The whole page."""
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in summary.numbers.items())
    bars = "".join(_panel(panel) for panel in summary.panels)
    near = f"those that {escape(summary.judge)} finds alike lie together"
    parts = [
        f"<h1>{escape(summary.title)}</h1><table>{rows}</table>",
        f'<h2>Counts</h2><div class="panels">{bars}</div>',
        f"<h2>Map</h2><p>{len(summary.cells):,} pictures; {near}. Point at one for its name.</p>{_map(summary)}",
        _groups(summary),
        *(f"<h2>The {escape(name)}</h2>{_row(summary, indices)}" for name, indices in summary.extremes.items()),
        _broken(summary),
    ]
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}<title>{escape(summary.title)}</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"


def _panel(panel: Panel) -> str:
    """Bars as boxes: they need no script and no picture."""
    most = max(panel.counts) or 1
    if panel.is_scale:
        bars = "".join(
            f'<i style="height:{100 * count / most:.1f}%" title="{escape(label)}: {count:,}"></i>'
            for label, count in zip(panel.labels, panel.counts, strict=True)
        )
        step = max(1, -(-len(panel.labels) // 9))
        shown = [label if at % step == 0 else "" for at, label in enumerate(panel.labels)]
        ticks = "".join(f"<span>{escape(label)}</span>" for label in shown)
        body = f'<div class="scale">{bars}</div><div class="ticks">{ticks}</div>'
    else:
        lines = "".join(
            f'<span title="{escape(label)}">{escape(label)}</span>'
            f'<i style="width:{100 * count / most:.1f}%"></i><b>{count:,}</b>'
            for label, count in zip(panel.labels, panel.counts, strict=True)
        )
        body = f'<div class="named">{lines}</div>'
    foot = f'<div class="foot">{escape(panel.foot)}</div>' if panel.foot else ""
    return f'<div class="panel"><h3>{escape(panel.title)}</h3>{body}{foot}</div>'


def _map(summary: Summary) -> str:
    columns = 1 + max(column for column, _ in summary.cells.values())
    cells = "".join(
        f'<img style="grid-area:{row + 1}/{column + 1}" loading="lazy" alt="" title="{_words(summary, at)}" '
        f'src="{address(Image.fromarray(summary.stats.thumbs[at]), (2 * MAP_SIDE, MAP_SIDE))}">'
        for at, (column, row) in summary.cells.items()
    )
    return f'<div class="map" style="grid-template-columns:repeat({columns},minmax(0,1fr))">{cells}</div>'


def _words(summary: Summary, at: int) -> str:
    """Name, class and first caption of a picture."""
    item = summary.pictures[at]
    return escape("\n".join(printable(text) for text in (item.name, item.label or "", *item.captions[:1]) if text))


def _groups(summary: Summary) -> str:
    """The largest groups of near-duplicates: two of each, side by side."""
    if not summary.groups:
        return ""
    shown = "".join(
        '<figure><div class="pair">'
        + "".join(_picture(summary, at, 0.75) for at in places[:2])
        + f"</div><figcaption>{_name(summary, places[0])} and {_name(summary, places[1])}"
        + (f", and {len(places) - 2:,} more" if len(places) > 2 else "")
        + f": at most {group.bits} of 64 bits and {group.difference:.1f} levels apart</figcaption></figure>"
        for group in summary.groups[:MAX_GROUPS]
        for places in [[summary.stats.indices[at] for at in group.indices]]
    )
    left = len(summary.groups) - MAX_GROUPS
    more = f"<p>and {left:,} more groups</p>" if left > 0 else ""
    return f'<h2>Near-duplicates</h2><div class="row">{shown}</div>{more}'


def _name(summary: Summary, at: int) -> str:
    """The name of a picture of the set."""
    return escape(printable(summary.pictures.names[at]))


def _row(summary: Summary, indices: list[int]) -> str:
    figures = "".join(
        f"<figure>{_picture(summary, at)}<figcaption>{_name(summary, at)}</figcaption></figure>" for at in indices
    )
    return f'<div class="row">{figures}</div>'


def _picture(summary: Summary, at: int, scale: float = 1.0) -> str:
    """A picture of the set, small, as it is."""
    try:
        high = int(END_SIDE * scale)
        source = address(opened(summary.pictures[at], 4 * END_SIDE), (2 * high, high))
    except EaselError:
        return "<em>gone</em>"  # removed since it was opened
    return f'<img alt="" title="{_words(summary, at)}" src="{source}">'


def _broken(summary: Summary) -> str:
    """What could not be opened, and why."""
    broken = summary.stats.broken
    if not broken:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(why)}</td></tr>" for name, why in list(broken.items())[:MAX_BROKEN]
    )
    return f"<h2>Broken</h2><table>{rows}</table>"
