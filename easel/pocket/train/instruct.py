"""Pocket's InstructPix2Pix (Brooks et al. 2022, arXiv 2211.09800): its UNet with the photo's latents beside the noisy
ones, taught on pairs of pictures and the instruction that leads from one to the other. The words' encoder stays.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pairs import Pairs
from easel.pocket.train.text import WINDOW, ids
from easel.pocket.train.unet import LEAN, scheduler, stratified, velocity, weights
from easel.training.trainer import Context, Measured, autocast, device_of

SCHEDULE = Schedule(steps=3400, lr=5e-4, warmup=100, weight_decay=0.01, average_decay=0.998, muon=True)
BATCH = 16
PHOTOS = 0.55
"""Share of the pairs that are real photos."""
OFTEN = {"night": 4.0, "same": 0.5, "style": 2.0}
"""What is drawn more or less often than other subjects of instructions."""
DROPPED = 0.05
"""How often the words, the photo, and both are left out (Brooks et al. 2022, section 3.2.1)."""
BEGUN = 0.5
"""What the photo's half of the first convolution begins as, of the noisy half."""
CHANGED = 4.0
"""How much more an error counts where the picture changes: a hat is little of the picture, and all that was asked."""


def widened(unet: UNet2DConditionModel, begun: float = BEGUN) -> UNet2DConditionModel:
    """The UNet with twice as many channels to read; the second half begins as ``begun`` of the first."""
    config = dict(unet.config) | {"in_channels": 2 * unet.config.in_channels}
    wide: UNet2DConditionModel = UNet2DConditionModel.from_config(config)
    weights = unet.state_dict()
    weights["conv_in.weight"] = torch.cat([weights["conv_in.weight"], begun * weights["conv_in.weight"]], dim=1)
    wide.load_state_dict(weights)
    return wide


def counts(before: Tensor, after: Tensor) -> Tensor:
    """How much each place counts, (n, h, w): 1, and up to CHANGED more where the latents (n, c, h, w) differ."""
    apart = (after - before).abs().mean(dim=1)
    return 1 + CHANGED * (apart / 0.6).clamp(max=1)


class Words:
    """What a text encoder that stays as it is says of instructions, each asked once: texts -> (n, 77, 192)."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: Any) -> None:
        self.encoder, self.tokenizer = encoder.eval(), tokenizer
        self.said: dict[str, Tensor] = {}

    def __call__(self, texts: list[str]) -> Tensor:
        """The states of each text, in their order."""
        for one in dict.fromkeys(texts):
            if one not in self.said:
                tokens = ids(self.tokenizer, [one], WINDOW)[0].to(device_of(self.encoder))
                with torch.no_grad():
                    self.said[one] = self.encoder(tokens).last_hidden_state[0]
        return torch.stack([self.said[one] for one in texts])


def run(
    unet: UNet2DConditionModel,
    words: Words,
    pairs: Pairs,
    scaling: float,
    checkpoint: Path,
    schedule: Schedule = SCHEDULE,
) -> None:
    """Train the widened UNet in place (or go on). ``scaling`` is the autoencoder's: its pipeline does not scale the
    photo's latents, so they are not scaled here.
    """
    steps = scheduler()
    alphas = steps.alphas_cumprod.to(device_of(unet))

    def loss(context: Context) -> Measured:
        rng = np.random.default_rng((73, context.step))
        drawn = [pairs.draw(rng, PHOTOS, OFTEN) for _ in range(BATCH)]
        before, after = (torch.from_numpy(np.stack(part)).float() for part in list(zip(*drawn, strict=True))[:2])
        left_out = rng.random(BATCH)
        wordless = (left_out < 2 * DROPPED).tolist()
        seen = torch.from_numpy((left_out < DROPPED) | (left_out > 1 - DROPPED)).logical_not().float()
        said = ["" if none else one for none, (_, _, one) in zip(wordless, drawn, strict=True)]
        generator = torch.Generator().manual_seed(context.step)
        noise = torch.randn(after.shape, generator=generator)
        times = (stratified(BATCH, generator) ** LEAN * 1000).long()
        photo = before / scaling * seen[:, None, None, None]
        where = counts(before, after)
        after, noise, times, photo, where = (x.to(device_of(unet)) for x in (after, noise, times, photo, where))
        noisy, signal = steps.add_noise(after, noise, times), alphas[times]
        given = torch.cat([noisy, photo], dim=1).contiguous(memory_format=torch.channels_last)
        with autocast(unet):
            made = unet(given, times, words(said)).sample
        wrong = (made.float() - velocity(signal[:, None, None, None], noisy, after)).square().mean(dim=1)
        total = ((wrong * where).mean(dim=(1, 2)) * weights(signal)).mean()
        return Measured(total, {"mse": wrong.mean()})

    fit(unet, loss, schedule, checkpoint)
