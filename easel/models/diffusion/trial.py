"""One small step of a model that was just loaded, so that parts that do not fit together are found there."""

from __future__ import annotations

from typing import Any

from easel.models.diffusion import latents, prompts, schedulers


def try_once(pipeline: Any, device: Any) -> None:
    """One small step from words to pixels, so that parts that do not fit together are found here. Raises whatever that
    leads to.
    """
    import torch

    unet, vae, scheduler = pipeline.unet, pipeline.vae, schedulers.build(None, pipeline.scheduler)
    states, pooled = prompts.encode(pipeline, "a", 1)
    sides = 2 ** max(len(unet.config.block_out_channels) - 1, 3)
    latent = torch.zeros(1, unet.config.in_channels, sides, sides, device=device)
    added = None
    if pooled is not None:
        added = {"text_embeds": pooled, "time_ids": torch.zeros(1, 6, device=device, dtype=unet.dtype)}
    with torch.no_grad():
        scheduler.set_timesteps(2, device=device)
        time = scheduler.timesteps[0]
        words = states.to(unet.dtype)
        answer = unet(latent, time, encoder_hidden_states=words, added_cond_kwargs=added, return_dict=False)
        latent = latent[:, : vae.config.latent_channels]
        scheduler.step(answer[0], time, latent)
        latents.try_decode(vae, latent)
