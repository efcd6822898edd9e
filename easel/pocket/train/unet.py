"""Pocket's text-to-image UNet and its text encoder, taught together on cached latents: 128 px first, then 256 px.

v-prediction (Salimans & Ho 2022) on a schedule whose last step holds no signal at all (Lin et al. 2024, "Common
diffusion noise schedules ... are flawed"), so that night can be dark. Weights min(1, 5 / (SNR + 1)), after Hang et al.
2023, section 3.4.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train import samples
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.packing import KIN
from easel.pocket.train.pictures import Pixels, Store
from easel.pocket.train.text import WINDOW, ids
from easel.pocket.train.vae import to_tensor
from easel.pocket.world.scene import Scene
from easel.pocket.world.stage import stance
from easel.training.trainer import Context, Measured, autocast, device_of

CONTEXT, DROPPED = 192, 0.1
COARSE = Schedule(steps=6500, lr=1e-3, warmup=100, weight_decay=0.01, average_decay=0.997, muon=True)
FINE = Schedule(steps=9000, lr=6e-4, warmup=50, weight_decay=0.01, average_decay=0.998, muon=True)
STAGES = {128: COARSE, 256: FINE}
"""Side of the pictures -> schedule, in their order."""
BATCHES = {128: 32, 256: 32}
SHARES = {
    128: {"plain": 0.45, "scenes": 0.25, "subjects": 0.1, "styled": 0.2},
    256: {"plain": 0.32, "scenes": 0.18, "subjects": 0.08, "styled": 0.3, "redrawn": 0.12, "kin": 0.0},
}
"""Side -> how often each store is drawn: what there is first, how it is painted later."""
FAMILIES = 5
"""How many scenes of a batch at 256 px are there with each of `packing.KIN`: what is hardest to tell apart."""
KINDRED = 10.0
"""How much more an error counts in what differs between the members of a family: that is what the word is worth."""
LEAN = 0.7
"""Below 1, more of the steps are noisy ones, where what the picture is of is decided."""
PHOTO_NOISE = 0.8
"""Real photos are only ever redrawn, so they are taught up to this share of the schedule; beyond it is the world's."""
REDRAWN = 0.7
"""Share of the filtered photos and scenes that are learned as redrawings of the plain ones."""
FOCUS = 4.0
"""How much more an error counts at the top of the subject than beside it, less and less towards its feet: ears, snouts
and faces are little of the picture, and all that tells a dog from a cat.
"""
APART_WEIGHT, NAMED_WEIGHT = 2.0, 0.05
"""Of how differently two latents look, and of facts that cannot be seen, beside the squared error of the velocity."""
PerceptualLosses = Callable[[Tensor, Tensor, list[samples.Row], Tensor], tuple[Tensor, Tensor]]
"""`Spotter.losses`: latents as guessed and as they are, what they show, and how much each counts -> two errors."""


def text_encoder(tokenizer: Any) -> CLIPTextModel:
    """CLIP's text transformer, four layers of CONTEXT channels."""
    special = dict(bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    shape = dict(hidden_size=CONTEXT, intermediate_size=3 * CONTEXT, num_hidden_layers=4, num_attention_heads=4)
    return CLIPTextModel(
        CLIPTextConfig(
            **special,
            **shape,
            vocab_size=len(tokenizer),
            max_position_embeddings=WINDOW,
            pad_token_id=tokenizer.pad_token_id,
            projection_dim=CONTEXT,
            hidden_act="quick_gelu",
        )
    )


def unet() -> UNet2DConditionModel:
    """Convolutions at 32 and 16, cross-attention at 8 (for 256 px).

    The text also reaches every block through the time embedding (``addition_embed_type="text"``, as in DeepFloyd IF):
    without that a network this small took no notice of the style after 70,000 pictures.
    """
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=8,
        out_channels=8,
        layers_per_block=1,
        block_out_channels=(96, 160, 192),
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=CONTEXT,
        attention_head_dim=4,
        norm_num_groups=16,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def scheduler() -> DDIMScheduler:
    """The noise schedule of training and sampling."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


class Painter(nn.Module):
    """UNet and text encoder as one thing to train."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self.text_encoder = text_encoder(tokenizer)
        self.unet = unet().to(memory_format=torch.channels_last)


@torch.no_grad()
def cache(vae: PixelAutoencoder, store: Store, path: Path, side: int) -> NDArray[np.float16]:
    """Latents of a whole store at ``side`` px, scaled to deviation one, (n, 8, side/8, side/8) float16; made once."""
    if not path.exists():
        partial, shape = path.with_suffix(".partial"), (len(store.pixels), 8, side // 8, side // 8)
        out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        vae = vae.to(memory_format=torch.channels_last)
        for i in range(0, len(store.pixels), 32):
            pixels = store.pixels[i : i + 32]
            if side != pixels.shape[1]:
                pixels = np.stack([cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in pixels])
            out[i : i + 32] = encoded(vae, pixels).numpy()
        out.flush()
        partial.rename(path)
    latents: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return latents


class Batch(NamedTuple):
    """Latents (n, 8, h, w), what each is drawn over (itself, or the plain picture that it is a filtered one of),
    prompts, some of them empty, how far into the schedule each goes (n,), what is known of each, and the first of its
    family (n,), whose noise it shares: of most, themselves.
    """

    latents: Tensor
    over: Tensor
    prompts: list[str]
    reach: Tensor
    rows: list[samples.Row]
    first: Tensor


class Latents:
    """Cached latents of several stores, drawn with weights."""

    def __init__(
        self, vae: PixelAutoencoder, stores: dict[str, Store], weights: list[float], side: int, work: Path
    ) -> None:
        self.side, self.kin = side, list(stores).index("kin") if "kin" in stores else None
        self.arrays = [cache(vae, store, work / f"latents-{name}-{side}.npy", side) for name, store in stores.items()]
        self.mix = samples.Mix(list(stores.values()), weights)

    def families(self, rng: np.random.Generator, size: int) -> list[list[tuple[int, int]]]:
        """``size`` places, each a store and one of its pictures: scenes with each of KIN first, then one by one."""
        together: list[list[tuple[int, int]]] = []
        if self.kin is not None:
            count = len(self.mix.stores[self.kin].rows) // len(KIN)
            begun = len(KIN) * rng.integers(count, size=FAMILIES)
            together = [[(self.kin, int(k) + j) for j in range(len(KIN))] for k in begun]
        return together + [[self.mix.pick(rng)] for _ in range(size - len(KIN) * len(together))]

    def draw(self, rng: np.random.Generator, size: int) -> tuple[list[samples.Row], NDArray[np.float32], list[Pixels]]:
        """``size`` rows, their latents (size, 8, h, w), and their pictures at full size."""
        picked = [self.mix.pick(rng) for _ in range(size)]
        rows = [samples.row(self.mix.stores[s], k) for s, k in picked]
        latents = np.stack([self.arrays[s][k] for s, k in picked]).astype(np.float32)
        return rows, latents, [self.mix.stores[s].pixels[k] for s, k in picked]

    def batch(self, step: int, size: int) -> Batch:
        """The batch of a step, always the same."""
        rng = np.random.default_rng((61, self.side, step))
        latents, over, prompts, reach, first = [], [], [], [], []
        rows: list[samples.Row] = []
        for family in self.families(rng, size):
            dropped, redrawn, canonical = rng.random(3) < (DROPPED, REDRAWN, 0.5)
            wording, head = int(rng.integers(2**32)), len(rows)
            stranger = family[int(rng.integers(len(family)))][1] if len(family) > 1 and not dropped else None
            for s, k in family:
                row = samples.row(self.mix.stores[s], k)
                said = samples.caption(row, np.random.default_rng(wording), canonical=bool(canonical))
                prompts.append("" if dropped else said)
                latents.append(self.arrays[s][k])
                under = plain_of(row, k) if stranger is None else stranger
                over.append(self.arrays[s][under if redrawn else k])
                reach.append(PHOTO_NOISE if "path" in row else 1.0)
                rows.append(row)
                first.append(head)
        return Batch(stacked(latents), stacked(over), prompts, torch.tensor(reach), rows, torch.tensor(first))


def plain_of(row: samples.Row, k: int) -> int:
    """Where the plain picture lies that row ``k`` is a redrawing of: just before it; most are of themselves."""
    filtered = "path" in row and row["facts"]["style"] != "plain"
    return k - 1 if filtered or row.get("redrawn") else k


def kindred(errors: Tensor, first: Tensor) -> Tensor:
    """What an error (n, ...) has beside the mean of its family, whose members name the same ``first`` (n,)."""
    shape = (-1, *[1] * (errors.dim() - 1))
    count = torch.bincount(first, minlength=len(first)).clamp(min=1)
    mean = torch.zeros_like(errors).index_add(0, first, errors) / count.view(shape)
    return errors - mean[first]


def stacked(latents: list[NDArray[np.float16]]) -> Tensor:
    """As one float32 batch."""
    return torch.from_numpy(np.stack(latents)).float().contiguous(memory_format=torch.channels_last)


def focus(row: samples.Row, side: int) -> NDArray[np.float32]:
    """How much each place of a latent counts, (side, side): 1, and up to FOCUS more where a scene's subject stands."""
    counts = np.ones((side, side), np.float32)
    kind = row["facts"].get("kind", "room")
    if kind == "room":
        return counts
    at = stance(Scene(row["seed"], kind=kind, accessories=tuple(row["facts"]["accessories"])))
    middles = (np.arange(side) + 0.5) * 256 / side
    high = (at.foot - middles) / at.tall  # 0 at the foot, 1 at the top
    beside = np.abs(middles - at.x) <= at.reach + 0.1 * at.tall
    counts += FOCUS * np.outer(np.where((high > 0) & (high < 1.1), high.clip(max=1), 0), beside).astype(np.float32)
    return counts


def left(alphas: Tensor, times: Tensor, share: Tensor) -> Tensor:
    """How much of the picture that is drawn over is left at ``times`` (n,), of 1: all of it where the redrawing began,
    less with every step.

    A sampler that begins at time T from a picture p and guesses x at every step holds, at t,
    x + (p - x) * (sigma/alpha at t) / (sigma/alpha at T), and noise: DDIM's step (Song et al. 2021, equation 12) solved
    for a guess that stays the same. ``share`` (n,) says where between t and PHOTO_NOISE T lies.
    """
    begun = times + share * (1000 * PHOTO_NOISE - times).clamp(min=0)
    now, then = alphas[times].clamp(min=1e-6), alphas[begun.long()].clamp(min=1e-6)  # the last step has no signal
    return ((1 - now) / now * then / (1 - then)).sqrt()


def velocity(alphas: Tensor, noisy: Tensor, latents: Tensor) -> Tensor:
    """The v that leads from ``noisy`` to ``latents`` (Salimans & Ho 2022, appendix D)."""
    return (alphas.sqrt() * noisy - latents) / (1 - alphas).sqrt()


def stratified(size: int, generator: torch.Generator) -> Tensor:
    """Shares of the schedule, (size,) in [0, 1): one in every nth, which steadies small batches (Kingma et al. 2021,
    appendix I).
    """
    return (torch.randperm(size, generator=generator) + torch.rand(size, generator=generator)) / size


def weights(signal: Tensor) -> Tensor:
    """How much an error counts where this much signal (n,) was left: full where noise leads, since those steps decide
    what the picture is of, less and less where little is left to do.
    """
    return (5.0 * (1 - signal)).clamp(max=1.0)


@torch.no_grad()
def encoded(vae: PixelAutoencoder, pixels: Pixels) -> Tensor:
    """Latents of pictures (n, h, w, 3), scaled to deviation one: (n, 8, h/8, w/8), float32, on the CPU."""
    with autocast(vae):
        mean = vae.encoder(to_tensor(pixels).to(device_of(vae))).chunk(2, dim=1)[0]
    latents: Tensor = (mean.float() * vae.config.scaling_factor).cpu()
    return latents


def begun(batch: Batch, step: int, alphas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is drawn for a batch in a step: times (n,), noise, and the latents that it is added to (n, 8, h, w),
    which hold what is left of what they are drawn over. A family has one time and one noise.
    """
    generator, first = torch.Generator().manual_seed(step), batch.first
    noise = torch.randn(batch.latents.shape, generator=generator)[first].contiguous(memory_format=torch.channels_last)
    size = len(first)
    share = stratified(size, generator)[first]
    times = (share**LEAN * 1000 * batch.reach).long()
    kept = left(alphas, times, torch.rand(size, generator=generator)[first])
    return times, noise, torch.lerp(batch.latents, batch.over, kept[:, None, None, None])


def run(
    painter: Painter,
    data: Latents,
    tokenizer: Any,
    schedule: Schedule,
    checkpoint: Path,
    losses: PerceptualLosses | None = None,
) -> None:
    """Train the painter in place (or go on) on one size of latents.

    What is drawn over another picture has some of that in its noisy latent, and itself as the goal: so a redrawing at
    a low strength takes on the style that the words ask for. The members of a family, one scene with several kinds,
    share words, noise and time, so that what their errors do not share is what the name of the kind should have told.
    With ``losses`` it also counts how differently the latent that the painter guesses looks from the true one, and how
    far it is from showing what its words say (a reward by another network, as in Xu et al. 2023, arXiv 2304.05977, for
    one guess instead of a whole drawing); both in
    proportion to the amplitude of the signal that was left in the noise.
    """
    noise_schedule = scheduler()
    device, size = device_of(painter), BATCHES[data.side]
    alphas = noise_schedule.alphas_cumprod.to(device)

    def loss(context: Context) -> Measured:
        batch = data.batch(context.step, size)
        tokens, _ = ids(tokenizer, batch.prompts, WINDOW)
        drawn = begun(batch, context.step, noise_schedule.alphas_cumprod)
        times, noise, under, latents, first, tokens = (
            x.to(device) for x in (*drawn, batch.latents, batch.first, tokens)
        )
        noisy, signal = noise_schedule.add_noise(under, noise, times), alphas[times]
        target = velocity(signal[:, None, None, None], noisy, latents)
        with autocast(painter):
            states = painter.text_encoder(tokens).last_hidden_state
            made = painter.unet(noisy, times, states).sample
        counts = torch.from_numpy(np.stack([focus(row, latents.shape[-1]) for row in batch.rows])).to(device)
        wrong = made.float() - target
        kin = KINDRED * (1 - signal[:, None, None, None]) * kindred(wrong, first).square()
        errors = ((wrong.square() + kin).mean(dim=1) * counts).mean(dim=(1, 2))
        total, numbers = (errors * weights(signal)).mean(), {"mse": wrong.square().mean(), "kin": kin.mean()}
        if losses is not None:
            # the velocity of the noisy latent and the velocity is the latent: the formula undoes itself
            guessed = noise_schedule.get_velocity(made.float(), noisy, times)
            with autocast(painter):
                apart, named = losses(guessed, latents, batch.rows, signal.sqrt())
            total = total + APART_WEIGHT * apart + NAMED_WEIGHT * named
            numbers |= {"perceptual": apart, "named": named}
        return Measured(total, numbers)

    fit(painter, loss, schedule, checkpoint)
