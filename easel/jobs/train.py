"""A network trained from a folder of pictures: open, refuse, load, pack, train and watch, write the model's pages.

The folder of the run is the model: `easel generate --model FOLDER` draws with the best weights there have been. In
training/ lies what is needed to go on after a kill.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easel import models, networks
from easel.data import Packed, PictureSet, open_set, packed
from easel.errors import Cancelled, EaselError
from easel.jobs.photos import batches
from easel.jobs.train_pages import Story, write_pages
from easel.jobs.train_watch import Collapsed, Watch
from easel.models import trained
from easel.models.devices import pick_device
from easel.models.places import own_cache
from easel.networks import layers
from easel.recipes import Train
from easel.result import Result
from easel.training import feed
from easel.training.plans import Plan, plan_for
from easel.training.studio import Studio
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

STATE = "training/checkpoint.safetensors"
SAVE_SECONDS = 120.0
"""Between checkpoints."""
LOOKS = 50
"""At most about so many measurements in a training."""
FEW = 5000
"""Below so many pictures a critic learns them by heart (Karras 2020, ADA, figure 1)."""
TEXTS = 256  # captions before the text encoder at once


def run(recipe: Train, workspace: Workspace) -> Result:
    """Train, going on where an earlier run in this folder stopped. Raises EaselError and Cancelled.

    A loss that is no longer a number, or pictures that are all the same, end it with an EaselError; the best model so
    far is then in the folder, with its pages.
    """
    pictures = open_set(recipe.data, recipe.layout, recipe.split)
    plan = refused(recipe, pictures)
    workspace.step("loading the judge", 0, 1)
    judge = models.load(recipe.judge, "features", workspace.device)
    workspace.step("loading the judge", 1, 1)
    data = packed(pictures, recipe.resolution, own_cache() / "sets", workspace.step)
    told = told_of(recipe, data, workspace)
    source = feed.Feed(data, told, plan.batch_size, recipe.seed, recipe.mirror)
    studio = studio_of(recipe, plan, source, workspace)
    watch = Watch(studio, judge, workspace, recipe)
    story = Story(recipe, pictures, data, studio, watch)
    trained.write_config(workspace.folder, story.config())
    course = Course(recipe, studio, watch, workspace, data.hash)
    try:
        course.run()
    except (FloatingPointError, Collapsed) as problem:
        raise EaselError(stopped(problem, story, workspace, course.seconds)) from problem
    return write_pages(story, workspace, course.seconds, notes(recipe, pictures, data))


def refused(recipe: Train, pictures: PictureSet) -> Plan:
    """The plan; first refuse, before anything takes time, what cannot be. Raises EaselError."""
    pictures.need()
    if recipe.network == "control-gan":
        feed.told_attributes(pictures, recipe.attributes)
    elif recipe.network == "cgan" or recipe.classes:
        feed.told_labels(pictures, recipe.classes or "label")
    elif recipe.network in ("text-dcgan", "stackgan"):
        pictures.need("captions")
    layers.sides(recipe.resolution)
    if recipe.network == "stackgan" and recipe.resolution > 64 and recipe.stage_one is None:
        raise EaselError(
            f"stackgan draws {recipe.resolution} px in a second stage: train it at 64 px first, then name that folder "
            "with --stage-one"
        )
    chosen = ("objective", "batch_size", "learning_rate", "critic_steps", "r1_gamma", "beta")
    return plan_for(recipe.network, recipe.resolution, {name: getattr(recipe, name) for name in chosen})


def told_of(recipe: Train, data: Packed, workspace: Workspace) -> feed.Told:
    """What the network is told of each picture."""
    if recipe.network == "control-gan":
        return feed.told_attributes(data, recipe.attributes)
    if recipe.network == "cgan" or recipe.classes:
        return feed.told_labels(data, recipe.classes or "label")
    if recipe.network not in ("text-dcgan", "stackgan"):
        return feed.Told()
    import numpy as np

    clip = models.load(recipe.model, "clip", workspace.device)

    def embed(texts: Any) -> Any:
        rows, done = [], 0
        for part in batches(texts, TEXTS):
            workspace.step("reading captions", done, len(texts))
            rows.append(clip.texts(part))
            done += len(part)
        workspace.step("reading captions", done, len(texts))
        return np.concatenate(rows)

    return feed.told_captions(data, embed)


def config_of(recipe: Train, told: feed.Told) -> Any:
    """The network's configuration: the paper's, with what was chosen and what the set says. Raises EaselError."""
    values: dict[str, Any] = {"network": recipe.network, "resolution": recipe.resolution}
    values |= {name: getattr(recipe, name) for name in ("latent", "channels", "widest") if getattr(recipe, name)}
    if told.kind in ("labels", "attributes"):
        values["classes" if told.kind == "labels" else "attributes"] = len(told.names)
    if told.kind == "captions" and told.values is not None:
        values["embedding"] = int(told.values.shape[1])
    if recipe.network == "stackgan":
        values["first"] = recipe.resolution
        if recipe.stage_one is not None:
            before = models.load(recipe.stage_one, "generator", "cpu").config
            values |= {key: getattr(before, key) for key in ("first", "words", "latent")}
            values["channels"], values["widest"] = before.channels, before.widest
    if recipe.network == "stylegan" and recipe.latent:
        values["style"] = recipe.latent
    if recipe.objective == "wgan-gp" and recipe.network not in ("stylegan", "vae"):
        values["norm"] = "layer"  # a slope of one picture must not depend on others (Gulrajani 2017, section 4)
    return networks.config(values)


def studio_of(recipe: Train, plan: Plan, source: feed.Feed, workspace: Workspace) -> Studio:
    """The studio, on its device, with a trained stage I where there is one."""
    import torch

    config = config_of(recipe, source.told)
    studio = Studio(config, plan, source, recipe.augment == "adaptive", recipe.augment == "differentiable")
    if recipe.stage_one is not None:
        adopt(studio.players["generator"], recipe.stage_one, config)
    elif source.told.kind == "captions":
        networks.fit_words(studio.players, torch.from_numpy(source.told.values))
    if recipe.stage_one is not None:
        networks.fit_words({"critic": studio.players["critic"]}, torch.from_numpy(source.told.values))
    mixed = torch.bfloat16 if workspace.computed_in == "bfloat16" else None
    studio.open(pick_device(workspace.device), mixed)
    return studio


def adopt(generator: nn.Module, folder: str, config: Any) -> None:
    """Put a trained stage I into stage II, and its knowledge of the captions' spread. Raises EaselError."""
    before = models.load(folder, "generator", "cpu")
    if before.network != "stackgan" or before.config.resolution != before.config.first:
        raise EaselError(f"{folder} is no stage I of stackgan: it is {before.network}, {before.config.resolution} px")
    if before.config.embedding != config.embedding:
        raise EaselError(
            f"{folder} reads captions as {before.config.embedding} numbers, this run as {config.embedding}: use the "
            "same --model for both stages"
        )
    generator.first.load_state_dict(before.generator.state_dict())  # type: ignore[union-attr]
    generator.augmentation.standard.load_state_dict(  # type: ignore[union-attr]
        before.generator.augmentation.standard.state_dict()
    )


@dataclass
class Course:
    """One training from its first step, or where it stood, to its end."""

    recipe: Train
    studio: Studio
    watch: Watch
    workspace: Workspace
    data_hash: str
    seconds: float = 0.0

    def run(self) -> None:
        """Step, watch and save. Raises FloatingPointError, Collapsed, Cancelled and EaselError."""
        step = self._resumed()
        begun, spent, saved = time.monotonic(), self.seconds, time.monotonic()
        try:
            while True:
                self.seconds = spent + time.monotonic() - begun
                if (step % self.every == 0 or self._is_done(step)) and step not in self.watch.looked:
                    self.watch.look(step, self.seconds)
                if self._is_done(step):
                    break
                self.watch.note(step, self.studio.step(step))
                step += 1
                self._tell(step)
                if time.monotonic() - saved > SAVE_SECONDS:
                    self._save(step)
                    saved = time.monotonic()
        except Cancelled:
            self._save(step)
            raise
        self._save(step)

    @property
    def images(self) -> int:
        """Pictures in all, of the whole training; 0 where time decides."""
        return 0 if self.recipe.minutes else round((self.recipe.kimg or self.studio.plan.kimg) * 1000)

    @property
    def every(self) -> int:
        """Steps from one measurement to the next."""
        wish = self.recipe.score_every or max(self.studio.plan.score_every, self.images / LOOKS / 1000)
        return max(1, round(wish * 1000 / self.studio.plan.batch_size))

    def _is_done(self, step: int) -> bool:
        if self.recipe.minutes:
            return self.seconds >= self.recipe.minutes * 60
        return step * self.studio.plan.batch_size >= self.images

    def _tell(self, step: int) -> None:
        """Progress in pictures, or in seconds where these are what is left."""
        if self.recipe.minutes:
            total = max(1, round(self.recipe.minutes * 60))
            self.workspace.step("training", min(total, int(self.seconds)), total, self.watch.preview)
        else:
            done = min(self.images, step * self.studio.plan.batch_size)
            self.workspace.step("training", done, self.images, self.watch.preview)

    def _save(self, step: int) -> None:
        self.watch.write()
        facts = {"seconds": self.seconds, "data": self.data_hash}
        self.studio.save(self.workspace.path(STATE), step, facts)

    def _resumed(self) -> int:
        """The step to go on from. Raises EaselError where the folder's training saw other pictures."""
        file = self.workspace.path(STATE)
        if not file.exists():
            return 0
        facts = self.studio.restore(file)
        if facts["data"] != self.data_hash:
            raise EaselError(
                f"{self.workspace.folder} was trained on other pictures (data {facts['data'][:12]}, now "
                f"{self.data_hash[:12]}): what is in {self.recipe.data} has changed; choose another --out"
            )
        self.seconds = float(facts["seconds"])
        self.watch.resume(int(facts["step"]))
        return int(facts["step"])


def stopped(problem: Exception, story: Story, workspace: Workspace, seconds: float) -> str:
    """Write the pages of what there is, and say in one line why it ended and what is kept."""
    best = story.watch.best
    if best is None:
        return f"{problem}: nothing can be kept; lower --learning-rate or raise --r1-gamma, in another --out"
    story.watch.write()
    write_pages(story, workspace, seconds, [f"stopped early: {problem}"])
    return (
        f"{problem}: the model of {best['kimg']:.4g} kimg (KID {best['KID']:.4g}) is kept in {workspace.folder}; lower "
        "--learning-rate or raise --r1-gamma, in another --out"
    )


def notes(recipe: Train, pictures: PictureSet, data: Packed) -> list[str]:
    """What a person should know of the set."""
    found = []
    if data.broken:
        named = "; ".join(list(data.broken.values())[:3])
        found.append(f"{len(data.broken)} of {len(pictures)} pictures were left out: {named}")
    if pictures.missing:
        found.append(f"{pictures.missing} pictures that the set's tables name are not there")
    if len(data) < FEW and recipe.augment == "none" and recipe.network != "vae":
        found.append(f"{len(data):,} pictures are few: a critic learns them by heart; try --augment adaptive")
    single = data.small_classes() if recipe.network == "cgan" else []
    if single:
        found.append(f"{len(single)} classes have one picture: {', '.join(single[:5])}")
    return found
