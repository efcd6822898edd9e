"""What the kinds that draw with a diffusion model share: planned pictures, drawn and saved with the recipe of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from easel import models
from easel.jobs.inputs import model_label
from easel.models.devices import dtype_word
from easel.models.diffusion import compiled
from easel.models.diffusion.batch import DrawnPicture, PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.models.diffusion.tasks import TASKS
from easel.provenance import Done, parameters
from easel.recipes.knobs import Sampled
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion


@dataclass(frozen=True)
class PlannedPicture:
    """A picture that a job will make: its words and seed, its file, the recipe that makes it alone, and its style."""

    file: str
    prompt: str
    negative_prompt: str
    seed: int
    recipe: dict[str, Any]
    style: str = ""


class Painter:
    """A loaded diffusion model with the settings of one run: it draws planned pictures and saves them."""

    def __init__(
        self,
        recipe: Sampled,
        model: str,
        workspace: Workspace,
        strength: float | None = None,
        task: str = "text-to-image",
        loaded: Diffusion | None = None,
    ) -> None:
        """Load `model` for a row of `tasks.TASKS`, where it is not `loaded` for it already. Raises EaselError."""
        self.task, self._row = task, TASKS[task]
        workspace.step("loading the model", 0, 1)
        self.model: Diffusion = loaded or models.load(
            model,
            self._row.role,
            workspace.device,
            workspace.dtype,
            config=recipe.config,
            loras=recipe.lora,
            embeddings=recipe.embedding,
        )
        workspace.step("loading the model", 1, 1)
        self.name, self.workspace, self.recipe, self.asked_strength = model, workspace, recipe, strength
        self.expected = 0
        """Pictures of the whole run, where that is more than the first call of `draw` is given."""
        self._is_prepared = False

    @property
    def steps(self) -> int:
        """Denoising steps that a picture takes."""
        return self.recipe.steps

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return self.model.notes

    def fitted(self, photo: Image.Image) -> Image.Image:
        """The photo at the size it is redrawn: as asked, else the model's own size as the shorter side, sides
        multiples of 8.

        Rounding to eights, or a width and height of another shape, trims the edges evenly: better than a stretched
        face.
        """
        return ImageOps.fit(photo, self.size_for(photo), Image.Resampling.LANCZOS)

    def size_for(self, photo: Image.Image) -> tuple[int, int]:
        """Width and height at which a photo is redrawn."""
        settings = self.model.resolve(replace(self.sampling(), strength=1.0), photo)  # of interest is the size alone
        return settings.width, settings.height

    def sampling(self, photo: Image.Image | None = None, style: str = "") -> Sampling:
        """What is asked of the model for a picture in a style, at the size of a fitted photo where there is one."""
        recipe = self.recipe
        asked = (getattr(recipe, "width", None), getattr(recipe, "height", None))
        width, height = asked if photo is None else photo.size
        strength = self.asked_strength
        if strength is None and self.task == "image-to-image":
            strength = self.model.defaults.strength_for(style)
        return Sampling(
            steps=recipe.steps,
            guidance_scale=recipe.guidance_scale,
            scheduler=recipe.scheduler,
            width=width,
            height=height,
            guidance_every=recipe.guidance_every,
            fast=recipe.fast,
            strength=strength if self._row.redraws else None,
            image_guidance_scale=getattr(recipe, "image_guidance_scale", None) if self._row.by_photo else None,
        )

    def request(self, one: PlannedPicture, photo: Image.Image | None) -> PictureRequest:
        """What is asked of the model for a picture."""
        image = photo if "image" in self._row.needs else None
        sampling = self.sampling(photo, one.style)
        return PictureRequest(one.prompt, one.seed, one.negative_prompt, sampling, self.task, image)

    def finish(self, _one: PlannedPicture, drawn: Image.Image) -> Image.Image:
        """The picture that is saved, of the one that was drawn: the same, where a kind of job has nothing to add."""
        return drawn

    def draw(
        self,
        planned: Sequence[PlannedPicture],
        photo: Image.Image | None = None,
        batch_size: int = 1,
        *,
        phase: str = "drawing",
        done: int = 0,
        total: int | None = None,
    ) -> list[Image.Image]:
        """Draw the planned pictures, each saved as soon as its batch is done. `photo`, already fitted, is what they
        show: redrawn, or its size alone.

        Progress of `phase` is reported in picture-steps, from `done` on, of `total` (those of these pictures when not
        given). Raises EaselError and Cancelled.
        """
        steps = len(planned) * self.recipe.steps
        whole = done + steps if total is None else total
        row = getattr(self.recipe, "batch_row", None)
        place = None if row is None else (row, batch_size)
        requests = [replace(self.request(one, photo), place=place) for one in planned]
        if requests and not self._is_prepared:
            self._prepare(requests[0], max(self.expected, len(requests)), batch_size)

        seen: list[Image.Image] = []

        def report(now: int, of: int) -> None:
            # A redrawing does only part of its steps; its share of the whole is what counts here.
            self.workspace.step(phase, done + steps * now // max(of, 1), whole, seen.pop() if seen else None)

        shows = {"preview": seen.append} if self.workspace.shows_previews else {}

        self.workspace.step(phase, done, whole)
        pictures = []
        for one, drawn in zip(planned, self.model.generate(requests, batch_size, report, **shows), strict=True):
            picture = self.finish(one, drawn.image)
            self.save(one, drawn, picture)
            pictures.append(picture)
        self.workspace.step(phase, done + steps, whole)
        return pictures

    def _prepare(self, like: PictureRequest, pictures: int, batch_size: int) -> None:
        """Compile the model before the first picture, or not, as the recipe says. Raises EaselError and Cancelled."""
        self._is_prepared = True
        if self.recipe.compile == "no":
            self.model.compiled.turn_off()
            return
        with self.workspace.phase("compiling"):
            count = batch_size if like.place else pictures
            compiled.prepare(self.model, like, count, batch_size, self.recipe.compile)

    def save(self, planned: PlannedPicture, drawn: DrawnPicture, picture: Image.Image) -> None:
        """Write the picture made of a drawn one with what was done, and with its recipe, in which the model's own
        choices are written out: it stays true when those change.
        """
        settings = drawn.settings
        done = Done(
            device=str(self.model.device),
            dtype=dtype_word(self.model.dtype),
            model=model_label(self.name),
            model_hash=self.model.file_hash,
            seed=planned.seed,
            width=picture.width,
            height=picture.height,
            steps=settings.steps,
            scheduler=settings.scheduler,
            guidance_scale=settings.guidance_scale,
            image_guidance_scale=settings.image_guidance_scale,
            strength=settings.strength,
            first_size=settings.first_size,
            judge=model_label(judge) if (judge := getattr(self.recipe, "judge", None)) else None,
        )
        chosen: dict[str, Any] = {"guidance_scale": settings.guidance_scale, "scheduler": settings.scheduler}
        chosen["compile"] = self.model.compiled.word
        if self._row.redraws:
            chosen["strength"] = settings.strength
        if self._row.by_photo:
            chosen["image_guidance_scale"] = settings.image_guidance_scale
        recipe = planned.recipe | {name: value for name, value in chosen.items() if name in planned.recipe}
        text = parameters(planned.prompt, planned.negative_prompt, done, self.recipe.lora)
        self.workspace.save_picture(planned.file, picture, with_place(recipe, drawn.place), text, done)


def with_place(recipe: dict[str, Any], place: tuple[int, int] | None) -> dict[str, Any]:
    """The recipe of a picture with the row and size of the batch it was really drawn in, where its kind has batches.

    Made again it is drawn in the same row of a batch of the same size, so that the last bits agree as well.
    """
    if "batch_row" not in recipe or place is None:
        return recipe
    return recipe | {"batch_row": place[0], "batch_size": place[1]}
