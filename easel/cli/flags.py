"""The command line of a kind, read from its recipe, and the flags that all kinds share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from cyclopts import Group, Parameter, Token

from easel.errors import EaselError, shortened
from easel.recipes.base import Recipe
from easel.recipes.describe import Setting, settings

SETTINGS_GROUP, COMMON_GROUP = Group("Settings", sort_key=10), Group("Running", sort_key=99)

COMMON: dict[str, tuple[Any, Any, str]] = {
    "recipe": (Path | None, None, "YAML recipe to start from; what is given here overrides it."),
    "out": (str | None, None, "Folder for everything the run makes. [default: out/KIND-TIME-SEED]"),
    "device": (str, "auto", "Device to compute on: auto, cpu, cuda, cuda:1 or mps."),
    "dtype": (str, "auto", "Number format: auto, float32, bfloat16 or float16."),
    "on": (str | None, None, "Ray cluster to share the run among: local-cluster, auto, HOST:PORT or ray://HOST:PORT."),
    "workers": (str | None, None, "Workers on the cluster, 4 or LEAST:MOST. [default: what it has room for]"),
    "shards": (int | None, None, "Photos whose pictures go into one tar (WebDataset), instead of plain files."),
    "json": (bool, False, "Print result.json to standard output, and nothing else there."),
    "quiet": (bool, False, "Print the answer alone, and no progress."),
}
"""Flags that belong to one run and not to its recipe: name to (type, default, meaning)."""


def signature_of(kind: type[Recipe]) -> inspect.Signature:
    """A kind's settings and the common flags, for cyclopts to read. Settings of some only have a panel of their own."""
    known = {setting.name: setting for setting in settings(kind)}
    first = [_positional(known[name]) if name in known else _place(name) for name in kind.positional]
    rest = [_flag(setting) for name, setting in known.items() if name not in kind.positional and not setting.in_file]
    return inspect.Signature([*first, *rest, *common_parameters(without=[n for n in kind.positional if n in COMMON])])


def taken_apart(
    kind: type[Recipe], signature: inspect.Signature, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given of a kind's settings, and the common flags."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    values = bound.arguments
    given = {name: values[name] for name in kind.model_fields if values.get(name) not in (None, ())}
    missing = [name for name in kind.positional if name in COMMON and values[name] is None]
    if missing:
        raise EaselError(f"{missing[0]} is missing: name the folder to write into")
    return given, {name: values[name] for name in COMMON}


def recipe_parameters(kind: type[Recipe]) -> list[inspect.Parameter]:
    """All of a kind's settings as flags."""
    return [_flag(setting) for setting in settings(kind)]


def dressed(run: Callable[..., None], signature: inspect.Signature, name: str, doc: str) -> Callable[..., None]:
    """`run` wearing a signature, name and docstring for cyclopts."""
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {key: part.annotation for key, part in signature.parameters.items()}
    run.__name__, run.__doc__ = name, doc
    return run


def common_parameters(without: Sequence[str] = ()) -> list[inspect.Parameter]:
    """The flags that every command takes."""
    return [
        _parameter(
            name, form, default, Parameter(help=meaning, group=COMMON_GROUP, negative=(), show_default=form is str)
        )
        for name, (form, default, meaning) in COMMON.items()
        if name not in without
    ]


def _place(name: str) -> inspect.Parameter:
    """A common flag that a kind takes first, without its flag."""
    form, _, meaning = COMMON[name]
    mark = Parameter(name=("DIR" if name == "out" else name.upper()), help=meaning.partition(" [")[0], negative=())
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, default=None, annotation=Annotated[form, mark])


def _positional(setting: Setting) -> inspect.Parameter:
    """A setting without a flag. Not required here: a --recipe may hold it, and pydantic says so if nothing does."""
    label = setting.name.upper()
    form = setting.form if get_origin(setting.form) is tuple else setting.form | None
    mark = Parameter(name=label, help=_help(setting), show_default=False, negative=(), allow_leading_hyphen=False)
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.POSITIONAL_ONLY,
        default=() if get_origin(setting.form) is tuple else None,
        annotation=Annotated[form, mark],
    )


def _flag(setting: Setting) -> inspect.Parameter:
    """A setting with a flag. None stands for 'not given', so that a --recipe's value is kept."""
    several, switch = get_origin(setting.form) is tuple, setting.form in (bool, bool | None)
    mark = Parameter(
        name=setting.flag,
        help=_help(setting),
        show_default=(lambda _: setting.default) if setting.default else False,
        negative=None if switch else (),
        consume_multiple=(1, None) if several and not setting.is_repeated else False,
        allow_leading_hyphen=not switch and not several,
        converter=_converter(setting.form),
        group=Group(f"Settings of {shortened(setting.only.title)}", sort_key=50) if setting.only else SETTINGS_GROUP,
    )
    return _parameter(setting.name, setting.form if several else setting.form | None, () if several else None, mark)


def _converter(form: Any) -> Callable[[Any, Sequence[Token]], Any] | None:
    """How whole numbers are read, alone and in lists; None for what is no number."""
    if int not in (form, *get_args(form)):
        return None
    if get_origin(form) is not tuple:
        return whole_number
    return lambda _, tokens: tuple(whole_number(form, [token]) for token in tokens)


def whole_number(_form: Any, tokens: Sequence[Token]) -> int:
    """A number as it was written: cyclopts itself would take 1.5 for 1 and 0x10 for 16. Raises ValueError."""
    text = tokens[0].value.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise ValueError(f"'{shortened(text)}' is not a whole number")
    return int(text)


def _parameter(name: str, form: Any, default: Any, mark: Parameter) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[form, mark])


def _help(setting: Setting) -> str:
    return setting.meaning + (f" [{setting.limits}]" if setting.limits else "")
