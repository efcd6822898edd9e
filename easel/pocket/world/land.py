"""Sky and land: what the places outdoors are built of."""

# Lists of points stay in rows.
# fmt: off

from dataclasses import dataclass

import numpy as np

from easel.pocket.world.brush import CIRCLE, Canvas, Colour, Floats, Paint, Pen, dark, flat, mix, smooth

Rng = np.random.Generator
SKIES = {
    "day": (((86, 164, 232), (206, 234, 250)), ((112, 190, 240), (240, 244, 228)), ((60, 150, 214), (186, 228, 240)),
        ((150, 196, 226), (246, 240, 224))),
    "sunset": (((78, 66, 140), (255, 178, 92)), ((120, 80, 150), (255, 150, 96)), ((196, 84, 92), (255, 212, 120))),
    "night": (((8, 12, 42), (38, 52, 106)), ((12, 8, 36), (50, 44, 96)), ((4, 16, 38), (26, 62, 98))),
}
GREENS = ((92, 160, 74), (118, 170, 70), (72, 144, 84), (136, 160, 72))


@dataclass(frozen=True)
class Setting:
    """When it is and how it feels."""

    time: str
    mood: str


def fork(rng: Rng) -> Rng:
    """A generator of its own for what depends on the time or the mood, so that these move nothing else."""
    return np.random.default_rng(rng.integers(1 << 62))


def hills(rng: Rng, base: float, rise: float, waves: int = 3) -> Floats:
    """A rolling line from left to right closed at the bottom."""
    x = np.linspace(-4, 260, 26)
    y = np.full(26, base)
    for k in range(1, waves + 1):
        y = y - rise / k * np.sin(x / 256 * np.pi * (k + rng.random()) + rng.random() * 7)
    return np.concatenate([np.stack([x, y], 1), [(260, 260), (-4, 260)]])


def ridge(rng: Rng, base: float, rise: float, steps: int) -> Floats:
    """A jagged line from left to right closed at the bottom."""
    x = np.linspace(-6, 262, steps) + rng.uniform(-6, 6, steps)
    y = base - rise * rng.random(steps) * np.where(np.arange(steps) % 2, 1.0, 0.35)
    return np.concatenate([np.stack([x, y], 1), [(262, 262), (-6, 262)]])


def sky(canvas: Canvas, rng: Rng, setting: Setting, horizon: float) -> None:
    """Sky with clouds and the sun, or with the moon and stars."""
    canvas.now("sky", 0.0)
    pick = rng.random(6)
    own = fork(rng)
    choice = SKIES[setting.time]
    top, low = choice[int(pick[0] * len(choice))]
    if setting.mood == "sadness" and setting.time == "day":
        top, low = (128, 142, 160), (196, 202, 208)
    canvas.sheet([(0, top), (1, low)], 0, horizon + 24, lit=setting.time != "day")
    x, y = 24 + 208 * pick[1], 22 + 26 * pick[2]
    if setting.time == "night":
        stars = own.random((46, 3))
        canvas.dots(stars[:, :2] * (256, horizon), 0.35 + 0.9 * stars[:, 2] ** 3, (255, 250, 224), True)
        moon(canvas, (x, y), 9 + 6 * pick[3], pick[4])
    elif setting.time == "sunset":
        y = horizon - 12 - 26 * pick[2]
        canvas.glow((x, y), (110, 80), (255, 170, 90), 0.7)
        canvas.fill(CIRCLE * (15 + 5 * pick[3]) + (x, y), Paint((255, 232, 150), 0.1, 0.0, lit=True))
    elif setting.mood != "sadness" and pick[5] < 0.6:
        canvas.glow((x, y), (46, 46), (255, 240, 170), 0.7)
        canvas.fill(CIRCLE * (9 + 4 * pick[3]) + (x, y), Paint((255, 240, 150), 0.1, 0.0, lit=True))
    clouds(canvas, own, setting, horizon)


def moon(canvas: Canvas, at: tuple[float, float], radius: float, phase: float) -> None:
    """A full moon or a crescent, glowing."""
    canvas.glow(at, (radius * 4, radius * 4), (150, 170, 230), 0.5)
    pale_moon = Paint((250, 244, 214), 0.25, 0.0, texture="stone", rough=0.2, lit=True)
    if phase < 0.5:
        canvas.fill(CIRCLE * radius + at, pale_moon)
        return
    turn = np.linspace(-np.pi / 2, np.pi / 2, 14)
    outer = np.stack([np.cos(turn), np.sin(turn)], 1)
    inner = np.stack([0.35 * np.cos(turn), np.sin(turn)], 1)[::-1]
    canvas.fill(np.concatenate([outer, inner]) * radius + at, pale_moon)


def clouds(canvas: Canvas, rng: Rng, setting: Setting, horizon: float) -> None:
    """A few soft clouds."""
    tint: Colour = {"day": (255, 255, 255), "sunset": (255, 196, 170), "night": (78, 88, 136)}[setting.time]
    if setting.mood == "sadness":
        tint = mix(tint, (110, 118, 132), 0.5)
    many = rng.integers(1, 4) + (2 if setting.mood == "sadness" else 0)
    for x, y, big, bend in rng.random((many, 4)):
        w = 18 + 24 * big
        puffs = [(-1, 0.12), (-0.7, -0.2), (-0.35, -0.42 - 0.3 * bend), (0.1, -0.36), (0.4, -0.5 + 0.3 * bend),
            (0.8, -0.15), (1, 0.12), (0, 0.2)]
        points = smooth(np.array(puffs) * (w, w * 0.55)) + np.array([256 * x, 12 + y * horizon * 0.55])
        canvas.veil(points, tint, 0.72 if setting.time != "night" else 0.5, 2.2)


def ground(canvas: Canvas, points: Floats, paint: Paint, horizon: float) -> None:
    """The ground from the horizon to the front, nearer further down."""
    canvas.now("ground", 0.14, 1.0, horizon)
    canvas.fill(points, paint._replace(line=0.0))


def depth_at(y: float, horizon: float) -> float:
    """Depth (near = 1) of the ground at a row."""
    return float(np.clip(0.14 + 0.86 * (y - horizon) / (256 - horizon), 0.1, 1.0))


def tree(canvas: Canvas, at: tuple[float, float], high: float, look: tuple[float, float, Colour]) -> None:
    """A leafy tree at the foot `at`; look = (lean, fullness, leaf colour)."""
    lean, full, leaf = look
    pen = Pen(canvas, at, high)
    bark = Paint((112, 78, 54), 0.4, 1.0, "tube", "bark", 0.35)
    pen.ribbon([(0, 0.01), (lean * 0.05, -0.25), (lean * 0.12, -0.55)], [0.13, 0.09, 0.06], bark)
    crown = Paint(leaf, 0.6, 0.9, texture="leaf", rough=0.5)
    for x, y, r in ((-0.2, -0.52, 0.2), (0.22, -0.5, 0.2), (0.0, -0.72, 0.28)):
        ring = 1 + 0.09 * np.sin(np.arange(28) * 2.6 + full * 20)
        pen.canvas.fill(pen.at(CIRCLE * ring[:, None] * r * (0.85 + 0.4 * full) + (x + lean * 0.12, y)), crown)


def pine(canvas: Canvas, at: tuple[float, float], high: float, leaf: Colour) -> None:
    """A fir tree."""
    pen = Pen(canvas, at, high)
    pen.box((-0.035, -0.15), (0.035, 0.0), Paint((104, 72, 50), 0.3, 0.6))
    for y, w in ((-0.1, 0.25), (-0.34, 0.2), (-0.58, 0.14)):
        pen.shape([(-w, y), (-w * 0.4, y - 0.1), (0, y - 0.42), (w * 0.4, y - 0.1), (w, y), (0, y + 0.035)],
            Paint(leaf, 0.5, 0.7, "fall", "leaf", 0.3))


def tufts(canvas: Canvas, rng: Rng, horizon: float, tint: Colour, flowers: bool) -> None:
    """Grass tufts and meadow flowers in the foreground."""
    for x, y, h in rng.random((14, 3)):
        row = horizon + 14 + (250 - horizon) * y
        big = 2.5 + 6 * (row - horizon) / (256 - horizon) + 2 * h
        pen = Pen(canvas, (256 * x, row), big)
        pen.canvas.fill(pen.at([(-0.5, 0), (-0.8, -0.9), (-0.2, -0.3), (0, -1.2), (0.2, -0.3), (0.8, -0.8),
            (0.5, 0)]), flat(dark(tint, 0.22)))
    if flowers:
        spots = rng.random((22, 3))
        rows = horizon + 10 + (246 - horizon) * spots[:, 1]
        colour = ((252, 246, 236), (250, 210, 90), (240, 130, 150), (190, 150, 230))[rng.integers(4)]
        canvas.dots(np.stack([256 * spots[:, 0], rows], 1), 0.8 + 1.6 * (rows - horizon) / (256 - horizon), colour)
