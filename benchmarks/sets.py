"""Set metrics, end to end: FID, KID, precision and recall of N pictures, against the usual way of a program for each.

The peer looks at the pictures once for every metric, as three programs do, takes FID's trace from scipy's matrix square
root of the product of the covariances (pytorch-fid), KID from 100 subsets of 1,000 (torch-fidelity) and distances from
torch.cdist. Both use the same judge and features, and take turns. FID is
without its interval, which the peer has not either. Run alone: `python -m benchmarks.sets --count 10000`.
Beside the ratio on the clock stands that of processor seconds, which other programs on the machine bend less.
"""

from __future__ import annotations

import argparse
import copy
import functools
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.timing import Row, interleaved
from easel.images import list_pictures, open_picture
from easel.metrics.frechet import frechet_distance
from easel.metrics.kernel import kernel_distance
from easel.metrics.manifold import NEIGHBOURS, precision_recall
from easel.models.features import BATCH

SIDE = 64
WIDTH = 2048  # numbers in Inception's rows
SUBSETS, SUBSET = 100, 1000
FEW = 64
"""Pictures in each set of the one table."""
Look = Callable[[Path], Any]


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sets", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="pictures in each of the two sets")
    parser.add_argument("--judge", default="pocket", help="whose features")
    parser.add_argument("--measuring-alone", action="store_true", help="no pictures: features at hand")
    chosen = parser.parse_args(words)
    count, judge = chosen.count, chosen.judge
    print(f"{'set metrics: FID + KID + P/R':<46} {'ours':>9} {'peer':>9} {'clock':>7} {'cpu':>7}   n")
    real, made = Path("real"), Path("made")
    rows = {place: features(count, seed) for seed, place in enumerate((real, made))}
    line(f"{WIDTH} features at hand, measuring alone", count, real, made, rows.__getitem__)
    if chosen.measuring_alone:
        return
    with tempfile.TemporaryDirectory() as place:
        real, made = [draw(Path(place) / name, count, seed) for seed, name in enumerate(("real", "made"))]
        look = look_with(judge)
        line(f"{SIDE} px pictures, {judge}'s features", count, real, made, look)
        line("the same, the real set's features kept", count, real, made, look, look(real))


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: FID of two small sets by Inception with random weights, from files to the number; and its two
    halves, looking and measuring, since the one grows with the pictures and the other does not.

    The peer is pytorch-fid's way: batches of 50 through the plain network, numpy's covariances, scipy's `sqrtm`.
    """
    import torch

    from easel.networks.inception import FidInception

    peer = "pytorch-fid's way (sqrtm)"
    if importlib.util.find_spec("scipy") is None:
        return [Row.not_run("FID", peer, "needs scipy, which the peer's matrix square root is from")]
    torch.manual_seed(0)
    plain = FidInception()
    folded = copy.deepcopy(plain).folded()
    large = [features(2 * WIDTH, seed) for seed in range(2)]
    with tempfile.TemporaryDirectory(prefix="easel-sets-") as place:
        folders = [draw(Path(place) / name, FEW, seed) for seed, name in enumerate(("real", "made"))]

        def look(network: Any, together: int, layout: Any) -> Any:
            return [looked(network, folder, together, layout) for folder in folders]

        looks = {
            "plain": lambda: look(plain, 50, torch.contiguous_format),
            "ours": lambda: look(folded, BATCH, torch.channels_last),
        }
        measures = {"plain": plain_fid, "ours": our_fid}
        ways = {f"{name} looks": lambda _, do=do: do() for name, do in looks.items()}
        ways |= {f"{name} measures": lambda _, do=do: do(*large) for name, do in measures.items()}
        ways |= {f"{name} whole": lambda _, name=name: measures[name](*looks[name]()) for name in looks}
        timed = interleaved(ways, asked.rounds)
    for part in ("looks", "measures"):
        for theirs, mine in zip(timed[f"plain {part}"].made, timed[f"ours {part}"].made, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
    parts = f"2 x {FEW} pictures"
    named = {
        "looks": (f"FID, {parts} looked at by Inception", "convolutions, which fill the processor"),
        "measures": (f"FID of 2 x {2 * WIDTH:,} rows of {WIDTH:,}", "eigenvalues of 2,048 x 2,048"),
        "whole": (f"FID of {parts}, from files to the number", "looking"),
    }
    return [Row.of(work, peer, timed[f"plain {part}"], timed[f"ours {part}"], limit)
            for part, (work, limit) in named.items()]  # fmt: skip


def looked(network: Any, folder: Path, together: int, layout: Any) -> Any:
    """The rows (n, 2048) of a folder's pictures, so many at once."""
    import torch

    made = []
    paths = list_pictures(folder)
    for start in range(0, len(paths), together):
        arrays = [np.asarray(open_picture(path), np.float32) for path in paths[start : start + together]]
        pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()  # as torchvision's ToTensor
        with torch.no_grad():
            sides = network.resized(pixels).contiguous(memory_format=layout)
            made.append(network(sides).numpy())
    return np.concatenate(made)


def line(what: str, count: int, real: Path, made: Path, look: Look, kept: Any = None) -> None:
    """Time both ways, taking turns metric by metric, say the ratios, and see that they agree.

    `kept`: the real set's features, where ours need not look at it again.
    """
    spent, (left, right) = timed(lambda: (look(real) if kept is None else kept, look(made)))
    ours, peer = np.array(spent), np.zeros(2)
    for mine, theirs, exact in METRICS:
        took, found = timed(functools.partial(mine, left, right))
        ours += took
        took, wanted = timed(lambda theirs=theirs: theirs(look(real), look(made)))  # type: ignore[misc]
        peer += took
        if exact:
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-3)
    ratios = " ".join(f"{ratio:>6.1f}x" for ratio in peer / ours)
    print(f"{what:<46} {ours[0]:>7.1f} s {peer[0]:>7.1f} s {ratios}   {count:,}", flush=True)


def timed(do: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Seconds on the clock and of the processor, and what was found."""
    clock, processor = time.perf_counter(), time.process_time()
    found = do()
    return (time.perf_counter() - clock, time.process_time() - processor), found


def our_fid(real: Any, made: Any) -> float:
    return frechet_distance(real, made)


def our_kid(real: Any, made: Any) -> float:
    return kernel_distance(real, made).value


def our_manifold(real: Any, made: Any) -> list[float]:
    found = precision_recall(real, made)
    return [found.precision.value, found.recall.value]


def plain_fid(real: Any, made: Any) -> float:
    from scipy import linalg

    one, other = (np.cov(rows.astype(np.float64), rowvar=False) for rows in (real, made))
    shift = real.astype(np.float64).mean(axis=0) - made.astype(np.float64).mean(axis=0)
    root = linalg.sqrtm(one @ other)
    return float(shift @ shift + np.trace(one) + np.trace(other) - 2 * np.trace(root.real))


def plain_kid(real: Any, made: Any) -> float:
    generator = np.random.default_rng(0)
    size = min(SUBSET, len(real), len(made))
    found = []
    for _ in range(SUBSETS):
        x, y = (rows[generator.choice(len(rows), size, replace=False)].astype(np.float64) for rows in (real, made))
        xx, yy, xy = ((a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (size * (size - 1))
        found.append(within - 2 * xy.mean())
    return float(np.mean(found))


def plain_manifold(real: Any, made: Any) -> list[float]:
    import torch

    left, right = torch.from_numpy(real), torch.from_numpy(made)
    wide = [torch.cdist(rows, rows).kthvalue(NEIGHBOURS + 1, dim=1).values for rows in (left, right)]
    across = torch.cdist(left, right)
    among = (across <= wide[0][:, None]).any(dim=0).float().mean()
    return [float(among), float((across <= wide[1][None]).any(dim=1).float().mean())]


METRICS = ((our_fid, plain_fid, True), (our_kid, plain_kid, False), (our_manifold, plain_manifold, True))
"""Ours, the peer's, and whether both must find the same: KID's subsets are drawn."""


def draw(folder: Path, count: int, seed: int) -> Path:
    """Soft noise of `count` pictures: what is on them costs nothing and changes no time."""
    folder.mkdir()
    noise = np.random.default_rng(seed).integers(0, 255, (count, 8, 8, 3), dtype=np.uint8)
    for index, array in enumerate(noise):
        Image.fromarray(array).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def look_with(name: str) -> Look:
    from easel import models

    judge = models.load(name, "features")

    def look(folder: Path) -> Any:
        paths = list_pictures(folder)
        parts = [paths[start : start + SIDE] for start in range(0, len(paths), SIDE)]
        return np.concatenate([judge.features([open_picture(path) for path in part]) for part in parts])

    return look


def features(count: int, seed: int) -> Any:
    """Rows such as Inception gives: not negative, most directions alike."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(count, 200)) @ np.random.default_rng(9).normal(size=(200, WIDTH)) / 20
    return np.maximum(hidden + 0.3 * generator.normal(size=(count, WIDTH)), 0).astype(np.float32)


if __name__ == "__main__":
    main()
