"""The part of A1111's REST that draws, so that its clients work: txt2img, img2img with a mask, progress, interrupt,
models, samplers, options, png-info, interrogate.

What easel does not have (restore_faces, tiling, variation seeds, scripts) is refused in words, never left out silently.
"""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from PIL import Image

from easel.errors import EaselError
from easel.provenance import A1111_NAMES, PLAIN_SCHEDULES, SAMPLERS
from easel.recipes import Recipe, recipe_from
from easel.web import index, queue
from easel.web.api import pictures, waiting
from easel.web.models import QUEUED, RUNNING, Job

REFUSED = ("restore_faces", "tiling", "subseed_strength", "script_name", "styles")
"""What has no match here; anything but its empty value is refused."""
INPAINTS, REDRAWS = "inpaint", "redraw"
Answer = Callable[..., Awaitable[Any]]


def told(view: Callable[[HttpRequest, dict[str, Any]], Awaitable[Any]]) -> Answer:
    """A view that is given the body's JSON, and answers errors in A1111's shape."""

    @csrf_exempt
    @wraps(view)
    async def answer(request: HttpRequest) -> JsonResponse:
        try:
            body = json.loads(request.body or b"{}") if request.method == "POST" else {}
            if not isinstance(body, dict):
                return failed("the body is no JSON object", 422)
            return JsonResponse(await view(request, body), safe=False)
        except (ValueError, RecursionError):
            return failed("the body is no JSON object", 422)
        except waiting.StillWorking as problem:
            return failed(str(problem), 504)
        except EaselError as problem:
            return failed(str(problem), 422)

    return answer


def failed(words: str, status: int) -> JsonResponse:
    """An error as A1111 says it."""
    return JsonResponse({"error": "EaselError", "detail": words, "body": "", "errors": words}, status=status)


@told
async def txt2img(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Draw from words."""
    values = {"kind": "generate"} | await sync_to_async(shared)(request.user, body)
    if body.get("enable_hr"):
        scale = _number(body, "hr_scale", 2.0)
        for name, size in (("width", "hr_resize_x"), ("height", "hr_resize_y")):
            whole = _number(body, size, 0) or _number(body, name, 512) * scale
            values[name] = round(whole / 8) * 8
    return await drawn(request, recipe_from(values), body)


@told
async def img2img(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Redraw a photo, or what is white in its mask."""
    photos = body.get("init_images")
    if not isinstance(photos, list) or len(photos) != 1:
        raise EaselError("init_images: give one picture")
    values = {"kind": "edit"} | await sync_to_async(shared)(request.user, body)
    photo = await sync_to_async(pictures.put_in)(request.user, pictures.from_base64(photos[0]), "photo.png")
    values |= {"photo": photo.place, "method": REDRAWS, "strength": _number(body, "denoising_strength", 0.75)}
    if body.get("mask"):
        mask = await sync_to_async(pictures.put_in)(request.user, pictures.from_base64(body["mask"]), "mask.png")
        values |= {"method": INPAINTS, "mask": mask.place, "mask_invert": bool(body.get("inpainting_mask_invert"))}
        values["mask_feather"] = round(_number(body, "mask_blur", 4))
    return await drawn(request, recipe_from(values), body)


def shared(person: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The settings that both have, in easel's words. Raises EaselError on what has no match."""
    for name in REFUSED:
        if body.get(name):
            raise EaselError(f"{name}: easel has no such thing: leave it out")
    if any(unit for unit in (body.get("alwayson_scripts") or {}).values()):
        raise EaselError("alwayson_scripts: easel runs no scripts: control maps are settings of its own API")
    override = body.get("override_settings") or {}
    model = override.get("sd_model_checkpoint") or current_model(person)
    count = int(_number(body, "batch_size", 1)) * int(_number(body, "n_iter", 1))
    values: dict[str, Any] = {
        "prompt": body.get("prompt", ""),
        "steps": int(_number(body, "steps", 20)),
        "guidance_scale": float(_number(body, "cfg_scale", 7.0)),
        "width": int(_number(body, "width", 512)),
        "height": int(_number(body, "height", 512)),
        "count": count,
        "model": model,
    }
    if body.get("negative_prompt"):
        values["negative_prompt"] = body["negative_prompt"]
    if _number(body, "seed", -1) >= 0:
        values["seed"] = int(_number(body, "seed", -1))
    if scheduler := scheduler_of(body):
        values["scheduler"] = scheduler
    return values


def scheduler_of(body: dict[str, Any]) -> str | None:
    """easel's word for a sampler and its schedule; None for the model's own."""
    sampler = str(body.get("sampler_name") or body.get("sampler_index") or "")
    if not sampler or sampler.casefold() == "automatic":
        return None
    schedule = str(body.get("scheduler") or "").casefold()
    found = A1111_NAMES.get(f"{sampler.casefold()} {'' if schedule in PLAIN_SCHEDULES else schedule}".strip())
    if found is None:
        raise EaselError(
            f"no sampler called '{sampler[:40]}' with the schedule '{schedule[:40]}': see /sdapi/v1/samplers"
        )
    return found


def _number(body: dict[str, Any], name: str, usual: float) -> float:
    value = body.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EaselError(f"{name}: must be a number")
    return value


async def drawn(request: HttpRequest, recipe: Recipe, body: dict[str, Any]) -> dict[str, Any]:
    """Run a recipe through the queue; its pictures as A1111 gives them."""
    job = await waiting.made(request.user, recipe)
    paths = await sync_to_async(waiting.picture_paths)(job)
    images = [await sync_to_async(pictures.as_base64)(path) for path in paths]
    texts = [await sync_to_async(_parameters)(path) for path in paths]
    seeds = [recipe.seed + number for number in range(len(paths))]
    info = {
        "prompt": body.get("prompt", ""),
        "negative_prompt": body.get("negative_prompt", ""),
        "seed": recipe.seed,
        "all_seeds": seeds,
        "infotexts": texts,
        "job": job.pk,
    }
    return {"images": images, "parameters": body, "info": json.dumps(info, ensure_ascii=False)}


def _parameters(path: Any) -> str:
    with Image.open(path) as picture:
        return str(picture.info.get("parameters", ""))


@told
async def progress(request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """How far this person's running job is; all zeros where there is none."""
    mine = Job.objects.filter(state__in=(QUEUED, RUNNING), owner=request.user)
    waiting_or_running = await sync_to_async(lambda: list(mine.order_by("-state", "pk")))()
    job = next((one for one in waiting_or_running if one.state == RUNNING), None)
    image = None
    if job is not None and job.preview and index.preview_path(job).is_file():
        image = await sync_to_async(pictures.as_base64)(index.preview_path(job))
    share = job.done / job.total if job is not None and job.total else 0.0
    state = {
        "skipped": False,
        "interrupted": bool(job and job.stop),
        "job": "" if job is None else str(job.pk),
        "job_count": len(waiting_or_running),
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0 if job is None else job.done,
        "sampling_steps": 0 if job is None else job.total,
    }
    eta = 0.0 if job is None else job.eta or 0.0
    return {"progress": share, "eta_relative": eta, "state": state, "current_image": image, "textinfo": None}


@told
async def interrupt(request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """Stop this person's running job at its next step."""

    def stop() -> None:
        for job in Job.objects.filter(state=RUNNING, heavy=False, owner=request.user):
            queue.cancel(job)

    await sync_to_async(stop)()
    return {}


@told
async def sd_models(request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """Models that draw."""
    names = await sync_to_async(pictures.drawing_models)(request.user)
    empty = {"hash": None, "sha256": None, "filename": "", "config": None}
    return [{"title": name, "model_name": name} | empty for name in names]


@told
async def samplers(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """Samplers by A1111's names."""
    names = dict.fromkeys(sampler for sampler, _ in SAMPLERS.values())
    return [{"name": name, "aliases": [], "options": {}} for name in names]


@told
async def schedulers(_request: HttpRequest, _body: dict[str, Any]) -> list[dict[str, Any]]:
    """Schedules by A1111's names."""
    names = dict.fromkeys(["Automatic", *(schedule for _, schedule in SAMPLERS.values() if schedule)])
    return [
        {"name": name.casefold(), "label": name, "aliases": None, "default_rho": -1, "need_inner_model": False}
        for name in names
    ]


@told
async def options(request: HttpRequest, body: dict[str, Any]) -> Any:
    """The model that draws where a call names none; kept for a person until the studio restarts."""
    if request.method == "POST":
        model = body.get("sd_model_checkpoint")
        if model is not None:
            if model not in await sync_to_async(pictures.drawing_models)(request.user):
                raise EaselError(f"no model called '{str(model)[:60]}' draws here: see /sdapi/v1/sd-models")
            cache.set(_option(request.user), model, None)
        return None
    return {"sd_model_checkpoint": current_model(request.user)}


def current_model(person: Any) -> str:
    """The model that a person chose, or pocket."""
    return str(cache.get(_option(person), "pocket"))


def _option(person: Any) -> str:
    return f"a1111-model-{person.pk}"


@told
async def png_info(_request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """The `parameters` text in a picture."""
    content = pictures.from_base64(body.get("image"))
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            picture.load()
            texts = {key: text for key, text in picture.info.items() if isinstance(text, str)}
    except (OSError, ValueError, SyntaxError) as problem:
        raise EaselError("image: no PNG that opens") from problem
    return {"info": texts.get("parameters", ""), "items": texts, "parameters": {}}


@told
async def interrogate(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """What a picture shows, as a prompt."""
    photo = await sync_to_async(pictures.put_in)(request.user, pictures.from_base64(body.get("image")), "photo.png")
    job = await waiting.made(
        request.user, recipe_from({"kind": "caption", "photos": [photo.place], "interrogate": True})
    )
    from easel.result import Result

    texts = Result.read(job.folder).texts
    return {"caption": next(iter(texts.values()), "")}


@told
async def nothing(_request: HttpRequest, _body: dict[str, Any]) -> list[Any]:
    """What easel has none of."""
    return []


@told
async def scripts(_request: HttpRequest, _body: dict[str, Any]) -> dict[str, list[str]]:
    """No scripts."""
    return {"txt2img": [], "img2img": []}
