"""The models: those known by name, those trained here with their cards, and weights that were put in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from easel.errors import EaselError, is_text, shortened
from easel.files import read_text
from easel.models.catalog import listing, trained_folders
from easel.result import Result
from easel.web import gate, inference, pulls, watch
from easel.web.gate import own
from easel.web.models import QUEUED, RUNNING, Job, Label, Picture, Upload

MOST_HEADER = 10_000_000
"""Bytes of a safetensors header that are read to say what a file holds."""


def models(request: HttpRequest) -> HttpResponse:
    """Every model: those of the catalogue, and this person's own."""
    called = inference.labels()
    rows = [row for row in listing.rows() if gate.is_model(row.name, request.user)]
    trained = []
    for row in rows:
        job = gate.job_of(row.name)
        if job is not None and row.name.startswith("out/"):
            sample = inference.sample_of(row.name, request.user)
            trained.append({"row": row, "job": job, "called": called.get(row.name, row.name), "sample": sample})
    known = [row for row in rows if not row.name.startswith("out/")]
    weights = own(Upload.objects.filter(name__endswith=".safetensors"), request.user).order_by("-created")
    shown = {
        "known": known,
        "trained": trained,
        "weights": [(one, called.get(one.place, one.name), holds(Path(one.place))) for one in weights],
        "pulls": pulls.shown(),
        "may_pull": request.user.is_superuser,
    }
    return render(request, "models.html", shown)


def model(request: HttpRequest, number: int) -> HttpResponse:
    """A trained model's card: what it is, how it did, what it draws."""
    job = get_object_or_404(own(Job.objects.all(), request.user), pk=number)
    place = job.folder.as_posix()
    if not gate.is_model(place, request.user):
        raise Http404
    try:
        card, result = read_text(job.folder / "README.md", 200_000), Result.read(job.folder)
    except EaselError:
        card, result = "", None
    row = next((row for row in listing.rows() if row.name == place), None)
    facts = trained_folders.described(job.folder)
    samples = watch.samples_of(job.folder)
    shown: dict[str, Any] = {
        "job": job,
        "row": row,
        "called": inference.labels().get(place, place),
        "card": card,
        "facts": facts,
        "result": result,
        "samples": samples,
        "latest": samples[-1] if samples else None,
        "panels": watch.panels_of(job.folder),
        "sheet": (job.folder / "sheet.png").is_file(),
        "drawn": own(Picture.objects.filter(model=place, binned=None), request.user)
        .select_related("job")
        .prefetch_related("numbers")
        .order_by("-pk")[:12],
        "users": users_of(place),
    }
    return render(request, "model.html", shown)


def users_of(place: str) -> list[Job]:
    """Jobs that wait or run, and name this file or folder."""
    busy = Job.objects.filter(state__in=(QUEUED, RUNNING))
    marks = (f'"{place}"', f'"{place}/', f'"{place}:')
    return [job for job in busy if any(mark in json.dumps(job.settings) for mark in marks)]


@require_POST
def label(request: HttpRequest) -> HttpResponse:
    """Call a model of one's own by another name; '' takes the name away."""
    place, name = request.POST.get("place", ""), request.POST.get("name", "").strip()
    if gate.own_path(place, request.user) is None or not gate.is_model(place, request.user):
        raise Http404
    if len(name) > 100 or not is_text(name):
        raise EaselError("a name has at most 100 letters")
    if name:
        Label.objects.update_or_create(place=place, defaults={"name": name})
    else:
        Label.objects.filter(place=place).delete()
    job = gate.job_of(place)
    return HttpResponseRedirect(f"/models/{job.pk}/" if job else "/models/")


@require_POST
def delete_model(request: HttpRequest, number: int) -> HttpResponse:
    """Delete a trained model for good, with its training. Refused while a job needs it."""
    job = get_object_or_404(own(Job.objects.all(), request.user), pk=number)
    place = job.folder.as_posix()
    if not gate.is_model(place, request.user):
        raise Http404
    if not job.is_over:
        raise EaselError("it is still learning: cancel its training first")
    if users := users_of(place):
        raise EaselError(f"{users[0].kind} {users[0].pk} still needs it: cancel that job, or let it end")
    folder = job.folder
    Label.objects.filter(place=place).delete()
    job.delete()
    shutil.rmtree(folder, ignore_errors=True)
    return HttpResponseRedirect("/models/")


def holds(path: Path) -> str:
    """What a safetensors file holds, by its header: 'a LoRA, 264 tensors'; '' where that does not read."""
    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(size, MOST_HEADER)))
    except (OSError, ValueError):
        return ""
    names = [name for name in header if name != "__metadata__"]
    said = header.get("__metadata__") or {}
    is_lora = any("lora" in name.lower() for name in names)
    kind = "a LoRA" if is_lora else "a checkpoint" if any("diffusion_model" in name for name in names) else "weights"
    title = shortened(said.get("modelspec.title") or said.get("ss_output_name") or "", 60)
    return ", ".join(part for part in (kind, f"{len(names)} tensors", f"called {title}" if title else "") if part)
