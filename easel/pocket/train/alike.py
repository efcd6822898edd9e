"""The same subject under any change, and others that look like it: what the subject encoder learns from and is judged
by.

Look-alikes share every word of the world (kind, colour, mood, things worn) and differ in what their subjects' seeds
draw: `Scene.subject`.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from easel.pocket.world import Scene, words
from easel.pocket.world.scene import places_of

CHANGES = ("place", "pose", "mood", "time", "weather")
"""What may change while a subject stays who it is; the pose also says where in the picture it is, and how large."""
WEATHERS = ("none", "fog", "winter")
LOOKALIKES = 4
"""Subjects of a family."""
SUBJECTS = 10**8
"""Subjects' own seeds in training begin here; scores draw theirs elsewhere."""


def own_seed(scene: Scene) -> int:
    """The seed of who the subject is."""
    return scene.seed if scene.subject is None else scene.subject


def changed(scene: Scene, seed: int, what: Collection[str] = CHANGES) -> Scene:
    """The same subject, with each of ``what`` (of CHANGES) another than it was, drawn from ``seed``.

    A kind without moods keeps its own, a hotel room its place; weather is only out of doors, and not on the moon.
    """
    picks = np.random.default_rng([seed, 10]).random(len(CHANGES))
    pick = dict(zip(CHANGES, picks, strict=True))

    def another(name: str, known: Collection[str], now: str) -> str:
        others = [word for word in known if word != now] if name in what else []
        return others[int(pick[name] * len(others))] if others else now

    place = another("place", places_of(scene.kind), scene.place)
    outside = place in words.OUTDOORS
    has_moods = scene.kind in (*words.PEOPLE, *words.ANIMALS)
    new: dict[str, Any] = {
        "seed": seed if "pose" in what else scene.seed,
        "subject": own_seed(scene),
        "place": place,
        "mood": another("mood", words.MOODS if has_moods else (), scene.mood),
        "time": another("time", words.TIMES, scene.time),
        "light": another("weather", WEATHERS, scene.light) if outside and place != "moon" else "none",
        "castle": scene.castle and outside,
    }
    return replace(scene, **new)


def lookalike(scene: Scene, subject: int) -> Scene:
    """The same scene with another subject in it, of the same words."""
    return replace(scene, subject=subject)


def family(seed: int) -> list[Scene]:
    """LOOKALIKES subjects of the same words, one after the other, each in the same two scenes between which everything
    changes: the scene of a seed in no style, and another.
    """
    first = Scene.from_seed(seed, style="plain")
    scenes = first, changed(first, seed + 10**6)
    subjects = (SUBJECTS + LOOKALIKES * seed + k for k in range(LOOKALIKES))
    return [lookalike(scene, subject) for subject in subjects for scene in scenes]
