"""A network trained from a folder of pictures: open, refuse, load, pack, train and watch, write the model's pages.

The folder of the run is the model: `easel generate --model FOLDER` draws with the best weights there have been. In
training/ lies what is needed to go on after a kill.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from easel import models
from easel.data import Packed, PictureSet, open_set
from easel.errors import Cancelled, EaselError
from easel.jobs.data.words import unnamed_note
from easel.jobs.train import workers
from easel.jobs.train.model_card import Story, write_pages
from easel.jobs.train.setup import packed_of, refuse_changed, refused, studio_of, told_of
from easel.models import trained
from easel.recipes import Train
from easel.result import Result
from easel.training import batches
from easel.training.distributed import Team
from easel.training.evaluation import Collapsed, Watch
from easel.training.trainer import Studio
from easel.workspace import Workspace

STATE = "training/checkpoint.safetensors"
SAVE_SECONDS = 120.0
"""Between checkpoints."""
LOOKS = 50
"""At most about so many measurements in a training."""
FEW = 5000
"""Below so many pictures a critic learns them by heart (Karras 2020, ADA, figure 1)."""


def run(recipe: Train, workspace: Workspace) -> Result:
    """Train, going on where an earlier run in this folder stopped. Raises EaselError and Cancelled.

    In a team this is the first process's part, and `train_team.follow` that of the others.

    A loss that is no longer a number, or pictures that are all the same, end it with an EaselError; the best model so
    far is then in the folder, with its pages.
    """
    pictures = open_set(recipe.data, recipe.layout, recipe.split)
    plan, team = refused(recipe, pictures), Team.here()
    workers.refused(team, plan.batch_size)
    workspace.step("loading the judge", 0, 1)
    judge = models.load(recipe.judge, "features", workspace.device)
    workspace.step("loading the judge", 1, 1)
    data = packed_of(recipe, pictures, workspace.step)
    refuse_changed(recipe, data, workspace.folder, workspace.path(STATE))
    told = told_of(recipe, data, workspace)
    source = batches.Feed(data, told, plan.batch_size, recipe.seed, recipe.mirror)
    source.team = team
    studio = studio_of(recipe, plan, source, workspace)
    watch = Watch(studio, judge, workspace, recipe)
    story = Story(recipe, pictures, data, studio, watch)
    course = Course(recipe, studio, watch, workspace, data.hash)
    step = course.resumed()  # what is refused here must find the folder's config.json as it was
    trained.write_config(workspace.folder, story.config())
    try:
        course.run(step)
    except (FloatingPointError, Collapsed) as problem:
        raise EaselError(stopped(problem, story, workspace, course.seconds)) from problem
    return write_pages(story, workspace, course.seconds, notes(recipe, pictures, data, told))


@dataclass
class Course:
    """One training from its first step, or where it stood, to its end."""

    recipe: Train
    studio: Studio
    watch: Watch
    workspace: Workspace
    data_hash: str
    seconds: float = 0.0

    def run(self, step: int) -> None:
        """Step, watch and save, from ``step``. Raises FloatingPointError, Collapsed, Cancelled and EaselError."""
        with workers.led(workers.Order(self.recipe, self.workspace.folder, self.workspace.path(STATE))) as go_on:
            self._run(step, go_on)

    def _run(self, step: int, go_on: Callable[[], None]) -> None:
        """The loop. All processes of a team take a step each time that ``go_on`` is called."""
        begun, spent, saved = time.monotonic(), self.seconds, time.monotonic()
        try:
            while True:
                self.seconds = spent + time.monotonic() - begun
                if (step % self.every == 0 or self._is_done(step)) and step not in self.watch.looked:
                    self.watch.look(step, self.seconds)
                if self._is_done(step):
                    break
                go_on()
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
        facts = {
            "seconds": self.seconds,
            "data": self.data_hash,
            "losses": self.watch.pending(),
            "judge": self.watch.judge.fingerprint,
        }
        self.studio.save(self.workspace.path(STATE), step, facts)

    def resumed(self) -> int:
        """The step to go on from, all as it was then. Raises EaselError on a checkpoint that does not fit."""
        file = self.workspace.path(STATE)
        if not file.exists():
            return 0
        facts = self.studio.restore(file)
        if facts.get("judge", self.watch.judge.fingerprint) != self.watch.judge.fingerprint:
            raise EaselError(
                f"{self.workspace.folder} was measured by other weights of {self.recipe.judge} than those of now: "
                "their KIDs cannot be compared, so the best model could not be told; choose another --out"
            )
        self.seconds = float(facts["seconds"])
        self.watch.resume(int(facts["step"]), facts.get("losses", {}))
        return int(facts["step"])


def stopped(problem: Exception, story: Story, workspace: Workspace, seconds: float) -> str:
    """Write the pages of what there is, and say in one line why it ended and what is kept."""
    best = story.watch.best
    other = "lower --beta" if story.recipe.network == "vae" else "raise --r1-gamma"
    advice = f"lower --learning-rate or {other}, in another --out"
    if best is None:
        return f"{problem}: nothing can be kept; {advice}"
    story.watch.write()
    write_pages(story, workspace, seconds, [f"stopped early: {problem}"])
    kept = f"the model of {best['kimg']:.4g} kimg (KID {best['KID']:.4g}) is kept in {workspace.folder}"
    return f"{problem}: {kept}; {advice}"


def notes(recipe: Train, pictures: PictureSet, data: Packed, told: batches.Told) -> list[str]:
    """What a person should know of the set."""
    found = []
    if data.broken:
        named = "; ".join(list(data.broken.values())[:3])
        found.append(f"{len(data.broken)} of {len(pictures)} pictures were left out: {named}")
    if pictures.missing:
        found.append(f"{pictures.missing} pictures that the set's tables name are not there")
    found += unnamed_note(pictures)
    if len(data) < FEW and recipe.augment == "none" and recipe.network != "vae":
        found.append(f"{len(data):,} pictures are few: a critic learns them by heart; try --augment adaptive")
    if recipe.network == "vae" and recipe.prior == "normal" and not recipe.perceptual:
        found.append("a vae's pictures are soft; --prior flow --perceptual 1 makes them clearer")
    single = told.small_classes()
    if single:
        named = f"{', '.join(single[:5])}{' ...' if len(single) > 5 else ''}"
        found.append(f"{len(single)} of {len(told.names)} classes have fewer than two pictures: {named}")
    return found
