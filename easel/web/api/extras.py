"""A1111's extras: pictures enlarged by plain resampling, under its names for that. There are no neural upscalers and no
face restorers here, and they are refused in words.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from PIL import Image

from easel.errors import EaselError, nearest, shortened
from easel.web.api import asked, pictures
from easel.web.api.a1111_view import a1111_view

UPSCALERS: dict[str, Image.Resampling | None] = {
    "None": None,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
"""A1111's name -> how its pixels are worked out; 'None' leaves the picture as it is."""
REFUSED = ("gfpgan_visibility", "codeformer_visibility")
MOST_TIMES, MOST_PIXELS, MOST_PICTURES = 8.0, 64_000_000, 100


@a1111_view("POST")
async def single(_request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """One picture, enlarged."""
    return {"html_info": "", "image": await sync_to_async(enlarged)(body, body.get("image"), "image")}


@a1111_view("POST")
async def batch(_request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Several pictures, enlarged alike."""
    rows = asked.names(body, "imageList")
    if not 1 <= len(rows) <= MOST_PICTURES or not all(isinstance(row, dict) for row in rows):
        raise EaselError(f"imageList: give 1 to {MOST_PICTURES} pictures, each with its data and its name")
    images = [await sync_to_async(enlarged)(body, row.get("data"), "imageList") for row in rows]
    return {"html_info": "", "images": images}


def enlarged(body: dict[str, Any], data: Any, name: str) -> str:
    """A picture as a call asks for it, in base64. Raises EaselError on what easel has none of."""
    for word in REFUSED:
        if asked.number(body, word, 0):
            raise EaselError(f"{word}: easel restores no faces: leave it at 0")
    first, second = (by_name(body, word) for word in ("upscaler_1", "upscaler_2"))
    share = asked.share(body, "extras_upscaler_2_visibility", 0.0)
    picture = pictures.opened(data, name)
    made = resized(body, picture, first)
    if second is not None and share > 0:
        made = Image.blend(made, resized(body, picture, second), share)
    return pictures.png_base64(made)


def by_name(body: dict[str, Any], name: str) -> Image.Resampling | None:
    """The resampling that a call names."""
    word = asked.text(body, name, "None") or "None"
    found = next((known for known in UPSCALERS if known.casefold() == word.casefold()), None)
    if found is None:
        raise EaselError(
            f"{name}: easel has no neural upscaler such as '{shortened(word)}': {nearest(word, UPSCALERS)}"
        )
    return UPSCALERS[found]


def resized(body: dict[str, Any], picture: Image.Image, how: Image.Resampling | None) -> Image.Image:
    """The picture so many times as large (resize_mode 0), or to cover a size (1), cropped to it where that is asked."""
    mode = asked.whole(body, "resize_mode", 0)
    if mode not in (0, 1):
        raise EaselError("resize_mode: use 0 (so many times as large) or 1 (to a size)")
    width, height = (asked.whole(body, f"upscaling_resize_{side}", 512, 1) for side in "wh")
    if mode == 0:
        times = asked.number(body, "upscaling_resize", 2.0)
    else:
        times = max(width / picture.width, height / picture.height)
    if not 0 < times <= MOST_TIMES:
        raise EaselError(f"upscaling_resize: is {times:g}: must be above 0 and at most {MOST_TIMES:g} times")
    size = tuple(max(1, round(side * times)) for side in picture.size)
    if size[0] * size[1] > MOST_PIXELS:
        raise EaselError(f"upscaling_resize: {size[0]} x {size[1]} pixels are too many: at most {MOST_PIXELS:,}")
    made = picture if how is None else picture.resize((size[0], size[1]), how)
    if mode == 1 and how is not None and asked.flag(body, "upscaling_crop", usual=True):
        left, top = (made.width - width) // 2, (made.height - height) // 2
        made = made.crop((left, top, left + width, top + height))
    return made
