"""Pages: home, a page a kind made from its recipe, and what is put in."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from easel.errors import EaselError
from easel.jobs.stylize import styles
from easel.kinds import GROUPS, KINDS
from easel.models.catalog import listing
from easel.recipes import Recipe, to_yaml
from easel.recipes.describe import settings
from easel.recipes.read import parse_yaml
from easel.version import __version__
from easel.web import forms, gate, index, inference, presets, pulls, queue, uploads
from easel.web.gate import own
from easel.web.jobs import panel
from easel.web.models import QUEUED, RUNNING, Job, Picture, Preset, Upload

RECENT = 8
PHOTO, SUBJECT = "a photo", "photos of one subject"
HANDS = {
    "picture": PHOTO,
    "pictures": PHOTO,
    "folder": "a set of pictures",
    "words": "words",
    "list": "a set of pictures",
}
"""What a person has in hand, by the field that a kind asks for first."""


def common(request: HttpRequest) -> dict[str, Any]:
    """What every page has."""
    person = getattr(request, "user", None)
    busy = Job.objects.filter(state__in=(QUEUED, RUNNING)) if person and person.is_authenticated else Job.objects.none()
    return {
        "kinds": [(word, kind) for word, kind in KINDS.items()],
        "version": __version__,
        "busy": own(busy, person).count() if person and person.is_authenticated else 0,
        "theme": request.COOKIES.get("theme", "") if request.COOKIES.get("theme") in {"light", "dark"} else "",
        "person": person,
        "here": request.path.split("/")[1],
        "https": django_settings.HTTPS,
    }


def home(request: HttpRequest) -> HttpResponse:
    """What one can do here, by what one has in hand; the last results; what this machine has."""
    hands: dict[str, list[tuple[str, str]]] = {PHOTO: [], "words": [], SUBJECT: [], "a set of pictures": []}
    for word, kind in KINDS.items():
        if word.partition("-")[0] not in GROUPS and hand_of(word)[0]:
            hands[hand_of(word)[0]].append((word, kind.about))
    pictures = own(Picture.objects.filter(binned=None), request.user).select_related("job").order_by("-made", "-pk")
    running = own(Job.objects.filter(state=RUNNING), request.user)
    tools = [(word, KINDS[word].about) for word in KINDS if word.partition("-")[0] in GROUPS]
    found = pictures.prefetch_related("numbers")[:RECENT]
    return render(request, "home.html", {"hands": hands, "pictures": found, "running": running, "tools": tools})


def hand_of(word: str) -> tuple[str, str]:
    """What a person has in hand who wants this kind, and the setting that it goes into; '' where it is nothing yet."""
    kind = KINDS[word].recipe
    known = {one.name: one for one in settings(kind)}
    first = [name for name in kind.positional if name in known]
    names = [name for name in first if not known[name].choices]
    if not names:
        return "", ""
    hand = HANDS.get(forms.widget_of(kind, known[names[0]]), "")
    return (SUBJECT if "subject" in known and hand == "a set of pictures" else hand), names[0]


def machine(request: HttpRequest) -> HttpResponse:
    """What this machine has, which takes a moment to find out."""
    return render(request, "machine.html", {"found": examined()})


@cache
def examined() -> dict[str, Any]:
    """What the doctor says, found out once."""
    from easel.runners.doctor import examine

    return examine()


@require_http_methods(["GET", "POST"])
def make(request: HttpRequest, word: str) -> HttpResponse:
    """A kind's form; sent, it puts the recipe into the queue."""
    if request.method == "GET":
        return shown_form(request, word, given(request, word), {})
    typed = typed_in(request, word)
    recipe, wrong = checked(request, word, typed)
    if recipe is not None:
        wrong = gate.refusals(recipe, request.user)
        if not wrong and (number := _number(request.POST.get("go_on"))):
            job = get_object_or_404(own(Job.objects.filter(kind=word), request.user), pk=number)
            wrong = queue.go_on(job, recipe)
        elif not wrong:
            job = put_in_line(request.user, recipe, first=bool(request.POST.get("first")))
        if not wrong:
            if request.headers.get("HX-Request"):
                return render(request, "now.html", {"job": job} | panel(job))
            return HttpResponseRedirect(f"/jobs/{job.pk}/")
    return shown_form(request, word, typed, wrong, status=422)


def put_in_line(person: Any, recipe: Recipe, *, first: bool) -> Job:
    """Put a recipe into the queue; `first` is before all others for the owner, and before their own for others."""
    job = queue.enqueue(person, recipe, priority=1 if first and person.is_superuser else 0)
    if first and not person.is_superuser:
        own_first = Job.objects.filter(state=QUEUED, owner=person).order_by("-priority", "place", "pk").first()
        queue.move_among(job, person, before=own_first if own_first != job else None)
    return job


def shown_form(
    request: HttpRequest, word: str, typed: forms.Typed, wrong: dict[str, str], *, status: int = 200
) -> HttpResponse:
    """The page of a kind, with what was typed, and what is wrong with it; of a page that stays, the fields alone."""
    if wrong and request.headers.get("HX-Request"):
        answer = render(request, "fields.html", form(request, word, typed, wrong), status=status)
        answer["HX-Retarget"] = "#fields"
        return answer
    templates = [f"kinds/{word}.html", "make.html"]  # a kind may have a page of its own
    return render(request, templates, form(request, word, typed, wrong), status=status)


def checked(request: HttpRequest, word: str, typed: forms.Typed) -> tuple[Any, dict[str, str]]:
    """The recipe that a form describes, or what is wrong at which field."""
    known = inference.learned(typed, request.user)
    facts = inference.facts_of(word, typed, request.user)
    return forms.checked(word, typed, facts, known.hidden if known else ())


def form_groups(
    request: HttpRequest, word: str, typed: forms.Typed, wrong: dict[str, str] | None = None
) -> list[forms.Group]:
    """The form's groups, with what applies to what was typed and to the model that it names."""
    facts = inference.facts_of(word, typed, request.user)
    made = forms.groups(KINDS[word].recipe, typed, wrong, facts)
    return inference.fitted(made, typed, inference.learned(typed, request.user))


def form(request: HttpRequest, word: str, typed: forms.Typed, wrong: dict[str, str]) -> dict[str, Any]:
    """What the page of a kind shows."""
    made = form_groups(request, word, typed, wrong)
    fields = {field.name for group in made for field in group.fields}
    text, problem = yaml_of(request, word, typed)
    go_on = request.POST.get("go_on") or request.GET.get("go_on")
    return {
        "word": word,
        "kind": KINDS[word],
        "groups": made,
        "other_errors": [f"{name}: {text}" if name else text for name, text in wrong.items() if name not in fields],
        "wrong": wrong,
        "yaml": text,
        "problem": problem,
        **offered(request.user, made),
        "presets": presets.of(request.user, word),
        "go_on": _number(go_on),
    }


@require_POST
def fields(request: HttpRequest, word: str) -> HttpResponse:
    """The form's fields again, after a choice that others depend on."""
    made = form_groups(request, word, {name: request.POST.getlist(name) for name in request.POST})
    return render(request, "fields.html", {"word": word, "groups": made} | offered(request.user, made))


def offered(person: Any, made: list[forms.Group]) -> dict[str, Any]:
    """What the fields of a form offer: models, what was put in before, paintings of styles."""
    has_styles = any(field.name == "styles" for group in made for field in group.fields)
    recent = own(Upload.objects.all(), person).order_by("-created")[:12]
    return model_choices(person) | {"recent": recent, "paintings": styles.painted() if has_styles else ()}


@require_POST
def as_yaml(request: HttpRequest, word: str) -> HttpResponse:
    """The YAML that the form stands for, to copy."""
    text, problem = yaml_of(request, word, {name: request.POST.getlist(name) for name in request.POST})
    return render(request, "yaml.html", {"yaml": text, "problem": problem, "word": word})


def yaml_of(request: HttpRequest, word: str, typed: forms.Typed) -> tuple[str, str]:
    """The recipe as YAML, or what it lacks."""
    recipe, wrong = checked(request, word, typed)
    if recipe is None:
        name, text = next(iter(wrong.items()))
        return "", f"{name}: {text}" if name else text
    text = to_yaml(recipe, short=True)
    drawn = "" if any(typed.get("seed", ())) else f"seed: {recipe.seed}\n"
    return (text.replace(drawn, "") if drawn else text), ""


def given(request: HttpRequest, word: str) -> dict[str, list[str]]:
    """What the form begins with: the settings of a job or a picture, single settings by name, or nothing."""
    kind = KINDS[word].recipe
    values: dict[str, Any] = {}
    if number := _number(request.GET.get("job")):
        values = get_object_or_404(own(Job.objects.filter(kind=word), request.user), pk=number).settings
    elif number := _number(request.GET.get("picture")):
        picture = get_object_or_404(own(Picture.objects.select_related("job"), request.user), pk=number)
        values = (index.recipe_in(picture.path) or {}) if picture.kind == word else {}
        values = values or (picture.job.settings if picture.kind == word else {})
    elif number := request.GET.get("upload"):
        upload = get_object_or_404(own(Upload.objects.all(), request.user), pk=number)
        from pathlib import Path

        values = index.recipe_in(Path(upload.place)) or {}
        if values.get("kind") != word:
            raise EaselError(f"this picture carries no recipe of {word}: open the page of its kind, or choose another")
    elif number := _number(request.GET.get("base_of")):
        values = base_of(get_object_or_404(own(Job.objects.all(), request.user), pk=number)) if kind.from_file else {}
    elif number := _number(request.GET.get("preset")):
        kept = get_object_or_404(Preset, pk=number, owner=request.user, kind=word)
        return {name: [str(text) for text in texts] for name, texts in kept.typed.items()}
    typed = forms.typed_from(kind, values)
    typed |= {name: request.GET.getlist(name) for name in kind.model_fields if name in request.GET}
    return typed


def base_of(job: Job) -> dict[str, Any]:
    """The comparison whose base is a job's recipe, on its photo and seed."""
    base = parse_yaml(to_yaml(job.recipe, short=True), "the recipe")[0]
    found: dict[str, Any] = {"seeds": [base.pop("seed")]}
    return found | ({"photos": [base.pop("photo")]} if "photo" in base else {}) | {"base": base}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def typed_in(request: HttpRequest, word: str) -> dict[str, list[str]]:
    """What was typed, with the files that came with the form itself (a browser without JavaScript) put in."""
    typed: dict[str, list[str]] = {name: list(request.POST.getlist(name)) for name in request.POST}
    known = KINDS[word].recipe.model_fields
    for name in request.FILES:
        setting = name.removesuffix("--file")
        if setting in known:
            files = [file for file in request.FILES.getlist(name) if file.name]
            typed[setting] = [uploads.take_file(request.user, file).place for file in files] or typed.get(setting, [])
    return typed


def model_choices(person: Any) -> dict[str, Any]:
    """Models that can be chosen now: those at hand, those fetched here, and this person's own, with what each is."""
    called = inference.labels()
    rows = [row for row in listing.rows() if row.at_hand and gate.is_model(row.name, person)]
    choices = [(row.name, f"{called.get(row.name, row.name)}: {row.about}") for row in rows]
    choices += [(name, f"{name}: from the hub") for name in pulls.pulled({row.name for row in rows})]
    weights = own(Upload.objects.filter(name__endswith=".safetensors"), person)
    choices += [(row.place, f"{called.get(row.place, row.name)}: weights that you put in") for row in weights]
    return {"models": choices, "model_names": {name for name, _ in choices}}


@require_POST
def put_in(request: HttpRequest) -> HttpResponse:
    """Take in a file, several, or a folder; the answer is JSON for the page's script."""
    if getattr(request, "too_large", False):
        raise EaselError(f"the file is too large: at most {django_settings.MOST_UPLOAD >> 20} MB")
    files = request.FILES.getlist("files")
    if not files:
        raise EaselError("no file came with this")
    try:
        if request.POST.get("folder"):
            paths = request.POST.getlist("paths") or [file.name or "file" for file in files]
            parts = [path.split("/", 1) for path in paths]
            pairs = [(part[-1], file) for part, file in zip(parts, files, strict=False)]
            name = parts[0][0] if len(parts[0]) > 1 else "pictures"
            begun = request.POST.get("into")
            into = own(Upload.objects.filter(is_folder=True), request.user).get(pk=begun) if begun else None
            made = [uploads.take_folder(request.user, name, pairs, into)]
        else:
            made = [uploads.take_file(request.user, file) for file in files]
    except EaselError as problem:
        return JsonResponse({"error": str(problem)}, status=422)
    except Upload.DoesNotExist:
        return JsonResponse({"error": "there is no such folder of yours: put it in again"}, status=404)
    plain = [
        {
            "place": one.place,
            "name": one.name,
            "notes": one.notes,
            "count": one.count,
            "is_folder": one.is_folder,
            "id": one.pk,
        }
        for one in made
    ]
    kinds = {one.pk: (index.recipe_in(_path(one)) or {}).get("kind", "") for one in made if not one.is_folder}
    return JsonResponse({"made": [row | {"kind": kinds.get(row["id"], "")} for row in plain]})


def _path(upload: Upload) -> Any:
    from pathlib import Path

    return Path(upload.place)


@require_POST
def take_away(request: HttpRequest, number: str) -> HttpResponse:
    """Delete what was put in."""
    uploads.delete(get_object_or_404(own(Upload.objects.all(), request.user), pk=number))
    return HttpResponseRedirect("/account/")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark, or as the system has it."""
    response = HttpResponseRedirect(_back(request))
    chosen = request.POST.get("theme", "")
    if chosen in {"light", "dark"}:
        response.set_cookie(
            "theme", chosen, max_age=31_536_000, samesite="Lax", httponly=True, secure=django_settings.HTTPS
        )
    else:
        response.delete_cookie("theme")
    return response


def _back(request: HttpRequest) -> str:
    """The page that a form was on, where it is one of ours."""
    from urllib.parse import urlsplit

    path = request.POST.get("next", "/")
    plain = urlsplit(path)
    return path if path.startswith("/") and not path.startswith("//") and not plain.netloc and "\\" not in path else "/"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's words
    """What is not there, or is another person's: the same words for both."""
    from easel.web.safety import refused

    return refused(request, "there is nothing at this address, or it is not yours", 404)


def not_understood(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that is damaged, too large in its parts, or for another host."""
    from django.core.exceptions import DisallowedHost, RequestDataTooBig

    from easel.web.safety import refused

    if isinstance(exception, DisallowedHost):
        return refused(request, "the studio does not go by this name: see --allowed-host", 400)
    if isinstance(exception, RequestDataTooBig):
        most = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20
        return refused(request, f"this is too large: at most {most} MB beside files", 413)
    return refused(request, "the request is damaged, or has too many parts", 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's words
    """What nobody may do."""
    from easel.web.safety import refused

    return refused(request, "this is not allowed", 403)


def broken(request: HttpRequest) -> HttpResponse:
    """A fault of the studio's own."""
    from easel.web.safety import refused

    return refused(request, "the studio met something it did not expect: please report what you did", 500)


def health(_request: HttpRequest) -> HttpResponse:
    """That the studio answers."""
    return JsonResponse({"status": "ok", "version": __version__})
