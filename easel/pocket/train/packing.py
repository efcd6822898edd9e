"""Fill the stores: scenes of the world, and real photos under the world's filters. Two processes, each picture from
its own seed.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from easel.pocket.train import alike
from easel.pocket.train.details import details
from easel.pocket.train.pictures import SIDE, Pixels, Store, square
from easel.pocket.world import Scene, captions, depth, light, questions, render, styles
from easel.pocket.world.words import LIGHT_PHRASES, LIGHTS, STYLE_ANSWERS, STYLE_PHRASES, STYLE_QUESTIONS

ARTISTS = ("van-gogh", "malevich", "delaunay", "banksy")
OTHERS = tuple(style for style in STYLE_PHRASES if style != "plain" and style not in ARTISTS)

KIN = ("dog", "cat", "bird")
"""Kinds that are hardest to paint: the same scene with each of them shows what the word means, and nothing else."""

WORKERS = 2
Row = dict[str, Any]


def drawn_style(rng: np.random.Generator, plain: float) -> str:
    """A style: plain with that probability, else one of the four artists two times in three."""
    if rng.random() < plain:
        return "plain"
    return str(rng.choice(ARTISTS if rng.random() < 2 / 3 else OTHERS))


Made = list[tuple[Pixels, Row]]


def row_of(drawn: Scene) -> Row:
    """What a scene knows of itself: wordings, questions with answers, facts."""
    names = ("kind", "colour", "place", "time", "mood", "style", "light", "mask", "castle", "accessories")
    facts = {
        name: bool(value) if name in ("mask", "castle") else value for name in names for value in [getattr(drawn, name)]
    }
    return {"seed": drawn.seed, "captions": captions(drawn), "questions": questions(drawn), "facts": facts}


def shown(*scenes: Scene) -> Made:
    """Each scene's picture, and what it knows of itself."""
    return [(render(one, SIDE), row_of(one)) for one in scenes]


def scene(seed: int) -> Made:
    """The scene of a seed."""
    rng = np.random.default_rng((5, seed))
    drawn = Scene.from_seed(seed, style=drawn_style(rng, plain=0.6))
    return shown(drawn)


def plain_scene(seed: int) -> Made:
    """The scene of a seed, in no style: what things look like is learned here."""
    drawn = Scene.from_seed(seed, style="plain")
    return shown(drawn)


def scene_in_style(seed: int) -> Made:
    """The scene of a seed, in a style: what reads pictures learns to see through it here."""
    drawn = Scene.from_seed(seed, style=drawn_style(np.random.default_rng((11, seed)), plain=0.0))
    return shown(drawn)


def kindred(seed: int) -> Made:
    """Subjects that look alike, each in the same two scenes; their rows say by what they can be told apart."""
    scenes = alike.family(seed)
    return [(made, {**row, "details": details(one)}) for one, (made, row) in zip(scenes, shown(*scenes), strict=True)]


def kin(seed: int) -> Made:
    """A plain scene with each of KIN in turn, where everything else is the same."""
    return shown(*(Scene.from_seed(seed, style="plain", kind=kind) for kind in KIN))


def redrawn(seed: int) -> Made:
    """A scene in no style, and itself in a style; the second knows that it is a redrawing of the first."""
    [(made, row)] = scene_in_style(seed)
    return [*plain_scene(seed), (made, {**row, "redrawn": True})]


def solid(seed: int) -> Made:
    """The scene of a seed, four in ten of them in a style and some of the others under a light, and how near each of
    its places is, as a grey picture where near is white.
    """
    rng = np.random.default_rng((13, seed))
    drawn = Scene.from_seed(seed, style=drawn_style(rng, plain=0.6))
    if drawn.style == "plain" and rng.random() < 0.3:
        drawn = replace(drawn, light=str(rng.choice(LIGHTS)))
    [(made, row)] = shown(drawn)
    near = np.rint(255 * depth(drawn, SIDE)).astype(np.uint8)
    return [(made, row), (np.repeat(near[..., None], 3, axis=2), {**row, "depth": True})]


def styled(task: tuple[int, Row]) -> Made:
    """A cut of a real photo, and the same cut under a style or, now and then, another light; its words say so."""
    number, photo = task
    rng = np.random.default_rng((7, number))
    pixels = square(photo["path"], rng, float(rng.choice((1.0, 1.0, 1.3))))
    pixels = np.ascontiguousarray(pixels[:, ::-1] if rng.random() < 0.5 else pixels)
    style = drawn_style(rng, plain=0.12)
    name = "none" if style != "plain" else str(rng.choice(tuple(light.LIGHTS)))
    seed = int(rng.integers(2**31))
    made = light.apply(name, pixels, seed) if style == "plain" else styles.apply(style, pixels, seed)
    return [(pixels, photo_row(photo)), (made, photo_row(photo, style, name))]


def photo_row(photo: Row, style: str = "plain", light_name: str = "none") -> Row:
    """What is known of a real photo under a filter: its caption with the filter's words, and questions about the
    style.
    """
    words = f"{STYLE_PHRASES[style]} {LIGHT_PHRASES[light_name]}".strip()
    caption = f"{photo['caption']} {words}".strip()
    questions = [("what style is this?", STYLE_ANSWERS[style])]
    questions += [(text, "yes" if name == style else "no") for name, text in STYLE_QUESTIONS.items()]
    questions += [("is there a castle?", "no"), ("is there a panda mask?", "no")]
    return {
        "captions": [caption],
        "questions": questions,
        "facts": {"style": style, "light": light_name},
        "path": photo["path"],
    }


def pack(folder: Path, name: str, make: Callable[[Any], Made], tasks: Sequence[Any], each: int = 1) -> None:
    """Write a store of ``each`` pictures a task; nothing is taken for finished before its lines are written."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(tasks) * each, SIDE, SIDE, 3)
    pixels = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
    lines: list[str] = []
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), one_thread) as pool:  # a fork of running threads may hang
        for made in pool.map(make, tasks, chunksize=16):
            for picture, row in made:
                pixels[len(lines)] = picture
                lines.append(json.dumps(row))
                if len(lines) % 1000 == 0:
                    print(f"{name} {len(lines)}/{shape[0]}", flush=True)
    pixels.flush()
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def one_thread() -> None:
    """Two processes share two cores; OpenCV's own threads would only get in their way."""
    import cv2

    cv2.setNumThreads(1)


def pack_scenes(folder: Path, count: int = 10000) -> None:
    """The store ``scenes``: the scenes of the first ``count`` seeds, four in ten of them in a style."""
    pack(folder, "scenes", scene, range(count))


def pack_plain(folder: Path, count: int = 30000) -> None:
    """The store ``plain``: scenes of other seeds, none in a style."""
    pack(folder, "plain", plain_scene, range(20000, 20000 + count))


def pack_subjects(folder: Path, count: int = 1500) -> None:
    """The store ``subjects``: families of look-alikes, the two pictures of a subject next to each other."""
    pack(folder, "subjects", kindred, range(10**5, 10**5 + count), each=2 * alike.LOOKALIKES)


def pack_manners(folder: Path, count: int = 22000) -> None:
    """The store ``manners``: scenes of other seeds, each in a style. A manner hides things: it must be seen often."""
    pack(folder, "manners", scene_in_style, range(60000, 60000 + count))


def pack_kin(folder: Path, count: int = 3000) -> None:
    """The store ``kin``: the same scene with each of KIN, next to each other."""
    pack(folder, "kin", kin, range(2 * 10**5, 2 * 10**5 + count), each=len(KIN))


def pack_redrawn(folder: Path, count: int = 4000) -> None:
    """The store ``redrawn``: scenes of ``manners``, each plain and in its style, next to each other."""
    pack(folder, "redrawn", redrawn, range(60000, 60000 + count), each=2)


def pack_solids(folder: Path, count: int = 4000) -> None:
    """The store ``solids``: scenes of seeds of their own, each with its depth next to it."""
    pack(folder, "solids", solid, range(3 * 10**5, 3 * 10**5 + count), each=2)


def pack_styled(folder: Path, times: int = 5) -> None:
    """The store ``styled``: each photo of the store ``photos`` under ``times`` filters, plain and filtered side by
    side.
    """
    known = {row["path"]: row for row in Store(folder, "photos").rows}
    pack(folder, "styled", styled, list(enumerate(list(known.values()) * times)), each=2)
