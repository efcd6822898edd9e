"""Shortcuts that draw faster and move the picture: what each does, and where it cannot be taken.

`interval` guides at middle noise levels alone (`guidance`). `cache` works the inner blocks of the UNet out at some
steps, and lets them answer what they said last in between (DeepCache, Ma et al. 2023, arXiv 2312.00858). `steps` halves
the steps and takes a solver of second order (UniPC, Zhao et al. 2023, arXiv 2302.04867) where none is asked for.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, unknown
from easel.models.diffusion.guidance import noise_level, prompt_half, reused
from easel.models.diffusion.schedulers import noise_schedule
from easel.recipes.knobs import SHORTCUTS

if TYPE_CHECKING:
    from easel.models.diffusion.settings import Settings

INTERVAL = (0.28, 5.42)
"""Noise levels, above the first and up to the second, that are guided: those of the paper for SDXL (figure 6)."""
DEEP_EVERY = 2
"""Steps from one in which all blocks are worked out to the next."""
FIRST = 2
"""So many steps at the start are worked out whole: there the picture is laid out."""
FEWER = 0.5
"""Share of the steps that is done."""
SOLVER = "unipc"
FEW_STEP = ("lcm", "tcd")
"""Schedulers of models that were taught to draw in a few steps."""


def check(words: Sequence[str], scheduler: str) -> None:
    """EaselError on a word that is no shortcut, or where a model draws in a few steps already."""
    for word in words:
        if word not in SHORTCUTS:
            raise unknown("shortcut", word, SHORTCUTS)
    if "steps" in words and scheduler in FEW_STEP:
        raise EaselError(f"fast: scheduler '{scheduler}' is for few steps already: leave 'steps' out, and give --steps")


def check_fits(words: Sequence[str], unet: Any, guidance_scale: float) -> None:
    """EaselError where a model cannot take a shortcut."""
    if "interval" in words and (guidance_scale <= 1 or unet.config.time_cond_proj_dim is not None):
        raise EaselError(
            "fast: this picture is drawn without guidance, so there is none to limit: leave 'interval' out"
        )
    if "cache" in words and len(unet.up_blocks) < 2:
        raise EaselError("fast: this model's UNet has no inner blocks whose answers could be kept: leave 'cache' out")


def steps_of(words: Sequence[str], steps: int) -> int:
    """How many of the steps that are asked for are done."""
    return max(1, math.ceil(steps * FEWER)) if "steps" in words else steps


@contextlib.contextmanager
def taken(unet: Any, settings: Settings, pictures: int, own: Any, *, guided: bool) -> Iterator[None]:
    """Until the block ends, `unet` takes the shortcuts of the settings for a batch of so many pictures. `own` is the
    model's scheduler; `guided` says whether it is asked for the negative prompt too.
    """
    wanted = None
    if guided and "interval" in settings.fast:
        wanted = within(noise_schedule(own)[0], INTERVAL)
    every, deep = settings.guidance_every if guided else 1, DEEP_EVERY if "cache" in settings.fast else 1
    with reused(unet, every, pictures, wanted), kept(unet, deep):
        yield


def within(alphas: Any, interval: tuple[float, float]) -> Callable[[Any], bool]:
    """Whether the noise level of a time step lies in the interval. `alphas`: see `guidance.noise_level`."""
    low, high = interval
    return lambda time: low < noise_level(alphas, time) <= high


@contextlib.contextmanager
def kept(unet: Any, every: int) -> Iterator[None]:
    """Until the block ends, the inner blocks of `unet` are worked out only at its first FIRST calls and at every
    `every`-th from there on, and answer what they said last in between. `every` 1 changes nothing.

    What is worked out at every call is the first block down, the last one up, and what stands before and after them.
    The last call may have had more rows (both halves of guidance where now the prompt alone is asked): the prompt half
    is kept then. Where now more rows are asked for, all is worked out.
    """
    if every == 1:
        yield
        return
    inner = _Inner(unet, every)
    hooks = [unet.register_forward_pre_hook(inner.before), unet.register_forward_hook(inner.after)]
    before = {block: vars(block).get("forward") for block in inner.blocks}  # a compiled one, where there is one
    for block in inner.blocks:
        block.forward = partial(inner.answer, block, block.forward)
    try:
        yield
    finally:
        for block, forward in before.items():
            if forward is None:
                del block.forward
            else:
                block.forward = forward
        for hook in hooks:
            hook.remove()


class _Inner:
    """Counts the calls of one drawing, and keeps what the inner blocks said last."""

    def __init__(self, unet: Any, every: int) -> None:
        blocks = [*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1]]
        self.blocks = [block for block in blocks if block is not None]
        self.every, self.calls, self.rows, self.asked = every, 0, 0, 0
        self.said: dict[Any, Any] = {}
        self.in_full = True

    def before(self, _unet: Any, args: tuple[Any, ...]) -> None:
        """Whether this call is worked out in full."""
        self.asked = len(args[0])
        due = self.calls < FIRST or (self.calls - FIRST) % self.every == 0
        self.in_full = due or self.asked > self.rows
        if self.in_full:
            self.rows = self.asked

    def answer(self, block: Any, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a block says, now or the last time."""
        if self.in_full:
            self.said[block] = work(*args, **kwargs)
            return self.said[block]
        return prompt_half(self.said[block], self.rows) if self.asked < self.rows else self.said[block]

    def after(self, _unet: Any, _args: tuple[Any, ...], _output: Any) -> None:
        """The call is done."""
        self.calls += 1
