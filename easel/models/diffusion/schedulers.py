"""The samplers by name. Each is built from the model's own scheduler configuration, so betas and prediction type
stay the model's.
"""

from __future__ import annotations

import inspect
from typing import Any

from easel.errors import EaselError, shortened, unknown

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "dpmpp-2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpmpp-2m-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "dpmpp-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp-2s": ("DPMSolverSinglestepScheduler", {"algorithm_type": "dpmsolver++"}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "kdpm2": ("KDPM2DiscreteScheduler", {}),
    "kdpm2-a": ("KDPM2AncestralDiscreteScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}
"""Name -> (class in diffusers, what is set besides the model's own configuration)."""


def names() -> list[str]:
    """Every scheduler's name."""
    return list(SCHEDULERS)


def check(name: str | None) -> None:
    """EaselError with the nearest names if there is no scheduler called so; None (the model's own) passes."""
    if name is not None and name not in SCHEDULERS:
        raise unknown("scheduler", name, SCHEDULERS)


def build(name: str | None, own: Any) -> Any:
    """A fresh scheduler: `name` from the table, or another of the model's own kind for None or its own name. `own` is
    the model's scheduler.

    A model trained to zero terminal SNR (Lin et al. 2024, arXiv 2305.08891) starts from pure noise; a scheduler that
    cannot do that would silently draw grey pictures, so it is refused.
    """
    import diffusers

    if name is None or name == name_of(own):
        return type(own).from_config(own.config)
    check(name)
    class_name, extra = SCHEDULERS[name]
    kind = getattr(diffusers, class_name)
    if own.config.get("rescale_betas_zero_snr") and not can_start_from_noise(kind):
        able = [word for word, (other, _) in SCHEDULERS.items() if can_start_from_noise(getattr(diffusers, other))]
        raise EaselError(
            f"scheduler '{name}' cannot do zero terminal SNR, which this model needs: use one of {', '.join(able)}"
        )
    try:
        made = kind.from_config(own.config, **extra)
        made.set_timesteps(2)  # where some find out what their configuration is
    except (ValueError, TypeError, NotImplementedError, RuntimeError, AttributeError, ArithmeticError) as problem:
        raise EaselError(
            f"scheduler '{name}' cannot be made of the model's scheduler_config.json ({shortened(problem, 160)}): "
            "use another --scheduler"
        ) from problem
    return made


def noise_schedule(own: Any) -> tuple[Any, str]:
    """What a model learns by, of its own scheduler's configuration: the cumulative products of its alphas (T,), for
    zero terminal SNR where it says so, and what its UNet predicts: epsilon, v_prediction or sample.
    """
    import diffusers

    made = diffusers.DDPMScheduler.from_config(own.config)
    return made.alphas_cumprod, str(made.config.prediction_type)


def can_start_from_noise(kind: Any) -> bool:
    """Whether a class of schedulers can do zero terminal SNR."""
    return "rescale_betas_zero_snr" in inspect.signature(kind.__init__).parameters


def name_of(scheduler: Any) -> str:
    """The table's word for a scheduler (for provenance), or its class name if it is not in the table."""
    best = [
        (len(extra), name)
        for name, (class_name, extra) in SCHEDULERS.items()
        if class_name == type(scheduler).__name__
        and all(scheduler.config.get(key) == value for key, value in extra.items())
    ]
    return max(best)[1] if best else type(scheduler).__name__
