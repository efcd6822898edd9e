"""How near a made set is to a real one: Fréchet and kernel distance (FID and KID where Inception judges), precision and
recall, and the Inception Score where the judge knows classes. Each picture is looked at once, and every number follows
from the same rows.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from easel.data.cache import MOST_SIDE
from easel.errors import EaselError
from easel.jobs.inputs import afar, model_label, thumbnail
from easel.jobs.judges import distance_name, score_of
from easel.jobs.score.set_features import Look, Looks, Pictures, looked_at, picture_at
from easel.metrics.frechet import Frechet, frechet
from easel.metrics.inception_score import PART, inception_score, missing
from easel.metrics.intervals import Estimate
from easel.metrics.kernel import kernel_distance
from easel.metrics.manifold import NEIGHBOURS, nearest, precision_recall
from easel.recipes.score import ScoreSets
from easel.result import Result
from easel.sheet import Cell, sheet
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.set_features import SetFeatureModel

ENOUGH = 2048
"""Below this many pictures the Fréchet distance says more about their number than about what is on them."""
INCEPTION = "Inception Score"
PAIRS = 12
"""Made pictures on the sheet, each beside its nearest real one."""
NUMBERS = 4  # phases of measuring, for the progress


def run(recipe: ScoreSets, workspace: Workspace) -> Result:
    """Compare the set of made pictures with the set of real ones, each in any layout that training reads.

    Raises EaselError on a missing folder, fewer than two pictures that open, and a judge without rows; and Cancelled.
    """
    if recipe.folder is None or recipe.made is None:
        raise EaselError("folder or made is missing: name the folder of real pictures and that of made ones")
    side = recipe.resolution
    sets = [
        _pictures(recipe.folder, side, workspace, recipe.layout, recipe.split),
        _pictures(recipe.made, side, workspace),
    ]
    workspace.step("loading judge", 0, 1)
    look = Look(recipe, workspace)
    judge = look.judge
    workspace.step("loading judge", 1, 1)
    real = looked_at(sets[0], look, workspace, "looking at real pictures")
    made = looked_at(sets[1], look, workspace, "looking at made pictures")
    distance, estimates = measured(judge, real, made, recipe, workspace)
    near, far = nearest(made.rows, real.rows)
    name = f"features:{model_label(recipe.judge)}"
    of = f"{made.said} against {real.said}"
    scores = tuple(score_of(key, estimate, name, of) for key, estimate in estimates.items())
    workspace.save_text("table.csv", table(real, made, near, far))
    heading = f"{of}: made pictures, each with its nearest real one; {scores[0].name} {scores[0].value:.4g}, by {name}"
    workspace.save_picture("sheet.png", sheet(pairs(real, made, near, far, workspace), columns=6, heading=heading))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("table.csv", "sheet.png"),
        texts={"real": real.said, "made": made.said, "resize": resize(judge, recipe.resolution)},
        scores=scores,
        notes=(
            *real.notes,
            *made.notes,
            *judge.notes,
            *warnings(real, made),
            *numbers_notes(judge, distance, estimates, real, made),
        ),
    )


def _pictures(
    folder: str, side: int | None, workspace: Workspace, layout: str | None = None, split: str | None = None
) -> Pictures:
    """The set in a folder, wherever that is. Raises EaselError."""
    found = afar(folder, workspace)
    if found is None:
        return Pictures.of(folder, side, layout, split)
    if layout or split:
        raise EaselError(f"{folder} is a bucket's or has its pictures in shards, without layout or split: leave it out")
    return Pictures.far(folder, side, found)


def resize(judge: SetFeatureModel, side: int | None) -> str:
    """All that happens to the size of a picture on its way to the judge."""
    cut = f"cut to squares of {side} px as for training (the box or the middle, areas averaged), then " if side else ""
    return cut + judge.resize


def measured(
    judge: SetFeatureModel, real: Looks, made: Looks, recipe: ScoreSets, workspace: Workspace
) -> tuple[Frechet, dict[str, Estimate]]:
    """Every number that these sets and this judge allow, by name. Chance (subsets, halves) is the recipe's seed's."""
    workspace.step("measuring", 0, NUMBERS)
    distance, name = frechet(real.rows, made.rows, recipe.seed), distance_name(judge, recipe.judge, "frechet")
    found = {name: distance.distance}
    if distance.corrected is not None:
        found[f"{name} corrected"] = distance.corrected
    workspace.step("measuring", 1, NUMBERS)
    found[distance_name(judge, recipe.judge)] = kernel_distance(real.rows, made.rows, seed=recipe.seed)
    workspace.step("measuring", 2, NUMBERS)
    if min(len(real.names), len(made.names)) > NEIGHBOURS:
        found["precision"], found["recall"] = precision_recall(real.rows, made.rows)
    workspace.step("measuring", 3, NUMBERS)
    if judge.has_classes:
        found[INCEPTION] = inception_score(judge.probabilities(made.rows))
    workspace.step("measuring", NUMBERS, NUMBERS)
    return distance, found


def numbers_notes(
    judge: SetFeatureModel, distance: Frechet, found: dict[str, Estimate], real: Looks, made: Looks
) -> list[str]:
    """What the sets' sizes and the judge do to the numbers, in sentences."""
    (name, value), *_ = found.items()
    sizes = f"{len(made.names):,} and {len(real.names):,} pictures"
    if distance.corrected is not None:
        told = f"expected bias of {name} {value.value:.4g}: {distance.bias:.4g} of it is what {sizes} give by being few"
        notes = [f"{told}, and '{name} corrected' ({distance.corrected.value:.4g}) is without it"]
    else:
        need = 2 * real.rows.shape[1] + 2
        told = f"expected bias of {name} {value.value:.4g}: {distance.bias:.4g} of it or more is what {sizes} give by"
        notes = [f"{told} being few; it can be taken out from {need:,} pictures on in both sets"]
    if "precision" in found:
        network = "Inception" if judge.has_classes else judge.kind.upper()
        notes.append(f"precision and recall are of {network}'s rows: the papers' are of VGG-16's, on another scale")
    if INCEPTION in found and (n := len(made.names)) < 2 * PART and n > NEIGHBOURS:
        lacks = missing(judge.probabilities(made.rows))
        notes.append(
            f"the {INCEPTION} of {n:,} pictures comes out low, by about {lacks:.3g}: papers take 50,000; compare only "
            "at equal n"
        )
    return notes


def warnings(real: Looks, made: Looks) -> list[str]:
    """What a reader of the numbers must know, in sentences."""
    found = []
    least = min(len(real.names), len(made.names))
    if real.contents == made.contents:
        found.append(
            "both sets are the same pictures: the kernel distance, which leaves a picture's own twin out, is then "
            "below 0"
        )
    if least < ENOUGH:
        found.append(
            f"{least:,} pictures are few: the Fréchet distance grows as sets shrink, so compare it only between sets "
            "of these sizes; the kernel distance does not"
        )
    if least <= real.rows.shape[1]:
        found.append(
            "the Fréchet distance has no interval: this judge needs more than "
            f"{real.rows.shape[1]:,} pictures in both sets"
        )
    if least <= NEIGHBOURS:
        found.append(f"precision and recall need more than {NEIGHBOURS} pictures in both sets")
    if set(real.formats) != set(made.formats):
        found.append(
            f"the real pictures are {real.format} and the made ones {made.format}: compression is measured along with "
            "what is drawn (Parmar et al. 2022); save both sets the same way"
        )
    if real.size != made.size:
        found.append(
            f"the real pictures are {real.size} and the made ones {made.size}: how they are resized is measured too; "
            + advice(made)
        )
    return found


def advice(made: Looks) -> str:
    """How to bring both sets to one size."""
    ((width, height), *others) = set(made.sizes)
    if others or width != height or width > MOST_SIDE:
        return "bring the real ones to the size of the made ones as the generator's data were"
    return f"--resolution {width} cuts both to squares of that side, as `easel train` cuts what it learns from"


def table(real: Looks, made: Looks, near: NDArray[np.intp], far: NDArray[np.float64]) -> str:
    """table.csv: every made picture, its nearest real one, and how far that is in the judge's rows."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("made", "nearest real", "distance"))
    for name, place, distance in zip(made.names, near, far, strict=True):
        writer.writerow((name, real.names[place], f"{distance:.6f}"))
    return written.getvalue()


def pairs(
    real: Looks, made: Looks, near: NDArray[np.intp], far: NDArray[np.float64], workspace: Workspace
) -> list[Cell]:
    """Made pictures from all over the set, each followed by its nearest real one: learned by heart shows here."""
    cells: list[Cell] = []
    count = min(PAIRS, len(made.names))
    for index in np.linspace(0, len(made.names) - 1, count).round().astype(int):
        ours, theirs = made.names[index], real.names[near[index]]
        with workspace.near([made.pictures.place(ours), real.pictures.place(theirs)]) as places:
            both = [thumbnail(picture_at(place, made.pictures.side)) for place in places]
        cells += [Cell(both[0], ours, ("made",)), Cell(both[1], theirs, (f"nearest real, {far[index]:.2f} away",))]
    return cells
