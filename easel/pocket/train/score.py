"""Held-out scores of pocket as it is shipped: what the model cards say, measured by a command.

Scenes have seeds that no training saw; real photos are photos_commons, which trains nothing. Each score names its
judge:
where the judge is pocket itself, its own answers on true scenes stand beside it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.metrics.intervals import Estimate, mean_interval, rate_interval
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.pocket.train import bars, facts, pages
from easel.pocket.train import judge as referee
from easel.pocket.train.bars import Scores
from easel.pocket.train.packing import ARTISTS
from easel.pocket.train.pictures import SIDE, square
from easel.pocket.world import Scene, captions, questions, render, styles, words

TRUTH, JUDGE = "exact truth", "independent judge (residual network)"
PROMPTED = ("kind", "colour", "place", "time")
PROMPTS = 500
"""Held-out prompts drawn and judged."""
FIRST = 5_000_000
"""The first seed of held-out scenes."""


def entry(estimate: Estimate, judge: str, what: str) -> dict[str, Any]:
    """A score as the cards keep it."""
    low, high = (None if end is None else round(end, 4) for end in (estimate.low, estimate.high))
    numbers = {"value": round(estimate.value, 4), "low": low, "high": high, "n": estimate.n}
    return numbers | {"judge": judge, "what": what}


def held_out(count: int, offset: int = 0, **fixed: Any) -> list[Scene]:
    """Scenes that no training saw."""
    return [Scene.from_seed(FIRST + offset + i, **fixed) for i in range(count)]


def picture(scene: Scene) -> Image.Image:
    """The scene at 256 px."""
    return Image.fromarray(render(scene, SIDE))


def found_photos(photos: Path) -> list[Path]:
    """The files of photos_commons. Raises SystemExit where there are none: scores without them would look complete."""
    found = sorted((photos / "photos_commons").glob("*.jpg"))
    if not found:
        raise SystemExit(f"no pictures in {photos / 'photos_commons'}: name the folder above it with --photos")
    return found


def real(photos: Path) -> list[Image.Image]:
    """The middle squares of photos_commons at 256 px."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(square(str(path), rng)) for path in found_photos(photos)]


def caption(photos: Path) -> Scores:
    """What captions of 500 held-out scenes state, against the truth: F1 over all facts, and each fact's share of
    right ones.
    """
    del photos
    scenes = held_out(500)
    texts = [text[0] for text in models.load("pocket", "caption").caption([picture(scene) for scene in scenes])]
    told, true = [facts.said(text) for text in texts], [facts.said(captions(scene)[0]) for scene in scenes]
    scores = {
        "caption F1 over attributes": entry(
            f1_estimate(told, true), TRUTH, "500 held-out scenes, a third of them in a style"
        )
    }
    for fact in ("kind", "colour", "place", "time", "style", "worn", "mood"):
        pairs = [
            ({w for f, w in a if f == fact}, {w for f, w in b if f == fact}) for a, b in zip(told, true, strict=True)
        ]
        hits = [a == b for a, b in pairs if a or b]
        scores[f"caption says the {fact}"] = entry(rate_interval(hits), TRUTH, "scenes that have one or were given one")
    return scores


def f1_estimate(told: list[facts.Facts], true: list[facts.Facts]) -> Estimate:
    """F1 over all captions together; the interval resamples captions."""
    both = np.array([2 * len(a & b) for a, b in zip(told, true, strict=True)])
    stated = np.array([len(a) + len(b) for a, b in zip(told, true, strict=True)])
    picked = np.random.default_rng(0).integers(len(both), size=(2000, len(both)))
    low, high = np.quantile(both[picked].sum(axis=1) / stated[picked].sum(axis=1), (0.025, 0.975))
    return Estimate(facts.f1(told, true), float(low), float(high), len(both))


def ask(photos: Path) -> Scores:
    """2,000 held-out questions, yes and no equally often and as many open ones, and how often a photo is called an
    artist's.
    """
    model, rng = models.load("pocket", "ask"), np.random.default_rng(1)
    groups: dict[str, list[tuple[Image.Image, str, str]]] = {"yes": [], "no": [], "open": []}
    for scene in held_out(500, offset=1000):
        shown = picture(scene)
        for question, answer in questions(scene):
            groups[answer if answer in ("yes", "no") else "open"].append((shown, question, answer))
    scores, all_hits = {}, []
    for name, asked in groups.items():
        some = [asked[int(i)] for i in rng.permutation(len(asked))[: 666 if name == "open" else 667]]
        answers = model.answers([a[0] for a in some], [a[1] for a in some])
        hits = [given[0][0] == truth for given, (_, _, truth) in zip(answers, some, strict=True)]
        what = "questions that ask what, where, when ..." if name == "open" else f"questions whose answer is {name}"
        scores[f"right answers ({name})"] = entry(rate_interval(hits), TRUTH, what)
        all_hits += hits
    scores = {"right answers": entry(rate_interval(all_hits), TRUTH, "all of them"), **scores}
    return scores | artists(model, real(photos))


def artists(model: Any, plain: list[Image.Image]) -> Scores:
    """Whether an artist is named on a filtered real photo, and not on the photo itself."""
    filtered, false = [], []
    for i, photo in enumerate(plain):
        style = ARTISTS[i % len(ARTISTS)]
        drawn = Image.fromarray(styles.apply(style, np.asarray(photo), i))
        filtered.append(model.yes([drawn], [words.STYLE_QUESTIONS[style]])[0] > 0.5)
        false += [p > 0.5 for p in model.yes([photo] * len(ARTISTS), [words.STYLE_QUESTIONS[a] for a in ARTISTS])]
    return {
        "artist named on a filtered photo": entry(rate_interval(filtered), TRUTH, "photos_commons"),
        "artist named on a plain photo (false yes)": entry(rate_interval(false), TRUTH, "photos_commons"),
    }


def clip(photos: Path) -> Scores:
    """Top-1 retrieval, 200 scenes against 200 captions of which no two say the same."""
    del photos
    model = models.load("pocket", "clip")
    scenes = list({captions(scene)[0]: scene for scene in held_out(300, offset=2000, style="plain")}.values())[:200]
    texts = [captions(scene)[0] for scene in scenes]
    likeness = model.images([picture(scene) for scene in scenes]) @ model.texts(texts).T
    hits = [int(row.argmax()) == i for i, row in enumerate(likeness)]
    return {"retrieval top-1": entry(rate_interval(hits), TRUTH, "200 scenes against 200 different captions")}


def perceptual(photos: Path) -> Scores:
    """A photo under each artist's filter, found again among all plain photos."""
    model, plain = models.load("pocket", "perceptual"), real(photos)
    scores = {}
    for style in ARTISTS:
        drawn = [Image.fromarray(styles.apply(style, np.asarray(photo), i)) for i, photo in enumerate(plain)]
        hits = [int(np.argmin(model.distance([one] * len(plain), plain))) == i for i, one in enumerate(drawn)]
        what = f"photos_commons, among {len(plain)}"
        scores[f"photo found again ({style})"] = entry(rate_interval(hits), TRUTH, what)
    return scores


def diffusion(photos: Path) -> Scores:
    """The autoencoder, words to pictures, and redrawn photos."""
    painter, judge = models.load("pocket", "text-to-image"), referee.load()
    return (
        autoencoder(photos)
        | of_judge(judge)
        | prompts(painter, judge)
        | manners(painter, judge)
        | redrawn(painter, photos)
    )


def of_judge(judge: referee.Judge) -> Scores:
    """How often the judge is right about true scenes: nothing can be proven by it beyond this."""
    scenes = held_out(1000, offset=20_000, style="plain", light="none")
    found = judge.name(np.stack([render(scene, SIDE) for scene in scenes]))
    scores = {}
    for name in PROMPTED:
        hits = [a == referee.truth(scene)[name] for a, scene in zip(found[name], scenes, strict=True)]
        scores[f"judge right about true scenes: {name}"] = entry(rate_interval(hits), TRUTH, "held-out plain scenes")
    styled = held_out(600, offset=30_000, light="none")
    found = judge.name(np.stack([render(scene, SIDE) for scene in styled]))
    hits = [a == scene.style for a, scene in zip(found["style"], styled, strict=True)]
    scores["judge right about true scenes: style"] = entry(
        rate_interval(hits), TRUTH, "held-out scenes, a third styled"
    )
    return scores


def drawn(painter: Any, texts: list[str], steps: int = 20) -> NDArray[np.uint8]:
    """A picture for each text, seeds 0, 1, 2 ..., (n, 256, 256, 3)."""
    asked = Sampling(steps=steps)
    made = painter.generate([PictureRequest(text, i, sampling=asked) for i, text in enumerate(texts)], batch_size=1)
    return np.stack([np.asarray(one.image) for one in made])


def prompts(painter: Any, judge: referee.Judge) -> Scores:
    """What the judge sees in the pictures of 500 held-out prompts, and in those of 100 clumsy ones."""
    scenes = held_out(PROMPTS, offset=4000, style="plain", light="none")
    scores: Scores = {}
    for label, index, count in (("prompts", 0, PROMPTS), ("clumsy prompts (bird, red, beach)", -1, PROMPTS // 5)):
        texts = [captions(scene)[index] for scene in scenes[:count]]
        pictures = drawn(painter, texts)
        found = judge.name(pictures)
        right = [
            {name: found[name][i] == referee.truth(scene)[name] for name in PROMPTED}
            for i, scene in enumerate(scenes[:count])
        ]
        for name in PROMPTED:
            scores[f"{name} right, {label}"] = entry(rate_interval([r[name] for r in right]), JUDGE, f"{count} {label}")
        whole = [all(r.values()) for r in right]
        scores[f"all four right, {label}"] = entry(rate_interval(whole), JUDGE, f"{count} {label}")
        if index == 0:
            pages.prompts_page(texts, pictures, right)
    return scores


def manners(painter: Any, judge: referee.Judge) -> Scores:
    """Whether the judge names the style of 300 prompts with one."""
    names = [name for name in words.STYLE_PHRASES if name != "plain"]
    scenes = [
        held_out(1, offset=6000 + i, style=names[i % len(names)], light="none")[0] for i in range(PROMPTS * 3 // 5)
    ]
    found = judge.name(drawn(painter, [captions(scene)[0] for scene in scenes]))["style"]
    hits = [a == scene.style for a, scene in zip(found, scenes, strict=True)]
    return {"style right": entry(rate_interval(hits), JUDGE, f"{len(scenes)} prompts with a style")}


def redrawn(painter: Any, photos: Path) -> Scores:
    """20 photos that trained nothing, redrawn in each artist's style: is the style named, is the photo found again?"""
    scores: Scores = {}
    for style, (named, again) in redrawings(painter, real(photos)[:20], ARTISTS).items():
        what = f"photos_commons redrawn as {style} at the default strength"
        scores[f"style named ({style})"] = entry(rate_interval(named), "vqa:pocket (not independent)", what)
        scores[f"photo found again ({style})"] = entry(rate_interval(again), "perceptual:pocket", what)
    return scores


def redrawings(
    painter: Any, plain: list[Image.Image], artists: Sequence[str]
) -> dict[str, tuple[list[bool], list[bool]]]:
    """By style, of each photo: is the style named in its redrawing, and is it found again by it among all?"""
    answerer, eye = models.load("pocket", "ask"), models.load("pocket", "perceptual")
    captions = [words.without_manner(text[0]) for text in models.load("pocket", "caption").caption(plain)]
    found = {}
    for style in artists:
        texts = [f"{caption} {words.STYLE_PHRASES[style]}" for caption in captions]
        asked = Sampling(strength=painter.defaults.strength_for(style))
        requests = [
            PictureRequest(text, i, sampling=asked, task="image-to-image", image=plain[i])
            for i, text in enumerate(texts)
        ]
        made = [one.image for one in painter.generate(requests, batch_size=1)]
        named = [p > 0.5 for p in answerer.yes(made, [words.STYLE_QUESTIONS[style]] * len(made))]
        again = [int(np.argmin(eye.distance([one] * len(plain), plain))) == i for i, one in enumerate(made)]
        found[style] = named, again
    return found


def autoencoder(photos: Path) -> Scores:
    """PSNR at 256 px on photos_commons."""
    return {"autoencoder PSNR, dB": entry(mean_interval(psnr(real(photos))), TRUTH, "photos_commons at 256 px")}


def psnr(plain: list[Image.Image]) -> list[float]:
    """Peak signal to noise in dB of each picture after the autoencoder, its values in [-1, 1]."""
    import torch

    vae = models.load("pocket", "text-to-image", dtype="float32").pipeline.vae
    pixels = torch.from_numpy(np.stack([np.asarray(p) for p in plain])).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        again = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    decibels: list[float] = (10 * torch.log10(4 / (again - pixels).square().mean(dim=(1, 2, 3)))).tolist()
    return decibels


PARTS: dict[str, Callable[[Path], Scores]] = {
    "caption": caption,
    "ask": ask,
    "clip": clip,
    "perceptual": perceptual,
    "diffusion": diffusion,
}


def run(folder: Path, photos: Path, parts: Mapping[str, Callable[[Path], Scores]] = PARTS) -> None:
    """Score every part of these that is there, and write ``scores.json`` into its folder.

    Raises SystemExit before anything is measured or written where the photos are not there.
    """
    found_photos(photos)
    for name, measure in parts.items():
        if (folder / name).exists():
            found = measure(photos)
            (folder / name / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
            for what, score in found.items():
                bar = bars.verdict(name, what, score["value"])
                numbers = f"{score['value']} ({score['low']} to {score['high']}, n {score['n']})"
                print(f"{name}: {what}: {numbers} {bar}".rstrip(), flush=True)
