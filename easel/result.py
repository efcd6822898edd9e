"""What a job hands back: files, texts, and scores that say who judged. Frozen values that read and write as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from easel.errors import EaselError, is_text, shortened
from easel.images import OUR_OWN, open_picture


class Score(BaseModel):
    """One number about one picture or set, never without its judge."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    value: float
    low: float | None = None
    """Lower end of the 95 % interval; None where n is too small for one."""
    high: float | None = None
    n: int = 1
    """How many pictures (or pairs, or answers) the value rests on."""
    judge: str
    """The model that judged, so that numbers of different judges are never mixed."""
    of: str
    """The file, or the set, that the score speaks of."""


class Result(BaseModel):
    """Everything a run made. Names are relative to `folder`; `seconds` are by phase."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    folder: Path | None = None
    pictures: tuple[str, ...] = ()
    """The pictures made, in order."""
    files: tuple[str, ...] = ()
    """Other files: the contact sheet, tables, weights."""
    texts: dict[str, str] = {}
    scores: tuple[Score, ...] = ()
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """All files, from where you stand, the pictures first."""
        return [(self.folder or Path()) / name for name in (*self.pictures, *self.files)]

    @property
    def picture_paths(self) -> list[Path]:
        """The pictures made, from where you stand."""
        return [(self.folder or Path()) / name for name in self.pictures]

    @property
    def images(self) -> list[Image.Image]:
        """The pictures made, opened as RGB."""
        return [open_picture(path) for path in self.picture_paths]

    def to_json(self, *, with_folder: bool = False) -> str:
        """JSON with keys in a fixed order. The folder is left out of the file, so that a moved run stays true."""
        plain = self.model_dump(exclude=None if with_folder else {"folder"})
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=str)
        return (text if is_text(text) else json.dumps(plain, indent=2, allow_nan=False, default=str)) + "\n"

    @classmethod
    def read(cls, folder: str | Path) -> Result:
        """The result of a run from its folder's result.json. Raises EaselError when there is none or it is damaged."""
        folder = Path(folder)
        try:
            text = (folder / "result.json").read_text(encoding="utf-8")
            return _listed(cls.model_validate_json(text)).model_copy(update={"folder": folder})
        except (OSError, UnicodeDecodeError) as problem:
            raise EaselError(f"there is no result.json in {folder}: {shortened(problem)}") from problem
        except ValidationError as problem:
            first = problem.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise EaselError(f"{folder / 'result.json'} is damaged at {place}: {first['msg']}") from problem

    @classmethod
    def joined(cls, parts: Sequence[Result]) -> Result:
        """Several results of one kind as one, in order; seconds are added up. Raises EaselError on mixed kinds."""
        kinds = {part.kind for part in parts}
        if len(kinds) != 1:
            raise EaselError(f"cannot join results of {len(kinds)} kinds ({', '.join(sorted(kinds)) or 'none given'})")
        folder = _common_folder(parts)
        prefixes = [_prefix(part, folder) for part in parts]
        texts: dict[str, str] = {}
        for part, prefix in zip(parts, prefixes, strict=True):
            for key, text in part.texts.items():
                texts[key if texts.get(key, text) == text else prefix + key] = text
        pairs = list(zip(parts, prefixes, strict=True))
        return cls(
            kind=parts[0].kind,
            folder=folder,
            pictures=tuple(prefix + name for part, prefix in pairs for name in part.pictures),
            files=tuple(prefix + name for part, prefix in pairs for name in part.files),
            texts=texts,
            scores=tuple(_moved(score, part, prefix) for part, prefix in pairs for score in part.scores),
            seconds=_added([part.seconds for part in parts]),
            versions={key: value for part in parts for key, value in part.versions.items()},
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        )


def _listed(result: Result) -> Result:
    """A result of version 0.1 listed its pictures among the other files."""
    if "pictures" in result.model_fields_set:
        return result
    made = tuple(name for name in result.files if name.endswith(".png") and name not in OUR_OWN)
    others = tuple(name for name in result.files if name not in made)
    return result.model_copy(update={"pictures": made, "files": others})


def _common_folder(parts: Sequence[Result]) -> Path | None:
    folders = [part.folder for part in parts if part.folder is not None]
    if len(folders) < len(parts):
        return None
    return Path(os.path.commonpath([Path(folder).resolve() for folder in folders]))


def _prefix(part: Result, folder: Path | None) -> str:
    """What to put before a part's file names so that they are right from `folder`."""
    if folder is None or part.folder is None:
        return ""
    relative = Path(os.path.relpath(part.folder.resolve(), folder)).as_posix()
    return "" if relative == "." else relative + "/"


def _moved(score: Score, part: Result, prefix: str) -> Score:
    return score.model_copy(update={"of": prefix + score.of}) if score.of in (*part.pictures, *part.files) else score


def _added(seconds: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for part in seconds for name in part)
    return {name: sum(part.get(name, 0.0) for part in seconds) for name in names}
