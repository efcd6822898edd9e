"""Vision models with the preparation they were trained with: a transformers folder, its own image processor (the PIL
one) and, where it takes text, its tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import EaselError
from easel.models.catalog import checks
from easel.models.catalog.locate import LocatedModel
from easel.models.devices import pick_device, pick_dtype
from easel.models.diffusion.pipelines import load_weights
from easel.models.logging import silence

MAX_ASPECT = 16
"""Of pictures whose middle square is cropped, sides of more than this to one lose their ends first: the shorter side is
resized to the model's, and a line of pixels would grow to gigabytes on the way.
"""
MAX_SIDE = 4096
"""Pixels a side that a processor may ask for."""
TRIED = 100_000_000
"""Numbers of a model that is tried as it loads, at most."""


def without_ends(image: Image.Image) -> Image.Image:
    """The middle of a very long or tall picture, others as they are."""
    width, height = image.size
    keep = MAX_ASPECT * min(image.size)
    left, top = max(0, (width - keep) // 2), max(0, (height - keep) // 2)
    return image.crop((left, top, left + min(width, keep), top + min(height, keep)))


@dataclass(frozen=True)
class Vision:
    """A model, its image processor and its tokenizer (None where it takes no text)."""

    model: Any
    processor: Any
    tokenizer: Any
    device: Any
    folder: Path

    def trial(self, use: Callable[[Image.Image], object]) -> None:
        """Use a small model once, so that parts that do not fit together are found as it loads; a large one would take
        seconds. Raises EaselError.
        """
        if sum(one.numel() for one in self.model.parameters()) <= TRIED:
            with checks.loading(self.folder, "its parts together"):
                use(Image.new("RGB", (64, 64), "white"))

    def pixels(self, images: Sequence[Image.Image]) -> Any:
        """PIL pictures to (n, 3, h, w), normalised as the processor says."""
        shown = [image.convert("RGB") for image in images]
        if getattr(self.processor, "do_center_crop", False):
            shown = [without_ends(image) for image in shown]
        prepared = self.processor(images=shown, return_tensors="pt")["pixel_values"]
        return prepared.to(self.device, self.model.dtype)

    def tokens(self, texts: list[str]) -> dict[str, Any]:
        """Texts to padded `input_ids` and `attention_mask`, (n, tokens), cut at the model's window."""
        config = getattr(self.model.config, "text_config", self.model.config)
        window = min(int(self.tokenizer.model_max_length), int(getattr(config, "max_position_embeddings", 512)))
        made = self.tokenizer(texts, padding=True, truncation=True, max_length=window, return_tensors="pt")
        known = int(getattr(config, "vocab_size", 0) or 0)
        if known and int(made["input_ids"].max()) >= known:
            raise EaselError(
                f"the model {self.folder} knows {known:,} tokens, and its tokenizer has more: get it again"
            )
        return {key: made[key].to(self.device) for key in ("input_ids", "attention_mask")}

    def decoded(self, tokens: Any) -> list[str]:
        """Generated ids (n, tokens) to texts, without BLIP's start token, which its tokenizer does not know as a
        special one.
        """
        start = getattr(self.model.config.text_config, "bos_token_id", None)
        plain = [[token for token in row if token != start] for row in tokens.tolist()]
        return [detokenized(text) for text in self.tokenizer.batch_decode(plain, skip_special_tokens=True)]


def detokenized(text: str) -> str:
    """Words that BERT's tokenizer has parted, as they are written: "a cat ' s close - up" is "a cat's close-up"."""
    return re.sub(r"(?<=\w) (['-]) (?=\w)", r"\1", " ".join(text.split()))


def load_vision(
    located: LocatedModel,
    classes: Sequence[str],
    device: str,
    dtype: str,
    *,
    with_tokenizer: bool = False,
    **options: Any,
) -> Vision:
    """The model at `located`, as the first of `classes` that fits what its config.json calls itself.

    Measuring is done in float32 unless `dtype` says otherwise. EaselError names what is missing, and what is code or
    needs a package, before weights are read; what the libraries raise afterwards becomes one too.
    """
    folder = located.path
    if folder.is_file():
        raise EaselError(
            f"{folder} is a single file; this role needs a folder in the transformers layout, or a catalogue word"
        )
    config = checks.read_model_config(folder)
    where = pick_device(device)
    kind = pick_dtype(dtype, where, measuring=True)
    checks.weight_files(folder)
    processors = [folder / name for name in ("preprocessor_config.json", "processor_config.json")]
    if not any(file.is_file() for file in processors):
        raise EaselError(f"preprocessor_config.json is missing in {folder}")
    if with_tokenizer:
        checks.check_tokenizer(folder)
    for file in (*processors, folder / "tokenizer_config.json", folder / "generation_config.json"):
        if file.exists():
            checks.read_config(file)
    silence()
    import transformers

    name = _class_name(config, classes, folder)
    model = load_weights(getattr(transformers, name), folder, kind, name, **options)
    with checks.loading(folder, "image processor"):
        processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
        _try_processor(processor)
    tokenizer = None
    if with_tokenizer:
        with checks.loading(folder, "tokenizer"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return Vision(model.to(where), processor, tokenizer, where, folder)


def _class_name(config: dict[str, Any], classes: Sequence[str], folder: Path) -> str:
    """The class of `classes` that a folder's config.json stands for. EaselError where none does."""
    model_type, architectures = str(config.get("model_type")), config.get("architectures")
    by_type = _by_type(model_type, classes)
    called = str(architectures[0]) if isinstance(architectures, list) and architectures else str(by_type)
    if called in classes:
        return called
    if by_type is None:
        raise EaselError(f"{folder} holds {called}; this role needs one of {', '.join(classes)}")
    return by_type


def _try_processor(processor: Any) -> None:
    """Prepare a small picture, so that sizes and numbers that cannot be are found here. Raises what they lead to."""
    for which in ("size", "crop_size"):
        for side in dict(getattr(processor, which, None) or {}).values():
            if side is not None and not (isinstance(side, int) and 0 < side <= MAX_SIDE):
                raise ValueError(f"{which} of {side} pixels")
    pixels = processor(images=[Image.new("RGB", (24, 16), "white")], return_tensors="pt")["pixel_values"]
    if not bool(pixels.isfinite().all()):
        raise ValueError("its mean and deviation give no numbers")


def _by_type(model_type: str, classes: Sequence[str]) -> str | None:
    """The class of `classes` whose kind of model this is, if only one can be: 'vit' is ViTModel, whatever head was
    saved with it.
    """
    fitting = [name for name in classes if name.lower() == f"{model_type.replace('-', '').replace('_', '')}model"]
    return fitting[0] if len(fitting) == 1 else None
