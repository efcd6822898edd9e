"""One thing changed in photos: open, choose the way, load, draw, bring back to the photo's size, judge, return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageFilter

from easel import models
from easel.errors import EaselError
from easel.images import LEAST_SIDE, open_picture
from easel.jobs import journal
from easel.jobs.edit import depth as depth_models
from easel.jobs.edit.editor import Editor, Subject
from easel.jobs.edit.maps import beside_note, wanted_maps
from easel.jobs.edit.method import chosen
from easel.jobs.edit.verdict import ALWAYS, Judge, Map, lines, scores_of
from easel.jobs.frame import Frame
from easel.jobs.inputs import file_name, gather, joined, model_label, opened, skipped_notes, thumbnail
from easel.jobs.painter import PlannedPicture
from easel.jobs.steering import Steering, WantedMap, check_shape
from easel.jobs.stylize.subject import subject_of
from easel.models.diffusion import maps, masks
from easel.recipes.edit import Edit
from easel.result import Result
from easel.sheet import Cell, sheet
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.captioners import Captioner

TASK = {"instruct": "instruct", "redraw": "image-to-image", "inpaint": "inpaint"}
"""Method -> row of `tasks.TASKS`; the others follow control maps, see `task_of`."""
PHASE = "editing"
SHOWN = 1024
"""Pixels of the longer side of what goes onto the sheet."""

Row = dict[str, Any]
"""One edited picture, as the journal keeps it: key, photo, caption, prompt, file, drawn, carried, maps, depth (who
judged it), values."""


def run(recipe: Edit, workspace: Workspace) -> Result:
    """Edit the photos of an Edit recipe, going on where an earlier run stopped. Raises EaselError and Cancelled."""
    recipe, why = chosen(recipe)
    photos = gather((recipe.photo,), workspace.folder)
    mask = None if recipe.mask is None else mask_of(recipe, recipe.mask)
    wanted = wanted_maps(recipe)
    done = journal.Journal(workspace.path(journal.NAME), is_row)
    broken: dict[str, str] = {}
    bench: Workbench | None = None
    for number, name in enumerate(photos):
        left = [turn for turn in range(recipe.count) if key_of(name, turn) not in done.rows]
        photo = opened([name], photos, broken).get(name) if left else None
        if photo is None:
            continue
        if mask is not None:
            check_shape("mask", mask, photo)
        bench = bench or Workbench.load(recipe, wanted, mask, workspace, photos)
        done.append(bench.rows(number, name, photo, left))
    keys = [key_of(name, turn) for name in photos for turn in range(recipe.count)]
    notes = [
        why,
        beside_note(recipe),
        *done.notes,
        *skipped_notes(broken, len(photos)),
        *(bench.notes if bench else []),
    ]
    rows = [done.rows[key] for key in keys if key in done.rows]
    return finished(recipe, workspace, photos, rows, [note for note in notes if note])


def task_of(recipe: Edit) -> str:
    """The row of `tasks.TASKS` that a recipe asks for: by a control map alone, from the photo, or in a mask."""
    if recipe.method in TASK:
        return TASK[recipe.method]
    if recipe.method.startswith("adapter-"):
        return "adapter"
    if recipe.mask is not None:
        return "control-inpaint"
    return "control" if recipe.strength is None else "control-image-to-image"


def key_of(name: str, turn: int) -> str:
    """The journal's key of one picture of a photo."""
    return f"{name}|{turn}"


def is_row(row: Row) -> bool:
    """Whether a row of the journal says what `Workbench.rows` says."""
    words = [*(row[name] for name in ("photo", "caption", "prompt", "file", "drawn", "depth")), *row["maps"]]
    values = row["values"]
    return all(isinstance(word, str) for word in words) and all(isinstance(values[name], float) for name in ALWAYS)


def mask_of(recipe: Edit, file: str) -> Image.Image:
    """The mask, white where the photo is changed, with the soft edge that was asked for. Transparent is black."""
    opened_mask = open_picture(file, ground="black")
    if masks.is_coloured(opened_mask):
        raise EaselError(f"mask: {file} has colours: paint what is to be changed white, and what is kept black")
    mask = masks.levels(opened_mask)
    if recipe.mask_invert:
        mask = mask.point([255 - level for level in range(256)])
    if recipe.mask_feather:
        mask = mask.filter(ImageFilter.GaussianBlur(recipe.mask_feather / 2))
    if mask.getextrema()[1] < masks.HALF:  # type: ignore[operator]
        raise EaselError(
            f"mask: {file} marks nothing: what is to be changed is white in it (--mask-invert: black), and transparent "
            "is black"
        )
    return mask


@dataclass(frozen=True, eq=False)
class Workbench:
    """Everything loaded that the photos go through."""

    recipe: Edit
    mask: Image.Image | None
    editor: Editor
    steering: Steering | None
    judge: Judge
    captioner: Captioner | None
    workspace: Workspace
    photos: dict[str, Path]

    @classmethod
    def load(
        cls,
        recipe: Edit,
        wanted: list[WantedMap],
        mask: Image.Image | None,
        workspace: Workspace,
        photos: dict[str, Path],
    ) -> Workbench:
        """Load the models. Raises EaselError."""
        needs_depth = any(one.ready is None and maps.KINDS[one.kind].needs_depth for one in wanted)
        depth = depth_models.load(recipe, workspace, needs_depth)
        judge = Judge.load(recipe.judge, workspace, depth, (recipe.canny_low, recipe.canny_high))
        captioner = None if recipe.caption else models.load(recipe.captioner, "caption", workspace.device)
        editor = Editor(recipe, recipe.model, workspace, recipe.strength, task_of(recipe))
        editor.keep, editor.expected = recipe.keep_details, len(photos) * recipe.count
        steering = None
        if wanted:
            model = depth.model if depth else None
            steering = Steering.load(recipe, recipe.method, wanted, editor.model, workspace, model)
        return cls(recipe, mask, editor, steering, judge, captioner, workspace, photos)

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return [*self.editor.notes, *(self.steering.notes if self.steering else []), *self.judge.notes]

    def rows(self, number: int, name: str, photo: Image.Image, left: Sequence[int]) -> list[Row]:
        """Edit photo `number` of all as often as is left, save, judge: a row for each picture."""
        frame = Frame.of(photo, self._size(photo))
        mask = None if self.mask is None else self.mask.resize(photo.size, Image.Resampling.LANCZOS)
        controls = self.steering.controls(photo, frame) if self.steering else None
        fitted = self.editor.take(Subject(photo, frame, mask, controls))
        caption, prompt = self._words(photo)
        planned = [self._planned(number, turn, name, prompt) for turn in left]
        followed = self._followed()
        shown = self._show(planned[0].file, followed) if self.recipe.show_control else []
        each = self.recipe.count * self.editor.steps
        done = (number + 1) * each - len(planned) * self.editor.steps
        total = len(self.photos) * each
        pictures = self.editor.draw(planned, fitted, phase=PHASE, done=done, total=total)
        return [
            {
                "key": key_of(name, turn),
                "photo": name,
                "caption": caption,
                "prompt": one.prompt,
                "file": one.file,
                "maps": shown,
                "depth": self.judge.depth.label if self.judge.depth else "",
                "values": self.judge.values(photo, picture, caption, one.prompt, mask, followed),
                **self._kept(one.file),
            }
            for turn, one, picture in zip(left, planned, pictures, strict=True)
        ]

    def _kept(self, file: str) -> Row:
        """Where what was drawn lies, and how much of the change is carried, where details were kept."""
        made = self.editor.made[file]
        drawn = f"drawn/{file}"
        part = made.part if min(made.part.size) >= LEAST_SIDE else made.part.resize(self.editor.subject.photo.size)
        self.workspace.save_picture(drawn, part)
        return {"drawn": drawn, "carried": None if made.carried is None else made.carried.explained}

    def _followed(self) -> list[Map]:
        """The maps that the photo's edits follow."""
        subject, wanted = self.editor.subject, self.steering.wanted if self.steering else []
        pairs = zip(wanted, subject.controls or (), strict=True)
        return [(one.kind, subject.frame.back(control.image)) for one, control in pairs]

    def _show(self, file: str, followed: Sequence[Map]) -> list[str]:
        """Save the maps of the photo, and give their names."""
        names = []
        for kind, image in followed:
            names.append(f"controls/{file.removesuffix('.png')}-{kind}.png")
            self.workspace.save_picture(names[-1], image)
        return names

    def _size(self, photo: Image.Image) -> tuple[int, int]:
        """Width and height at which the model draws this photo."""
        of = self.steering.multiple if self.steering else 8
        width, height = (max(of, round(side / of) * of) for side in self.editor.size_for(photo))
        return width, height

    def _words(self, photo: Image.Image) -> tuple[str, str]:
        """What the photo shows, and the prompt that the method takes."""
        recipe = self.recipe
        if self.captioner is None:
            caption = recipe.caption or ""
            return caption, recipe.prompt if recipe.method == "instruct" else joined(caption, recipe.prompt)
        return subject_of(photo, self.captioner, recipe.captioner).caption, recipe.prompt

    def _planned(self, number: int, turn: int, name: str, prompt: str) -> PlannedPicture:
        recipe = self.recipe
        words = f"{Path(name).stem} {recipe.prompt}" if len(self.photos) > 1 else recipe.prompt
        file = file_name(number * recipe.count + turn, len(self.photos) * recipe.count, words)
        alone = recipe.for_picture(turn, photo=str(self.photos[name]), show_control=False)
        return PlannedPicture(file, prompt, recipe.negative_prompt, recipe.seed + turn, alone)


def finished(
    recipe: Edit, workspace: Workspace, photos: dict[str, Path], rows: Sequence[Row], notes: Sequence[str]
) -> Result:
    """Lay out the sheet and the table, and give the result."""
    cells: list[Cell] = []
    for index, row in enumerate(rows):
        if index == 0 or row["photo"] != rows[index - 1]["photo"]:
            photo = open_picture(photos[row["photo"]], SHOWN)
            cells.append(Cell(thumbnail(photo), row["photo"], (row["caption"],)))
        cells.append(Cell(thumbnail(open_picture(workspace.path(row["drawn"]))), "as the model drew it", ()))
        kept = () if row["carried"] is None else (f"details kept; light and colour carry {row['carried']:.0%}",)
        picture = open_picture(workspace.path(row["file"]), SHOWN)
        cells.append(Cell(thumbnail(picture), "edited", (row["file"], *lines(row["values"]), *kept)))
    who = f"{model_label(recipe.model)} ({recipe.method}), judged by {model_label(recipe.judge)}"
    columns = 1 + 2 * recipe.count if recipe.count <= 3 else None
    workspace.save_picture("sheet.png", sheet(cells, columns, f"{recipe.prompt[:150]}: {who}"))
    names = list(dict.fromkeys(name for row in rows for name in row["values"]))
    table = [
        [row["photo"], row["file"], row["caption"], row["prompt"], row["carried"], *map(row["values"].get, names)]
        for row in rows
    ]
    workspace.save_csv("table.csv", ("photo", "file", "caption", "prompt", "carried", *names), table)
    others = dict.fromkeys(name for row in rows for name in (*row["maps"], row["drawn"]))
    return Result(
        kind=recipe.kind,
        pictures=tuple(row["file"] for row in rows),
        files=("sheet.png", "table.csv", *others),
        texts={"method": recipe.method} | {row["file"]: row["prompt"] for row in rows},
        scores=tuple(scores_of(recipe.judge, rows)),
        notes=tuple(notes),
    )
