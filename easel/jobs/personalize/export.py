"""What a personalising leaves: weights in the layouts that other tools read, a sheet, curves, and a model card."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easel.charts import SUBJECT_PANELS, training_curves
from easel.jobs import likeness
from easel.jobs.inputs import model_label, thumbnail
from easel.jobs.judges import CLIP_T
from easel.jobs.likeness import SUBJECT
from easel.jobs.personalize import words
from easel.jobs.personalize.observer import BALANCE, BEST, Observer
from easel.jobs.personalize.setup import ADAPTER, COMPARED, FORGETS, Training, class_seeds
from easel.metrics.intervals import Estimate
from easel.models.catalog import listing, tables
from easel.models.diffusion import folders, inversion, lora
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.lora_formats import COMPONENTS
from easel.recipes.personalize import HOLE
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.training import checkpoints, curves, finetune
from easel.version import __version__
from easel.workspace import Workspace

LORA = "pytorch_lora_weights.safetensors"
"""diffusers' name for a LoRA in a folder."""
FOREIGN = "a1111"
"""Folder of the files that A1111 and ComfyUI read."""
EMBEDDINGS = f"{FOREIGN}/embeddings"
SHOWN = 4
"""Photos and prompts on the sheet."""
ABOUT = {
    "lora": "A LoRA of rank {rank} beside {targets} layers",
    "full": "All weights of the UNet, taught on",
    "textual-inversion": "A new word of {vectors} vector(s)",
}


def slug(identifier: str, noun: str) -> str:
    """What files are called: 'sks-dog'."""
    return "-".join(re.findall(r"\w+", f"{identifier} {noun}".lower()))[:60] or "subject"


def write_weights(training: Training, workspace: Workspace, kept: Path) -> list[str]:
    """Put weights that were kept into the model, and write them in all layouts; the files' names. Raises EaselError."""
    recipe, pipeline = training.recipe, training.model.pipeline
    training.trainer.take(checkpoints.read(kept)[0])
    for name in training.trainer.average:  # they are what was measured
        training.trainer.average[name].update(
            {key: one.detach().clone().float() for key, one in training.trainer.weights[name].items()}
        )
    facts = {lora.BASE: training.base, "easel": __version__}
    name = slug(recipe.identifier, recipe.noun)
    files: list[str] = []
    if recipe.method == "lora":
        for layout, file in (("diffusers", LORA), ("kohya", f"{FOREIGN}/{name}.safetensors")):
            lora.export(pipeline, ADAPTER, workspace.place_for(file), layout, facts)
            files.append(file)
    if recipe.method == "full":
        source = training.source
        learned = [part for part in COMPONENTS if part in training.trainer.weights]
        with_words = [part.replace("text_encoder", "tokenizer") for part in learned if training.token]
        settings = folders.own_settings(source)
        if recipe.model in tables.ROWS:
            settings |= {"base": recipe.model}
        folders.write(pipeline, workspace.folder, source, [*learned, *with_words], settings)
        files += ["model_index.json", "easel.json"]
    if training.token is not None and recipe.method != "full":
        embedding, plain = learned_word(training), training.token.strip("<>")
        for layout, place in (("diffusers", inversion.FILE), ("a1111", f"{EMBEDDINGS}/{plain}.safetensors")):
            lora.save_weights(inversion.tensors_of(embedding, layout), workspace.place_for(place), facts)
            files.append(place)
    return files


def learned_word(training: Training) -> inversion.Embedding:
    """The word as it has been learned."""
    tables_of = [
        getattr(training.model.pipeline, name).get_input_embeddings()
        for name in COMPONENTS[1:]
        if getattr(training.model.pipeline, name, None) is not None
    ]
    return inversion.Embedding(str(training.token), tuple(table.rows.detach() for table in tables_of))


def write_pages(training: Training, observer: Observer, workspace: Workspace, notes: Sequence[str]) -> Result:
    """Write weights, sheet, curves and card of the best there has been; the result of the run. Raises EaselError."""
    recipe, judges = training.recipe, observer.judges
    with workspace.phase("writing the weights"):
        files = write_weights(training, workspace, workspace.path(BEST))
    made = observer.drawn(training.evaluation, "drawing")
    values = observer.measured(made)
    count = sum(len(pictures) for pictures in made)
    of = f"{count} pictures of {len(made)} prompts"
    scores = likeness.scores_of(judges, likeness.estimates(values), of)
    scores += beside(training, observer, of) + class_scores(training, observer)
    photos = [Cell(thumbnail(photo.picture()), photo.name, (photo.caption,)) for photo in training.photos[:SHOWN]]
    cells = []
    for at, (one, pictures) in enumerate(zip(training.evaluation, made, strict=True)):
        for place, picture in enumerate(pictures):
            said = f"{SUBJECT} {values[SUBJECT][at][place]:.2f}, {CLIP_T} {values[CLIP_T][at][place]:.2f}"
            cells.append(Cell(thumbnail(picture), one.prompt, (said,)))
    columns = max(len(photos), min(SHOWN, len(cells)))
    photos += [Cell(_blank(cells[0].image.size))] * (columns - len(photos))
    best, balance = observer.best or (0, 0.0)
    heading = f"{training.subject}: photos, and what {recipe.method} makes of it after {best} steps"
    workspace.save_picture("sheet.png", sheet([*photos, *cells], columns, heading))
    rows = observer.rows
    workspace.save_bytes("chart.png", training_curves(rows, training.subject, panels=SUBJECT_PANELS, along="step"))
    workspace.save_text("README.md", card(training, observer, scores, notes))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("sheet.png", "photos.png", "chart.png", curves.FILE, "README.md", *files),
        texts={
            "subject": training.subject,
            "use": usage(training),
            "best": f"after {best} of {training.plan.steps} steps ({BALANCE} {balance:.3g})",
            "speed": speed(training, observer),
        },
        scores=tuple(scores),
        notes=tuple(notes),
    )


def _blank(size: tuple[int, int]) -> Any:
    from PIL import Image

    return Image.new("RGB", size, (250, 249, 246))


def beside(training: Training, observer: Observer, of: str) -> list[Score]:
    """What a likeness is to be read against: the model before it learned, told by the identifier and in words, and how
    like one another the photos are themselves.
    """
    judges, found = observer.judges, []
    first = next((row for row in observer.evaluated if row["step"] == 0), None)
    if first is not None:
        names = [name for name in (SUBJECT, CLIP_T) if name in first]
        before = {
            name: Estimate(first[name], first.get(f"{name} low"), first.get(f"{name} high"), len(training.evaluation))
            for name in names
        }
        found += likeness.scores_of(judges, before, of, " untouched")
    if training.untouched.told:
        asked = [(one.judged, pictures) for one, pictures in training.untouched.told]
        told = likeness.estimates(likeness.measure(judges, asked, observer.real))
        told = {name: one for name, one in told.items() if name in (SUBJECT, CLIP_T)}
        found += likeness.scores_of(judges, told, of, " untouched, told in words")
    whole = likeness.Photos.of([photo.picture() for photo in training.photos[: likeness.MOST_PHOTOS]], judges)
    if whole.ceiling is not None:
        found += likeness.scores_of(judges, {SUBJECT: whole.ceiling}, f"{len(whole.pictures)} photos", " of the photos")
    return found


def class_scores(training: Training, observer: Observer) -> list[Score]:
    """What became of the class: PRES and diversity of its pictures now, and of those that the untouched model drew."""
    if training.recipe.method not in FORGETS:
        return []
    prompt = words.class_prompt(training.recipe)
    requests = [PictureRequest(prompt, seed, "", training.sampling) for seed in class_seeds(training.recipe, COMPARED)]
    with training.drawing() as model:
        now = [one.image for one in model.generate(requests, 4)]
    found = []
    for pictures, after in ((now, ""), (training.untouched.of_class, " untouched")):
        estimates = likeness.estimates(likeness.of_class(observer.judges, pictures, observer.real))
        found += likeness.scores_of(observer.judges, estimates, f"{len(pictures)} pictures of '{prompt}'", after)
    return found


def usage(training: Training) -> str:
    """A command that draws the subject."""
    recipe = training.recipe
    own = recipe.model == type(recipe).model_fields["model"].default
    model = "" if own else f" --model {model_label(recipe.model)}"
    flag = {"lora": f"{model} --lora DIR", "full": " --model DIR"}.get(recipe.method, f"{model} --embedding DIR")
    return f'easel generate "{training.evaluation[0].template.replace(HOLE, training.subject)}"{flag}'


def speed(training: Training, observer: Observer) -> str:
    """Seconds a step, and where they went in this run."""
    step = int(observer.rows[-1]["step"]) if observer.rows else 0
    if not step or not observer.seconds:
        return "no step was taken"
    parts = {"data": training.examples.seconds, **training.denoiser.seconds}
    whole = max(observer.trained_seconds, 1e-9)
    shares = [f"{name} {part / whole:.0%}" for name, part in parts.items()]
    rest = f"backward and optimizer {max(0.0, 1 - sum(parts.values()) / whole):.0%}"
    return f"{observer.seconds / step:.3g} s/it: {', '.join(shares)}, {rest}"


def card(training: Training, observer: Observer, scores: Sequence[Score], notes: Sequence[str]) -> str:
    """README.md of the folder."""
    recipe, plan, best = training.recipe, training.plan, observer.best
    rank = f"{plan.rank}{' (DoRA)' if recipe.dora else ''}"
    about = ABOUT[recipe.method].format(rank=rank, targets=", ".join(plan.targets), vectors=recipe.vectors)
    learned = [name.replace("_", " ") for name in training.trainer.weights]
    licence = recipe.licence or base_licence(recipe.model)
    lines = ["| score | value | 95 % interval | n | judge |", "|---|---|---|---|---|"]
    for one in scores:
        ends = "" if one.low is None or one.high is None else f"{one.low:.3g} to {one.high:.3g}"
        lines.append(f"| {one.name} | {one.value:.3g} | {ends} | {one.n} | {one.judge} |")
    where = [
        f"- base model: {model_label(recipe.model)}, weights {training.base}",
        f"- {len(training.learned)} photos learned, {len(training.held_back)} held back to measure by",
        f"- hash of their content: `{observer.photos_hash}`",
        f"- licence: {licence}",
    ]
    kept = f"weight {plan.prior_weight:g}, {plan.prior_pictures} pictures" if plan.prior_weight else "none"
    times = finetune.epochs(plan, len(training.learned))
    rates = f"rate {plan.learning_rate:g}, batch {plan.batch_size}, {plan.steps} steps, {times:.0f} times each photo"
    course = [
        f"- learns: {', '.join(learned)}; {rates}",
        f"- prior preservation: {kept}",
        f"- the best of the measured checkpoints: after {best[0] if best else 0} steps",
        f"- {speed(training, observer)}, on {training.model.device} ({platform.machine()}), easel {__version__}",
        f"- seed {recipe.seed}; the whole recipe is in recipe.yaml",
    ]
    parts = [f"# {training.subject}", f"{about} of {model_label(recipe.model)}. In a prompt: `{training.subject}`."]
    parts += [f"```bash\n{usage(training)}\n```", elsewhere(training)]
    parts += ["## From", "\n".join(where), "## Training", "\n".join(course), "## Scores", "\n".join(lines), SCORES_NOTE]
    parts += ["![photos and pictures](sheet.png)", "![curves](chart.png)"]
    parts += ["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []
    return "\n\n".join(parts) + "\n"


SCORES_NOTE = """Subject similarity is DreamBooth's DINO where DINO judges; it says something only beside the numbers
below it: the model before it learned, and how like one another the photos are. PRES is the likeness of other things of
the class to the subject: what it rose by is what the class lost. n counts prompts."""


def elsewhere(training: Training) -> str:
    """How other tools take the files."""
    recipe, name = training.recipe, slug(training.recipe.identifier, training.recipe.noun)
    if recipe.method == "full":
        return "diffusers: `DiffusionPipeline.from_pretrained(DIR)`."
    said = []
    if recipe.method == "lora":
        less = ", which knows DoRA in the UNet alone" if recipe.dora else ""
        said.append(
            f"diffusers: `pipeline.load_lora_weights(DIR)`{less}; A1111 and ComfyUI: `{FOREIGN}/{name}.safetensors`."
        )
    if training.token is not None:
        plain = training.token.strip("<>")
        said.append(
            f"The word {training.token}: `pipeline.load_textual_inversion(DIR)`; A1111 and ComfyUI: "
            f"`{EMBEDDINGS}/{plain}.safetensors`, and `{plain}` in the prompt."
        )
    return " ".join(said)


def base_licence(model: str) -> str:
    """The licence of the model that learned, as the catalogue knows it."""
    known = {row.name: row.licence for row in listing.rows()} if model in tables.ROWS else {}
    return known.get(model) or "that of the base model"
