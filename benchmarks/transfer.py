"""Style transfer: steps a second against a plain Gatys loop, and how long a picture of 512 px takes.

Both go through the same network with the same layers, photo, painting and optimiser (Adam), and keep the targets. The
plain loop knows one size, lets autograd go through everything at once, and sets no box around the pixels; easel's steps
are those of a whole painting, from coarse to fine, with its checks and reports. So there are two ratios: of steps at
the full size, which shows what the machinery costs, and of whole paintings with equally many steps, which shows what
the coarse sizes save. They take turns in one process.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.timing import Row, Timed, interleaved, ratio, threads

ROOT = Path(__file__).parent.parent
PHOTO, PAINTING = ROOT / "examples" / "photo.jpg", ROOT / "examples" / "paintings" / "munch_scream.jpg"


def plain_step(network: Any, wish: Any, photo: Tensor, style: Tensor) -> Any:
    """One step of Gatys et al. 2015 at one size: content (equation 1) and Gram matrices (equations 3 to 5)."""
    with torch.no_grad():
        content = network(photo, wish.content_layers)
        targets = {name: products(maps) for name, maps in network(style, wish.style_layers).items()}
    x = photo.clone().requires_grad_()
    walk = torch.optim.Adam([x], lr=0.03)

    def step() -> None:
        walk.zero_grad()
        maps = network(x, {*wish.content_layers, *wish.style_layers})
        kept = sum(
            weight * (maps[name] - content[name]).square().mean() for name, weight in wish.content_layers.items()
        )
        style_terms = [
            weight * (products(maps[name]) - targets[name]).square().sum() / targets[name].square().sum()
            for name, weight in wish.style_layers.items()
        ]
        (wish.content_weight * kept + sum(style_terms)).backward()
        walk.step()

    return step


def products(maps: Tensor) -> Tensor:
    """The Gram matrix, by the number of places."""
    rows = maps[0].flatten(1)
    return rows @ rows.T / rows.shape[1]


class Taken(NamedTuple):
    """What the ways took, and what of."""

    timed: dict[str, Timed]
    every: int
    """Steps of a whole painting, at all sizes."""
    size: tuple[int, int]
    network: str
    iterations: int
    """Of a painting, where none are asked for."""


def taken(side: int, steps: int, rounds: int) -> Taken:
    """Both ways in turn: `steps` at the full size, and a whole painting."""
    from easel import models
    from easel.images import open_picture
    from easel.jobs.transfer import settings_of
    from easel.models.style import optimise
    from easel.recipes.transfer import Transfer
    from easel.tensors import to_tensor

    recipe = Transfer(photo=str(PHOTO), style=(str(PAINTING),), side=side)
    network = models.load(recipe.features, "style", "cpu")
    wish = settings_of(recipe, network)
    opened = open_picture(PHOTO)
    scale = side / max(opened.size)
    photo = to_tensor(opened.resize((round(opened.width * scale), round(opened.height * scale))))
    painting = to_tensor(open_picture(PAINTING))
    full = optimise.with_pixels_of(painting, photo)
    sizes = optimise.schedule(side, steps)
    every = sum(count for _, count in sizes)
    objective = optimise.objective_of(photo, [(full, 1.0)], network, wish)

    def theirs(count: int) -> None:
        step = plain_step(network, wish, photo, full)
        for _ in range(count):
            step()

    def whole(_: int) -> Tensor:
        return optimise.transfer(photo, [(painting, 1.0)], network, replace(wish, iterations=steps), 0)

    ways = {
        "plain steps": lambda _: theirs(steps),
        "steps": lambda _: optimise.optimized(photo, objective, steps, "adam"),
        "plain painting": lambda _: theirs(every),
        "painting": whole,
    }
    timed = interleaved(ways, rounds)
    return Taken(timed, every, (photo.shape[3], photo.shape[2]), network.name, recipe.iterations)


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: steps at the full size, and a whole painting of 256 px."""
    timed, every, *_ = taken(256, 4, asked.rounds)
    peer, limit = "a plain Gatys loop through the same network", "VGG's convolutions, forward and back"
    return [
        Row.of(f"transfer, {what}", peer, timed[f"plain {name}"], timed[name], limit)
        for what, name in (("4 steps at 256 px", "steps"), (f"a painting of {every} steps, coarse to fine", "painting"))
    ]


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks transfer")
    parser.add_argument("--side", type=int, default=512, help="longer side of the photo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="at the full size")
    flags = parser.parse_args(words)
    timed, every, size, network, iterations = taken(flags.side, flags.steps, flags.rounds)
    print(f"style transfer, {size[0]} x {size[1]} px, {network}, {threads()}")
    for name, count in (("plain steps", flags.steps), ("steps", flags.steps)):
        rates = sorted(count / seconds for seconds in timed[name].seconds)
        print(
            f"    {name:<42} {rates[len(rates) // 2]:6.2f} a second  [{rates[0]:.2f}, {rates[-1]:.2f}]  n={len(rates)}"
        )
    print(f"    {'steps at the full size':<42} {ratio(timed['plain steps'].seconds, timed['steps'].seconds)}")
    words_for = f"a painting of {every} steps, coarse to fine"
    print(f"    {words_for:<42} {ratio(timed['plain painting'].seconds, timed['painting'].seconds)}")
    middle = sorted(timed["painting"].seconds)[flags.rounds // 2]
    print(f"    at the default {iterations} steps that is about {middle * iterations / flags.steps:.0f} s")


if __name__ == "__main__":
    main()
