"""Pictures as programs send and take them: base64 with and without its prefix, raw bytes, other formats than PNG."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from PIL import Image, ImageOps

from easel.errors import EaselError
from easel.images import open_picture
from easel.models.catalog import listing
from easel.web import gate, uploads
from easel.web.models import Upload

FORMATS = {"png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}
DRAWS = "text-to-image"
MOST_SIDE = 2048
"""Pixels of a side that is drawn, at most."""


def from_base64(text: Any) -> bytes:
    """The bytes in base64, with or without `data:...;base64,` before it. Raises EaselError on what is none."""
    if not isinstance(text, str) or not text:
        raise EaselError("a picture is missing: send it as base64")
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise EaselError("a picture is no base64") from None


def put_in(person: Any, content: bytes, name: str) -> Upload:
    """Keep a picture that came within a call; the same one of the same person once, however often it comes."""
    key = hashlib.sha256(f"{person.pk} {name} ".encode() + content).hexdigest()[:16]
    for _ in range(2):
        known = Upload.objects.filter(pk=key, owner=person).first()
        if known is not None and Path(known.place).is_file():
            return known
        if known is not None:
            known.delete()
        try:
            return uploads.take_file(person, SimpleUploadedFile(name, content), key)
        except IntegrityError:  # it came twice in the same moment
            continue
    raise EaselError("this picture is being put in and taken away at the same time: send it again")


def opened(text: Any, name: str, ground: str = "white") -> Image.Image:
    """The picture in base64, RGB and upright. Raises EaselError that begins with `name`."""
    try:
        content = from_base64(text)
        with tempfile.NamedTemporaryFile(dir=Path(settings.FOLDER) / "uploads", prefix=".", suffix=".part") as file:
            file.write(content)
            file.flush()
            return open_picture(file.name, ground=ground)
    except EaselError as problem:
        words = re.sub(r"\S*\.part\b", "this", str(problem))
        raise EaselError(words if words.startswith(f"{name}:") else f"{name}: {words}") from problem


def kept(person: Any, image: Image.Image, name: str) -> str:
    """Put a picture in; how a recipe names it."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return str(put_in(person, stream.getvalue(), name).place)


def png_base64(image: Image.Image) -> str:
    """A picture as PNG in base64."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def brought(image: Image.Image, size: tuple[int, int], mode: int) -> Image.Image:
    """A picture at a size as A1111's resize modes have it: 0 stretches, 1 crops, 2 fills with the outermost pixels.

    Raises EaselError on others, and on a size that cannot be.
    """
    width, height = size
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE):
        raise EaselError(f"width and height: are {width} and {height}: must be from 1 to {MOST_SIDE}")
    if mode == 0:
        return image.resize(size, Image.Resampling.LANCZOS)
    if mode == 1:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if mode != 2:
        raise EaselError("resize_mode: use 0 (stretch), 1 (crop) or 2 (fill)")
    inner = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    left, top = (width - inner.width) // 2, (height - inner.height) // 2
    whole = inner.crop((0, 0, 1, 1)).resize(size)
    for box, place in (
        ((0, 0, inner.width, 1), (0, 0, width, top)),
        ((0, inner.height - 1, inner.width, inner.height), (0, top + inner.height, width, height)),
        ((0, 0, 1, inner.height), (0, 0, left, height)),
        ((inner.width - 1, 0, inner.width, inner.height), (left + inner.width, 0, width, height)),
    ):
        across, down = place[2] - place[0], place[3] - place[1]
        if across > 0 and down > 0:
            whole.paste(inner.crop(box).resize((across, down)), place)
    whole.paste(inner, (left, top))
    return whole


def as_base64(path: Path, form: str = "png", quality: int = 90) -> str:
    """A picture's file as base64: as it is, with its recipe, or written anew as `form`."""
    return base64.b64encode(as_bytes(path, form, quality)).decode()


def as_bytes(path: Path, form: str = "png", quality: int = 90) -> bytes:
    """A picture's file as it is, or written anew as `form` with `quality` from 0 to 100."""
    content = path.read_bytes()
    if form == "png" and path.suffix == ".png":
        return content
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        picture.convert("RGB").save(stream, FORMATS[form], quality=quality)
    return stream.getvalue()


def mask_from_alpha(content: bytes) -> bytes:
    """OpenAI's mask as easel's: what is fully clear there is changed, so it is white here. One without alpha stays."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if not picture.has_transparency_data:
                return content
            alpha = picture.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError) as problem:
        raise EaselError("the mask is no picture that easel reads") from problem
    stream = io.BytesIO()
    alpha.point(lambda value: 255 if value == 0 else 0).save(stream, "PNG")
    return stream.getvalue()


def drawing_models(person: Any) -> list[str]:
    """Names of the models at hand that draw from words."""
    rows = [row for row in listing.rows() if row.at_hand and DRAWS in row.roles]
    return [row.name for row in rows if gate.is_model(row.name, person)]
