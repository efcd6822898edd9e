"""OpenAI's REST for pictures, so that its clients work: generations, edits with a mask, models, streams.

`seed`, `negative_prompt`, `steps` and `guidance_scale` are taken beside OpenAI's own settings (`extra_body`).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from easel.errors import EaselError
from easel.recipes import Recipe, recipe_from
from easel.web import gate, served
from easel.web.api import pictures, waiting
from easel.web.models import Job

THEIRS = ("dall-e", "gpt-image", "chatgpt-image")
"""How OpenAI's own models begin: here they stand for pocket."""
MORE = ("seed", "negative_prompt", "steps", "guidance_scale")
MOST = 10
LINK_SECONDS = 3600
NO_TOKENS = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}


class Wrong(EaselError):
    """A request that cannot be done, with the parameter that is wrong and the status of its answer."""

    def __init__(self, words: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(words)
        self.param, self.status = param, status


def failed(words: str, status: int, param: str | None = None) -> JsonResponse:
    """An error as OpenAI says it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": words, "type": kind, "param": param, "code": None}
    return JsonResponse({"error": error}, status=status)


def told(view: Callable[[HttpRequest], Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A view whose errors are in OpenAI's shape."""

    @csrf_exempt
    @wraps(view)
    async def answer(request: HttpRequest) -> HttpResponseBase:
        try:
            made = await view(request)
            return made if isinstance(made, HttpResponseBase) else JsonResponse(made)
        except Wrong as problem:
            return failed(str(problem), problem.status, problem.param)
        except waiting.StillWorking as problem:
            return failed(str(problem), 504)
        except EaselError as problem:
            return failed(str(problem), 400)

    return answer


@told
async def models(request: HttpRequest) -> dict[str, Any]:
    """Models that draw."""
    names = await sync_to_async(pictures.drawing_models)(request.user)
    rows = [{"id": name, "object": "model", "created": 0, "owned_by": "easel"} for name in names]
    return {"object": "list", "data": rows}


@told
async def generations(request: HttpRequest) -> Any:
    """Pictures from words."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Wrong("the body is no JSON") from None
    if not isinstance(body, dict):
        raise Wrong("the body is no JSON object")
    values = {"kind": "generate"} | shared(body)
    if not body.get("prompt"):
        raise Wrong("prompt is missing: say what to draw", "prompt")
    return await answered(request, recipe_from(values), body, "image_generation")


@told
async def edits(request: HttpRequest) -> Any:
    """A photo changed by words, everywhere or where its mask is clear."""
    body: dict[str, Any] = {name: request.POST[name] for name in request.POST}
    files = request.FILES.getlist("image") or request.FILES.getlist("image[]")
    if len(files) != 1:
        raise Wrong("give one image" if not files else "only one image is edited at a time", "image")
    if not body.get("prompt"):
        raise Wrong("prompt is missing: say what to change", "prompt")
    values = {"kind": "edit"} | shared(body)
    photo = await sync_to_async(pictures.put_in)(request.user, files[0].read(), "photo.png")
    values["photo"] = photo.place
    if "mask" in request.FILES:
        content = pictures.mask_from_alpha(request.FILES["mask"].read())
        values |= {"mask": (await sync_to_async(pictures.put_in)(request.user, content, "mask.png")).place}
        values["method"] = "inpaint"
    return await answered(request, recipe_from(values), body, "image_edit")


def shared(body: dict[str, Any]) -> dict[str, Any]:
    """The settings that both have, in easel's words. Raises Wrong on what has no match."""
    count = _whole(body, "n", 1)
    if not 1 <= count <= MOST:
        raise Wrong(f"n is {count}: 1 to {MOST}", "n")
    model = str(body.get("model") or "pocket")
    values: dict[str, Any] = {
        "prompt": body.get("prompt", ""),
        "count": count,
        "model": "pocket" if model.startswith(THEIRS) else model,
    }
    size = str(body.get("size") or "auto")
    if size != "auto":
        width, _, height = size.partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise Wrong(f"size is '{size[:20]}': write it as 512x512, or auto", "size")
        values |= {"width": int(width), "height": int(height)}
    if body.get("background") == "transparent":
        raise Wrong("background: easel draws no transparent pictures", "background")
    if str(body.get("output_format") or "png") not in pictures.FORMATS:
        raise Wrong(f"output_format: use one of {', '.join(pictures.FORMATS)}", "output_format")
    for name in MORE:
        if body.get(name) is not None:
            value = body[name]
            number = name != "negative_prompt" and isinstance(value, str)
            values[name] = json.loads(value) if number and value.replace(".", "", 1).isdecimal() else value
    return values


def _whole(body: dict[str, Any], name: str, usual: int) -> int:
    value = body.get(name)
    if value is None:
        return usual
    try:
        return int(str(value))
    except ValueError:
        raise Wrong(f"{name}: must be a whole number", name) from None


async def answered(request: HttpRequest, recipe: Recipe, body: dict[str, Any], word: str) -> Any:
    """Run a recipe through the queue; its pictures as OpenAI gives them, at once or as a stream."""
    job = await waiting.enqueued(request.user, recipe)
    form, quality = str(body.get("output_format") or "png"), _whole(body, "output_compression", 90)
    if not 0 <= quality <= 100:
        raise Wrong("output_compression: 0 to 100", "output_compression")
    about = {"output_format": form, "quality": "auto", "size": str(body.get("size") or "auto"), "background": "opaque"}
    if str(body.get("stream", "")).lower() == "true":
        return streamed(job, form, quality, about, word)
    job = await waiting.over(job)
    data = []
    for path in await sync_to_async(waiting.picture_paths)(job):
        if body.get("response_format") == "url":
            signed = signing.dumps([request.user.pk, path.as_posix()])
            data.append({"url": request.build_absolute_uri(f"/v1/files/{signed}")})
        else:
            data.append({"b64_json": await sync_to_async(pictures.as_base64)(path, form, quality)})
    return {"created": int(time.time()), "data": data, "usage": NO_TOKENS} | about


def streamed(job: Job, form: str, quality: int, about: dict[str, str], word: str) -> StreamingHttpResponse:
    """The pictures as events, each when all are done."""

    async def events() -> AsyncIterator[str]:
        try:
            done = await waiting.over(job)
            for path in await sync_to_async(waiting.picture_paths)(done):
                content = await sync_to_async(pictures.as_base64)(path, form, quality)
                value = {
                    "type": f"{word}.completed",
                    "b64_json": content,
                    "created_at": int(time.time()),
                    "usage": NO_TOKENS,
                }
                yield f"event: {word}.completed\ndata: {json.dumps(value | about)}\n\n"
        except EaselError as problem:
            error = {
                "type": "error",
                "error": {"message": str(problem), "type": "server_error", "param": None, "code": None},
            }
            yield f"event: error\ndata: {json.dumps(error)}\n\n"

    response = StreamingHttpResponse(events(), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    return response


def file(request: HttpRequest, signed: str) -> HttpResponseBase:
    """A picture by the link that an answer gave; it opens for an hour."""
    from django.contrib.auth import get_user_model

    try:
        number, place = signing.loads(signed, max_age=LINK_SECONDS)
    except signing.BadSignature:
        raise Http404 from None
    person = get_user_model().objects.filter(pk=number, is_active=True).first()
    path = gate.own_path(place, person) if person is not None else None
    if path is None:
        raise Http404
    return served.file_response(request, path)
