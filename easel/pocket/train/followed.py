"""How far pictures follow the maps that steer them, beside the same prompts and seeds with control off, and how far the
depth net is right: part of pocket's held-out scores.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.metrics import edits
from easel.metrics.intervals import mean_interval
from easel.models.depth import Depth
from easel.models.diffusion.batch import Control, PictureRequest
from easel.models.diffusion.control import ControlNetwork
from easel.models.diffusion.maps import make
from easel.pocket.train.bars import Scores
from easel.pocket.train.control import stretched
from easel.pocket.train.pictures import SIDE
from easel.pocket.train.score import TRUTH, entry, found_photos, held_out, picture, real
from easel.pocket.world import captions
from easel.pocket.world import depth as true_depth

SCENES, PHOTOS, SCRIBBLES = 70, 30, 50
"""Held-out maps of a kind: of scenes, and of photos that trained nothing; of scribbles so many of scenes alone."""
DEPTHS = 200
"""Held-out scenes whose depth is compared with the truth."""
READ_AGAIN = {
    "canny": "pixels (Canny, thresholds of the picture)",
    "depth": "depth:pocket (not independent)",
    "scribble": "pixels (XDoG)",
}
"""By what a map is found again in the picture that was drawn by it."""
MEASURES = {"canny": "edges F1", "depth": "depth correlation", "scribble": "scribble F1"}


class Guide(NamedTuple):
    """A held-out map, the words that belong to it, and whether it is a photo's."""

    words: str
    map: Image.Image
    is_photo: bool


def guides(kind: str, photos: Path, scenes: int = SCENES, of_photos: int = PHOTOS) -> list[Guide]:
    """Maps of scenes whose seeds no training saw, their depth exact, and of photos, theirs by the depth net."""
    drawn = held_out(scenes, offset=11_000)
    if kind == "depth":
        planes = [stretched(np.rint(255 * true_depth(one, SIDE)).astype(np.uint8)) for one in drawn]
        maps = [Image.fromarray(plane).convert("RGB") for plane in planes]
    else:
        maps = [make(kind, picture(one)) for one in drawn]
    found = [Guide(captions(one)[0], plane, False) for one, plane in zip(drawn, maps, strict=True)]
    if of_photos:
        table = (photos / "photos_commons" / "captions.jsonl").read_text().splitlines()
        said = {row["file"]: row["caption"] for row in map(json.loads, table)}
        pairs = list(zip(found_photos(photos), real(photos), strict=True))[:of_photos]
        found += [Guide(said[file.name], read_again(kind, seen), True) for file, seen in pairs]
    return found


def read_again(kind: str, seen: Image.Image) -> Image.Image:
    """The map of a kind of a picture."""
    return make(kind, seen, depth_model=models.load("pocket", "depth") if kind == "depth" else None)


def agreement(kind: str, asked: Image.Image, drawn: Image.Image) -> float:
    """How far the map of what was drawn agrees with the map that was asked for: F1 of lines, correlation of depths."""
    wanted, found = (np.asarray(one.convert("L")) for one in (asked, read_again(kind, drawn)))
    if kind != "depth":
        return edits.edge_match(wanted > 127, found > 127).f1
    return float(np.nan_to_num(edits.depth_correlation(wanted, found)))


def requests(network: ControlNetwork | None, asked: Sequence[Guide]) -> list[PictureRequest]:
    """A picture for each map, seeds 0, 1, 2 ..., by the words alone where there is no network."""
    task = "text-to-image" if network is None else {"controlnet": "control", "adapter": "adapter"}[network.method]
    return [
        PictureRequest(one.words, i, task=task, controls=None if network is None else (Control(network, one.map),))
        for i, one in enumerate(asked)
    ]


def drawn_by(network: ControlNetwork | None, asked: Sequence[Guide]) -> list[Image.Image]:
    """These pictures by pocket."""
    painter = models.load("pocket", "text-to-image")
    return [one.image for one in painter.generate(requests(network, asked), batch_size=1)]


def followed(kind: str, asked: Sequence[Guide], on: Sequence[Image.Image], off: Sequence[Image.Image]) -> Scores:
    """The scores of a kind of map: of all, of scenes and of photos, each beside the same with control off."""
    scores: Scores = {}
    for label, pictures in (("", on), (", control off", off)):
        values = [agreement(kind, one.map, made) for one, made in zip(asked, pictures, strict=True)]
        for where, chosen in (("", (True, False)), (", scenes", (False,)), (", photos", (True,))):
            some = [value for one, value in zip(asked, values, strict=True) if one.is_photo in chosen]
            if not some or (where and len(some) == len(values)):
                continue
            what = f"{len(some)} held-out maps: pictures drawn by them against them"
            scores[f"{MEASURES[kind]}{where}{label}"] = entry(
                mean_interval(some, within=(-1.0, 1.0)), READ_AGAIN[kind], what
            )
    return scores


def control(photos: Path) -> Scores:
    """What the ControlNet does with edges, depth and scribbles."""
    scores: Scores = {}
    for kind in MEASURES:
        count = (SCRIBBLES, 0) if kind == "scribble" else (SCENES, PHOTOS)
        asked = guides(kind, photos, *count)
        network = models.load(f"pocket-{kind}", "controlnet")
        scores |= followed(kind, asked, drawn_by(network, asked), drawn_by(None, asked))
    return scores


def adapter(photos: Path) -> Scores:
    """What the adapter does with edges."""
    asked = guides("canny", photos)
    network = models.load("pocket-canny-adapter", "adapter")
    return followed("canny", asked, drawn_by(network, asked), drawn_by(None, asked))


def depth(photos: Path) -> Scores:
    """The depth net against the truth, beside the guess that what is lower is nearer."""
    del photos
    scenes = held_out(DEPTHS, offset=12_000)
    model: Depth = models.load("pocket", "depth")
    true = [true_depth(one, SIDE) for one in scenes]
    rows: NDArray[np.float64] = np.repeat(np.arange(SIDE, dtype=np.float64)[:, None], SIDE, axis=1)
    guessed = model.nearness([picture(one) for one in scenes])
    scores: Scores = {}
    planes_of: dict[str, list[Any]] = {"the net": list(guessed), "lower is nearer": [rows] * DEPTHS}
    for name, planes in planes_of.items():
        values = [edits.depth_correlation(a, b) for a, b in zip(true, planes, strict=True)]
        whole = [value for value in values if np.isfinite(value)]  # a scene may be equally near throughout
        what = f"{len(whole)} held-out scenes, a third of them in a style"
        scores[f"correlation with true depth: {name}"] = entry(mean_interval(whole, within=(-1.0, 1.0)), TRUTH, what)
    return scores


PARTS: dict[str, Callable[[Path], Scores]] = {"control": control, "adapter-canny": adapter, "depth": depth}
