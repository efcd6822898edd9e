"""Networks that steer a diffusion model by a picture: ControlNet (Zhang et al. 2023, arXiv 2302.05543) and T2I-Adapter
(Mou et al. 2023, arXiv 2302.08453), loaded from a diffusers folder or a single .safetensors file, and compared with the
UNet that they are to steer before anything is drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.models.catalog import checks
from easel.models.catalog.controls import BASES, base_of
from easel.models.catalog.locate import LocatedModel
from easel.models.catalog.tables import METHOD_NAMES
from easel.models.devices import pick_device, pick_dtype
from easel.models.diffusion.pipelines import load_weights
from easel.models.logging import silence

LDM = "control_model."
"""How the tensors of a ControlNet in the original layout begin, where it is not stored alone."""


@dataclass(frozen=True, eq=False)
class ControlNetwork:
    """A loaded network that steers.

    Attributes:
        name: as the person gave it. method: 'controlnet' or 'adapter'. module: diffusers' ControlNetModel, or a
            PooledAdapter. notes: what a person should know.
    """

    name: str
    method: str
    module: Any
    notes: tuple[str, ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the tensors that it gives for each block of a UNet."""
        config = self.module.config
        if self.method == "controlnet":
            return tuple(config.block_out_channels)
        last = config.channels[-1:] if config.adapter_type == "light_adapter" else []
        return (*config.channels, *last)

    @property
    def cross_attention(self) -> int | None:
        """Width of the text's states that it reads; None for an adapter, which reads none."""
        return int(self.module.config.cross_attention_dim) if self.method == "controlnet" else None

    @property
    def base(self) -> str | None:
        """The base that it was made for, of those that are known by their sizes."""
        if self.method == "adapter" and self.module.config.adapter_type == "full_adapter_xl":
            return "SDXL"
        return base_of(self.cross_attention, self.widths)

    @property
    def image_channels(self) -> int:
        """Channels of the maps that it reads: 3, or 1 for some adapters."""
        config = self.module.config
        return int(config.conditioning_channels if self.method == "controlnet" else config.in_channels)

    @property
    def multiple(self) -> int:
        """Of how many pixels the sides of a picture must be multiples."""
        return 8 if self.method == "controlnet" else max(8, int(self.module.downscale_factor))


def load(located: LocatedModel, device: str, dtype: str, method: str, *, config: str | None = None) -> ControlNetwork:
    """The ControlNet or T2I-Adapter at `located`. `config` is a folder with its config.json, for a file whose
    configuration its sizes do not tell.
    """
    where = pick_device(device)
    kind = pick_dtype(dtype, where)
    silence()
    path = located.path
    if path.is_file():
        module = _from_file(path, method, kind, config)
    else:
        _check_folder(path, method)
        module = load_weights(_class_of(method), path, kind, METHOD_NAMES[method])
    module = module.to(where).eval().requires_grad_(False)
    if method == "controlnet":
        module.register_forward_pre_hook(_cast_inputs, with_kwargs=True)
    return ControlNetwork(located.name, method, module, tuple(located.notes))


def check_fits(network: ControlNetwork, pipeline: Any) -> None:
    """EaselError where a network was made for another base than the pipeline's UNet, by its sizes."""
    unet, vae = pipeline.unet.config, pipeline.vae
    widths, cross = tuple(unet.block_out_channels), _width(unet.cross_attention_dim)
    theirs, ours = network.base, base_of(cross, widths)
    start = f"the {METHOD_NAMES[network.method]} '{network.name}' does not fit this model: "
    start += f"made for {_said(theirs)}, this is {_said(ours)}" if theirs or ours else "made for another base"
    if network.cross_attention not in (None, cross):
        raise EaselError(f"{start}: cross-attention {network.cross_attention} against {cross}")
    if network.widths[: len(widths)] != widths:
        raise EaselError(f"{start}: blocks of {network.widths} channels against {widths}")
    if network.method == "controlnet":
        channels = int(network.module.config.in_channels)
        if channels != vae.config.latent_channels:
            raise EaselError(f"{start}: {channels} latent channels against {vae.config.latent_channels}")
        words = [network.module.config.addition_embed_type, unet.addition_embed_type]
        if words[0] != words[1]:
            raise EaselError(f"{start}: embeds {words[0] or 'time alone'} where the UNet embeds {words[1] or 'none'}")
        return
    cells, wanted = network.module.pixels_a_cell[: len(widths)], pixels_a_cell(pipeline.unet, vae_factor(vae))
    if cells != wanted:
        raise EaselError(f"{start}: its maps have a cell for each {cells} pixels, and the UNet's {wanted}")


def _width(cross: int | Sequence[int]) -> int:
    return int(cross) if isinstance(cross, int) else int(cross[0])


def _said(base: str | None) -> str:
    return base or "a base that is not known here"


def vae_factor(vae: Any) -> int:
    """Pixels of a picture for each cell of its latent, along a side."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def pixels_a_cell(unet: Any, factor: int) -> list[int]:
    """For each down block of a UNet how many pixels stand behind a cell where an adapter's tensor is added.

    diffusers adds it inside blocks with attention, before they halve, and after all others.
    """
    found, side = [], factor
    for block in unet.down_blocks:
        before = side
        side *= 1 if block.downsamplers is None else 2
        found.append(before if getattr(block, "has_cross_attention", False) else side)
    return found


def new_adapter(
    unet: Any, factor: int, *, in_channels: int = 3, num_res_blocks: int = 2, adapter_type: str = "full_adapter"
) -> Any:
    """An untrained T2I-Adapter whose tensors have the sizes that this UNet adds them at.

    A `light_adapter` has a block more than it has channels, whose tensor diffusers adds behind the UNet's middle block.
    """
    from easel.networks.adapter import PooledAdapter

    cells = pixels_a_cell(unet, factor)
    pooled = [False, *(after > before for before, after in itertools.pairwise(cells))]
    return PooledAdapter(
        in_channels=in_channels,
        channels=tuple(unet.config.block_out_channels),
        num_res_blocks=num_res_blocks,
        downscale_factor=cells[0],
        adapter_type=adapter_type,
        pooled_blocks=(*pooled, False) if adapter_type == "light_adapter" else tuple(pooled),
    )


def _class_of(method: str) -> Any:
    if method == "controlnet":
        import diffusers

        return diffusers.ControlNetModel
    from easel.networks.adapter import PooledAdapter

    return PooledAdapter


CLASSES = {"controlnet": ("ControlNetModel",), "adapter": ("T2IAdapter", "PooledAdapter")}
"""What a folder's config.json may call itself."""


def _check_folder(folder: Path, method: str) -> None:
    """EaselError where a folder holds another kind of network."""
    if not (folder / "config.json").is_file():
        raise EaselError(f"{folder} is no folder of a {METHOD_NAMES[method]}: config.json is missing")
    called = checks.read_config(folder / "config.json").get("_class_name")
    if called not in CLASSES[method]:
        raise EaselError(f"{folder} holds {called}; this role needs a {METHOD_NAMES[method]}")


def _from_file(path: Path, method: str, dtype: Any, config: str | None) -> Any:
    """The network of a single file, its configuration from a folder or told by its sizes."""
    import torch
    from safetensors.torch import load_file

    shapes = {name: tuple(info["shape"]) for name, info in checks.check_file(path).items()}
    names = [name.removeprefix(LDM) for name in shapes]
    is_control = any(name.startswith(("controlnet_cond_embedding.", "input_hint_block.")) for name in names)
    is_adapter = any(name.startswith(("adapter.body.", "body.")) for name in names)
    if not (is_control if method == "controlnet" else is_adapter):
        found = (
            "a ControlNet" if is_control else "a T2I-Adapter" if is_adapter else "neither ControlNet nor T2I-Adapter"
        )
        raise EaselError(f"{path} is {found}; this role needs a {METHOD_NAMES[method]}")
    if config is not None:
        folder = Path(config).expanduser()
        _check_folder(folder, method)
        settings = checks.read_model_config(folder)
    else:
        settings = _controlnet_settings(path, shapes) if method == "controlnet" else _adapter_settings(shapes)
    kind = _class_of(method)
    with checks.loading(path, METHOD_NAMES[method]):
        with torch.device("meta"):  # it holds nothing until it gets the file's numbers: a large one fits once
            module = kind.from_config(dict(settings))
        checks.check_size(path, METHOD_NAMES[method], sum(one.numel() for one in module.parameters()), [path])
        weights = load_file(path)
        weights = _plain_controlnet(weights, settings) if method == "controlnet" else _plain_adapter(weights)
        wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        missing = [name for name in wanted if name not in weights]
        other = [name for name in wanted if name in weights and tuple(weights[name].shape) != wanted[name]]
        if missing or other:
            what = f"lacks '{missing[0]}'" if missing else f"has '{other[0]}' in another shape"
            raise EaselError(
                f"{path} {what}: it is incomplete, or of another base than its sizes say: give its config.json by "
                "--config DIR"
            )
        own = {name: weights[name].to(dtype, copy=True) for name in wanted}  # and not the file's pages
        module.load_state_dict(own, assign=True)
    checks.check_finite(module, f"{METHOD_NAMES[method]} of {path}")
    return module


def _controlnet_settings(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The configuration of a ControlNet for one of the known bases, told by the width of its cross-attention."""
    cross = next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), None)
    plain = {name.removeprefix(LDM): shape for name, shape in shapes.items()}
    first = plain.get("input_blocks.0.0.weight") or plain.get("conv_in.weight") or (0, 0)
    for base in BASES.values():
        sizes = (base.latent_channels, base.cross_attention, base.widths[0])
        if base.controlnet and (first[1], cross, first[0]) == sizes:
            return {"in_channels": first[1], **base.controlnet}
    known = ", ".join(base.name for base in BASES.values() if base.controlnet)
    raise EaselError(
        f"{path} has weights only, and is for none of {known} (cross-attention {cross}, {first[1]} latent channels): "
        "give the folder with its config.json by --config DIR"
    )


def _plain_controlnet(weights: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Weights in diffusers' names, from theirs or from the original layout, with or without its prefix."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    if any(name.startswith(LDM) for name in weights):
        weights = {name.removeprefix(LDM): value for name, value in weights.items() if name.startswith(LDM)}
    layers = {"layers_per_block": settings.get("layers_per_block", 2)}
    made = convert_controlnet_checkpoint(dict(weights), layers)
    return {name: value for name, value in made.items() if value is not None}


def _adapter_settings(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The configuration of a T2I-Adapter, told by its sizes in either layout."""
    plain = _plain_adapter(shapes)
    is_light = "adapter.conv_in.weight" not in plain
    entry = plain["adapter.body.0.in_conv.weight" if is_light else "adapter.conv_in.weight"][1]
    # 64 and 256 are one channel folded by 8 and by 16; 192 and 768 are three
    factor = 16 if entry in (256, 768) else 8
    blocks = 1 + max(int(name.split(".")[2]) for name in plain if name.startswith("adapter.body."))
    rows = 1 + max(int(name.split(".")[4]) for name in plain if ".resnets." in name)
    last = "out_conv" if is_light else "resnets.0.block1"
    channels = [plain[f"adapter.body.{i}.{last}.weight"][0] for i in range(blocks)]
    full = "full_adapter_xl" if factor == 16 else "full_adapter"
    return {
        "in_channels": entry // factor**2,
        "channels": channels[:-1] if is_light else channels,
        "num_res_blocks": rows,
        "downscale_factor": factor,
        "adapter_type": "light_adapter" if is_light else full,
    }


def _plain_adapter(named: Mapping[str, Any]) -> dict[str, Any]:
    """Weights or shapes in diffusers' names, from theirs or from the original layout.

    There the blocks of all levels are counted through, two a level: `body.5.block1`.
    """
    if any(name.startswith("adapter.") for name in named):
        return dict(named)
    if "conv_in.weight" not in named:  # a light one: body.LEVEL.body.NUMBER.block1
        return {f"adapter.{name.replace('.body.', '.resnets.')}": value for name, value in named.items()}
    made = {}
    for name, value in named.items():
        if not name.startswith("body."):
            made[f"adapter.{name}"] = value
            continue
        _, number, part, rest = name.split(".", 3)
        level, row = divmod(int(number), 2)
        inside = part if part == "in_conv" else f"resnets.{row}.{part}"
        made[f"adapter.body.{level}.{inside}.{rest}"] = value
    return made


def _cast_inputs(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Whatever is not an index into the ControlNet's own dtype: its time embedding follows that of the latents."""

    def cast(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cast(inner) for name, inner in value.items()}
        return value.to(module.dtype) if hasattr(value, "is_floating_point") and value.is_floating_point() else value

    return args, {name: value if name == "timestep" else cast(value) for name, value in kwargs.items()}
