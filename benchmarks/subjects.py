"""Subjects taught to pocket, and what it comes to: `python -m benchmarks.subjects [--subjects 10] [--arms lora full]`.

Held-out subjects of the world, five pictures each, are learned by every arm, and drawn where they have not been: beside
them stand the untouched model told everything in words, look-alikes, and the subject itself drawn there by the world,
which is the ceiling. Likeness is judged by pocket's subject encoder, kind, place and time by the judge of its scores.
Pictures lie in --folder, a folder for each subject and arm, and a stopped run goes on there; the table is of all that
is there, judged anew. --write keeps the numbers in docs/lab/subjects.json.

`--photos DIR` takes a folder of photos of one real subject instead, with `--noun dog`: a sheet to be looked at.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from easel import models
from easel.images import open_picture
from easel.jobs.personalize import setup, words
from easel.metrics.intervals import Estimate, difference_interval, grouped_rate_interval, mean_interval
from easel.metrics.likeness import diversity, pairs, subject_fidelity
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.pocket.train import judge as referee
from easel.pocket.train.alike import lookalike
from easel.pocket.train.score import FIRST
from easel.pocket.world import Scene, captions, render
from easel.pocket.world import words as world_words
from easel.pocket.world.scene import places_of
from easel.recipes.personalize import HOLE, Personalize
from easel.sheet import Cell, mosaic, sheet
from easel.training.distributed import Team
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion

SHOWN = 6
"""Prompts in the picture."""
KINDS = ("dog", "woman", "vase", "cat", "man", "house", "bird", "car", "fruit", "lamp")
PHOTOS, SIDE, CLASS, TILE = 5, 256, 8, 108
SEEDS = FIRST + 10**6
"""Where the subjects' seeds begin: no training, no score and no other study has them."""
RESULTS = Path(__file__).parent.parent / "docs" / "lab" / "subjects.json"
GUIDANCE, LOW = "guidance_scale", 1.5
ARMS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora"},
    f"lora, guidance {LOW}": {"method": "lora", GUIDANCE: LOW},
    "lora, the letters": {"method": "lora", "new_token": False},
    "lora, prior": {"method": "lora", "prior_weight": 1.0},
    "full": {"method": "full", "prior_weight": 0.0},
    "full, prior": {"method": "full", "prior_weight": 1.0},
    "textual-inversion": {"method": "textual-inversion"},
}
"""Settings of the training, and the guidance scale of the pictures where that is not the model's own."""
DIV_CLASS, DIV_LESS = "DIV of the class", "DIV of the class less the untouched model's"
PHOTOGRAPHED, UNTOUCHED = "photos", "untouched"
TOLD, TOLD_LOW, ALIKE, CEILING = BESIDE = (
    "untouched, told in words",
    f"untouched, told in words, guidance {LOW}",
    "look-alikes",
    "the subject itself (ceiling)",
)
REAL_PROMPTS = (
    "on the beach",
    "on the moon",
    "in front of the Acropolis",
    "in a forest",
    "on a street",
    "in a kitchen",
)


Pictures = list[list[Image.Image]]
"""By prompt."""
Numbers = dict[str, dict[str, Any]]
"""Subject -> numbers of an arm."""


class Taught(NamedTuple):
    """What a model draws that has learned a subject."""

    by_prompt: Pictures
    of_class: list[Image.Image]
    class_before: list[Image.Image]
    """By the untouched model, with the same seeds; none where a method leaves the class alone."""


@dataclass(frozen=True)
class Learner:
    """A subject of the world, and where it is to be drawn."""

    number: int
    scene: Scene
    """A plain portrait, calm, by day."""

    @classmethod
    def of(cls, number: int) -> Learner:
        """Subject ``number``: kinds take turns."""
        fixed: dict[str, object] = {
            "place": "plain",
            "time": "day",
            "mood": "neutral",
            "style": "plain",
            "light": "none",
        }
        return cls(number, Scene.from_seed(SEEDS + number, kind=KINDS[number % len(KINDS)], castle=False, **fixed))

    @property
    def name(self) -> str:
        """Such as 'dog-0'."""
        return f"{self.scene.kind}-{self.number}"

    @property
    def noun(self) -> str:
        """As a prompt says it."""
        return world_words.KIND_NAMES[self.scene.kind]

    def at(self, place: str, time: str, seed: int) -> Scene:
        """The subject somewhere, in a pose of the seed."""
        return replace(self.scene, seed=seed, place=place, time=time, subject=self.scene.seed)

    def photos(self) -> list[Scene]:
        """PHOTOS pictures in places and poses of their own, by day."""
        rng = np.random.default_rng([self.scene.seed, 20])
        places = [str(place) for place in rng.permutation([p for p in places_of(self.scene.kind) if p != "plain"])]
        return [self.at(place, "day", self.scene.seed * 10 + i) for i, place in enumerate(places[:PHOTOS])]

    def asked(self, count: int) -> list[Scene]:
        """Where it is to be drawn: every place by day, then by night and at sunset."""
        places = [place for place in places_of(self.scene.kind) if place != "plain"]
        wanted = [(place, time) for time in ("day", "night", "sunset") for place in places][:count]
        return [self.at(*one, self.scene.seed * 10 + 100 + i) for i, one in enumerate(wanted)]


def where(scene: Scene) -> str:
    """'on the beach at night'."""
    return f"{world_words.PLACE_PHRASES[scene.place]} {world_words.TIME_PHRASES[scene.time]}".strip()


def shown(scenes: Iterable[Scene]) -> list[Image.Image]:
    """Their pictures."""
    return [Image.fromarray(render(scene, SIDE)) for scene in scenes]


class Painter:
    """Draws what is missing, by subject and arm."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.folder, self.asked = Path(asked.folder), asked

    def place(self, one: Learner, arm: str) -> Path:
        """Where the pictures of an arm lie."""
        return self.folder / "pictures" / one.name / arm

    def beside(self, one: Learner) -> None:
        """What a likeness is read against."""
        targets = one.asked(self.asked.prompts)
        others = [lookalike(scene, SEEDS + 10**8 + one.number * 100 + i) for i, scene in enumerate(targets)]
        for name, scenes in {PHOTOGRAPHED: one.photos(), ALIKE: others, CEILING: targets}.items():
            if not self.place(one, name).exists():
                self.keep(one, name, [[picture] for picture in shown(scenes)])
        for name, guidance in {TOLD: None, TOLD_LOW: LOW}.items():
            if not self.place(one, name).exists():
                model, texts = models.load("pocket", "text-to-image"), [captions(scene)[0] for scene in targets]
                self.keep(one, name, self.drawn(model, texts, range(self.asked.count), guidance))

    def drawn(
        self, model: Diffusion, texts: Sequence[str], seeds: Sequence[int], guidance: float | None = None
    ) -> list[list[Image.Image]]:
        """Pictures of each text."""
        steps = self.asked.sampling_steps
        sampling = Sampling(steps=steps, width=SIDE, height=SIDE, guidance_scale=guidance)
        requests = [
            PictureRequest(text, 1000 * number + seed, sampling=sampling)
            for number, text in enumerate(texts)
            for seed in seeds
        ]
        found = [made.image for made in model.generate(requests, 2)]
        return [found[i : i + len(seeds)] for i in range(0, len(found), len(seeds))]

    def learn(self, one: Learner, arm: str) -> None:
        """Teach the subject, and draw it."""
        if not self.place(one, arm).exists():
            texts = [f"a {HOLE} {where(scene)}" for scene in one.asked(self.asked.prompts)]
            made = self.taught(self.place(one, PHOTOGRAPHED), one.noun, arm, texts)
            if made.class_before and not self.place(one, UNTOUCHED).exists():
                self.keep(one, UNTOUCHED, [], [made.class_before])
            self.keep(one, arm, made.by_prompt, [made.of_class])

    def taught(self, photos: Path, noun: str, arm: str, texts: Sequence[str]) -> Taught:
        """What a model draws that has learned a folder of photos: with its last weights, not the best of those seen."""
        settings: dict[str, Any] = {"photos": str(photos), "subject": f"sks {noun}", "class_noun": noun, "seed": 1}
        settings |= {"captions": "captioner", "hold_back": 0, "sampling_steps": self.asked.sampling_steps}
        settings |= {name: value for name, value in ARMS[arm].items() if name != GUIDANCE}
        settings |= {"steps": self.asked.steps} if self.asked.steps else {}
        recipe = Personalize.model_validate(settings)
        work = self.folder / "work" / f"{photos.parent.name} {photos.name}" / arm
        training = setup.set_up(recipe, Workspace(work), Team.joined())
        for step in range(training.plan.steps):
            training.trainer.step(step)
            if (step + 1) % 20 == 0:
                print(f"{photos}, {arm}: {step + 1} of {training.plan.steps} steps", flush=True)
        asked = [text.replace(HOLE, training.subject) for text in texts]
        with training.drawing() as model:
            made = self.drawn(model, asked, range(self.asked.count), ARMS[arm].get(GUIDANCE))
            [of_class] = self.drawn(model, [words.class_prompt(recipe)], setup.class_seeds(recipe, CLASS))
        return Taught(made, of_class, training.untouched.of_class)

    def keep(self, one: Learner, arm: str, made: Pictures, of_class: Pictures | None = None) -> None:
        """Write pictures by prompt, and those of the class: all of an arm, or none."""
        target = self.place(one, arm)
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, groups in {"": made, "class-": of_class or []}.items():
            for number, pictures in enumerate(groups):
                for turn, picture in enumerate(pictures):
                    picture.save(partial / f"{name}{number:02d}-{turn}.png")
        partial.rename(target)
        print(f"{one.name}, {arm}: drawn", flush=True)


class Judges:
    """Who says how good the pictures are."""

    def __init__(self) -> None:
        self.subject, self.perceptual = models.load("pocket", "subject"), models.load("pocket", "perceptual")
        self.judge = referee.load()

    def numbers(self, one: Learner, place: Path, photos: Path, prompts: int) -> dict[str, Any]:
        """Of an arm's pictures, by prompt."""
        found: dict[str, Any] = {"likeness": [], "kind": [], "place": [], "DIV": []}
        real = self.subject.images([picture for pictures in read(photos, "") for picture in pictures])
        for scene, pictures in zip(one.asked(prompts), read(place, ""), strict=False):
            found["likeness"].append([float(v) for v in subject_fidelity(self.subject.images(pictures), real)])
            named = self.judge.name(np.stack([np.asarray(picture) for picture in pictures]))
            for fact in ("kind", "place"):
                found[fact].append([word == getattr(scene, fact) for word in named[fact]])
            found["DIV"].append(self.varied(pictures))
        for pictures in read(place, "class-"):
            found[DIV_CLASS] = self.varied(pictures)
            found["PRES"] = float(np.mean(subject_fidelity(self.subject.images(pictures), real)))
        return found

    def varied(self, pictures: Sequence[Image.Image]) -> float | None:
        """DIV of pictures of one prompt; None of one."""
        both = pairs(len(pictures))
        far = self.perceptual.distance([pictures[i] for i, _ in both], [pictures[j] for _, j in both]) if both else []
        return diversity(far) if far else None


def read(place: Path, name: str) -> Pictures:
    """An arm's pictures by prompt."""
    groups: dict[str, list[Image.Image]] = {}
    for path in sorted(place.glob(f"{name}[0-9]*.png")):
        groups.setdefault(path.stem.removeprefix(name).split("-")[0], []).append(open_picture(path).convert("RGB"))
    return list(groups.values())


def judged(painter: Painter, learners: Sequence[Learner]) -> dict[str, Numbers]:
    """Arm -> subject -> numbers, of all that is drawn."""
    judges, found = Judges(), dict[str, Numbers]()
    for one in learners:
        for arm in (UNTOUCHED, *BESIDE, *ARMS):
            place = painter.place(one, arm)
            if place.exists():
                photos, prompts = painter.place(one, PHOTOGRAPHED), painter.asked.prompts
                found.setdefault(arm, {})[one.name] = judges.numbers(one, place, photos, prompts)
    return found


def likeness(numbers: dict[str, Any]) -> float:
    """The mean over prompts of the mean over their pictures."""
    return float(np.mean([np.mean(row) for row in numbers["likeness"]]))


def summary(found: dict[str, Numbers]) -> dict[str, dict[str, Any]]:
    """Arm -> score -> value, low, high, n subjects. What is compared is compared on the subjects that both have,
    and words by the guidance that is better for them.
    """

    def kept(estimate: Estimate) -> dict[str, Any]:
        return {name: value if value is None else round(value, 4) for name, value in estimate._asdict().items()}

    table: dict[str, dict[str, Any]] = {}
    words = [found[name] for name in (TOLD, TOLD_LOW) if name in found]
    told = max(words, key=lambda rows: np.mean([likeness(one) for one in rows.values()])) if words else {}
    ceiling = found.get(CEILING, {})
    for arm, subjects in found.items():
        row: dict[str, Any] = {}
        if all(one["likeness"] for one in subjects.values()):
            row["likeness"] = kept(mean_interval([likeness(one) for one in subjects.values()], within=(-1, 1)))
            for fact in ("kind", "place"):
                row[fact] = kept(grouped_rate_interval([np.ravel(one[fact]) for one in subjects.values()]))
            both = [name for name in subjects if name in told and name in ceiling and arm not in BESIDE]
            if len(both) > 1:
                of = {
                    key: [likeness(one[name]) for name in both]
                    for key, one in {"arm": subjects, "told": told, "ceiling": ceiling}.items()
                }
                row["likeness above words"] = kept(difference_interval(of["arm"], of["told"], within=(-2, 2)))
                way = (np.mean(of["arm"]) - np.mean(of["told"])) / (np.mean(of["ceiling"]) - np.mean(of["told"]))
                row["share of the way from words to the ceiling"] = {"value": round(float(way), 4), "n": len(both)}
        for name in ("DIV", DIV_CLASS, "PRES"):
            values = [one[name] for one in subjects.values() if one.get(name) and None not in np.ravel(one[name])]
            if values:
                row[name] = kept(mean_interval([float(np.mean(value)) for value in values]))
        before = found.get(UNTOUCHED, {})
        both = [name for name in subjects if arm != UNTOUCHED and DIV_CLASS in before.get(name, {})]
        both = [name for name in both if DIV_CLASS in subjects[name]]
        if len(both) > 1:
            mine, theirs = ([one[name][DIV_CLASS] for name in both] for one in (subjects, before))
            row[DIV_LESS] = kept(difference_interval(mine, theirs))
        table[arm] = row
    return table


def markdown(table: dict[str, dict[str, Any]]) -> str:
    """The table of the guide."""
    columns = ("likeness", "likeness above words", "place", "kind", DIV_CLASS, DIV_LESS)
    lines = ["| | n | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for arm in (UNTOUCHED, *BESIDE, *ARMS):
        if arm in table:
            cells = [said(table[arm].get(name)) for name in columns]
            n = max((one["n"] for one in table[arm].values()), default=0)
            lines.append(f"| {arm} | {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def said(one: dict[str, Any] | None) -> str:
    """A value with its interval."""
    if one is None:
        return ""
    return f"{one['value']:.2f}" + ("" if one["low"] is None else f" ({one['low']:.2f} to {one['high']:.2f})")


def gallery(painter: Painter, learners: Sequence[Learner], arm: str, prompts: int) -> Image.Image:
    """A row a subject: two of the pictures that were learned, and one of each prompt."""
    rows = []
    for one in learners:
        learned, drawn = read(painter.place(one, PHOTOGRAPHED), "")[:2], read(painter.place(one, arm), "")[:prompts]
        rows += [group[0].resize((TILE, TILE), Image.Resampling.LANCZOS) for group in (*learned, *drawn)]
    return mosaic(rows, 2 + prompts)


def real_sheet(painter: Painter, photos: Path, noun: str) -> Path:
    """Learn real photos by the first arm, and lay out what comes of it."""
    texts = [f"a {HOLE} {place}" for place in REAL_PROMPTS]
    made = painter.taught(photos, noun, painter.asked.arms[0], texts).by_prompt
    paths = [path for path in sorted(photos.iterdir()) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    encoder, real = models.load("pocket", "subject"), [open_picture(path).convert("RGB") for path in paths]
    rows = encoder.images(real)
    cells = [Cell(picture.resize((SIDE, SIDE)), "photo") for picture in real[: len(texts)]]
    cells += [Cell(Image.new("RGB", (SIDE, SIDE), "white"))] * (len(texts) - len(cells))
    for turn in range(painter.asked.count):
        pictures = [group[turn] for group in made]
        alike = subject_fidelity(encoder.images(pictures), rows)
        cells += [
            Cell(picture, text.replace(HOLE, noun), (f"likeness {value:.2f}",))
            for picture, text, value in zip(pictures, texts, alike, strict=True)
        ]
    target = painter.folder / f"{photos.name}.png"
    sheet(cells, len(texts), f"{photos.name}: photos, and what pocket makes of them").save(target)
    return target


def main() -> None:
    """Draw what is missing, then print the table of all that is there."""
    parser = argparse.ArgumentParser(prog="benchmarks.subjects", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/subjects"))
    parser.add_argument("--subjects", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first subject; kinds take turns")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--count", type=int, default=4, help="pictures of a prompt")
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--steps", type=int, help="of training; the method's own when not given")
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {RESULTS.name}")
    parser.add_argument("--picture", type=Path, help="file for a picture of what the first arm drew of every subject")
    parser.add_argument("--photos", type=Path, help="a folder of photos of one real subject")
    parser.add_argument("--noun", default="dog", help="what those photos show")
    asked = parser.parse_args()
    painter = Painter(asked)
    if asked.photos is not None:
        print(real_sheet(painter, asked.photos, asked.noun))
        return
    learners = [Learner.of(asked.first + number) for number in range(asked.subjects)]
    for one in learners:
        painter.beside(one)
        for arm in asked.arms:
            painter.learn(one, arm)
    table = summary(judged(painter, learners))
    print(markdown(table))
    if asked.picture:
        gallery(painter, learners, asked.arms[0], min(SHOWN, asked.prompts)).save(
            asked.picture, quality=76, optimize=True
        )
    if asked.write:
        facts = {"prompts": asked.prompts, "pictures of a prompt": asked.count, "sampling steps": asked.sampling_steps}
        RESULTS.write_text(json.dumps(facts | {"arms": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
