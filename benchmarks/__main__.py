"""Times of what a person waits for, in seconds: the help page, the first import, scenes, the main job on its photo."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PHOTO = Path(__file__).parent.parent / "examples" / "photo.jpg"


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
    from easel.world.scene import Scene

    for seed in range(count):
        Scene.from_seed(seed).picture()


def stylize() -> None:
    import easel

    with tempfile.TemporaryDirectory() as folder:
        result = easel.stylize(PHOTO, seed=1, out=folder)
    for phase, seconds in result.seconds.items():
        print(f"    {phase:<20} {seconds:8.2f} s")


def main() -> None:
    print(f"easel --help         {best(python('-m', 'easel', '--help')):8.2f} s")
    print(f"import easel         {best(python('-c', 'import easel')):8.2f} s")
    print(f"one scene, one core  {best(scenes, 1) / 100:8.4f} s")
    print(f"stylize photo.jpg    {best(stylize, 1):8.2f} s in all, model loading included")


if __name__ == "__main__":
    main()
