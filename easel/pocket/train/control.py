"""Pocket's controls: a ControlNet (Zhang et al. 2023, arXiv 2302.05543) that reads edges, depth and scribbles, and a
light T2I-Adapter (Mou et al. 2023, arXiv 2302.08453) that reads edges.

Both steer the shipped UNet, which stays as it is. The ControlNet has no attention and is taught all kinds of maps at
once: it tells them apart by their look (lines on black, or grey planes), as the union models for SDXL do.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, DPTForDepthEstimation

from easel.models.diffusion import maps
from easel.models.diffusion.control import new_adapter
from easel.networks.adapter import PooledAdapter
from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train import depth, samples
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pictures import Pixels, Store
from easel.pocket.train.text import WINDOW, ids
from easel.pocket.train.unet import LEAN, cache, scheduler, stacked, stratified, velocity, weights
from easel.pocket.train.vae import to_tensor
from easel.training.trainer import Context, Measured, autocast, device_of

BATCH = 16
CONTROL = Schedule(steps=720, lr=1e-3, warmup=40, weight_decay=0.01, average_decay=0.99, muon=True)
ADAPTER = Schedule(steps=220, lr=1.5e-3, warmup=30, weight_decay=0.01, average_decay=0.98, muon=True)
KINDS = {"canny": 0.48, "depth": 0.4, "scribble": 0.12}
"""Kind of map -> how often the ControlNet sees it."""
REAL = 0.35
"""Share of real photos, plain or under a filter; the others are scenes."""
DROPPED = 0.4
"""Share of prompts left out, so that the map must be read."""
AUTO = 0.5
"""Share of edges with the thresholds that the picture gives; the others have one pair drawn at random."""


class Batch(NamedTuple):
    """Latents (n, 8, h, w), maps (n, 3, 8 h, 8 w) in [0, 1], prompts, some of them empty."""

    latents: Tensor
    maps: Tensor
    prompts: list[str]


class Guided:
    """Scenes and real photos with latents and depths, all at 256 px; maps of other kinds are made as they are drawn."""

    def __init__(
        self, vae: PixelAutoencoder, solids: Store, photos: Store, net: DPTForDepthEstimation, work: Path
    ) -> None:
        self.stores = (solids.every(2), photos)
        self.latents = (
            cache(vae, self.stores[0], work / "latents-solids-256.npy", 256),
            cache(vae, photos, work / "latents-styled-256.npy", 256),
        )
        self.depths = (solids.pixels[1::2, ..., 0], depths(net, photos, work / "depths-styled.npy"))

    def batch(self, step: int, kinds: Mapping[str, float]) -> Batch:
        """The batch of a step, always the same."""
        rng = np.random.default_rng((81, step))
        latents, prompts = [], []
        seen: Pixels = np.empty((BATCH, 256, 256, 3), np.uint8)
        for i in range(BATCH):
            s = int(rng.random() < REAL)
            k = int(rng.integers(len(self.stores[s].pixels)))
            kind = str(rng.choice(list(kinds), p=np.array(list(kinds.values())) / sum(kinds.values())))
            seen[i] = self.map(s, k, kind, rng)
            latents.append(self.latents[s][k])
            said = samples.caption(samples.row(self.stores[s], k), rng)
            prompts.append("" if rng.random() < DROPPED else said)
        return Batch(stacked(latents), to_tensor(seen) / 2 + 0.5, prompts)

    def map(self, s: int, k: int, kind: str, rng: np.random.Generator) -> Pixels:
        """One picture's map of a kind, (256, 256, 3)."""
        if kind == "depth":
            return np.repeat(stretched(self.depths[s][k])[..., None], 3, axis=2)
        settings: dict[str, Any] = {}
        if kind == "canny" and rng.random() > AUTO:
            low = float(rng.uniform(30, 150))
            settings = {"low": low, "high": low * float(rng.uniform(1.5, 3))}
        made: Pixels = np.asarray(maps.make(kind, Image.fromarray(self.stores[s].pixels[k]), **settings), np.uint8)
        return made


def stretched(near: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A depth map from 0, the farthest, to 255, the nearest, as `easel.models.depth` gives them."""
    low, high = int(near.min()), int(near.max())
    return np.asarray(np.rint((near.astype(np.float32) - low) * (255 / max(high - low, 1))), np.uint8)


@torch.no_grad()
def depths(net: DPTForDepthEstimation, store: Store, path: Path) -> NDArray[np.uint8]:
    """How near the places of a store's pictures are by the depth net, (n, 256, 256) uint8; made once."""
    if not path.exists():
        partial, size = path.with_suffix(".partial"), store.pixels.shape[1:3]
        out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=store.pixels.shape[:3])
        for i in range(0, len(store.pixels), 32):
            pictures = to_tensor(store.pixels[i : i + 32]).to(device_of(net))
            with autocast(net):
                near = net(nn.functional.interpolate(pictures, (depth.SIDE, depth.SIDE), mode="area")).predicted_depth
            sized = nn.functional.interpolate(near[:, None].float(), size, mode="bilinear")[:, 0]
            out[i : i + 32] = (255 * sized.clamp(0, 1)).round().byte().cpu().numpy()
        out.flush()
        partial.rename(path)
    found: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return found


def control_net(unet: UNet2DConditionModel) -> ControlNetModel:
    """An untrained ControlNet without attention, which begins from the UNet's own encoder where shapes agree.

    Its zero convolutions keep what it says at nothing, so that the maps' embedding need not begin at zero as well.
    """
    theirs = unet.config
    shared = ("in_channels", "block_out_channels", "layers_per_block", "norm_num_groups", "cross_attention_dim")
    words = ("attention_head_dim", "addition_embed_type", "addition_embed_type_num_heads")
    net = ControlNetModel(
        **{name: theirs[name] for name in (*shared, *words)},
        down_block_types=("DownBlock2D",) * len(theirs.block_out_channels),
        mid_block_type="UNetMidBlock2D",
        conditioning_embedding_out_channels=(8, 16, 32, 64),
    )
    own = net.state_dict()
    fitting = {k: v for k, v in unet.state_dict().items() if k in own and own[k].shape == v.shape}
    net.load_state_dict({**own, **fitting})
    nn.init.kaiming_normal_(net.controlnet_cond_embedding.conv_out.weight, nonlinearity="linear")
    return net


class Frozen(NamedTuple):
    """What is steered, and reads the words; nothing in it learns."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: Any

    def hold(self, device: str) -> None:
        """Take no gradients, and be where the training is."""
        for part in (self.unet, self.text_encoder):
            part.to(device).eval().requires_grad_(False)
        self.unet.to(memory_format=torch.channels_last)


Steer = Callable[[Any, Frozen, Tensor, Tensor, Tensor, Tensor], Tensor]
"""Network, base, noisy latents, times, states of the words, maps -> the velocity that the steered base guesses."""


def by_control(net: Any, base: Frozen, noisy: Tensor, times: Tensor, states: Tensor, seen: Tensor) -> Tensor:
    """The velocity under a ControlNet."""
    down, middle = net(noisy, times, states, controlnet_cond=seen, return_dict=False)
    made = base.unet(noisy, times, states, down_block_additional_residuals=down, mid_block_additional_residual=middle)
    velocities: Tensor = made.sample
    return velocities


def by_adapter(net: Any, base: Frozen, noisy: Tensor, times: Tensor, states: Tensor, seen: Tensor) -> Tensor:
    """The velocity under an adapter, which reads one channel."""
    made = base.unet(noisy, times, states, down_intrablock_additional_residuals=list(net(seen[:, :1])))
    velocities: Tensor = made.sample
    return velocities


class Lesson(NamedTuple):
    """How a network steers, which kinds of maps it is taught, how often each, and how long."""

    steer: Steer
    kinds: Mapping[str, float]
    schedule: Schedule


def teach(net: nn.Module, lesson: Lesson, base: Frozen, data: Guided, checkpoint: Path) -> None:
    """Train ``net`` in place (or go on): the squared error of the velocity, as the UNet was taught."""
    noise_schedule = scheduler()
    device = device_of(net)
    base.hold(str(device))
    alphas = noise_schedule.alphas_cumprod.to(device)

    def loss(context: Context) -> Measured:
        batch = data.batch(context.step, lesson.kinds)
        tokens, _ = ids(base.tokenizer, batch.prompts, WINDOW)
        generator = torch.Generator().manual_seed(context.step)
        share = stratified(BATCH, generator)
        noise = torch.randn(batch.latents.shape, generator=generator)
        drawn = ((1000 * share**LEAN).long(), noise, batch.latents, batch.maps, tokens)
        times, noise, latents, seen, tokens = (x.to(device) for x in drawn)
        noisy, signal = noise_schedule.add_noise(latents, noise, times), alphas[times]
        with autocast(net):
            states = base.text_encoder(tokens).last_hidden_state
            made = lesson.steer(net, base, noisy, times, states, seen.contiguous(memory_format=torch.channels_last))
        wrong = (made.float() - velocity(signal[:, None, None, None], noisy, latents)).square().mean(dim=(1, 2, 3))
        return Measured((wrong * weights(signal)).mean(), {"mse": wrong.mean(), "noisy": wrong[times > 600].mean()})

    fit(net, loss, lesson.schedule, checkpoint)


def run(base: Frozen, data: Guided, work: Path, device: str = "cpu", schedule: Schedule = CONTROL) -> ControlNetModel:
    """Train the ControlNet (or go on) and return it."""
    torch.manual_seed(8)
    net = control_net(base.unet).to(device, memory_format=torch.channels_last)
    teach(net, Lesson(by_control, KINDS, schedule), base, data, work / "control.safetensors")
    return net


def run_adapter(
    base: Frozen, data: Guided, work: Path, device: str = "cpu", schedule: Schedule = ADAPTER
) -> PooledAdapter:
    """Train the adapter for edges (or go on) and return it."""
    torch.manual_seed(9)
    net: PooledAdapter = new_adapter(base.unet, 8, in_channels=1, adapter_type="light_adapter")
    net.to(device, memory_format=torch.channels_last)
    teach(net, Lesson(by_adapter, {"canny": 1.0}, schedule), base, data, work / "adapter.safetensors")
    return net
