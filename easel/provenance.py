"""What a picture says about how it was made: easel's own JSON, and the text that AUTOMATIC1111's web UI writes.

Both tell what was done, by the word of the object that did it, and not what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import EaselError, is_text, shortened
from easel.images import BROKEN, FORMATS, check_file
from easel.recipes.knobs import lora_parts
from easel.version import __version__

SAMPLERS: dict[str, tuple[str, str | None]] = {
    "ddim": ("DDIM", None),
    "ddpm": ("DDPM", None),
    "deis": ("DEIS", None),
    "dpmpp-2m": ("DPM++ 2M", None),
    "dpmpp-2m-karras": ("DPM++ 2M", "Karras"),
    "dpmpp-2m-sde": ("DPM++ 2M SDE", None),
    "dpmpp-2s": ("DPM++ 2S", None),
    "euler": ("Euler", None),
    "euler-a": ("Euler a", None),
    "euler-karras": ("Euler", "Karras"),
    "heun": ("Heun", None),
    "kdpm2": ("DPM2", None),
    "kdpm2-a": ("DPM2 a", None),
    "lcm": ("LCM", None),
    "pndm": ("PLMS", None),
    "tcd": ("TCD", None),
    "unipc": ("UniPC", None),
}
"""Scheduler -> what A1111's web UI calls it: its sampler, and its schedule type where that is a choice of its own.

A1111 has no DDPM, DEIS, DPM++ 2S (it has the ancestral one) and TCD: these are written as their papers write them.
"""

OPTIMIZERS = {"adam": "Adam", "lbfgs": "L-BFGS"}
"""What stands in the sampler's place where a picture is optimised."""


@dataclass(frozen=True)
class Done:
    """How one picture was really made; None is what its kind does not have."""

    device: str
    dtype: str
    """The number format of the weights that drew it."""
    model: str | None = None
    model_hash: str | None = None
    """The start of the model file's SHA-256, where the model is one file."""
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    scheduler: str | None = None
    optimizer: str | None = None
    guidance_scale: float | None = None
    image_guidance_scale: float | None = None
    strength: float | None = None
    """How far the photo, or the first of two passes, was left."""
    first_size: tuple[int, int] | None = None
    """Width and height of the first of two passes, where there were two."""
    judge: str | None = None

    def facts(self) -> dict[str, Any]:
        """All that is known, by name, as `record` takes it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def record(recipe: Mapping[str, Any], *, device: str, dtype: str, versions: Mapping[str, str], **done: Any) -> str:
    """The JSON of a picture's "easel" chunk: the recipe that makes it alone, what it was made with, and what was done.

    The recipe holds names and not places: see `without_places`.

    >>> record({"kind": "generate"}, device="cpu", dtype="float32", versions={"easel": "1"}, steps=4)
    '{"recipe": {"kind": "generate"}, "versions": {"easel": "1"}, "device": "cpu", "dtype": "float32", "steps": 4}'
    """
    made = {"recipe": without_places(recipe), "versions": dict(versions), "device": device, "dtype": dtype, **done}
    text = json.dumps(made, ensure_ascii=False, allow_nan=False)
    return text if is_text(text) else json.dumps(made, allow_nan=False)  # names that are no UTF-8 come back escaped


def parameters(prompt: str, negative_prompt: str, done: Done, loras: Sequence[str] = ()) -> str:
    """The text of a picture's "parameters" chunk, in A1111's words and order (its modules/processing.py,
    create_infotext), so that other tools read the settings.

    >>> print(parameters("a cat", "fog", Done("cpu", "float32", seed=3, steps=4, scheduler="euler-karras")))
    a cat
    Negative prompt: fog
    Steps: 4, Sampler: Euler, Schedule type: Karras, Seed: 3, RNG: CPU, Version: easel 0.2.0
    """
    sampler, schedule = SAMPLERS.get(done.scheduler or "", (done.scheduler, None))
    size = f"{done.width}x{done.height}" if done.width and done.height else None
    first = f"{done.first_size[0]}x{done.first_size[1]}" if done.first_size else None
    facts = {
        "Steps": done.steps,
        "Sampler": OPTIMIZERS[done.optimizer] if done.optimizer else sampler or None,
        "Schedule type": schedule,
        "CFG scale": done.guidance_scale,
        "Image CFG scale": done.image_guidance_scale,
        "Seed": done.seed,
        "Size": first or size,
        "Model hash": done.model_hash,
        "Model": done.model,
        "Denoising strength": done.strength,
        "RNG": None if done.seed is None else "CPU",
        "Hires resize": size if first else None,
        "Version": f"easel {__version__}",
    }
    words = " ".join([prompt, *map(_lora_tag, loras)])
    negative = f"\nNegative prompt: {negative_prompt}" if negative_prompt else ""
    said = [f"{key}: {_value(value)}" for key, value in facts.items() if value is not None]
    return words + negative + "\n" + ", ".join(said)


A1111_NAMES = {
    " ".join(word for word in (sampler, schedule) if word).casefold(): name
    for name, (sampler, schedule) in SAMPLERS.items()
}
"""A sampler with its schedule, as older versions wrote it in one: 'dpm++ 2m karras' -> scheduler."""
PLAIN_SCHEDULES = ("automatic", "uniform", "normal")
LORA_TAG = re.compile(r"<(?:lora|lyco):([^<>]{1,300})>", re.IGNORECASE)
MOST_LETTERS = 1_000_000
"""Letters of another program's text that are looked at."""


def settings_in(parameters: str) -> tuple[dict[str, Any], list[str]]:
    r"""A1111's text as the settings of a Generate recipe, as far as it goes; and what was left out, in its own words.

    >>> settings_in("a cat <lora:ink:0.8>\nSteps: 4, Sampler: DPM++ 2M Karras, Hat: on")
    ({'kind': 'generate', 'prompt': 'a cat', 'scheduler': 'dpmpp-2m-karras', 'steps': 4}, ['LoRA ink:0.8', 'Hat: on'])
    """
    words, facts = _words_and_facts(parameters[:MOST_LETTERS])
    prompt, _, negative = f"\n{words}".partition("\nNegative prompt:")
    left_out = [f"LoRA {tag}" for tag in LORA_TAG.findall(prompt)]
    prompt = LORA_TAG.sub("", prompt).strip()
    known: dict[str, dict[str, Any]] = {"Negative prompt": {"negative_prompt": negative.strip()}} if negative else {}
    sampler = facts.pop("Sampler", None)
    if sampler is not None:
        schedule = facts.pop("Schedule type", "").casefold()
        found = A1111_NAMES.get(f"{sampler.casefold()} {'' if schedule in PLAIN_SCHEDULES else schedule}".strip())
        if found is None:
            left_out.append(f"Sampler: {sampler} {schedule}".strip())
        else:
            known["Sampler"] = {"scheduler": found}
    width, _, height = facts.get("Size", "").partition("x")
    for key, value in (
        ("Steps", {"steps": _number(facts.get("Steps"), int)}),
        ("CFG scale", {"guidance_scale": _number(facts.get("CFG scale"), float)}),
        ("Seed", {"seed": _number(facts.get("Seed"), int)}),
        ("Size", {"width": _number(width, int), "height": _number(height, int)}),
    ):
        if key in facts and None not in value.values():
            known[key] = value
            facts.pop(key)
    made: dict[str, Any] = {"kind": "generate", "prompt": prompt}
    for key, value in known.items():
        if _is_setting(value):
            made |= value
        else:
            left_out.append(f"{key}: {' x '.join(str(one) for one in value.values())}")
    unsaid = ("Version", *(["RNG"] if facts.get("RNG") == "CPU" else []))
    return made, left_out + [f"{key}: {value}" for key, value in facts.items() if key not in unsaid]


def _is_setting(values: Mapping[str, Any]) -> bool:
    """Whether Generate takes these values."""
    from easel.recipes import recipe_from

    try:
        recipe_from({"kind": "generate", "easel": __version__, "prompt": "a"} | dict(values))
    except EaselError:
        return False
    return True


def _words_and_facts(text: str) -> tuple[str, dict[str, str]]:
    """The words, and the pairs of the last line where it has at least three, as A1111 tells them apart."""
    *lines, last = text.strip().split("\n")
    parts = [""]
    for piece in re.findall(r'"(?:\\.|[^"\\])*"|[^,"]+|,|"', last):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    pairs = [part.partition(":") for part in parts]
    facts = {key.strip(): _unquoted(value.strip()) for key, colon, value in pairs if colon and len(key) <= 60}
    return ("\n".join(lines), facts) if len(facts) >= 3 else (text.strip(), {})


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    found = _json(value)
    return found if isinstance(found, str) else value


def _number(text: str | None, kind: type[int] | type[float]) -> float | None:
    """A number as A1111 writes it; None for anything else."""
    if text is None or re.fullmatch(r"[-+]?\d{1,20}(\.\d{1,20})?", text.strip()) is None:
        return None
    return kind(text) if kind is float or "." not in text else None


def _json(text: str) -> Any:
    """The value of a stranger's JSON; None where it is none, or too much."""
    try:
        return json.loads(text) if len(text) <= MOST_LETTERS else None
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class MadeBy:
    """Another program that made a picture, and its prompt where that can be read."""

    tool: str
    prompt: str | None


def made_by(texts: Mapping[str, str]) -> MadeBy | None:
    """Which other program wrote a PNG's texts; None for A1111's, which `settings_in` reads, and for unknown ones."""
    if "invokeai_metadata" in texts:
        return MadeBy("InvokeAI", _text_at(_json(texts["invokeai_metadata"]), "positive_prompt"))
    if "sd-metadata" in texts:
        return MadeBy("InvokeAI", _text_at(_json(texts["sd-metadata"]), "image", "prompt", 0, "prompt"))
    if texts.get("Software") == "NovelAI":
        return MadeBy("NovelAI", _text_at(_json(texts.get("Comment", "")), "prompt") or texts.get("Description"))
    if texts.get("parameters", "").startswith("{"):
        return MadeBy("SwarmUI", _text_at(_json(texts["parameters"]), "sui_image_params", "prompt"))
    if "parameters" not in texts and ("prompt" in texts or "workflow" in texts):
        return MadeBy("ComfyUI", _comfy_prompt(_json(texts.get("prompt", ""))))
    return None


def _text_at(value: Any, *keys: str | int) -> str | None:
    """The text that lies under these keys; None where there is none."""
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and len(value) > key:
            value = value[key]
        elif key != 0:  # InvokeAI wrote a list of prompts, or one
            return None
    return value if isinstance(value, str) and value.strip() else None


def _comfy_prompt(graph: Any) -> str | None:
    """The words that lead to the sampler's positive input, or else the first words in ComfyUI's graph of nodes."""
    nodes = {key: node for key, node in graph.items() if isinstance(node, dict)} if isinstance(graph, dict) else {}
    inputs = {key: node["inputs"] for key, node in nodes.items() if isinstance(node.get("inputs"), dict)}
    for start in [given["positive"] for given in inputs.values() if "positive" in given]:
        waiting, seen = [start], set[str]()
        while waiting and len(seen) < 100:
            link = waiting.pop(0)
            if not isinstance(link, list) or not link or str(link[0]) in seen:
                continue
            seen.add(str(link[0]))
            given = inputs.get(str(link[0]), {})
            words = next((found for name in ("text", "text_g", "string") if (found := _text_at(given, name))), None)
            if words:
                return words
            waiting += [value for name, value in given.items() if name != "negative"]
    return next((words for given in inputs.values() if (words := _text_at(given, "text"))), None)


def _lora_tag(text: str) -> str:
    """A LoRA as A1111's extra networks are written: `<lora:NAME:both>`, or `<lora:NAME:text encoder:UNet>`."""
    file, unet, text_encoder = lora_parts(text)
    scales = f"{unet:g}" if unet == text_encoder else f"{text_encoder:g}:{unet:g}"
    return f"<lora:{Path(file).stem}:{scales}>"


def _value(value: float | str) -> str:
    """A value as A1111 writes it: quoted where a comma or colon would end it."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[,:\n]", text) else text


def without_places(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without the places of the machine it was made on: of each absolute path only the name of the file.

    A setting marked as a path is one, and any other text is where it names something on this disk (a model's folder, or
    `FILE:0.8`). Relative paths stay.

    >>> without_places({"kind": "stylize", "photo": "/home/me/cat.jpg", "styles_file": "mine.yaml"})
    {'kind': 'stylize', 'photo': 'cat.jpg', 'styles_file': 'mine.yaml'}
    """
    from easel.recipes import KINDS

    known = KINDS.get(str(recipe.get("kind")))
    paths = known.recipe.path_settings() if known else set[str]()

    def cut(value: Any, is_path: bool) -> Any:
        if isinstance(value, list | tuple):
            return [cut(item, is_path) for item in value]
        before, place, rest = _place_in(value)
        is_place = place is not None and place.name and (is_path or _exists(place))
        return f"{before}{place.name}{rest}" if place is not None and is_place else value

    return {name: cut(value, name in paths) for name, value in recipe.items()}


def with_places(recipe: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that `without_places` has cut, with the paths of the run's `whole` recipe where their files are there
    still.
    """
    places: dict[str, str] = {}
    for value in whole.values():
        for item in value if isinstance(value, list | tuple) else [value]:
            before, place, rest = _place_in(item)
            if place is not None and place.name and _exists(place):
                places.setdefault(before + place.name + rest, str(item))
                places.setdefault(place.name, str(place))

    def found(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [found(item) for item in value]
        return places.get(value, value) if isinstance(value, str) else value

    chosen = _choices(recipe)  # a word of a few is no file, even where a file is called so
    return {name: value if name in chosen else found(value) for name, value in recipe.items()}


def _choices(recipe: Mapping[str, Any]) -> set[str]:
    """The settings of a recipe that are one or several of a few words."""
    from easel.recipes import KINDS
    from easel.recipes.base import chosen_from

    known = KINDS.get(str(recipe.get("kind")))
    fields = known.recipe.model_fields if known else {}
    return {name for name, field in fields.items() if chosen_from(field.annotation)}


def _place_in(value: object) -> tuple[str, Path | None, str]:
    """The absolute path in a text, what stands before it (`WORD=`), and the scales or the weight after it (`:0.8`);
    None where there is none.
    """
    form = r"((?:[^/=\s]+=)?)(/.*?)((?::[-+.\deE]+){0,2})"
    match = re.fullmatch(form, value, re.DOTALL) if isinstance(value, str) else None
    return (match[1], Path(match[2]), match[3]) if match else ("", None, "")


def _exists(place: Path) -> bool:
    """Whether something is there; a name that no file can have is nowhere."""
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def read_provenance(path: str | Path) -> dict[str, Any]:
    """What a PNG says about how it was made: {"easel": {"recipe": ..., ...}, "parameters": "...", "made_by": ...},
    whichever are there; the last is what another program tells of itself (`MadeBy`).

    Raises EaselError when the file is no picture, carries neither, or its recipe cannot be read.
    """
    path = Path(path)
    check_file(path)
    try:
        with Image.open(path, formats=FORMATS) as picture:
            picture.load()
            texts = {str(key): str(text) for key, text in picture.info.items() if isinstance(text, str)}
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *BROKEN) as problem:
        raise EaselError(f"{path} cannot be read as a picture: {shortened(problem)}") from problem
    found: dict[str, Any] = {}
    if "easel" in texts:
        try:
            found["easel"] = json.loads(texts["easel"])
        except (ValueError, RecursionError) as problem:
            raise EaselError(f"{path}: its recipe is damaged: {shortened(problem)}") from problem
    if "parameters" in texts:
        found["parameters"] = texts["parameters"]
    if "easel" not in found and (other := made_by(texts)) is not None:
        found["made_by"] = other
    if not found:
        raise EaselError(f"{path} does not say how it was made: easel did not write it, or a program stripped it")
    return found
