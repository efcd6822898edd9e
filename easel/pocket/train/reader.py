"""A first lesson for the painter's text encoder: name the facts of a scene from its caption alone.

It takes a few minutes, and gives the UNet words that already mean something; taught only through the pictures' noise,
the encoder of a small model takes hours to tell one style from another. `confused` says which words it still takes for
one another: what the encoder cannot tell apart, no painter can.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPTextModel

from easel.pocket.train import samples
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.heads import EXTRAS, FACTS, name_facts
from easel.pocket.train.text import WINDOW, ids
from easel.pocket.world import words
from easel.training.trainer import Context, Measured, device_of

BATCH = 64
SCHEDULE = Schedule(steps=800, lr=1e-3, warmup=20, weight_decay=0.01, average_decay=0.97)
APART = 0.15
"""Prompts that differ in one word lie this far apart at least, of the median of such pairs."""
ALIKE = (
    [f"a black {words.KIND_NAMES[kind]} on the beach" for kind in words.KINDS],
    [f"a {colour} bird on the beach" for colour in words.COLOURS],
    [f"a red bird {phrase}" for phrase in words.PLACE_PHRASES.values()],
    [f"a red bird on the beach {phrase}".strip() for phrase in words.LIGHT_PHRASES.values()],
    [f"a {mood} woman in a red dress on the beach" for mood in words.MOOD_WORDS.values()],
    [f"a woman in a red dress {phrase} on the beach" for phrase in words.ACCESSORY_PHRASES.values()],
    [f"a red bird on the beach {phrase}".strip() for phrase in words.STYLE_PHRASES.values()],
)
"""Prompts that differ in one fact, fact by fact."""


class Reader(nn.Module):
    """A text encoder and heads that name facts; only the encoder is kept."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in FACTS.items()})
        self.extras = nn.Linear(width, len(EXTRAS))


def run(encoder: CLIPTextModel, mix: samples.Mix, tokenizer: Any, work: Path, schedule: Schedule = SCHEDULE) -> None:
    """Teach ``encoder`` in place (or go on)."""
    reader = Reader(encoder).to(device_of(encoder))

    def loss(context: Context) -> Measured:
        _, rows, rng = mix.batch(71, context.step, BATCH)
        tokens, _ = ids(tokenizer, [samples.caption(row, rng) for row in rows], WINDOW)
        states = encoder(tokens.to(device_of(encoder))).last_hidden_state
        return Measured(name_facts(reader, states, rows))

    fit(reader, loss, schedule, work / "reader.safetensors")


@torch.no_grad()
def confused(encoder: CLIPTextModel, tokenizer: Any) -> list[tuple[str, str]]:
    """Pairs of prompts that differ in one fact of the world, and that ``encoder`` hardly tells apart."""
    pairs = [pair for texts in ALIKE for pair in combinations(texts, 2)]
    named = sorted({text for pair in pairs for text in pair})
    tokens, _ = ids(tokenizer, named, WINDOW)
    states = dict(zip(named, encoder(tokens.to(device_of(encoder))).last_hidden_state.flatten(1).float(), strict=True))
    far = torch.stack([(states[a] - states[b]).norm() for a, b in pairs])
    return [pair for pair, near in zip(pairs, (far < APART * far.median()).tolist(), strict=True) if near]
