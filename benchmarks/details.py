"""Details kept: seconds and memory at 12 and 40 million pixels; with `--photos FOLDER` how near it comes to the truth.

Memory is the process's greatest resident size, each size in a process of its own; the table edits each photo by the
world's light filters at full size (the truth), reduces that to `--side` pixels and makes it soft, noisy and a little
warped, as a diffusion model would, and compares the plain enlargement and the carried change with the truth.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from easel.images import open_picture
from easel.metrics.details import carry
from easel.metrics.edits import edge_match, edges
from easel.metrics.intervals import mean_interval
from easel.pocket.world import light

Picture = NDArray[np.uint8]
PHOTO = Path(__file__).parent.parent / "examples" / "photo.jpg"
SIZES = {"12": (3000, 4000), "40": (5200, 7700)}


def degraded(picture: Picture, side: int, seed: int) -> Picture:
    """As a diffusion model's edit would be: reduced, warped by 0.7 pixels, blurred by 1, with noise of 3 levels."""
    rng = np.random.default_rng(seed)
    factor = side / max(picture.shape[:2])
    wide, tall = (round(length * factor / 8) * 8 for length in picture.shape[1::-1])
    small = cv2.resize(picture, (wide, tall), interpolation=cv2.INTER_AREA)
    coarse = rng.normal(0, 0.7, (2, tall // 32 + 2, wide // 32 + 2)).astype(np.float32)
    y, x = np.mgrid[0:tall, 0:wide].astype(np.float32)
    moved = [cv2.resize(one, (wide, tall), interpolation=cv2.INTER_CUBIC) for one in coarse]
    warped = cv2.remap(small, x + moved[0], y + moved[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(warped, (0, 0), 1.0).astype(np.float32)
    return np.asarray(np.clip(soft + rng.normal(0, 3, soft.shape) + 0.5, 0, 255), np.uint8)


def ssim(one: Picture, other: Picture) -> float:
    """Wang et al. 2004, equation 13, of the brightness, with the paper's Gaussian window of 1.5 pixels."""
    x, y = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (one, other))

    def mean(values: Any) -> Any:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 6.5025, 58.5225
    return float(np.mean((2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))))


def numbers(truth: Picture, made: Picture) -> tuple[float, float, float]:
    """PSNR in dB, F1 of edges within 1.5 pixels, SSIM."""
    error = float(np.square(truth.astype(np.float64) - made).mean())
    pixels = 1.5 / float(np.hypot(*truth.shape[:2]))
    match = edge_match(edges(truth), edges(made), pixels)
    return 10 * float(np.log10(255**2 / max(error, 1e-9))), match.f1, ssim(truth, made)


def table(folder: Path, side: int, every: int) -> None:
    photos = sorted(folder.glob("*.jpg"))[::every]
    print(f"edits of {side} pixels, n = {len(photos)} photos a row; mean [95 %]: plain enlargement | carried")
    for name in light.LIGHTS:
        rows = []
        for number, path in enumerate(photos):
            photo = np.array(open_picture(path).convert("RGB"))
            truth = light.apply(name, photo, 1)
            edit = degraded(truth, side, number)
            plain = np.asarray(cv2.resize(edit, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
            made = carry(photo, edit)
            rows.append((*numbers(truth, plain), *numbers(truth, made.picture), made.explained, made.mask.mean()))
        columns = [mean_interval(column) for column in np.array(rows).T]
        words = [f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in columns]
        print(f"| {name} | " + " | ".join(words) + " |", flush=True)


def size(name: str) -> None:
    tall, wide = SIZES[name]
    photo = np.asarray(
        cv2.resize(np.array(open_picture(PHOTO).convert("RGB")), (wide, tall), interpolation=cv2.INTER_CUBIC), np.uint8
    )
    small = np.asarray(cv2.resize(photo, (512, 512 * tall // wide), interpolation=cv2.INTER_AREA), np.uint8)
    edit = degraded(light.apply("sunset", small, 1), 512, 0)
    edit[100:180, 200:300] = (250, 40, 200)  # so that there is something to blend
    made = carry(photo, edit)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{tall * wide / 1e6:.0f} MP: {made.seconds:.1f} s, peak {peak:.2f} GiB of the whole process", flush=True)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks details")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photos for the table")
    parser.add_argument("--side", type=int, default=384, help="longer side of the edits")
    parser.add_argument("--every", type=int, default=1, help="take each so-manieth photo")
    parser.add_argument("--size", choices=SIZES, help="only this size, in this process")
    wish = parser.parse_args(words)
    if wish.size:
        size(wish.size)
    elif wish.photos:
        table(wish.photos, wish.side, wish.every)
    else:
        for name in SIZES:
            subprocess.run([sys.executable, "-m", "benchmarks.details", "--size", name], check=True)


if __name__ == "__main__":
    main()
