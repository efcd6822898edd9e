"""How the pages of some kinds are laid out otherwise than as their recipes have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How the page of a kind is laid out otherwise than as its recipe has it."""

    template: str = "make.html"
    first: tuple[str, ...] = ()
    """Settings that stand with those that every page begins with."""
    knobs: tuple[str, ...] = ()
    """Settings that come next; all that is left is folded then."""
    painted: tuple[str, ...] = ()
    """Settings that offer only what has a painting to take a style from."""


PLAIN = Layout()
LAYOUTS = {
    "train": Layout(
        knobs=(
            "resolution",
            "kimg",
            "minutes",
            "classes",
            "attributes",
            "stage_one",
            "beta",
            "prior",
            "perceptual",
            "batch_size",
            "learning_rate",
            "mirror",
        )
    ),
    "transfer": Layout(
        "transfer.html",
        first=("style", "styles"),
        painted=("styles",),
        knobs=("style_weight", "content_weight", "tv_weight", "iterations", "side", "keep_colours"),
    ),
}
"""By kind; others are plain."""
