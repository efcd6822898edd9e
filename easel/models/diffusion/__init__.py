"""Pictures from words, or from words and a photo: diffusers' pipelines behind one method, `Diffusion.generate`."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import EaselError
from easel.models.catalog import checks
from easel.models.catalog.controls import base_of, control_for
from easel.models.catalog.locate import LocatedModel
from easel.models.devices import dtype_word, out_of_memory, pick_device, pick_dtype
from easel.models.diffusion import (
    inversion,
    latents,
    lora,
    memory,
    pipelines,
    prompts,
    schedulers,
    shortcuts,
    single_file,
    tasks,
    trial,
)
from easel.models.diffusion import settings as sampling
from easel.models.diffusion.arguments import embeddings
from easel.models.diffusion.batch import Batch, Control, DrawnPicture, PictureRequest, batches
from easel.models.diffusion.cache import Cache
from easel.models.diffusion.casting import cast_inputs, cast_output
from easel.models.diffusion.compiled import Compiled
from easel.models.diffusion.control import ControlNetwork, check_fits
from easel.models.diffusion.settings import Defaults, Sampling, Settings
from easel.models.logging import silence
from easel.recipes.knobs import embedding_parts

__all__ = ["Control", "Diffusion", "DrawnPicture", "PictureRequest", "Sampling", "Settings", "load"]

TRIAL_STEPS = 4
"""Steps of the half-size pictures that show what a LoRA does."""


class Diffusion:
    """A loaded diffusion model that does every row of `tasks.TASKS` with one set of weights.

    Attributes:
        name: as the person gave it. default_size: (width, height) in pixels. defaults: the model's own settings.
        device, dtype: where and in which number format the UNet computes.
        file_hash: the first ten digits of the SHA-256 of a model that is a single file, as A1111 shows it; else None.
        base: the family of bases that it shares its controls with (`catalog.controls.BASES`), by its sizes; else None.
        unet_kind: what its UNet takes, a row of `tasks.UNETS`.
        notes: what a person should know (long prompts, a LoRA's effect, retries), each line once.
    """

    def __init__(self, pipeline: Any, located: LocatedModel, device: Any) -> None:
        self.name, self.device, self.dtype = located.name, device, pipeline.unet.dtype
        self.notes: list[str] = list(located.notes)
        self.file_hash = _hash_of(located) if located.path.is_file() else None
        self.pipeline = pipeline.to(device)
        self._to_channels_last()
        pipeline.unet.register_forward_pre_hook(cast_inputs, with_kwargs=True)
        pipeline.unet.register_forward_hook(cast_output)
        size = pipeline.unet.config.sample_size
        side = int(size if isinstance(size, int) else size[0]) * int(pipeline.vae_scale_factor)
        self.base = base_of(pipeline.unet.config.cross_attention_dim, tuple(pipeline.unet.config.block_out_channels))
        folder = located.path if located.path.is_dir() else None
        self._scheduler = pipeline.scheduler
        self._family = pipelines.family_of(pipeline)
        self.defaults: Defaults = sampling.defaults(
            self._family, side, schedulers.name_of(self._scheduler), located.defaults, folder
        )
        self.default_size = (self.defaults.width, self.defaults.height)
        self.unet_kind = tasks.kind_of_unet(pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels)
        self._pipelines: dict[str, Any] = {"text-to-image": pipeline}
        self._steered: tuple[tuple[Any, ...], Any] | None = None
        self._most: int | None = None
        self._loras: list[lora.Loaded] = []
        self._effects_noted = True
        self._cache = Cache()
        self.compiled = Compiled(pipeline.unet, device)

    def plays(self, role: str) -> bool:
        """Whether its UNet is one that plays a role of drawing."""
        return self.unet_kind in pipelines.ROLES[role]

    def _to_channels_last(self) -> None:
        import torch

        for part in (self.pipeline.unet, self.pipeline.vae):
            part.to(memory_format=torch.channels_last)

    def add_loras(self, loras: Sequence[str]) -> None:
        """Add adapters written `FILE[:unet[:text]]`. Each must match the model; its effect is noted with the next
        pictures.
        """
        for text in loras:
            loaded = lora.load(self.pipeline, lora.parse(text), f"lora{len(self._loras)}")
            self._loras.append(loaded)
            self._note(loaded.note)
            self.add_embeddings(lora.words_of(loaded.spec))
        if loras:
            self._switch_loras(self._loras)
            self._effects_noted = False

    def _switch_loras(self, active: Sequence[lora.Loaded]) -> None:
        """Set these adapters to their scales, the others to zero, and forget what the text encoder said before."""
        lora.switch(self.pipeline, self._loras, active)
        self.refresh()

    def add_embeddings(self, embeddings: Sequence[str]) -> None:
        """Put learned words into the model, `FILE` or `WORD=FILE` each. EaselError where one does not fit."""
        for text in embeddings:
            self._note(inversion.load(self.pipeline, text))
        self.refresh()

    def refresh(self) -> None:
        """Forget what was worked out with the weights of before: they have changed."""
        self._cache.clear()
        self.compiled.forget()

    def resolve(self, asked: Sampling, photo: Image.Image | None = None, task: str | None = None) -> Settings:
        """What will be done where this is asked for, with this photo (or map) if one is given. Without a task it is
        text-to-image, or image-to-image with a photo. Raises EaselError.
        """
        word = task or ("text-to-image" if photo is None else "image-to-image")
        row = tasks.TASKS[tasks.row_for(word, self.unet_kind)] if task else tasks.TASKS[word]
        if asked.strength is None and row.strength is not None:
            asked = replace(asked, strength=row.strength)
        return sampling.resolve(asked, self.defaults, photo, redraws=row.redraws, by_photo=row.by_photo)

    def control_for(self, kind: str, method: str = "controlnet") -> str:
        """The catalogue's word for the network that steers this model by a kind of map ('canny', 'depth', ...); method
        is 'controlnet' or 'adapter'. Raises EaselError where there is none.
        """
        return control_for(self.base, kind, method)

    def through_autoencoder(self, photo: Image.Image) -> Image.Image:
        """A photo, of sides that are multiples of 8, as the autoencoder alone gives it back: what it loses is lost by
        every picture that starts from the photo.
        """
        vae = self.pipeline.vae
        return latents.decode(vae, latents.encode(vae, photo), 0)[0]

    def pipeline_for(self, task: str, networks: tuple[ControlNetwork, ...] = ()) -> Any:
        """diffusers' pipeline for a row of `tasks.TASKS`, around the same weights; with the networks that steer it,
        where it takes some.
        """
        if networks:  # the last one is kept
            if self._steered is None or self._steered[0] != (task, *networks):
                self._steered = (task, *networks), pipelines.for_task(self.pipeline, task, networks)
            return self._steered[1]
        if task not in self._pipelines:
            self._pipelines[task] = pipelines.for_task(self.pipeline, task)
        return self._pipelines[task]

    def generate(
        self,
        requests: Sequence[PictureRequest],
        batch_size: int | None = None,
        report: Callable[[int, int], None] | None = None,
        preview: Callable[[Image.Image], None] | None = None,
    ) -> Iterator[DrawnPicture]:
        """Draw the requests in their order, one picture each, as the caller takes them: a batch is drawn when its first
        picture is asked for.

        A picture depends on its request alone: noise is drawn for it, in float32 on the CPU, and only requests that
        agree in task, settings and number of chunks share a batch. What a batch can still change is the order of sums
        inside a product (`PictureRequest.place`). If memory runs out batches are halved, once for this model.

        Args:
            batch_size: pictures at once, at most; None is all.
            report: called with (done, total) after each step, in picture-steps; may raise Cancelled.
            preview: called every few seconds, before `report`, with what the first picture of a batch looks like.

        Raises:
            EaselError: settings that cannot be, broken numbers (with the way out), no memory.
        """
        whole, chunks = self._checked(requests)
        if not self._effects_noted and requests:
            self._note_effects(requests[0], whole[0].passes[0], chunks[0])
        done, total = 0, sum(settings.steps_done for settings in whole)

        def step(now: float) -> None:
            if report is not None:
                report(min(total, round(now)), total)

        looks = None if preview is None else latents.Preview(preview)
        size = batch_size or max(1, len(requests))
        for once in {one for each in whole for one in each.passes}:
            memory.check(self.pipeline, once, min(size, max(1, len(requests))))
        for first in range(0, len(requests), size):
            numbers = range(first, min(first + size, len(requests)))
            inputs = {number: requests[number] for number in numbers}
            drawn: dict[int, DrawnPicture] = {}
            for turn in range(2):  # a large picture is drawn small first, and then redrawn from that
                settings = {n: whole[n].passes[turn] for n in numbers if turn < len(whole[n].passes)}
                if turn:
                    inputs = {n: replace(inputs[n], task="image-to-image", image=drawn[n].image) for n in settings}
                waiting = deque(batches(inputs, settings, chunks))
                while waiting:
                    batch = waiting.popleft()
                    if self.compiled.is_on:  # one size of batch is compiled
                        batch = batch.filled(min(size, self._most or size))
                        self.compiled.turn_on(by_block="cache" in batch.settings.fast)
                    if self._most is not None and len(batch.wanted) > self._most:
                        waiting.extendleft(reversed(batch.parts(self._most)))
                        continue
                    try:
                        drawn |= self._draw(batch, done, step, looks)
                        done += len(batch.wanted) * batch.settings.steps_done
                        continue
                    except (RuntimeError, MemoryError) as error:
                        if not out_of_memory(error):
                            raise
                        if self._most is not None or len(batch.wanted) == 1:
                            raise EaselError(_no_memory(batch, self.dtype)) from error
                    self._halve(len(batch.wanted))  # after the except block: the traceback there holds big tensors
                    waiting.appendleft(batch)
            yield from (replace(drawn[n], settings=whole[n]) for n in numbers)

    def _checked(self, requests: Sequence[PictureRequest]) -> tuple[list[Settings], list[int]]:
        """The whole settings of each request, and in how many chunks its words are read; what is to be known is noted.

        Raises EaselError on whatever cannot be, before anything is drawn.
        """
        whole, chunks, counts = [], [], dict[str, int]()
        for request in requests:
            tasks.check(request)
            controls = request.controls or ()
            shape = request.image or (controls[0].image if controls else None)
            settings = self.resolve(request.sampling, shape, request.task)
            for network in {control.network for control in controls}:
                check_fits(network, self.pipeline)
                _check_sides(settings, network)
                self._note(*network.notes)
            schedulers.build(settings.scheduler, self._scheduler)
            shortcuts.check_fits(settings.fast, self.pipeline.unet, settings.guidance_scale)
            for text in (request.prompt, request.negative_prompt):
                if text not in counts:
                    prompts.check(text)
                    counts[text] = prompts.count_chunks(self.pipeline, text)
                    self._note(*prompts.notes(self.pipeline, text))
            if settings.first_size is not None:
                width, height = settings.first_size
                self._note(f"drawn at {width} x {height}, enlarged, and redrawn at strength {settings.strength:g}")
            whole.append(settings)
            chunks.append(max(counts[request.prompt], counts[request.negative_prompt]))
        return whole, chunks

    def _draw(
        self, batch: Batch, done: float, step: Callable[[float], None], looks: latents.Preview | None = None
    ) -> dict[int, DrawnPicture]:
        """The wanted pictures of a batch by their numbers; `step` is called with the picture-steps done so far."""
        import torch

        settings, unet, vae = batch.settings, self.pipeline.unet, self.pipeline.vae
        factor = int(self.pipeline.vae_scale_factor)
        shape = (vae.config.latent_channels, settings.height // factor, settings.width // factor)
        started = [latents.noise(request.seed, shape) for request in batch.requests]
        noise = torch.cat([tensor for tensor, _ in started]).to(self.device)
        name = tasks.row_for(batch.task, self.unet_kind)
        row = tasks.TASKS[name]
        pipeline = self.pipeline_for(name, tuple(control.network for control in batch.controls))
        pipeline.scheduler = schedulers.build(settings.scheduler, self._scheduler)

        def step_end(running: Any, index: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if looks is not None:
                looks.offer(vae, tensors["latents"])
            share = (index + 1) / max(1, running.num_timesteps)
            step(done + len(batch.wanted) * settings.steps_done * share)
            if row.after_step is not None:
                tensors["latents"] = row.after_step(running, index, tensors["latents"])
            return tensors

        words = embeddings(self.pipeline, self._family, batch, self._cache)
        is_guided = "negative_prompt_embeds" in words and unet.config.time_cond_proj_dim is None
        with shortcuts.taken(unet, settings, len(batch.requests), self._scheduler, guided=is_guided):
            result = pipeline(
                **words,
                **row.arguments(pipeline, batch, noise, self._cache),
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance_scale,
                generator=[generator for _, generator in started],
                output_type="latent",
                callback_on_step_end=step_end,
            ).images.float()
        drawn = {}
        for number, place_in in batch.wanted.items():
            image, note = latents.decode(vae, result[place_in : place_in + 1], batch.requests[place_in].seed)
            self._note(*([note] if note else []))
            place = (place_in, len(batch.requests)) if len(batch.requests) > 1 else None
            drawn[number] = DrawnPicture(image, settings, place)
        return drawn

    def _halve(self, count: int) -> None:
        """From now on draw at most half as many pictures at once, and say so."""
        import gc

        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._most = (count + 1) // 2
        self._note(f"memory ran out with {count} pictures at once; drawn {self._most} at a time instead")

    def _note_effects(self, request: PictureRequest, settings: Settings, chunks: int) -> None:
        """Note what each LoRA does: the same small picture without any and with it alone, compared."""
        steps = TRIAL_STEPS if settings.strength is None else math.ceil(TRIAL_STEPS / settings.strength)
        unit = math.lcm(sampling.UNIT, *(control.network.multiple for control in request.controls or ()))
        width, height = (max(32, side // 2 // unit * unit) for side in (settings.width, settings.height))
        small = replace(settings, steps=steps, width=width, height=height)
        batch = Batch((replace(request, place=None),), small, chunks, {0: 0})

        def tried(active: Sequence[lora.Loaded]) -> Image.Image:
            self._switch_loras(active)
            return self._draw(batch, 0, lambda _: None)[0].image

        with self.compiled.paused():  # until the scales are what they will be
            try:
                plain = tried([])
                for one in self._loras:
                    self._note(lora.effect(one, plain, tried([one])))
            finally:
                self._switch_loras(self._loras)
        self._effects_noted = True

    def _note(self, *lines: str) -> None:
        self.notes.extend(line for line in lines if line not in self.notes)


def load(  # noqa: PLR0913 - as the door has them
    located: LocatedModel,
    device: str,
    dtype: str,
    *,
    role: str = "text-to-image",
    config: str | None = None,
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
) -> Diffusion:
    """The model at `located`: a diffusers folder, or a single file with its configurations from the hub cache or
    `config`. Its UNet must be one that plays the role.
    """
    for text in loras:  # a misspelt LoRA is refused before gigabytes are read
        lora.check(lora.parse(text))
    for text in embeddings:
        inversion.find(Path(embedding_parts(text)[1]).expanduser())
    where = pick_device(device)
    kind = pick_dtype(dtype, where)
    silence()
    if located.path.is_file():
        pipeline, notes = single_file.assemble(located.path, kind, config, role)
        located = replace(located, notes=(*located.notes, *notes))
    else:
        pipeline = pipelines.assemble(located.path, kind, role)
    with checks.loading(located.path, "its parts together"):
        model = Diffusion(pipeline, located, where)
        trial.try_once(model.pipeline, model.device)
    model.add_embeddings(embeddings)
    model.add_loras(loras)
    return model


def _check_sides(settings: Settings, network: ControlNetwork) -> None:
    if settings.width % network.multiple or settings.height % network.multiple:
        raise EaselError(
            f"'{network.name}' needs sides that are multiples of {network.multiple}, not {settings.width} x "
            f"{settings.height}"
        )


def _no_memory(batch: Batch, dtype: Any) -> str:
    settings = batch.settings
    return (
        f"no memory for {len(batch.requests)} pictures of {settings.width}x{settings.height} in {dtype_word(dtype)}: "
        "use a smaller --batch-size, --width and --height, or --dtype bfloat16"
    )


def _hash_of(located: LocatedModel) -> str:
    with located.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:10]
