"""When pocket's readers are out of their depth: the facts that say so, measured, and the page about it.

    python -m benchmarks.readers --photos DIR --others DIR          measures what is shipped
    python -m benchmarks.readers --photos DIR --others DIR --fit    works the facts out anew first

DIR of --photos holds photos_commons (which nothing was trained on), and photos_pd, dreambooth and paintings_pd (which
the readers learned by heart). --others is a folder of photos that are none of these: the logistic regression is fitted
on them and on some held-out scenes, and everything is measured on photos_commons and on other held-out scenes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.charts import new_figure, png
from easel.metrics.intervals import Estimate, rate_interval

ROOT = Path(__file__).parent.parent
WEIGHTS = ROOT / "easel" / "pocket" / "weights"
PAGE, CHART = ROOT / "docs" / "lab" / "readers.md", ROOT / "docs" / "lab" / "images" / "readers.png"
CLOUD, FITTED, MEASURED = 8_010_000, 5_200_000, 5_300_000
"""The first seeds of the scenes that draw the cloud, that fit, and that measure; no training saw any."""
LEARNED = ("photos_pd/*.jpg", "dreambooth/*/*.jpg", "paintings_pd/*.jpg")
WITHIN = 14.0
"""Distance of a picture known by heart: its own mirror image, halves and trimmed copies lie within 13.3 of it, and no
unknown photo within 15.2 of any."""
LOST_TO_GUESSES, LOST_TO_SILENCE = 0.025, 0.005
"""Right ones among the fitted scenes that the two limits may cost."""
SMOOTHED = 1e-3
"""Of the mean variance, added to each variance of the cloud."""
OPEN, CLOSED = "what is in the picture?", "is there a cat?"
"""Asked of every photo; no photo here shows a cat, and what the readers call an open one is wrong of all."""
EVERYWHERE = ["in the style of", "pencil drawing", "watercolour", "pixel art"]

Floats = NDArray[np.float64]


@dataclass
class Read:
    """What a reader says of pictures: whether it was right, its mean log probability, its probability, its features."""

    right: NDArray[np.bool_]
    likely: Floats
    features: Floats
    words: list[str]


def scenes(first: int, count: int) -> Iterator[tuple[Any, Image.Image]]:
    """Held-out scenes and their pictures."""
    from easel.pocket.world import Scene, render

    for seed in range(first, first + count):
        scene = Scene.from_seed(seed)
        yield scene, Image.fromarray(render(scene, 256))


def opened(folder: Path, pattern: str) -> list[Image.Image]:
    """The pictures that a pattern finds. Raises SystemExit where there are none."""
    from easel.images import open_picture

    found = [open_picture(path) for path in sorted(folder.glob(pattern))]
    if not found:
        raise SystemExit(f"no pictures in {folder / pattern}")
    return found


def in_parts(images: Sequence[Image.Image], do: Any) -> list[Any]:
    """`do` of sixteen at a time, joined."""
    return [one for start in range(0, len(images), 16) for one in do(images[start : start + 16])]


def features_of(reader: Any, images: Sequence[Image.Image]) -> Floats:
    """(n, width)"""
    from easel.models import captioners

    return np.array(in_parts(images, lambda part: [*captioners.features(reader._loaded, part)]))


def caption_is_right(text: str, truth: str) -> bool:
    """Whether a caption names the kind, and nothing else that is untrue of kind, colour, place, time or style."""
    from easel.pocket.train import facts

    told, true = facts.said(text), facts.said(truth)
    kinds = [{pair for pair in said if pair[0] == "kind"} for said in (told, true)]
    stated = {pair for pair in told if pair[0] in ("kind", "colour", "place", "time", "style")}
    return kinds[0] == kinds[1] and stated <= true


def captioned(captioner: Any, images: Sequence[Image.Image], truths: Sequence[str] | None) -> Read:
    """Captions of pictures; those of unknown photos are all wrong, which a person found (docs/caption.md)."""
    told = in_parts(images, lambda part: captioner._beamed(captioner._loaded.pixels(part)))
    right = [truths is not None and caption_is_right(text, truths[i]) for i, (text, _) in enumerate(told)]
    likely = np.array([likely for _, likely in told])
    return Read(np.array(right), likely, features_of(captioner, images), [text for text, _ in told])


def answered(answerer: Any, images: Sequence[Image.Image], asked: Sequence[tuple[str, str]]) -> Read:
    """The best answers to questions, of which the right answer is given."""
    best = [answerer.answers([image], [question])[0][0] for image, (question, _) in zip(images, asked, strict=True)]
    right = [answer == truth for (answer, _), (_, truth) in zip(best, asked, strict=True)]
    likely = np.log([max(chance, 1e-9) for _, chance in best])
    return Read(np.array(right), likely, features_of(answerer, images), [answer for answer, _ in best])


def questions_of(first: int, shown: Sequence[Any]) -> list[tuple[str, str]]:
    """One of each scene's questions and its answer, open ones and yes or no equally often, styles left out."""
    from easel.pocket.world import questions

    picked = []
    for place, scene in enumerate(shown):
        some = [pair for pair in questions(scene) if (pair[1] in ("yes", "no")) == bool(place % 2)]
        some = [pair for pair in some if not any(words in pair[0] for words in EVERYWHERE)]
        picked.append(some[int(np.random.default_rng(first + place).integers(len(some)))])
    return picked


def logistic(rows: Floats, labels: Floats, weights: Floats) -> Floats:
    """Intercept and coefficients of a logistic regression by Newton's method, the rows standardised on the way and held
    a little (ridge 1e-3).
    """
    mean, spread = rows.mean(0), rows.std(0)
    made = np.c_[np.ones(len(rows)), (rows - mean) / spread]
    ridge = 1e-3 * len(rows) * np.diag([0.0, *[1.0] * rows.shape[1]])
    found = np.zeros(made.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-made @ found))
        slope = made.T @ (weights * (labels - chance)) - ridge @ found
        found = found + np.linalg.solve((made * (weights * chance * (1 - chance))[:, None]).T @ made + ridge, slope)
    scaled = found[1:] / spread
    return np.array([found[0] - scaled @ mean, *scaled])


def fit(name: str, cloud: Floats, learned: Floats, here: Read, away: Read) -> None:
    """Work out a reader's facts from what it says of scenes (`here`) and unknown photos (`away`), and write them."""
    from safetensors.numpy import save_file

    from easel.models.knowing import Depth, Knowing

    covariance = np.cov(cloud.T)
    covariance += SMOOTHED * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    mean, whitening = cloud.mean(0), np.linalg.inv(np.linalg.cholesky(covariance)).T
    tensors = {"mean": mean, "whitening": whitening, "remembered": (learned - mean) @ whitening}
    kept = {key: np.ascontiguousarray(rows, np.float16) for key, rows in tensors.items()}
    save_file(kept, WEIGHTS / name / "depth.safetensors")
    depth = Depth(*(rows.astype(np.float64) for rows in kept.values()))
    far = [depth.distances(read.features, WITHIN) for read in (here, away)]
    labels = np.r_[here.right, np.zeros(len(away.right))].astype(float)
    share = np.r_[np.full(len(here.right), 0.5 / len(here.right)), np.full(len(away.right), 0.5 / len(away.right))]
    rows = np.r_[np.c_[here.likely, far[0]], np.c_[away.likely, far[1]]]
    if name == "caption":
        intercept, likely, distance = logistic(rows, labels, share * len(rows))
    else:  # the answer's own probability is what its knowing is multiplied with
        labels[: len(here.right)] = 1
        (intercept, distance), likely = logistic(rows[:, 1:], labels, share * len(rows)), 0.0
    coefficients = (round(float(intercept), 3), round(float(likely), 3), round(float(distance), 4))
    known = Knowing(remembered_within=WITHIN, coefficients=coefficients, depth=depth)
    sure = confidences(name, known, here)[here.right]
    facts: dict[str, Any] = {
        "confidence": dict(zip(("intercept", "log_probability", "distance"), coefficients, strict=True)),
        "guess_below": round(float(np.quantile(sure, LOST_TO_GUESSES)), 3),
        "remembered_within": WITHIN,
        "instead": "base",
    }
    if name == "caption":
        facts["silent_below"] = round(float(np.quantile(sure, LOST_TO_SILENCE)), 3)
        facts["depth_limit"] = round(float(np.quantile(far[0], 1 - LOST_TO_GUESSES)), 2)
    else:
        facts["known_everywhere"] = EVERYWHERE
    (WEIGHTS / name / "easel.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def confidences(name: str, known: Any, read: Read) -> Floats:
    """What the reader itself would say."""
    far = known.distances(read.features)
    if name == "caption":
        return np.array([known.confidence(p, d) for p, d in zip(read.likely, far, strict=True)])
    return np.array([np.exp(p) * known.confidence(0.0, d) for p, d in zip(read.likely, far, strict=True)])


def curve(sure: Floats, over: Floats) -> list[Estimate]:
    """Share of `sure` at or above each limit of `over`."""
    return [rate_interval(list(sure >= limit)) for limit in over]


def said(estimate: Estimate) -> str:
    """'2.6 % (0.5 to 13.5), n 38'."""
    low, high = (100 * (end or 0.0) for end in (estimate.low, estimate.high))
    return f"{100 * estimate.value:.1f} % ({low:.1f} to {high:.1f}), n {estimate.n}"


def draw(found: dict[str, tuple[Any, Floats, Floats]]) -> bytes:
    """PNG: for each reader what of the right scenes and of the wrong photos is still confident, at each limit."""
    figure = new_figure(11, 4.3, 120, layout="constrained")
    over = np.linspace(0, 1, 101)
    for place, (name, (known, right, wrong)) in enumerate(found.items()):
        axes = figure.add_subplot(1, len(found), place + 1)
        for label, sure, colour in (("right, of scenes", right, "#2f6f8f"), ("wrong, of photos", wrong, "#c4472d")):
            lines = curve(sure, over)
            axes.plot(over, [one.value for one in lines], color=colour, label=f"{label} (n {len(sure)})")
            low, high = [one.low or 0.0 for one in lines], [one.high or 0.0 for one in lines]
            axes.fill_between(over, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.axhline(0.95, color="#2f6f8f", linewidth=0.8, linestyle=":")
        axes.axhline(0.10, color="#c4472d", linewidth=0.8, linestyle=":")
        axes.axvline(known.guess_below, color="black", linewidth=0.9)
        axes.text(known.guess_below + 0.01, 0.5, f"a guess below {known.guess_below:g}", rotation=90, va="center")
        if known.silent_below:
            axes.axvline(known.silent_below, color="black", linewidth=0.9, linestyle="--")
        axes.set(title=name, xlabel="limit of confidence", ylabel="share above it", xlim=(0, 1), ylim=(0, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="center right")
    return png(figure)


def main(words: list[str] | None = None) -> None:
    """Fit where asked, measure, write the chart, and print the rows of the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos_commons and the others")
    parser.add_argument("--others", type=Path, required=True, help="folder of further photos that trained nothing")
    parser.add_argument("--fit", action="store_true", help="work the facts out anew")
    parser.add_argument("--cloud", type=int, default=2400)
    parser.add_argument("--scenes", type=int, default=400, help="to fit on; half as many again are measured")
    flags = parser.parse_args(words)
    from easel import models
    from easel.models import knowing
    from easel.pocket.world import captions

    commons, others = opened(flags.photos, "photos_commons/*.jpg"), opened(flags.others, "*.*")
    readers = {"caption": models.load("pocket", "caption"), "ask": models.load("pocket", "ask")}

    def read(name: str, first: int, shown: list[tuple[Any, Image.Image]]) -> Read:
        truth, images = [scene for scene, _ in shown], [image for _, image in shown]
        if name == "caption":
            return captioned(readers[name], images, [captions(scene)[0] for scene in truth])
        return answered(readers[name], images, questions_of(first, truth))

    def read_photos(name: str, photos: list[Image.Image]) -> Read:
        if name == "caption":
            return captioned(readers[name], photos, None)
        return answered(readers[name], photos, [(OPEN, "")] * len(photos))

    if flags.fit:
        fitted = list(scenes(FITTED, flags.scenes))
        cloud: dict[str, list[Floats]] = {name: [] for name in readers}
        for first in range(CLOUD, CLOUD + flags.cloud, 16):
            images = [image for _, image in scenes(first, 16)]
            for name, reader in readers.items():
                cloud[name].append(features_of(reader, images))
        learned = [image for pattern in LEARNED for image in opened(flags.photos, pattern)]
        for name, reader in readers.items():
            by_heart = features_of(reader, learned)
            here, away = read(name, FITTED, fitted), read_photos(name, others)
            fit(name, np.concatenate(cloud[name]), by_heart, here, away)
    measured = list(scenes(MEASURED, flags.scenes * 3 // 2))
    found = {}
    for name, reader in readers.items():
        known = knowing.read(WEIGHTS / name)
        here, away = read(name, MEASURED, measured), read_photos(name, commons)
        sure, there = confidences(name, known, here), confidences(name, known, away)
        found["captions" if name == "caption" else "answers"] = known, sure[here.right], there
        print(f"{name}: guess below {known.guess_below}, silent below {known.silent_below}")
        print("  right of scenes:", said(rate_interval(list(here.right))))
        print("  right scenes lost to guesses:", said(rate_interval(list(sure[here.right] < known.guess_below))))
        print("  right scenes lost to silence:", said(rate_interval(list(sure[here.right] < known.silent_below))))
        print("  wrong scenes still confident:", said(rate_interval(list(sure[~here.right] >= known.guess_below))))
        print("  photos confident:", said(rate_interval(list(there >= known.guess_below))))
        print("  photos not silent:", said(rate_interval(list(there >= known.silent_below))))
        if name == "caption":
            far = known.distances(here.features) > known.depth_limit
            print("  scenes out of depth:", said(rate_interval(list(far))))
            far = known.distances(away.features) > known.depth_limit
            print("  photos out of depth:", said(rate_interval(list(far))))
            heart = confidences(name, known, captioned(reader, opened(flags.photos, LEARNED[0]), None))
            print("  photos known by heart, confident:", said(rate_interval(list(heart >= known.guess_below))))
        else:
            closed = answered(reader, commons, [(CLOSED, "no")] * len(commons))
            doubt = confidences(name, known, closed) < known.guess_below
            print(f"  '{CLOSED}' of photos, wrong and confident:", said(rate_interval(list(~closed.right & ~doubt))))
    CHART.write_bytes(draw(found))


if __name__ == "__main__":
    main()
