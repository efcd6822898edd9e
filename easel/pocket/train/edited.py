"""Held-out scores of pocket's editing by instruction: scenes with a known outcome, and real photos by night."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from easel import models
from easel.images import open_picture
from easel.metrics import details, edits
from easel.metrics.intervals import rate_interval
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.pocket.train import judge as referee
from easel.pocket.train import score
from easel.pocket.train.bars import Scores
from easel.pocket.train.pictures import SIDE, Pixels
from easel.pocket.world import Edit, Scene, edit_pairs, render

EDITS, NIGHTS = 300, 30
"""Edits of scenes, and photos by night."""
NAMED = tuple(referee.NAMED)
"""What the judge names; an edit may be about other things too."""
JUDGE = f"{score.JUDGE}; what it does not name by the nearest true outcome"


class Asked(NamedTuple):
    """A held-out scene, what is asked for, and everything that could have been."""

    scene: Scene
    wanted: Edit
    others: list[Edit]


def asked(count: int = EDITS) -> list[Asked]:
    """Edits of plain held-out scenes, equally many about each thing."""
    about: dict[str, list[Asked]] = defaultdict(list)
    for scene in score.held_out(4 * count, offset=50_000, style="plain", light="none"):
        found = edit_pairs(scene)
        for one in found:
            about[one.about].append(Asked(scene, one, [other for other in found if other is not one]))
    names = sorted(about)
    return [about[names[k % len(names)]][k // len(names) * 7] for k in range(count)]


def hits(pictures: list[Pixels], tasks: list[Asked]) -> list[bool]:
    """Whether each picture shows what was asked for and keeps the rest: the judge names all that is true of the scene
    after the edit, and where it has no name for what was asked, the picture is nearest to the scene after this edit,
    of the scene before and after each other edit that it has no name for (mean squared error).
    """
    named = referee.load().name(np.stack(pictures))
    found = []
    for i, (picture, task) in enumerate(zip(pictures, tasks, strict=True)):
        truth = referee.truth(task.wanted.after)
        right = all(named[name][i] == value for name, value in truth.items() if value is not None)
        if right and task.wanted.about not in NAMED:
            scenes = [other.after for other in task.others if other.about not in NAMED]
            rivals = [render(one, SIDE) for one in (task.wanted.after, task.scene, *scenes)]
            apart = [float(np.square(picture.astype(float) - one).mean()) for one in rivals]
            right = int(np.argmin(apart)) == 0
        found.append(right)
    return found


def scenes() -> Scores:
    """300 edits by instruction, beside what the same judge says of the true outcomes and of the unchanged scenes."""
    tasks, model = asked(), models.load("pocket", "instruct")
    before = [render(task.scene, SIDE) for task in tasks]
    requests = [
        PictureRequest(task.wanted.instruction, i, task="instruct", image=Image.fromarray(one), sampling=Sampling())
        for i, (task, one) in enumerate(zip(tasks, before, strict=True))
    ]
    made = [np.asarray(one.image) for one in model.generate(requests, batch_size=1)]
    found = hits(made, tasks)
    what = f"{len(tasks)} edits of held-out scenes, ten kinds of edits equally often"
    scores = {"edit done, the rest kept": score.entry(rate_interval(found), JUDGE, what)}
    true = hits([render(task.wanted.after, SIDE) for task in tasks], tasks)
    scores["the same of the true outcomes"] = score.entry(rate_interval(true), JUDGE, what)
    scores["the same of the unchanged scenes"] = score.entry(rate_interval(hits(before, tasks)), JUDGE, what)
    for about in sorted({task.wanted.about for task in tasks}):
        some = [hit for hit, task in zip(found, tasks, strict=True) if task.wanted.about == about]
        scores[f"edit done, the rest kept: {about}"] = score.entry(rate_interval(some), JUDGE, f"edits of the {about}")
    return scores


def night(photos: Path) -> Scores:
    """30 photos that trained nothing, told "make it night" at the model's size, and the change carried to the whole."""
    model, paths = models.load("pocket", "instruct"), score.found_photos(photos)[:NIGHTS]
    passed: dict[str, list[bool]] = defaultdict(list)
    for i, path in enumerate(paths):
        photo = open_picture(path)
        size = model.resolve(Sampling(), photo, "instruct")
        small = photo.resize((size.width, size.height), Image.Resampling.LANCZOS)
        told = PictureRequest("make it night", i, task="instruct", image=small)
        [drawn] = model.generate([told])
        before = np.asarray(photo)
        after = details.carry(before, np.asarray(drawn.image), np.asarray(model.through_autoencoder(small))).picture
        light, dark = edits.luminance(before, after), edits.clipped(after).dark
        f1 = edits.edge_match(edits.edges(before), edits.edges(after)).f1
        found = {
            "luminance down by 40 %": light.ratio <= 0.6,
            "edges F1 at least .7": f1 >= 0.7,
            "under 15 % of pixels below 8": dark < 0.15,
        }
        for name, is_so in (found | {"all three": all(found.values())}).items():
            passed[name].append(is_so)
    what = f"{len(paths)} of photos_commons at full size, details kept"
    return {f"night, {name}": score.entry(rate_interval(told), "pixels", what) for name, told in passed.items()}


def instruct(photos: Path) -> Scores:
    """Both."""
    return scenes() | night(photos)


PARTS = {"instruct": instruct}
"""What `score.run` measures of it."""
