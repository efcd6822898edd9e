"""What the settings of a kind are, in words: read from its recipe, for the command line and the reference."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from easel.recipes.base import Recipe


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

    @property
    def flag(self) -> str:
        """The setting on the command line: guidance_scale is --guidance-scale."""
        return "--" + self.name.replace("_", "-")


def settings(kind: type[Recipe]) -> list[Setting]:
    """Every setting that a person can choose for a kind, in the order of its importance to the kind."""
    properties = kind.model_json_schema()["properties"]
    own = [name for name in kind.model_fields if name not in {"kind", "easel"}]
    common = [name for name in ("model", "seed", "count") if name in own]
    return [_setting(kind, name, properties[name]) for name in [*(n for n in own if n not in common), *common]]


def _setting(kind: type[Recipe], name: str, schema: dict[str, Any]) -> Setting:
    field = kind.model_fields[name]
    form = bare(field.annotation)
    return Setting(
        name=name,
        meaning=" ".join((field.description or "").split()),
        form=form,
        default="drawn" if field.default_factory else _shown(field.default),
        limits=_limits(schema),
        choices=_choices(form),
        required=field.is_required(),
    )


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
    if default is PydanticUndefined or default is None or default in ("", ()):
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
    if "exclusiveMinimum" in found:
        return f"above {found['exclusiveMinimum']:g}, up to {found['maximum']:g}"
    if "minimum" in found and found.get("maximum", 2**31) < 2**31:
        return f"{found['minimum']:g} to {found['maximum']:,g}".replace("1e+04", "10,000")
    return ""


def _choices(form: Any) -> tuple[str, ...]:
    parts = get_args(form)
    if get_origin(form) is Literal:
        return tuple(str(part) for part in parts)
    return next((found for part in parts if (found := _choices(part))), ())
