"""The photos of a subject: found, cut to size, captioned, and looked over before the first step."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.data import open_set
from easel.data.hashes import content_hash
from easel.data.square import middle
from easel.errors import EaselError, printable
from easel.files import read_text
from easel.images import list_pictures, open_picture, size_of
from easel.jobs.data.duplicates import near_duplicates
from easel.jobs.data.inspect import COPY_SIDE, difference_hash
from easel.jobs.inputs import gather, shortened_list
from easel.models.diffusion import prompts
from easel.recipes.personalize import HOLE, Personalize
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.jobs.likeness import LikenessJudges

FEW, MANY = 3, 200
"""Below so many photos a subject is hardly told from its one picture; above, it is a style or a set."""
MOST_COMPARED = 200
"""Photos among which strangers are looked for, at most."""
SMALL = 96
"""Pixels of the longer side on which the square of most detail is looked for."""
ASPECT = 2.0
"""Photos that keep their shape are at most so many times as wide as high, or as high as wide."""
CAPTIONS = "training/captions.json"
SOMEBODY = frozenset({"person", "man", "woman", "boy", "girl", "child", "baby", "guy", "lady"})
"""A captioner may take one for the other."""
PEOPLE = SOMEBODY | {"face", "portrait"}
WHERE = "on|in|at|by|near|under|among|beside|before|behind|against|inside|outside"
GARMENTS = (
    "dress|gown|skirt|coat|jacket|blazer|vest|suit|tuxedo|uniform|costume|outfit|clothes|clothing|robe|kimono|shirt|"
    "t-shirt|tee|blouse|top|sweater|jumper|hoodie|cardigan|jeans|trousers|pants|shorts|overalls|swimsuit|bikini|"
    "pyjamas|pajamas|armour|armor|apron|cape|cloak|scarf|hat|cap|helmet|glasses|sunglasses|boots|shoes"
)
IN_CLOTHES = (
    r"in\s+(?:(?:an?|the|his|her|their)\s+)?(?:(?!(?:of|in|on|at|with|and|an?|the)\b)[\w-]+\s+){0,3}?"
    rf"(?:{GARMENTS})\b"
)
WORN = re.compile(
    rf"^\s*,?\s*(?:(?:wearing|dressed\s+in|with|holding|carrying)\b|{IN_CLOTHES})"
    rf".*?(?=\b(?!{IN_CLOTHES})(?:{WHERE})\b|$)",
    re.I,
)
"""What a caption says of the subject behind its noun, up to where it is."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Photo:
    """One photo: what is cut out of it, `box` in its own pixels, and the (width, height) at which it is learned."""

    name: str
    path: Path
    size: tuple[int, int]
    box: Box
    shown: tuple[int, int]
    bits: int
    """Its difference hash, 64 bits."""
    copy: NDArray[np.uint8]
    caption: str = ""
    mask: Path | None = None

    def picture(self) -> Image.Image:
        """As the model sees it."""
        return _cut(open_picture(self.path), self.box, self.shown)

    def mask_picture(self) -> Image.Image | None:
        """What is learned of it, white, at the same size."""
        if self.mask is None:
            return None
        mask = open_picture(self.mask).convert("L").resize(self.size, Image.Resampling.BILINEAR)
        return _cut(mask, self.box, self.shown)

    @property
    def time_ids(self) -> tuple[int, ...]:
        """SDXL's six numbers: size of the photo, where it was cut, size it is learned at; each height first (Podell et
        al. 2023, arXiv 2307.01952, section 2.2).
        """
        scale = self.shown[0] / (self.box[2] - self.box[0])
        top, left = round(self.box[1] * scale), round(self.box[0] * scale)
        return (self.size[1], self.size[0], top, left, self.shown[1], self.shown[0])


def _cut(picture: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def found(recipe: Personalize, workspace: Workspace, side: int, unit: int) -> tuple[list[Photo], dict[str, str]]:
    """The photos that open, without captions, and why others do not. ``side``: pixels a side at which they are learned;
    ``unit``: what sides must be multiples of.

    Raises EaselError where there is none, where one is broken and that was not allowed, and on masks that do not fit.
    """
    paths = gather((recipe.photos,), workspace.folder)
    masks = {path.stem: path for path in list_pictures(recipe.masks)} if recipe.masks else {}
    good: list[Photo] = []
    broken: dict[str, str] = {}
    with workspace.phase("reading photos", len(paths)) as done:
        for number, (name, path) in enumerate(paths.items()):
            try:
                good.append(_photo(name, path, recipe, side, unit))
            except EaselError as problem:
                broken[name] = printable(problem)
                if not recipe.skip_broken:
                    raise EaselError(f"{printable(problem)}; or go on without it: --skip-broken") from problem
            done(number + 1)
    if not good:
        raise EaselError(f"not one photo in {recipe.photos} can be opened: {next(iter(broken.values()))}")
    if recipe.masks:
        lacking = [photo.name for photo in good if photo.path.stem not in masks]
        if len(lacking) == len(good):
            raise EaselError(
                f"masks: no mask in {recipe.masks} has the name of a photo, such as {good[0].path.stem}.png"
            )
        good = [replace(photo, mask=masks.get(photo.path.stem)) for photo in good]
        for photo in good:
            mask = photo.mask_picture()
            if mask is not None and mask.getextrema()[1] < 128:  # type: ignore[operator]
                raise EaselError(f"masks: {photo.mask} marks nothing: what is to be learned is white in it")
    return good, broken


def _photo(name: str, path: Path, recipe: Personalize, side: int, unit: int) -> Photo:
    picture = open_picture(path)
    size = size_of(picture)
    shown = bucket(size, side, unit) if recipe.fit == "buckets" else (side, side)
    box = middle_box(size, shown) if recipe.fit != "smart" else detailed_box(picture)
    small = picture.resize((9, 8), Image.Resampling.BOX, box=box).convert("L")
    copy = np.asarray(picture.resize((COPY_SIDE, COPY_SIDE), Image.Resampling.BOX, box=box), np.uint8)
    return Photo(name, path, size, box, shown, difference_hash(np.asarray(small, np.uint8)), copy)


def bucket(size: tuple[int, int], side: int, unit: int) -> tuple[int, int]:
    """Width and height, multiples of ``unit``, of at most side^2 pixels, that are nearest to a photo's shape.

    >>> bucket((1600, 900), 512, 64)
    (640, 384)
    """
    ratio = min(max(size[0] / size[1], 1 / ASPECT), ASPECT)
    able = []
    for width in range(unit, int(side * ASPECT) + 1, unit):
        height = side * side // width // unit * unit
        if height and 1 / ASPECT <= width / height <= ASPECT:
            able.append((width, height))
    return min(able or [(side, side)], key=lambda one: (abs(np.log(one[0] / one[1] / ratio)), -one[0] * one[1]))


def middle_box(size: tuple[int, int], shown: tuple[int, int]) -> Box:
    """The largest middle part of a photo that has the shape at which it is learned."""
    if shown[0] == shown[1]:
        return middle(size)
    scale = min(size[0] / shown[0], size[1] / shown[1])
    width, height = shown[0] * scale, shown[1] * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def detailed_box(picture: Image.Image) -> Box:
    """The largest square of a photo with the most detail, the sum of its gradients. Flat photos give the middle."""
    width, height = picture.size
    edge = min(width, height)
    scale = SMALL / max(width, height)
    small = picture.convert("L").resize(
        (max(2, round(width * scale)), max(2, round(height * scale))), Image.Resampling.BOX
    )
    down, across = np.gradient(np.asarray(small, np.float64))
    energy = np.hypot(down, across)
    along = energy.sum(axis=0) if width >= height else energy.sum(axis=1)
    window = min(len(along), max(1, round(edge * scale)))
    sums = np.convolve(along, np.ones(window), "valid")
    centre = (len(sums) - 1) / 2
    best = sums >= sums.max() * 0.999 - 1e-9
    at = min(np.flatnonzero(best), key=lambda place: abs(place - centre))
    start = (
        float(min(max(at / scale, 0), max(width, height) - edge)) if len(sums) > 1 else (max(width, height) - edge) / 2
    )
    return (start, 0.0, start + edge, float(edge)) if width >= height else (0.0, start, float(edge), start + edge)


# Captions


def captioned(photos: Sequence[Photo], recipe: Personalize, subject: str, workspace: Workspace) -> list[Photo]:
    """The photos with their captions; what was read or guessed once is kept in the run's folder, so that all processes
    and later runs learn the same words. Raises EaselError.
    """
    kept = workspace.path(CAPTIONS)
    if kept.is_file():
        said: Mapping[str, str] = json.loads(read_text(kept))
        if set(said) >= {photo.name for photo in photos}:
            return [replace(photo, caption=said[photo.name]) for photo in photos]
    own = beside(recipe) if recipe.captions in ("auto", "files") else {}
    lacking = [photo.name for photo in photos if photo.path.resolve() not in own]
    if recipe.captions == "files" and lacking:
        raise EaselError(
            f"captions: {len(lacking)} of {len(photos)} photos have none beside them, such as {lacking[0]}: write "
            f"{Path(lacking[0]).stem}.txt, or take --captions template"
        )
    if own and not lacking:
        words = [own[photo.path.resolve()] for photo in photos]
        words = [text.replace(HOLE, subject) for text in words]
    elif recipe.captions == "captioner":
        workspace.step("captioning", 0, len(photos))
        captioner = models.load(recipe.captioner, "caption", workspace.device)
        words = []
        for photo in photos:
            words.append(about(captioner.caption([photo.picture()])[0][0], recipe.noun, subject))
            workspace.step("captioning", len(words), len(photos))
    else:
        words = [recipe.template.replace(HOLE, subject)] * len(photos)
    made = [replace(photo, caption=" ".join(text.split())) for photo, text in zip(photos, words, strict=True)]
    for photo in made:
        try:
            prompts.check(photo.caption)
        except EaselError as problem:
            raise EaselError(f"the caption of {photo.name}: {problem}") from problem
    workspace.save_text(
        CAPTIONS, json.dumps({photo.name: photo.caption for photo in made}, ensure_ascii=False, indent=1)
    )
    return made


def beside(recipe: Personalize) -> dict[Path, str]:
    """The captions of metadata.jsonl and its like, or of NAME.txt, by photo."""
    if not Path(recipe.photos).is_dir():
        return {}
    known = open_set(recipe.photos)
    return {
        (known.folder / name).resolve(): texts[0]
        for name, texts in zip(known.names, known.captions, strict=True)
        if texts
    }


def about(caption: str, noun: str, subject: str) -> str:
    """A caption with the subject's words in the place of the class noun and what describes it, so that what the subject
    is like is learned as its name; before the caption where the noun is not in it.

    >>> about("a happy blue dog wearing sunglasses in a forest", "dog", "sks dog")
    'a sks dog in a forest'
    >>> about("a woman in a blue dress wearing a hat, holding a cup in a kitchen", "woman", "sks woman")
    'a sks woman in a kitchen'
    >>> about("two people at a table", "dog", "sks dog")
    'sks dog, two people at a table'
    """
    named = f"(?:{'|'.join(sorted(SOMEBODY))})" if noun.lower() in SOMEBODY else re.escape(noun)
    described = rf"(?P<which>an?|the|one)\s+(?:(?!(?:an?|the|one|of)\b)[\w-]+\s+){{0,3}}?{named}\b"
    own = re.search(rf"\b{described}", caption, re.I) or re.search(rf"(?P<which>)\b{named}\b", caption, re.I)
    if own is None:
        return f"{subject}, {caption}"
    which = own["which"] or ("" if caption[: own.start()].strip() else "a")
    article = "a" if which.lower() in ("a", "an") else which
    rest = WORN.sub(" ", caption[own.end() :])
    made = " ".join(f"{caption[: own.start()]} {article} {subject} {rest}".split())
    return made.replace(" ,", ",")


# What is learned, what is held back, what is to be known


def content(photos: Sequence[Photo]) -> str:
    """A hash of names, contents, captions, masks and cuts: 64 hexadecimal letters."""
    whole = hashlib.sha256()
    for photo in photos:
        whole.update(repr((photo.name, photo.caption, photo.box, photo.shown)).encode("utf-8", "surrogateescape"))
        whole.update(content_hash(photo.path) + (content_hash(photo.mask) if photo.mask else b""))
    return whole.hexdigest()


def parted(photos: Sequence[Photo], hold_back: int | None) -> tuple[list[Photo], list[Photo]]:
    """Photos that are learned, and those held back: one of every five and at most four when not said, evenly spread
    over their names. Raises EaselError where none would be left to learn.
    """
    count = min(4, len(photos) // 5) if hold_back is None else hold_back
    if count >= len(photos):
        raise EaselError(f"hold_back: {count} of {len(photos)} photos leaves none to learn: hold back fewer")
    places = {int(at) for at in np.linspace(0, len(photos) - 1, count + 2).round()[1:-1]} if count else set()
    return [p for at, p in enumerate(photos) if at not in places], [p for at, p in enumerate(photos) if at in places]


def remarks(
    photos: Sequence[Photo], recipe: Personalize, side: int, judges: LikenessJudges, workspace: Workspace
) -> list[str]:
    """What a person should know of the photos before the first step: it is said, and nothing is refused."""
    said = []
    if len(photos) == 1:
        said.append("one photo: the model will learn this photo rather than the subject; three or more show what stays")
    elif len(photos) < FEW:
        said.append(f"{len(photos)} photos are few: three to twenty, in different places, show what the subject is")
    if len(photos) > MANY:
        said.append(f"{len(photos):,} photos are many for one subject: twenty good ones teach it as well")
    groups = near_duplicates(np.array([p.bits for p in photos], np.uint64), np.stack([p.copy for p in photos]))
    for group in groups[:3]:
        names = ", ".join(shortened_list([photos[at].name for at in group.indices]))
        said.append(f"near-duplicates: {names}: the subject is learned as it is there; keep one")
    small = [p.name for p in photos if min(p.box[2] - p.box[0], p.box[3] - p.box[1]) < 0.75 * min(p.shown)]
    if small:
        named = ", ".join(shortened_list(small))
        said.append(f"smaller than the {side} px that are learned, so enlarged and soft: {named}")
    if recipe.mirror and set(recipe.noun.lower().split()) & PEOPLE:
        said.append("--mirror: faces are not the same on both sides, and the mirrored one is learned too")
    return said + strangers(photos[:MOST_COMPARED], judges, workspace)


def strangers(photos: Sequence[Photo], judges: LikenessJudges, workspace: Workspace) -> list[str]:
    """Photos that may show another subject, by the subject encoder; with fewer than three nobody can say which."""
    if len(photos) < FEW:
        return []
    rows = []
    with workspace.phase("comparing photos", len(photos)) as done:
        for number, photo in enumerate(photos):
            rows.append(judges.subject.images([photo.picture()])[0])
            done(number + 1)
    cosines = np.stack(rows) @ np.stack(rows).T
    others = (cosines.sum(axis=1) - 1) / (len(rows) - 1)
    odd = [
        f"{p.name} ({other:.2f})" for p, other in zip(photos, others, strict=True) if other < judges.subject.stranger
    ]
    if not odd:
        return []
    named = ", ".join(shortened_list(odd))
    who = judges.name_of("subject similarity")
    return [f"may show another subject: {named} by mean cosine to the other photos, {who}"]
