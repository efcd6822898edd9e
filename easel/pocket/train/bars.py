"""What pocket's held-out scores ought to reach at least; a score that does not is said to be missed."""

from typing import Any

from easel.pocket.train.packing import ARTISTS

BARS: dict[str, dict[str, float]] = {
    "diffusion": {
        "autoencoder PSNR, dB": 24.5,
        "judge right about true scenes: kind": 0.99,
        "judge right about true scenes: colour": 0.99,
        "judge right about true scenes: place": 0.99,
        "judge right about true scenes: time": 0.99,
        "kind right, prompts": 0.95,
        "colour right, prompts": 0.9,
        "place right, prompts": 0.95,
        "time right, prompts": 0.95,
        "all four right, prompts": 0.8,
        "style right": 0.85,
        **{f"style named ({artist})": 0.8 for artist in ARTISTS},
        **{f"photo found again ({artist})": 0.8 for artist in ARTISTS},
    },
    "caption": {"caption F1 over attributes": 0.95},
    "ask": {"right answers": 0.95},
    "clip": {"retrieval top-1": 0.9},
    "subject": {"same subject against strangers (AUC)": 0.97, "same subject against look-alikes (AUC)": 0.9},
    "instruct": {"edit done, the rest kept": 0.5, "night, all three": 20 / 30},
    "control": {"edges F1": 0.6, "depth correlation": 0.85},
}
"""The least value, by part and score; a score that is not named here has no bar."""

Scores = dict[str, dict[str, Any]]


def verdict(part: str, name: str, value: float) -> str:
    """'0.95: met' or '0.95: **missed**'; nothing where the score has no bar."""
    bar = BARS.get(part, {}).get(name)
    return "" if bar is None else f"{bar:g}: {'met' if value >= bar else '**missed**'}"


def missed(scores: dict[str, Scores]) -> str:
    """One sentence on all parts' scores: how many bars are met, and which are missed by how much."""
    measured = {
        (part, name): found[name]["value"]
        for part, found in scores.items()
        for name in BARS.get(part, {})
        if name in found
    }
    short = [
        f"{name} ({value:.3g} of {BARS[part][name]:g})"
        for (part, name), value in measured.items()
        if value < BARS[part][name]
    ]
    count = f"{len(measured) - len(short)} of {len(measured)} bars are met"
    return f"{count}. Missed: {'; '.join(short)}." if short else f"{count}."
