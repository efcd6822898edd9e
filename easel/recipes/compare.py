"""Recipe: the same photos and seeds under several settings, side by side; the same trainings, each checkpoint a cell;
or ready pictures against their photo.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ValidationError, model_validator

from easel.errors import EaselError, close_matches, nearest, shortened, unknown
from easel.kinds import KINDS
from easel.recipes.base import Recipe
from easel.recipes.drawing import Drawing, combinations
from easel.recipes.knobs import InFile, ModelName, Only, PicturesName, Prompt, Seed
from easel.recipes.read import explain, recipe_from

READY, DRAWN, TAUGHT = "ready pictures", "drawn pictures", "trainings"
IS_READY, IS_DRAWN, IS_TAUGHT = Only("source", READY), Only("source", DRAWN, TAUGHT), Only("source", TAUGHT)
MOST_CANDIDATES = 10_000
LABEL = 60
"""Letters of a label."""
ELSEWHERE = {"photo": "photos", "photos": "photos", "seed": "seeds"}
"""Settings of a base that the comparison says, for all candidates alike."""
ITS_OWN = ("kind", "easel", *ELSEWHERE)


@dataclass(frozen=True)
class Candidate:
    """One way to make the pictures: a combination of settings that is compared with others."""

    label: str
    changes: Mapping[str, Any]
    """What it has beside the base, or other than it."""
    values: Mapping[str, Any]
    """Its whole recipe as plain values, without photo and seed."""

    @property
    def method(self) -> str:
        """Of a training: what learns."""
        own = KINDS[str(self.values["kind"])].recipe.model_fields["method"].default
        return str(self.values.get("method", own))

    def recipe(self, photo: str | None, seed: int) -> Recipe:
        """The recipe of one cell. `photo` is None where the kind takes none."""
        return recipe_from(dict(self.values) | {"seed": seed} | ({} if photo is None else {"photo": photo}))

    def training(self, subject: Subject, seed: int) -> Recipe:
        """The recipe of a training of this candidate on a subject's photos."""
        return recipe_from(dict(self.values) | dict(subject.own) | {"seed": seed})


@dataclass(frozen=True)
class Subject:
    """What is taught in a sweep: its name in the tables, and settings that are its own, its photos first of all."""

    name: str
    own: Mapping[str, Any]


class Compare(Recipe):
    """Make the same pictures with several settings, score each over all photos and seeds, and say which differences are
    more than noise; teach a subject with several settings, and say which to use; or score ready pictures, of any tool,
    against the photo they were made from.
    """

    positional: ClassVar = ("pictures",)
    resumes: ClassVar = True
    heavy: ClassVar = True
    from_file: ClassVar = True
    answers_in_words: ClassVar = True
    alone: ClassVar = (
        "a table of all its cells decides; run what it compares with --on, one by one, and compare the ready pictures: "
        "`easel compare PICTURES --against PHOTOS`; or leave --on out"
    )
    free: ClassVar = Recipe.free | {"yes"}

    kind: Literal["compare"] = "compare"
    """The kind of job."""
    pictures: Annotated[tuple[PicturesName, ...], IS_READY] = ()
    """Ready pictures to score, or folders of them with the names that the photos have. Or the YAML file of a
    comparison.
    """
    against: Annotated[PicturesName | None, IS_READY] = None
    """Photo that the ready pictures were made from, or folder of photos."""
    prompt: Annotated[Prompt | None, IS_READY] = None
    """What the ready pictures should show; without it nothing is measured against words."""
    caption: Annotated[Prompt | None, IS_READY] = None
    """What the photo shows, in your words; without it the direction of the change is not measured."""
    judge: Annotated[ModelName, IS_READY] = "pocket"
    """Family of models that scores ready pictures; drawn ones are scored by their own recipe's."""
    base: Annotated[dict[str, Any], IS_DRAWN, InFile()] = {}  # noqa: RUF012 - pydantic copies it
    """Recipe that all candidates start from, with its kind, and without photo and seed."""
    axes: Annotated[dict[str, tuple[Any, ...]], IS_DRAWN, InFile()] = {}  # noqa: RUF012
    """Settings of the base, each with the values to try; all combinations are compared."""
    variants: Annotated[tuple[dict[str, Any], ...], IS_DRAWN, InFile()] = ()
    """Settings that go together, each with a name; with axes every variant is tried at every combination."""
    generate: Annotated[dict[str, Any], IS_TAUGHT, InFile()] = {}  # noqa: RUF012
    """Settings that the pictures of each checkpoint are drawn with, each a value or a list of values to try: steps,
    guidance_scale, guidance_every, scheduler, lora_scale, and for a photo that is redrawn photo and strength.
    """
    subjects: Annotated[tuple[dict[str, Any], ...], IS_TAUGHT, InFile()] = ()
    """Subjects to teach instead of photos, each with its photos and the settings of the base that are its own."""
    photos: Annotated[tuple[PicturesName, ...], IS_DRAWN] = ()
    """Photos, or folders of photos, that every candidate is tried on; of trainings, a folder for each subject."""
    seeds: Annotated[tuple[Seed, ...], IS_DRAWN] = ()
    """Seeds that every candidate is tried with, or trained with; the recipe's own seed alone when not given."""
    yes: bool = False
    """Run more than 500 cells without asking."""

    @property
    def source(self) -> str:
        """Whether pictures are drawn, by models that are taught or by those that are there; or are there."""
        if self.pictures or self.against is not None:
            return READY
        kind = KINDS.get(str(self.base.get("kind")))
        return TAUGHT if kind is not None and kind.recipe.has_checkpoints else DRAWN

    @property
    def each_seed(self) -> tuple[int, ...]:
        """The seeds that every candidate is tried with."""
        return self.seeds or (self.seed,)

    @property
    def takes_photo(self) -> bool:
        """Whether the kind that is compared makes its pictures from a photo."""
        return "photo" in KINDS[str(self.base["kind"])].recipe.model_fields

    @model_validator(mode="after")
    def _what_fits_together(self) -> Compare:
        if self.source == READY:
            if not self.pictures:
                raise ValueError("pictures is missing: the pictures to score against the photo")
            if self.against is None:
                raise ValueError("against is missing: the photo that the pictures were made from")
            return self
        if not self.base:
            raise ValueError(
                "base is missing: the recipe to compare settings of; or give pictures to score, and against"
            )
        try:
            _check_words(self)
            found = self.candidates()
            if self.source == TAUGHT:
                self.drawings(None)
                if "lora_scale" in self.generate and not any(one.method == "lora" for one in found):
                    raise EaselError("generate: lora_scale: belongs to the method lora, which no candidate has")
        except EaselError as problem:
            raise ValueError(str(problem)) from problem
        if self.takes_photo and not self.photos:
            raise ValueError("photos is missing: the photos that every candidate is tried on")
        if self.source == DRAWN and self.photos and not self.takes_photo:
            raise ValueError(f"photos: {self.base['kind']} takes no photo: leave them out")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one stands twice: it would make the same pictures again")
        most = max(int(one.values.get("count", 1)) for one in found)
        apart = [after - before for before, after in itertools.pairwise(sorted(self.seeds))]
        if self.source == DRAWN and apart and min(apart) < most:
            raise ValueError(f"seeds: with count {most} picture i has seed + i: give seeds {most} apart, or no count")
        return self

    def parts(self) -> list[Recipe]:
        """A recipe of each candidate, on the first photo; of trainings on each subject, and of a photo redrawn."""
        if self.source == TAUGHT:
            shown = {one.photo: one for one in self.drawings(None) if one.photo is not None}
            redrawn = [recipe_from({"kind": "edit", "prompt": "a photo", "photo": photo}) for photo in shown]
            return [
                one.training(each, self.seed) for one in self.candidates() for each in self.each_subject()
            ] + redrawn
        photo = self.photos[0] if self.photos else None
        return [] if self.source == READY else [one.recipe(photo, self.seed) for one in self.candidates()]

    def each_subject(self) -> list[Subject]:
        """The subjects of a sweep, in order. Raises EaselError where there is none, or one says what it cannot."""
        if bool(self.photos) == bool(self.subjects):
            said = "both are given" if self.photos else "neither is given"
            raise EaselError(f"photos or subjects: {said}; give a folder of photos for each subject, or their settings")
        known = KINDS[str(self.base["kind"])].recipe.model_fields
        found: dict[str, Subject] = {}
        for number, entry in enumerate(self.subjects or [{"photos": folder} for folder in self.photos], 1):
            own = {name: value for name, value in entry.items() if name != "name"}
            photos = own.get("photos")
            if not isinstance(photos, str):
                raise EaselError(f"subjects: number {number} has no photos: give its folder")
            for name in own.keys() - {"photos"}:
                _check_name(name, known, f"subjects: {shortened(photos)}", str(self.base["kind"]))
                if name in self.axes:
                    raise EaselError(f"subjects: {shortened(photos)}: {name} is an axis too: say it in one of the two")
            name = shortened(str(entry.get("name") or PurePath(photos).name), LABEL)
            if name in found:
                raise EaselError(f"subjects: the name '{name}' stands twice: give one of them another name")
            found[name] = Subject(name, own)
        return list(found.values())

    def drawings(self, candidate: Candidate | None) -> dict[Drawing, str]:
        """The ways in which each checkpoint of a candidate is drawn, in order, with what they are called ('' where
        there is one alone); None is any candidate. Raises EaselError on settings that are unknown or do not fit.
        """
        found: dict[Drawing, str] = {}
        tried = [name for name, value in self.generate.items() if isinstance(value, tuple) and len(value) > 1]
        for values in combinations(self.generate):
            if candidate is not None and candidate.method != "lora":  # nothing else has a scale
                values.pop("lora_scale", None)
            try:
                made = Drawing.model_validate(values)
            except ValidationError as problem:
                raise EaselError(f"generate: {explain(problem, Drawing)}") from problem
            words = [f"{name.replace('_', ' ')} {values[name]}" for name in tried if name in values]
            found.setdefault(made, shortened(", ".join(words), LABEL))
        if not found:
            raise EaselError("generate: a setting is an empty list: give the values to try")
        return found

    def candidates(self) -> list[Candidate]:
        """The candidates in order, variants outside and the last axis inside. Those that come to the same are made
        once: a setting of an axis or of the base that another choice has no use for is left out there.

        Raises EaselError on settings that are unknown, do not fit, or that no candidate can use.
        """
        asked = list(_combinations(self))
        wholes = [dict(self.base) | changes for _, changes in asked]
        loose = {*self.axes, *self.base}
        unused = [_unused(whole) & loose for whole in wholes]
        for name in self.axes:
            if all(name in left_out for left_out in unused):
                _refuse_unusable(name, wholes[0])
        subject = self.each_subject()[0] if self.source == TAUGHT else None
        found: dict[str, Candidate] = {}
        labels: dict[str, int] = {}
        for (parts, changes), whole, left_out in zip(asked, wholes, unused, strict=True):
            gone = {name for name in left_out if any(name not in other for other in unused)}
            label = _label([words for name, words in parts if name not in gone])
            values = {name: value for name, value in whole.items() if name not in gone}
            kept = {name: value for name, value in changes.items() if name not in gone}
            key = _same(values, label, subject)
            if key in found:
                continue
            labels[label] = labels.get(label, 0) + 1
            label += f" ({labels[label]})" if labels[label] > 1 else ""
            found[key] = Candidate(label, kept, values)
        return list(found.values())


def _check_words(recipe: Compare) -> None:
    """Raise EaselError on a base, axes and variants that name what is not there, or say a thing twice."""
    word = recipe.base.get("kind")
    able = [name for name, kind in KINDS.items() if kind.recipe.repeatable or kind.recipe.has_checkpoints]
    if word not in KINDS:
        raise EaselError(
            f"base: {unknown('kind of job', str(word), able) if word else 'kind is missing: ' + nearest('', able)}"
        )
    if word not in able:
        raise EaselError(f"base: {word} draws no pictures that could be compared: {nearest('', able)}")
    known = KINDS[word].recipe.model_fields
    for name, values in recipe.axes.items():
        _check_name(name, known, "axes", word)
        if not values:
            raise EaselError(f"axes: {name} is empty: give the values to try")
    names = [variant.get("name") for variant in recipe.variants]
    for variant, label in zip(recipe.variants, names, strict=True):
        if not isinstance(label, str) or not label.strip():
            raise EaselError("variants: name is missing: what the variant is called in the tables")
        if names.count(label) > 1:
            raise EaselError(f"variants: the name '{shortened(label)}' stands twice")
        for name in variant.keys() - {"name"}:
            _check_name(name, known, f"variants: {shortened(label)}", word)
            if name in recipe.axes:
                raise EaselError(f"variants: {shortened(label)}: {name} is an axis too: say it in one of the two")
    for name in recipe.base.keys() - {"kind", "easel"}:
        _check_name(name, known, "base", word)
    total = max(1, len(recipe.variants)) * math.prod(len(values) for values in recipe.axes.values())
    if total > MOST_CANDIDATES:
        raise EaselError(f"axes: make {total:,} candidates: at most {MOST_CANDIDATES:,}")


def _check_name(name: str, known: Mapping[str, object], place: str, kind: str) -> None:
    """Raise EaselError on a setting that the kind has not, or that is not said here."""
    if name in known and name in ELSEWHERE:
        raise EaselError(f"{place}: {name} is said by '{ELSEWHERE[name]}', for all candidates alike")
    if name in known and name not in ITS_OWN:
        return
    near = close_matches(name, [word for word in known if word not in ITS_OWN])
    advice = (
        f"did you mean {near[0]}?" if near else f"it knows {', '.join(word for word in known if word not in ITS_OWN)}"
    )
    raise EaselError(f"{place}: {name} is not a setting of {kind}: {advice}")


def _combinations(recipe: Compare) -> Iterator[tuple[list[tuple[str, str]], dict[str, Any]]]:
    """Each variant at each combination of the axes: the words of its label by setting, and its changes."""
    for variant in recipe.variants or ({},):
        named = [("", str(variant["name"]))] if variant else []
        own = {name: value for name, value in variant.items() if name != "name"}
        for values in itertools.product(*recipe.axes.values()):
            changes = dict(zip(recipe.axes, values, strict=True))
            yield named + [(name, _words(name, value)) for name, value in changes.items()], own | changes


def _words(name: str, value: Any) -> str:
    """What a value of an axis is called: texts by themselves, of a path the last part, all else with its setting."""
    if isinstance(value, str) and value.strip():
        is_path = "/" in value and " " not in value
        return PurePath(value).name or value if is_path else value
    said = str(value)
    if value is None:
        said = "by default"
    elif isinstance(value, bool):
        said = "yes" if value else "no"
    elif isinstance(value, tuple):
        said = " + ".join(map(str, value)) or "none"
    return f"{name.replace('_', ' ')} {said}"


def _label(parts: list[str]) -> str:
    return shortened(", ".join(parts) or "as it is", LABEL)


def _unused(whole: Mapping[str, Any]) -> set[str]:
    """The settings among these that mean nothing beside the others. Nothing is validated yet."""
    kind = KINDS[str(whole["kind"])].recipe
    loose = kind.model_construct(**dict(whole))
    return {name for name in whole if name in kind.model_fields and not loose.applies(name)}


def _refuse_unusable(name: str, whole: Mapping[str, Any]) -> None:
    kind = KINDS[str(whole["kind"])].recipe
    mark = kind.only(name)
    if mark is not None:
        now = getattr(kind.model_construct(**dict(whole)), mark.of, "the others")
        raise EaselError(f"axes: {name} belongs to {mark.title}, not to {now}: no candidate can use it, leave it out")


def _same(values: Mapping[str, Any], label: str, subject: Subject | None) -> str:
    """What two candidates share where they make the same pictures. Raises EaselError where the recipe does not hold."""
    candidate = Candidate(label, {}, values)
    takes_photo = "photo" in KINDS[str(values["kind"])].recipe.model_fields
    try:
        if subject is not None:
            whole = candidate.training(subject, 0)
        else:
            whole = candidate.recipe("photo" if takes_photo else None, 0)
    except EaselError as problem:
        raise EaselError(f"{label}: {problem}") from problem
    return json.dumps(whole.plain(), sort_keys=True, default=str)
