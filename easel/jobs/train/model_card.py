"""What lies beside the weights of a trained model: its sheet, its curves, its card, and its config."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from easel import networks
from easel.charts import training_curves
from easel.jobs.inputs import model_label
from easel.jobs.judges import distance_name, score_of
from easel.jobs.train.setup import Training
from easel.metrics.intervals import Estimate
from easel.models import trained
from easel.result import Result, Score
from easel.sheet import mosaic
from easel.tensors import to_pictures
from easel.training.batches import Conditions
from easel.training.evaluation import METRICS, Evaluator
from easel.version import __version__
from easel.workspace import Workspace

DRAWN_FROM = {
    "nothing": "nothing but its latent",
    "labels": "a class",
    "attributes": "attributes",
    "captions": "a caption",
}
"""Kind of condition -> words."""
EXAMPLE = {
    "nothing": " --count 8",
    "labels": " --count 8 --label NAME",
    "attributes": " --count 8 --attribute NAME=+1",
    "captions": ' "WORDS" --count 8',
}
"""Kind of condition -> the rest of a command that draws."""
REAL = 8
"""Real pictures above the samples."""
NOT_DONE = ("kimg", "score_every")
"""Of a plan: what a network does unasked, which need not be what was done."""
SCORES_NOTE = """The kernel distance is that of KID (Binkowski et al. 2018); by another judge than Inception it cannot
be compared with published numbers. Diversity is the variance of the pictures as the judge sees them, as a share of the
set's."""


def config(training: Training) -> dict[str, Any]:
    """config.json: all that is needed to draw with the weights, and what they learned from."""
    conditions, recipe = training.conditions, training.recipe
    return {
        "easel": __version__,
        "network": networks.settings(training.config),
        "condition": conditions.kind,
        "names": list(conditions.names),
        "shares": shares(conditions),
        "text_encoder": recipe.model if conditions.kind == "captions" else None,
        "data": {
            "name": training.data_name,
            "layout": training.pictures.layout,
            "pictures": len(training.data),
            "hash": training.data.hash,
            "licence": recipe.licence,
        },
    }


def shares(conditions: Conditions) -> list[float]:
    """How often each class or attribute is in the set, so that what is not asked for is drawn as it was seen."""
    values: Any = conditions.values
    if conditions.kind == "labels":
        return [float(share) for share in np.bincount(values, minlength=len(conditions.names)) / len(values)]
    return [float(share) for share in values.mean(axis=0)] if conditions.kind == "attributes" else []


def write_pages(training: Training, evaluator: Evaluator, workspace: Workspace, notes: Sequence[str]) -> Result:
    """Write sheet, curves and card; the result of the run."""
    recipe, best = training.recipe, evaluator.best
    workspace.step("writing", 0, 1)
    scores = tuple(scores_of(training, evaluator))
    title, judged = f"{recipe.network} on {training.data_name}", distance_name(evaluator.judge, recipe.judge)
    workspace.save_picture("sheet.png", sheet(training, evaluator, workspace))
    workspace.save_bytes("chart.png", training_curves(evaluator.rows, title, judged))
    workspace.save_text("README.md", card(training, evaluator, scores, notes))
    workspace.step("writing", 1, 1)
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("sheet.png", "chart.png", METRICS, "README.md", trained.CONFIG, trained.WEIGHTS),
        texts={
            "model": f"{recipe.network}, {recipe.resolution} px, after {best.kimg if best else 0:.4g} kimg",
            "data": f"{len(training.data):,} pictures, {training.data.hash[:12]}",
        },
        scores=scores,
        notes=tuple(notes),
    )


def sheet(training: Training, evaluator: Evaluator, workspace: Workspace) -> Image.Image:
    """Pictures of the set in the first row, below them what the best model makes of the fixed latents."""
    source = training.batches
    generator = trained.read_players(workspace.folder, training.config)["generator"].to(source.device).eval()
    made = evaluator.drawn(generator, training.recipe.count)
    places = np.linspace(0, len(training.data) - 1, REAL).astype(np.int64)
    above, below = mosaic(to_pictures(source.pixels(places)), REAL), mosaic(made, REAL)
    page = Image.new("RGB", (above.width, above.height + below.height + 12), (250, 249, 246))
    page.paste(above, (0, 0))
    page.paste(below, (0, above.height + 12))
    return page


def scores_of(training: Training, evaluator: Evaluator) -> list[Score]:
    """Kernel distance of the best model and before training, and the best model's precision and recall."""
    judge = f"features:{model_label(training.recipe.judge)}"
    of = f"{training.recipe.network} against {training.data_name}"
    best, before = evaluator.best, evaluator.untrained
    name = distance_name(evaluator.judge, training.recipe.judge)
    found = []
    if best is not None:
        found.append(score_of(name, Estimate(best.distance, best.low, best.high, int(best.made)), judge, of))
    if before is not None:
        estimate = Estimate(before.distance, before.low, before.high, int(before.made))
        found.append(score_of(f"{name} untrained", estimate, judge, of))
    row = next((row for row in evaluator.rows if best and row["step"] == best.step), {})
    found += [
        score_of(name, Estimate(row[name], None, None, int(row["made"])), judge, of)
        for name in ("precision", "recall", "diversity")
        if name in row
    ]
    return found


def card(training: Training, evaluator: Evaluator, scores: Sequence[Score], notes: Sequence[str]) -> str:
    """README.md of the model folder."""
    recipe, conditions, data, best = training.recipe, training.conditions, training.data, evaluator.best
    licence = recipe.licence or "not told (say it with --licence)"
    weights = sum(parameter.numel() for parameter in training.trainer.players["generator"].parameters())
    plan = [f"{name} {value}" for name, value in dataclasses.asdict(training.plan).items() if name not in NOT_DONE]
    names = ", ".join(conditions.names[:40]) + (" ..." if len(conditions.names) > 40 else "")
    lines = ["| score | value | 95 % interval | n | judge |", "|---|---|---|---|---|"]
    lines += [f"| {one.name} | {one.value:.4g} | {_interval(one)} | {one.n} | {one.judge} |" for one in scores]
    about = [
        f"- {len(data):,} pictures of `{training.data_name}` (layout {training.pictures.layout})",
        f"- hash of their content: `{data.hash}`",
        f"- licence of the pictures: {licence}",
    ]
    course = [
        f"- {', '.join(plan)}",
        f"- {evaluator.seen / 1000:.4g} thousand pictures seen",
        f"- the best of the measured models by kernel distance: after {best.kimg if best else 0:.4g} thousand pictures",
        f"- {evaluator.seconds / 60:.1f} minutes on {hardware(training.batches.device)}, easel {__version__}",
        f"- seed {recipe.seed}; the whole recipe is in recipe.yaml",
    ]
    drawn = f"{DRAWN_FROM[conditions.kind]}{f': {names}' if names else ''}"
    parts = [f"# {recipe.network}: {training.data_name}, {recipe.resolution} px"]
    size = f"{recipe.resolution} x {recipe.resolution} px"
    parts += [f"Draws {size} pictures from {drawn}. The generator has {weights:,} weights."]
    parts += ["```bash\neasel generate --model FOLDER" + EXAMPLE[conditions.kind] + "\n```"]
    parts += ["## Data", "\n".join(about), "## Training", "\n".join(course), "## Scores", "\n".join(lines), SCORES_NOTE]
    parts += ["![samples](sheet.png)", "![curves](chart.png)"]
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def _interval(score: Score) -> str:
    return "" if score.low is None or score.high is None else f"{score.low:.4g} to {score.high:.4g}"


def hardware(device: Any) -> str:
    """What did the work, in words."""
    import torch

    if str(device).startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"{torch.get_num_threads()} threads of {platform.machine()} ({device})"
