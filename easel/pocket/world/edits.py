"""Edit pairs: an instruction and the scene after it; everything else of the scene stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from easel.pocket.world import words
from easel.pocket.world.scene import Scene
from easel.pocket.world.stage import is_close


@dataclass(frozen=True)
class Edit:
    """What to do, in words, and the scene when it is done."""

    instruction: str
    after: Scene


def edit_pairs(scene: Scene) -> list[Edit]:
    """All kinds of edits that fit the scene, one of each."""
    rng = np.random.default_rng([scene.seed, 6])

    def other(known: tuple[str, ...], true: str) -> str:
        rest = [word for word in known if word != true]
        return rest[int(rng.integers(len(rest)))]

    what = {"woman": "dress", "man": "coat", "room": "bed", "vase": "vase", "fruit": "bowl"}.get(scene.kind, scene.kind)
    colour, style = other(words.COLOURS, scene.colour), other(tuple(words.STYLE_PHRASES)[1:], scene.style)
    made = [Edit(f"make the {what} {colour}", replace(scene, colour=colour))]
    for time, instruction in (("night", "make it night"), ("sunset", "make it sunset"), ("day", "make it day")):
        if time != scene.time and scene.light not in ("night", "sunset"):
            made.append(Edit(instruction, replace(scene, time=time)))
    if scene.style == "plain":
        phrase = words.STYLE_PHRASES[style]
        made.append(
            Edit(f"make it {phrase}" if phrase.startswith("in ") else f"draw it {phrase}", replace(scene, style=style))
        )
    if scene.light == "none" and scene.place in words.OUTDOORS and scene.place != "moon":
        made.append(Edit("make it foggy", replace(scene, light="fog")))
        made.append(Edit("make it winter", replace(scene, light="winter")))
    if scene.kind != "room":
        places = words.PLACES if scene.kind not in ("house", "car") else (*words.OUTDOORS, "plain")
        place = other(places, scene.place)
        made.append(Edit(f"put it {words.PLACE_PHRASES[place]}", replace(scene, place=place, castle=False)))
        kin = next(
            (group for group in (words.PEOPLE, words.ANIMALS, words.THINGS) if scene.kind in group), ("house", "car")
        )
        kind = other(kin, scene.kind)
        made.append(Edit(f"turn the {scene.kind} into {_a(words.KIND_NAMES[kind])}", replace(scene, kind=kind)))
    if scene.place in words.OUTDOORS:
        instruction = "remove the castle" if scene.castle else "put a castle in the background"
        made.append(Edit(instruction, replace(scene, castle=not scene.castle)))
    return made + (_dressing(scene) if scene.kind in (*words.PEOPLE, *words.ANIMALS) else [])


def _a(name: str) -> str:
    return f"a {name}"


def _dressing(scene: Scene) -> list[Edit]:
    """Accessories on and off, feelings, the panda mask."""
    made = []
    fit = words.ACCESSORIES if scene.kind in words.PEOPLE else words.ACCESSORIES[:3]
    for accessory in fit:
        name = words.ACCESSORY_NAMES[accessory]
        if accessory in scene.accessories:
            rest = tuple(word for word in scene.accessories if word != accessory)
            made.append(
                Edit(f"remove the {name.removeprefix('a ').removeprefix('an ')}", replace(scene, accessories=rest))
            )
        elif not (scene.mask and accessory in ("hat", "sunglasses")) and not (
            accessory == "suitcase" and is_close(scene)
        ):
            both = tuple(word for word in words.ACCESSORIES if word in (*scene.accessories, accessory))
            made.append(Edit(f"add {name}", replace(scene, accessories=both)))
    for mood, word in (("joy", "happy"), ("sadness", "sad")):
        if mood != scene.mood and not scene.mask:
            who = {"woman": "her", "man": "him"}.get(scene.kind, f"the {scene.kind}")
            made.append(Edit(f"make {who} {word}", replace(scene, mood=mood)))
    if scene.kind in words.PEOPLE:
        bare = tuple(word for word in scene.accessories if word not in ("hat", "sunglasses"))
        after = replace(scene, mask=not scene.mask, accessories=scene.accessories if scene.mask else bare)
        made.append(Edit("remove the mask" if scene.mask else "add a panda mask", after))
    return made
