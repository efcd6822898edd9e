"""Pictures from words, or from words and a photo: diffusers' Stable Diffusion and SDXL pipelines behind one method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from easel.errors import EaselError
from easel.models.catalog.locate import Place
from easel.models.devices import dtype_word, out_of_memory, pick_device, pick_dtype
from easel.models.diffusion import (
    batch as drawing,
)
from easel.models.diffusion import (
    latents,
    pipelines,
    schedulers,
    single_file,
)
from easel.models.diffusion import (
    lora as adapters,
)
from easel.models.diffusion import prompts as wording
from easel.models.diffusion import (
    settings as sampling,
)
from easel.models.diffusion.batch import Drawing, Memory, Order, Report, in_two
from easel.models.diffusion.settings import Defaults, Sampling
from easel.models.logging import silence

TRIAL_STEPS = 4
"""Steps of the half-size pictures that show what a LoRA does."""


class Diffusion:
    """A loaded text-to-image model that also redraws photos; one set of weights serves both.

    Attributes:
        name: as the person gave it. default_size: (width, height) in pixels. defaults: the model's own settings.
        notes: what a person should know (long prompts, a LoRA's effect, retries), each line once.
    """

    def __init__(self, pipeline: Any, place: Place, device: Any) -> None:
        import torch

        self.name, self.device, self.dtype = place.name, device, pipeline.unet.dtype
        self.notes: list[str] = list(place.notes)
        self.pipeline = pipeline.to(device)
        for part in (pipeline.unet, pipeline.vae):
            part.to(memory_format=torch.channels_last)
        pipeline.unet.register_forward_pre_hook(_to_model, with_kwargs=True)
        pipeline.unet.register_forward_hook(_from_model)
        size = pipeline.unet.config.sample_size
        side = int(size if isinstance(size, int) else size[0]) * int(pipeline.vae_scale_factor)
        folder = place.path if place.path.is_dir() else None
        self.defaults: Defaults = sampling.defaults(pipelines.family_of(pipeline), side, place.defaults, folder)
        self.default_size = (self.defaults.width, self.defaults.height)
        self._own_scheduler = pipeline.scheduler
        self._redraw = pipelines.redrawer(pipeline)
        self._largest: int | None = None
        self._loras: list[adapters.Loaded] = []
        self._proven = True
        self._memory = Memory()

    def add_loras(self, loras: Sequence[str]) -> None:
        """Add adapters written `FILE[:unet[:text]]`. Each must match the model; its effect is noted with the next
        pictures.
        """
        for text in loras:
            loaded = adapters.load(self.pipeline, adapters.parse(text), f"lora{len(self._loras)}")
            self._loras.append(loaded)
            self._note(loaded.note)
        if loras:
            adapters.switch(self.pipeline, self._loras)
            self._memory.clear()
            self._proven = False

    def settle(self, settings: Sampling, image: Image.Image | None = None) -> Sampling:
        """The settings with every None filled in by what will be used, for this photo if one is given."""
        full = sampling.settled(settings, self.defaults, schedulers.name_of(self._own_scheduler))
        if image is None:
            return full
        width, height = sampling.fitted(image, settings, self.defaults)
        return replace(full, width=width, height=height)

    def generate(  # noqa: PLR0913 (one per thing a caller may hand in)
        self,
        prompts: list[str],
        seeds: list[int],
        *,
        negative_prompts: list[str] | None = None,
        settings: Sampling | None = None,
        images: list[Image.Image] | None = None,
        strength: float | None = None,
        place: tuple[int, int] | None = None,
        report: Report | None = None,
    ) -> list[Image.Image]:
        """One RGB picture for each prompt and seed; with `images`, each photo redrawn. From words alone, in two passes
        where the model's `hires_strength` says so.

        A picture depends on its own seed and settings: noise is drawn for it alone, in float32 on the CPU, and only
        prompts of the same number of chunks and size share a batch. What a batch can still change is the order of sums
        inside a product. That depends on its size and on the picture's row, not on what the neighbours show: a picture
        of a batch has both as `info["place"]`, and drawn again with that `place` it is the same to the last bit.

        Args:
            negative_prompts: one for each prompt; None or "" is none.
            strength: how far from the photo, in (0, 1]; the steps really done are `steps * strength`.
            place: (row, size): each picture is drawn in that row of a batch of that size, copies of it in the others.
            report: called with (done, total) after each step, in picture-steps; may raise Cancelled.

        Raises:
            EaselError: settings that cannot be, broken numbers (with the way out), no memory.
        """
        wish = settings or Sampling()
        if images is None and (small := sampling.first_size(self.settle(wish), self.defaults)):
            more = {"negative_prompts": negative_prompts, "place": place}
            return self._in_two_passes(prompts, seeds, wish, small, report, more)
        shared = self._shared(wish, strength, report, images is not None, len(prompts))
        if place is not None and not 0 <= place[0] < place[1]:
            raise EaselError(f"place {place} is not a row and the size of a batch: the row must be from 0 to size - 1")
        orders = self._orders(prompts, seeds, negative_prompts, wish, images)
        if not self._proven and orders:
            self._prove(orders[0], shared)
        groups: dict[tuple[int, int, int], list[Order]] = {}
        for order in orders:
            groups.setdefault((order.chunks, order.width, order.height), []).append(order)
        pictures: dict[int, Image.Image] = {}
        for group in groups.values():
            drawn = (
                self._draw_safely(group, shared)
                if place is None
                else [self._draw_safely([order], shared, place)[0] for order in group]
            )
            pictures |= {order.index: picture for order, picture in zip(group, drawn, strict=True)}
        return [pictures[index] for index in range(len(orders))]

    def _in_two_passes(
        self,
        prompts: list[str],
        seeds: list[int],
        wish: Sampling,
        small: tuple[int, int],
        report: Report | None,
        more: dict[str, Any],
    ) -> list[Image.Image]:
        """Pictures from words drawn at the size `small`, enlarged, and redrawn at the size that is wished for."""
        full, strength = self.settle(wish), self.defaults.hires_strength
        self._note(f"drawn at {small[0]} x {small[1]}, enlarged, and redrawn at strength {strength:g}")
        first, second = in_two(report, len(prompts) * full.steps, len(prompts) * int(full.steps * strength))
        before = replace(wish, width=small[0], height=small[1])
        after = replace(wish, width=full.width, height=full.height)
        images = self.generate(prompts, seeds, settings=before, report=first, **more)
        return self.generate(prompts, seeds, settings=after, images=images, strength=strength, report=second, **more)

    def _shared(
        self, wish: Sampling, strength: float | None, report: Report | None, redraw: bool, count: int
    ) -> Drawing:
        full = self.settle(wish)
        force = strength if strength is not None else self.defaults.strength
        if redraw and not 0 < force <= 1:
            raise EaselError(f"strength must be above 0 and at most 1, not {force}")
        steps = min(int(full.steps * force), full.steps) if redraw else full.steps
        if steps < 1:
            raise EaselError(
                f"{full.steps} steps at strength {force} are less than one: give --steps {math.ceil(1 / force)} or more"
            )
        scheduler = wish.scheduler or self.defaults.scheduler
        schedulers.build(scheduler, self._own_scheduler)  # an unfit one is refused before anything is drawn
        rescale, total = self.defaults.guidance_rescale, count * steps
        return Drawing(full, scheduler, force, rescale, steps, total, report, memory=self._memory)

    def _orders(
        self,
        texts: list[str],
        seeds: list[int],
        negatives: list[str] | None,
        wish: Sampling,
        images: list[Image.Image] | None,
    ) -> list[Order]:
        unwanted = negatives if negatives is not None else [""] * len(texts)
        photos: Sequence[Image.Image | None] = images if images is not None else [None] * len(texts)
        if not len(texts) == len(seeds) == len(unwanted) == len(photos):
            raise EaselError("as many prompts, seeds, negative prompts and images are needed as pictures are wanted")
        counts = {text: wording.count_chunks(self.pipeline, text) for text in dict.fromkeys([*texts, *unwanted])}
        for text in counts:
            self._note(*wording.notes(self.pipeline, text))
        fitted: dict[int, Image.Image] = {}
        made = []
        for index, (text, seed, negative, photo) in enumerate(zip(texts, seeds, unwanted, photos, strict=True)):
            full = self.settle(wish, photo)
            width, height = full.width or 0, full.height or 0
            if photo is not None and id(photo) not in fitted:
                fitted[id(photo)] = photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            chunks = max(counts[text], counts[negative])
            made.append(Order(index, text, negative, seed, width, height, chunks, fitted[id(photo)] if photo else None))
        return made

    def _draw_safely(
        self, orders: list[Order], shared: Drawing, place: tuple[int, int] | None = None
    ) -> list[Image.Image]:
        """Draw a batch; if memory runs out the batch is halved, once for this model, and a note says so."""
        if self._largest is not None and len(orders) > self._largest:
            parts = [orders[start : start + self._largest] for start in range(0, len(orders), self._largest)]
            return [picture for part in parts for picture in self._draw_safely(part, shared)]
        begun = shared.done
        try:
            return self._draw(orders, shared, place)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if self._largest is not None or len(orders) == 1:
                count = len(orders) if place is None else place[1]
                raise EaselError(
                    f"no memory for {count} pictures of {orders[0].width}x{orders[0].height} "
                    f"in {dtype_word(self.dtype)}: "
                    "use a smaller --batch-size, --width and --height, or --dtype bfloat16"
                ) from error
        _free_memory()  # after the except block: the traceback there holds the big tensors
        self._largest = (len(orders) + 1) // 2
        self._note(f"memory ran out with {len(orders)} pictures at once; drawn {self._largest} at a time instead")
        shared.done = begun
        return self._draw_safely(orders, shared)

    def _draw(
        self, orders: Sequence[Order], shared: Drawing, place: tuple[int, int] | None = None
    ) -> list[Image.Image]:
        """The pictures of a batch; with `place` that of its one order, from its row of a batch of copies."""
        row, size = place or (0, len(orders))
        batch = list(orders) if place is None else list(orders) * size
        result = drawing.draw((self.pipeline, self._redraw), self._own_scheduler, batch, shared, len(orders))
        pictures = []
        for number, order in enumerate(orders, row):
            picture, note = latents.decode(self.pipeline.vae, result[number : number + 1], order.seed)
            self._note(*([note] if note else []))
            if size > 1:
                picture.info["place"] = (number, size)
            pictures.append(picture)
        return pictures

    def _prove(self, order: Order, shared: Drawing) -> None:
        """Note what each LoRA does: the same small picture without any and with it alone, compared."""
        width, height = (max(32, side // 2 // sampling.UNIT * sampling.UNIT) for side in (order.width, order.height))
        image = None if order.image is None else order.image.resize((width, height))
        small = replace(order, width=width, height=height, image=image)
        steps = TRIAL_STEPS if image is None else math.ceil(TRIAL_STEPS / shared.strength)

        def trial(active: Sequence[adapters.Loaded]) -> Image.Image:
            adapters.switch(self.pipeline, self._loras, active)
            settings = replace(shared.settings, steps=steps)
            alone = Drawing(settings, shared.scheduler, shared.strength, shared.rescale, TRIAL_STEPS, TRIAL_STEPS)
            return self._draw([small], alone)[0]

        try:
            plain = trial([])
            for lora in self._loras:
                self._note(adapters.effect(lora, plain, trial([lora])))
        finally:
            adapters.switch(self.pipeline, self._loras)
        self._proven = True

    def _note(self, *lines: str) -> None:
        self.notes.extend(line for line in lines if line not in self.notes)


def load(place: Place, device: str, dtype: str, *, config: str | None = None, loras: Sequence[str] = ()) -> Diffusion:
    """The model at `place`: a diffusers folder, or a single file with its configurations from the hub cache or
    `config`.
    """
    schedule = [adapters.parse(text) for text in loras]  # a misspelt LoRA is refused before gigabytes are read
    for spec in schedule:
        adapters.check(spec)
    where = pick_device(device)
    kind = pick_dtype(dtype, where)
    silence()
    if place.path.is_file():
        pipeline = single_file.assemble(place.path, kind, config)
    else:
        pipeline = pipelines.assemble(place.path, kind)
    model = Diffusion(pipeline, place, where)
    model.add_loras(loras)
    return model


def _to_model(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Float32 latents into the UNet's own dtype; they stay float32 between steps."""
    if kwargs.get("timestep_cond") is not None:
        kwargs["timestep_cond"] = kwargs["timestep_cond"].to(unet.dtype)
    return (args[0].to(unet.dtype), *args[1:]), kwargs


def _from_model(_unet: Any, _args: tuple[Any, ...], output: Any) -> Any:
    """The UNet's prediction in float32, so that guidance and the scheduler compute in float32."""
    return (output[0].float(), *output[1:]) if isinstance(output, tuple) else output


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
