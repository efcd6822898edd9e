"""easel's own REST: a recipe in, 202 and a number out; then its state, its result, its events. OpenAPI at /api/docs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from ninja import Body, File, NinjaAPI, Path, Query, Schema, Status
from ninja.errors import HttpError, ValidationError
from ninja.files import UploadedFile

from easel.errors import EaselError
from easel.kinds import KINDS
from easel.recipes import Recipe, recipe_from
from easel.result import Result
from easel.version import __version__
from easel.web import gate, queue, uploads
from easel.web.gate import own
from easel.web.models import DONE, STATES, Job
from easel.web.views import model_choices

api = NinjaAPI(
    title="easel",
    version=__version__,
    description="Recipes in, pictures and scores out.",
    docs_url=None,
    openapi_url=None,
)
MOST_BODY = 1_000_000
"""Bytes of a recipe."""
MOST_NUMBER = 2**62


class JobOut(Schema):
    """A job: its state, and the recipe that it runs."""

    id: int
    kind: str
    state: str
    priority: int
    phase: str
    done: int
    total: int
    rate: float | None
    eta: float | None
    attempts: int
    error: str
    created: float
    started: float | None
    ended: float | None
    recipe: dict[str, Any]


class Problem(Schema):
    """What is wrong, and with which setting."""

    detail: str
    fields: dict[str, str]


class UploadOut(Schema):
    """What was put in; `place` is how a recipe names it."""

    id: str
    place: str
    name: str
    count: int
    bytes: int
    notes: list[str]


class KindOut(Schema):
    """A kind of job."""

    kind: str
    about: str
    recipe_schema: dict[str, Any]


class Wrong(EaselError):
    """A recipe that cannot be run, with what is wrong by setting."""

    def __init__(self, fields: dict[str, str], words: str) -> None:
        super().__init__(words)
        self.fields = fields


@api.exception_handler(EaselError)
def _advice(request: HttpRequest, problem: EaselError) -> HttpResponse:
    status = 429 if isinstance(problem, queue.Full) else 422
    fields = problem.fields if isinstance(problem, Wrong) else {}
    return api.create_response(request, {"detail": str(problem), "fields": fields}, status=status)


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, problem: HttpError) -> HttpResponse:
    return api.create_response(request, {"detail": problem.message, "fields": {}}, status=problem.status_code)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, problem: ValidationError) -> HttpResponse:
    if getattr(request, "too_large", False):
        words = f"file: is too large: at most {settings.MOST_UPLOAD >> 20} MB"
        return api.create_response(request, {"detail": words, "fields": {}}, status=422)
    first = problem.errors[0] if problem.errors else {"loc": (), "msg": "is wrong"}
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "recipe", "query", "path"})
    words = f"{where}: {first['msg']}" if where else str(first["msg"])
    return api.create_response(request, {"detail": words, "fields": {}}, status=422)


def job_of(request: HttpRequest, number: int) -> Job:
    """This person's job of that number. HttpError 404 where there is none."""
    job: Job | None = own(Job.objects.all(), request.user).filter(pk=number).first()
    if job is None:
        raise HttpError(404, f"you have no job {number}")
    return job


@cache
def schema_of(recipe: type[Recipe], parts: str) -> dict[str, Any]:
    """The JSON schema of a kind's recipe, which says its kind; `parts` is where it finds schemas within it."""
    made = recipe.model_json_schema(ref_template=parts)
    return made | {"required": ["kind", *(name for name in made.get("required", ()) if name != "kind")]}


def whole_schema() -> dict[str, Any]:
    """The schema of all this: what is posted to /jobs is the recipe of one of the kinds."""
    schema: dict[str, Any] = api.get_openapi_schema(path_prefix="/api/")
    known, mapping = schema["components"]["schemas"], {}
    for word, kind in KINDS.items():
        made = dict(schema_of(kind.recipe, "#/components/schemas/{model}"))
        known |= made.pop("$defs", {})
        known[f"recipe-{word}"] = made
        mapping[word] = f"#/components/schemas/recipe-{word}"
    body = schema["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]
    recipes = [{"$ref": place} for place in mapping.values()]
    body["schema"] = {"oneOf": recipes, "discriminator": {"propertyName": "kind", "mapping": mapping}}
    return schema


Number = Path(..., ge=1, le=MOST_NUMBER)
ALWAYS: dict[Any, Any] = {frozenset({400, 401, 403, 422, 503}): Problem}
"""What any of these may answer: damaged, not logged in, from another site, wrong, no database."""
SENT: dict[Any, Any] = {frozenset({413, 429, 507}): Problem}
"""Too large, too many, no disk."""
OF_ONE: dict[Any, Any] = {404: Problem} | ALWAYS


@api.get("/kinds", response={200: list[KindOut]} | ALWAYS, tags=["recipes"])
def kinds(request: HttpRequest) -> list[dict[str, Any]]:  # noqa: ARG001 - ninja hands it by this name
    """Every kind of job, with the schema of its recipe."""
    return [
        {"kind": word, "about": kind.about, "recipe_schema": schema_of(kind.recipe, "#/$defs/{model}")}
        for word, kind in KINDS.items()
    ]


@api.get("/models", response={200: dict[str, str]} | ALWAYS, tags=["recipes"])
def models(request: HttpRequest) -> dict[str, str]:
    """Models that can be named now, with what each is."""
    return dict(model_choices(request.user)["models"])


@api.post("/jobs", response={202: JobOut} | ALWAYS | SENT, tags=["jobs"])
def post_job(request: HttpRequest, recipe: dict[str, Any] = Body(...)) -> Status:  # noqa: B008
    """Put a recipe into the queue: plain values with `kind`.

    Files are named by the `place` of an upload, or of a file in a result.
    """
    if len(request.body) > MOST_BODY:
        raise HttpError(413, f"a recipe has at most {MOST_BODY:,} bytes here: put long lists in as files")
    try:
        made = recipe_from(recipe)
    except EaselError as problem:
        kind = KINDS.get(str(recipe.get("kind")))
        first = str(problem).partition(" ")[0].strip(":")
        raise Wrong(
            {first: str(problem)} if kind and first in kind.recipe.model_fields else {}, str(problem)
        ) from problem
    if wrong := gate.refusals(made, request.user):
        raise Wrong(wrong, "; ".join(f"{name}: {words}" for name, words in wrong.items()))
    return Status(202, queue.enqueue(request.user, made).plain())


@api.get("/jobs", response={200: list[JobOut]} | ALWAYS, tags=["jobs"])
def list_jobs(
    request: HttpRequest,
    state: str | None = None,
    limit: int = Query(50, ge=1, le=500),
    before: int | None = Query(None, ge=1, le=MOST_NUMBER),
) -> list[dict[str, Any]]:
    """Jobs, the newest first; `before` is the number to go on from."""
    if state is not None and state not in STATES:
        raise EaselError(f"no state called '{state[:20]}': use one of {', '.join(STATES)}")
    found = own(Job.objects.order_by("-pk"), request.user)
    found = found if state is None else found.filter(state=state)
    found = found if before is None else found.filter(pk__lt=before)
    return [job.plain() for job in found[:limit]]


@api.get("/jobs/{number}", response={200: JobOut} | OF_ONE, tags=["jobs"])
def get_job(request: HttpRequest, number: int = Number) -> dict[str, Any]:
    """How far a job is."""
    return job_of(request, number).plain()


@api.get("/jobs/{number}/result", response={200: dict[str, Any], 409: Problem} | OF_ONE, tags=["jobs"])
def get_result(request: HttpRequest, number: int = Number) -> Any:
    """What a job made: result.json, with an address for each file."""
    job = job_of(request, number)
    if job.state != DONE:
        raise HttpError(409, f"job {number} is {job.state}: it has no result" + (" yet" if not job.is_over else ""))
    plain = json.loads(Result.read(job.folder).to_json())
    names = (*plain["pictures"], *plain["files"])
    return plain | {
        "places": {name: f"{job.folder}/{name}" for name in names},
        "addresses": {name: f"/files/{job.folder}/{name}" for name in names},
    }


@api.post("/jobs/{number}/cancel", response={202: JobOut} | OF_ONE, tags=["jobs"])
def cancel_job(request: HttpRequest, number: int = Number) -> Status:
    """Stop a job: at once while it waits, at its next step while it runs."""
    queue.cancel(job_of(request, number))
    return Status(202, job_of(request, number).plain())


@api.post("/jobs/{number}/retry", response={202: JobOut, 409: Problem} | OF_ONE, tags=["jobs"])
def retry_job(request: HttpRequest, number: int = Number) -> Status:
    """Put a job that failed or was cancelled into the queue again; what resumes goes on where it stopped."""
    job = job_of(request, number)
    if not queue.retry(job):
        raise HttpError(409, f"job {number} is {job.state}: only what failed or was cancelled is tried again")
    return Status(202, job_of(request, number).plain())


@api.get("/jobs/{number}/log", response={200: list[str]} | OF_ONE, tags=["jobs"])
def get_log(request: HttpRequest, number: int = Number) -> list[str]:
    """The lines of a job's log."""
    return list(job_of(request, number).lines.order_by("pk").values_list("text", flat=True))


@api.post("/uploads", response={201: UploadOut} | ALWAYS | SENT, tags=["uploads"])
def post_upload(request: HttpRequest, file: UploadedFile = File(...)) -> Status:  # noqa: B008
    """Put a file in: a picture, a table or text, or .safetensors weights."""
    made = uploads.take_file(request.user, file)
    names = ("name", "count", "bytes", "notes", "place")
    return Status(201, {"id": made.pk} | {name: getattr(made, name) for name in names})


async def events(request: HttpRequest, number: int) -> HttpResponseBase:
    """A job's states as server-sent events named `job`, until it is over."""
    from easel.web import live

    def found() -> Job | None:
        return own(Job.objects.all(), request.user).filter(pk=number).first()

    if await sync_to_async(found)() is None:
        raise Http404

    async def now() -> list[str]:
        job = await sync_to_async(found)()
        if job is None:
            return [live.END]
        return [live.event("job", job.plain()), *([live.END] if job.is_over else [])]

    async def then(changed: set[int]) -> list[str]:
        return await now() if number in changed else []

    return live.stream(request, now, then)


def openapi(_request: HttpRequest) -> HttpResponse:
    """The schema of all this."""
    return HttpResponse(json.dumps(whole_schema()), content_type="application/json")


def docs(request: HttpRequest) -> HttpResponse:
    """The schema as a page."""
    from django.shortcuts import render

    schema = whole_schema()
    rows = [
        (verb.upper(), path, facts.get("description", ""))
        for path, verbs in schema["paths"].items()
        for verb, facts in verbs.items()
    ]
    return render(request, "api.html", {"rows": rows})
