"""The light of a scene on what is drawn: by the time of day, indoors and outdoors, and by the mood."""

import numpy as np

from easel.pocket.world.brush import Canvas

Tone = tuple[float, tuple[float, float, float], tuple[float, float, float]]
AROUND: dict[str, Tone] = {
    "day": (1.0, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": (0.95, (1.0, 0.8, 0.7), (10.0, 2.0, 4.0)),
    "night": (0.75, (0.3, 0.34, 0.5), (2.0, 5.0, 16.0)),
    "night inside": (0.85, (0.5, 0.43, 0.44), (2.0, 2.0, 8.0)),
}
ITSELF: dict[str, Tone] = {
    "day": (1.0, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": (1.0, (1.03, 0.94, 0.86), (2.0, 0.0, 0.0)),
    "night": (1.0, (0.87, 0.87, 0.92), (0.0, 2.0, 8.0)),
}
"""Light on the surroundings and on the subject: saturation, gain, lift. The subject keeps its colour at any time."""
FEELINGS: dict[str, tuple[float, tuple[float, float, float]]] = {
    "neutral": (1.0, (1.0, 1.0, 1.0)),
    "joy": (1.12, (1.03, 1.01, 0.97)),
    "sadness": (0.6, (0.84, 0.89, 0.97)),
}


def around(canvas: Canvas, time: str, mood: str, inside: bool) -> None:
    """Light the surroundings; sadness takes colour away, joy adds some."""
    keep, gain, lift = AROUND["night inside" if inside and time == "night" else time]
    fade, pull = FEELINGS[mood]
    canvas.tone = (keep * fade, np.array(gain) * pull, np.array(lift))


def itself(canvas: Canvas, time: str) -> None:
    """Light the subject."""
    keep, gain, lift = ITSELF[time]
    canvas.tone = (keep, np.array(gain), np.array(lift))
