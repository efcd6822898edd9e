"""The method neural of stylize: style transfer by optimisation, in the place where the other methods have a diffusion
model.
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
from easel.jobs.inputs import called
from easel.jobs.painter import Order, Progress
from easel.jobs.stylize.styles import Style, table
from easel.recipes.stylize import Styled
from easel.recipes.transfer import weighted
from easel.tensors import to_picture, to_tensor
from easel.version import __version__
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

Manner = list[tuple[Image.Image, float]]
"""The pictures whose style is taken, with their weights."""


def manners(recipe: Styled, styles: Sequence[Style]) -> dict[str, Manner]:
    """The pictures of each style, opened: those of the recipe, or else the style's own.

    Raises EaselError where a style has none, and on files that are no pictures or of one colour; nothing expensive has
    happened yet.
    """
    if recipe.style_image:
        given = [(painted(file), weight) for file, weight in map(weighted, recipe.style_image)]
        return {style.name: given for style in styles}
    for style in styles:
        if not style.image:
            able = ", ".join(name for name, row in table(recipe.styles_file).items() if row.image)
            raise EaselError(
                f"the style '{style.name}' has no picture to take it from: give one with --style-image FILE, or name "
                f"only styles that have one with --styles ({able or 'none has'})"
            )
    return {style.name: [(painted(style.image), 1.0)] for style in styles}


def painted(file: str) -> Image.Image:
    """The picture in a file. Raises EaselError on one of a single colour: it has no style."""
    picture = open_picture(file)
    if picture.convert("RGB").getcolors(maxcolors=1):
        raise EaselError(f"{file} is of one colour: take the style from a picture that has something painted in it")
    return picture


class NeuralEasel:
    """A network and pictures whose style it sees: it draws orders and saves them, as `Easel` does."""

    def __init__(self, recipe: Styled, pictures: Mapping[str, Manner], workspace: Workspace) -> None:
        """Load the network. Raises EaselError on an unknown network or layer."""
        workspace.step("loading the network", 0, 1)
        self.model = models.load(recipe.features, "style", workspace.device)
        self.model.pool(recipe.pooling)
        self.recipe, self.workspace, self.pictures = recipe, workspace, pictures
        self.settings = settings_of(recipe, self.model)
        workspace.step("loading the network", 1, 1)
        self._moment: Iteration | None = None
        self._shown = 0.0

    def fitted(self, photo: Image.Image) -> Image.Image:
        """The photo at the size it is painted: width and height where they are given, else `side` as the longer side.

        Width and height of another shape trim the edges evenly.
        """
        width: int | None = getattr(self.recipe, "width", None)
        height: int | None = getattr(self.recipe, "height", None)
        if width is None and height is None:
            scale = self.recipe.side / max(photo.size)
            size = (max(LEAST, round(photo.width * scale)), max(LEAST, round(photo.height * scale)))
        else:
            across = width or round(photo.width * (height or 0) / photo.height)
            size = (max(LEAST, across), height or max(LEAST, round(photo.height * across / photo.width)))
        return ImageOps.fit(photo, size, Image.Resampling.LANCZOS)

    @property
    def steps(self) -> int:
        """Steps that a picture takes, over all sizes."""
        from easel.models.style.optimise import schedule

        longest = max(getattr(self.recipe, "width", None) or 0, getattr(self.recipe, "height", None) or 0)
        return sum(steps for _, steps in schedule(longest or self.recipe.side, self.recipe.iterations))

    def draw(self, orders: Sequence[Order], photo: Image.Image, _: int, progress: Progress) -> list[Image.Image]:
        """One picture for each order, saved as it is done; `photo` is already fitted.

        `progress` is called with (done, total) in steps, and may look at `tell`. While it runs, preview.png shows the
        picture so far. Raises EaselError and Cancelled.
        """
        from easel.models.style.optimise import transfer

        pictures: list[Image.Image] = []
        total = len(orders) * self.steps
        try:
            for order in orders:
                content, styles = self._prepared(photo, self.pictures[order.recipe["styles"][0]])
                done = len(pictures) * self.steps

                def report(moment: Iteration) -> None:
                    nonlocal done
                    done += 1
                    self._moment = moment
                    progress(done, total)

                made = transfer(content, styles, self.model, self.settings, order.seed, report)
                picture = self._finished(photo, made)
                self.workspace.save_picture(order.file, picture, order.recipe, self.parameters(order, picture.size))
                pictures.append(picture)
        finally:
            with contextlib.suppress(OSError):
                self.workspace.path(PREVIEW).unlink(missing_ok=True)
        return pictures

    def tell(self, _done: int, _total: int) -> None:
        """Report the step to the workspace, size by size, now and then with a preview."""
        moment = self._moment
        if moment is None:
            return
        preview = None
        if time.monotonic() - self._shown >= PREVIEW_EVERY:
            preview, self._shown = to_picture(moment.picture), time.monotonic()
            self.workspace.save_picture(PREVIEW, preview)
        phase = f"painting at {moment.size[1]} x {moment.size[0]}"
        self.workspace.step(phase, moment.done, moment.total, preview)

    def _prepared(self, photo: Image.Image, manner: Manner) -> tuple[Tensor, list[tuple[Tensor, float]]]:
        """Photo and style pictures as tensors; with colours kept, only their light and dark, the styles' brought to the
        mean and the spread of the photo's (Gatys et al. 2016, arXiv 1606.05897, section 5.2).
        """
        content = to_tensor(photo).to(self.model.device)
        styles = [(to_tensor(picture).to(self.model.device), weight) for picture, weight in manner]
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

    def parameters(self, order: Order, size: tuple[int, int]) -> str:
        """The text that AUTOMATIC1111's web UI writes into a PNG, as far as it has words for this."""
        facts = {
            "Steps": str(self.steps),
            "Sampler": {"adam": "Adam", "lbfgs": "L-BFGS"}[self.recipe.optimiser],
            "Seed": str(order.seed),
            "Size": f"{size[0]}x{size[1]}",
            "Model": called(self.recipe.features),
            "Version": f"easel {__version__}",
        }
        return order.prompt + "\n" + ", ".join(f"{key}: {value}" for key, value in facts.items())


def settings_of(recipe: Styled, network: FeatureNetwork) -> Settings:
    """The recipe's settings, with what suits the network where it leaves them open. EaselError on an unknown layer."""
    from easel.models.style.optimise import Settings

    defaults = network.defaults
    return Settings(
        content_layers=network.layer_weights(dict(map(weighted, recipe.content_layers or defaults.content_layers))),
        style_layers=network.layer_weights(dict(map(weighted, recipe.style_layers or defaults.style_layers))),
        content_weight=defaults.content_weight if recipe.content_weight is None else recipe.content_weight,
        style_weight=recipe.style_weight,
        tv_weight=defaults.tv_weight if recipe.tv_weight is None else recipe.tv_weight,
        gram_only=defaults.gram_only,
        iterations=recipe.iterations,
        optimizer=recipe.optimiser,
        start=recipe.start,
        tile=recipe.tile,
    )
