"""A UNet that is compiled by torch.compile (TorchInductor; Ansel et al. 2024): norms and activations
become one loop, for the price of a minute or two. With weights that are packed, convolutions get theirs in the order
that a CPU wants; on a GPU queries, keys and values become one product, and a step one CUDA graph.

What was compiled is kept on disk, under the hub client's folder, so that another process starts with it in seconds;
packed weights it cannot keep, and a process that packs them compiles most of it again. The sums of a compiled UNet run
in another order, so that a picture's last bits differ, as they do in another batch.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError
from easel.models.catalog.locate import own_cache
from easel.models.diffusion.batch import PictureRequest

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion

COMPILERS = ("g++", "gcc", "clang++")
"""What TorchInductor builds a CPU's loops with; CXX names another."""
MOST_KEPT = 64
"""Compiled forms of one part that torch keeps: one for each size, batch, and block of its kind."""
FEW = 4
"""Steps by which the seconds of a picture are told; of two passes each has some."""
GAINS = {"yes": 1.14, "packed": 1.4}
"""Times as fast, measured on pocket, of which the arithmetic of `auto` starts."""
SECONDS = {"yes": (0.25, 0.03), "packed": (0.3, 0.2)}
"""Of compiling a layer, the first time and with what is on the disk, of which it starts too."""


def missing(device: Any) -> str:
    """What this machine lacks to compile for a device, in words; '' where it lacks nothing."""
    if device.type == "cpu":
        wanted = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
        return "" if any(map(shutil.which, wanted)) else f"no C++ compiler is on this machine ({', '.join(wanted)})"
    if device.type == "cuda":
        return "" if importlib.util.find_spec("triton") else "the package triton is not installed"
    return f"torch.compile is not used on {device.type}"


def folder() -> Path:
    """Where what was compiled is kept; may be deleted at any time."""
    return own_cache() / "compiled"


class Compiled:
    """What is compiled of one UNet: nothing until `turn_on`, and then all of it, or each of its blocks."""

    def __init__(self, unet: Any, device: Any) -> None:
        self._unet, self._device = unet, device
        self._parts: list[Any] = []
        self._by_block, self._word = False, "yes"

    @property
    def is_on(self) -> bool:
        """Whether anything is compiled when it is called."""
        return bool(self._parts)

    @property
    def word(self) -> str:
        """The setting: 'no', 'yes' or 'packed'."""
        return self._word if self.is_on else "no"

    def turn_on(self, word: str = "", *, by_block: bool = False) -> None:
        """From now on the UNet is compiled when it is called with new sizes: 'yes', or 'packed' with weights that are
        packed; '' is as before.

        `by_block` where a shortcut leaves some blocks out, for less speed. Raises EaselError where this machine cannot.
        """
        word = word or self._word
        if (self.word, self._by_block) == (word, by_block):
            return
        self.turn_off()
        if lacks := missing(self._device):
            raise EaselError(f"compile: {lacks}: install one, or leave --compile out")
        import torch

        warnings.filterwarnings("ignore", message="Dynamo detected a call to a", category=UserWarning)  # of diffusers
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder()))
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_KEPT)
        unet, self._by_block, self._word = self._unet, by_block, word
        blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
        self._parts = [block for block in blocks if block is not None] if by_block else [unet]
        is_packed = word == "packed"
        if is_packed and self._device.type == "cuda":
            fuse(unet)
        # a graph's answers lie where the next one's will, so that blocks could not be kept from step to step
        graphs = is_packed and self._device.type == "cuda" and not by_block
        options = {"freezing": is_packed and self._device.type == "cpu", "triton.cudagraphs": graphs}
        for part in self._parts:
            part.forward = _under(options, torch.compile(part.forward, dynamic=False, options=options))

    def turn_off(self) -> None:
        """The UNet as it was; what was compiled is taken again when it is turned on."""
        for part in self._parts:
            del part.forward
        self._parts = []
        unfuse(self._unet)

    def forget(self) -> None:
        """Turned off, and nothing is taken again: weights have changed, and what is compiled holds copies of them."""
        if self.is_on:
            import torch

            self.turn_off()
            torch._dynamo.reset()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Until the block ends, nothing is compiled."""
        was_on = self.is_on
        self.turn_off()
        try:
            yield
        finally:
            if was_on:
                self.turn_on(by_block=self._by_block)

    def seconds(self, word: str) -> float:
        """About how long compiling takes."""
        layers = sum(not list(module.children()) for module in self._unet.modules())
        return layers * SECONDS[word][folder().is_dir()]


def fuse(unet: Any) -> None:
    """Queries, keys and values by one product of copied weights, until `unfuse`; not beside a LoRA, whose share of them
    would be lost.
    """
    import torch

    if not any(hasattr(module, "base_layer") for module in unet.modules()):
        with torch.no_grad():
            unet.fuse_qkv_projections()


def unfuse(unet: Any) -> None:
    """The UNet without `fuse`, and without its copies."""
    if getattr(unet, "original_attn_processors", None) is None:
        return
    unet.unfuse_qkv_projections()
    unet.original_attn_processors = None
    for module in list(unet.modules()):
        if getattr(module, "fused_projections", False):
            module.fused_projections = False
            for name in ("to_qkv", "to_kv"):
                if hasattr(module, name):
                    delattr(module, name)


def _under(options: dict[str, Any], compiled: Callable[..., Any]) -> Callable[..., Any]:
    """What was compiled, called under TorchInductor's options: what packs the weights is asked for while the code is
    read as well. They stand in `torch.compile` too, since another model of the same shapes would get what was compiled
    for the first, whatever its options.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        import torch

        with torch._inductor.config.patch(options):
            if not options["triton.cudagraphs"]:
                return compiled(*args, **kwargs)
            torch.compiler.cudagraph_mark_step_begin()
            return torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, compiled(*args, **kwargs))

    return call


def prepare(model: Diffusion, like: PictureRequest, pictures: int, batch_size: int, word: str) -> None:
    """Compile a model for a run of so many pictures `like` this one, by the recipe's word. With 'auto' the way is taken
    that ends first, counting the compiling, by how long a few steps take; a note says why it is none.

    Raises EaselError where this machine cannot compile, unless the word is 'auto'; and what drawing raises.
    """
    size = min(batch_size, pictures)
    if word == "auto" and not model.compiled.is_on:
        if lacks := missing(model.device):
            model.notes.append(f"drawn uncompiled: {lacks}")
            return
        drawing = _seconds(model, like, size) * math.ceil(pictures / size)
        ends = {one: drawing / gain + model.compiled.seconds(one) for one, gain in GAINS.items()}
        word = min(ends, key=lambda one: ends[one])
        if ends[word] >= drawing:
            compiling = f"compiling takes about {model.compiled.seconds(word):.0f} s"
            model.notes.append(f"drawn uncompiled: {compiling}, and drawing {drawing:.0f} s")
            return
    by_block, was = "cache" in like.sampling.fast, model.compiled.word
    model.compiled.turn_on("" if word == "auto" else word, by_block=by_block)
    if model.compiled.word != was:
        _seconds(model, like, size)  # which compiles


def _seconds(model: Diffusion, like: PictureRequest, size: int) -> float:
    """Seconds that a batch of `size` pictures takes, told from a few steps."""
    whole = model.resolve(like.sampling, like.image or (like.controls[0].image if like.controls else None), like.task)

    def draw(steps: int) -> float:
        few = replace(like.sampling, steps=math.ceil(steps / (whole.strength or 1)))
        began = time.perf_counter()
        list(model.generate([replace(like, sampling=few, place=None)] * size, size))
        return time.perf_counter() - began

    draw(FEW)
    return draw(FEW) / FEW * whole.steps_done
