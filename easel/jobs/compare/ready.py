"""Ready pictures, of any tool, against the photos they were made from: the scores of an edit, and nothing is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from easel.errors import EaselError, printable
from easel.images import open_picture
from easel.jobs.compare.cells import Row
from easel.jobs.edit.verdict import Judge, judge_of
from easel.jobs.inputs import gather, opened, skipped_notes
from easel.jobs.steering import check_shape
from easel.recipes.compare import Compare
from easel.workspace import Workspace


def compared(recipe: Compare, workspace: Workspace, phase: str) -> tuple[dict[str, Path], list[Row], list[str]]:
    """The photos by name, a row for each picture as `cells.Cell.run` gives them, and notes.

    A picture of another size is brought to the photo's; one of other proportions fails. Raises EaselError where nothing
    is there to compare, and Cancelled.
    """
    against = str(recipe.against)
    photos = gather((against,), workspace.folder)
    candidates = _by_photo(recipe, photos, workspace) if Path(against).is_dir() else _of_one(recipe, photos, workspace)
    broken: dict[str, str] = {}
    judge = Judge.load(recipe.judge, workspace)
    rows: list[Row] = []
    fitted = 0
    total = len(candidates) * len(photos)
    for name in photos:
        photo = opened([name], photos, broken).get(name)
        for label, pictures in candidates.items():
            workspace.step(phase, len(rows), total)
            row: Row = {"candidate": label, "photo": name, "seed": None}
            if photo is not None:
                rows.append(row | _scored(recipe, judge, photo, pictures.get(name), name))
                fitted += rows[-1].pop("fitted", False)
    workspace.step(phase, total, total)
    sizes = f"{fitted} pictures have another size than their photo, and were brought to it" if fitted else ""
    notes = [*skipped_notes(broken, len(photos)), *([sizes] if sizes else []), *judge.notes]
    order = {label: place for place, label in enumerate(candidates)}
    rows.sort(key=lambda row: order[row["candidate"]])
    return {name: path for name, path in photos.items() if name not in broken}, rows, notes


def _scored(recipe: Compare, judge: Judge, photo: Image.Image, path: Path | None, name: str) -> Row:
    """What a row says of a picture."""
    try:
        if path is None:
            raise EaselError(f"there is no picture for {name}: give it the photo's name")
        picture = open_picture(path)
        check_shape("picture", picture, photo)
    except EaselError as problem:
        return {"failed": printable(problem), "seconds": 0.0}
    fitted = picture.size != photo.size
    whole = picture.resize(photo.size, Image.Resampling.LANCZOS) if fitted else picture
    values = judge.values(photo, whole, recipe.caption or "", recipe.prompt or "", None)
    numbers = [(score, judge_of(recipe.judge, score), value) for score, value in values.items()]
    return {"pictures": [str(path.absolute())], "values": numbers, "notes": [], "seconds": 0.0, "fitted": fitted}


def _of_one(recipe: Compare, photos: Mapping[str, Path], workspace: Workspace) -> dict[str, dict[str, Path]]:
    """Of one photo every picture is a candidate."""
    (photo,) = photos
    found = gather(recipe.pictures, workspace.folder)
    return {label: {photo: path} for label, path in found.items()}


def _by_photo(recipe: Compare, photos: Mapping[str, Path], workspace: Workspace) -> dict[str, dict[str, Path]]:
    """Of a folder of photos every folder of pictures is a candidate; a picture has its photo's name, with any ending.

    Raises EaselError on what is no folder, and on two pictures for one photo.
    """
    wanted = {Path(name).with_suffix("").as_posix(): name for name in photos}
    found: dict[str, dict[str, Path]] = {}
    for folder in recipe.pictures:
        if not Path(folder).is_dir():
            raise EaselError(f"{folder} is no folder: against a folder of photos, give folders of pictures")
        label = Path(folder).name if all(Path(folder).name != other for other in found) else folder
        mine: dict[str, Path] = {}
        for path in gather((folder,), workspace.folder).values():
            name = wanted.get(path.relative_to(folder).with_suffix("").as_posix())
            if name in mine:
                raise EaselError(f"{folder} has two pictures for {name} ({mine[name].name} and {path.name}): leave one")
            if name is not None:
                mine[name] = path
        if not mine:
            raise EaselError(f"{folder} has no picture with the name of a photo of {recipe.against}")
        found[label] = mine
    return found
