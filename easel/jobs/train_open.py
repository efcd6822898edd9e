"""What a training begins with: refuse what cannot be, say what the network is told, and make the studio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easel import models, networks
from easel.data import Packed, PictureSet
from easel.errors import EaselError
from easel.jobs.photos import batches
from easel.models.devices import pick_device
from easel.networks import layers
from easel.recipes import Train
from easel.training import feed
from easel.training.plans import Plan, plan_for
from easel.training.studio import Studio
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

TEXTS = 256  # captions before the text encoder at once


def refused(recipe: Train, pictures: PictureSet) -> Plan:
    """The plan; first refuse, before anything takes time, what cannot be. Raises EaselError."""
    pictures.need()
    if recipe.network == "control-gan":
        feed.told_attributes(pictures, recipe.attributes)
    elif recipe.network == "cgan" or recipe.classes:
        feed.told_labels(pictures, recipe.classes or "label")
    elif recipe.network in ("text-dcgan", "stackgan"):
        pictures.need("captions")
    layers.sides(recipe.resolution)
    if recipe.network == "stackgan" and recipe.resolution > 64 and recipe.stage_one is None:
        raise EaselError(
            f"stackgan draws {recipe.resolution} px in a second stage: train it at 64 px first, then name that folder "
            "with --stage-one"
        )
    chosen = ("objective", "batch_size", "learning_rate", "critic_steps", "r1_gamma", "beta")
    return plan_for(recipe.network, recipe.resolution, {name: getattr(recipe, name) for name in chosen})


def told_of(recipe: Train, data: Packed, workspace: Workspace) -> feed.Told:
    """What the network is told of each picture."""
    if recipe.network == "control-gan":
        return feed.told_attributes(data, recipe.attributes)
    if recipe.network == "cgan" or recipe.classes:
        return feed.told_labels(data, recipe.classes or "label")
    if recipe.network not in ("text-dcgan", "stackgan"):
        return feed.Told()
    import numpy as np

    clip = models.load(recipe.model, "clip", workspace.device)

    def embed(texts: Any) -> Any:
        rows, done = [], 0
        for part in batches(texts, TEXTS):
            workspace.step("reading captions", done, len(texts))
            rows.append(clip.texts(part))
            done += len(part)
        workspace.step("reading captions", done, len(texts))
        return np.concatenate(rows)

    return feed.told_captions(data, embed)


def config_of(recipe: Train, told: feed.Told) -> Any:
    """The network's configuration: the paper's, with what was chosen and what the set says. Raises EaselError."""
    values: dict[str, Any] = {"network": recipe.network, "resolution": recipe.resolution}
    values |= {name: getattr(recipe, name) for name in ("latent", "channels", "widest") if getattr(recipe, name)}
    if told.kind in ("labels", "attributes"):
        values["classes" if told.kind == "labels" else "attributes"] = len(told.names)
    if told.kind == "captions" and told.values is not None:
        values["embedding"] = int(told.values.shape[1])
    if recipe.network == "stackgan":
        values["first"] = recipe.resolution
        if recipe.stage_one is not None:
            before = models.load(recipe.stage_one, "generator", "cpu").config
            values |= {key: getattr(before, key) for key in ("first", "words", "latent")}
            values["channels"], values["widest"] = before.channels, before.widest
    if recipe.network == "stylegan" and recipe.latent:
        values["style"] = recipe.latent
    if recipe.objective == "wgan-gp" and recipe.network not in ("stylegan", "vae"):
        values["norm"] = "layer"  # a slope of one picture must not depend on others (Gulrajani 2017, section 4)
    return networks.config(values)


def studio_of(recipe: Train, plan: Plan, source: feed.Feed, workspace: Workspace) -> Studio:
    """The studio, on its device, with a trained stage I where there is one."""
    import torch

    config = config_of(recipe, source.told)
    studio = Studio(config, plan, source, recipe.augment == "adaptive", recipe.augment == "differentiable")
    if recipe.stage_one is not None:
        adopt(studio.players["generator"], recipe.stage_one, config)
    elif source.told.kind == "captions":
        networks.fit_words(studio.players, torch.from_numpy(source.told.values))
    if recipe.stage_one is not None:
        networks.fit_words({"critic": studio.players["critic"]}, torch.from_numpy(source.told.values))
    mixed = torch.bfloat16 if workspace.computed_in == "bfloat16" else None
    studio.open(pick_device(workspace.device), mixed)
    return studio


def adopt(generator: nn.Module, folder: str, config: Any) -> None:
    """Put a trained stage I into stage II, and its knowledge of the captions' spread. Raises EaselError."""
    before = models.load(folder, "generator", "cpu")
    if before.network != "stackgan" or before.config.resolution != before.config.first:
        raise EaselError(f"{folder} is no stage I of stackgan: it is {before.network}, {before.config.resolution} px")
    if before.config.embedding != config.embedding:
        raise EaselError(
            f"{folder} reads captions as {before.config.embedding} numbers, this run as {config.embedding}: use the "
            "same --model for both stages"
        )
    generator.first.load_state_dict(before.generator.state_dict())  # type: ignore[union-attr]
    generator.augmentation.standard.load_state_dict(  # type: ignore[union-attr]
        before.generator.augmentation.standard.state_dict()
    )
