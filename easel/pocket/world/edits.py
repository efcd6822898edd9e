"""Edit pairs: an instruction in several wordings, and the scene after it; everything else of the scene stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from easel.pocket.world import words
from easel.pocket.world.scene import Scene
from easel.pocket.world.stage import is_close


@dataclass(frozen=True)
class Edit:
    """What to do, in words, and the scene when it is done."""

    about: str
    """What of the scene it changes: colour, time, style, light, place, kind, castle, worn, mood or mask."""
    wordings: tuple[str, ...]
    after: Scene

    @property
    def instruction(self) -> str:
        """The first of its wordings."""
        return self.wordings[0]


TIMES = {
    "night": (
        "make it night", "turn day into night", "make it look like night", "change it to night",
        "make it a night photo",
    ),
    "sunset": ("make it sunset", "make it a sunset", "turn it into sunset", "make it look like sunset"),
    "day": ("make it day", "turn night into day", "make it daytime", "make it look like day"),
}  # fmt: skip
WEATHER = {
    "fog": ("make it foggy", "add fog", "make it misty", "put it in the fog", "cover it in fog"),
    "winter": ("make it winter", "turn it into winter", "add snow", "make it snowy", "cover it in snow"),
}
"""How times of day and the weather are asked for; of a scene and of a photo alike."""


def style_wordings(style: str) -> tuple[str, ...]:
    """How a style is asked for: "make it in the style of Monet", "draw it as a watercolour"."""
    phrase = words.STYLE_PHRASES[style]
    if phrase.startswith("in "):
        beginnings = ("make it", "paint it", "redraw it", "make it a painting", "turn it into a painting")
        return tuple(f"{beginning} {phrase}" for beginning in beginnings)
    name = phrase.removeprefix("as ")
    return (f"draw it {phrase}", f"redraw it {phrase}", f"make it {name}", f"turn it into {name}")


def edit_pairs(scene: Scene) -> list[Edit]:
    """All kinds of edits that fit the scene, one of each."""
    rng = np.random.default_rng([scene.seed, 6])

    def other(known: Sequence[str], true: str) -> str:
        rest = [word for word in known if word != true]
        return rest[int(rng.integers(len(rest)))]

    what = {"woman": "dress", "man": "coat", "room": "bed", "vase": "vase", "fruit": "bowl"}.get(scene.kind, scene.kind)
    colour, style = other(words.COLOURS, scene.colour), other(tuple(words.STYLE_PHRASES)[1:], scene.style)
    asked: tuple[str, ...] = (
        f"make the {what} {colour}", f"turn the {what} {colour}", f"paint the {what} {colour}",
        f"change the {what} to {colour}", f"change the colour of the {what} to {colour}",
        f"change the color of the {what} to {colour}",
    )  # fmt: skip
    made = [Edit("colour", asked, replace(scene, colour=colour))]
    if scene.light not in ("night", "sunset"):
        made += [Edit("time", TIMES[time], replace(scene, time=time)) for time in TIMES if time != scene.time]
    if scene.style == "plain":
        made.append(Edit("style", style_wordings(style), replace(scene, style=style)))
    if scene.light == "none" and scene.place in words.OUTDOORS and scene.place != "moon":
        made += [Edit("light", WEATHER[name], replace(scene, light=name)) for name in WEATHER]
    if scene.kind != "room":
        places = words.PLACES if scene.kind not in ("house", "car") else (*words.OUTDOORS, "plain")
        place = other(places, scene.place)
        beginnings = ("put it", f"put the {scene.kind}", "show it", "change the background, put it")
        asked = (
            *(f"{beginning} {words.PLACE_PHRASES[place]}" for beginning in beginnings),
            *(f"put it {phrase}" for phrase in words.PLACE_ALSO[place]),
        )
        made.append(Edit("place", asked, replace(scene, place=place, castle=False)))
        groups = (words.PEOPLE, words.ANIMALS, words.THINGS)
        kin = next((group for group in groups if scene.kind in group), ("house", "car"))
        kind = other(kin, scene.kind)
        name = words.KIND_NAMES[kind]
        asked = (
            f"turn the {scene.kind} into a {name}", f"replace the {scene.kind} with a {name}",
            f"change the {scene.kind} to a {name}", f"make the {scene.kind} a {name}",
        )  # fmt: skip
        made.append(Edit("kind", asked, replace(scene, kind=kind)))
    if scene.place in words.OUTDOORS:
        off = ("remove the castle", "take the castle away", "take away the castle")
        on = ("put a castle in the background", "add a castle", "add a castle in the background")
        made.append(Edit("castle", off if scene.castle else on, replace(scene, castle=not scene.castle)))
    return made + (_dressing(scene) if scene.kind in (*words.PEOPLE, *words.ANIMALS) else [])


def _dressing(scene: Scene) -> list[Edit]:
    """Accessories on and off, feelings, the panda mask."""
    made: list[Edit] = []
    asked: tuple[str, ...]
    who = {"woman": "her", "man": "him"}.get(scene.kind, f"the {scene.kind}")
    fit = words.ACCESSORIES if scene.kind in words.PEOPLE else words.ACCESSORIES[:3]
    for accessory in fit:
        name = words.ACCESSORY_NAMES[accessory]
        bare = name.removeprefix("a ").removeprefix("an ")
        if accessory in scene.accessories:
            rest = tuple(word for word in scene.accessories if word != accessory)
            asked = (f"remove the {bare}", f"take off the {bare}", f"take the {bare} off", f"take away the {bare}")
            made.append(Edit("worn", asked, replace(scene, accessories=rest)))
        elif not (scene.mask and accessory in ("hat", "sunglasses")) and not (
            accessory == "suitcase" and is_close(scene)
        ):
            both = tuple(word for word in words.ACCESSORIES if word in (*scene.accessories, accessory))
            asked = (f"add {name}", f"give {who} {name}", f"put on {name}", f"let {who} have {name}")
            made.append(Edit("worn", asked, replace(scene, accessories=both)))
    for mood, word in (("joy", "happy"), ("sadness", "sad")):
        if mood != scene.mood and not scene.mask:
            asked = (f"make {who} {word}", f"make the {scene.kind} {word}", f"make {who} look {word}")
            made.append(Edit("mood", tuple(dict.fromkeys(asked)), replace(scene, mood=mood)))
    if scene.kind in words.PEOPLE:
        bare_head = tuple(word for word in scene.accessories if word not in ("hat", "sunglasses"))
        after = replace(scene, mask=not scene.mask, accessories=scene.accessories if scene.mask else bare_head)
        on = ("add a panda mask", "put on a panda mask", f"give {who} a panda mask")
        off = ("remove the mask", "take off the mask", "take the mask off")
        made.append(Edit("mask", off if scene.mask else on, after))
    return made
