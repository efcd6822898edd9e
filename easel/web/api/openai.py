"""OpenAI's REST for pictures, so that its clients work: generations, edits with a mask, variations, models, streams.

`seed`, `negative_prompt`, `steps` and `guidance_scale` are taken beside OpenAI's own settings (`extra_body`).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from easel.errors import EaselError, shortened
from easel.recipes import Recipe, recipe_from
from easel.web import gate, index, served
from easel.web.api import asked, pictures, waiting
from easel.web.api.views import Answer, View, api_view
from easel.web.models import DONE, Job

THEIRS = ("dall-e", "gpt-image", "chatgpt-image")
"""How OpenAI's own models begin: here they stand for pocket."""
MORE = {"seed": int, "negative_prompt": str, "steps": int, "guidance_scale": float}
"""Settings of easel's own that are taken beside theirs."""
HINTS = frozenset({"user", "moderation", "quality", "style", "input_fidelity", "safety_identifier"})
"""What a program may say, and easel has no use for."""
KNOWN = frozenset({
    "prompt", "model", "n", "size", "background", "output_format", "output_compression", "response_format", "stream",
    "partial_images", "image", "mask", *MORE, *HINTS,
})  # fmt: skip
MOST, MOST_PARTIAL = 10, 3
VARIES = 0.6
"""Strength of a variation: the photo's arrangement stays, its contents are drawn anew."""
LINK_SECONDS = 3600
SALT = "easel-files"
ALIVE = 10.0
"""Seconds after which a silent stream says that it lives."""
NO_TOKENS = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}
TYPES = {400: "invalid_request_error", 429: "rate_limit_error"}


class Wrong(EaselError):
    """A request that cannot be done, with the parameter that is wrong and the status of its answer."""

    def __init__(self, words: str, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(words)
        self.param, self.status, self.code = param, status, code


def failed(words: str, status: int, param: str | None = None, code: str | None = None) -> JsonResponse:
    """An error as OpenAI says it. Clients are told not to send the same again: the first goes on, or fails again."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": words, "type": kind, "param": param, "code": code}
    return JsonResponse({"error": error}, status=status, headers={"x-should-retry": "false"})


def openai_view(method: str) -> Callable[[View], Answer]:
    """A view of one method, whose errors are in OpenAI's shape."""

    def refused(problem: EaselError, status: int) -> JsonResponse:
        if isinstance(problem, Wrong):
            return failed(str(problem), problem.status, problem.param, problem.code)
        return failed(str(problem), status)

    return api_view(refused, 400, method)


@openai_view("GET")
async def models(request: HttpRequest) -> dict[str, Any]:
    """Models that draw."""
    names = await sync_to_async(pictures.drawing_models)(request.user)
    rows = [{"id": name, "object": "model", "created": 0, "owned_by": "easel"} for name in names]
    return {"object": "list", "data": rows}


@openai_view("POST")
async def generations(request: HttpRequest) -> Any:
    """Pictures from words."""
    body = asked.json_in(request)
    values = {"kind": "generate"} | await sync_to_async(shared)(request.user, body)
    if not body.get("prompt"):
        raise Wrong("prompt is missing: say what to draw", "prompt")
    return await answered(request, recipe_of(values), body, "image_generation")


@openai_view("POST")
async def edits(request: HttpRequest) -> Any:
    """A photo changed by words, everywhere or where its mask is clear."""
    body, files = form_of(request)
    values = {"kind": "edit"} | await sync_to_async(shared)(request.user, body)
    if not body.get("prompt"):
        raise Wrong("prompt is missing: say what to change", "prompt")

    def given() -> dict[str, Any]:
        found = {"photo": pictures.put_in(request.user, photo_in(files), "photo.png").place}
        if "mask" in request.FILES:
            content = pictures.mask_from_alpha(request.FILES["mask"].read())
            found |= {"mask": pictures.put_in(request.user, content, "mask.png").place, "method": "inpaint"}
        return found

    return await answered(request, recipe_of(values | await sync_to_async(given)()), body, "image_edit")


@openai_view("POST")
async def variations(request: HttpRequest) -> Any:
    """Other pictures of what a photo shows: it is captioned, and redrawn from the caption."""
    from easel.web.api.a1111 import captioned

    body, files = form_of(request)
    if body.get("prompt"):
        raise Wrong("prompt: a variation takes none: use edits", "prompt")
    values = {"kind": "edit", "method": "redraw", "strength": VARIES, "keep_details": "no"}
    values |= await sync_to_async(shared)(request.user, body)
    content = photo_in(files)
    caption = await captioned(request.user, content)
    photo = await sync_to_async(pictures.put_in)(request.user, content, "photo.png")
    values |= {"prompt": caption, "caption": caption, "photo": photo.place}
    return await answered(request, recipe_of(values), body, "image_edit")


def form_of(request: HttpRequest) -> tuple[dict[str, Any], list[Any]]:
    """The texts and the pictures of a form. Raises Wrong where there is not one picture."""
    body: dict[str, Any] = {name: request.POST[name] for name in request.POST}
    if getattr(request, "too_large", False):
        raise Wrong(f"image: is too large: at most {django_settings.MOST_UPLOAD >> 20} MB", "image", 413)
    files = [*request.FILES.getlist("image"), *request.FILES.getlist("image[]")]
    if len(files) != 1:
        raise Wrong("give one image" if not files else "only one image is edited at a time", "image")
    return body, files


def photo_in(files: list[Any]) -> bytes:
    """The bytes of the one picture."""
    content: bytes = files[0].read()
    return content


def recipe_of(values: dict[str, Any]) -> Recipe:
    """The recipe. Raises Wrong, naming OpenAI's own word for the setting that is wrong."""
    try:
        return recipe_from(values)
    except EaselError as problem:
        first = str(problem).partition(" ")[0].strip(":")
        theirs = {"width": "size", "height": "size", "count": "n", "photo": "image"}.get(first, first)
        raise Wrong(str(problem), theirs if theirs in KNOWN else None) from problem


def shared(person: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The settings that all have, in easel's words. Raises Wrong on what has no match."""
    if strange := next((name for name in body if name.removesuffix("[]") not in KNOWN), ""):
        raise Wrong(f"unknown parameter: '{shortened(strange)}'", strange, code="unknown_parameter")
    count = whole(body, "n", 1)
    if not 1 <= count <= MOST:
        raise Wrong(f"n is {count}: 1 to {MOST}", "n")
    model = str(body.get("model") or "pocket")
    model = "pocket" if model.startswith(THEIRS) else model
    if not gate.is_model(model, person):
        words = f"no model called '{shortened(model)}': see /v1/models"
        raise Wrong(words, "model", 404, "model_not_found")
    values: dict[str, Any] = {"count": count, "model": model}
    if body.get("prompt"):
        values["prompt"] = body["prompt"]
    size = str(body.get("size") or "auto")
    if size != "auto":
        width, _, height = size.partition("x")
        if not (width.isdecimal() and height.isdecimal() and len(size) < 20):
            raise Wrong(f"size is '{shortened(size, 20)}': write it as 512x512, or auto", "size")
        values |= {"width": int(width), "height": int(height)}
    if str(body.get("background") or "auto") not in {"auto", "opaque"}:
        raise Wrong("background: easel draws no transparent pictures", "background")
    if str(body.get("output_format") or "png") not in pictures.FORMATS:
        raise Wrong(f"output_format: use one of {', '.join(pictures.FORMATS)}", "output_format")
    if str(body.get("response_format") or "b64_json") not in {"b64_json", "url"}:
        raise Wrong("response_format: use b64_json or url", "response_format")
    if not 0 <= whole(body, "output_compression", 100) <= 100:
        raise Wrong("output_compression: 0 to 100", "output_compression")
    if not 0 <= whole(body, "partial_images", 0) <= MOST_PARTIAL:
        raise Wrong(f"partial_images: 0 to {MOST_PARTIAL}", "partial_images")
    for name, kind in MORE.items():
        if body.get(name) is not None:
            values[name] = _more(name, body[name], kind)
    return values


def _more(name: str, value: Any, kind: type) -> Any:
    """A setting of easel's own, which in a form is a text. Raises Wrong where it reads as no number."""
    if kind is str or not isinstance(value, str):
        return value
    try:
        made = kind(value)
    except ValueError:
        made = math.nan
    if not math.isfinite(made):
        raise Wrong(f"{name}: must be a number", name)
    return made


def whole(body: dict[str, Any], name: str, usual: int) -> int:
    """A whole number, which in a form is a text."""
    value = body.get(name)
    if value is None:
        return usual
    try:
        return int(str(value)[:20])
    except ValueError:
        raise Wrong(f"{name}: must be a whole number", name) from None


async def answered(request: HttpRequest, recipe: Recipe, body: dict[str, Any], word: str) -> Any:
    """Run a recipe through the queue; its pictures as OpenAI gives them, at once or as a stream."""
    job = await waiting.enqueued(request.user, recipe)
    form, quality = str(body.get("output_format") or "png"), whole(body, "output_compression", 100)
    about = {"output_format": form, "quality": "auto", "size": str(body.get("size") or "auto"), "background": "opaque"}
    if str(body.get("stream", "")).lower() == "true":
        return streamed(job, about, quality, word, whole(body, "partial_images", 0))
    job = await waiting.over(job)
    data = []
    for path in await sync_to_async(waiting.picture_paths)(job):
        if body.get("response_format") == "url":
            signed = signing.dumps([request.user.pk, path.as_posix()], salt=SALT)
            data.append({"url": request.build_absolute_uri(f"/v1/files/{signed}")})
        else:
            data.append({"b64_json": await sync_to_async(pictures.as_base64)(path, form, quality)})
    return {"created": int(time.time()), "data": data, "usage": NO_TOKENS} | about


def streamed(job: Job, about: dict[str, str], quality: int, word: str, partial: int) -> StreamingHttpResponse:
    """What a job has so far, at most `partial` times, and then its pictures, as events."""

    def event(kind: str, value: dict[str, Any]) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind} | value)}\n\n"

    async def picture(path: Path, more: dict[str, Any]) -> dict[str, Any]:
        content = await sync_to_async(pictures.as_base64)(path, about["output_format"], quality)
        return {"b64_json": content, "created_at": int(time.time())} | more | about

    async def events() -> AsyncIterator[str]:
        sent, seen, said = 0, 0.0, time.monotonic()
        try:
            async for now in waiting.followed(job):
                if now.state != DONE and now.preview > seen and sent < partial and index.preview_path(now).is_file():
                    found = await picture(index.preview_path(now), {"partial_image_index": sent})
                    yield event(f"{word}.partial_image", found)
                    sent, seen, said = sent + 1, now.preview, time.monotonic()
                elif time.monotonic() - said > ALIVE:
                    yield ": alive\n\n"
                    said = time.monotonic()
            for path in await sync_to_async(waiting.picture_paths)(job):
                yield event(f"{word}.completed", await picture(path, {"usage": NO_TOKENS}))
        except EaselError as problem:
            yield event(
                "error", {"error": {"message": str(problem), "type": "server_error", "param": None, "code": None}}
            )

    response = StreamingHttpResponse(events(), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def file(request: HttpRequest, signed: str) -> HttpResponseBase:
    """A picture by the link that an answer gave; it opens for an hour."""
    from django.contrib.auth import get_user_model

    try:
        number, place = signing.loads(signed, max_age=LINK_SECONDS, salt=SALT)
    except signing.BadSignature:
        raise Http404 from None
    person = get_user_model().objects.filter(pk=number, is_active=True).first()
    path = gate.own_path(place, person) if person is not None else None
    if path is None:
        raise Http404
    return served.file_response(request, path)
