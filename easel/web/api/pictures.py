"""Pictures as programs send and take them: base64 with and without its prefix, raw bytes, other formats than PNG."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from easel.errors import EaselError
from easel.models.catalog import listing
from easel.web import gate, uploads
from easel.web.models import Upload

FORMATS = {"png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}
DRAWS = "text-to-image"


def from_base64(text: Any) -> bytes:
    """The bytes in base64, with or without `data:...;base64,` before it. Raises EaselError on what is none."""
    if not isinstance(text, str) or not text:
        raise EaselError("a picture is missing: send it as base64")
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise EaselError("a picture is no base64") from None


def put_in(person: Any, content: bytes, name: str) -> Upload:
    """Keep a picture that came within a call."""
    return uploads.take_file(person, SimpleUploadedFile(name, content))


def as_base64(path: Path, form: str = "png", quality: int = 90) -> str:
    """A picture's file as base64: as it is, with its recipe, or written anew as `form`."""
    return base64.b64encode(as_bytes(path, form, quality)).decode()


def as_bytes(path: Path, form: str = "png", quality: int = 90) -> bytes:
    """A picture's file as it is, or written anew as `form` with `quality` from 0 to 100."""
    content = path.read_bytes()
    if form == "png":
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
