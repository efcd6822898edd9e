"""A judge's fitness to say what content is kept: `python -m benchmarks.fitness RUN [--judge pocket] [--write]`.

RUN is a folder of `easel score styles`, whose photos it names. Each picture is to be told apart by CLIP-I, and by the
perceptual distance, from 19 other photos of that run; what is printed is how often its own photo is found among the 20.
`--write` keeps CLIP's number in the judge's own folder, as `fitness` in easel.json: CLIP-I is left out of results where
it is below a half. That of pocket was measured on the 65 photos of photos_pd and photos_commons, in Van Gogh's,
Malevich's, Delaunay's and Banksy's style, seed 1:

    easel score styles photos/ --styles van-gogh malevich delaunay banksy --seed 1 --out out/fitness
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from easel import models
from easel.images import open_picture
from easel.metrics.retrieval import AMONG, retrieval
from easel.models.catalog import locate
from easel.recipes.read import read_yaml

SIDE = 256
"""Pixels that photos and pictures are brought to before the perceptual judge."""


def main() -> int:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", type=Path)
    parser.add_argument("--judge", default="pocket")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    with (asked.run / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    folder = Path(str(read_yaml(asked.run / "recipe.yaml").plain()["folder"]))
    names = list(dict.fromkeys(row["photo"] for row in rows))
    photos = [open_picture(folder / name) for name in names]
    pictures = [open_picture(asked.run / row["file"]) for row in rows]
    own = [names.index(row["photo"]) for row in rows]
    by_style: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_style[row["style"]].append(number)

    clip = models.load(asked.judge, "clip")
    cosines = clip.images(pictures) @ clip.images(photos).T
    perceptual = models.load(asked.judge, "perceptual")
    small = [photo.resize((SIDE, SIDE)) for photo in photos]
    near = np.array([
        [-value for value in perceptual.distance(small, [picture.resize((SIDE, SIDE))] * len(small))]
        for picture in pictures
    ])  # fmt: skip
    for name, likeness in (("CLIP-I", cosines), ("perceptual distance", near)):
        for style, places in {"all": list(range(len(rows))), **by_style}.items():
            found = retrieval(likeness[places], [own[place] for place in places])
            print(f"{name:<20} {style:<12} {found.value:.3f} ({found.low:.3f} to {found.high:.3f}), n {found.n}")
    if asked.write:
        place = locate.find(asked.judge, "clip").path / "easel.json"
        known = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        found = retrieval(cosines, own)
        facts = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
        known["fitness"] = {name: value and round(value, 4) for name, value in facts.items()}
        known["fitness"] |= {
            "among": AMONG,
            "what": f"photos found again in {len(by_style)} styles ({', '.join(by_style)})",
        }
        place.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        print(place)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
