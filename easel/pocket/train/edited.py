"""Held-out scores of pocket's editing by instruction: scenes with a known outcome, and real photos by night."""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from easel import models
from easel.jobs import edit
from easel.metrics.intervals import rate_interval
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.pocket.train import judge as referee
from easel.pocket.train import score
from easel.pocket.train.bars import Scores
from easel.pocket.train.pictures import SIDE, Pixels
from easel.pocket.world import Edit, Scene, edit_pairs, render
from easel.recipes.edit import Edit as Recipe
from easel.workspace import Workspace

EDITS, NIGHTS = 300, 30
"""Edits of scenes, and photos by night."""
NAMED = {"colour": "colour", "time": "time", "style": "style", "place": "place", "kind": "kind"}
"""What an edit is about -> what the judge names; it does not name what else an edit may be about."""
JUDGE = f"{score.JUDGE}; what it does not name by the nearest true outcome"


class Asked(NamedTuple):
    """A held-out scene, what is asked for, and everything that could have been."""

    scene: Scene
    wanted: Edit
    others: list[Edit]


def asked(count: int = EDITS) -> list[Asked]:
    """Edits of held-out scenes by day and without style, as many about each thing as there are."""
    about: dict[str, list[Asked]] = defaultdict(list)
    for scene in score.held_out(4 * count, offset=50_000, style="plain", light="none"):
        found = edit_pairs(scene)
        for one in found:
            about[one.about].append(Asked(scene, one, [other for other in found if other is not one]))
    picked: list[Asked] = []
    for k in range(count):
        names = sorted(about)
        picked.append(about[names[k % len(names)]][k // len(names) * 7])
    return picked


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
    """30 photos that trained nothing, told "make it night", as `easel edit` does it, details kept."""
    paths = score.found_photos(photos)[:NIGHTS]
    rows: dict[str, dict[str, float]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            recipe = Recipe(photo=str(path), prompt="make it night", method="instruct", keep_details="yes")
            for one in edit.run(recipe, Workspace(Path(folder) / path.stem)).scores:
                rows[path.name][one.name] = one.value
    passed: dict[str, list[bool]] = defaultdict(list)
    for values in rows.values():
        darker = values[edit.verdict.LUMINANCE] <= 0.6 * values[edit.verdict.LUMINANCE_BEFORE]
        kept, clipped = values[edit.verdict.EDGES] >= 0.7, values[edit.verdict.DARK] >= 0.15
        for name, is_so in (
            ("luminance down by 40 %", darker),
            ("edges F1 at least .7", kept),
            ("under 15 % of pixels below 8", not clipped),
            ("all three", darker and kept and not clipped),
        ):
            passed[name].append(is_so)
    what = f"{len(paths)} of photos_commons at full size, details kept"
    return {f"night, {name}": score.entry(rate_interval(told), "pixels", what) for name, told in passed.items()}


def instruct(photos: Path) -> Scores:
    """Both."""
    return scenes() | night(photos)
