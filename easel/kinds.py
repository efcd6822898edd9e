"""Every kind of job, a line each: the one place that names a kind. Its recipe, its job and its example do the rest.

Nothing is imported until it is asked for, so that `easel --help` answers at once.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easel.recipes.base import Recipe


@dataclass(frozen=True)
class Kind:
    """One kind: what it does in a line, its recipe's class as MODULE:CLASS, and the module that has its job's `run`."""

    about: str
    path: str
    job: str

    @property
    def recipe(self) -> type[Recipe]:
        """The class of its recipes."""
        module, _, name = self.path.partition(":")
        found: type[Recipe] = getattr(importlib.import_module(module), name)
        return found

    @property
    def class_name(self) -> str:
        """What `easel` calls that class: `easel.ScoreSets`."""
        return self.path.rpartition(":")[2]


KINDS: dict[str, Kind] = {
    "caption": Kind(
        "Say what is in photos or folders; rank tags; interrogate.",
        "easel.recipes.caption:Caption",
        "easel.jobs.caption",
    ),
    "ask": Kind("Ask a question about a photo.", "easel.recipes.ask:Ask", "easel.jobs.ask"),
    "generate": Kind("Make pictures from words.", "easel.recipes.generate:Generate", "easel.jobs.generate"),
    "stylize": Kind(
        "Redraw a photo in the manners of artists, each picture scored.",
        "easel.recipes.stylize:Stylize",
        "easel.jobs.stylize",
    ),
    "transfer": Kind(
        "Paint a photo in the style of a picture (neural style transfer), scored.",
        "easel.recipes.transfer:Transfer",
        "easel.jobs.transfer",
    ),
    "edit": Kind(
        "Change one thing in photos by words, masks or control maps, and keep the rest; each edit scored.",
        "easel.recipes.edit:Edit",
        "easel.jobs.edit",
    ),
    "compare": Kind(
        "Make the same pictures with several settings, and say which one wins on what; or score ready pictures.",
        "easel.recipes.compare:Compare",
        "easel.jobs.compare",
    ),
    "train": Kind(
        "Train a GAN, a VAE or a text-to-image GAN from a folder of pictures.",
        "easel.recipes.train:Train",
        "easel.jobs.train",
    ),
    "personalize": Kind(
        "Teach a model a subject from a few photos (DreamBooth, LoRA, textual inversion), scored as it learns.",
        "easel.recipes.personalize:Personalize",
        "easel.jobs.personalize",
    ),
    "score-styles": Kind(
        "How often each style succeeds, less the plain photos' rate.",
        "easel.recipes.score:ScoreStyles",
        "easel.jobs.score.styles",
    ),
    "score-prompt": Kind(
        "How well pictures fit their captions (CLIP-T).", "easel.recipes.score:ScorePrompt", "easel.jobs.score.prompt"
    ),
    "score-sets": Kind(
        "How near a made set is to a real one: FID, KID, precision, recall.",
        "easel.recipes.score:ScoreSets",
        "easel.jobs.score.sets",
    ),
    "score-likeness": Kind(
        "How like a subject pictures are, how true to their prompts, how varied: DINO, CLIP-I, CLIP-T, DIV, PRES.",
        "easel.recipes.score:ScoreLikeness",
        "easel.jobs.score.likeness",
    ),
    "score-ppl": Kind(
        "How evenly a trained model's pictures change (path length).",
        "easel.recipes.score:ScorePpl",
        "easel.jobs.score.ppl",
    ),
    "data-summary": Kind(
        "What is in a folder of pictures: counts, plots, a map.",
        "easel.recipes.data:DataSummary",
        "easel.jobs.data.summary",
    ),
    "data-world": Kind(
        "Draw a captioned set of birds, faces, rooms, ... into a folder.",
        "easel.recipes.data:DataWorld",
        "easel.jobs.data.world",
    ),
}

GROUPS = {
    "score": "Measure over a folder of photos, or over a trained model.",
    "data": "Sets of pictures: look at one, or draw one.",
}
"""What the first word of a kind in two words means: `score-sets` is `easel score sets`."""
