"""Prompts as people write them for A1111: `(word:1.3)`, `(word)`, `[word]`, nested, escaped, BREAK, longer than the
window.

The grammar and the numbers are those of AUTOMATIC1111's stable-diffusion-webui (modules/prompt_parser.py
parse_prompt_attention and modules/sd_hijack_clip.py): `(...)` multiplies by 1.1, `[...]` divides by it, weighted
embeddings get their old mean back, and a prompt longer than the text encoder's window is read in chunks, each with its
own start and end token, laid one after the other.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, shortened
from easel.models.diffusion import inversion

if TYPE_CHECKING:
    from torch import Tensor

ROUND = 1.1
MAX_CHUNKS = 8
COMMA_REACH = 20
"""A chunk that would end in the middle of a phrase ends at a comma at most so many tokens back instead (A1111's
default).
"""
NUMBER = r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity)"
PIECE = re.compile(rf"\\[()\[\]\\]|\\|\(|\[|:\s*({NUMBER})\s*\)|\)|\]|[^\\()\[\]:]+|:", re.IGNORECASE)
BREAK = re.compile(r"\s*\bBREAK\b\s*")
BREAK_WEIGHT = -math.inf
"""No weight that a prompt can have: -1 is one."""
MOST_WEIGHT = 1000.0
MOST_BRACKETS = 1000
"""Brackets that weigh words in one prompt; each is worked out for all that stands inside it."""
EXTRA_NETWORK = re.compile(r"<(lora|lyco|hypernet)\s*:\s*([^<>]*)>", re.IGNORECASE)
NOT_READ = (
    (re.compile(r"(?<!\\)\[[^\[\]]*:\s*[\d.]+\s*\]"), "prompt editing"),
    (re.compile(r"(?<!\\)\[[^\[\]|]*\|[^\[\]]*\]"), "words that take turns"),
    (re.compile(r"(?<!\w)AND(?!\w)"), "composable diffusion"),
)
"""What A1111 reads otherwise, and what it is called there."""


def parse(text: str) -> list[tuple[str, float]]:
    r"""Pieces of a prompt with their weights; a BREAK is the piece ("BREAK", -inf). Open brackets close at the end.

    Raises EaselError on weights that are not from -1000 to 1000, and on more than a thousand brackets.

    >>> parse("a (red:1.5) (old) [bird]")
    [('a ', 1.0), ('red', 1.5), (' ', 1.0), ('old', 1.1), (' ', 1.0), ('bird', 0.9090909090909091)]
    >>> parse(r"a bird \(blue\)")
    [('a bird (blue)', 1.0)]
    """
    brackets = text.count("(") + text.count("[")
    if brackets > MOST_BRACKETS:
        raise EaselError(f"the prompt '{shortened(text, 40)}' has {brackets:,} brackets: at most {MOST_BRACKETS:,}")
    pieces: list[tuple[str, float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, factor: float) -> None:
        pieces[start:] = [
            (words, weight if weight == BREAK_WEIGHT else weight * factor) for words, weight in pieces[start:]
        ]

    for match in PIECE.finditer(text):
        mark, number = match.group(0), match.group(1)
        if mark.startswith("\\") and len(mark) == 2:
            pieces.append((mark[1], 1.0))
        elif mark in opened:
            opened[mark].append(len(pieces))
        elif number is not None and opened["("]:
            weigh(opened["("].pop(), float(number))
        elif mark == ")" and opened["("]:
            weigh(opened["("].pop(), ROUND)
        elif mark == "]" and opened["["]:
            weigh(opened["["].pop(), 1 / ROUND)
        else:
            _add_words(pieces, mark)
    for start in opened["("]:
        weigh(start, ROUND)
    for start in opened["["]:
        weigh(start, 1 / ROUND)
    for words, weight in pieces:
        if (words, weight) != ("BREAK", BREAK_WEIGHT) and not abs(weight) <= MOST_WEIGHT:
            raise EaselError(
                f"the prompt weighs '{shortened(words, 40)}' by {weight:g}: a weight is a number from "
                f"{-MOST_WEIGHT:g} to {MOST_WEIGHT:g}"
            )
    return _merged(pieces) or [("", 1.0)]


def check(text: str) -> None:
    """EaselError on what a prompt cannot ask for: files by `<lora:...>`, and weights that `parse` refuses."""
    found = EXTRA_NETWORK.search(text)
    if found is not None:
        kind, (name, *scales) = found.group(1).lower(), found.group(2).split(":")
        advice = f"easel has no {kind}s"
        if kind == "lora":
            scale = scales[0] if scales and scales[0].strip() else "1"
            advice = f"a LoRA is given by --lora FILE:{shortened(scale, 10)} (the file of '{shortened(name, 40)}')"
        raise EaselError(f"the prompt has '{shortened(found.group(), 60)}': take it out; {advice}")
    parse(text)


def _add_words(pieces: list[tuple[str, float]], text: str) -> None:
    for number, words in enumerate(BREAK.split(text)):
        if number:
            pieces.append(("BREAK", BREAK_WEIGHT))
        if words or not number:
            pieces.append((words, 1.0))


def _merged(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    joined: list[tuple[str, float]] = []
    for words, weight in pieces:
        if joined and joined[-1][1] == weight != BREAK_WEIGHT:
            joined[-1] = (joined[-1][0] + words, weight)
        else:
            joined.append((words, weight))
    return [(words, weight) for words, weight in joined if words]


@dataclass(frozen=True)
class Chunks:
    """Token ids and weights of a prompt, each row as long as the text encoder's window; `cut` is what did not fit."""

    ids: list[list[int]]
    weights: list[list[float]]
    tokens: int
    cut: str


def window_of(tokenizer: Any, encoder: Any) -> int:
    """How many tokens the text encoder reads at once, start and end token included: 77 for CLIP."""
    return min(int(tokenizer.model_max_length), int(encoder.config.max_position_embeddings))


def chunk(text: str, tokenizer: Any, window: int, *, at_least: int = 1) -> Chunks:
    """The prompt in chunks of `window` tokens, padded as the tokenizer pads, with empty chunks up to `at_least`."""
    rows: list[list[tuple[int, float]]] = [[]]
    room, comma, words, counted, cut = window - 2, -1, _token_ids(tokenizer, ","), 0, ""
    for piece, weight in parse(text):
        if weight == BREAK_WEIGHT:
            rows, comma = [*rows, []], -1
            continue
        for token in _token_ids(tokenizer, piece):
            counted += 1
            if len(rows[-1]) == room:
                keep = comma if comma >= 0 and room - comma <= COMMA_REACH else room
                rows.append(rows[-1][keep:])
                rows[-2], comma = rows[-2][:keep], -1
            rows[-1].append((token, weight))
            comma = len(rows[-1]) if [token] == words else comma
    if len(rows) > MAX_CHUNKS:
        lost = [token for row in rows[MAX_CHUNKS:] for token, _ in row]
        cut = str(tokenizer.decode(lost))
        rows = rows[:MAX_CHUNKS]
    rows += [[] for _ in range(at_least - len(rows))]
    padded = [_padded(row, tokenizer, window) for row in rows]
    return Chunks([ids for ids, _ in padded], [weights for _, weights in padded], counted, cut)


def _token_ids(tokenizer: Any, text: str) -> list[int]:
    said = inversion.bracketed(tokenizer, text)
    ids = tokenizer(said, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return inversion.expanded(tokenizer, ids)


def _padded(row: list[tuple[int, float]], tokenizer: Any, window: int) -> tuple[list[int], list[float]]:
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    blank = window - 2 - len(row)
    ids = [tokenizer.bos_token_id, *(token for token, _ in row), tokenizer.eos_token_id, *([pad] * blank)]
    return ids, [1.0, *(weight for _, weight in row), 1.0, *([1.0] * blank)]


def encoders(pipeline: Any) -> list[tuple[Any, Any]]:
    """The pipeline's (tokenizer, text encoder) pairs: one for Stable Diffusion, two for SDXL."""
    names = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))
    return [(getattr(pipeline, a), getattr(pipeline, b)) for a, b in names if getattr(pipeline, b, None) is not None]


def count_chunks(pipeline: Any, text: str) -> int:
    """In how many chunks the prompt will be read."""
    return max(
        len(chunk(text, tokenizer, window_of(tokenizer, encoder)).ids) for tokenizer, encoder in encoders(pipeline)
    )


def notes(pipeline: Any, text: str) -> list[str]:
    """What a person should know about how a prompt is read: A1111's syntax that easel does not have, the number of
    chunks, and the words that are left out.
    """
    tokenizer, encoder = encoders(pipeline)[0]
    window = window_of(tokenizer, encoder)
    parts = chunk(text, tokenizer, window)
    matches = ((pattern.search(text), name) for pattern, name in NOT_READ)
    as_words = [
        f"'{shortened(found.group(), 40)}' in the prompt is A1111's {name}, which easel does not have: read as words"
        for found, name in matches
        if found is not None
    ]
    if len(parts.ids) == 1:
        return as_words
    said = [
        f"the prompt '{shortened(text, 40)}' has {parts.tokens} tokens, read in {len(parts.ids)} chunks of {window - 2}"
    ]
    if parts.cut:
        said.append(f"it is cut there ({MAX_CHUNKS} chunks at most); left out: '{shortened(parts.cut, 80)}'")
    return [*as_words, "; ".join(said)]


def encode(pipeline: Any, text: str, chunks: int) -> tuple[Tensor, Tensor | None]:
    """The prompt's embeddings (1, chunks * window, width), and for SDXL the pooled ones (1, width) of the first
    chunk, else None.
    """
    import torch

    with torch.no_grad():
        return encode_to_learn(pipeline, text, chunks)


def encode_to_learn(pipeline: Any, text: str, chunks: int) -> tuple[Tensor, Tensor | None]:
    """The same, differentiable where the text encoders learn."""
    import torch

    pairs = encoders(pipeline)
    rows, pooled = [], None
    for tokenizer, encoder in pairs:
        parts = chunk(text, tokenizer, window_of(tokenizer, encoder), at_least=chunks)
        known = encoder.get_input_embeddings().num_embeddings
        if max(map(max, parts.ids)) >= known or min(map(min, parts.ids)) < 0:
            raise EaselError(f"the tokenizer has words that the text encoder does not know (it knows {known:,} tokens)")
        ids = torch.tensor(parts.ids, device=encoder.device)
        mask = None
        if getattr(encoder.config, "use_attention_mask", False):
            mask = (ids != tokenizer.pad_token_id).long()
        output = encoder(ids, attention_mask=mask, output_hidden_states=len(pairs) > 1)
        hidden = output.hidden_states[-2] if len(pairs) > 1 else output.last_hidden_state
        pooled = output[0][:1] if len(pairs) > 1 else None
        weighted = _weighted(hidden, parts.weights)
        rows.append(weighted.reshape(1, -1, weighted.shape[-1]))  # (1, chunks * window, width)
    return torch.cat(rows, dim=-1), pooled


def _weighted(hidden: Tensor, weights: list[list[float]]) -> Tensor:
    """Each token's embedding times its weight, each chunk then scaled back to its old mean, as A1111 does."""
    import torch

    factor = torch.tensor(weights, device=hidden.device, dtype=torch.float32)[..., None]  # (chunks, window, 1)
    if bool((factor == 1).all()):
        return hidden
    before = hidden.float()
    after = before * factor
    mean = after.mean(dim=(1, 2), keepdim=True)
    restored = torch.where(mean.abs() > 1e-12, after * (before.mean(dim=(1, 2), keepdim=True) / mean), after)
    return restored.to(hidden.dtype)
