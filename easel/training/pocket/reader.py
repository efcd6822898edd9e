"""A first lesson for the painter's text encoder: name the facts of a scene from its caption alone.

It takes a few minutes, and gives the UNet words that already mean something; taught only through the pictures' noise,
the encoder of a small model takes hours to tell one style from another.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import CLIPTextModel

from easel.training.loop import Plan, home, train
from easel.training.pocket import samples
from easel.training.pocket.heads import EXTRAS, FACTS, name_facts
from easel.training.pocket.text import WINDOW, ids

BATCH = 64
PLAN = Plan(steps=200, lr=2e-3, warmup=20, weight_decay=0.01, average_decay=0.97)


class Reader(nn.Module):
    """A text encoder and heads that name facts; only the encoder is kept."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        width = encoder.config.hidden_size
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in FACTS.items()})
        self.extras = nn.Linear(width, len(EXTRAS))


def run(encoder: CLIPTextModel, mix: samples.Mix, tokenizer: Any, work: Path, plan: Plan = PLAN) -> None:
    """Teach ``encoder`` in place (or go on)."""
    reader = Reader(encoder).to(home(encoder))

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        _, rows, rng = mix.batch(71, step, BATCH)
        tokens, _ = ids(tokenizer, [samples.caption(row, rng) for row in rows], WINDOW)
        states = encoder(tokens.to(home(encoder))).last_hidden_state
        return name_facts(reader, states, rows), {}

    train(reader, loss, plan, work / "reader.safetensors")
