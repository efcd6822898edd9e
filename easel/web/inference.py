"""Every model that can be asked for something, with the form of what it does and the fields that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from easel import jobs
from easel.errors import EaselError
from easel.kinds import KINDS
from easel.models.catalog import listing, trained_folders
from easel.models.catalog.tables import DRAWING
from easel.recipes.knobs import Plays
from easel.web import forms, gate, views
from easel.web.models import Label, Picture, Upload

CONDITION = {"labels": "label", "attributes": "attribute", "captions": "prompt"}
"""What a trained model is drawn by -> the setting that says it."""
FOR_WORDS = frozenset({"prompt", "prompts", "judge"})
"""Settings that mean nothing to a trained model which takes no words."""
AMOUNTS = (("+1", "surely with"), ("+0.5", "rather with"), ("-0.5", "rather without"), ("-1", "surely without"))


@dataclass(frozen=True)
class Learned:
    """What the form must know of a trained model."""

    condition: str
    """labels, attributes, captions, or nothing."""
    names: tuple[str, ...]

    @property
    def hidden(self) -> frozenset[str]:
        """Settings that mean nothing to it."""
        rest = {setting for word, setting in CONDITION.items() if word != self.condition}
        return frozenset(rest) | (FOR_WORDS if self.condition != "captions" else frozenset())


@cache
def tasks() -> dict[str, tuple[str, str]]:
    """Role of a model -> the first kind that asks it for this, and the setting that names it there."""
    found: dict[str, tuple[str, str]] = {}
    for word, kind in KINDS.items():
        for name in kind.recipe.model_fields:
            for mark in forms.marks_of(kind.recipe, name):
                for role in mark.roles if isinstance(mark, Plays) else ():
                    found.setdefault(role, (word, name))
    return found


@dataclass
class Entry:
    """A model as the page shows it."""

    name: str
    called: str
    about: str
    tasks: list[str]
    """Kinds that ask it for something."""
    sample: str
    """Address of a picture of its own; '' where there is none."""


def facts_of(word: str, typed: forms.Typed, person: Any) -> dict[str, str]:
    """What the kind's job finds out on the disk about what was typed, where it names a model that may be looked at."""
    kind = KINDS[word].recipe
    chosen = forms.values_of(kind, typed)
    name = str(chosen.get("model") or getattr(kind.model_fields.get("model"), "default", ""))
    if not kind.facts or not gate.is_model(name, person):
        return {}
    try:
        return jobs.facts_of(kind.model_construct(**chosen))
    except EaselError:
        return {}


def learned(typed: forms.Typed, person: Any) -> Learned | None:
    """What is known of the trained model that a form names; None where it names none."""
    name = next(iter(typed.get("model", ())), "")
    path = gate.own_path(name, person) if name else None
    if path is None or not trained_folders.is_trained(path):
        return None
    try:
        found = trained_folders.described(path)
    except EaselError:
        return None
    return Learned(str(found["condition"]), tuple(found["names"]))


def fitted(groups: list[forms.Group], typed: forms.Typed, known: Learned | None) -> list[forms.Group]:
    """The groups with only what this trained model takes; classes and attributes to choose from."""
    if known is None:
        return groups
    steers = any(typed.get("classifier", ()))
    for group in groups:
        kept = [one for one in group.fields if one.name not in known.hidden or (one.name == "attribute" and steers)]
        for one in kept:
            if one.name == "label":
                one.widget, one.choices = "list", known.names
            elif one.name == "attribute" and known.condition == "attributes":
                one.widget, one.targets = "targets", targets(known.names, typed.get("attribute", ()))
            elif one.name == "classifier":
                one.decides = True
        group.fields = kept
    return [group for group in groups if group.fields]


def targets(names: Sequence[str], held: Sequence[str]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Each attribute with the amounts to choose from: value, words, and whether it is the one that was typed."""
    given = {line.rpartition("=")[0]: line for text in held for line in text.splitlines() if "=" in line}
    found = []
    for name in names:
        rows = [(f"{name}={amount}", said) for amount, said in AMOUNTS]
        now = given.get(name, "")
        if now and now not in {value for value, _ in rows}:
            rows.append((now, now.rpartition("=")[2]))
        found.append((name, [(value, said, value == now) for value, said in rows]))
    return found


def labels() -> Mapping[str, str]:
    """What people call their models, by place."""
    return dict(Label.objects.values_list("place", "name"))


def entries(person: Any) -> list[Entry]:
    """Every model at hand that can be asked for something: one's own first."""
    called, found = labels(), []
    for row in listing.rows():
        if not row.at_hand or not gate.is_model(row.name, person):
            continue
        able = list(dict.fromkeys(tasks()[role][0] for role in row.roles if role in tasks()))
        if able:
            sample = sample_of(row.name, person)
            found.append(Entry(row.name, called.get(row.name, row.name), row.about, able, sample))
    for upload in gate.own(Upload.objects.filter(name__endswith=".safetensors"), person):
        able = list(dict.fromkeys(tasks()[role][0] for role in DRAWING if role in tasks()))
        called_now = called.get(upload.place, upload.name)
        found.append(Entry(upload.place, called_now, "weights that you put in", able, ""))
    return sorted(found, key=lambda one: not one.name.startswith("out/"))


def sample_of(name: str, person: Any) -> str:
    """A picture that shows what a model draws: the sheet of its training, or the last one made with it."""
    if name.startswith("out/") and (Path(name) / "sheet.png").is_file():
        return f"/files/{name}/sheet.png?small=1"
    made = gate.own(Picture.objects.filter(model=name, binned=None), person).select_related("job").order_by("-pk")
    last = made.first()
    return f"/files/{last.path.as_posix()}?small=1" if last else ""


def inference(request: HttpRequest) -> HttpResponse:
    """Choose a model, then say what it should do."""
    known = entries(request.user)
    name = request.GET.get("model", "")
    entry = next((one for one in known if one.name == name), known[0] if known and not name else None)
    if entry is None:
        raise EaselError(f"no model called '{name[:80]}' is at hand: see the page Models")
    word = request.GET.get("task", "")
    word = word if word in entry.tasks else entry.tasks[0]
    field = next(setting for kind, setting in tasks().values() if kind == word)
    typed = views.given(request, word) | {field: [entry.name]}
    shown = views.form(request, word, typed, {}) | {"entries": known, "entry": entry, "tasks": entry.tasks}
    return render(request, "inference.html", shown)
