"""ControlNet as A1111's extension has it: units within a call, and lists and maps under /controlnet/.

A unit becomes a map of a recipe (`edit --method canny`): easel's own maps under their own names, at the size of the
picture, and any network of the catalogue that is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from PIL import Image

from easel.errors import EaselError, nearest, shortened
from easel.images import size_of
from easel.models.catalog import listing
from easel.models.catalog.tables import ROWS
from easel.recipes import recipe_from
from easel.recipes.knobs import CONTROLS
from easel.web.api import asked, pictures, waiting
from easel.web.api.a1111_view import a1111_view

MODULES = {"none": "", "canny": "canny", "depth": "depth", "scribble_xdog": "scribble"}
"""What makes a map of a picture, by the extension's names -> easel's kinds; '' is that the picture is a map already."""
VERSION = 2
"""Of the extension's API that this is."""
BALANCED = frozenset({"balanced", "0"})
FITS = {"just resize": 0, "crop and resize": 1, "resize and fill": 2, "0": 0, "1": 1, "2": 2}
USUAL_LOW, USUAL_HIGH = 100, 200
"""Canny's thresholds where none are said, as the extension has them."""


@dataclass(frozen=True)
class Unit:
    """One unit of a call, in easel's words."""

    image: str
    kind: str
    is_ready: bool
    model: str
    """A word of the catalogue; '' is the network that goes with the model that draws."""
    weight: float
    start: float
    end: float
    fit: int
    low: float
    high: float


def units(body: dict[str, Any]) -> list[Unit]:
    """The units of a call that are on. Raises EaselError on what easel cannot follow."""
    scripts = asked.pairs(body, "alwayson_scripts")
    form = next((form for name, form in scripts.items() if name.casefold() == "controlnet"), None)
    rows = form.get("args") if isinstance(form, dict) else form
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise EaselError("alwayson_scripts: ControlNet has a list of units as its args")
    return [unit(row) for row in rows if asked.flag(row, "enabled", usual=True)]


def unit(row: dict[str, Any]) -> Unit:
    """One unit."""
    module, model = asked.text(row, "module", "none").casefold(), asked.text(row, "model", "None")
    if module not in MODULES:
        raise EaselError(f"ControlNet: no module called '{shortened(module)}': {nearest(module, MODULES)}")
    name = "" if model.casefold() in {"none", ""} else network(model)
    of_model = next((kind for kind in CONTROLS if kind in name.split("-")), "")
    kind = MODULES[module] or of_model
    if not kind:
        raise EaselError("ControlNet: say by module or model what the map shows")
    if of_model and of_model != kind:
        raise EaselError(f"ControlNet: {name} reads {of_model} maps, and the module {module} makes {kind} ones")
    if str(row.get("control_mode", "Balanced")).casefold() not in BALANCED:
        raise EaselError("ControlNet: control_mode: easel has Balanced alone")
    if row.get("mask") or row.get("mask_image"):
        raise EaselError("ControlNet: mask: easel follows a map everywhere: leave it out")
    fit = FITS.get(str(row.get("resize_mode", "Crop and Resize")).casefold())
    if fit is None:
        raise EaselError("ControlNet: resize_mode: use Just Resize, Crop and Resize or Resize and Fill")
    image = row.get("image") or row.get("input_image") or ""
    image = image.get("image", "") if isinstance(image, dict) else image
    low, high = thresholds(row, "threshold_a", "threshold_b")
    return Unit(
        image=image,
        kind=kind,
        is_ready=not MODULES[module],
        model=name,
        weight=asked.number(row, "weight", 1.0),
        start=asked.share(row, "guidance_start", 0.0),
        end=asked.share(row, "guidance_end", 1.0),
        fit=fit,
        low=low,
        high=high,
    )


def thresholds(row: dict[str, Any], first: str, second: str) -> tuple[float, float]:
    """Canny's thresholds; less than 0 is that none is said."""
    low, high = asked.number(row, first, -1), asked.number(row, second, -1)
    return (USUAL_LOW if low < 0 else low), (USUAL_HIGH if high < 0 else high)


def network(model: str) -> str:
    """The catalogue's word for a network by its own name or its file's, 'control_v11p_sd15_canny [d14c016b]'. Raises
    EaselError where there is none.
    """
    word = model.partition(" [")[0].strip().casefold()
    for row in networks():
        if word in {row.name, *(source.rpartition("/")[2].casefold() for source in row.sources)}:
            return row.name
    names = [row.name for row in networks() if row.at_hand]
    raise EaselError(f"ControlNet: no model called '{shortened(model)}': {nearest(word, names)}")


def networks() -> list[listing.Info]:
    """The catalogue's ControlNets and T2I-Adapters."""
    return [row for row in listing.rows() if row.name in ROWS and {"controlnet", "adapter"} & set(row.roles)]


def steered(person: Any, given: list[Unit], size: tuple[int, int], photo: Image.Image | None = None) -> dict[str, Any]:
    """The settings of an edit that follows these units in a picture of this size; without a photo it starts from noise.

    Maps but those of depth are made here, so that each unit may have its own picture. Raises EaselError.
    """
    if len({(one.start, one.end) for one in given}) > 1:
        raise EaselError("ControlNet: guidance_start and guidance_end: easel has the same for all units")
    seen = [_picture(one, size, photo) for one in given]
    measured = [image for one, image in zip(given, seen, strict=True) if not one.is_ready and one.kind == "depth"]
    if any(image.tobytes() != measured[0].tobytes() for image in measured):
        raise EaselError("ControlNet: depth is measured of one picture: give the other unit its map, with module none")
    base = measured[0] if measured else seen[0]
    if measured and photo is not None and base.tobytes() != photo.tobytes():
        raise EaselError("ControlNet: depth is measured of the photo itself: leave the unit's image out")
    controls = []
    for one, image in zip(given, seen, strict=True):
        if one.kind == "depth" and not one.is_ready:
            controls.append(f"depth:{one.weight:g}")
        else:
            map_image = image if one.is_ready else made(one.kind, image, one.low, one.high)
            controls.append(f"{one.kind}={pictures.kept(person, map_image, f'{one.kind}.png')}:{one.weight:g}")
    named = dict.fromkeys(one.model for one in given if one.model)
    method = given[0].kind
    if given[0].model.endswith("-adapter"):
        method = f"adapter-{method}"
    if len(named) > 1 and set(named) - {given[0].model} - _usual(given):
        raise EaselError("ControlNet: only the first unit chooses its model: leave the others' as None")
    made_of = {"photo": pictures.kept(person, base, "photo.png")} if photo is None else {}
    steers = {"control_start": given[0].start, "control_end": given[0].end}
    chosen = {"control_model": given[0].model} if given[0].model else {}
    return made_of | {"method": method, "control": controls} | steers | chosen


def _usual(given: list[Unit]) -> set[str]:
    """The networks that would be taken for the later units anyway: those of the first's family."""
    family = given[0].model.removesuffix("-adapter").removesuffix(f"-{given[0].kind}")
    return {f"{family}-{one.kind}" for one in given[1:]} if family else set()


def _picture(one: Unit, size: tuple[int, int], photo: Image.Image | None) -> Image.Image:
    """The picture of a unit at the size that is drawn: its own, or the photo that is redrawn."""
    if not one.image:
        if photo is None:
            raise EaselError("ControlNet: image is missing: give the unit one")
        return photo
    return pictures.brought(pictures.opened(one.image, "ControlNet: image", ground="black"), size, one.fit)


def made(kind: str, image: Image.Image, low: float, high: float) -> Image.Image:
    """The map of a picture; of depth it is the workers' to make. Raises EaselError."""
    from easel.models.diffusion import maps

    if kind == "canny":
        return maps.canny(image, min(low, high), high)
    return maps.make(kind, image)


# Addresses


@a1111_view("GET")
async def version(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, int]:
    """The version of the extension's API."""
    return {"version": VERSION}


@a1111_view("GET")
async def model_list(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, list[str]]:
    """Networks that are at hand."""
    found = await sync_to_async(networks)()
    return {"model_list": [row.name for row in found if row.at_hand]}


@a1111_view("GET")
async def module_list(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """What makes a map of a picture."""
    return {"module_list": list(MODULES), "module_detail": {name: {"sliders": []} for name in MODULES}}


MOST_DETECTED = 20


@a1111_view("POST")
async def detect(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """The maps of pictures, whose shorter side has `controlnet_processor_res` pixels then."""
    module = asked.text(body, "controlnet_module", "none").casefold()
    if module not in MODULES:
        raise EaselError(f"controlnet_module: no module called '{shortened(module)}': {nearest(module, MODULES)}")
    given = asked.names(body, "controlnet_images") or asked.names(body, "controlnet_input_images")
    if not 1 <= len(given) <= MOST_DETECTED:
        raise EaselError(f"controlnet_images: give 1 to {MOST_DETECTED} pictures")
    side = asked.whole(body, "controlnet_processor_res", 512, 64)
    low, high = thresholds(body, "controlnet_threshold_a", "controlnet_threshold_b")

    def opened(text: Any) -> Image.Image:
        photo = pictures.opened(text, "controlnet_images")
        scale = side / min(size_of(photo))
        width, height = (min(2048, max(64, round(length * scale / 8) * 8)) for length in photo.size)
        return photo.resize((width, height), Image.Resampling.LANCZOS)

    maps = []
    for text in given:
        photo = await sync_to_async(opened)(text)
        if MODULES[module] == "depth":
            maps.append(await depth(request.user, photo))
        elif module == "none":
            maps.append(await sync_to_async(pictures.png_base64)(photo))
        else:
            image = await sync_to_async(made)(MODULES[module], photo, low, high)
            maps.append(await sync_to_async(pictures.png_base64)(image))
    return {"images": maps, "info": "Success"}


async def depth(person: Any, photo: Image.Image) -> str:
    """The depth map of a picture, by way of the queue: an edit of a single step, of which the map is what is wanted."""
    place = await sync_to_async(pictures.kept)(person, photo, "photo.png")
    values = {"kind": "edit", "photo": place, "prompt": "a picture", "caption": "a picture", "method": "depth"}
    values |= {"steps": 1, "show_control": True, "keep_details": "no", "seed": 0}
    values |= {"width": photo.width, "height": photo.height}
    job = await waiting.made(person, recipe_from(values))
    return await sync_to_async(lambda: pictures.as_base64(waiting.maps_of(job)[0]))()
