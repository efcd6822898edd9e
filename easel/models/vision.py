"""Loading what looks at pictures: a transformers folder with its own image processor (the PIL one) and, if it reads,
its tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from easel.errors import EaselError
from easel.models.catalog import checks
from easel.models.catalog.locate import Place
from easel.models.devices import pick_device, pick_dtype
from easel.models.diffusion.pipelines import load_weights
from easel.models.logging import hush

LONGEST = 16
"""Of pictures whose middle square is looked at, sides of more than this to one lose their ends first: the shorter side
is brought to the model's, and a line of pixels would grow to gigabytes on the way.
"""


def without_ends(image: Image.Image) -> Image.Image:
    """The middle of a very long or tall picture, others as they are."""
    width, height = image.size
    keep = LONGEST * min(image.size)
    left, top = max(0, (width - keep) // 2), max(0, (height - keep) // 2)
    return image.crop((left, top, left + min(width, keep), top + min(height, keep)))


@dataclass(frozen=True)
class Vision:
    """A model with the preparation it was trained with."""

    model: Any
    processor: Any
    tokenizer: Any
    device: Any

    def pixels(self, images: Sequence[Image.Image]) -> Any:
        """PIL pictures to (n, 3, h, w) as this model wants them."""
        shown = [image.convert("RGB") for image in images]
        if getattr(self.processor, "do_center_crop", False):
            shown = [without_ends(image) for image in shown]
        prepared = self.processor(images=shown, return_tensors="pt")["pixel_values"]
        return prepared.to(self.device, self.model.dtype)

    def words(self, texts: list[str]) -> dict[str, Any]:
        """Texts to padded `input_ids` and `attention_mask`, (n, tokens), cut at the model's window."""
        config = getattr(self.model.config, "text_config", self.model.config)
        window = min(int(self.tokenizer.model_max_length), int(getattr(config, "max_position_embeddings", 512)))
        made = self.tokenizer(texts, padding=True, truncation=True, max_length=window, return_tensors="pt")
        return {key: made[key].to(self.device) for key in ("input_ids", "attention_mask")}

    def texts(self, tokens: Any) -> list[str]:
        """Generated ids (n, tokens) to texts, without BLIP's start token, which its tokenizer does not know as a
        special one.
        """
        start = getattr(self.model.config.text_config, "bos_token_id", None)
        plain = [[token for token in row if token != start] for row in tokens.tolist()]
        return [together(text) for text in self.tokenizer.batch_decode(plain, skip_special_tokens=True)]


def together(text: str) -> str:
    """Words that BERT's tokenizer has parted, as they are written: "a cat ' s close - up" is "a cat's close-up"."""
    return re.sub(r"(?<=\w) (['-]) (?=\w)", r"\1", " ".join(text.split()))


def load_vision(
    place: Place, classes: Sequence[str], device: str, dtype: str, *, words: bool = False, **options: Any
) -> Vision:
    """The model at `place`, as the first of `classes` that fits what its config.json calls itself.

    Measuring is done in float32 unless `dtype` says otherwise. EaselError names what is missing before weights are
    read.
    """
    folder = place.path
    if folder.is_file():
        raise EaselError(
            f"{folder} is a single file; this role needs a folder in the transformers layout, or a catalogue word"
        )
    config = checks.read_json(folder / "config.json")
    where = pick_device(device)
    kind = pick_dtype(dtype, where, measuring=True)
    checks.weight_files(folder)
    if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        raise EaselError(f"preprocessor_config.json is missing in {folder}")
    if words:
        checks.check_tokenizer(folder)
    hush()
    import transformers

    called = config.get("architectures") or [_by_type(str(config.get("model_type")), classes)]
    if called[0] not in classes and _by_type(str(config.get("model_type")), classes) is None:
        raise EaselError(f"{folder} holds {called[0]}; this role needs one of {', '.join(classes)}")
    wanted = called[0] if called[0] in classes else _by_type(str(config.get("model_type")), classes)
    model = load_weights(getattr(transformers, str(wanted)), folder, kind, str(wanted), **options)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True) if words else None
    return Vision(model.to(where), processor, tokenizer, where)


def _by_type(model_type: str, classes: Sequence[str]) -> str | None:
    """The class of `classes` whose kind of model this is, if only one can be: 'vit' is ViTModel, whatever head was
    saved with it.
    """
    fitting = [name for name in classes if name.lower() == f"{model_type.replace('-', '').replace('_', '')}model"]
    return fitting[0] if len(fitting) == 1 else None
