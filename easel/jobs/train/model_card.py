"""What lies beside the weights of a trained model: its sheet, its curves, its card, and its config."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from easel import networks
from easel.charts import curves
from easel.data import Packed, PictureSet
from easel.jobs.inputs import called
from easel.jobs.judges import score_of
from easel.metrics.intervals import Estimate
from easel.models import trained
from easel.recipes import Train
from easel.result import Result, Score
from easel.sheet import mosaic
from easel.tensors import to_pictures
from easel.training.evaluation import METRICS, Watch
from easel.training.trainer import Studio
from easel.version import __version__
from easel.workspace import Workspace

TOLD = {
    "nothing": "nothing but its latent",
    "labels": "a class",
    "attributes": "attributes",
    "captions": "a caption",
}
SHOWN = 8  # real pictures above the samples
UNTOLD = ("kimg", "score_every")
"""Of a plan in the card: these two are what a network does unasked, and not what was done."""


@dataclass(frozen=True, eq=False)
class Story:
    """What pages are written from."""

    recipe: Train
    pictures: PictureSet
    data: Packed
    studio: Studio
    watch: Watch

    @property
    def data_name(self) -> str:
        """The set's folder without where it lies."""
        return Path(self.recipe.data).resolve().name

    def config(self) -> dict[str, Any]:
        """config.json: all that is needed to draw with the weights, and what they learned from."""
        told = self.studio.feed.told
        return {
            "easel": __version__,
            "network": networks.settings(self.studio.config),
            "told": told.kind,
            "names": list(told.names),
            "shares": shares(told.kind, told.values, len(told.names)),
            "text_encoder": self.recipe.model if told.kind == "captions" else None,
            "data": {
                "name": self.data_name,
                "layout": self.pictures.layout,
                "pictures": len(self.data),
                "hash": self.data.hash,
                "licence": self.recipe.licence,
            },
        }


def shares(kind: str, values: Any, count: int) -> list[float]:
    """How often each class or attribute is in the set, so that what is not asked for is drawn as it was seen."""
    if kind == "labels":
        return [float(share) for share in np.bincount(values, minlength=count) / len(values)]
    return [float(share) for share in values.mean(axis=0)] if kind == "attributes" else []


def write_pages(story: Story, workspace: Workspace, seconds: float, notes: Sequence[str]) -> Result:
    """Write sheet, curves and card; the result of the run."""
    workspace.step("writing", 0, 1)
    scores = tuple(scores_of(story))
    workspace.save_picture("sheet.png", sheet_of(story, workspace))
    workspace.save_bytes("chart.png", curves(story.watch.rows, f"{story.recipe.network} on {story.data_name}"))
    workspace.save_text("README.md", card(story, scores, seconds, notes))
    workspace.step("writing", 1, 1)
    best = story.watch.best or {"kimg": 0.0}
    return Result(
        kind=story.recipe.kind,
        folder=workspace.folder,
        files=("sheet.png", "chart.png", METRICS, "README.md", trained.CONFIG, trained.WEIGHTS),
        texts={
            "model": f"{story.recipe.network}, {story.recipe.resolution} px, after {best['kimg']:.4g} kimg",
            "data": f"{len(story.data):,} pictures, {story.data.hash[:12]}",
        },
        scores=scores,
        notes=tuple(notes),
    )


def sheet_of(story: Story, workspace: Workspace) -> Image.Image:
    """Pictures of the set in the first row, below them what the best model makes of the fixed latents."""
    players = trained.read_players(workspace.folder, story.studio.config)
    generator = players["generator"].to(story.studio.feed.device).eval()
    made = story.watch.drawn(generator, story.recipe.count)
    above = mosaic(
        to_pictures(story.studio.feed.pixels(np.linspace(0, len(story.data) - 1, SHOWN).astype(np.int64))), SHOWN
    )
    below = mosaic(made, SHOWN)
    page = Image.new("RGB", (above.width, above.height + below.height + 12), (250, 249, 246))
    page.paste(above, (0, 0))
    page.paste(below, (0, above.height + 12))
    return page


def scores_of(story: Story) -> list[Score]:
    """KID of the best model and before training, and the best model's precision and recall."""
    watch, judge = story.watch, f"features:{called(story.recipe.judge)}"
    of = f"{story.recipe.network} against {story.data_name}"
    found = []
    if watch.best is not None:
        best = watch.best
        found.append(score_of("KID", Estimate(best["KID"], best["low"], best["high"], int(best["made"])), judge, of))
    if watch.untrained is not None:
        row = watch.untrained
        before = Estimate(row["KID"], row.get("low"), row.get("high"), int(row["made"]))
        found.append(score_of("KID untrained", before, judge, of))
    row = next((row for row in watch.rows if watch.best and row["step"] == watch.best["step"]), {})
    found += [
        score_of(name, Estimate(row[name], None, None, int(row["made"])), judge, of)
        for name in ("precision", "recall", "diversity")
        if name in row
    ]
    return found


def card(story: Story, scores: Sequence[Score], seconds: float, notes: Sequence[str]) -> str:
    """README.md of the model folder."""
    recipe, told, data = story.recipe, story.studio.feed.told, story.data
    licence = recipe.licence or "not told (say it with --licence)"
    best = story.watch.best or {"kimg": 0.0}
    weights = sum(parameter.numel() for parameter in story.studio.players["generator"].parameters())
    plan = dataclasses.asdict(story.studio.plan)
    names = f": {', '.join(told.names[:40])}{' ...' if len(told.names) > 40 else ''}" if told.names else ""
    lines = ["| score | value | 95 % interval | n | judge |", "|---|---|---|---|---|"]
    lines += [f"| {one.name} | {one.value:.4g} | {_interval(one)} | {one.n} | {one.judge} |" for one in scores]
    side = f"{recipe.resolution} x {recipe.resolution} px"
    about = [
        f"- {len(data):,} pictures of `{story.data_name}` (layout {story.pictures.layout})",
        f"- hash of their content: `{data.hash}`",
        f"- licence of the pictures: {licence}",
    ]
    training = [
        f"- {', '.join(f'{name} {value}' for name, value in plan.items() if name not in UNTOLD)}",
        f"- {story.watch.seen / 1000:.4g} thousand pictures seen",
        f"- the best of the measured models by KID: after {best['kimg']:.4g} thousand pictures",
        f"- {seconds / 60:.1f} minutes on {hardware(story.studio.feed.device)}, easel {__version__}",
        f"- seed {recipe.seed}; the whole recipe is in recipe.yaml",
    ]
    parts = [f"# {recipe.network}: {story.data_name}, {recipe.resolution} px"]
    parts += [f"Draws {side} pictures from {TOLD[told.kind]}{names}. The generator has {weights:,} weights."]
    parts += ["```bash\neasel generate --model FOLDER" + EXAMPLE[told.kind] + "\n```"]
    parts += ["## Data", "\n".join(about), "## Training", "\n".join(training), "## Scores", "\n".join(lines), SAID]
    parts += ["![samples](sheet.png)", "![curves](chart.png)"]
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []
    return "\n\n".join(parts) + "\n"


SAID = """KID of this judge cannot be compared with published numbers, which are by another. Diversity is the variance
of the pictures as the judge sees them, as a share of the set's."""
EXAMPLE = {
    "nothing": " --count 8",
    "labels": " --count 8 --label NAME",
    "attributes": " --count 8 --attribute NAME=+1",
    "captions": ' "WORDS" --count 8',
}


def _interval(score: Score) -> str:
    return "" if score.low is None or score.high is None else f"{score.low:.4g} to {score.high:.4g}"


def hardware(device: Any) -> str:
    """What did the work, in words."""
    import torch

    if str(device).startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"{torch.get_num_threads()} threads of {platform.machine()} ({device})"
