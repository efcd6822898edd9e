"""Held-out scores of pocket as it is shipped: what the model cards say, measured by a command.

Scenes have seeds that no training saw; real photos are photos_commons, which trains nothing. Each score names its
judge:
where the judge is pocket itself, its own answers on true scenes stand beside it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from easel import models
from easel.metrics.intervals import Estimate, mean_interval, rate_interval
from easel.models.sampling import Sampling
from easel.training.pocket.packing import ARTISTS
from easel.training.pocket.pictures import SIDE, square
from easel.world import styles, words
from easel.world.scene import Scene

FIRST = 5_000_000
"""The first seed of held-out scenes."""

Scores = dict[str, dict[str, Any]]


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
    return Image.fromarray(scene.picture(SIDE))


def real(photos: Path) -> list[Image.Image]:
    """The middle squares of photos_commons at 256 px; empty where the folder is absent."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(square(str(path), rng)) for path in sorted((photos / "photos_commons").glob("*.jpg"))]


def caption(photos: Path) -> Scores:
    """How many facts of a scene its caption says, over kind, colour, place and time."""
    del photos
    scenes = held_out(300, style="plain", light="none")
    texts = [text[0] for text in models.load("pocket", "caption").caption([picture(scene) for scene in scenes])]
    said: dict[str, list[bool]] = {"kind": [], "colour": [], "place": [], "time": []}
    for scene, text in zip(scenes, texts, strict=True):
        said["kind"].append(any(name in text for name in (*words.KIND_ALSO[scene.kind], scene.kind)))
        said["colour"].append(scene.colour in text)
        said["time"].append(
            (scene.time in text) if scene.time != "day" else not ({"night", "sunset"} & set(text.split()))
        )
        if scene.kind != "room":
            phrases = (words.PLACE_PHRASES[scene.place], *words.PLACE_ALSO[scene.place])
            said["place"].append(any(phrase in text for phrase in phrases))
    return {
        f"caption says the {k}": entry(rate_interval(v), "exact truth", "held-out plain scenes")
        for k, v in said.items()
    }


def ask(photos: Path) -> Scores:
    """Right answers over held-out questions, yes and no equally often, and how often a real photo is called an
    artist's.
    """
    model, rng = models.load("pocket", "ask"), np.random.default_rng(1)
    groups: dict[str, list[tuple[Image.Image, str, str]]] = {"yes": [], "no": [], "open": []}
    for scene in held_out(250, offset=1000):
        shown = picture(scene)
        for question, answer in scene.questions():
            groups[answer if answer in ("yes", "no") else "open"].append((shown, question, answer))
    scores = {}
    for name, asked in groups.items():
        some = [asked[int(i)] for i in rng.permutation(len(asked))[:350]]
        answers = model.answers([a[0] for a in some], [a[1] for a in some])
        hits = [given[0][0] == truth for given, (_, _, truth) in zip(answers, some, strict=True)]
        what = "questions that ask what, where, when ..." if name == "open" else f"questions whose answer is {name}"
        scores[f"right answers ({name})"] = entry(rate_interval(hits), "exact truth", what)
    plain, filtered, false = real(photos), [], []
    for i, photo in enumerate(plain):
        style = ARTISTS[i % len(ARTISTS)]
        drawn = Image.fromarray(styles.apply(style, np.asarray(photo), i))
        filtered.append(model.yes([drawn], [words.STYLE_QUESTIONS[style]])[0] > 0.5)
        false += [p > 0.5 for p in model.yes([photo] * len(ARTISTS), [words.STYLE_QUESTIONS[a] for a in ARTISTS])]
    if plain:
        scores["artist named on a filtered photo"] = entry(rate_interval(filtered), "exact truth", "photos_commons")
        scores["artist named on a plain photo (false yes)"] = entry(
            rate_interval(false), "exact truth", "photos_commons"
        )
    return scores


def clip(photos: Path) -> Scores:
    """Top-1 retrieval, 200 scenes against their 200 captions."""
    del photos
    model, scenes = models.load("pocket", "clip"), held_out(200, offset=2000, style="plain")
    texts = [scene.captions()[0] for scene in scenes]
    likeness = model.images([picture(scene) for scene in scenes]) @ model.texts(texts).T
    hits = [texts[int(row.argmax())] == text for row, text in zip(likeness, texts, strict=True)]
    return {"retrieval top-1": entry(rate_interval(hits), "exact truth", "200 scenes against 200 captions")}


def subject(photos: Path) -> Scores:
    """Same subject or not: AUC over pairs in different places, strangers of the same kind and colour among them."""
    del photos
    model, scenes = models.load("pocket", "subject"), held_out(300, offset=3000, style="plain", light="none")
    here = model.images([picture(scene) for scene in scenes])
    there = model.images([picture(scene.elsewhere(FIRST + i)) for i, scene in enumerate(scenes)])
    same = (here * there).sum(axis=1)
    other = (here * np.roll(there, 1, axis=0)).sum(axis=1)
    wins = [float((one > other).mean() + 0.5 * (one == other).mean()) for one in same]
    return {"same subject (AUC)": entry(mean_interval(wins), "exact truth", "300 pairs in other places")}


def perceptual(photos: Path) -> Scores:
    """A photo under each artist's filter, found again among all plain photos."""
    model, plain = models.load("pocket", "perceptual"), real(photos)
    scores = {}
    for style in ARTISTS if plain else ():
        drawn = [Image.fromarray(styles.apply(style, np.asarray(photo), i)) for i, photo in enumerate(plain)]
        hits = [int(np.argmin(model.distance([one] * len(plain), plain))) == i for i, one in enumerate(drawn)]
        what = f"photos_commons, among {len(plain)}"
        scores[f"photo found again ({style})"] = entry(rate_interval(hits), "exact truth", what)
    return scores


def diffusion(photos: Path) -> Scores:
    """PSNR of the autoencoder on real photos; whether 60 prompts are seen in their pictures by pocket's own VQA."""
    scores = autoencoder(photos)
    painter, judge = models.load("pocket", "text-to-image"), models.load("pocket", "ask")
    scenes = held_out(60, offset=4000, style="plain", light="none", mood="neutral", accessories=())
    made = painter.generate(
        [scene.captions()[0] for scene in scenes], list(range(len(scenes))), settings=Sampling(steps=20)
    )
    questions = ("what is in the picture?", "where", "when is it?", "what colour")
    for name, start in zip(("kind", "place", "time", "colour"), questions, strict=True):
        asked = [(i, q, a) for i, scene in enumerate(scenes) for q, a in scene.questions() if q.startswith(start)]
        for label, shown in (("pictures", made), ("true scenes", [picture(scene) for scene in scenes])):
            answers = judge.answers([shown[i] for i, _, _ in asked], [q for _, q, _ in asked])
            hits = [given[0][0] == a for given, (_, _, a) in zip(answers, asked, strict=True)]
            scores[f"{name} right, {label}"] = entry(rate_interval(hits), "vqa:pocket (not independent)", "60 prompts")
    return scores


def autoencoder(photos: Path) -> Scores:
    """PSNR at 256 px on photos_commons."""
    import torch

    plain = real(photos)
    if not plain:
        return {}
    vae = models.load("pocket", "text-to-image", dtype="float32").pipeline.vae
    pixels = torch.from_numpy(np.stack([np.asarray(p) for p in plain])).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        again = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
    psnr = 10 * torch.log10(4 / (again - pixels).square().mean(dim=(1, 2, 3)))
    return {"autoencoder PSNR, dB": entry(mean_interval(psnr.tolist()), "exact truth", "photos_commons at 256 px")}


PARTS: dict[str, Callable[[Path], Scores]] = {
    "caption": caption,
    "ask": ask,
    "clip": clip,
    "subject": subject,
    "perceptual": perceptual,
    "diffusion": diffusion,
}


def run(folder: Path, photos: Path) -> None:
    """Score every part that is there, and write ``scores.json`` into its folder."""
    for name, measure in PARTS.items():
        if (folder / name).exists():
            found = measure(photos)
            (folder / name / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
            for what, score in found.items():
                print(
                    f"{name}: {what}: {score['value']} ({score['low']} to {score['high']}, n {score['n']})", flush=True
                )
