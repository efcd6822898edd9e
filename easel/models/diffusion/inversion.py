"""Textual Inversion (Gal et al. 2022, arXiv 2208.01618): words with learned embeddings, put into a model's tokenizers
and text encoders, read from files and written.

A word of several vectors is as many tokens, `<dog>`, `<dog>_1` and so on, and the word in a prompt stands for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, shortened
from easel.models.catalog import checks
from easel.recipes.knobs import embedding_parts

if TYPE_CHECKING:
    from torch import Tensor

FILE = "learned_embeds.safetensors"
"""diffusers' name for a file with a learned word."""
A1111, LARGE = "emb_params", ("clip_l", "clip_g")
"""Names of the tensors in A1111's files: of Stable Diffusion, and of SDXL's two text encoders."""
MOST_VECTORS = 75
UNUSED = "unused-"
RARE = 0.9
"""Words beyond this share of a tokenizer's vocabulary, which is in order of frequency, are rare."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """A learned word: its vectors (n, width) for each text encoder."""

    word: str
    vectors: tuple[Tensor, ...]

    @property
    def tokens(self) -> list[str]:
        """The tokens that stand for it."""
        return [self.word, *(f"{self.word}_{at}" for at in range(1, len(self.vectors[0])))]


@cache
def table_class() -> Any:
    """The class of an embedding table with rows that are apart: `LearnedTokens(table, rows)`.

    It is made when it is first asked for, since this module is imported where torch is not.
    """
    import torch
    from torch import nn

    class LearnedTokens(nn.Module):
        """A text encoder's embedding table, (v, width), followed by rows (n, width) that are a weight of their own."""

        def __init__(self, table: nn.Module, rows: Tensor) -> None:
            super().__init__()
            # in this order: the first weight's format is taken for the encoder's own
            self.table, self.learned = table, nn.Embedding.from_pretrained(rows, freeze=False)
            self.begins = int(table.num_embeddings)  # type: ignore[arg-type]
            self.num_embeddings = self.begins + len(rows)

        @property
        def rows(self) -> Tensor:
            """The rows that are apart."""
            rows: Tensor = self.learned.weight
            return rows

        @property
        def weight(self) -> Tensor:
            """The whole table, (v + n, width), in its own format."""
            own: Tensor = self.table.weight  # type: ignore[assignment]
            return torch.cat([own, self.rows.to(own)])

        def forward(self, ids: Tensor) -> Tensor:
            """Vectors (..., width) of tokens (...)."""
            held = self.table(ids.clamp(max=self.begins - 1))
            learned = self.rows[(ids - self.begins).clamp(min=0, max=len(self.rows) - 1)]
            return torch.where((ids >= self.begins)[..., None], learned.to(held.dtype), held)

    return LearnedTokens


def add(pipeline: Any, embedding: Embedding) -> list[Any]:
    """Put a word into a pipeline; its rows in each text encoder, in float32, as parameters.

    Raises EaselError where it does not fit, or the tokenizer knows the word already.
    """
    from easel.models.diffusion.prompts import encoders

    both = encoders(pipeline)
    if len(both) != len(embedding.vectors):
        raise EaselError(
            f"the embedding '{embedding.word}' was made for a model of {len(embedding.vectors)} text encoders, and "
            f"this one has {len(both)}"
        )
    for (tokenizer, encoder), rows in zip(both, embedding.vectors, strict=True):
        width = int(encoder.config.hidden_size)
        if rows.shape[1] != width:
            raise EaselError(
                f"the embedding '{embedding.word}' was made for another family of models: its vectors have "
                f"{rows.shape[1]} numbers, and this text encoder's {width}"
            )
        if embedding.word in tokenizer.get_vocab():
            raise EaselError(
                f"the model's tokenizer has a word '{embedding.word}' already: give the new one another name"
            )
    found = []
    for (tokenizer, encoder), rows in zip(both, embedding.vectors, strict=True):
        from transformers import AddedToken

        table = encoder.get_input_embeddings()
        missing = table.num_embeddings - len(tokenizer)
        if missing < 0:
            raise EaselError(
                f"the tokenizer knows {len(tokenizer):,} words, and the text encoder {table.num_embeddings:,}"
            )
        filler = [f"<{UNUSED}{len(tokenizer) + at}>" for at in range(missing)]  # rows that no token leads to
        tokenizer.add_tokens(
            [*filler, *(AddedToken(one, single_word=True, normalized=False) for one in embedding.tokens)]
        )
        made = table_class()(table, rows.detach().float().to(encoder.device))
        encoder.set_input_embeddings(made)
        found.append(made)
    return found


def is_common(tokenizer: Any, word: str) -> bool:
    """Whether a tokenizer reads a word as one token that is not among its rarest: it means something already."""
    ids = tokenizer(word, add_special_tokens=False).input_ids
    return len(ids) == 1 and ids[0] < RARE * len(tokenizer)


def bracketed(tokenizer: Any, text: str) -> str:
    """A prompt with learned words in the brackets they have: 'a sks dog' is 'a <sks> dog' where <sks> was learned.

    A common word means what it meant: where <dog> was learned, 'dog' stays. So does all of a prompt with brackets.
    """
    for token in tokenizer.added_tokens_encoder:
        bare = token[1:-1]
        if token != f"<{bare}>" or bare.startswith(UNUSED) or token in text or bare.lower() not in text.lower():
            continue
        if not is_common(tokenizer, bare):
            text = re.sub(rf"(?<![\w<|]){re.escape(bare)}(?![\w>|])", token.replace("\\", r"\\"), text, flags=re.I)
    return text


def expanded(tokenizer: Any, ids: Sequence[int]) -> list[int]:
    """Token ids where a learned word of several vectors stands for all of its tokens."""
    added = tokenizer.added_tokens_encoder
    if not any(name.endswith("_1") for name in added):
        return list(ids)
    names = {number: name for name, number in added.items()}
    found = []
    for one in ids:
        found.append(one)
        name, at = names.get(one), 1
        while name is not None and f"{name}_{at}" in added:
            found.append(added[f"{name}_{at}"])
            at += 1
    return found


def load(pipeline: Any, text: str) -> str:
    """Put the word of `FILE` or `WORD=FILE` into a pipeline; a note that says which word it is. Raises EaselError."""
    word, place = embedding_parts(text)
    embedding = read(Path(place).expanduser(), word)
    add(pipeline, embedding)
    size = f"{len(embedding.vectors[0])} vector{'s' if len(embedding.vectors[0]) > 1 else ''}"
    return f"embedding {Path(place).name}: '{embedding.word}' in a prompt stands for it ({size})"


def find(path: Path) -> Path:
    """The file of an embedding, or that in a folder. Raises EaselError where there is none."""
    if path.is_dir():
        inside = [path / FILE, *sorted(path.glob("*.safetensors"))]
        path = next((file for file in inside if file.is_file()), path / FILE)
    if not path.is_file():
        raise EaselError(f"no embedding {path}: it is written FILE or WORD=FILE")
    return path


def read(path: Path, word: str | None = None) -> Embedding:
    """The word in a file of diffusers' layout (the word is the tensor's name) or of A1111's (it is the file's name, in
    <> so that it is no other word). Raises EaselError on what is neither, pickled, damaged or no number.
    """
    import torch
    from safetensors.torch import load_file

    path = find(path)
    checks.check_file(path)
    tensors = load_file(path)
    if set(LARGE) <= set(tensors):
        name, found = f"<{path.stem}>", [tensors[key] for key in LARGE]
    elif A1111 in tensors:
        name, found = f"<{path.stem}>", [tensors[A1111]]
    elif {f"{key}.{at}" for key in {one.rpartition(".")[0] for one in tensors} for at in (0, 1)} == set(tensors):
        name = next(iter(tensors)).rpartition(".")[0]
        found = [tensors[f"{name}.{at}"] for at in (0, 1)]
    elif len(tensors) == 1:
        name, tensor = next(iter(tensors.items()))
        found = [tensor]
    else:
        raise EaselError(f"{path} holds {len(tensors)} tensors and is no embedding: a LoRA goes to --lora")
    rows = [tensor.float()[None] if tensor.ndim == 1 else tensor.float() for tensor in found]
    if any(one.ndim != 2 or not 1 <= len(one) <= MOST_VECTORS or len(one) != len(rows[0]) for one in rows):
        shapes = ", ".join(str(tuple(one.shape)) for one in rows)
        raise EaselError(f"{path} is no embedding: its tensors are {shortened(shapes)}")
    if not all(bool(torch.isfinite(one).all()) for one in rows):
        raise EaselError(f"{path} has values that are not numbers: get the embedding again")
    return Embedding(checked_word(word or name, path), tuple(rows))


def checked_word(word: str, path: Path | None = None) -> str:
    """A word that can stand in a prompt. Raises EaselError on one with spaces or signs that weigh words there."""
    if not word or re.search(r"[\s()\[\]\\:]", word):
        where = f"{path}: " if path else ""
        raise EaselError(f"{where}'{shortened(word)}' cannot stand in a prompt: give it another as WORD=FILE")
    return word


def tensors_of(embedding: Embedding, layout: str) -> dict[str, Tensor]:
    """The tensors of a file: "diffusers" or "a1111". diffusers has no layout for two text encoders: there its word is
    written once for each, with .0 and .1 behind it.
    """
    rows = [one.detach().float().cpu() for one in embedding.vectors]
    if layout == "a1111":
        return dict(zip(LARGE, rows, strict=True)) if len(rows) == 2 else {A1111: rows[0]}
    if len(rows) == 2:
        return {f"{embedding.word}.{at}": one for at, one in enumerate(rows)}
    return {embedding.word: rows[0][0] if len(rows[0]) == 1 else rows[0]}
