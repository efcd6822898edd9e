"""A captioned, attributed set out of the world: images/ and metadata.jsonl in the run's folder.

Picture i is the scene of the recipe's seed + i, whoever draws it, so a killed run draws only what is not there yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data import Box, square
from easel.data.cache import cores
from easel.errors import EaselError
from easel.images import open_picture, save_png
from easel.pocket.world import Scene, captions, render, segmentation, words
from easel.recipes.data import DataWorld
from easel.result import Result
from easel.sheet import Cell, sheet
from easel.workspace import Workspace

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

METADATA = "metadata.jsonl"
SUBJECTS: dict[str, tuple[str, ...]] = {
    "birds": ("bird",),
    "dogs": ("dog",),
    "cats": ("cat",),
    "animals": words.ANIMALS,
    "faces": words.PEOPLE,
    "people": words.PEOPLE,
    "rooms": ("room",),
    "houses": ("house",),
    "cars": ("car",),
    "vases": ("vase",),
    "fruit": ("fruit",),
    "lamps": ("lamp",),
    "kinds": words.KINDS,
}
"""What may be asked for, and the kinds of the world that it is made of."""

NO_EFFECTS: dict[str, object] = {"style": "plain", "light": "none", "castle": False, "mask": False}
PORTRAIT: dict[str, object] = {"place": "plain", "time": "day"}
WORN = ("hat", "sunglasses", "scarf")
LABEL_SIDE = 128
HEAD_WIDTHS = 2.4
"""Sides of a portrait in widths of the sunglasses: a hat and the shoulders are in it."""
BATCH, SAVERS = 32, 4
MAX_IN_PROCESS = 48
"""Up to so many pictures are drawn in this process, since starting others takes longer."""
SHOWN = 24


@dataclass(frozen=True)
class SetSpec:
    """All that a worker needs to draw any picture of the set."""

    what: str
    seed: int
    side: int
    folder: str


def run(recipe: DataWorld, workspace: Workspace) -> Result:
    """Draw the set, going on where an earlier run in this folder stopped. Raises EaselError and Cancelled."""
    spec = SetSpec(recipe.what, recipe.seed, recipe.resolution, str(workspace.folder))
    (workspace.folder / "images").mkdir(exist_ok=True)
    parts = [range(start, min(start + BATCH, recipe.count)) for start in range(0, recipe.count, BATCH)]
    lines: list[str] = []
    workspace.step("drawing", 0, recipe.count)
    with _workers(recipe.count) as pool:
        task = partial(draw, spec)
        for part in pool.map(task, parts) if pool else map(task, parts):
            lines += part
            workspace.step("drawing", len(lines), recipe.count)
    workspace.save_text(METADATA, "\n".join(lines) + "\n")
    shown = [json.loads(line) for line in lines[:SHOWN]]
    cells = [Cell(open_picture(workspace.folder / row["file_name"]), row["text"]) for row in shown]
    heading = f"{recipe.count:,} {recipe.what} of the world, {recipe.resolution} px, seed {recipe.seed}"
    workspace.save_picture("sheet.png", sheet(cells, 6, heading))
    names = [key for key in shown[0] if key not in ("file_name", "text", "captions", "label")]
    texts = {
        "pictures": f"{recipe.count:,}",
        "classes": ", ".join(dict.fromkeys(json.loads(line)["label"] for line in lines)),
        "attributes": ", ".join(names),
    }
    return Result(kind=recipe.kind, folder=workspace.folder, files=(METADATA, "sheet.png"), texts=texts)


def draw(spec: SetSpec, indexes: Sequence[int]) -> list[str]:
    """Draw the pictures of these indices that are not there yet; a line of metadata.jsonl for each."""
    lines: list[str] = []
    with ThreadPoolExecutor(SAVERS) as savers:  # a synced file waits for the disk: the next picture is drawn meanwhile
        saved = []
        for index in indexes:
            scene, name = scene_of(spec, index), file_name(index)
            path = Path(spec.folder) / name
            if not path.is_file():  # a file is there whole or not at all
                saved.append(savers.submit(save_png, path, Image.fromarray(pixels(scene, spec))))
            lines.append(json.dumps({"file_name": name} | scene_annotations(scene, spec.what)))
        for one in saved:
            one.result()
    return lines


def file_name(index: int) -> str:
    """'images/000012.png'."""
    return f"images/{index:06d}.png"


def scene_of(spec: SetSpec, index: int) -> Scene:
    """The scene of one index of the set: its own seed decides all of it, the kind too."""
    seed = spec.seed + index
    kinds = SUBJECTS[spec.what]
    kind = kinds[int(np.random.default_rng([seed, 21]).integers(len(kinds)))]
    scene = Scene.from_seed(seed, kind=kind, **NO_EFFECTS, **(PORTRAIT if spec.what == "faces" else {}))
    if spec.what != "faces":
        return scene
    return replace(scene, accessories=tuple(name for name in scene.accessories if name in WORN))


def pixels(scene: Scene, spec: SetSpec) -> NDArray[np.uint8]:
    """(side, side, 3): the scene, or of a face the head and shoulders, drawn large enough to be sharp."""
    if spec.what != "faces":
        return render(scene, spec.side)
    box = head_box(scene)
    size = min(1024, round(spec.side * LABEL_SIDE / (box[2] - box[0])))
    left, top, right, bottom = (round(edge * size / LABEL_SIDE) for edge in box)
    return square(Image.fromarray(render(scene, size)), spec.side, (left, top, right, bottom))


def head_box(scene: Scene) -> Box:
    """The square around a person's head, in a picture of 128 pixels: found by where sunglasses would sit."""
    dressed = replace(scene, accessories=tuple(dict.fromkeys((*scene.accessories, "sunglasses"))))
    rows, columns = np.nonzero(segmentation(dressed, LABEL_SIDE) == words.LABELS["sunglasses"])
    wide = float(np.ptp(columns)) + 1
    x, y = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    half = HEAD_WIDTHS * wide / 2
    top = y - half - 0.12 * wide  # a hat is taller than a chin
    return round(x - half), round(top), round(x + half), round(top + 2 * half)


def scene_annotations(scene: Scene, what: str) -> dict[str, Any]:
    """What metadata.jsonl says of a scene: text and captions, its class, and its attributes.

    The class is the kind where the set has several, else the colour.
    """
    texts = captions(scene)
    several = len(SUBJECTS[what]) > 1
    found: dict[str, Any] = {"text": texts[0], "captions": texts}
    found |= {"label": scene.kind if several else scene.colour}
    found |= ({"kind": scene.kind} if several else {}) | {"colour": scene.colour}
    if what != "faces":
        found |= {"place": scene.place, "time": scene.time}
    if scene.kind in (*words.PEOPLE, *words.ANIMALS):
        found |= {"happy": scene.mood == "joy", "sad": scene.mood == "sadness"}
        worn = words.ACCESSORIES if scene.kind in words.PEOPLE and what != "faces" else WORN
        found |= {name: name in scene.accessories for name in worn}
    return found


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes to draw in; none for a few pictures. Left early, they drop what they have not begun."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    if count <= MAX_IN_PROCESS:
        yield None
        return
    pool = ProcessPoolExecutor(cores(), get_context("spawn"), initializer=begin_worker)
    try:
        yield pool
    except BrokenProcessPool as problem:
        raise EaselError(
            "a process that draws was ended: perhaps it had no memory, or a script calls this outside "
            "`if __name__ == '__main__':`; the same call goes on from here"
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


def begin_worker() -> None:
    """One thread each; Ctrl-C is the parent's to answer; and no worker outlives its parent, even one that is killed."""
    import multiprocessing
    import os
    import signal
    import threading

    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def leave() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
