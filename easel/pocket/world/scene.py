"""One scene of the pocket world: a handful of words and a seed, and from them everything that is true of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from easel.errors import EaselError, nearest
from easel.pocket.world import words

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": words.KINDS,
    "colour": words.COLOURS,
    "place": words.PLACES,
    "time": words.TIMES,
    "mood": words.MOODS,
    "style": tuple(words.STYLE_PHRASES),
    "light": words.LIGHTS,
}


@dataclass(frozen=True)
class Scene:
    """A scene; the same fields give the same picture, for ever. Words are those of `easel.pocket.world.words`.

    All that follows from a scene is a function of it: `render`, `depth`, `segmentation`, `edges`, `captions`,
    `questions`, `edit_pairs`.

    `seed` is the pose, the place and everything around the subject; `subject` is the seed of the subject's own
    drawn details (None: the same as `seed`).
    """

    seed: int
    kind: str = "bird"
    colour: str = "red"
    place: str = "plain"
    time: str = "day"
    mood: str = "neutral"
    accessories: tuple[str, ...] = ()
    mask: bool = False
    castle: bool = False
    style: str = "plain"
    light: str = "none"
    subject: int | None = None

    def __post_init__(self) -> None:
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                raise EaselError(f"no {field} called '{getattr(self, field)}': {nearest(getattr(self, field), known)}")
        for accessory in self.accessories:
            if accessory not in words.ACCESSORIES:
                raise EaselError(f"no accessory called '{accessory}': {nearest(accessory, words.ACCESSORIES)}")

    @classmethod
    def from_seed(cls, seed: int, **fixed: object) -> Scene:
        """A scene drawn from a seed, with some of its words fixed; what is not fixed is kept sensible.

        A third of the scenes have a style, one in twelve outdoors has fog or winter; fix `style` and `light` to choose.
        """
        rng = np.random.default_rng([seed, 0])
        pick = rng.random(16)
        drawn = _draw(pick, fixed)
        drawn.update(fixed)
        if "accessories" in fixed:
            drawn["accessories"] = tuple(fixed["accessories"])  # type: ignore[arg-type]
        return cls(seed=seed, **drawn)  # type: ignore[arg-type]

    def elsewhere(self, seed: int, place: str | None = None) -> Scene:
        """The same subject, with the same drawn details, in another pose and place."""
        rng = np.random.default_rng([seed, 9])
        others = [name for name in places_of(self.kind) if name != self.place] or [self.place]
        chosen = place or others[int(rng.integers(len(others)))]
        own = self.seed if self.subject is None else self.subject
        castle = self.castle and chosen in words.OUTDOORS
        return replace(self, seed=seed, place=chosen, castle=castle, subject=own)


def identity(seed: int, **fixed: object) -> Scene:
    """A subject to be drawn again elsewhere: a plain portrait by day, in no style."""
    plain: dict[str, object] = {"place": "plain", "time": "day", "style": "plain", "light": "none", "castle": False}
    scene = Scene.from_seed(seed, **{**plain, **fixed})
    return replace(scene, place="room") if scene.kind == "room" else scene


def places_of(kind: str) -> tuple[str, ...]:
    """Where a kind may be found when nobody says otherwise."""
    if kind == "room":
        return ("room",)
    if kind in ("house", "car"):
        return (*words.OUTDOORS, "plain")
    return words.PLACES


def _draw(pick: NDArray[np.float64], fixed: dict[str, object]) -> dict[str, object]:
    kind = str(fixed.get("kind", words.KINDS[int(pick[0] * len(words.KINDS))]))
    where = places_of(kind)
    place = str(fixed.get("place", where[int(pick[1] * len(where))]))
    person, animal = kind in words.PEOPLE, kind in words.ANIMALS
    worn = ("hat", "sunglasses", "scarf", *(("ice-cream", "suitcase") if person else ()))
    chance = 0.3 if person else 0.16
    mask = person and pick[9] < 0.09
    mask = bool(fixed.get("mask", mask))
    own = tuple(name for name, p in zip(worn, pick[10:15], strict=False) if p < chance and (person or animal))
    if mask:
        own = tuple(name for name in own if name not in ("hat", "sunglasses"))
    mood = "neutral"
    if person or animal:
        mood = ("joy", "sadness", "neutral", "neutral")[int(pick[4] * 4)]
    styles = tuple(words.STYLE_PHRASES)[1:]
    style = "plain" if pick[5] > 1 / 3 else styles[int(pick[5] * 3 * len(styles))]
    outdoors = place in words.OUTDOORS and place != "moon"
    return {
        "kind": kind,
        "colour": words.COLOURS[int(pick[2] * len(words.COLOURS))],
        "place": place,
        "time": ("day", "day", "sunset", "night")[int(pick[3] * 4)],
        "mood": mood,
        "accessories": own,
        "mask": mask,
        "castle": bool(outdoors and pick[7] < 0.14),
        "style": style,
        "light": ("fog", "winter")[int(pick[8] * 24) % 2] if outdoors and pick[8] < 1 / 12 else "none",
    }
