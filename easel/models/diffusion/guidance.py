"""Classifier-free guidance where it is worth its price: at every n-th step only, or at some noise levels alone.

Guidance (Ho & Salimans 2022, arXiv 2207.12598) asks the UNet twice a step, for the prompt and for the negative prompt.
What lies between the two answers changes slowly from step to step (Lv et al. 2024, FasterCache, arXiv 2410.19355), so
that in some steps the prompt alone is asked and the last difference stands in for the other half. At high noise levels
guidance narrows what can come, and at low ones it does next to nothing (Kynkaanniemi et al. 2024, arXiv 2404.07724), so
that it can be limited to an interval between; outside the prompt alone is asked, and its answer is taken as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from easel.errors import EaselError

FIRST = 2
"""So many steps at the start are always worked out in full: there the picture is laid out and the difference moves."""


def noise_level(alphas: Any, time: Any) -> float:
    """The noise by the signal, sigma, at a time step (which may lie between two): 0 is a clean picture, infinity pure
    noise. `alphas` are the cumulative products of a model's noise schedule, (T,).
    """
    last = len(alphas) - 1
    place = min(max(float(time), 0.0), float(last))
    low, share = int(place), place - int(place)
    alpha = float(alphas[low]) * (1 - share) + float(alphas[min(low + 1, last)]) * share
    return ((1 - alpha) / alpha) ** 0.5 if alpha > 0 else float("inf")


@contextlib.contextmanager
def reused(unet: Any, every: int, pictures: int, wanted: Callable[[Any], bool] | None = None) -> Iterator[None]:
    """Until the block ends, `unet` answers a doubled batch (negative half, prompt half) of so many `pictures` in full
    only at its first FIRST calls and at every `every`-th from there on; else the prompt half is asked, and the other is
    that minus the last difference. `every` 1 changes nothing.

    Args:
        wanted: whether there is guidance at a time step; where there is none the prompt half is asked, and is both
            halves. Such calls are not counted.

    Whatever comes beside the latents with a row for each of them (a ControlNet's residuals) is halved with them. Raises
    EaselError within the block where the batch is not of two halves, as InstructPix2Pix' of three thirds.
    """
    if every == 1 and wanted is None:
        yield
        return
    halves = _Halves(every, pictures, wanted)
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

    def __init__(self, every: int, pictures: int, wanted: Callable[[Any], bool] | None) -> None:
        self.every, self.pictures, self.wanted, self.calls = every, pictures, wanted, 0
        self.is_guided = True
        self.difference: Any = None

    @property
    def in_full(self) -> bool:
        """Whether this call is worked out in full."""
        return self.is_guided and (self.calls < FIRST or (self.calls - FIRST) % self.every == 0)

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
        if self.wanted is not None:
            self.is_guided = self.wanted(args[1] if len(args) > 1 else kwargs["timestep"])
        if self.in_full:
            return args, kwargs
        return (prompt_half(args[0], rows), *args[1:]), {
            name: prompt_half(value, rows) for name, value in kwargs.items()
        }

    def after(self, _unet: Any, _args: tuple[Any, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
        """Both halves again."""
        import torch

        in_full, answer = self.in_full, output[0]
        if not self.is_guided:
            return (torch.cat([answer, answer]), *output[1:])
        self.calls += 1
        if in_full:
            negative, prompt = answer.chunk(2)
            self.difference = prompt - negative
            return output
        return (torch.cat([answer - self.difference, answer]), *output[1:])


def prompt_half(value: Any, rows: int) -> Any:
    """The second half of a tensor of so many rows, also inside a dict, list or tuple; all else as it is."""
    if isinstance(value, dict):
        return {name: prompt_half(inner, rows) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(prompt_half(inner, rows) for inner in value)
    if hasattr(value, "shape") and value.shape and value.shape[0] == rows:
        return value.chunk(2)[1]
    return value
