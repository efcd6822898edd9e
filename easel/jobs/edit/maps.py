"""Which control maps an edit follows: those that were asked for, and the method's own."""

from __future__ import annotations

from easel.images import open_picture
from easel.jobs.steering import WantedMap
from easel.models.diffusion import maps
from easel.recipes.edit import Edit, control_parts


def wanted_maps(recipe: Edit) -> list[WantedMap]:
    """The controls of a recipe whose method is chosen; ready maps are opened. EaselError on what does not open."""
    method = recipe.method.removeprefix("adapter-")
    if method not in maps.KINDS:
        return []
    found = []
    for text in recipe.control:
        kind, file, scale = control_parts(text)
        ready = open_picture(file) if file else None
        found.append(WantedMap(kind or method, ready, recipe.control_scale if scale is None else scale))
    if all(one.kind != method for one in found):
        found.insert(0, WantedMap(method, None, recipe.control_scale))
    return found
