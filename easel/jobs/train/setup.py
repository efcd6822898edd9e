"""What a training begins with, the same in all of its processes: check the recipe, read the set, make the trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel import models, networks
from easel.data import Annotations, Packed, PictureSet, open_set, packed
from easel.errors import EaselError
from easel.jobs.inputs import batches
from easel.models.catalog import checks, locate, trained_folders
from easel.models.catalog.locate import own_cache
from easel.models.devices import pick_device
from easel.networks import layers
from easel.recipes.train import Train
from easel.training import batches as training_batches
from easel.training import checkpoints
from easel.training.batches import Batches, Conditions
from easel.training.distributed import Team
from easel.training.phases import trainer_for
from easel.training.plans import TrainingPlan, plan_for
from easel.training.trainer import Trainer
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

CHECKPOINT = "training/checkpoint.safetensors"
"""In the folder of a run."""
CHOSEN = (
    "objective", "batch_size", "learning_rate", "critic_steps", "r1_gamma", "beta", "perceptual", "equilibrium",
    "augment",
)  # fmt: skip
"""What a recipe may say of the plan."""
CONDITIONS = {"cgan": "labels", "control-gan": "attributes", "text-dcgan": "captions", "stackgan": "captions"}
"""What networks are conditioned on; others on labels if the recipe names classes, else on nothing."""
NAMED = 5
"""Classes or attributes in an error, at most."""
TEXTS = 256
"""Captions before the text encoder at once."""


@dataclass(frozen=True, eq=False)
class Training:
    """All that one process trains with."""

    recipe: Train
    pictures: PictureSet
    plan: TrainingPlan
    config: Any
    """The network's."""
    batches: Batches
    trainer: Trainer

    @property
    def data(self) -> Packed:
        """The pictures that can be opened, at the recipe's resolution."""
        return self.batches.pictures

    @property
    def conditions(self) -> Conditions:
        """What the network is conditioned on."""
        return self.batches.conditions

    @property
    def data_name(self) -> str:
        """The set's folder without where it lies."""
        return Path(self.recipe.data).resolve().name


def check(recipe: Train, team: Team) -> tuple[PictureSet, TrainingPlan]:
    """The set and the plan; first refuse, before anything takes time, what cannot be. Raises EaselError."""
    pictures = open_set(recipe.data, recipe.layout, recipe.split)
    pictures.require()
    conditions = unread_conditions(recipe, pictures)
    layers.sides(recipe.resolution)
    if recipe.network == "stackgan" and recipe.resolution > 64 and recipe.stage_one is None:
        raise EaselError(
            f"stackgan draws {recipe.resolution} px in a second stage: train it at 64 px first, then name that folder "
            "with --stage-one"
        )
    config_of(recipe, conditions)
    plan = plan_for(recipe.network, recipe.resolution, {name: getattr(recipe, name) for name in CHOSEN})
    if plan.batch_size % team.size:
        raise EaselError(
            f"batch_size {plan.batch_size} cannot be shared among {team.size} processes: take a multiple of {team.size}"
        )
    return pictures, plan


def set_up(recipe: Train, pictures: PictureSet, plan: TrainingPlan, workspace: Workspace, team: Team) -> Training:
    """Read the set and make the trainer, on the workspace's device, untrained. Raises EaselError and Cancelled."""
    import torch

    # The set: packed at the recipe's resolution, and the same as before where the training goes on
    data = packed(pictures, recipe.resolution, own_cache() / "sets", workspace.step)
    if len(data) < 2:
        why = next(iter(data.broken.values()), "")
        raise EaselError(f"only {len(data)} of {len(pictures)} pictures can be opened, and 2 are needed: {why}")
    refuse_changed(recipe, data, workspace)

    # Conditions and batches
    conditions = unread_conditions(recipe, data)
    if conditions.kind == "captions":
        embed = caption_encoder(recipe.model, workspace)
        conditions = training_batches.caption_conditions(data, embed)
    device = pick_device(workspace.device)
    source = Batches(data, conditions, plan.batch_size, recipe.seed, recipe.mirror, device, team)

    # Networks: their first weights are drawn by the recipe's seed
    config = config_of(recipe, conditions)
    torch.manual_seed(recipe.seed)
    players = networks.players(config)
    if conditions.values is not None and conditions.kind == "captions":
        spread = torch.from_numpy(conditions.values)
        own = players if recipe.stage_one is None else {"critic": players["critic"]}
        networks.fit_words(own, spread)
    if recipe.stage_one is not None:
        adopt(players["generator"], recipe.stage_one, config)
    for player in players.values():
        player.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    # The trainer
    perceptual = models.load(recipe.model, "perceptual", workspace.device).tensor_distance if plan.perceptual else None
    precision = torch.bfloat16 if workspace.computed_in == "bfloat16" else None
    trainer = trainer_for(players, plan, source, precision, perceptual)
    return Training(recipe, pictures, plan, config, source, trainer)


def unread_conditions(recipe: Train, facts: Annotations) -> Conditions:
    """What the network is conditioned on, captions not yet as numbers. Raises EaselError on a set that lacks it."""
    kind = CONDITIONS.get(recipe.network, "labels" if recipe.classes else "nothing")
    if kind == "attributes":
        return training_batches.attribute_conditions(facts, recipe.attributes)
    if kind == "labels":
        return training_batches.label_conditions(facts, recipe.classes or "label")
    if kind == "captions":
        facts.require("captions")
    return Conditions(kind)


def caption_encoder(model: str, workspace: Workspace) -> Callable[[Any], Any]:
    """Captions -> rows (n, embedding) float32, by the text encoder of a CLIP."""
    import numpy as np

    clip = models.load(model, "clip", workspace.device)

    def embed(texts: Any) -> Any:
        rows, done = [], 0
        for part in batches(texts, TEXTS):
            workspace.step("reading captions", done, len(texts))
            rows.append(clip.texts(part))
            done += len(part)
        workspace.step("reading captions", done, len(texts))
        return np.concatenate(rows)

    return embed


def refuse_changed(recipe: Train, data: Packed, workspace: Workspace) -> None:
    """Raise EaselError, naming what differs, where the folder's checkpoint was trained on other data."""
    state, folder = workspace.path(CHECKPOINT), workspace.folder
    if not state.exists():
        return
    before = checkpoints.read_position(state).belongs_to.get("data", "")
    if before == data.hash:
        return
    found = [f"data {before[:12]}, now {data.hash[:12]}"]
    if trained_folders.is_trained(folder):
        found = differences(trained_folders.described(folder), data, unread_conditions(recipe, data)) + found
    raise EaselError(
        f"{folder} was trained on other pictures ({'; '.join(found)}): what is in {recipe.data} has changed; "
        "put it back, or choose another --out"
    )


def differences(then: Mapping[str, Any], data: Packed, conditions: Conditions) -> list[str]:
    """In what a set differs from the one that a model's config.json tells of: pictures, classes, attributes."""
    found = []
    if then["data"].get("pictures") != len(data):
        found.append(f"{then['data'].get('pictures')} pictures, now {len(data)}")
    gone = [name for name in then["names"] if name not in conditions.names]
    new = [name for name in conditions.names if name not in then["names"]]
    for names, what in ((gone, "gone"), (new, "new")):
        if names:
            more = " ..." if len(names) > NAMED else ""
            found.append(f"{conditions.kind} {what}: {', '.join(names[:NAMED])}{more}")
    return found or ["as many pictures, but not the same in name, content or caption"]


def config_of(recipe: Train, conditions: Conditions) -> Any:
    """The network's configuration: the paper's, with what was chosen and what the set says. Raises EaselError."""
    values: dict[str, Any] = {"network": recipe.network, "resolution": recipe.resolution}
    values |= {name: getattr(recipe, name) for name in ("latent", "channels", "widest") if getattr(recipe, name)}
    if conditions.kind in ("labels", "attributes"):
        values["classes" if conditions.kind == "labels" else "attributes"] = len(conditions.names)
    if conditions.kind == "captions" and conditions.values is not None:
        values["embedding"] = int(conditions.values.shape[1])
    if recipe.network == "stackgan":
        values["first"] = recipe.resolution
        if recipe.stage_one is not None:
            before = stage_one_of(recipe.stage_one, recipe.resolution)
            values |= {key: getattr(before, key) for key in ("first", "words", "latent")}
            values["channels"], values["widest"] = before.channels, before.widest
    if recipe.network == "cgan":
        values["classifier"] = recipe.equilibrium is not None
    if recipe.network == "vae":
        values["prior"] = recipe.prior
    if recipe.network == "stylegan" and recipe.latent:
        values["style"] = recipe.latent
    if recipe.objective == "wgan-gp" and recipe.network not in ("stylegan", "vae"):
        values["norm"] = "layer"  # a gradient of one picture must not depend on others (Gulrajani 2017, section 4)
    return networks.config(values)


def stage_one_of(folder: str, resolution: int) -> Any:
    """The configuration of a trained stage I to draw ``resolution`` pixels over; its weights are not read.

    Raises EaselError where there is none, where its weights are a pickle or damaged, and where it draws
    that many pixels itself.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise EaselError(f"there is no folder {folder}: name that of a trained stage I of stackgan with --stage-one")
    path = locate.find(folder, "generator").path
    before = networks.config(trained_folders.described(path)["network"])
    checks.weight_files(path)
    if before.network != "stackgan" or before.resolution != before.first:
        raise EaselError(f"{folder} is no stage I of stackgan: it is {before.network}, {before.resolution} px")
    if resolution == before.resolution:
        raise EaselError(
            f"{folder} draws {resolution} px itself: leave --stage-one out to train such a one, or take a --resolution "
            f"of {2 * resolution} or {4 * resolution} to draw over it"
        )
    return before


def adopt(generator: nn.Module, folder: str, config: Any) -> None:
    """Put a trained stage I into stage II, and its knowledge of the captions' spread. Raises EaselError."""
    before = models.load(folder, "generator", "cpu")
    if before.config.embedding != config.embedding:
        raise EaselError(
            f"{folder} reads captions as {before.config.embedding} numbers, this run as {config.embedding}: use the "
            "same --model for both stages"
        )
    generator.first.load_state_dict(before.generator.state_dict())  # type: ignore[union-attr]
    generator.augmentation.standard.load_state_dict(  # type: ignore[union-attr]
        before.generator.augmentation.standard.state_dict()
    )
