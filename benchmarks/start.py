"""What a person waits for before anything is made, in seconds: the help page, the import, and a scene of the world."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.stylize import shell
from benchmarks.timing import Row, Timed


def best(do: Callable[[], object], times: int = 3) -> float:
    """The shortest of several runs, in seconds: the least disturbed by other work."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        do()
        taken.append(time.perf_counter() - start)
    return min(taken)


def python(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True)


def scenes(count: int = 100) -> None:
    from easel.pocket.world import Scene, render

    for seed in range(count):
        render(Scene.from_seed(seed))


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: the help page, beside that of diffusers."""
    ours, theirs = [], []
    for _ in range(asked.rounds + 1):
        theirs.append(shell("-m", "diffusers.commands.diffusers_cli", "--help"))
        ours.append(shell("-m", "easel", "--help"))
    both = Timed.of(theirs[1:]), Timed.of(ours[1:])
    return [Row.of("`easel --help`", "`diffusers-cli --help`", *both, "Python's own start, pydantic")]


def main() -> None:
    print("start-up, the best of three")
    print(f"    easel --help         {best(python('-m', 'easel', '--help')):8.2f} s")
    print(f"    import easel         {best(python('-c', 'import easel')):8.2f} s")
    print(f"    one scene, one core  {best(scenes, 1) / 100:8.4f} s")


if __name__ == "__main__":
    main()
