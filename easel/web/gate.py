"""What a person's recipe may name: words, models of the catalogue, what they put in, and what their own jobs made.

A recipe that comes from a browser or a program opens no other file. Every text in it must be of a known nature (see the
marks in `easel.recipes.knobs`); what has none is refused, so that a new setting cannot be forgotten here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from easel.errors import EaselError, shortened
from easel.models.catalog.tables import ROWS
from easel.models.catalog.trained_folders import is_trained
from easel.recipes import Recipe
from easel.recipes.base import chosen_from
from easel.recipes.describe import bare
from easel.recipes.knobs import IsModel, IsPath, IsWords, NamesFile
from easel.web.forms import marks_of
from easel.web.models import DONE, Job, Pull, Upload

WORD = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""A word that names no file, such as `builtin`."""
JOB = re.compile(r"[a-z-]+-(\d{1,18})")
ADVICE = "put the file in first, or name a picture that you made"


def own(rows: Any, person: Any) -> Any:
    """Of these rows what this person may see: their own; the owner sees all."""
    return rows if person.is_superuser else rows.filter(owner=person)


def refusals(recipe: Recipe, person: Any) -> dict[str, str]:
    """What a recipe names that this person may not: by setting, in words. Empty where all is well."""
    wrong: dict[str, str] = {}
    parts = recipe.parts()
    for part in parts:
        for name, problem in refusals(part, person).items():
            wrong.setdefault(name, problem)
    for name in type(recipe).model_fields:
        value = getattr(recipe, name)
        if _is_nested(value) and not parts:
            wrong.setdefault(name, "cannot be set here")
        texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
        for text in texts:
            if isinstance(text, str) and (problem := _refusal(type(recipe), name, text, person)):
                wrong.setdefault(name, problem)
    return wrong


def _is_nested(value: Any) -> bool:
    """Whether a value holds others by name."""
    return bool(value) and (isinstance(value, dict) or (isinstance(value, tuple) and any(map(_is_nested, value))))


def admitted(recipe: Recipe, person: Any) -> Recipe:
    """The recipe. Raises EaselError where it names what this person may not."""
    for name, problem in refusals(recipe, person).items():
        raise EaselError(f"{name}: {problem}")
    return recipe


def _refusal(kind: type[Recipe], name: str, text: str, person: Any) -> str:
    """Why a text may not stand in a setting; '' where it may."""
    if "\x00" in text:
        return "holds a character that is no text (NUL)"
    if name in {"kind", "easel"} or _is_choice(kind, name):
        return ""
    marks = marks_of(kind, name)
    if any(isinstance(mark, IsModel) for mark in marks):
        return (
            ""
            if is_model(text, person)
            else f"no model called '{shortened(text)}': choose one of those on the page Models"
        )
    if any(isinstance(mark, IsPath) for mark in marks):
        return "" if _is_file(text, person) else f"is '{shortened(text)}', which is no file of yours: {ADVICE}"
    holder = next((mark for mark in marks if isinstance(mark, NamesFile)), None)
    if holder is not None:
        file = holder.file(text)
        return (
            ""
            if not file or _is_file(file, person)
            else f"names '{shortened(file)}', which is no file of yours: {ADVICE}"
        )
    if any(isinstance(mark, IsWords) for mark in marks):
        return ""
    return "cannot be set here"


def _is_choice(kind: type[Recipe], name: str) -> bool:
    form = bare(kind.model_fields[name].annotation)
    return bool(chosen_from(form)) and all(part is not str for part in (form, *get_args(form)))


def _is_file(text: str, person: Any) -> bool:
    """Whether a text is a file or folder of this person's, or a word that names no file at all."""
    if WORD.fullmatch(text):
        return not os.path.lexists(text)
    return own_path(text, person) is not None


def is_model(text: str, person: Any) -> bool:
    """Whether a text is a word of the catalogue, a hub id fetched here, a model that this person trained, or weights
    that they put in.
    """
    if text in ROWS or (text.isprintable() and Pull.objects.filter(name=text, state=DONE).exists()):
        return True
    path = own_path(text, person)
    return path is not None and ((path.is_file() and path.suffix == ".safetensors") or _is_made_here(path))


def _is_made_here(path: Path) -> bool:
    return path.parts[0] == "out" and path.is_dir() and is_trained(path)


def own_path(text: str, person: Any) -> Path | None:
    """The file or folder that a reference names, from the studio's folder: `uploads/ID/NAME[/NAME]` or
    `out/KIND-ID[/NAME]`.

    None where it is not there, leads elsewhere, or is another person's. The owner sees all.
    """
    if "\x00" in text or "\\" in text or len(text) > 1000 or not text.startswith(("uploads/", "out/")):
        return None
    parts = PurePosixPath(text).parts
    if any(part.startswith(".") for part in parts) or len(parts) < 2:
        return None
    if parts[0] == "uploads":
        mine = Upload.objects.filter(pk=parts[1]) if len(parts) > 2 else Upload.objects.none()
    else:
        number = JOB.fullmatch(parts[1])
        mine = Job.objects.filter(pk=int(number[1]), kind=parts[1].rpartition("-")[0]) if number else Job.objects.none()
    if not person.is_superuser:
        mine = mine.filter(owner=person)
    row = mine.first()
    if row is None or (isinstance(row, Upload) and (row.name != parts[2] or (len(parts) > 3 and not row.is_folder))):
        return None
    path = Path(*parts)
    top = Path(*parts[:2])
    try:
        whole = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return path if whole.is_relative_to(top.resolve()) else None


def job_of(place: str) -> Job | None:
    """The job whose folder a path from the studio's folder lies in; None where it is in none."""
    parts = PurePosixPath(place).parts
    number = JOB.fullmatch(parts[1]) if len(parts) > 1 and parts[0] == "out" else None
    return Job.objects.filter(pk=int(number[1]), kind=parts[1].rpartition("-")[0]).first() if number else None
