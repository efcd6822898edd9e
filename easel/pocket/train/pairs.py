"""Edit pairs to learn from: scenes and real photos, each with several pictures of itself as if an instruction had been
followed. Latents only are kept: (n, 8, 32, 32) float16, and a line of JSON a pair.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train import pictures
from easel.pocket.train.packing import WORKERS, drawn_style, one_thread
from easel.pocket.train.pictures import SIDE, Pixels
from easel.pocket.train.unet import encoded
from easel.pocket.world import Scene, changes, edit_pairs, light, render
from easel.pocket.world.stage import draw, lamps

FIRST, SCENES = 11_000_000, 1800
"""Seeds of the scenes: neither the painter's nor the judge's, nor those that scores are measured on."""
CUTS = {"photos_pd": 30, "paintings_pd": 8, "dreambooth": 5, "portraits": 1, "clothing10": 1}
"""How many cuts are taken of a photo, by its folder: of views and things more than of faces and clothes."""


@dataclass(frozen=True)
class Pair:
    """One thing to learn: two latents by number, how the change is asked for, and what it is about."""

    before: int
    after: int
    wordings: tuple[str, ...]
    about: str
    photo: bool


Family = tuple[list[Pixels], list[Pair]]
"""A picture and itself changed, and which leads to which."""


class Album:
    """Builds a family."""

    def __init__(self, first: Pixels, photo: bool, seed: int) -> None:
        self.pictures, self.photo, self.seed = [first], photo, seed
        self.pairs: list[Pair] = []

    def add(self, picture: Pixels, wordings: tuple[str, ...], about: str, before: int = 0) -> int:
        """One more picture, which is ``before`` after it was told so; its number."""
        self.pictures.append(picture)
        self.pairs.append(Pair(before, len(self.pictures) - 1, wordings, about, self.photo))
        return len(self.pictures) - 1

    def change(self, name: str) -> None:
        """One of the changes of a whole picture."""
        _, wordings = (changes.LIGHT | changes.TONE | changes.MANNER)[name]
        if name == "same":
            self.pairs.append(Pair(0, 0, wordings, name, self.photo))
        else:
            self.add(changes.apply(name, self.pictures[0], self.seed), wordings, name)

    def lamps(self, found: list[light.Lamp]) -> None:
        """The picture by night with its lights on, and off, each from the other."""
        if found:
            on = self.add(light.night(self.pictures[0], self.seed, found), changes.LIGHT["night"][1], "night")
            off = self.add(changes.lights_off(self.pictures[0], self.seed), changes.LAMPS["off"], "lamps", before=on)
            self.pairs.append(Pair(off, on, changes.LAMPS["on"], "lamps", self.photo))

    def family(self) -> Family:
        """What was built."""
        return self.pictures, self.pairs


def some(rng: np.random.Generator, names: Iterable[str], count: int) -> list[str]:
    """``count`` of the names."""
    return [str(name) for name in rng.choice(list(names), size=count, replace=False)]


def of_scene(seed: int) -> Family:
    """A scene, mostly plain, under up to six of its own edits and two changes of the whole picture."""
    rng = np.random.default_rng((71, seed))
    scene = Scene.from_seed(seed, style=drawn_style(rng, plain=0.85))
    album = Album(render(scene, SIDE), False, seed)
    found = edit_pairs(scene)
    for k in rng.permutation(len(found))[:6]:
        album.add(render(found[k].after, SIDE), found[k].wordings, found[k].about)
    if scene.style == "plain":
        for name in (*some(rng, (*changes.LIGHT, *changes.TONE), 1), *some(rng, changes.MANNER, 1)):
            album.change(name)
        if scene.time == "day" and rng.random() < 0.3:
            album.lamps(lamps(draw(scene, SIDE, truth=True)))
    return album.family()


def of_photo(task: tuple[int, str]) -> Family:
    """A cut of a photo, its tones moved a little, by night and under six or seven other changes."""
    number, path = task
    rng = np.random.default_rng((72, number))
    cut = pictures.square(path, rng, float(rng.choice((1.0, 1.25, 1.6, 2.0))))
    album = Album(toned(cut[:, ::-1] if rng.random() < 0.5 else cut, rng), True, int(rng.integers(2**31)))
    above = light.sky(album.pictures[0], 1.0)
    album.lamps(light.find_lights(album.pictures[0], above))
    if len(album.pictures) == 1:
        album.change("night")
    others = [name for name in changes.LIGHT if name != "night"]
    for name in (*some(rng, others, 2), *some(rng, changes.TONE, 3), *some(rng, changes.MANNER, 1)):
        album.change(name)
    return album.family()


def toned(cut: Pixels, rng: np.random.Generator) -> Pixels:
    """Another exposure and white balance: few photos must stand for many."""
    gamma, gains = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.08, 3))
    return np.asarray(np.clip(255 * (np.ascontiguousarray(cut) / 255) ** gamma * gains + 0.5, 0, 255), np.uint8)


_VAE: list[PixelAutoencoder] = []


def _ready(vae: Path) -> None:
    one_thread()
    torch.set_num_threads(1)
    _VAE.append(PixelAutoencoder.from_pretrained(vae, torch_dtype=torch.float32).to(memory_format=torch.channels_last))


def _encoded(kind: str, task: object) -> tuple[NDArray[np.float16], list[Pair]]:
    shown, pairs = of_scene(task) if kind == "scenes" else of_photo(task)  # type: ignore[arg-type]
    return encoded(_VAE[0], np.stack(shown)).numpy().astype(np.float16), pairs


def cuts(root: Path) -> list[tuple[int, str]]:
    """Every photo that may train pocket, as often as CUTS says."""
    paths = [photo.path for photo in pictures.photos(root) for _ in range(CUTS.get(photo.folder, 1))]
    return list(enumerate(paths))


def pack(kind: str, tasks: Sequence[object], vae: Path, folder: Path) -> None:
    """Make the families of all tasks with two processes; nothing is taken for finished before its lines are written."""
    latents: list[NDArray[np.float16]] = []
    lines, begun = [], 0
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), _ready, (vae,)) as pool:
        for made, pairs in pool.map(partial(_encoded, kind), tasks, chunksize=8):
            latents.append(made)
            moved = [asdict(pair) | {"before": pair.before + begun, "after": pair.after + begun} for pair in pairs]
            lines += [json.dumps(one) for one in moved]
            begun += len(made)
            if len(latents) % 200 == 0:
                print(f"{kind} {len(latents)}/{len(tasks)}: {begun} pictures, {len(lines)} pairs", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"pairs-{kind}.npy", np.concatenate(latents))
    (folder / f"pairs-{kind}.jsonl").write_text("\n".join(lines) + "\n")


def is_packed(folder: Path, kind: str) -> bool:
    """Whether a kind of families was packed to its end: its lines are written last."""
    return (folder / f"pairs-{kind}.jsonl").exists()


class Pairs:
    """The packed pairs, drawn by what they are about."""

    def __init__(self, folder: Path, kinds: tuple[str, ...] = ("scenes", "photos")) -> None:
        self.latents = {kind: np.load(folder / f"pairs-{kind}.npy", mmap_mode="r") for kind in kinds}
        self.known = {kind: self._by_subject(folder / f"pairs-{kind}.jsonl") for kind in kinds}

    @staticmethod
    def _by_subject(path: Path) -> dict[str, list[Pair]]:
        found: dict[str, list[Pair]] = defaultdict(list)
        for line in path.read_text().splitlines():
            pair = Pair(**json.loads(line))
            found[pair.about].append(pair)
        return dict(found)

    def draw(
        self, rng: np.random.Generator, photos: float, often: dict[str, float]
    ) -> tuple[NDArray[np.float16], NDArray[np.float16], str]:
        """Two latents (8, 32, 32) and an instruction: of a photo with that probability, each subject as ``often`` as
        it says, else once.
        """
        kind = "photos" if rng.random() < photos else "scenes"
        known = self.known[kind]
        share = np.cumsum([often.get(about, 1.0) for about in known])
        about = list(known)[int(np.searchsorted(share / share[-1], rng.random(), side="right"))]
        pair = known[about][int(rng.integers(len(known[about])))]
        words = pair.wordings[0 if rng.random() < 0.4 else int(rng.integers(len(pair.wordings)))]
        return self.latents[kind][pair.before], self.latents[kind][pair.after], words
