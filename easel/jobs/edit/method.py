"""Which way an edit goes where nobody said: by what was given, the words, and the model at hand."""

from __future__ import annotations

import re
from typing import cast

from easel.errors import EaselError
from easel.jobs.inputs import model_label
from easel.models.catalog import checks, locate
from easel.models.diffusion.tasks import kind_of_unet
from easel.recipes.edit import Edit, Method, control_parts

ORDERS = re.compile(
    r"(please )?(add|apply|blur|brighten|bring|change|clear|colou?r|convert|cover|crop|cut|darken|delete|draw|dress|"
    r"drop|erase|fill|fix|get|give|have|hide|keep|let|lighten|lower|make|move|open|paint|place|put|raise|recolou?r|redraw|"
    r"remove|replace|restyle|set|show|shut|swap|switch|take|tint|transform|turn|wear|write)\b",
    re.I,
)
"""How an instruction begins."""
FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"


def is_instruction(words: str) -> bool:
    """Whether words tell what to do ("make it night") and do not describe a picture ("a street at night")."""
    return bool(ORDERS.match(words.strip()))


def has_instruct(model: str) -> bool:
    """Whether the model under this name edits by instructions: what its UNet takes says so."""
    try:
        path = locate.find(model, "instruct").path
        if path.is_file():
            return checks.check_file(path)[FIRST_LAYER]["shape"][1] == 8
        homes = locate.homes(path, checks.read_json(path / "model_index.json"), ("unet", "vae"))
        unet, vae = (checks.read_json(home / part / "config.json") for part, home in homes.items())
        return kind_of_unet(int(unet["in_channels"]), int(vae["latent_channels"])) == "instruct"
    except (EaselError, OSError, KeyError, TypeError, ValueError, IndexError):
        return False  # what is wrong with it is said when it is loaded


def reads_descriptions(model: str) -> bool:
    """Whether the name also stands for a model that redraws by a description, beside the one that edits as told."""
    try:
        return locate.find(model, "image-to-image").path != locate.find(model, "instruct").path
    except EaselError:
        return False


def chosen(recipe: Edit) -> tuple[Edit, str]:
    """The recipe with its method, and why that one; '' where it was asked for. EaselError on settings of others."""
    method: Method = recipe.method
    why = ""
    if method == "auto":
        method, why = _auto(recipe)
    picked = recipe.model_copy(update={"method": method})
    return picked.bound(), f"method: {method}, {why}" if why else ""


def _auto(recipe: Edit) -> tuple[Method, str]:
    if recipe.mask is not None and not recipe.control:
        return "inpaint", "since a mask says where"
    if recipe.control:
        named = [kind for kind in (control_parts(text).kind for text in recipe.control) if kind]
        if not named:
            raise EaselError("control: of which kind is the map? Write KIND=FILE, or give --method")
        return cast("Method", named[0]), "since a control map was given"
    name = model_label(recipe.model)
    if has_instruct(recipe.model) and (is_instruction(recipe.prompt) or not reads_descriptions(recipe.model)):
        return "instruct", f"since {name} edits by instructions"
    if is_instruction(recipe.prompt):
        return "redraw", (
            f"since {name} knows no instructions and reads the words as a description: say how the photo should look, "
            "or take --model instruct-pix2pix"
        )
    return "redraw", "since the words describe the picture"
