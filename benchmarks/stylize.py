"""The main job, from photo to four scored pictures: in a cold shell and in a warm process, by phase, and its memory."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timing import Row, interleaved, threads

PHOTO = Path(__file__).parent.parent / "examples" / "photo.jpg"
MODULES = (
    "from transformers import BlipForQuestionAnswering, BlipForConditionalGeneration, CLIPModel, ResNetModel",
    "from transformers import AutoImageProcessor, AutoTokenizer, CLIPTextModel",
    "from diffusers import StableDiffusionPipeline, StableDiffusionImg2ImgPipeline, DDIMScheduler",
    "import easel.networks.autoencoder, easel.jobs.stylize",
)
"""What a cold run imports, in its order."""
LIMITS = {"cold shell": 30.0, "warm process": 10.0}
GIGABYTES = 2.0


class Cold(NamedTuple):
    """One run of the command line in a process of its own."""

    seconds: float
    peak: float
    """Gigabytes of resident memory at most."""
    phases: dict[str, float]


class Ended(NamedTuple):
    """What a process took: seconds, gigabytes of resident memory at most, and processor seconds."""

    seconds: float
    peak: float
    work: float


def shell(*words: str) -> Ended:
    """Run Python with these words. RuntimeError with what it said when it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(said.decode(errors="replace")[-2000:])
    return Ended(time.perf_counter() - begun, gigabytes(used.ru_maxrss), used.ru_utime + used.ru_stime)


def gigabytes(most: int) -> float:
    """ru_maxrss, which is in kilobytes, but in bytes on macOS."""
    return most / (1e9 if sys.platform == "darwin" else 1e6 / 1.024)


def cold(folder: Path) -> Cold:
    """`easel stylize photo.jpg` as a person types it."""
    ended = shell("-m", "easel", "stylize", str(PHOTO), "--seed", "1", "--out", str(folder), "--quiet")
    return Cold(ended.seconds, ended.peak, json.loads((folder / "result.json").read_text(encoding="utf-8"))["seconds"])


class Memory:
    """A report that notes the peak of this process's memory at the end of each phase."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}

    def __call__(self, step: Any) -> None:
        """Note the peak so far under the step's phase."""
        self.peaks[step.phase] = gigabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def warm(folder: Path, rounds: int) -> tuple[list[float], list[dict[str, float]], dict[str, float]]:
    """Seconds of each run after a first one in this process, their phases, and the first one's memory peaks."""
    import easel

    memory, taken, phases = Memory(), [], []
    easel.stylize(PHOTO, seed=1, out=folder / "first", progress=memory)
    for number in range(rounds):
        begun = time.perf_counter()
        result = easel.stylize(PHOTO, seed=1, out=folder / str(number))
        taken.append(time.perf_counter() - begun)
        phases.append(result.seconds)
    return taken, phases, memory.peaks


def line(what: str, seconds: list[float], limit: float | None = None) -> str:
    """'cold shell   6.10 s  [5.90, 6.40]  n=3  limit 30 s'."""
    spread = f"[{min(seconds):.2f}, {max(seconds):.2f}]  n={len(seconds)}"
    return f"    {what:<24} {statistics.median(seconds):6.2f} s  {spread}" + (f"  limit {limit:g} s" if limit else "")


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: a photo redrawn in four styles by both, the drawing alone."""
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline

    from benchmarks.generate import plain
    from easel import models
    from easel.images import open_picture
    from easel.models.diffusion import PictureRequest, Sampling
    from easel.models.logging import silence

    silence()
    model = models.load("pocket", "image-to-image", "cpu", "bfloat16")
    pipeline = StableDiffusionImg2ImgPipeline(**plain("bfloat16").components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    photo = open_picture(PHOTO).resize(model.default_size)
    prompts = [f"a cat, in the style of {who}" for who in ("Van Gogh", "Malevich", "Delaunay", "Banksy")]
    strength, scale = model.defaults.strength, model.defaults.guidance_scale

    def theirs(seed: int) -> Any:
        def draw(prompt: str) -> Any:
            chance = torch.Generator().manual_seed(seed)
            call = {"image": photo, "strength": strength, "num_inference_steps": 20, "guidance_scale": scale}
            return pipeline(prompt, generator=chance, **call).images[0]

        return [draw(prompt) for prompt in prompts]

    def ours(seed: int) -> Any:
        asked = Sampling(20, strength=strength)
        some = [PictureRequest(one, seed, sampling=asked, task="image-to-image", image=photo) for one in prompts]
        return [drawn.image for drawn in model.generate(some, 1)]

    timed = interleaved({"theirs": theirs, "ours": ours}, asked.rounds)
    work, peer = "stylize, a photo in 4 styles, warm", "diffusers' StableDiffusionImg2ImgPipeline, bfloat16"
    return [Row.of(work, peer, timed["theirs"], timed["ours"], "convolutions; the photo is encoded once")]


def main(rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [cold(folder / f"cold{number}") for number in range(rounds)]
        imports = [shell("-c", "; ".join(MODULES)).seconds for _ in range(rounds)]
        taken, phases, peaks = warm(folder / "warm", rounds)
    print(f"stylize {PHOTO.name}: four pictures, each with five scores, {threads()}")
    print(line("cold shell", [run.seconds for run in runs], LIMITS["cold shell"]))
    print(line("  of which imports", imports))
    for phase in runs[0].phases:
        print(line(f"  {phase}", [run.phases[phase] for run in runs]))
    print(line("warm process", taken, LIMITS["warm process"]))
    for phase in phases[0]:
        print(line(f"  {phase}", [run[phase] for run in phases]))
    print(f"    peak memory, cold shell  {max(run.peak for run in runs):6.2f} GB  limit {GIGABYTES:g} GB")
    for phase, peak in peaks.items():
        print(f"      up to {phase:<22} {peak:6.2f} GB")


if __name__ == "__main__":
    main()
