"""Classifier-free guidance at every n-th step only, the difference it makes used again in between.

Guidance (Ho & Salimans 2022, arXiv 2207.12598) asks the UNet twice a step, for the prompt and for the negative prompt.
What lies between the two answers changes slowly from step to step (Lv et al. 2024, FasterCache, arXiv 2410.19355), so
that in some steps the prompt alone is asked and the last difference stands in for the other half.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from easel.errors import EaselError

FIRST = 2
"""So many steps at the start are always worked out in full: there the picture is laid out and the difference moves."""


@contextlib.contextmanager
def reused(unet: Any, every: int, pictures: int) -> Iterator[None]:
    """Until the block ends, `unet` answers a doubled batch (negative half, prompt half) of so many `pictures` in full
    only at its first FIRST calls and at every `every`-th from there on; else the prompt half is asked, and the other is
    that minus the last difference. `every` 1 changes nothing.

    Whatever comes beside the latents with a row for each of them (a ControlNet's residuals) is halved with them. Raises
    EaselError within the block where the batch is not of two halves, as InstructPix2Pix' of three thirds.
    """
    if every == 1:
        yield
        return
    halves = _Halves(every, pictures)
    hooks = [
        unet.register_forward_pre_hook(halves.before, with_kwargs=True),
        unet.register_forward_hook(halves.after),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Halves:
    """Counts the calls of one drawing, and keeps the last difference, (pictures, c, h, w)."""

    def __init__(self, every: int, pictures: int) -> None:
        self.every, self.pictures, self.calls = every, pictures, 0
        self.difference: Any = None

    @property
    def in_full(self) -> bool:
        """Whether this call is worked out in full."""
        return self.calls < FIRST or (self.calls - FIRST) % self.every == 0

    def before(
        self, _unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call with its prompt half alone, unless it is worked out in full."""
        rows = len(args[0])
        if rows != 2 * self.pictures:
            raise EaselError(
                f"guidance_every {self.every} needs a negative and a prompt half of {self.pictures} rows each, and "
                f"this task asks for {rows} rows at once: use guidance_every 1"
            )
        if self.in_full:
            return args, kwargs
        return (_half(args[0], rows), *args[1:]), {name: _half(value, rows) for name, value in kwargs.items()}

    def after(self, _unet: Any, _args: tuple[Any, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
        """Both halves again."""
        import torch

        in_full, answer = self.in_full, output[0]
        self.calls += 1
        if in_full:
            negative, prompt = answer.chunk(2)
            self.difference = prompt - negative
            return output
        return (torch.cat([answer - self.difference, answer]), *output[1:])


def _half(value: Any, rows: int) -> Any:
    """The second half of a tensor of so many rows, also inside a dict, list or tuple; all else as it is."""
    if isinstance(value, dict):
        return {name: _half(inner, rows) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_half(inner, rows) for inner in value)
    if hasattr(value, "shape") and value.shape and value.shape[0] == rows:
        return value.chunk(2)[1]
    return value
