"""Which control maps an edit follows: those that were asked for, and the method's own."""

from __future__ import annotations

from easel.images import open_picture
from easel.jobs.steering import WantedMap
from easel.models.diffusion import maps
from easel.recipes.edit import Edit, control_parts
from easel.recipes.knobs import listed


def wanted_maps(recipe: Edit) -> list[WantedMap]:
    """The controls of a recipe whose method is chosen; ready maps are opened. EaselError on what does not open."""
    method = recipe.method.removeprefix("adapter-")
    if method not in maps.KINDS:
        return []
    found = []
    for text in recipe.control:
        kind, file, scale = control_parts(text)
        ready = open_picture(file, ground="black") if file else None
        found.append(WantedMap(kind or method, ready, recipe.control_scale if scale is None else scale))
    if all(one.kind != method for one in found):
        found.insert(0, WantedMap(method, None, recipe.control_scale))
    return found


def beside_note(recipe: Edit) -> str:
    """What a person should know who gave maps of other kinds than the method's: '' where none or one of its own."""
    method = recipe.method.removeprefix("adapter-")
    kinds = [control_parts(text).kind or method for text in recipe.control]
    if not kinds or method in kinds or method not in maps.KINDS:
        return ""
    given = listed(list(dict.fromkeys(kinds)))
    return f"{method} was made from the photo and followed beside {given}: --method {kinds[0]} follows the given alone"
