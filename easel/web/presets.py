"""Forms that a person keeps under a name, to begin with again."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from easel.errors import EaselError, is_text
from easel.kinds import KINDS
from easel.web.models import Preset

MOST = 200
"""Presets that a person keeps, at most."""


def of(person: Any, word: str) -> list[Preset]:
    """Those of a kind, by name."""
    return list(Preset.objects.filter(owner=person, kind=word).order_by("name"))


@require_POST
def save(request: HttpRequest, word: str) -> HttpResponse:
    """Keep what stands in the form, over one of the same name."""
    name = request.POST.get("preset_name", "").strip()
    if not name or len(name) > 100 or not is_text(name):
        raise EaselError("give the preset a name of at most 100 letters")
    known = KINDS[word].recipe.model_fields
    typed = {key: texts for key in known if (texts := [text for text in request.POST.getlist(key) if text])}
    if Preset.objects.filter(owner=request.user).exclude(kind=word, name=name).count() >= MOST:
        raise EaselError(f"{MOST} presets are kept: delete one first")
    row, _ = Preset.objects.update_or_create(owner=request.user, kind=word, name=name, defaults={"typed": typed})
    return HttpResponseRedirect(f"/{word}/?preset={row.pk}")


@require_POST
def drop(request: HttpRequest, number: int) -> HttpResponse:
    """Keep it no more."""
    row = get_object_or_404(Preset, pk=number, owner=request.user)
    word = row.kind
    row.delete()
    return HttpResponseRedirect(f"/{word}/")
