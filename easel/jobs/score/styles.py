"""The style-success metric over a folder: is each photo, in each style and by each method, recognised as in the style,
and would the judge have said so anyway?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from easel import models
from easel.jobs import journal
from easel.jobs.inputs import batches, gather, opened, shortened_list, skipped_notes
from easel.jobs.judges import Verdict, load_judges, verdicts
from easel.jobs.score.style_report import Row, finished
from easel.jobs.stylize.restyled import plan_pictures
from easel.jobs.stylize.restyler import BY_CAPTION, Restyler
from easel.jobs.stylize.styles import Style, styles_of
from easel.jobs.stylize.subject import Subject, subject_of, untaught_notes
from easel.jobs.transfer import StylePainter, StylePictures, style_pictures
from easel.recipes.score import ScoreStyles
from easel.recipes.stylize import Stylize
from easel.recipes.transfer import Transfer
from easel.result import Result
from easel.workspace import Made, Work, Workspace

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion

PHASE = "drawing and judging"
NEURAL = "neural"
"""The method that takes a style from a picture, and paints without a diffusion model."""


class Sitting(NamedTuple):
    """A photo that is drawn by a method in some styles: its place among the photos, and the number of its seeds."""

    name: str
    path: str
    method: str
    styles: tuple[str, ...]
    at: int
    number: int


class Restyle(Work[ScoreStyles]):
    """Draw photos in styles, and judge them."""

    reports = True

    def __init__(self, recipe: ScoreStyles, workspace: Workspace, photos: Mapping[str, Path] | None = None) -> None:
        """`photos` are all of the run, where they are known: progress is told of them."""
        super().__init__(recipe, workspace)
        self.photos = dict(photos or {})

    @cached_property
    def bench(self) -> Workbench:
        """What photos go through. Raises EaselError where a model is not there."""
        styles = styles_of(self.recipe)
        neural = styles_for(self.recipe, NEURAL, styles) if NEURAL in self.recipe.method else None
        pictures = {} if neural is None else style_pictures(self.recipe, neural)
        return Workbench(self.recipe, styles, self.workspace, self.photos, pictures)

    def __call__(self, items: Sequence[Sitting]) -> Made:
        """The rows of each that opens, why others do not, and of which it is not known what they show."""
        bench, rows = self.bench, list[Row]()
        broken: dict[str, str] = {}
        unknown: dict[str, str] = {}
        for one in items:
            self.photos[one.name] = Path(one.path)
            bench.take(one.method, styles_for(self.recipe, one.method, bench.all_styles))
            todo = [style for style in bench.styles if style.name in one.styles]
            picture = opened([one.name], self.photos, broken).get(one.name) if todo else None
            if picture is not None:
                subject = bench.subject(one.name, picture)
                if one.method in BY_CAPTION and subject.doubt:
                    unknown[one.name] = f"{one.name}: {subject.doubt}"
                else:
                    rows += bench.rows(one.at, one.number, one.name, picture, subject, todo)
            bench.report(one.at, bench.each)
        return {"rows": rows, "broken": broken, "unknown": unknown, "notes": bench.notes}


def run(recipe: ScoreStyles, workspace: Workspace) -> Result:
    """Measure the styles over a folder, going on where an earlier run stopped. Raises EaselError and Cancelled."""
    styles = styles_of(recipe)
    able: dict[str, list[Style]] = {method: styles_for(recipe, method, styles) for method in recipe.method}
    photos = gather((recipe.folder,), workspace.folder)
    done = journal.Journal(workspace.path(journal.NAME), is_row)
    broken: dict[str, str] = {}
    unknown: dict[str, str] = {}
    notes = list(done.notes)

    def left(method: str, name: str) -> tuple[str, ...]:
        if workspace.crowd is not None:  # which keeps what it has done itself
            return tuple(style.name for style in able[method])
        return tuple(style.name for style in able[method] if key_of(name, style, method) not in done.rows)

    waiting = [method for method in able if any(left(method, name) for name in photos)]
    if waiting:
        numbers = photo_numbers(done, photos)
        work, lost = Restyle(recipe, workspace, photos), dict[Sitting, str]()
        if workspace.crowd is None:
            for method in reversed(waiting):  # what cannot be loaded is said before anything is drawn
                work.bench.take(method, able[method])
        for method in waiting:
            sittings = [
                Sitting(name, str(path), method, left(method, name), index, numbers[name])
                for index, (name, path) in enumerate(photos.items())
            ]
            for _, made in workspace.each(phase_of(recipe, method), work, sittings, 1, lost):
                done.append(made["rows"])
                broken |= made["broken"]
                unknown |= made["unknown"]
                notes += [note for note in made["notes"] if note not in notes]
        broken |= {one.name: f"{one.name}: {why}" for one, why in lost.items()}
    wanted = [key_of(name, style, method) for method in able for name in photos for style in able[method]]
    rows = [done.rows[key] for key in wanted if key in done.rows]
    doubted = {row["photo"]: row["doubt"] for row in rows if row.get("doubt")}
    for name, doubt in [*doubted.items()][:1]:
        notes.append(f"{len(doubted)} of {len(photos)} photos have the style's words alone as prompt; {name}: {doubt}")
    if len(able) == 1:
        broken |= unknown
    elif unknown:
        said = "; ".join(shortened_list([*unknown.values()]))
        notes.append(f"{' and '.join(BY_CAPTION)}: {len(unknown)} of {len(photos)} photos are left out: {said}")
    lacking = [style.label for style in styles if style not in able.get(NEURAL, styles)]
    if lacking:
        notes.append(f"{NEURAL} takes a style from a picture, and these have none: {', '.join(lacking)}")
    return finished(recipe, workspace, styles, photos, rows, [*skipped_notes(broken, len(photos)), *notes])


def phase_of(recipe: ScoreStyles, method: str) -> str:
    """What progress is called."""
    return PHASE if len(recipe.method) == 1 else f"{PHASE} ({method})"


def styles_for(recipe: ScoreStyles, method: str, styles: list[Style]) -> list[Style]:
    """The styles that a method draws: all, but beside others neural transfer only those that have a picture."""
    if method != NEURAL or recipe.style or len(recipe.method) == 1:
        return styles
    return [style for style in styles if style.image] or styles


def is_row(row: dict[str, Any]) -> bool:
    """Whether a row of the journal says what `Workbench.rows` says, or names the photos."""
    if row["key"] == "photos":
        return all(isinstance(name, str) for name in row["names"])
    words = [row.get("doubt", ""), row.get("method", "")]
    words += [row[name] for name in ("photo", "style", "caption", "prompt", "question")]
    words += row["files"]
    numbers = [value for verdict in row["verdicts"] for value in Verdict.of(verdict).values.values()]
    is_told = all(isinstance(word, str) for word in words) and all(isinstance(value, float) for value in numbers)
    return is_told and 0 < len(row["files"]) == len(row["seeds"]) == len(row["verdicts"])


def photo_numbers(done: journal.Journal, photos: dict[str, Path]) -> dict[str, int]:
    """Each photo's number, on which its seeds rest: kept when the folder grows, so that a new photo moves no other."""
    known = list(done.rows.get("photos", {}).get("names", []))
    names = [*known, *(name for name in photos if name not in known)]
    if names != known:
        done.append([{"key": "photos", "names": names}])
    return {name: number for number, name in enumerate(names)}


def key_of(photo: str, style: Style, method: str) -> str:
    """The journal's key of one photo in one style by one method."""
    return f"{photo}|{style.name}|{method}"


class Workbench:
    """What the photos go through: the judges, the captioner, and the painter of one method at a time."""

    def __init__(
        self,
        recipe: ScoreStyles,
        styles: list[Style],
        workspace: Workspace,
        photos: dict[str, Path],
        pictures: Mapping[str, StylePictures],
    ) -> None:
        """Load judges and captioner. `pictures` are those that neural transfer takes styles from. Raises EaselError."""
        self.recipe, self.all_styles, self.workspace, self.photos = recipe, styles, workspace, photos
        self.judges = load_judges(recipe.judge, workspace)
        self.captioner = models.load(recipe.captioner, "caption", workspace.device)
        self._pictures = pictures
        self._subjects: dict[str, Subject] = {}
        self.method = ""
        self.painter: Restyler | StylePainter

    def take(self, method: str, styles: list[Style]) -> None:
        """From now on draw by this method, in these styles. Raises EaselError where its models are not there."""
        if method == self.method:
            return
        loaded = self._weights_for(method)
        if self.method:
            del self.painter  # its weights make room for the next ones
        if method == NEURAL:
            self.painter = StylePainter(self.recipe, self._pictures, self.workspace)
        else:
            self.painter = Restyler(self.recipe, method, self.workspace, loaded)
            self.painter.expected = len(self.photos) * len(styles) * self.recipe.count
        self.method, self.styles = method, styles

    def _weights_for(self, method: str) -> Diffusion | None:
        """The loaded model, where it serves the next method too: of one base, all but instruct draw with the same."""
        drawing = {self.method, method}
        return self.painter.model if self.method and not drawing & {NEURAL, "instruct"} else None  # type: ignore[return-value]

    def subject(self, name: str, picture: Image.Image) -> Subject:
        """What a photo shows, asked once."""
        if name not in self._subjects:
            self._subjects[name] = subject_of(picture, self.captioner, self.recipe.captioner)
        return self._subjects[name]

    @property
    def notes(self) -> list[str]:
        """What a person should know about the painter."""
        untaught: list[str] = []
        if isinstance(self.painter, Restyler):
            untaught = untaught_notes(self.painter.untaught, self.styles, self.painter.name)
        return [*untaught, *self.painter.notes]

    @property
    def phase(self) -> str:
        """What progress is called."""
        return phase_of(self.recipe, self.method)

    @property
    def each(self) -> int:
        """Picture-steps that a photo takes."""
        return len(self.styles) * self.recipe.count * self.painter.steps

    def report(self, index: int, done: int) -> None:
        """Report `done` picture-steps of photo `index`."""
        self.workspace.step(self.phase, index * self.each + min(done, self.each), len(self.photos) * self.each)

    def rows(
        self, index: int, number: int, name: str, original: Image.Image, subject: Subject, left: Sequence[Style]
    ) -> list[Row]:
        """Take the photo at `index`, draw it in the styles that are left, judge: a row for each style."""
        self.report(index, 0)
        photo = self.painter.fitted(original)
        caption, count = subject.caption, self.recipe.count
        first = number * len(self.all_styles) * count
        folder = f"pictures/{name}/" if len(self.recipe.method) == 1 else f"pictures/{name}/{self.method}/"
        planned = batches(plan_pictures(self._alone(name), self.all_styles, caption, first, folder), count)
        by_style = dict(zip((style.name for style in self.all_styles), planned, strict=True))
        pictures = [one for style in left for one in by_style[style.name]]
        skipped = self.each - len(pictures) * self.painter.steps
        done, total = index * self.each + skipped, len(self.photos) * self.each
        images = self.painter.draw(pictures, photo, phase=self.phase, done=done, total=total)
        each = [style for style in left for _ in range(count)]
        shown, questions = [style.prompt_for(caption) for style in each], [style.question for style in each]
        found = batches(verdicts(self.judges, photo, images, shown, questions), count)
        return [
            {
                "key": key_of(name, style, self.method),
                "photo": name,
                "style": style.name,
                "method": self.method,
                "caption": caption,
                "doubt": "" if self.method == "instruct" else subject.doubt,
                "prompt": by_style[style.name][0].prompt,
                "question": style.question,
                "files": [one.file for one in by_style[style.name]],
                "seeds": [one.seed for one in by_style[style.name]],
                "verdicts": [verdict.values for verdict in mine],
            }
            for style, mine in zip(left, found, strict=True)
        ]

    def _alone(self, name: str) -> Stylize | Transfer:
        """The recipe that draws a photo by the method, as it stands in its pictures."""
        kind = Transfer if self.method == NEURAL else Stylize
        mine = self.recipe.model_copy(update={"method": (self.method,)}).plain()
        shared = {name: value for name, value in mine.items() if name in kind.model_fields}
        own = {"kind": kind.model_fields["kind"].default, "photo": str(self.photos[name])}
        if isinstance(self.painter, Restyler):
            own |= {"method": self.method, "model": self.painter.name}
        return kind.model_validate(shared | own)
