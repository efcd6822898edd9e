"""What A1111's clients ask for before they draw: models, samplers, options, upscalers, LoRAs, styles, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.http import HttpRequest

from easel.errors import EaselError, shortened
from easel.provenance import SAMPLERS
from easel.web.api import asked, pictures
from easel.web.api.a1111_view import a1111_view
from easel.web.api.extras import UPSCALERS
from easel.web.models import DONE, Job, Upload


@a1111_view("GET")
async def sd_models(request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """Models that draw."""
    names = await sync_to_async(pictures.drawing_models)(request.user)
    empty = {"hash": None, "sha256": None, "filename": "", "config": None}
    return [{"title": name, "model_name": name} | empty for name in names]


@a1111_view("GET")
async def samplers(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """Samplers by A1111's names."""
    names = dict.fromkeys(sampler for sampler, _ in SAMPLERS.values())
    return [{"name": name, "aliases": [], "options": {}} for name in names]


@a1111_view("GET")
async def schedulers(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """Schedules by A1111's names."""
    names = dict.fromkeys(["Automatic", *(schedule for _, schedule in SAMPLERS.values() if schedule)])
    return [
        {"name": name.casefold(), "label": name, "aliases": None, "default_rho": -1, "need_inner_model": False}
        for name in names
    ]


@a1111_view("GET", "POST")
async def options(request: HttpRequest, body: dict[str, Any]) -> Any:
    """The model that draws where a call names none; kept for a person until the studio restarts."""
    if request.method == "GET":
        return {"sd_model_checkpoint": chosen_model(request.user)}
    if strange := next((name for name in body if name != "sd_model_checkpoint"), ""):
        raise EaselError(f"easel has no option called '{shortened(strange)}', only sd_model_checkpoint")
    model = asked.text(body, "sd_model_checkpoint")
    if model:
        if model not in await sync_to_async(pictures.drawing_models)(request.user):
            raise EaselError(f"no model called '{shortened(model)}' draws here: see /sdapi/v1/sd-models")
        cache.set(_option(request.user), model, None)
    return None


def chosen_model(person: Any) -> str:
    """The model that a person chose, or pocket."""
    return str(cache.get(_option(person), "pocket"))


def _option(person: Any) -> str:
    return f"a1111-model-{person.pk}"


@a1111_view("GET")
async def upscalers(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """How extra-single-image enlarges."""
    empty = {"model_name": None, "model_path": None, "model_url": None}
    return [{"name": name, "scale": 4} | empty for name in UPSCALERS]


@a1111_view("GET")
async def latent_upscale_modes(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, str]]:
    """How the second pass of a large picture begins."""
    return [{"name": "Latent"}]


@a1111_view("GET")
async def loras(request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """What `<lora:NAME:0.8>` in a prompt may name: weights that this person put in or taught."""
    found = await sync_to_async(loras_of)(request.user)
    return [{"name": name, "alias": name, "path": place, "metadata": {}} for name, place in found.items()]


def loras_of(person: Any) -> dict[str, str]:
    """This person's LoRAs by their names, with what a recipe calls them."""
    rows = Upload.objects.filter(owner=person, name__endswith=".safetensors").order_by("created")
    found = {Path(row.name).stem: row.place for row in rows}
    for job in Job.objects.filter(owner=person, kind="personalize", state=DONE).order_by("pk"):
        for file in sorted(job.folder.glob("a1111/*.safetensors")):
            found[f"{file.stem}-{job.pk}" if file.stem in found else file.stem] = file.as_posix()
    return found


@a1111_view("GET")
async def prompt_styles(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, str]]:
    """easel's styles: `{prompt}` is where one's own words go."""
    from easel.jobs.stylize.styles import table

    return [
        {"name": name, "prompt": row.prompt.replace("{caption}", "{prompt}"), "negative_prompt": row.negative_prompt}
        for name, row in table().items()
    ]


@a1111_view("GET")
async def embeddings(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """Words that are known without being named: none. Learned words belong to a recipe, see `embedding`."""
    return {"loaded": {}, "skipped": {}}


@a1111_view("GET")
async def memory(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """Bytes of memory: of the machine, and that the web process has. The workers draw, so graphics cards are theirs."""
    whole, own = psutil.virtual_memory(), psutil.Process().memory_info().rss
    return {
        "ram": {"free": whole.available, "used": own, "total": whole.total},
        "cuda": {"error": "the studio's workers draw, not its web process"},
    }


@a1111_view("GET")
async def cmd_flags(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """What A1111 was started with, as far as it holds for easel."""
    return {"api": True, "nowebui": False}


@a1111_view("GET")
async def nothing(_request: HttpRequest, _body: dict[str, Any]) -> list[Any]:
    """What easel has none of."""
    return []


@a1111_view("POST")
async def refresh(_request: HttpRequest, _body: dict[str, Any]) -> None:
    """Models are looked for whenever they are asked for: there is nothing to do."""


@a1111_view("GET")
async def scripts(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, list[str]]:
    """The scripts that a call may name. By "controlnet m2m" clients find out that there is ControlNet."""
    known = ["controlnet", "controlnet m2m"]
    return {"txt2img": known, "img2img": known}
