r"""A kind's form, made from its recipe: groups, fields with their limits, what was typed as plain values, and each
error at its field.

What a form holds is text, as a browser sends it: {"steps": ["20"], "styles": ["monet\\nbanksy"]}.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_args, get_origin

from django.utils.html import format_html
from pydantic import ValidationError

from easel.errors import EaselError
from easel.kinds import KINDS
from easel.recipes import Recipe
from easel.recipes.base import draw_seed
from easel.recipes.describe import Setting, settings
from easel.recipes.knobs import IsModel, IsPath, IsWords, NamesFile, Sampled, listed
from easel.recipes.read import faults, parse_yaml, plain_to_yaml, setting_in

Typed = Mapping[str, Sequence[str]]

DRAWING = frozenset({*Sampled.model_fields, "width", "height", "negative_prompt", "batch_size", "batch_row"})
"""How a diffusion model draws."""
MOST_RADIOS = 4
"""Choices that are shown side by side; more are a list to choose from."""
MOST_SLIDER = 1000
"""The widest span of whole numbers that a slider is of use for."""
WIDEST = 100
"""The widest span of numbers with a point that a slider is of use for; that of a weight runs over powers of ten."""
NONE: Mapping[str, str] = MappingProxyType({})
FEW = 6
"""Letters of a choice, about, up to which several stand side by side on a phone."""


@dataclass
class Field:
    """One setting as the page shows it."""

    name: str
    label: str
    meaning: str
    widget: str
    """words, text, lines, some, yaml, number, choice, list, switch, picture, pictures, folder, file, files, model,
    targets.
    """
    default: str
    limits: str
    required: bool
    values: list[str]
    """What stands in it: one text, or, for files, one each."""
    choices: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)
    """Words that can be chosen, and what each is called."""
    is_closed: bool = False
    """No other words can be chosen."""
    least: str = ""
    most: str = ""
    step: str = ""
    slides: bool = False
    is_log: bool = False
    """The slider runs over powers of ten."""
    targets: list[tuple[str, list[tuple[str, str, bool]]]] = field(default_factory=list)
    """Names with amounts to choose from: value, words, and whether it is the chosen one."""
    decides: bool = False
    """Other settings depend on it: the form is asked for again when it changes."""
    error: str = ""

    @property
    def value(self) -> str:
        """The one text in it."""
        return self.values[0] if self.values else ""

    @property
    def described(self) -> str:
        """The attributes that join it to its meaning, and to what is wrong with it."""
        if not self.error:
            return format_html('aria-describedby="about-{}"', self.name)
        return format_html('aria-invalid="true" aria-describedby="wrong-{} about-{}"', self.name, self.name)

    @property
    def others(self) -> str:
        """Of several words those that are not among the known ones, one a line."""
        return "\n".join(text for text in self.values if text not in self.known)


@dataclass
class Group:
    """Fields that stand together; a folded one opens when there is something in it to see."""

    title: str
    about: str
    fields: list[Field] = field(default_factory=list)
    folds: bool = True

    @property
    def is_open(self) -> bool:
        """Whether to show it at once."""
        return not self.folds or any(one.error or one.value not in ("", one.default) for one in self.fields)


def marks_of(kind: type[Recipe], name: str) -> list[Any]:
    """Everything that hangs on a setting's type, and on the type of what it holds."""
    info = kind.model_fields[name]
    return [*info.metadata, *_marks(info.annotation)]


def _marks(form: Any) -> list[Any]:
    own = list(getattr(form, "__metadata__", ()))
    return own + [mark for part in get_args(form) for mark in _marks(part)]


def groups(
    kind: type[Recipe],
    typed: Typed,
    wrong: Mapping[str, str] | None = None,
    facts: Mapping[str, str] = NONE,
) -> list[Group]:
    """The form's groups, with what applies to what was typed and what the job found out about it (`facts`), and each
    error at its field.
    """
    shared = DRAWING if Sampled in kind.__mro__ else frozenset[str]()
    chosen = values_of(kind, typed)
    known = settings(kind)
    deciding = {one.only.of for one in known if one.only}
    made = {
        "first": Group("What", "", folds=False),
        "knobs": Group("Knobs", "", folds=False),
        "own": Group(
            "More" if kind.front else "How",
            "What is seldom changed." if kind.front else "",
            folds=bool(kind.front),
        ),
        "drawing": Group("Drawing", "How the model draws."),
        "models": Group("Models", "Who draws, who reads, who judges."),
        "last": Group("How many", "", folds=False),
    }
    for one in known:
        if not applies(kind, one, chosen, facts):
            continue
        shown = field_of(kind, one, typed.get(one.name, ()))
        shown.error = (wrong or {}).get(one.name, "")
        is_asked = one.name == "model" and bool(kind.facts)  # by the model it is decided what else applies
        shown.decides = one.name in deciding or is_asked
        if (
            one.name in kind.positional
            or (one.required and one.name != "model")
            or is_asked
            or (one.name in kind.front and shown.widget in {*FILES, "some"})
        ):
            group = made["first"]
        elif one.name in kind.front:
            group = made["knobs"]
        elif shown.widget == "model":
            group = made["models"]
        elif one.name in ("count", "seed"):
            group = made["last"]
        elif one.only and one.only.of in kind.model_fields and one.only.title != listed(one.only.values):
            title = f"For {one.only.title}"
            group = made.setdefault(title, Group(title, ""))
        elif one.name in shared:
            group = made["drawing"]
        else:
            group = made["own"]
        group.fields.append(shown)
    made["first"].fields.sort(key=lambda one: one.widget not in FILES)  # what a person has in hand comes first
    made["knobs"].fields.sort(key=lambda one: kind.front.index(one.name))
    order = ["first", "knobs", "own", *(key for key in made if key.startswith("For ")), "drawing", "models", "last"]
    return [made[key] for key in order if made[key].fields]


def applies(kind: type[Recipe], setting: Setting, chosen: Mapping[str, Any], facts: Mapping[str, str] = NONE) -> bool:
    """Whether a setting means anything with what was chosen, and found out, so far."""
    mark = setting.only
    if mark is not None and mark.of in facts:
        return facts[mark.of] in mark.values
    if mark is None or mark.of not in kind.model_fields:
        return True
    now = chosen.get(mark.of, kind.model_fields[mark.of].get_default(call_default_factory=False))
    several = now if isinstance(now, list | tuple) else [now]
    return now is None or any(str(one) in mark.values for one in several)


def field_of(kind: type[Recipe], setting: Setting, given: Sequence[str]) -> Field:
    """A setting as a field, holding what was typed."""
    low, high, above = bounds(kind, setting.name)
    parts = (setting.form, *get_args(setting.form))
    is_float = float in parts
    span = math.inf if low is None or high is None else high - low
    is_log = is_float and WIDEST < span < math.inf and setting.name.endswith("weight")
    slides = is_log or (not above and span <= (WIDEST if is_float else MOST_SLIDER))
    widget = widget_of(kind, setting)
    default = "" if setting.required or setting.default == "drawn" else setting.default
    held = [text for text in given if text] if widget in FILES else list(given[:1])
    known: dict[str, str] = {}
    if widget == "some":
        known = {word: word for word in setting.choices} or known_words(kind, setting.name)
        held = [line.strip() for text in given for line in text.splitlines() if line.strip()] or default.split()
    elif not held and default and widget in {"choice", "list", "model", "switch", "lines"}:
        held = [default.replace(" ", "\n") if widget == "lines" else default]
    return Field(
        name=setting.name,
        label=label_of(setting.name),
        meaning=setting.meaning,
        widget=widget,
        default=default,
        limits=setting.limits,
        required=setting.required,
        values=held,
        choices=setting.choices or tuple(known) or (("yes", "no") if widget == "list" else ()),
        known=known,
        is_closed=bool(setting.choices) or (widget == "list" and not known),
        least="" if low is None else f"{low:g}",
        most="" if high is None or high >= 2**31 else f"{high:g}",
        step="" if not is_float else "0.01" if high is not None and high <= 10 else "any",
        slides=slides,
        is_log=is_log,
    )


ABBREVIATIONS = {"tv": "TV", "lora": "LoRA", "dora": "DoRA", "ema": "EMA", "snr": "SNR", "lr": "LR"}


def label_of(name: str) -> str:
    """'tv_weight' as 'TV weight'."""
    first, *rest = name.split("_")
    return " ".join([ABBREVIATIONS.get(first, first.capitalize()), *(ABBREVIATIONS.get(one, one) for one in rest)])


FILES = frozenset({"picture", "pictures", "folder", "file", "files"})
"""Fields that hold files."""


def widget_of(kind: type[Recipe], setting: Setting) -> str:
    """How a setting is shown."""
    marks = marks_of(kind, setting.name)
    several = get_origin(setting.form) is tuple
    path = next((mark for mark in marks if isinstance(mark, IsPath)), None)
    if path is not None:
        return "pictures" if several and path.what == "picture" else path.what
    if any(isinstance(mark, NamesFile) for mark in marks):
        return "files"
    if any(isinstance(mark, IsModel) for mark in marks):
        return "model"
    if setting.in_file:
        return "yaml"
    if setting.choices and several:
        return "some"
    if setting.choices:
        optional = type(None) in get_args(setting.form)
        return "list" if optional or len(setting.choices) > MOST_RADIOS else "choice"
    if several:
        return "some" if any(isinstance(mark, IsWords) and mark.among for mark in marks) else "lines"
    parts = (setting.form, *get_args(setting.form))
    if bool in parts:
        return "list" if type(None) in parts else "switch"
    if int in parts or float in parts:
        return "number"
    long = any(isinstance(mark, IsWords) and mark.long for mark in marks)
    return "words" if long else "text"


def known_words(kind: type[Recipe], name: str) -> dict[str, str]:
    """The words that a setting knows, and what each is called."""
    *_, mark = (mark for mark in marks_of(kind, name) if isinstance(mark, IsWords) and mark.among)
    module, _, function = mark.among.partition(":")
    found = getattr(importlib.import_module(module), function)()
    return {word: str(getattr(row, "label", word)) for word, row in found.items()}


def bounds(kind: type[Recipe], name: str) -> tuple[float | None, float | None, bool]:
    """The least and the most that a number may be, and whether it must be above the least."""
    schema = _schema(kind)["properties"][name]
    found: dict[str, float] = {}
    for part in (schema, *schema.get("anyOf", ())):
        found |= {key: value for key, value in part.items() if key in BOUNDS}
    low = found.get("minimum", found.get("exclusiveMinimum"))
    return low, found.get("maximum"), "exclusiveMinimum" in found


BOUNDS = ("minimum", "exclusiveMinimum", "maximum")
_SCHEMAS: dict[type[Recipe], dict[str, Any]] = {}


def _schema(kind: type[Recipe]) -> dict[str, Any]:
    if kind not in _SCHEMAS:
        _SCHEMAS[kind] = kind.model_json_schema()
    return _SCHEMAS[kind]


def values_of(kind: type[Recipe], typed: Typed) -> dict[str, Any]:
    """What was typed as plain values: numbers are numbers where they read as such; what is empty is left out."""
    values: dict[str, Any] = {}
    for one in settings(kind):
        texts = [text.strip() for text in typed.get(one.name, ()) if text.strip()]
        if one.in_file:
            if texts:
                values[one.name] = _parsed(texts[0])
        elif get_origin(one.form) is tuple:
            lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
            if lines:
                values[one.name] = [_value(one.form, line) for line in lines]
        elif bool in (one.form, *get_args(one.form)):
            if texts or (one.name in typed and one.form is bool):  # of one that may be left open nothing is not no
                values[one.name] = bool(texts) and texts[-1] in {"on", "yes", "true"}
        elif texts:
            values[one.name] = _value(one.form, texts[0])
    return values


def _parsed(text: str) -> Any:
    """What YAML says; the text itself where it is none, which the recipe then refuses at its field."""
    try:
        return parse_yaml(text, "here")[0]
    except EaselError:
        return text


def _value(form: Any, text: str) -> Any:
    """A text as the number that a type asks for, where it reads as one."""
    parts = (form, *get_args(form))
    for number in (int, float):
        if number in parts:
            try:
                return number(text)
            except ValueError:
                continue
    return text


def checked(
    word: str, typed: Typed, facts: Mapping[str, str] = NONE, hidden: Collection[str] = ()
) -> tuple[Recipe | None, dict[str, str]]:
    """The recipe that a form describes, or what is wrong at which field ('' is none's alone).

    What stands in the form from before another choice took its meaning away, and what is `hidden`, is left out.
    """
    kind = KINDS[word].recipe
    values = values_of(kind, typed)
    known = {one.name: one for one in settings(kind)}
    left_over = {name for name in values if not applies(kind, known[name], values, facts)} | set(hidden)
    values = {name: value for name, value in values.items() if name not in left_over}
    values.setdefault("seed", draw_seed())
    try:
        return kind.model_validate(values).bound(**facts), {}
    except ValidationError as problem:
        found = faults(problem, kind)
    except EaselError as problem:
        found = [(setting_in(str(problem), kind), str(problem))]
    wrong: dict[str, str] = {}
    for name, text in found:
        is_several = text.startswith(f"{name} or ")
        wrong.setdefault(name, text if is_several else text.removeprefix(f"{name}: ").removeprefix(f"{name} "))
    return None, wrong


def typed_from(kind: type[Recipe], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Plain values, such as those of a picture's recipe, as a form holds them, without what the kind does not know."""
    typed: dict[str, list[str]] = {}
    for one in settings(kind):
        value = values.get(one.name)
        if value is None:
            continue
        if one.in_file:
            typed[one.name] = (
                [plain_to_yaml(value).strip() if isinstance(value, dict) else json.dumps(value)] if value else []
            )
        elif isinstance(value, list | tuple):
            is_files = widget_of(kind, one) in FILES
            typed[one.name] = [str(item) for item in value] if is_files else ["\n".join(map(str, value))]
        elif isinstance(value, bool):
            typed[one.name] = ["yes" if value else "" if one.form is bool else "no"]
        else:
            typed[one.name] = [f"{value:g}" if isinstance(value, float) else str(value)]
    return typed
