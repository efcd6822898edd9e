"""What a reader knows of what it does not know: how far to trust its words about a picture.

The facts stand beside its weights. `easel.json` has the coefficients of a logistic regression and the limits that were
measured with it; `depth.safetensors` has what the pictures that it learned from look like to it. A folder without them
is trusted as far as its own probabilities go, and is never doubted. How they were found: docs/lab/readers.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easel.errors import EaselError, nearest
from easel.models.catalog import checks

FACTS, DEPTH = "easel.json", "depth.safetensors"
COEFFICIENTS = ("intercept", "log_probability", "distance")
UNKNOWN = "a photo"
"""What is said of a picture about which nothing is known."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Depth:
    """Where the pictures that a reader learned from lie among its features (means of its patches' states).

    Most of them are a cloud, drawn by code and endless: the distance to it is Mahalanobis'. The others are single
    pictures that it knows by heart.
    """

    mean: Rows
    """(width,)"""
    whitening: Rows
    """(width, width): features less the mean, times this, have the identity as covariance over the cloud."""
    remembered: Rows
    """(n, width), whitened."""

    def distances(self, features: Rows, remembered_within: float) -> Rows:
        """Of features (n, width) the distance to the cloud, or to a remembered picture as near as
        `remembered_within`; (n,).
        """
        placed = (features - self.mean) @ self.whitening
        far: Rows = np.linalg.norm(placed, axis=1)
        if len(self.remembered):
            near = np.linalg.norm(placed[:, None] - self.remembered[None], axis=2).min(axis=1)
            far = np.where(near < remembered_within, np.minimum(near, far), far)
        return far

    @classmethod
    def read(cls, file: Path) -> Depth:
        """The file's three tensors. Raises EaselError on what is missing, misshapen or no number."""
        from safetensors.numpy import load_file

        checks.check_file(file)
        found = {name: rows.astype(np.float64) for name, rows in load_file(file).items()}
        for name in ("mean", "whitening", "remembered"):
            if name not in found or not np.isfinite(found[name]).all():
                raise EaselError(f"{file}: '{name}' is missing or has what is no number")
        width = found["mean"].size
        if [found[name].shape[1:] for name in ("whitening", "remembered")] != [(width,), (width,)] or found[
            "whitening"
        ].shape[0] != width:
            raise EaselError(f"{file}: the shapes do not fit a width of {width}")
        return cls(found["mean"].ravel(), found["whitening"], found["remembered"])


@dataclass(frozen=True)
class Knowing:
    """How a reader's confidence is worked out, and what follows from it."""

    guess_below: float = 0.0
    """Words of less confidence are called a guess."""
    silent_below: float = 0.0
    """Captions of less confidence are not said at all."""
    instead: str = ""
    """A model that knows more, as a person would name it."""
    known_everywhere: tuple[str, ...] = ()
    """Questions with these words in them are answered as well far from what it learned."""
    remembered_within: float = 0.0
    """Distance up to which a picture is one of those known by heart."""
    depth_limit: float = 0.0
    """Distance beyond which a picture is unlike all that was learned, whatever is said about it."""
    coefficients: tuple[float, float, float] = (0.0, 1.0, 0.0)
    """Of the intercept, the mean log probability and the distance."""
    depth: Depth | None = None

    def distances(self, features: Rows) -> Rows:
        """How far pictures are from all that was learned, (n,); 0 where that is not known."""
        return np.zeros(len(features)) if self.depth is None else self.depth.distances(features, self.remembered_within)

    def out_of_depth(self, features: Rows) -> list[bool]:
        """Whether pictures are unlike all that was learned; never where that is not known."""
        return [self.depth is not None and bool(far > self.depth_limit) for far in self.distances(features)]

    def confidence(self, log_probability: float, distance: float) -> float:
        """0 to 1: that words of this mean log probability a token are right, of a picture at this distance.

        Without a depth it is the mean probability alone (the geometric mean over tokens).
        """
        if self.depth is None:
            return math.exp(min(0.0, log_probability))
        intercept, likely, far = self.coefficients
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, intercept + likely * log_probability + far * distance))))


def read(folder: Path) -> Knowing:
    """What is known of the reader in `folder`. Raises EaselError naming file and key of what cannot be."""
    file = folder / FACTS
    if not file.is_file():
        return Knowing()
    facts = checks.read_json(file)
    known = ["confidence", "guess_below", "silent_below", "instead", "known_everywhere"]
    known += ["remembered_within", "depth_limit"]
    for key in facts:
        if key not in known:
            raise EaselError(f"{file}: no fact called '{key}': {nearest(key, known)}")
    given = facts.get("confidence")
    if not isinstance(given, dict) or set(given) != set(COEFFICIENTS):
        raise EaselError(f"{file}: 'confidence' must give {', '.join(COEFFICIENTS)}")
    phrases, instead = facts.get("known_everywhere", []), facts.get("instead", "")
    if not isinstance(instead, str):
        raise EaselError(f"{file}: 'instead' must be the name of a model, not {instead!r}")
    if not isinstance(phrases, list) or not all(isinstance(words, str) and words.strip() for words in phrases):
        raise EaselError(f"{file}: 'known_everywhere' must be a list of words, not {phrases!r}")
    intercept, likely, far = (_number(given, name, file) for name in COEFFICIENTS)
    made = Knowing(
        guess_below=_number(facts, "guess_below", file, 1.0),
        silent_below=_number(facts, "silent_below", file, 1.0),
        instead=instead,
        known_everywhere=tuple(phrases),
        remembered_within=_number(facts, "remembered_within", file, math.inf),
        depth_limit=_number(facts, "depth_limit", file, math.inf),
        coefficients=(intercept, likely, far),
        depth=Depth.read(folder / DEPTH),
    )
    if made.silent_below > made.guess_below:
        raise EaselError(f"{file}: 'silent_below' is above 'guess_below': what is not said would be no guess")
    return made


def _number(facts: Mapping[str, Any], name: str, file: Path, most: float | None = None) -> float:
    """A finite number, of at least 0 and at most `most` where that is given."""
    value = facts.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:  # NaN is not below it
        raise EaselError(f"{file}: '{name}' must be a number, not {value!r}")
    if most is not None and not 0 <= value <= most:
        raise EaselError(f"{file}: '{name}' must be from 0 to {most:g}, not {value!r}")
    return float(value)
