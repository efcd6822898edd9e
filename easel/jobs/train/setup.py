"""What a training begins with: refuse what cannot be, say what the network is told, and make the studio."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel import models, networks
from easel.data import Facts, Packed, PictureSet, packed
from easel.data.hashes import Tell
from easel.errors import EaselError
from easel.jobs.inputs import batches
from easel.models.catalog import checks, locate, trained_folders
from easel.models.catalog.locate import own_cache
from easel.models.devices import pick_device
from easel.networks import layers
from easel.recipes import Train
from easel.training import batches as feed
from easel.training import checkpoints
from easel.training.plans import Plan, plan_for
from easel.training.trainer import Studio
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

CHOSEN = ("objective", "batch_size", "learning_rate", "critic_steps", "r1_gamma", "beta", "perceptual", "equilibrium")
"""What a recipe may say of the plan."""
NAMED = 5
"""Classes or attributes in an error, at most."""
TEXTS = 256  # captions before the text encoder at once


def refused(recipe: Train, pictures: PictureSet) -> Plan:
    """The plan; first refuse, before anything takes time, what cannot be. Raises EaselError."""
    pictures.need()
    told = asked_of(recipe, pictures)
    layers.sides(recipe.resolution)
    if recipe.network == "stackgan" and recipe.resolution > 64 and recipe.stage_one is None:
        raise EaselError(
            f"stackgan draws {recipe.resolution} px in a second stage: train it at 64 px first, then name that folder "
            "with --stage-one"
        )
    config_of(recipe, told)
    return plan_for(recipe.network, recipe.resolution, {name: getattr(recipe, name) for name in CHOSEN})


def packed_of(recipe: Train, pictures: PictureSet, tell: Tell | None = None) -> Packed:
    """The set at the recipe's resolution. Raises EaselError where too few of its pictures can be opened."""
    data = packed(pictures, recipe.resolution, own_cache() / "sets", tell)
    if len(data) < 2:
        why = next(iter(data.broken.values()), "")
        raise EaselError(f"only {len(data)} of {len(pictures)} pictures can be opened, and 2 are needed: {why}")
    return data


def refuse_changed(recipe: Train, data: Packed, folder: Path, state: Path) -> None:
    """Raise EaselError, naming what differs, where the checkpoint ``state`` of a folder was trained on other data."""
    if not state.exists():
        return
    before = json.loads(checkpoints.said(state)["state"])["data"]
    if before == data.hash:
        return
    found = [f"data {before[:12]}, now {data.hash[:12]}"]
    if trained_folders.is_trained(folder):
        found = differences(trained_folders.described(folder), data, asked_of(recipe, data)) + found
    raise EaselError(
        f"{folder} was trained on other pictures ({'; '.join(found)}): what is in {recipe.data} has changed; "
        "put it back, or choose another --out"
    )


def differences(then: Mapping[str, Any], data: Packed, told: feed.Told) -> list[str]:
    """In what a set differs from the one that a model's config.json tells of: pictures, classes, attributes."""
    found = []
    if then["data"].get("pictures") != len(data):
        found.append(f"{then['data'].get('pictures')} pictures, now {len(data)}")
    gone = [name for name in then["names"] if name not in told.names]
    new = [name for name in told.names if name not in then["names"]]
    for names, what in ((gone, "gone"), (new, "new")):
        if names:
            found.append(f"{told.kind} {what}: {', '.join(names[:NAMED])}{' ...' if len(names) > NAMED else ''}")
    return found or ["as many pictures, but not the same in name, content or caption"]


def asked_of(recipe: Train, facts: Facts) -> feed.Told:
    """What the network is told of each picture, captions unread. Raises EaselError on a set that does not say it."""
    if recipe.network == "control-gan":
        return feed.told_attributes(facts, recipe.attributes)
    if recipe.network == "cgan" or recipe.classes:
        return feed.told_labels(facts, recipe.classes or "label")
    if recipe.network not in ("text-dcgan", "stackgan"):
        return feed.Told()
    facts.need("captions")
    return feed.Told("captions")


def told_of(recipe: Train, data: Packed, workspace: Workspace) -> feed.Told:
    """What the network is told of each picture, captions as numbers."""
    told = asked_of(recipe, data)
    if told.kind != "captions":
        return told
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
    if plan.perceptual:
        studio.eyes = models.load(recipe.model, "perceptual", workspace.device).apart
    mixed = torch.bfloat16 if workspace.computed_in == "bfloat16" else None
    studio.open(pick_device(workspace.device), mixed)
    return studio


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
