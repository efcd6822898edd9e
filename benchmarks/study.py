"""The style-success study: `python -m benchmarks.study --photos DIR [--count 12] [--methods redraw describe]`.

Half the pictures are scenes of the world on held-out seeds, half real photos named in `study.txt`. Each goes through
`easel score styles`; the chart of successes and a table are written to --docs. A stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image

import easel
from easel.jobs.chart import Bars, rate_chart
from easel.jobs.rates import GAIN, RATE, RATE_BEFORE
from easel.metrics.intervals import Estimate
from easel.result import Result, Score
from easel.world.scene import Scene

LIST = Path(__file__).with_name("study.txt")
FIRST = 5_100_000
"""The first seed of the study's scenes, which no training and no score uses."""
ARTISTS = ("van-gogh", "malevich", "delaunay", "banksy")
OTHERS = ("monet", "hokusai", "kandinsky", "pencil", "watercolour", "pixel-art")
NAMES = (RATE, RATE_BEFORE, GAIN, "CLIP-T", "CLIP-I", "perceptual distance")


def gathered(photos: Path, count: int, folder: Path) -> Path:
    """A folder of `count` pictures: scenes first, then the photos of the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count // 2):
        target = folder / f"scene-{FIRST + i}.png"
        if not target.exists():
            Image.fromarray(Scene.from_seed(FIRST + i, style="plain").picture(256)).save(target)
    listed = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    for name in listed[: count - count // 2]:
        target = folder / name.replace("/", "-")
        if not target.exists():
            shutil.copyfile(photos / name, target)
    return folder


def found(result: Result, name: str, style: str) -> Score:
    """One score of one style."""
    return next(score for score in result.scores if score.name == name and score.of == style)


def table(results: dict[str, Result], styles: tuple[str, ...]) -> str:
    """A Markdown table: a row for each style and method."""
    lines = ["| style | method | " + " | ".join(NAMES) + " | n |", "|---|---|" + "---|" * (len(NAMES) + 1)]
    for style in styles:
        for method, result in results.items():
            scores = [found(result, name, style) for name in NAMES]
            lines.append(f"| {style} | {method} | " + " | ".join(map(told, scores)) + f" | {scores[0].n} |")
    return "\n".join(lines) + "\n"


def told(score: Score) -> str:
    """Value and interval."""
    ends = "" if score.low is None or score.high is None else f" ({score.low:.2f} to {score.high:.2f})"
    return f"{score.value:.2f}{ends}"


def main() -> None:
    """Run the study and write `study-COUNT.md` and `images/study-COUNT.png`."""
    parser = argparse.ArgumentParser(prog="benchmarks.study", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="the folder that the list's names lie in")
    parser.add_argument("--count", type=int, default=12, help="pictures, half of them scenes")
    parser.add_argument("--methods", nargs="+", default=["redraw", "describe"], choices=["redraw", "describe"])
    parser.add_argument("--artists", action="store_true", help="the four artists only")
    parser.add_argument("--out", type=Path, default=Path("out/study"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    asked = parser.parse_args()
    styles = ARTISTS if asked.artists else (*ARTISTS, *OTHERS)
    folder = gathered(asked.photos, asked.count, asked.out / f"pictures-{asked.count}")
    results = {
        method: easel.score(
            "styles", folder, styles=styles, method=method, seed=1, out=asked.out / f"{method}-{asked.count}"
        )
        for method in asked.methods
    }
    series = [
        Bars(method, [Estimate(s.value, s.low, s.high, s.n) for s in (found(r, GAIN, style) for style in styles)])
        for method, r in results.items()
    ]
    title = f"style success (recognised, less false yes): {asked.count} pictures, judged by vqa:pocket"
    (asked.docs / "images" / f"study-{asked.count}.png").write_bytes(rate_chart(styles, series, title))
    head = f"# Style success on {asked.count} pictures\n\n![{title}](images/study-{asked.count}.png)\n\n"
    page = head + table(results, styles)
    (asked.docs / f"study-{asked.count}.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
