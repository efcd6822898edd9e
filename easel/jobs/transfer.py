"""A photo painted in the style of a picture, by neural style transfer: open, load, caption, paint, save, judge, return.

What it is scored by, and its sheet, are those of `stylize`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from easel import models
from easel.errors import EaselError
from easel.images import open_picture
from easel.jobs.inputs import model_label
from easel.jobs.judges import load_judges
from easel.jobs.painter import PlannedPicture
from easel.jobs.stylize.restyled import finished, plan_pictures
from easel.jobs.stylize.styles import Style, styles_of, table
from easel.jobs.stylize.subject import caption_of
from easel.models.devices import dtype_word
from easel.provenance import Done, parameters
from easel.recipes.score import ScoreStyles
from easel.recipes.transfer import Transfer, weighted
from easel.result import Result
from easel.tensors import to_picture, to_tensor
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from easel.models.style.features import FeatureNetwork
    from easel.models.style.optimise import Iteration, Settings

LEAST = 16
"""Pixels of the photo's shorter side, at least."""
PREVIEW = "preview.png"
PREVIEW_EVERY = 3.0
"""Seconds from one preview to the next."""

StylePictures = list[tuple[Image.Image, float]]
"""Pictures whose style is taken, with their weights."""


def run(recipe: Transfer, workspace: Workspace) -> Result:
    """Paint and judge the pictures of a Transfer recipe. Raises EaselError and Cancelled."""
    styles = styles_of(recipe)
    original = open_picture(recipe.photo)
    painter = StylePainter(recipe, style_pictures(recipe, styles), workspace)
    judges = load_judges(recipe.judge, workspace)
    subject = caption_of(original, recipe, workspace)
    photo = painter.fitted(original)
    planned = plan_pictures(recipe, styles, subject.caption)
    pictures = painter.draw(planned, photo)
    caption, notes = subject.caption, [*subject.note, *painter.notes]
    return finished(recipe, workspace, judges, caption, (original, photo), styles, planned, pictures, notes)


def style_pictures(recipe: Transfer | ScoreStyles, styles: Sequence[Style]) -> dict[str, StylePictures]:
    """The pictures of each style, opened: those of the recipe, or else the style's own.

    Raises EaselError where a style has none, and on files that are no pictures or of one colour; nothing expensive has
    happened yet.
    """
    if recipe.style:
        given = [(style_picture(file), weight) for file, weight in map(weighted, recipe.style)]
        return {style.name: given for style in styles}
    for style in styles:
        if not style.image:
            able = ", ".join(name for name, row in table(recipe.styles_file).items() if row.image)
            raise EaselError(
                f"the style '{style.name}' has no picture to take it from: give one with --style FILE, or name "
                f"only styles that have one with --styles ({able or 'none has'})"
            )
    return {style.name: [(style_picture(style.image), 1.0)] for style in styles}


def style_picture(file: str) -> Image.Image:
    """The picture in a file. Raises EaselError on one of a single colour: it has no style."""
    picture = open_picture(file)
    if picture.convert("RGB").getcolors(maxcolors=1):
        raise EaselError(f"{file} is of one colour: take the style from a picture that has something painted in it")
    return picture


class StylePainter:
    """A feature network and pictures whose style it takes; it paints planned pictures and saves them, as `Painter`."""

    def __init__(
        self, recipe: Transfer | ScoreStyles, pictures: Mapping[str, StylePictures], workspace: Workspace
    ) -> None:
        """Load the network. Raises EaselError on an unknown network or layer."""
        with workspace.phase("loading the network"):
            self.model = models.load(recipe.features, "style", workspace.device)
            self.model.pool(recipe.pooling)
            self.settings = settings_of(recipe, self.model)
        self.recipe, self.workspace, self.pictures = recipe, workspace, pictures
        self.width: int | None = getattr(recipe, "width", None)
        self.height: int | None = getattr(recipe, "height", None)
        self._previewed = 0.0

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return list(self.model.notes)

    def fitted(self, photo: Image.Image) -> Image.Image:
        """The photo at the size it is painted: width and height where they are given, else `side` as the longer side.

        Width and height of another shape trim the edges evenly.
        """
        if self.width is None and self.height is None:
            scale = self.recipe.side / max(photo.size)
            size = (max(LEAST, round(photo.width * scale)), max(LEAST, round(photo.height * scale)))
        else:
            across = self.width or round(photo.width * (self.height or 0) / photo.height)
            size = (max(LEAST, across), self.height or max(LEAST, round(photo.height * across / photo.width)))
        return ImageOps.fit(photo, size, Image.Resampling.LANCZOS)

    @property
    def steps(self) -> int:
        """Steps that a picture takes, over all sizes."""
        from easel.models.style.optimise import schedule

        longest = max(self.width or 0, self.height or 0)
        return sum(steps for _, steps in schedule(longest or self.recipe.side, self.recipe.iterations))

    def draw(
        self,
        planned: Sequence[PlannedPicture],
        photo: Image.Image,
        *,
        phase: str | None = None,
        done: int = 0,
        total: int | None = None,
    ) -> list[Image.Image]:
        """Paint the planned pictures, each saved as it is done; `photo` is already fitted.

        Progress of `phase` is reported in steps, from `done` on, of `total`; without a phase size by size, with a
        preview now and then, which is also in preview.png. Raises EaselError and Cancelled.
        """
        from easel.models.style.optimise import transfer

        pictures: list[Image.Image] = []
        whole = len(planned) * self.steps if total is None else total

        def step(now: Iteration) -> None:
            nonlocal done
            done += 1
            if phase is None:
                self._tell(now)
            else:
                self.workspace.step(phase, done, whole)

        try:
            for one in planned:
                content, styles = self._prepared(photo, self.pictures[one.recipe["styles"][0]])
                made = transfer(content, styles, self.model, self.settings, one.seed, step)
                picture = self._finished(photo, made)
                how = self._done(one, picture, dtype_word(made.dtype))
                self.workspace.save_picture(one.file, picture, one.recipe, parameters(one.prompt, "", how), how)
                pictures.append(picture)
        finally:
            with contextlib.suppress(OSError):
                self.workspace.path(PREVIEW).unlink(missing_ok=True)
        return pictures

    def _tell(self, now: Iteration) -> None:
        preview = None
        if time.monotonic() - self._previewed >= PREVIEW_EVERY:
            preview, self._previewed = to_picture(now.picture), time.monotonic()
            self.workspace.save_picture(PREVIEW, preview)
        self.workspace.step(f"painting at {now.size[1]} x {now.size[0]}", now.done, now.total, preview)

    def _prepared(self, photo: Image.Image, pictures: StylePictures) -> tuple[Tensor, list[tuple[Tensor, float]]]:
        """Photo and style pictures as tensors; with colours kept, only their light and dark, the styles' brought to the
        mean and the spread of the photo's (Gatys et al. 2016, arXiv 1606.05897, section 5.2).
        """
        content = to_tensor(photo).to(self.model.device)
        styles = [(to_tensor(picture).to(self.model.device), weight) for picture, weight in pictures]
        if not self.recipe.keep_colours:
            return content, styles
        from easel.models.style.optimise import luminance, luminance_matched

        grey = luminance(content)
        return grey, [(luminance_matched(luminance(style), grey), weight) for style, weight in styles]

    def _finished(self, photo: Image.Image, made: Tensor) -> Image.Image:
        """The picture, with the photo's colours where they are kept."""
        if not self.recipe.keep_colours:
            return to_picture(made)
        from easel.models.style.optimise import luminance

        content = to_tensor(photo).to(made)
        return to_picture(content + made - luminance(content))

    def _done(self, planned: PlannedPicture, picture: Image.Image, dtype: str) -> Done:
        """How a picture was made."""
        return Done(
            device=str(self.model.device),
            dtype=dtype,
            model=model_label(self.recipe.features),
            seed=planned.seed,
            width=picture.width,
            height=picture.height,
            steps=self.steps,
            optimizer=self.settings.optimizer,
            judge=model_label(self.recipe.judge),
        )


def settings_of(recipe: Transfer | ScoreStyles, network: FeatureNetwork) -> Settings:
    """The recipe's settings, with what suits the network where it leaves them open. EaselError on an unknown layer."""
    from easel.models.style.optimise import Settings

    own = network.defaults
    return Settings(
        content_layers=network.layer_weights(dict(map(weighted, recipe.content_layers or own.content_layers))),
        style_layers=network.layer_weights(dict(map(weighted, recipe.style_layers or own.style_layers))),
        content_weight=own.content_weight if recipe.content_weight is None else recipe.content_weight,
        style_weight=recipe.style_weight,
        tv_weight=own.tv_weight if recipe.tv_weight is None else recipe.tv_weight,
        gram_only=own.gram_only,
        iterations=recipe.iterations,
        optimizer=recipe.optimizer,
        start=recipe.start,
        tile=recipe.tile,
    )
