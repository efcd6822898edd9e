"""How like a subject pictures from any tool are, how true to their prompts, how varied, and how many are copies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from easel.data import open_set
from easel.errors import EaselError
from easel.files import read_text
from easel.images import READ_SIDE, is_picture, open_picture, scanned
from easel.jobs import likeness
from easel.jobs.generate.prompts import Prompt
from easel.jobs.inputs import gather, opened, read_rows, skipped_notes, thumbnail
from easel.jobs.judges import CLIP_T
from easel.jobs.likeness import COPIES, DIV, SUBJECT, LikenessJudges, Photos
from easel.provenance import read_provenance
from easel.recipes.score import ScoreLikeness
from easel.result import Result
from easel.sheet import MOST_CELLS, Cell, sheet
from easel.workspace import Made, Work, Workspace


class Asked(NamedTuple):
    """A prompt, and the pictures that were made from it: their names and files."""

    name: str
    names: tuple[str, ...]
    paths: tuple[str, ...]


class Alike(Work[ScoreLikeness]):
    """Measure the pictures of prompts against the photos of the subject."""

    def __init__(self, recipe: ScoreLikeness, workspace: Workspace) -> None:
        super().__init__(recipe, workspace)
        self.broken: dict[str, str] = {}
        """Photos that do not open."""

    @cached_property
    def judges(self) -> LikenessJudges:
        """Who measures."""
        return LikenessJudges.load(self.recipe.judge, self.workspace)

    @cached_property
    def real(self) -> Photos:
        """Photos of the subject. Raises EaselError where none opens."""
        return Photos.of(all_of(self.recipe.real, self.workspace, self.broken), self.judges)

    @cached_property
    def trained(self) -> Photos | None:
        """Those that it was taught from, where they are named."""
        photos = self.recipe.photos
        return Photos.of(all_of(photos, self.workspace, self.broken), self.judges) if photos else None

    def __call__(self, items: Sequence[Asked]) -> Made:
        """Of each prompt with pictures that open their names and numbers; and why others do not."""
        broken: dict[str, str] = {}
        found = []
        for one in items:
            paths = {name: Path(path) for name, path in zip(one.names, one.paths, strict=True)}
            inside = opened(one.names, paths, broken, READ_SIDE)
            if inside:
                asked = [(likeness.without(one.name, self.recipe.identifier), list(inside.values()))]
                values = likeness.measure(self.judges, asked, self.real, self.trained)
                found.append((one.name, list(inside), values))
        return {"found": found, "broken": broken}


def run(recipe: ScoreLikeness, workspace: Workspace) -> Result:
    """Compare made pictures with photos of the subject. Raises EaselError and Cancelled."""
    made = gather(places(recipe.made), workspace.folder, Path(recipe.made))
    groups, notes = by_prompt(recipe, made)
    work = Alike(recipe, workspace)
    judges, real, trained, broken = work.judges, work.real, work.trained, work.broken
    asked = [Asked(prompt, tuple(names), tuple(str(made[name]) for name in names)) for prompt, names in groups]
    lost: dict[Asked, str] = {}
    values: likeness.Values = {}
    pictures: list[tuple[str, list[str]]] = []
    for _, judged in workspace.each("judging", work, asked, 1, lost):
        broken |= judged["broken"]
        for prompt, names, numbers in judged["found"]:
            pictures.append((prompt, names))
            for key, group in numbers.items():
                values.setdefault(key, []).extend(group)
    broken |= {name: f"{name}: {why}" for one, why in lost.items() for name in one.names}
    notes += skipped_notes(broken, len(made))
    if not pictures:
        raise EaselError(f"not one picture in {recipe.made} can be opened: {next(iter(broken.values()))}")
    found = likeness.estimates(values)
    if recipe.class_pictures:
        of_class = likeness.of_class(judges, all_of(recipe.class_pictures, workspace, broken), real)
        found |= likeness.estimates(of_class)
    if trained is not None and COPIES not in values:
        notes.append(f"{COPIES}: left out, since one photo, or photos that are all the same, say not how far is near")
    of = f"{sum(len(inside) for _, inside in pictures)} pictures of {len(pictures)} prompts"
    scores = likeness.scores_of(judges, found, of)
    if real.ceiling is not None:
        scores += likeness.scores_of(judges, {SUBJECT: real.ceiling}, f"{len(real.pictures)} photos", " of the photos")
    rows, cells = [], list[Cell]()
    nothing = Image.new("RGB", (1, 1))
    for at, (prompt, inside) in enumerate(pictures):
        for place, name in enumerate(inside):
            own = {key: values[key][at][place] for key in values if key != DIV}
            rows.append((name, prompt, *(f"{number:.6f}" for number in own.values())))
            said = f"{SUBJECT} {own[SUBJECT]:.2f}, {CLIP_T} {own[CLIP_T]:.2f}"
            shown = thumbnail(open_picture(made[name], READ_SIDE)) if len(cells) < MOST_CELLS else nothing
            cells.append(Cell(shown, name, (prompt, said)))
    workspace.save_csv("table.csv", ("file_name", "prompt", *(key for key in values if key != DIV)), rows)
    workspace.save_picture("sheet.png", sheet(cells, heading=f"{of}, judged by {judges.family}"))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("table.csv", "sheet.png"),
        scores=tuple(scores),
        notes=(*notes, judges.fitness.note),
    )


def places(made: str) -> tuple[str, ...]:
    """The folder of made pictures, or those in it that hold some where it holds none itself, by name."""
    folder = Path(made)
    if not folder.is_dir() or any(is_picture(entry) for entry in scanned(folder)):
        return (made,)
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and any(map(is_picture, scanned(path))))
    return tuple(map(str, inside)) or (made,)


def all_of(folder: str, workspace: Workspace, broken: dict[str, str]) -> list[Image.Image]:
    """The pictures of a folder that open. Raises EaselError where none does."""
    names = gather((folder,), workspace.folder)
    found = list(opened(names, names, broken, READ_SIDE).values())
    if not found:
        raise EaselError(f"not one picture in {folder} can be opened: {next(iter(broken.values()))}")
    return found


def by_prompt(recipe: ScoreLikeness, made: dict[str, Path]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """The names of made pictures by the prompt of each, and what is to be known. Raises EaselError where a picture has
    none, or where they cannot be told.
    """
    if recipe.prompts is None:
        return said_of(recipe, made)
    prompts = read_prompts(recipe.prompts)
    names = list(made)
    folders = list(dict.fromkeys(str(Path(name).parent) for name in names))
    if len(folders) == len(prompts) > 1:
        return [
            (prompt, [name for name in names if str(Path(name).parent) == folder])
            for prompt, folder in zip(prompts, folders, strict=True)
        ], [f"each of the {len(prompts)} folders was taken for a prompt, in the order of their names"]
    each, over = divmod(len(names), len(prompts))
    if over or not each:
        raise EaselError(
            f"{len(names)} pictures in {recipe.made} cannot be shared among {len(prompts)} prompts: give equally many "
            "for each, in the order of their names, or a folder for each"
        )
    return [(prompt, names[at * each : (at + 1) * each]) for at, prompt in enumerate(prompts)], []


def said_of(recipe: ScoreLikeness, made: dict[str, Path]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """By captions beside the pictures, else by the prompt inside each."""
    known = open_set(recipe.made)
    captions = {known.folder / name: texts[0] for name, texts in zip(known.names, known.captions, strict=True) if texts}
    found: dict[str, list[str]] = {}
    for name, path in made.items():
        text = captions.get(path) or prompt_inside(path)
        if text is None:
            raise EaselError(f"{name} has no caption and no prompt inside: name a file of prompts with --prompts")
        found.setdefault(" ".join(text.split()), []).append(name)
    return list(found.items()), []


def prompt_inside(path: Path) -> str | None:
    """The prompt that easel wrote into a picture."""
    try:
        recipe = read_provenance(path)["easel"]["recipe"]
    except (EaselError, KeyError, TypeError):
        return None
    text = recipe.get("prompt") if isinstance(recipe, dict) else None
    return text if isinstance(text, str) and text.strip() else None


def read_prompts(file: str) -> list[str]:
    """One prompt a line (with # before a remark), or a YAML set as `easel generate --prompts` takes it.

    Raises EaselError where there is none.
    """
    if Path(file).suffix.lower() in {".yaml", ".yml"}:
        return [row.prompt for row in read_rows(file, Prompt)]
    lines = [line.strip() for line in read_text(file).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise EaselError(f"{file} has no prompts: write one a line")
    return found
