"""What `--fast` brings, and what it costs: every shortcut alone and together, on the same prompts and seeds.

    python -m benchmarks fast [--model pocket] [--count 32] [--dtype bfloat16] [--judge pocket]

Prompts are captions of held-out scenes. All ways draw a prompt in turn, and each way is compared with the exact one of
the same turn: processor seconds (by which it is faster), the perceptual distance of the picture, and how well it fits
its words (CLIP-T), as the mean of the pairs' own differences with its interval. The rows are a Markdown table.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from PIL import Image

from benchmarks.timing import Ratio, interleaved, ratio, threads

EXACT = "exact"


class Way(NamedTuple):
    """How a picture is drawn: the shortcuts, and the setting that was there before them."""

    fast: tuple[str, ...] = ()
    guidance_every: int = 1
    steps_share: float = 1.0


WAYS: dict[str, Way] = {
    EXACT: Way(),
    "`--fast interval`": Way(("interval",)),
    "`--fast cache`": Way(("cache",)),
    "`--fast steps`": Way(("steps",)),
    "`--fast cache steps`": Way(("cache", "steps")),
    "`--fast all`": Way(("interval", "cache", "steps")),
    "`--guidance-every 2`": Way((), 2),
    "`--guidance-every 2 --fast cache`": Way(("cache",), 2),
    "half the steps, the model's own scheduler": Way((), 1, 0.5),
}


class Priced(NamedTuple):
    """A way against the exact one."""

    seconds: float
    """Processor seconds a picture, the median."""
    ratio: Ratio
    distance: Any
    """Perceptual distance to the exact picture, an Estimate."""
    fit: Any
    """CLIP-T, an Estimate."""
    lost: Any
    """CLIP-T less the exact picture's, an Estimate over the pairs."""


def prompts(count: int) -> list[str]:
    """Captions of scenes that no training saw."""
    from easel.pocket.train.score import held_out
    from easel.pocket.world.language import captions

    return [captions(scene)[0] for scene in held_out(count, offset=90_000)]


def drawing(model: Any, way: Way, words: list[str], steps: int) -> Callable[[int], Image.Image]:
    """Prompt i with the seed i."""
    from easel.models.diffusion import PictureRequest, Sampling

    asked = Sampling(max(1, round(steps * way.steps_share)), guidance_every=way.guidance_every, fast=way.fast)

    def draw(number: int) -> Image.Image:
        request = PictureRequest(words[number], number, sampling=asked)
        image: Image.Image = next(iter(model.generate([request]))).image
        return image

    return draw


def measured(model: Any, words: list[str], steps: int, judge: str, ways: dict[str, Way] = WAYS) -> dict[str, Priced]:
    """Every way of `ways`, of which one is EXACT, over all the prompts."""
    from easel import models
    from easel.metrics.clip import cosines
    from easel.metrics.intervals import difference_interval, mean_interval

    timed = interleaved({name: drawing(model, way, words, steps) for name, way in ways.items()}, len(words))
    clip, perceptual = models.load(judge, "clip", "cpu"), models.load(judge, "perceptual", "cpu")
    said = clip.texts(words)
    fits = {name: [float(fit) for fit in cosines(clip.images(found.made), said)] for name, found in timed.items()}
    exact = timed[EXACT]
    priced = {}
    for name, found in timed.items():
        moved = perceptual.distance(exact.made, found.made)
        seconds = sorted(found.work)[len(words) // 2]
        priced[name] = Priced(
            seconds,
            ratio(exact.work, found.work),
            mean_interval(moved, within=(0.0, math.inf)),
            mean_interval(fits[name]),
            difference_interval(fits[name], fits[EXACT]),
        )
    return priced


def spread(found: Any, digits: int) -> str:
    """'0.021 (0.019 to 0.024)'."""
    if found.low is None:
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def main(words: list[str] | None = None) -> None:
    from easel import models
    from easel.models.logging import silence

    parser = argparse.ArgumentParser(prog="python -m benchmarks fast", description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--judge", default="pocket", help="family whose CLIP and perceptual net measure")
    parser.add_argument("--count", type=int, default=32, help="prompts")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dtype", default="bfloat16")
    asked = parser.parse_args(words)
    silence()
    model = models.load(asked.model, "text-to-image", "cpu", asked.dtype)
    found = measured(model, prompts(asked.count), asked.steps, asked.judge)
    print(f"shortcuts on {asked.model}, {asked.steps} steps, {asked.dtype}, {threads()}, n = {asked.count} prompts;")
    print(f"times as fast by processor seconds; distance and CLIP-T by {asked.judge}'s nets\n")
    print("| | seconds a picture | times as fast | distance to the exact picture | CLIP-T | CLIP-T less the exact |")
    print("|---|---|---|---|---|---|")
    for name, one in found.items():
        times = f"{one.ratio.value:.2f} ({one.ratio.least:.2f} to {one.ratio.most:.2f})"
        cells = [name, f"{one.seconds:.2f}", times, spread(one.distance, 3), spread(one.fit, 3), spread(one.lost, 3)]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
