"""A comparison as one HTML file that needs no other and no network: the verdict, the scores, the pictures, and the
recipe of each cell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from easel.errors import printable
from easel.jobs.compare.cells import Row
from easel.jobs.compare.dress import SCRIPT, STYLE
from easel.jobs.compare.pictures import Look, Shown
from easel.jobs.compare.standings import Finding, counted
from easel.metrics.intervals import Estimate

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What the page may load: nothing but itself."""
HINT = (
    "Click a picture for its full size, its numbers and its recipe; the arrow keys go from one to the next, and Escape "
    "closes the window."
)
MEANING = (
    'Means with 95 % intervals. <b class="best">Best</b>; <i class="tied">within the noise</i> of the best: the paired '
    "difference may be nothing."
)
MARKS = {True: "more is better", False: "less is better", None: "no better end"}


def page(shown: Shown, found: Sequence[Finding], text: str, sections: Sequence[str] = (), noun: str = "photo") -> str:
    """The whole page; `sections` come behind the verdict, and a `noun` is what there is a row of pictures for."""
    candidates = list(dict.fromkeys(row["candidate"] for row in shown.rows))
    looks: list[dict[str, object]] = []
    grid = _grid(shown, candidates, looks)
    held = json.dumps(looks, ensure_ascii=False).replace("<", "\\u003c")
    kept = f"<p>{shown.left_out} pictures more are in the run's folder.</p>" if shown.left_out else ""
    parts = [
        f"<h1>{len(candidates)} candidates, {escape(counted(shown.rows, noun))}</h1><p class=verdict>{_said(text)}</p>",
        *sections,
        f"<h2>Scores</h2>{_scores(found, candidates)}",
        f"<h2>Behind the best</h2>{_behind(found)}",
        f"<h2>Pictures</h2><p class=hint>{HINT}</p>{grid}{kept}",
        _failed(shown.rows),
        _dialog(),
    ]
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="color-scheme" content="light dark">'
    )
    body = f'<main>{"".join(parts)}</main><script type="application/json" id="looks">{held}</script>'
    return f"{head}<title>Comparison</title><style>{STYLE}</style><body>{body}<script>{SCRIPT}</script></body></html>\n"


def _said(text: str) -> str:
    return escape(printable(text, len(text)))


def _scores(found: Sequence[Finding], candidates: Sequence[str]) -> str:
    """A row for each candidate, a column for each score; a button in each head sorts by it."""
    heads = "".join(
        f'<th scope="col" aria-sort="none"><button type="button" class="sort">{escape(one.name)}</button>'
        f"<small>{escape(one.judge)}<br>{MARKS[one.more_is_better]}</small></th>"
        for one in found
    )
    rows = "".join(
        f'<tr><th scope="row" data-value="{place}">{_said(name)}</th>{"".join(_mean(one, name) for one in found)}</tr>'
        for place, name in enumerate(candidates)
    )
    first = '<th scope="col" aria-sort="none"><button type="button" class="sort">candidate</button></th>'
    table = f'<table id="scores"><thead><tr>{first}{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="wide">{table}</div><p class="hint">{MEANING}</p>'


def _mean(one: Finding, candidate: str) -> str:
    if candidate not in one.means:
        return '<td data-value="">-</td>'
    mean, stands = one.means[candidate], ""
    if one.standing is not None:
        stands = "best" if candidate == one.standing.best else "tied" if candidate in one.standing.tied else ""
    ends = "" if mean.low is None or mean.high is None else f"{mean.low:.3f} to {mean.high:.3f}, "
    title = {"best": ' title="best"', "tied": ' title="within the noise of the best"'}.get(stands, "")
    return (
        f'<td data-value="{mean.value!r}" class="{stands}"{title}>{mean.value:.3f}<small>{ends}n {mean.n}</small></td>'
    )


def _behind(found: Sequence[Finding]) -> str:
    """For each score with a better end the best, and how far the others are behind it."""
    rows = "".join(
        f'<tr><th scope="row">{escape(one.name)}</th><td>{_said(one.standing.best)}</td><td>'
        + "<br>".join(f"{_said(name)}: {_difference(by)}" for name, by in one.standing.behind.items())
        + "</td></tr>"
        for one in found
        if one.standing is not None
    )
    if not rows:
        return "<p>There is nothing to tell apart.</p>"
    heads = "<tr><th>score</th><th>best</th><th>behind it by (for all pairs together, 95 %)</th></tr>"
    return f'<div class="wide"><table><thead>{heads}</thead><tbody>{rows}</tbody></table></div>'


def _difference(by: Estimate) -> str:
    if by.low is None or by.high is None:
        return f"{by.value:.3f} (n {by.n}: noise cannot be told)"
    noise = " <i>within the noise</i>" if by.low <= 0 else ""
    return f"{by.value:.3f} ({by.low:.3f} to {by.high:.3f}, n {by.n}){noise}"


def _grid(shown: Shown, candidates: Sequence[str], looks: list[dict[str, object]]) -> str:
    """Photos down, candidates across; what each picture's window shows is added to `looks`."""
    by_photo: dict[str, dict[str, list[Row]]] = {}
    for row in shown.rows:
        by_photo.setdefault(row["photo"], {}).setdefault(row["candidate"], []).append(row)
    heads = "".join(f'<th scope="col">{_said(name)}</th>' for name in candidates)
    lines = []
    for photo, mine in by_photo.items():
        first = (
            f"<td>{_button(shown.photos[photo], photo, looks, {'title': photo})}</td>" if photo in shown.photos else ""
        )
        cells = "".join(
            f"<td>{''.join(_cell(shown, row, looks) for row in mine.get(name, []))}</td>" for name in candidates
        )
        lines.append(f'<tr><th scope="row">{_said(photo) or "no photo"}</th>{first}{cells}</tr>')
    plain = '<th scope="col">the photo</th>' if shown.photos else ""
    table = (
        f'<table class="grid"><thead><tr><td></td>{plain}{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )
    return f'<div class="wide">{table}</div>'


def _cell(shown: Shown, row: Row, looks: list[dict[str, object]]) -> str:
    """The pictures of a cell, or why there are none."""
    if "failed" in row:
        return f'<p class="failed">failed: {_said(row["failed"])}</p>'
    where = ", ".join([row["candidate"], *([row["photo"]] if row["photo"] else [])])
    seed = "" if row["seed"] is None else f", seed {row['seed']}"
    more: dict[str, object] = {
        "title": f"{where}{seed}",
        "scores": [[name, judge, f"{value:.4g}"] for name, judge, value in row["values"]],
        "recipe": shown.recipe_of(row),
    }
    return "".join(
        _button(shown.pictures[name], f"{where}{seed}", looks, more)
        for name in row["pictures"]
        if name in shown.pictures
    )


def _button(look: Look, words: str, looks: list[dict[str, object]], more: dict[str, object]) -> str:
    """A small picture to press, whose window is the next of `looks`."""
    looks.append({"large": look.large, "file": quote(look.file)} | more)
    return (
        f'<button type="button" class="look" data-look="{len(looks) - 1}">'
        f'<img alt="{_said(words)}" src="{look.small}"></button>'
    )


def _failed(rows: Sequence[Row]) -> str:
    """Which cells failed, and why."""
    lines = "".join(
        f"<tr><th scope=row>{_said(row['candidate'])}</th><td>{_said(row['photo'])}</td>"
        f"<td>{'' if row['seed'] is None else row['seed']}</td>"
        f"<td>{_said(row['failed'])}</td></tr>"
        for row in rows
        if "failed" in row
    )
    heads = "<tr><th>candidate</th><th>photo</th><th>seed</th><th>why</th></tr>"
    table = f'<div class="wide"><table><thead>{heads}</thead><tbody>{lines}</tbody></table></div>'
    return f"<h2>Failed</h2>{table}" if lines else ""


def _dialog() -> str:
    """The window of a picture; the script fills it."""
    return (
        '<dialog id="window" aria-labelledby="title"><div class="bar"><h2 id="title"></h2>'
        '<button type="button" id="before" aria-label="previous picture">&larr;</button>'
        '<button type="button" id="next" aria-label="next picture">&rarr;</button>'
        '<button type="button" id="close" aria-label="close">&times;</button></div>'
        '<img id="large" alt=""><p><a id="file">open the file</a></p><table id="numbers"><tbody></tbody></table>'
        '<div id="own"><button type="button" id="copy">copy the recipe</button> <span id="copied" role="status"></span>'
        '<pre id="recipe" tabindex="0"></pre></div></dialog>'
    )
