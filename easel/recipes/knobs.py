"""The settings that several kinds share, with their limits: a type each, and the fields that all drawing jobs have."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from easel.errors import is_text

MOST_LETTERS = 10_000


def listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


@dataclass(frozen=True, init=False)
class Only:
    """Marks a setting, in its own annotation, as one that only some can use: `Only("method", "redraw")`.

    `of` is a setting of the same recipe, or a fact that the job finds out; `values` are those it may have then; `title`
    is what they are called together. From this come the refusal elsewhere, the panels of the help, and what a recipe on
    disk leaves out.
    """

    of: str
    values: tuple[str, ...]
    """Of all kinds that share the setting; a kind has those that its own `of` can be."""
    title: str

    def __init__(self, of: str, *values: str, title: str = "") -> None:
        object.__setattr__(self, "of", of)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "title", title or listed(values))

    def among(self, choices: Collection[str]) -> Only:
        """The same for a kind that has only `choices` of the values: a single one is called by its own name."""
        kept = [value for value in self.values if value in choices]
        is_called = self.title != listed(self.values) and len(kept) > 1
        return Only(self.of, *kept, title=self.title if is_called else "")


@dataclass(frozen=True)
class Repeated:
    """Marks a list whose flag takes one value and may be given several times; others take several values at once."""


@dataclass(frozen=True)
class InFile:
    """Marks a setting without a flag: it is written in a recipe's file, or given in Python."""


@dataclass(frozen=True)
class Flag:
    """Marks a setting whose flag is another word than its name: `class` is no name in Python."""

    word: str


@dataclass(frozen=True)
class IsPath:
    """Marks a text that is a file or a folder: 'photos/' and 'photos' are the same.

    `what` is "picture", "folder" (of pictures, or of a model), "pictures" (one, or a
    folder of them), or another "file".
    """

    what: str = "file"


@dataclass(frozen=True)
class NamesFile:
    """Marks a text that may name a file among other things, such as `FILE:0.8`: `file` gives it, '' where none is."""

    file: Callable[[str], str]


@dataclass(frozen=True)
class IsModel:
    """Marks a text that is a model: a word of the catalogue, a hub id, a folder or a file."""


@dataclass(frozen=True, init=False)
class Plays:
    """Marks the setting of a model by the roles that the model plays there: what it is asked for, in the catalogue's
    words (`easel.models.catalog.tables.ROLES`).
    """

    roles: tuple[str, ...]

    def __init__(self, *roles: str) -> None:
        object.__setattr__(self, "roles", roles)


@dataclass(frozen=True)
class IsWords:
    """Marks a text that is words alone, which no job opens as a file.

    `long` are sentences. `among` names the function, as MODULE:FUNCTION, that gives those which are known, by name.
    """

    long: bool = False
    among: str = ""


DIFFUSION, TRAINED, NEURAL = "diffusion models", "trained models", "neural style transfer"
"""Families that draw, as `Only("family", ...)` names them."""

SchedulerName = Literal[
    "ddim",
    "ddpm",
    "deis",
    "dpmpp-2m",
    "dpmpp-2m-karras",
    "dpmpp-2m-sde",
    "dpmpp-2s",
    "euler",
    "euler-a",
    "euler-karras",
    "heun",
    "kdpm2",
    "kdpm2-a",
    "lcm",
    "pndm",
    "tcd",
    "unipc",
]
SCHEDULERS: tuple[str, ...] = get_args(SchedulerName)
Shortcut = Literal["interval", "cache", "steps", "all"]
SHORTCUTS: tuple[str, ...] = get_args(Shortcut)[:-1]
"""What `easel.models.diffusion.shortcuts` knows; "all" is each of them."""


def _said(text: str) -> str:
    """Text that says something, and that a text encoder has a chance with."""
    if not text.strip():
        raise ValueError("is empty: say what to make")
    return _short(text)


def _short(text: str) -> str:
    if not is_text(text):
        raise ValueError("has letters that are no text (lone surrogates, as from words that are not UTF-8)")
    if len(text) > MOST_LETTERS:
        raise ValueError(f"has {len(text.split()):,} words ({len(text):,} letters): at most {MOST_LETTERS:,} letters")
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: give a name")
    if "\x00" in text or len(text) > 4096:
        raise ValueError("is not a name that a file or a model could have")
    return text


def _whole_eights(size: int) -> int:
    if size % 8:
        raise ValueError(f"is {size}: must be a multiple of 8, such as {size // 8 * 8} or {size // 8 * 8 + 8}")
    return size


def lora_parts(text: str) -> tuple[str, float, float]:
    """'style.safetensors:0.8:0.5' as (file, UNet scale, text encoder scale).

    One number serves for both; none means 1. Raises ValueError when there is no file or a scale is out of -10 to 10.
    """
    parts = text.split(":")
    scales: list[float] = []
    while len(parts) > 1 and len(scales) < 2 and (scale := _number(parts[-1])) is not None:
        scales.insert(0, scale)
        parts.pop()
    name = ":".join(parts)
    if not name.strip() or name.endswith(":"):
        raise ValueError(f"is '{text}': write FILE, FILE:0.8 or FILE:0.8:0.5 (UNet scale, text encoder scale)")
    if any(not -10 <= scale <= 10 for scale in scales):
        raise ValueError(f"is '{text}': a scale is a number from -10 to 10")
    unet = scales[0] if scales else 1.0
    return name, unet, scales[-1] if scales else 1.0


def embedding_parts(text: str) -> tuple[str | None, str]:
    """'<dog>=dog.safetensors' as (word, file); 'dog.safetensors' as (None, file). Raises ValueError without a file."""
    word, equals, file = text.partition("=")
    if not equals or "/" in word:
        word, file = "", text
    if not file.strip() or (equals and not (word or "/" in text.partition("=")[0])):
        raise ValueError(f"is '{text}': write FILE or WORD=FILE")
    return word or None, file


def _embedding(text: str) -> str:
    embedding_parts(text)
    return text


def _number(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        return None


def _lora(text: str) -> str:
    lora_parts(text)
    return text


def _shortcuts(words: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in one order: the same shortcuts are the same recipe."""
    return tuple(word for word in SHORTCUTS if word in words or "all" in words)


def finite(value: float) -> float:
    """The value; ValueError where it is infinite or no number."""
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


MOST_SEED = 2**32 - 1
"""torch's generator for CPUs takes 32 bits: larger seeds would repeat the pictures of smaller ones."""

Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Few = Annotated[int, Field(ge=1, le=100)]
"""How many answers or captions: each is worked out beside the others."""
BatchSize = Annotated[int, Field(ge=1, le=64)]
Name = Annotated[str, AfterValidator(_named), IsWords()]
StyleName = Annotated[str, AfterValidator(_named), IsWords(among="easel.jobs.stylize.styles:table")]
ModelName = Annotated[str, AfterValidator(_named), IsModel()]
FileName = Annotated[str, AfterValidator(_named), IsPath()]
PictureName = Annotated[str, AfterValidator(_named), IsPath("picture")]
PicturesName = Annotated[str, AfterValidator(_named), IsPath("pictures")]
FolderName = Annotated[str, AfterValidator(_named), IsPath("folder")]
Split = Literal["train", "valid", "test"]
LayoutName = Literal["flat", "classes", "metadata", "cub", "celeba", "dogs", "hotels"]
"""Layouts of a set of pictures (`easel.data.layouts`)."""
Prompt = Annotated[str, AfterValidator(_said), IsWords(long=True)]
NegativePrompt = Annotated[str, AfterValidator(_short), IsWords(long=True)]
Steps = Annotated[int, Field(ge=1, le=1000)]
GuidanceScale = Annotated[float, Field(ge=0, le=50), AfterValidator(finite)]
GuidanceEvery = Annotated[int, Field(ge=1, le=10)]
Shortcuts = Annotated[tuple[Shortcut, ...], AfterValidator(_shortcuts)]
Strength = Annotated[float, Field(gt=0, le=1), AfterValidator(finite)]
Width = Annotated[int, Field(ge=64, le=2048), AfterValidator(_whole_eights)]
Height = Annotated[int, Field(ge=64, le=2048), AfterValidator(_whole_eights)]
Lora = Annotated[str, AfterValidator(_lora), NamesFile(lambda text: lora_parts(text)[0])]
"""FILE[:unet[:text]]: a LoRA file and how strongly it works on the UNet and on the text encoder."""
Embedding = Annotated[str, AfterValidator(_embedding), NamesFile(lambda text: embedding_parts(text)[1])]
"""[WORD=]FILE: a file of Textual Inversion, and the word that stands for it in prompts."""

CONTROLS = ("canny", "depth", "pose", "segmentation", "scribble")
"""Kinds of control maps; the first two and the last are made from the photo where no map is given."""
BY_CONTROL = (*CONTROLS, "adapter-canny", "adapter-depth")
"""Methods that follow a control map."""
Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[int, Field(ge=1, le=1000)]

DIFFUSES = Only("family", DIFFUSION)
BY_MAP = Only("method", "auto", *BY_CONTROL, title="control methods")


class Sampled(BaseModel):
    """How a diffusion model draws; shared by every kind that makes pictures."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    steps: Annotated[Steps, DIFFUSES] = 20
    """Denoising steps; more are slower and, up to about 30, better."""
    guidance_scale: Annotated[GuidanceScale | None, DIFFUSES] = None
    """Classifier-free guidance scale; more follows the prompt more closely. The model's own when not given."""
    guidance_every: Annotated[GuidanceEvery, DIFFUSES] = 1
    """Steps from one full guidance to the next: 1 is exact, more is faster and moves the picture a little."""
    fast: Annotated[Shortcuts, DIFFUSES] = ()
    """Shortcuts that draw faster and move the picture: interval guides at middle noise levels alone, cache reuses what
    the inner blocks of the UNet said, steps does half the steps with a better sampler, all is each of them.
    """
    compile: Annotated[Literal["no", "auto", "yes", "packed"], DIFFUSES] = "no"
    """Compile the UNet first (torch.compile): a minute or two for a model and size, seconds the next time, and then
    each picture is faster and differs in its last bits. packed also packs the weights: faster again, but each run
    compiles most of it anew; on a GPU, CUDA graphs. auto takes what ends first.
    """
    scheduler: Annotated[SchedulerName | None, DIFFUSES] = None
    """Sampler; the model's own when not given."""
    lora: Annotated[tuple[Lora, ...], DIFFUSES, Repeated()] = ()
    """LoRA as FILE[:unet[:text]], with its scales on UNet and text encoder; may be given several times."""
    embedding: Annotated[tuple[Embedding, ...], DIFFUSES, Repeated()] = ()
    """Learned word (textual inversion) as FILE or WORD=FILE; may be given several times."""
    config: Annotated[FileName | None, DIFFUSES] = None
    """Folder with the configs and tokenizer of a single .safetensors file, instead of the hub's."""

    def whole_only(self) -> str:
        """Parts of a run are shorter than the whole, and all its pictures are drawn in one way."""
        if self.compile == "auto":
            return "compile: auto goes by how long a run is, and a part does not know: give --compile yes, packed or no"
        otherwise: str = super().whole_only()  # type: ignore[misc]  # of the recipe that this is mixed into
        return otherwise


class Drawn(Sampled):
    """Sampled, with the picture's size and what must not be in it."""

    negative_prompt: Annotated[NegativePrompt, DIFFUSES] = ""
    """What should not be in the picture."""
    width: Annotated[Width | None, DIFFUSES] = None
    """Width in pixels, a multiple of 8; the model's own when not given."""
    height: Annotated[Height | None, DIFFUSES] = None
    """Height in pixels, a multiple of 8; the model's own when not given."""


class Instructed(BaseModel):
    """How closely a photo is kept that is changed by an instruction; shared by every kind that has that method."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    image_guidance_scale: Annotated[
        Annotated[float, Field(ge=1, le=10), AfterValidator(finite)] | None, Only("method", "auto", "instruct")
    ] = None
    """Image guidance scale of InstructPix2Pix; more keeps more of the photo. The model's own when not given."""

    @model_validator(mode="after")
    def _guided_by_words_alone(self) -> Instructed:
        method = getattr(self, "method", ())
        if "interval" in getattr(self, "fast", ()) and "instruct" in ((method,) if isinstance(method, str) else method):
            raise ValueError(
                "fast: interval limits guidance by words, and instruct is guided by the photo too: leave 'interval' out"
            )
        return self


class Steered(BaseModel):
    """How a picture follows control maps; shared by every kind that has a method that does."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    control_scale: Annotated[float, Field(ge=0, le=2), BY_MAP] = 1.0
    """Conditioning scale of control maps; more follows them more closely, 0 not at all."""
    control_start: Annotated[Share, BY_MAP] = 0.0
    """Share of the steps from which on control maps are followed."""
    control_end: Annotated[Share, BY_MAP] = 1.0
    """Share of the steps until which control maps are followed."""
    canny_low: Annotated[Level | None, BY_MAP] = None
    """Lower threshold of Canny edges; lower finds more of them. From the photo's light and dark (Otsu)
    when not given."""
    canny_high: Annotated[Level | None, BY_MAP] = None
    """Upper threshold of Canny edges; lower finds more of them. From the photo's light and dark (Otsu)
    when not given."""
    control_model: Annotated[ModelName | None, BY_MAP] = None
    """ControlNet or T2I-Adapter of the method's kind; the one that goes with the model when not given."""

    @model_validator(mode="after")
    def _limits_in_order(self) -> Steered:
        if self.control_start >= self.control_end:
            raise ValueError("control_start: must be less than control_end")
        if self.canny_low and self.canny_high and self.canny_low >= self.canny_high:
            raise ValueError("canny_low: must be less than canny_high")
        return self
