"""The index over what was made: a row a picture, a row a score; and the small copies that pages show."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path
from typing import Any

from django.db import transaction
from PIL import Image

from easel.errors import EaselError, shortened
from easel.files import write_atomic
from easel.images import open_picture
from easel.provenance import read_provenance
from easel.result import Result
from easel.web import queue
from easel.web.models import Job, Number, Picture

THUMB_SIDE = 640
"""Pixels of a small copy's longer side."""
PREVIEW_SIDE = 768
QUALITY = 82


def write_index(job: Job, worker: str, result: Result) -> bool:
    """Write a run's pictures and scores into the tables, and end the job, all or nothing; whether it was still ours."""
    rows = [(row, picture_row(job, result, row)) for row in result.pictures]
    with transaction.atomic():
        if not queue.finish(job, worker):
            return False
        Picture.objects.filter(job=job).delete()
        for name, row in rows:
            row.save()
            Number.objects.bulk_create(
                Number(
                    picture=row,
                    name=score.name,
                    value=score.value,
                    low=score.low,
                    high=score.high,
                    n=score.n,
                    judge=score.judge,
                )
                for score in result.scores
                if score.of == name
            )
        return True


def picture_row(job: Job, result: Result, name: str) -> Picture:
    """One picture as the gallery finds it: by the words of its own recipe where it carries one, else by the run's."""
    path = job.folder / name
    recipe = recipe_in(path) or job.settings
    said = [text for key, text in result.texts.items() if key in {name, "caption"} or len(result.texts) == 1]
    with Image.open(path) as picture:
        width, height = picture.size
    words = [*map(str, _leaves(recipe)), *said, name]
    title = next((str(recipe[key]) for key in ("prompt", "styles", "style") if recipe.get(key)), name)
    return Picture(
        job=job,
        owner_id=job.owner_id,
        name=name,
        width=width,
        height=height,
        words=" ".join(words).casefold(),
        title=shortened(title.strip("[]'"), 200),
        model=shortened(recipe.get("model", ""), 200),
        kind=job.kind,
        made=queue.clock(),
    )


def recipe_in(path: Path) -> dict[str, Any] | None:
    """The recipe that a picture carries; None where it has none that reads."""
    with contextlib.suppress(EaselError):
        found = read_provenance(path).get("easel")
        if isinstance(found, dict) and isinstance(found.get("recipe"), dict):
            recipe: dict[str, Any] = found["recipe"]
            return recipe
    return None


def _leaves(value: Any) -> list[Any]:
    """Every text in plain values."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() if key != "easel" for leaf in _leaves(part)]
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value] if isinstance(value, str) else []


def save_preview(job: Job, picture: Image.Image) -> None:
    """Keep the picture of a run under way for its page; a full disk does not end the run."""
    with contextlib.suppress(EaselError, OSError, ValueError):
        write_atomic(preview_path(job), small(picture, PREVIEW_SIDE))


def preview_path(job: Job) -> Path:
    """Where a job's preview lies."""
    return Path("previews") / f"{job.pk}.webp"


def thumbnail(path: Path) -> Path:
    """The small copy of a picture, made once for each state of the file. Raises EaselError on what is no picture."""
    found = path.stat()
    name = file_safe(f"{path.parent.as_posix()}/{path.name}-{found.st_mtime_ns}-{found.st_size}")
    place = Path("thumbs") / name[:2] / f"{name}.webp"
    if not place.exists():
        write_atomic(place, small(open_picture(path, THUMB_SIDE), THUMB_SIDE))
    return place


def file_safe(text: str) -> str:
    """A name for a file, from any text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def small(picture: Image.Image, side: int) -> bytes:
    """A WebP of a picture whose longer side is `side` pixels at most."""
    copy = picture.convert("RGB")
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    copy.save(stream, "WEBP", quality=QUALITY)
    return stream.getvalue()
