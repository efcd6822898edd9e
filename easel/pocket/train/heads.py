"""Naming the facts of a picture: what several small networks learn beside their own task."""

from typing import Any

import torch
from torch import Tensor, nn

from easel.pocket.train.samples import Row
from easel.pocket.world import words
from easel.pocket.world.scene import CHOICES

FACTS = {**CHOICES, "mask": ("False", "True"), "castle": ("False", "True")}
"""What the heads name, and the words for it."""
EXTRAS = words.ACCESSORIES


def name_facts(named: Any, seen: Tensor, rows: list[Row], weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of each fact, and of each thing that may be worn, by the ``heads`` and ``extras`` of ``named``.

    Facts are named from the mean of ``seen`` (n, tokens, width); what is worn from the token that is surest, for it is
    small. Facts that a row does not know are left out. ``weight`` (n,) is how much each row counts; alike without it.
    """
    pooled, total = seen.mean(dim=1), seen.new_zeros(())
    weight = seen.new_ones(len(rows)) if weight is None else weight
    for name, values in FACTS.items():
        known = [values.index(str(row["facts"][name])) if name in row["facts"] else -100 for row in rows]
        if max(known) >= 0:
            truth = torch.tensor(known, device=seen.device)
            errors = nn.functional.cross_entropy(named.heads[name](pooled), truth, reduction="none")
            total = total + (errors * weight).sum() / (truth >= 0).sum()
    dressed = [i for i, row in enumerate(rows) if "accessories" in row["facts"]]
    if dressed:
        truth = torch.tensor([[float(x in rows[i]["facts"]["accessories"]) for x in EXTRAS] for i in dressed]).to(
            pooled
        )
        surest = named.extras(seen[dressed]).amax(dim=1)
        errors = nn.functional.binary_cross_entropy_with_logits(surest, truth, reduction="none").sum(dim=1)
        total = total + (errors * weight[dressed]).mean()
    return total
