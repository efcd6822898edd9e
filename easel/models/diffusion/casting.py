"""Hooks of the UNet by which latents stay in float32 between steps, whatever the UNet computes in."""

from __future__ import annotations

from typing import Any


def cast_inputs(unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Float32 latents into the UNet's own dtype; they stay float32 between steps."""
    if kwargs.get("timestep_cond") is not None:
        kwargs["timestep_cond"] = kwargs["timestep_cond"].to(unet.dtype)
    for name in ("down_block_additional_residuals", "down_intrablock_additional_residuals"):
        if kwargs.get(name) is not None:  # from networks that may compute in another format
            kwargs[name] = [residual.to(unet.dtype) for residual in kwargs[name]]
    if kwargs.get("mid_block_additional_residual") is not None:
        kwargs["mid_block_additional_residual"] = kwargs["mid_block_additional_residual"].to(unet.dtype)
    return (args[0].to(unet.dtype), *args[1:]), kwargs


def cast_output(_unet: Any, _args: tuple[Any, ...], output: Any) -> Any:
    """The UNet's prediction in float32, so that guidance and the scheduler compute in float32."""
    return (output[0].float(), *output[1:]) if isinstance(output, tuple) else output
