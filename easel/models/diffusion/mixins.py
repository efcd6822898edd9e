"""What is put before the classes of diffusers' pipelines: they start from latents that are worked out here, in float32
and picture by picture, and tell of every step in one way.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from easel.models.diffusion import latents

if TYPE_CHECKING:
    from torch import Tensor


class StartsFromLatents:
    """Mixed into diffusers' image-to-image pipelines: they start from latents that are worked out here.

    There a photo is encoded once for a model and noised in float32; the pipelines' own way encodes it for every picture
    and draws noise in the model's number format.
    """

    photo: Tensor
    noise: Tensor
    scheduler: Any

    def prepare_latents(self, _image: Any, timestep: Tensor, *_more: Any, **_named: Any) -> Tensor:
        """The photo's latents with the noise of the first step, (n, c, h, w) in float32."""
        started: Tensor = self.scheduler.add_noise(self.photo, self.noise, timestep)
        return started


class RedrawsUnderMask(StartsFromLatents):
    """Mixed into diffusers' image-to-image pipelines where a mask says what is redrawn: at strength 1 nothing of the
    photo is left there, as in their inpainting pipelines.
    """

    cells: Tensor
    """Which cells are drawn anew, (n, 1, h, w), 1 or 0."""
    strength: float

    def prepare_latents(self, _image: Any, timestep: Tensor, *_more: Any, **_named: Any) -> Tensor:
        """The latents of the first step, (n, c, h, w) in float32."""
        if self.strength < 1:
            return super().prepare_latents(_image, timestep)
        pure: Tensor = self.noise * self.scheduler.init_noise_sigma
        return pure


class EditsByLatents:
    """Mixed into diffusers' InstructPix2Pix pipelines: the photo's latents are worked out here, one by one, once for a
    model, and kept in float32.
    """

    photo: Tensor

    def prepare_image_latents(
        self, _image: Any, _count: int, _each: int, _dtype: Any, _device: Any, is_guided: bool, *_more: Any
    ) -> Tensor:
        """The photo's latents as the VAE gives them, not scaled, (n, c, h, w); with guidance (3n, c, h, w), the last
        third zero.
        """
        import torch

        return torch.cat([self.photo, self.photo, torch.zeros_like(self.photo)]) if is_guided else self.photo


class PaintsInLatents:
    """Mixed into diffusers' inpainting pipelines: they start from latents that are worked out here, and encode a photo
    to the mean of its latents, so that no noise is spent on it.

    Given latents, the pipelines' own way starts from pure noise at any strength.
    """

    photo: Tensor
    noise: Tensor
    scheduler: Any
    vae: Any

    def prepare_latents(self, *_more: Any, timestep: Any, is_strength_max: bool, **_named: Any) -> tuple[Tensor, ...]:
        """What is started from and the noise in it, (n, c, h, w) in float32 each."""
        if is_strength_max:
            return self.noise * self.scheduler.init_noise_sigma, self.noise
        return self.scheduler.add_noise(self.photo, self.noise, timestep), self.noise

    def _encode_vae_image(self, image: Tensor, generator: Any) -> Tensor:  # noqa: ARG002 - diffusers' own name
        import torch

        return torch.cat([latents.encode_pixels(self.vae, one[None]) for one in image])


class OldCallback:
    """Mixed into pipelines that know diffusers' first kind of callback alone: it gets the second kind's call."""

    num_timesteps: int

    def __call__(self, *args: Any, callback_on_step_end: Any, **named: Any) -> Any:
        """As the pipeline's own."""
        own: Any = super().__call__  # type: ignore[misc]
        if "callback_on_step_end" in inspect.signature(own).parameters:
            return own(*args, callback_on_step_end=callback_on_step_end, **named)
        self.num_timesteps = int(named["num_inference_steps"])

        def callback(index: int, time: Any, now: Tensor) -> None:
            callback_on_step_end(self, index, time, {"latents": now})

        return own(*args, callback=callback, callback_steps=1, **named)
