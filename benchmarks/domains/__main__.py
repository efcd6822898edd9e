"""Seven networks, each taught a domain for some minutes, drawn from, and judged: `python -m benchmarks.domains`.

    python -m benchmarks domains --data DIR [--run NAME ...] [--minutes M] [--work build/domains] [--page]

Every run makes its set, trains through `easel.train`, draws through `easel generate --model`, is judged, and leaves
build/domains/NAME/result.json. What was killed goes on. --page writes docs/lab/domains.md from the results there are.
--data holds `fashion_mnist_900` and `portraits`; the sets of the world need none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import easel
from benchmarks.domains.measurements import curve
from benchmarks.domains.runs import RUNS, Run
from benchmarks.domains.scores import SCORES
from benchmarks.domains.sets import Folders
from easel.files import write_atomic
from easel.workspace import Step

SAY_SECONDS = 30.0


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks domains", description=__doc__)
    parser.add_argument("--run", nargs="+", choices=RUNS, help="only these")
    parser.add_argument("--minutes", type=float, help="instead of each run's own")
    parser.add_argument("--work", type=Path, default=Path("build/domains"))
    parser.add_argument("--data", type=Path, default=Path("data"), help="where fashion_mnist_900 and portraits lie")
    parser.add_argument("--only-train", action="store_true", help="judge later")
    parser.add_argument("--page", action="store_true", help="write the page and its pictures")
    parser.add_argument("--docs", type=Path, default=Path("docs/lab"))
    asked = parser.parse_args(words)
    folders = Folders(asked.work, asked.data)
    if asked.run or not asked.page:
        for name in asked.run or RUNS:
            run = trained(folders, name, asked.minutes)
            if not asked.only_train:
                scored(folders, name, run, asked.minutes)
    if asked.page:
        from benchmarks.domains.page import write_page

        write_page(folders, asked.docs)


def trained(folders: Folders, name: str, minutes: float | None = None) -> Run:
    """Train a run, or go on with it."""
    run, folder = RUNS[name], folders.run(name)
    if not (folder / "model" / "result.json").is_file():
        settings = {"minutes": minutes or run.minutes, "seed": 1} | dict(run.settings)
        if run.score == "sharper":
            settings["stage_one"] = str(folders.run(run.after or "") / "model")
        whole = {"kind": "train", "network": run.network, "data": folders.set(run.data)} | settings
        easel.run(whole, out=folder / "model", progress=sayer(name))
    return run


def scored(folders: Folders, name: str, run: Run, minutes: float | None = None) -> None:
    """Draw, judge, and write result.json."""
    rows = SCORES[run.score](folders, name)
    result = {
        "run": name,
        "minutes": minutes or run.minutes,
        "curve": curve(folders.run(name) / "model" / "metrics.csv"),
        "rows": [asdict(one) for one in rows],
    }
    write_atomic(folders.run(name) / "result.json", (json.dumps(result, indent=1) + "\n").encode())
    for one in rows:
        ends = "" if one.low is None or one.high is None else f" [{one.low:.4g}, {one.high:.4g}]"
        bar = "" if one.bar is None else f"   bar {one.bar}: {'met' if one.is_met else 'MISSED'}"
        print(f"{name}: {one.what}: {one.value:.4g}{ends} n={one.n} {one.judge}{bar}", flush=True)


def sayer(name: str) -> Any:
    """A line now and then on stderr."""
    last = {"": 0.0}

    def say(step: Step) -> None:
        now = time.monotonic()
        if now - last.get(step.phase, -SAY_SECONDS) > SAY_SECONDS:
            last[step.phase] = now
            print(f"{name}: {step.phase} {step.done} of {step.total}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    main()
