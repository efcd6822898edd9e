"""What the settings of a kind are, in words: read from its recipe, for the command line and the reference."""

from __future__ import annotations

import inspect
import json
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from easel.recipes.base import Recipe, chosen_from
from easel.recipes.knobs import Flag, InFile, Only, Repeated


@dataclass(frozen=True)
class Setting:
    """One field of a recipe. `form` is its type without limits; `default` and `limits` are in words, or empty."""

    name: str
    meaning: str
    form: Any
    default: str
    limits: str
    choices: tuple[str, ...]
    required: bool
    only: Only | None
    """Whom it belongs to, where that varies within the kind."""
    is_repeated: bool
    """A list whose flag takes one value and may be given several times."""
    flag: str
    """The setting on the command line: guidance_scale is --guidance-scale."""
    in_file: bool = False
    """Without a flag."""


def settings(kind: type[Recipe]) -> list[Setting]:
    """Every setting that a person can choose for a kind: those that come first, its own, shared ones, common ones."""
    properties = kind.model_json_schema()["properties"]
    chosen = [name for name in kind.model_fields if name not in {"kind", "easel"}]
    common = [name for name in ("count", "model", "seed") if name in chosen]
    own = [name for name in kind.__annotations__ if name in chosen]
    names = dict.fromkeys([*(n for n in kind.positional if n in chosen), *(n for n in own if n not in common)])
    names |= dict.fromkeys(name for name in chosen if name not in common)
    return [_setting(kind, name, properties[name]) for name in [*names, *common]]


def _setting(kind: type[Recipe], name: str, schema: dict[str, Any]) -> Setting:
    field = kind.model_fields[name]
    form = bare(field.annotation)
    return Setting(
        name=name,
        meaning=" ".join((field.description or "").split()),
        form=form,
        default="drawn" if field.default_factory else _shown(field.default),
        limits=_limits(schema),
        choices=chosen_from(form),
        required=field.is_required(),
        only=kind.only(name),
        is_repeated=any(isinstance(mark, Repeated) for mark in field.metadata),
        in_file=any(isinstance(mark, InFile) for mark in field.metadata),
        flag="--" + next((mark.word for mark in field.metadata if isinstance(mark, Flag)), name.replace("_", "-")),
    )


RUN_SETTINGS: dict[str, tuple[str, str | None]] = {
    "out": ("str | Path | None", None),
    "device": ("str", "auto"),
    "dtype": ("str", "auto"),
    "on": ("str | None", None),
    "workers": ("str | None", None),
    "shards": ("int | None", None),
    "progress": ("Callable[[Step], None] | None", None),
}
"""What every function takes beside its recipe's settings: these belong to one run."""


def python_signature(kind: type[Recipe]) -> inspect.Signature:
    """The signature of a kind's function: what comes first, then the other settings and the run's own, by name.

    Annotations are words, as they stand in the stub.
    """
    known = {setting.name: setting for setting in settings(kind)}
    first = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=_default(kind, known[name]) if name in known else inspect.Parameter.empty,
            annotation=typed(kind, name) if name in known else "str | Path",
        )
        for name in kind.positional
    ]
    rest = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(kind, setting),
            annotation=typed(kind, name),
        )
        for name, setting in known.items()
        if name not in kind.positional
    ]
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=form)
        for name, (form, default) in RUN_SETTINGS.items()
        if name not in kind.positional
    ]
    return inspect.Signature([*first, *rest, *own], return_annotation="Result")


def _default(kind: type[Recipe], setting: Setting) -> Any:
    """What a parameter is when it is not given; an ellipsis where that is drawn afresh each time."""
    if setting.required:
        return inspect.Parameter.empty
    field = kind.model_fields[setting.name]
    return ... if field.default_factory else field.default


def typed(kind: type[Recipe], name: str) -> str:
    """What a setting takes in Python, in words: 'Sequence[str]', 'Literal["redraw", "describe"]', 'int | None'."""
    words = _typed(bare(kind.model_fields[name].annotation), name in kind.path_settings())
    if name in kind.list_settings() and name in kind.positional:
        words = f"str | Path | {words}"
    return words


def _typed(form: Any, is_path: bool) -> str:
    origin, parts = get_origin(form), get_args(form)
    if origin is Literal:
        return f"Literal[{', '.join(json.dumps(part) for part in parts)}]"
    if origin in {Union, types.UnionType}:
        return " | ".join(_typed(part, is_path) for part in parts)
    if origin is tuple:
        return f"Sequence[{_typed(parts[0], is_path)}]"
    if origin is dict:
        return f"dict[{', '.join(_typed(part, is_path) for part in parts)}]"
    if form is type(None):
        return "None"
    return "str | Path" if is_path and form is str else str(form.__name__)


def bare(form: Any) -> Any:
    """A type without the limits hung on it: Annotated[int, ...] | None becomes int | None."""
    origin, parts = get_origin(form), get_args(form)
    if origin is Annotated:
        return bare(parts[0])
    if origin in {Union, types.UnionType}:
        return Union[tuple(bare(part) for part in parts)]  # noqa: UP007 - built at run time
    if origin is tuple:
        return tuple[tuple(part if part is Ellipsis else bare(part) for part in parts)]  # type: ignore[misc]
    return form


def _shown(default: Any) -> str:
    """A default in words; none when there is nothing worth saying."""
    if default is PydanticUndefined or default is None or default in ("", (), {}):
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return " ".join(default) if isinstance(default, tuple) else str(default)


def _limits(schema: dict[str, Any]) -> str:
    """The range in words, from a JSON schema."""
    parts = [schema, *schema.get("anyOf", [])]
    found = {
        key: value for part in parts for key, value in part.items() if key.startswith(("minimum", "maximum", "excl"))
    }
    if found.get("maximum", 2**31) >= 2**31:
        return ""
    if "exclusiveMinimum" in found:
        return f"above {_number(found['exclusiveMinimum'])}, up to {_number(found['maximum'])}"
    return f"{_number(found['minimum'])} to {_number(found['maximum'])}" if "minimum" in found else ""


def _number(value: float) -> str:
    """1000000.0 as '1,000,000', 0.5 as '0.5'."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
