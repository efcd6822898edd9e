"""The one door to every model: `load(name, role)`. Nothing is imported from torch until it is called.

`name` is a word of the catalogue, a hub id, a folder, or a .safetensors file. Nothing is fetched from a network:
that is `catalog.download.pull`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from easel.errors import EaselError

if TYPE_CHECKING:
    from easel.models.captioners import Answerer, Captioner
    from easel.models.catalog.locate import LocatedModel
    from easel.models.depth import Depth
    from easel.models.diffusion import Diffusion
    from easel.models.diffusion.control import ControlNetwork
    from easel.models.features import Clip, Perceptual, Subject
    from easel.models.set_features import SetFeatureModel
    from easel.models.style.features import FeatureNetwork
    from easel.models.trained import Trained


@overload
def load(
    name: str,
    role: Literal["text-to-image", "image-to-image", "instruct", "inpaint"],
    device: str = ...,
    dtype: str = ...,
    *,
    config: str | None = ...,
    loras: Sequence[str] = ...,
    embeddings: Sequence[str] = ...,
) -> Diffusion: ...
@overload
def load(
    name: str,
    role: Literal["controlnet", "adapter"],
    device: str = ...,
    dtype: str = ...,
    *,
    config: str | None = ...,
) -> ControlNetwork: ...
@overload
def load(name: str, role: Literal["depth"], device: str = ..., dtype: str = ...) -> Depth: ...
@overload
def load(name: str, role: Literal["caption"], device: str = ..., dtype: str = ...) -> Captioner: ...
@overload
def load(name: str, role: Literal["ask"], device: str = ..., dtype: str = ...) -> Answerer: ...
@overload
def load(name: str, role: Literal["clip"], device: str = ..., dtype: str = ...) -> Clip: ...
@overload
def load(name: str, role: Literal["subject"], device: str = ..., dtype: str = ...) -> Subject: ...
@overload
def load(name: str, role: Literal["perceptual"], device: str = ..., dtype: str = ...) -> Perceptual: ...
@overload
def load(name: str, role: Literal["features"], device: str = ..., dtype: str = ...) -> SetFeatureModel: ...
@overload
def load(name: str, role: Literal["style"], device: str = ..., dtype: str = ...) -> FeatureNetwork: ...
@overload
def load(name: str, role: Literal["generator"], device: str = ..., dtype: str = ...) -> Trained: ...
def load(  # noqa: PLR0913 - each belongs to some roles alone
    name: str,
    role: str,
    device: str = "auto",
    dtype: str = "auto",
    *,
    config: str | None = None,
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
) -> Any:
    """The model that plays `role`, ready to use.

    Args:
        name: catalogue word, hub id, folder or .safetensors file.
        role: text-to-image and image-to-image (the same object does both), instruct (edits a photo by an instruction),
            inpaint (an inpainting model, or any that draws), controlnet and adapter (networks that steer those by a
            picture), depth, caption, ask, clip, subject, perceptual,
            features (what set metrics are made of), style (feature network of style transfer), or generator (what
            `easel train` made).
        device, dtype: 'auto' picks; pictures in bfloat16 where the machine has it, everything that measures in float32.
        config: for a single file, a diffusers folder with its configurations and tokenizer.
        loras: adapters, `FILE[:unet[:text]]` each.
        embeddings: learned words, `FILE` or `WORD=FILE` each.

    Raises:
        EaselError: unknown name, not on this machine (with what to pull), or files missing, pickled, damaged or not
            numbers.
    """
    from easel.models import shelf
    from easel.models.catalog import locate, tables
    from easel.models.catalog.controls import METHODS

    takes_config = role in tables.DRAWING or role in METHODS
    if (config is not None and not takes_config) or ((loras or embeddings) and role not in tables.DRAWING):
        raise EaselError(f"config, loras and embeddings belong to text-to-image models, not to the role '{role}'")
    located = locate.find(name, role)
    draws = role in tables.DRAWING
    # of a model that draws one object plays several roles, where they are the same weights
    added = {"config": config, "loras": tuple(loras), "embeddings": tuple(embeddings)}
    key = (located.path, "drawing" if draws else role, device, dtype, *added.values())
    found = shelf.taken(key, lambda: _load(located, role, device, dtype, added), draws=draws)
    if draws and not found.plays(role):
        return _load(located, role, device, dtype, added)  # which says why it does not
    return found


def _load(located: LocatedModel, role: str, device: str, dtype: str, added: Mapping[str, Any]) -> Any:
    """A model where it was found, in its role; `added` is the config, loras and embeddings of one that draws."""
    from easel.models.catalog import tables
    from easel.models.catalog.controls import METHODS

    if role in tables.DRAWING:
        from easel.models import diffusion

        return diffusion.load(located, device, dtype, role=role, **added)
    if role in METHODS:
        from easel.models.diffusion import control

        return control.load(located, device, dtype, role, config=added["config"])
    from easel.models import captioners, depth, features, set_features, trained
    from easel.models.style import features as style_features

    table: dict[str, Any] = {
        "depth": depth.Depth,
        "caption": captioners.Captioner,
        "ask": captioners.Answerer,
        "clip": features.Clip,
        "subject": features.Subject,
        "perceptual": features.Perceptual,
        "features": set_features.load,
        "style": style_features.load,
        "generator": trained.Trained,
    }
    return table[role](located, device, dtype)
