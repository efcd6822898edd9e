"""The style-success study: `python -m benchmarks.study --photos DIR [--count 12] [--methods redraw describe neural]`.

Half the pictures are scenes of the world on held-out seeds, half real photos named in `study.txt`. Each goes through
`easel score styles`; the chart of successes and a table are written to --docs. A stopped run goes on where it was.
Neural takes a style from a picture, so it is asked only for the styles that have one.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import easel
from easel.charts import Bars, bar_chart
from easel.jobs.score.rates import GAIN, RATE, RATE_BEFORE
from easel.jobs.stylize.styles import chosen
from easel.metrics.intervals import Estimate, rate_interval
from easel.pocket.world import Scene, render
from easel.result import Result, Score

LIST = Path(__file__).with_name("study.txt")
FIRST = 5_100_000
"""The first seed of the study's scenes, which no training and no score uses."""
ARTISTS = ("van-gogh", "malevich", "delaunay", "banksy")
OTHERS = ("monet", "hokusai", "kandinsky", "pencil", "watercolour", "pixel-art")
GROUPS = {"artists": ARTISTS, "others": OTHERS}
"""What is run at a time: the artists can be had alone, and the others be added later."""
METHODS = ("redraw", "describe", "instruct", "canny", "neural")
OWN = {"neural": {"side": 256}}
"""Settings of a method: all draw at about the same size."""
NAMES = (RATE, RATE_BEFORE, GAIN, "CLIP-T", "CLIP-I", "perceptual distance")


def gathered(photos: Path, count: int, folder: Path) -> Path:
    """A folder of `count` pictures: scenes first, then the photos of the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count // 2):
        target = folder / f"scene-{FIRST + i}.png"
        if not target.exists():
            Image.fromarray(render(Scene.from_seed(FIRST + i, style="plain"), 256)).save(target)
    listed = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    for name in listed[: count - count // 2]:
        target = folder / name.replace("/", "-")
        if not target.exists():
            shutil.copyfile(photos / name, target)
    return folder


def able(method: str, styles: Sequence[str]) -> tuple[str, ...]:
    """The styles that a method can draw."""
    return tuple(style.name for style in chosen(styles) if method != "neural" or style.image)


Scores = list[Score]


def measured(method: str, groups: Sequence[str], folder: Path) -> list[Result]:
    """A method's runs in the styles of some groups; each goes on in its folder."""
    return [
        easel.run(
            {
                "kind": "score-styles",
                "folder": folder,
                "styles": able(method, GROUPS[group]),
                "method": method,
                "seed": 1,
                **OWN.get(method, {}),
            },
            out=place(method, group, folder),
        )
        for group in groups
    ]


def place(method: str, group: str, folder: Path) -> Path:
    """Where a run lies: beside the pictures."""
    return folder.with_name(f"{method}-{group}-{folder.name}")


def found(scores: Scores, name: str, style: str) -> Score | None:
    """One score of one style; nothing where the method was not asked for it."""
    return next((score for score in scores if score.name == name and score.of == style), None)


def successes(results: dict[str, Scores], styles: Sequence[str]) -> list[Bars]:
    """The bars of each method."""
    scores = {method: [found(result, GAIN, style) for style in styles] for method, result in results.items()}
    return [
        Bars(method, [Estimate(s.value, s.low, s.high, s.n) if s else None for s in mine])
        for method, mine in scores.items()
    ]


def table(results: dict[str, Scores], styles: tuple[str, ...]) -> str:
    """A Markdown table: a row for each style and method."""
    lines = ["| style | method | " + " | ".join(NAMES) + " | n |", "|---|---|" + "---|" * (len(NAMES) + 1)]
    for style in styles:
        for method, result in results.items():
            scores = [found(result, name, style) for name in NAMES]
            if rate := scores[0]:
                cells = [told(score) if score else "" for score in scores]
                lines.append(f"| {style} | {method} | " + " | ".join(cells) + f" | {rate.n} |")
    return "\n".join(lines) + "\n"


def halves(runs: dict[str, list[Path]], styles: Sequence[str]) -> str:
    """A Markdown table of how often each style is recognised on the scenes, and on the photos."""
    lines = ["| style | method | on scenes | n | on photos | n |", "|---|---|---|---|---|---|"]
    seen = {method: [row for run in folders for row in rows(run)] for method, folders in runs.items()}
    for style in styles:
        for method, all_rows in seen.items():
            mine = [row for row in all_rows if row["style"] == style]
            cells = []
            for is_scene in (True, False):
                yes = [float(r["yes"]) >= 0.5 for r in mine if r["photo"].startswith("scene-") == is_scene]
                cells += [told(rate_interval(yes)), str(len(yes))] if yes else ["", "0"]
            if mine:
                lines.append(f"| {style} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def rows(run: Path) -> list[dict[str, str]]:
    """The lines of a run's table.csv."""
    with (run / "table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def told(score: Score | Estimate) -> str:
    """Value and interval."""
    ends = "" if score.low is None or score.high is None else f" ({score.low:.2f} to {score.high:.2f})"
    return f"{score.value:.2f}{ends}"


def main() -> None:
    """Run the study and write `study-COUNT.md` and `images/study-COUNT.png`."""
    parser = argparse.ArgumentParser(prog="benchmarks.study", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="the folder that the list's names lie in")
    parser.add_argument("--count", type=int, default=12, help="pictures, half of them scenes")
    parser.add_argument("--methods", nargs="+", default=["redraw", "describe"], choices=METHODS)
    parser.add_argument("--artists", action="store_true", help="the four artists only")
    parser.add_argument("--out", type=Path, default=Path("out/study"))
    parser.add_argument("--docs", type=Path, default=Path("docs/lab"))
    asked = parser.parse_args()
    groups = ["artists"] if asked.artists else list(GROUPS)
    styles = tuple(style for group in groups for style in GROUPS[group])
    folder = gathered(asked.photos, asked.count, asked.out / f"pictures-{asked.count}")
    runs = {method: measured(method, groups, folder) for method in asked.methods}
    results = {method: [score for run in mine for score in run.scores] for method, mine in runs.items()}
    title = f"style success (recognised, less false yes): {asked.count} pictures, judged by vqa:pocket"
    chart = bar_chart(styles, successes(results, styles), title, "difference of two rates of yes")
    (asked.docs / "images" / f"study-{asked.count}.png").write_bytes(chart)
    head = f"# Style success on {asked.count} pictures\n\n![{title}](images/study-{asked.count}.png)\n\n"
    folders = {method: [place(method, group, folder) for group in groups] for method in asked.methods}
    page = head + table(results, styles) + "\nRecognised, on each half:\n\n" + halves(folders, styles)
    (asked.docs / f"study-{asked.count}.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
