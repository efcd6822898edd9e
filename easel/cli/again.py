"""`easel again`: a picture carries its recipe, so it can be made again and compared.

A1111's text in a picture of its own is read as a recipe too, as far as it goes.
"""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from PIL import Image, ImageChops, ImageStat

from easel import runners
from easel.cli import progress
from easel.errors import EaselError, printable, shortened
from easel.images import open_picture
from easel.provenance import MadeBy, read_provenance, settings_in, with_places
from easel.recipes import Recipe, read_yaml, recipe_from
from easel.version import __version__

Flag = Parameter(negative=(), show_default=False)
MOST_NAMED = 20


def again(  # noqa: PLR0913 - one parameter is one flag
    picture: Annotated[Path, Parameter(help="A PNG that easel made, or A1111's web UI.")],
    /,
    *,
    photo: Annotated[Path | None, Parameter(help="Where the photo it was made from is now.")] = None,
    model: Annotated[str | None, Parameter(help="Model that draws. [default: as it was made]")] = None,
    out: Annotated[Path | None, Parameter(help="Folder for the new run.")] = None,
    device: Annotated[str | None, Parameter(help="Where to compute. [default: as it was made]")] = None,
    dtype: Annotated[str | None, Parameter(help="Number format. [default: as it was made]")] = None,
    json: Annotated[bool, Flag, Parameter(help="Print the comparison as JSON.")] = False,
    quiet: Annotated[bool, Flag, Parameter(help="No progress.")] = False,
) -> None:
    """Make a picture again from the recipe inside it, and report how far the new pixels are from the old ones."""
    old = open_picture(picture)
    changes = {name: str(value) for name, value in (("photo", photo), ("model", model)) if value is not None}
    recipe, made = recipe_in(picture, changes)
    wanted = device or _word(made, "device", picture), dtype or _word(made, "dtype", picture)
    with progress.watching(quiet=quiet) as report:
        result = runners.run(recipe, out, *wanted, report)
    if len(result.picture_paths) != 1:
        raise EaselError(
            f"the recipe in {picture} made {len(result.picture_paths)} pictures, not one: see {result.folder}"
        )
    where = {"picture": str(result.picture_paths[0])}
    if "left_out" in made:  # another program's text, and another model: nothing to compare
        if json:
            print(json_module.dumps(where | {"left_out": made["left_out"]}, indent=2))
        else:
            _tell_left_out(made["left_out"], where["picture"])
        return
    found = compared(old, result.images[0]) | where
    differing = {
        key: f"{value} then, {result.versions[key]} now"
        for key, value in _versions(made).items()
        if result.versions.get(key, value) != value
    }
    if json:
        print(json_module.dumps(found | {"versions_differ": differing}, indent=2))
        return
    _tell(found, differing)


def recipe_in(picture: Path, changes: dict[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe inside a PNG, with `changes`, and what it was made with; of A1111's text, what was "left_out" of it.

    Raises EaselError when there is none.
    """
    said = read_provenance(picture)
    found, other, text = said.get("easel"), said.get("made_by"), said.get("parameters")
    if isinstance(other, MadeBy):
        words = "" if other.prompt is None else f": '{shortened(other.prompt, 200)}'"
        raise EaselError(f"{picture} was made by {other.tool}{words}; easel cannot repeat it")
    if found is None and text is not None:
        values, left_out = settings_in(text)
        if "model" not in changes:
            raise EaselError(
                f"{picture} holds no easel recipe, but A1111's text: '{shortened(values['prompt'], 200)}': give "
                "--model NAME to draw that, as far as it goes"
            )
        return recipe_from({"easel": __version__} | values | changes, place=f"{picture}: "), {"left_out": left_out}
    if not isinstance(found, dict) or not isinstance(found.get("recipe"), dict):
        raise EaselError(f"{picture} holds no easel recipe: it cannot be made again")
    values = with_places(found["recipe"], _whole(picture))
    source = values.get("photo")
    if isinstance(source, str) and not _is_file(Path(source)) and _is_file(picture.parent / source):
        values["photo"] = str(picture.parent / source)
    recipe = recipe_from(values | changes, place=f"{picture}: ")
    refuse_more_than_one(recipe, picture)
    source = getattr(recipe, "photo", None)
    if source is not None and not _is_file(Path(source)):
        raise EaselError(f"{picture} was made from {shortened(source, 200)}, which is not here: say where with --photo")
    return recipe, found


def _whole(picture: Path) -> dict[str, Any]:
    """The recipe of the run that a picture lies in, which has the places that the picture keeps to itself."""
    for folder in (picture.absolute().parent, picture.absolute().parent.parent):
        try:
            return read_yaml(folder / "recipe.yaml").plain()
        except EaselError:
            continue
    return {}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def refuse_more_than_one(recipe: Recipe, picture: Path) -> None:
    """Raise EaselError on a recipe that is not of one picture alone: a stranger's picture must not start a training."""
    many = [f"{name} {getattr(recipe, name)}" for name in ("count", "prompts", "walk") if getattr(recipe, name, None)]
    if not recipe.repeatable or (many and many != ["count 1"]):
        what = f"kind {recipe.kind}" + (f" with {many[-1]}" if recipe.repeatable else "")
        raise EaselError(
            f"the recipe in {picture} is of {what}, and not of one picture: if you trust it, save it as a YAML file "
            "and use  easel run FILE"
        )


def compared(old: Image.Image, new: Image.Image) -> dict[str, Any]:
    """Largest and mean absolute difference of two RGB pictures, in levels of 255; 0 is identical."""
    if old.size != new.size:
        sizes = [f"{width} x {height}" for width, height in (old.size, new.size)]
        raise EaselError(f"the picture was {sizes[0]} and is now {sizes[1]}: it cannot be compared")
    difference = ImageChops.difference(old.convert("RGB"), new.convert("RGB"))
    largest = max(high for _, high in difference.getextrema())  # type: ignore[misc]
    means = ImageStat.Stat(difference).mean
    return {"max": int(largest), "mean": round(sum(means) / len(means), 6)}


def _word(made: dict[str, Any], name: str, picture: Path) -> str:
    """What a picture says of the device or the number format it was made with. Raises EaselError on what is no word."""
    found = made.get(name, "auto")
    if not isinstance(found, str):
        raise EaselError(f"{picture}: its {name} is {shortened(repr(found))}, which is no name: say it with --{name}")
    return found


def _versions(made: dict[str, Any]) -> dict[str, str]:
    found = made.get("versions")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _tell(found: dict[str, Any], differing: dict[str, str]) -> None:
    print(f"pixel difference: max {found['max']}, mean {found['mean']:g} of 255 (0 = identical)")
    if found["max"] and differing:
        print(printable("made with other versions: " + "; ".join(f"{key} {value}" for key, value in differing.items())))
    elif found["max"]:
        print("the versions are the same: the machine, device or number format differs, or the photo changed")
    print(printable(f"written to {found['picture']}"))


def _tell_left_out(left_out: list[str], picture: str) -> None:
    said = "; ".join(shortened(one, 100) for one in left_out[:MOST_NAMED])
    more = f"; and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
    print(printable(f"drawn from A1111's text; left out: {said or 'nothing'}{more}"))
    print("another model, or noise that A1111 draws on a GPU, makes another picture of the same words")
    print(printable(f"written to {picture}"))
