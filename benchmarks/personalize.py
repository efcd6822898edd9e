"""easel's personalize against diffusers' own examples/dreambooth/train_dreambooth_lora.py: seconds a step and memory.

    python -m benchmarks.personalize [--peer PATH] [--model FOLDER] [--steps N] [--rounds N] [--dtype float32|bfloat16]

Same model, photos, prompt, batch, rank, layers, learning rate and steps, no prior preservation; each training in a
process of its own, in turns. Both are timed from one optimizer step to the next, the first two left out. The peer is
a file of yours that is run as it is; where torchvision is not installed it gets a stand-in for the five transforms that
it uses, and where the model's autoencoder is pocket's, that in the place of diffusers'. Without --peer easel is timed
alone.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import itertools
import json
import os
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.timing import Row, Timed, ratio, threads

ROOT = Path(__file__).parent.parent
PHOTOS = ROOT / "examples" / "dog"
PROMPT = "a photo of a sks dog"
BATCH, RANK, RATE, SIDE = 4, 8, 1e-3, 256
LEFT_OUT = 2
"""Steps at the beginning, which also warm up."""
MIB = 2**20


class Meter:
    """Notes the end of every optimizer step and where the time goes, and leaves the process after the last one."""

    def __init__(self, steps: int, into: Path) -> None:
        self.steps, self.into = steps, into
        self.ends: list[tuple[float, float]] = []
        self.losses: list[float] = []
        self.shares: dict[str, float] = {}
        self.begun = time.perf_counter()

    def install(self) -> None:
        """Wrap what both sides call."""
        import torch
        from diffusers import UNet2DConditionModel
        from torch.utils.data import dataloader
        from transformers import CLIPTextModel

        from easel.networks.autoencoder import PixelAutoencoder

        self._timed(UNet2DConditionModel, "forward", "UNet")
        self._timed(CLIPTextModel, "forward", "text encoder")
        self._timed(PixelAutoencoder, "encode", "VAE")
        self._timed(dataloader._BaseDataLoaderIter, "__next__", "data")
        self._timed(torch.Tensor, "backward", "backward")
        real, meter = torch.optim.AdamW.step, self

        def step(optimizer: Any, *args: Any, **more: Any) -> Any:
            begun = time.perf_counter()
            found = real(optimizer, *args, **more)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            meter.add("optimizer", time.perf_counter() - begun)
            meter.ends.append((time.perf_counter(), time.process_time()))
            if len(meter.ends) == LEFT_OUT:
                meter.shares.clear()
            if len(meter.ends) == meter.steps:
                meter.leave()
            return found

        torch.optim.AdamW.step = step  # type: ignore[method-assign, assignment]

    def add(self, name: str, seconds: float) -> None:
        """Book time to a part."""
        self.shares[name] = self.shares.get(name, 0.0) + seconds

    def _timed(self, owner: Any, method: str, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **more: Any) -> Any:
            begun = time.perf_counter()
            try:
                return real(*args, **more)
            finally:
                self.add(name, time.perf_counter() - begun)

        setattr(owner, method, timed)

    def leave(self) -> NoReturn:
        """Write what was noted and end the process, before the peer saves and loads again."""
        import torch

        ends = self.ends[LEFT_OUT - 1 :]
        pairs = list(itertools.pairwise(ends))
        if len(self.losses) != self.steps - 1:
            raise SystemExit(f"{self.steps} steps of an optimizer were {len(self.losses) + 1} steps of the training")
        memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else _resident()
        found = {
            "seconds": [after[0] - before[0] for before, after in pairs],
            "work": [after[1] - before[1] for before, after in pairs],
            "shares": self.shares,
            "memory": memory,
            "losses": self.losses,
            "until the first step": self.ends[0][0] - self.begun,
        }
        self.into.write_text(json.dumps(found))
        os._exit(0)


def _resident() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# The two sides, each in a process of its own


def ours(model: str, steps: int, into: Path, dtype: str) -> None:
    """easel's training, step by step; what is drawn for evaluations is left out, as the peer draws nothing."""
    from easel.jobs.personalize import setup
    from easel.recipes.personalize import Personalize
    from easel.runners.machine import resolve
    from easel.training.distributed import Team
    from easel.workspace import Workspace

    meter = Meter(steps, into)
    meter.install()
    recipe = Personalize(
        photos=str(_photos(into)),
        subject="sks dog",
        model=model,
        captions="template",
        hold_back=0,
        batch_size=BATCH,
        rank=RANK,
        targets=("attention",),
        learning_rate=RATE,
        new_token=False,  # the peer teaches the network alone
        prior_weight=0.0,
        steps=steps,
        resolution=SIDE,
        fit="centre",
        seed=1,
    )
    device, computed_in = resolve("auto", dtype)
    training = setup.set_up(recipe, Workspace(into.with_suffix(""), device, dtype, None, computed_in), Team.joined())
    batch = training.examples.batch
    training.examples.batch = lambda step: _noted(meter, batch, step)  # type: ignore[method-assign]
    for step in range(steps):
        numbers = training.trainer.step(step)
        meter.losses.append(float(numbers["instance"]))


def _photos(into: Path) -> Path:
    """A folder of a batch of photos, so that every step is of a whole batch: the peer's last one is what is left."""
    folder = into.with_suffix(".photos")
    folder.mkdir()
    for photo in sorted(PHOTOS.glob("*.jpg"))[:BATCH]:
        shutil.copy(photo, folder)
    return folder


def _noted(meter: Meter, batch: Callable[[int], Any], step: int) -> Any:
    begun = time.perf_counter()
    found = batch(step)
    meter.add("data", time.perf_counter() - begun)
    return found


def peer(path: Path, model: str, steps: int, into: Path, dtype: str) -> None:
    """The peer's script as it is."""
    import accelerate  # type: ignore[import-untyped]
    import diffusers
    import peft
    import transformers
    from diffusers import StableDiffusionPipeline
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    from easel.models.catalog.tables import PACKAGE

    del peft, StableDiffusionPipeline  # they look for torchvision when they are imported, and so before it stands in
    if not transformers.utils.is_torchvision_available():
        sys.modules |= _stand_in()
    folder = PACKAGE / "pocket" / "weights" / "diffusion" if model == "pocket" else Path(model)
    if "PixelAutoencoder" in (folder / "vae" / "config.json").read_text(encoding="utf-8"):
        from easel.networks.autoencoder import PixelAutoencoder

        diffusers.AutoencoderKL = PixelAutoencoder
    begin = accelerate.Accelerator.__init__

    def quiet(self: Any, *args: Any, **more: Any) -> None:
        more.pop("log_with", None)  # its default needs tensorboard
        begin(self, *args, **more)

    accelerate.Accelerator.__init__ = quiet
    meter = Meter(steps, into)
    meter.install()
    shown = tqdm.set_postfix

    def noted(bar: Any, *args: Any, **more: Any) -> None:
        meter.losses.append(float(more["loss"]))
        shown(bar, *args, **more)

    tqdm.set_postfix = noted
    mixed = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[dtype]
    words = {
        "pretrained_model_name_or_path": folder,
        "instance_data_dir": _photos(into),
        "instance_prompt": PROMPT,
        "output_dir": into.with_suffix(".out"),
        "resolution": SIDE,
        "train_batch_size": BATCH,
        "rank": RANK,
        "learning_rate": RATE,
        "lr_scheduler": "constant",
        "lr_warmup_steps": 0,
        "max_train_steps": steps,
        "checkpointing_steps": 10**9,
        "mixed_precision": mixed,
        "seed": 1,
    }
    sys.argv = [
        str(path),
        "--center_crop",
        *(part for name, word in words.items() for part in (f"--{name}", str(word))),
    ]
    runpy.run_path(str(path), run_name="__main__")


def _stand_in() -> dict[str, types.ModuleType]:
    """Modules with the transforms that the peer uses, by PIL and torch."""
    import enum

    import numpy as np
    import torch
    from PIL import Image

    class InterpolationMode(enum.Enum):
        LANCZOS = Image.Resampling.LANCZOS
        BILINEAR = Image.Resampling.BILINEAR

    def resize(size: int, interpolation: InterpolationMode = InterpolationMode.BILINEAR) -> Any:
        def do(picture: Image.Image) -> Image.Image:
            scale = size / min(picture.size)
            return picture.resize((round(picture.width * scale), round(picture.height * scale)), interpolation.value)

        return do

    def middle(size: int) -> Any:
        def do(picture: Image.Image) -> Image.Image:
            left, top = (picture.width - size) // 2, (picture.height - size) // 2
            return picture.crop((left, top, left + size, top + size))

        return do

    def tensor(picture: Image.Image) -> Any:
        return torch.from_numpy(np.asarray(picture, np.float32).transpose(2, 0, 1) / 255)

    def composed(parts: list[Any]) -> Any:
        def do(picture: Any) -> Any:
            for part in parts:
                picture = part(picture)
            return picture

        return do

    transforms: Any = types.ModuleType("torchvision.transforms")
    transforms.InterpolationMode, transforms.Compose, transforms.Resize = InterpolationMode, composed, resize
    transforms.CenterCrop = transforms.RandomCrop = middle
    transforms.ToTensor = lambda: tensor
    transforms.Normalize = lambda mean, deviation: lambda x: (x - mean[0]) / deviation[0]
    whole: Any = types.ModuleType("torchvision")
    whole.transforms = transforms
    for module in (whole, transforms):  # which libraries look for
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    return {"torchvision": whole, "torchvision.transforms": transforms}


# The table


def measured(side: str, asked: argparse.Namespace, place: Path, number: int) -> dict[str, Any]:
    """One training of a side. Raises SystemExit with its last words where it did not come to its end."""
    into = place / f"{side}-{number}.json"
    words = [sys.executable, "-m", "benchmarks.personalize", "--side", side, "--into", str(into)]
    words += ["--steps", str(asked.steps), "--dtype", asked.dtype, "--model", asked.model]
    words += ["--peer", str(asked.peer)] if asked.peer else []
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    if not into.is_file():
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise SystemExit(f"{'easel' if side == 'ours' else asked.peer} did not come to its last step:\n{last}")
    found: dict[str, Any] = json.loads(into.read_text())
    return found


def told(name: str, rounds: list[dict[str, Any]]) -> None:
    """A side's line."""
    seconds = [statistics.median(one["seconds"]) for one in rounds]
    work = [statistics.median(one["work"]) for one in rounds]
    memory = max(one["memory"] for one in rounds) / MIB
    losses = [loss for one in rounds for loss in one["losses"]]
    third = max(1, len(rounds[0]["losses"]) // 3)
    ends = [statistics.mean(loss for one in rounds for loss in one["losses"][part]) for part in _parts(third)]
    first = statistics.median(one["until the first step"] for one in rounds)
    print(
        f"    {name:<9} {1 / statistics.median(seconds):6.2f} steps/s ({statistics.median(work):.3f} processor s), "
        f"{first:.0f} s until the first, peak {memory:,.0f} MiB, "
        f"loss {ends[0]:.3f} -> {ends[1]:.3f} (n={len(losses)})"
    )
    whole = sum(sum(one["seconds"]) for one in rounds)
    parts: dict[str, float] = {}
    for one in rounds:
        for part, spent in one["shares"].items():
            parts[part] = parts.get(part, 0.0) + spent
    said = [f"{part} {parts.get(part, 0.0) / whole:.0%}" for part in ("data", "VAE", "text encoder", "UNet")]
    said += [f"{part} {parts.get(part, 0.0) / whole:.0%}" for part in ("backward", "optimizer")]
    print(f"              {', '.join(said)}, rest {max(0.0, 1 - sum(parts.values()) / whole):.0%}")


def _parts(third: int) -> tuple[slice, slice]:
    return slice(None, third), slice(-third, None)


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: an optimizer step of a LoRA, in processor seconds."""
    work, peer_name = (
        f"personalize, a LoRA step of {BATCH} at {SIDE} px",
        "diffusers' train_dreambooth_lora.py, float32",
    )
    if asked.dreambooth is None:
        return [Row.not_run(work, peer_name, "needs --dreambooth PATH of the peer's script")]
    wish = argparse.Namespace(peer=asked.dreambooth, model="pocket", steps=20, dtype="float32")
    with tempfile.TemporaryDirectory() as place:
        turns = [[measured(side, wish, Path(place), turn) for side in ("peer", "ours")] for turn in range(asked.rounds)]
    theirs, ours = (
        Timed([statistics.median(one["seconds"]) for one in side], [], [statistics.median(one["work"]) for one in side])
        for side in zip(*turns, strict=True)
    )
    return [Row.of(work, peer_name, theirs, ours, "the UNet, forward and back; ours encodes a photo once")]


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.personalize")
    parser.add_argument("--peer", type=Path, help="diffusers' train_dreambooth_lora.py")
    parser.add_argument("--model", default="pocket", help="pocket, or a diffusers folder")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.steps < LEFT_OUT + 2:
        raise SystemExit(f"--steps: {LEFT_OUT + 2} or more, the first {LEFT_OUT} are left out")
    if asked.side == "ours":
        return ours(asked.model, asked.steps, asked.into, asked.dtype)
    if asked.side == "peer":
        return peer(asked.peer, asked.model, asked.steps, asked.into, asked.dtype)
    if asked.peer is not None and not asked.peer.is_file():
        print(f"there is no peer at {asked.peer}: easel is timed alone")
        asked.peer = None
    rounds: dict[str, list[dict[str, Any]]] = {side: [] for side in ("ours", "peer")[: 2 if asked.peer else 1]}
    with tempfile.TemporaryDirectory() as place:
        for number in range(asked.rounds):
            for side, found in rounds.items():
                found.append(measured(side, asked, Path(place), number))
    print(
        f"LoRA of rank {RANK} on {asked.model}, {SIDE} px, batch {BATCH}, {asked.dtype}, {asked.steps} steps, "
        f"{asked.rounds} rounds, {threads()}"
    )
    told("easel", rounds["ours"])
    if asked.peer is None:
        print("    no peer: --peer PATH of diffusers' examples/dreambooth/train_dreambooth_lora.py is timed beside it")
        return None
    told("diffusers", rounds["peer"])
    for what, word in (("wall time", "seconds"), ("processor time", "work")):
        each = {side: [statistics.median(one[word]) for one in found] for side, found in rounds.items()}
        print(f"    times as fast by {what}: {ratio(each['peer'], each['ours'])} rounds")
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
