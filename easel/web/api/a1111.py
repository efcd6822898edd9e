"""The part of A1111's REST that draws, so that its clients work: txt2img, img2img with a mask, ControlNet units,
progress, interrupt, png-info, interrogate. The lists are in `a1111_lists`, enlarging in `extras`.

What easel does not have (restore_faces, tiling, variation seeds, other scripts) is refused in words, never left out
silently.
"""

from __future__ import annotations

import io
import json
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from PIL import Image

from easel.errors import EaselError, shortened
from easel.images import BROKEN
from easel.provenance import A1111_NAMES, LORA_TAG, PLAIN_SCHEDULES
from easel.recipes import Recipe, recipe_from
from easel.web import index, queue
from easel.web.api import asked, controlnet, pictures, waiting
from easel.web.api.a1111_lists import chosen_model, loras_of
from easel.web.api.a1111_view import a1111_view
from easel.web.models import QUEUED, RUNNING, Job

REFUSED = (
    "restore_faces", "tiling", "subseed_strength", "script_name", "s_churn", "s_tmin", "firstphase_width",
    "firstphase_height",
)  # fmt: skip
"""What has no match here; anything but its empty value is refused."""
OF_HIRES = (
    "hr_second_pass_steps", "hr_checkpoint_name", "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt",
)  # fmt: skip
"""The same of a second pass, which easel makes with the settings of the first."""
HANDLED = frozenset({"sd_model_checkpoint"})
"""Options that mean something here."""
INPAINTS, REDRAWS = "inpaint", "redraw"
NEVER_SAID = ("init_images", "mask", "alwayson_scripts")
"""What was sent and is not sent back: pictures."""


@a1111_view("POST")
async def txt2img(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Draw from words; by the maps of ControlNet units where there are some."""
    values = await sync_to_async(shared)(request.user, body)
    if asked.flag(body, "enable_hr"):
        for name in OF_HIRES:
            if body.get(name) and str(body[name]).casefold() not in {"use same sampler", "use same scheduler"}:
                raise EaselError(f"{name}: easel draws the second pass as the first: leave it out")
        scale = asked.number(body, "hr_scale", 2.0)
        for name, wanted in (("width", "hr_resize_x"), ("height", "hr_resize_y")):
            values[name] = round((asked.number(body, wanted, 0) or values[name] * scale) / 8) * 8
    units = controlnet.units(body)
    if units:
        size = (values["width"], values["height"])
        values |= await sync_to_async(controlnet.steered)(request.user, units, size)
        values |= {"kind": "edit", "keep_details": "no", "show_control": True}
    return await drawn(request, recipe_from({"kind": "generate"} | values), body)


@a1111_view("POST")
async def img2img(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Redraw a photo, or what is white in its mask, along the maps of ControlNet units where there are some.

    The photo is brought to the size asked for first, as `resize_mode` says, and so is its mask. easel draws all of a
    photo for a mask, whatever `inpaint_full_res` says, and keeps the rest to the pixel.
    """
    photos = asked.names(body, "init_images")
    if len(photos) != 1:
        raise EaselError("init_images: give one picture")
    values: dict[str, Any] = {"kind": "edit", "keep_details": "no"} | await sync_to_async(shared)(request.user, body)
    size: tuple[int, int] = (values["width"], values["height"])
    mode = asked.whole(body, "resize_mode", 0)
    units = controlnet.units(body)

    def given() -> dict[str, Any]:
        photo = pictures.opened(photos[0], "init_images")
        made = {"strength": asked.number(body, "denoising_strength", 0.75), "method": REDRAWS}
        made["photo"] = pictures.kept(request.user, pictures.brought(photo, size, mode), "photo.png")
        if body.get("mask"):
            mask = pictures.brought(pictures.opened(body["mask"], "mask", ground="black"), size, mode)
            made |= {"method": INPAINTS, "mask": pictures.kept(request.user, mask, "mask.png")}
            made["mask_invert"] = asked.flag(body, "inpainting_mask_invert")
            made["mask_feather"] = asked.whole(body, "mask_blur", 4, 0)
        if units:
            made |= controlnet.steered(request.user, units, size, photo=pictures.brought(photo, size, mode))
            made |= {"photo": made["photo"], "show_control": True}
        return made

    return await drawn(request, recipe_from(values | await sync_to_async(given)()), body)


def shared(person: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The settings that both have, in easel's words. Raises EaselError on what has no match."""
    for name in REFUSED:
        if body.get(name):
            raise EaselError(f"{name}: easel has no such thing: leave it out")
    for name in ("seed_resize_from_w", "seed_resize_from_h"):
        if asked.number(body, name, 0) > 0:
            raise EaselError(f"{name}: easel has no such thing: leave it out")
    for name, form in asked.pairs(body, "alwayson_scripts").items():
        if name.casefold() != "controlnet" and any(_args(form)):
            raise EaselError(f"alwayson_scripts: easel runs no script called '{shortened(name)}', only ControlNet")
    override = asked.pairs(body, "override_settings")
    if strange := next((name for name in override if name not in HANDLED), ""):
        raise EaselError(f"override_settings: easel has no option called '{shortened(strange)}'")
    words, loras = with_loras(person, asked.text(body, "prompt"))
    values: dict[str, Any] = {
        "prompt": words,
        "steps": asked.whole(body, "steps", 20),
        "guidance_scale": asked.number(body, "cfg_scale", 7.0),
        "width": asked.whole(body, "width", 512),
        "height": asked.whole(body, "height", 512),
        "count": asked.whole(body, "batch_size", 1, 1) * asked.whole(body, "n_iter", 1, 1),
        "model": asked.text(override, "sd_model_checkpoint") or chosen_model(person),
        "negative_prompt": asked.text(body, "negative_prompt"),
        "lora": loras,
    }
    for name in asked.names(body, "styles"):
        values |= styled(str(name), values)
    if asked.whole(body, "seed", -1) >= 0:
        values["seed"] = asked.whole(body, "seed", -1)
    if scheduler := scheduler_of(body):
        values["scheduler"] = scheduler
    return values


def _args(form: Any) -> list[Any]:
    """The arguments of a script; [False] and [] are how clients say that it is off."""
    found = form.get("args") if isinstance(form, dict) else form
    return found if isinstance(found, list) else [found]


def with_loras(person: Any, words: str) -> tuple[str, list[str]]:
    """A prompt without its `<lora:NAME:0.8>`, and these as recipes name them. Raises EaselError on unknown names."""
    tags = LORA_TAG.findall(words)
    known = loras_of(person) if tags else {}
    found = []
    for tag in tags:
        name, *scales = tag.split(":")
        if name not in known:
            raise EaselError(f"no LoRA called '{shortened(name)}' of yours: see /sdapi/v1/loras")
        both = [*reversed(scales[:2])] if len(scales) > 1 else scales  # there the text encoder's comes first
        found.append(":".join([known[name], *both]))
    return LORA_TAG.sub("", words).strip(), found


def styled(name: str, values: dict[str, Any]) -> dict[str, str]:
    """The words of a prompt and a negative one in a style of easel's table."""
    from easel.jobs.stylize.styles import table

    if name not in table():
        raise EaselError(f"styles: no style called '{shortened(name)}': see /sdapi/v1/prompt-styles")
    style = table()[name]
    negative = ", ".join(text for text in (values["negative_prompt"], style.negative_prompt) if text)
    return {"prompt": style.prompt.replace("{caption}", values["prompt"]), "negative_prompt": negative}


def scheduler_of(body: dict[str, Any]) -> str | None:
    """easel's word for a sampler and its schedule; None for the model's own."""
    sampler = asked.text(body, "sampler_name") or str(body.get("sampler_index") or "")
    if not sampler or sampler.casefold() == "automatic":
        return None
    schedule = asked.text(body, "scheduler").casefold()
    found = A1111_NAMES.get(f"{sampler.casefold()} {'' if schedule in PLAIN_SCHEDULES else schedule}".strip())
    if found is None:
        raise EaselError(
            f"no sampler called '{shortened(sampler)}' with the schedule '{shortened(schedule)}': see "
            "/sdapi/v1/samplers"
        )
    return found


async def drawn(request: HttpRequest, recipe: Recipe, body: dict[str, Any]) -> dict[str, Any]:
    """Run a recipe through the queue; its pictures as A1111 gives them, the maps that they followed behind them."""
    job = await waiting.made(request.user, recipe)

    def answered() -> dict[str, Any]:
        paths = waiting.picture_paths(job)
        wanted = [*paths, *waiting.maps_of(job)] if asked.flag(body, "send_images", usual=True) else []
        info = {
            "prompt": asked.text(body, "prompt"),
            "negative_prompt": asked.text(body, "negative_prompt"),
            "seed": recipe.seed,
            "all_seeds": [recipe.seed + number for number in range(len(paths))],
            "infotexts": [_parameters(path) for path in paths],
            "job": job.pk,
        }
        said = {name: value for name, value in body.items() if name not in NEVER_SAID}
        if asked.flag(body, "include_init_images"):
            said = body
        images = [pictures.as_base64(path) for path in wanted]
        return {"images": images, "parameters": said, "info": json.dumps(info, ensure_ascii=False)}

    return await sync_to_async(answered)()


def _parameters(path: Any) -> str:
    with Image.open(path) as picture:
        return str(picture.info.get("parameters", ""))


@a1111_view("GET")
async def progress(request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """How far this person's running job is; all zeros where there is none."""
    mine = Job.objects.filter(state__in=(QUEUED, RUNNING), owner=request.user)
    waiting_or_running = await sync_to_async(lambda: list(mine.order_by("-state", "pk")))()
    job = next((one for one in waiting_or_running if one.state == RUNNING), None)
    image = None
    wants_image = request.GET.get("skip_current_image", "").casefold() not in {"true", "1"}
    if wants_image and job is not None and job.preview and index.preview_path(job).is_file():
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


@a1111_view("POST")
async def interrupt(request: HttpRequest, _body: dict[str, Any]) -> dict[str, Any]:
    """Stop this person's running job at its next step; long ones (trainings) are the pages' to stop."""

    def stop() -> None:
        for job in Job.objects.filter(state=RUNNING, heavy=False, owner=request.user):
            queue.cancel(job)

    await sync_to_async(stop)()
    return {}


@a1111_view("POST")
async def png_info(_request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """The `parameters` text in a picture."""
    content = pictures.from_base64(body.get("image"))

    def read() -> dict[str, str]:
        try:
            with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
                picture.load()
                return {str(key): text for key, text in picture.info.items() if isinstance(text, str)}
        except (Image.DecompressionBombError, *BROKEN) as problem:
            raise EaselError("image: no PNG that opens") from problem

    texts = await sync_to_async(read)()
    return {"info": texts.get("parameters", ""), "items": texts, "parameters": {}}


@a1111_view("POST")
async def interrogate(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """What a picture shows, as a prompt."""
    if asked.text(body, "model", "clip").casefold() != "clip":
        raise EaselError("model: easel interrogates with clip alone")
    return {"caption": await captioned(request.user, pictures.from_base64(body.get("image")), interrogate=True)}


async def captioned(person: Any, content: bytes, **more: Any) -> str:
    """What a picture shows, by way of the queue."""
    photo = await sync_to_async(pictures.put_in)(person, content, "photo.png")
    job = await waiting.made(person, recipe_from({"kind": "caption", "photos": [photo.place]} | more))
    texts = await sync_to_async(waiting.texts_of)(job)
    return next(iter(texts.values()), "")
