"""Classifier-free guidance at every n-th step only, the difference it makes used again in between.

Guidance (Ho & Salimans 2022, arXiv 2207.12598) asks the UNet twice a step, for the prompt and for the negative prompt.
What lies between the two answers changes slowly from step to step (Lv et al. 2024, FasterCache, arXiv 2410.19355), so
that in some steps the prompt alone is asked and the last difference stands in for the other half.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

FIRST = 2
"""So many steps at the start are always worked out in full: there the picture is laid out and the difference moves."""


@contextlib.contextmanager
def reused(unet: Any, every: int) -> Iterator[None]:
    """Until the block ends, `unet` answers a doubled batch (negative half, prompt half) in full only at its first FIRST
    calls and at every `every`-th from there on; else the prompt half is asked, and the other is that minus the last
    difference. `every` 1 changes nothing.
    """
    if every == 1:
        yield
        return
    asked = _Halves(every)
    hooks = [
        unet.register_forward_pre_hook(asked.before, with_kwargs=True),
        unet.register_forward_hook(asked.after),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Halves:
    """Counts the calls of one drawing, and keeps the last difference, (batch, c, h, w)."""

    def __init__(self, every: int) -> None:
        self.every, self.calls = every, 0
        self.difference: Any = None

    @property
    def whole(self) -> bool:
        """Whether this call is worked out in full."""
        return self.calls < FIRST or (self.calls - FIRST) % self.every == 0

    def before(
        self, _unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call with its prompt half alone, unless it is worked out in full."""
        if self.whole:
            return args, kwargs
        doubled = len(args[0])
        return (_half(args[0], doubled), *args[1:]), {name: _half(value, doubled) for name, value in kwargs.items()}

    def after(self, _unet: Any, _args: tuple[Any, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
        """Both halves again."""
        import torch

        whole, answer = self.whole, output[0]
        self.calls += 1
        if whole:
            without, within = answer.chunk(2)
            self.difference = within - without
            return output
        return (torch.cat([answer - self.difference, answer]), *output[1:])


def _half(value: Any, doubled: int) -> Any:
    """The second half of a tensor of `doubled` rows, also inside a dict; all else as it is."""
    if isinstance(value, dict):
        return {name: _half(inner, doubled) for name, inner in value.items()}
    if hasattr(value, "shape") and value.shape and value.shape[0] == doubled:
        return value.chunk(2)[1]
    return value
