"""One table of all work beside its named peer: `python -m benchmarks table [start generate ...]`.

    python -m benchmarks table --stylegan PATH --dreambooth PATH [--rounds 3]

Each benchmark gives its rows in a process of its own, so that none warms up another. Ratios are taken round by round:
the median, the least and the most of n rounds, by the clock and by the processor seconds of all threads, which other
programs bend less. What cannot be run here says why.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import Row, threads

NAMES = ("start", "generate", "edit", "stylize", "transfer", "sets", "stylegan", "personalize", "cluster", "gpu")
"""Modules with `rows(asked) -> list[Row]`, in the order of the table."""
HEADS = ("work", "ours", "peer", "theirs", "times as fast by the clock", "by the processor", "n", "what limits it")


def parser() -> argparse.ArgumentParser:
    """What may be asked for."""
    made = argparse.ArgumentParser(prog="python -m benchmarks table", description=__doc__)
    made.add_argument("names", nargs="*", help=", ".join(NAMES))
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--stylegan", type=Path, help="a checkout of NVlabs/stylegan2-ada-pytorch")
    made.add_argument("--dreambooth", type=Path, help="diffusers' examples/dreambooth/train_dreambooth_lora.py")
    made.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return made


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells())} |" for row in rows)])


def rows_of(name: str, words: list[str]) -> list[Row]:
    """A benchmark's rows, from a process of its own; one that says so where it fails."""
    with tempfile.TemporaryDirectory(prefix="easel-table-") as room:
        into = Path(room) / "rows.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.table", name, "--into", str(into), *words],
            check=False, stdout=sys.stderr, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            return [Row.not_run(name, "", f"it ended with {done.returncode}: {last[:200]}")]
        return [Row.from_plain(plain) for plain in json.loads(into.read_text())]


def main(words: list[str] | None = None) -> int:
    """Print the table; 2 on a name that is none."""
    words = sys.argv[1:] if words is None else words
    asked = parser().parse_args(words)
    if wrong := [name for name in asked.names if name not in NAMES]:
        print(f"no rows of '{wrong[0]}': use {', '.join(NAMES)}", file=sys.stderr)
        return 2
    if asked.into:
        (name,) = asked.names
        made = importlib.import_module(f"benchmarks.{name}").rows(asked)
        asked.into.write_text(json.dumps([row.plain() for row in made]))
        return 0
    flags = [word for name in ("rounds", "stylegan", "dreambooth") if (value := getattr(asked, name)) is not None
             for word in (f"--{name}", str(value))]  # fmt: skip
    print(f"seconds by the clock, {threads()}", flush=True)
    found = []
    for name in asked.names or NAMES:
        began = time.monotonic()
        found += rows_of(name, flags)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
