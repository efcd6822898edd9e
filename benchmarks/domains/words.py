"""Whether pictures have what their captions say, as the judge of scenes sees it; and whether stage II is sharper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from benchmarks.domains.measurements import (
    FEATURES,
    Measurement,
    above_nothing,
    difference,
    drawn,
    edge_energy,
    kid,
    measurement,
)  # fmt: skip
from benchmarks.domains.sets import Folders, pictures_in, pixels_of
from easel.files import write_atomic
from easel.metrics.intervals import mean_interval, rate_interval

PROMPTS = 400
SCENES = "the judge of scenes (tests/judge.safetensors)"
CAPTIONS, TRUE = 39_000_000, 39_500_000
"""The first seeds of the scenes whose captions are drawn, and of those that the judge itself is asked about."""


def seeing(name: str, *asked: str) -> list[Measurement]:
    """How often the judge of scenes is right about true 64 px pictures of held-out scenes."""
    from easel.jobs.data.world import SetSpec, pixels, scene_of
    from easel.pocket.train import judge

    spec = SetSpec("kinds" if "kind" in asked else "birds", TRUE, 64, "")
    scenes = [scene_of(spec, index) for index in range(PROMPTS)]
    named = judge.load().name(np.stack([pixels(scene, spec) for scene in scenes]))
    found = []
    for word in asked:
        hits = [said == getattr(scene, word) for said, scene in zip(named[word], scenes, strict=True)]
        found.append(measurement(name, f"the same judge, {word} of real pictures", rate_interval(hits), SCENES))
    return found


def asked_scenes() -> list[tuple[str, str, str]]:
    """Caption, colour and place of scenes that no training saw."""
    from easel.jobs.data.world import SetSpec, scene_of
    from easel.pocket.world import captions

    scenes = [scene_of(SetSpec("birds", CAPTIONS, 64, ""), index) for index in range(PROMPTS)]
    return [(captions(scene)[0], scene.colour, scene.place) for scene in scenes]


def of_words(folder: Path) -> Path:
    """A picture for each caption."""
    rows = [{"name": f"{index:03d}", "prompt": text} for index, (text, _, _) in enumerate(asked_scenes())]
    write_atomic(folder / "prompts.yaml", yaml.safe_dump(rows, sort_keys=False).encode())
    return drawn(folder / "drawn", folder / "model", prompts=str(folder / "prompts.yaml"))


def words(folders: Folders, name: str) -> list[Measurement]:
    """Whether a picture has its caption's colour and place."""
    from easel.pocket.train import judge

    named = judge.load().name(pixels_of(of_words(folders.run(name))))
    scenes = asked_scenes()
    colours = [said == colour for said, (_, colour, _) in zip(named["colour"], scenes, strict=True)]
    spots = [said == place for said, (_, _, place) in zip(named["place"], scenes, strict=True)]
    both = rate_interval(np.logical_and(colours, spots))
    return [
        measurement(name, "colour and place of the caption are found", both, SCENES, 0.7),
        measurement(name, "colour alone", rate_interval(colours), SCENES),
        measurement(name, "place alone", rate_interval(spots), SCENES),
        *seeing(name, "colour", "place"),
    ]


def enlarged(made: Path, folder: Path, side: int) -> Path:
    """The same pictures at another side, bicubic."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in pictures_in(made):
        if not (folder / path.name).is_file():
            Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BICUBIC).save(folder / path.name)
    return folder


def sharper(folders: Folders, name: str, peer: str = "text-dcgan-birds") -> list[Measurement]:
    """Stage II: as good with words, and sharper than 64 px pictures enlarged: slopes and KID."""
    found = words(folders, name)
    folder = folders.run(name)
    small = enlarged(of_words(folders.run(peer)), folder / "enlarged", 128)
    real = folders.set("birds-128-held-out") / "images"
    ours, theirs, truth = (edge_energy(pixels_of(one, PROMPTS)) for one in (folder / "drawn", small, real))
    near, far = kid(folders, name, real, folder / "drawn"), kid(folders, name, real, small)
    ratio = mean_interval(ours / theirs.mean())
    return [
        *found,
        above_nothing(name, "slopes' energy over that of text-dcgan enlarged", ratio, "pixels", 1.0),
        measurement(name, "the same of real pictures", mean_interval(truth / theirs.mean()), "pixels"),
        measurement(name, "KID at 128 px", near, FEATURES),
        measurement(name, "KID of text-dcgan enlarged", far, FEATURES),
        above_nothing(name, "KID of text-dcgan enlarged less stage II's", difference(far, near), FEATURES),
    ]
