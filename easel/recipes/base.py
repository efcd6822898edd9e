"""What every recipe has: frozen, strict, a seed that is drawn when it is made, and only the settings that apply."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from easel.errors import EaselError
from easel.recipes.knobs import MOST_SEED, IsPath, Only, Seed, listed
from easel.version import __version__


def draw_seed() -> int:
    """A fresh seed below 2**31, short enough to read out and within what every tool takes."""
    return secrets.randbelow(2**31)


def _frozen(value: Any) -> Any:
    """A list as a tuple, a path as text, also within a mapping; all else as it is."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _holds_paths(form: Any) -> bool:
    """Whether a type is marked as a path, or holds such a type."""
    marked = any(isinstance(mark, IsPath) for mark in getattr(form, "__metadata__", ()))
    return marked or any(_holds_paths(part) for part in get_args(form))


def chosen_from(form: Any) -> tuple[str, ...]:
    """The words that a type lets one choose from, also one or several of; none where it is free."""
    if get_origin(form) is Literal:
        return tuple(str(part) for part in get_args(form))
    return next((found for part in get_args(form) if (found := chosen_from(part))), ())


class Recipe(BaseModel):
    """All that decides what a run makes. The one place where a setting's name, meaning, limits, default, and whom it
    belongs to stand.

    Values are never repaired: a number in quotes, an unknown key, NaN or infinity is an error. So is a setting that
    does not apply, such as one of another method (see `knobs.Only`), and `plain` leaves these out.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    positional: ClassVar[tuple[str, ...]] = ()
    """Settings that come first on the command line and in Python, without a name; `out` is the run's own folder."""
    facts: ClassVar[tuple[str, ...]] = ()
    """What `Only` may ask for beside settings: facts that the job finds out and hands to `bound`."""
    resumes: ClassVar[bool] = False
    """Whether a run goes on where an earlier one in the same folder stopped."""
    front: ClassVar[tuple[str, ...]] = ()
    """Settings that are changed most, in their order: a form begins with them, and folds the rest."""
    from_file: ClassVar[bool] = False
    """Whether what comes first may be a YAML recipe of this kind, which the rest is laid over."""
    heavy: ClassVar[bool] = False
    """Whether a run may take hours of the whole machine, so that one is run at a time and others pass it."""
    answers_in_words: ClassVar[bool] = False
    """Whether what a person wants to read is a text, and not where the pictures are."""
    repeatable: ClassVar[bool] = False
    """Whether a picture made by this kind can be made again from the recipe inside it."""
    shared_by: ClassVar[str] = ""
    """Setting by which several machines share a run: the photos, or the number of pictures; '' where they cannot."""
    together: ClassVar[bool] = False
    """Whether the photos of a part go through the models together, and not each as a run of its own."""
    hands_out: ClassVar[bool] = False
    """Whether the job hands its work out itself, by `Workspace.each`, where a run is shared out: it measures over all
    that workers made.
    """
    afar: ClassVar[tuple[str, ...]] = ()
    """Settings that may then name a bucket's folder, or shards."""
    alone: ClassVar[str] = "leave --on out"
    """What to do where the kind cannot be shared out, in words."""
    has_checkpoints: ClassVar[bool] = False
    """Whether a run is a training whose checkpoints draw pictures, each of which can be compared with others."""
    free: ClassVar[frozenset[str]] = frozenset({"easel", "seed", "batch_size"})
    """Settings that may differ when a run goes on."""

    kind: str
    """The kind of job."""
    easel: str = __version__
    """The version of easel that the recipe was written for."""
    seed: Seed = Field(default_factory=draw_seed)
    """Where chance starts from; the same seed makes the same thing. Drawn afresh when not given."""

    _known: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _frozen_values(cls, values: Any) -> Any:
        """YAML and JSON have lists where recipes have tuples, and Python has paths where recipes have text."""
        return {key: _frozen(value) for key, value in values.items()} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _every_picture_has_a_seed(self) -> Self:
        last = self.seed + getattr(self, "count", 1) - 1
        if last > MOST_SEED:
            raise ValueError(f"seed: is {self.seed}, and the last picture's would be {last}: at most {MOST_SEED:,}")
        return self

    @model_validator(mode="after")
    def _only_what_applies(self) -> Self:
        for problem in self._misplaced():
            raise ValueError(problem)
        return self

    @classmethod
    def only(cls, name: str) -> Only | None:
        """Whom a setting belongs to, where that can vary within this kind; None for a setting of everybody."""
        mark = next((found for found in cls.model_fields[name].metadata if isinstance(found, Only)), None)
        if mark is None:
            return None
        varies = (
            mark.of in cls.model_fields or mark.of in cls.facts or isinstance(getattr(cls, mark.of, None), property)
        )
        if not varies:
            return None
        of = cls.model_fields.get(mark.of)
        choices = chosen_from(of.annotation) if of else ()
        return mark.among(choices) if choices else mark

    @classmethod
    def path_settings(cls) -> set[str]:
        """Settings that are files or folders, or lists of them."""
        return {
            name
            for name, field in cls.model_fields.items()
            if any(isinstance(mark, IsPath) for mark in field.metadata) or _holds_paths(field.annotation)
        }

    @classmethod
    def list_settings(cls) -> set[str]:
        """Settings that are lists."""
        return {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}

    def applies(self, name: str) -> bool:
        """Whether a setting means anything here. What the job has not found out yet rules nothing out."""
        mark = self.only(name)
        now = self._now(mark) if mark else ()
        return mark is None or not now or any(one in mark.values for one in now)

    def bound(self, **facts: str) -> Self:
        """The same recipe, knowing what the job has found out. Raises EaselError on settings that do not apply then."""
        made = self.model_copy()
        made._known = dict(facts)
        for problem in made._misplaced():
            raise EaselError(problem)
        return made

    def whole_only(self) -> str:
        """Why this run cannot be shared out among machines, and what works instead; '' where it can."""
        if self.shared_by or self.hands_out:
            return ""
        return f"{self.kind} cannot be shared out among machines: {self.alone}"

    def part(self, first: int, count: int, photos: Sequence[str] = ()) -> Self:
        """The recipe of a part of a run that is shared out: these photos, or `count` pictures from picture `first` on,
        each with the seed that it has in the whole.
        """
        if self.shared_by == "count":
            changes: dict[str, Any] = {"seed": self.seed + first, "count": count}
        else:
            changes = {self.shared_by: tuple(photos) if self.shared_by in self.list_settings() else photos[0]}
        return type(self).model_validate(self.plain() | changes)

    def parts(self) -> list[Recipe]:
        """Recipes of other kinds that a run of this one runs, where it holds their settings as plain values."""
        return []

    def plain(self) -> dict[str, Any]:
        """The recipe as plain values (JSON, YAML), without what does not apply."""
        left_out = {name for name in type(self).model_fields if not self.applies(name)}
        return self.model_dump(mode="json", exclude=left_out)

    def for_picture(self, index: int, **changes: Any) -> dict[str, Any]:
        """The recipe of picture `index` of this run alone, as plain values: its own seed, count 1, and `changes`."""
        one = {"seed": self.seed + index} | ({"count": 1} if "count" in type(self).model_fields else {})
        return type(self).model_validate(self.plain() | one | changes).bound(**self._known).plain()

    def _now(self, mark: Only) -> tuple[str, ...]:
        """What the setting or fact is that a mark asks for: several words where it is a list, none if not known."""
        found = self._known.get(mark.of, getattr(self, mark.of, None))
        return () if found is None else tuple(map(str, found)) if isinstance(found, tuple) else (str(found),)

    def _misplaced(self) -> list[str]:
        """What is wrong with settings that were given and do not apply, in words."""
        problems = []
        for name, field in type(self).model_fields.items():
            mark = self.only(name)
            if mark is not None and not self.applies(name) and getattr(self, name) != field.default:
                problems.append(f"{name}: belongs to {mark.title}, not to {listed(self._now(mark))}: leave it out")
        return problems
