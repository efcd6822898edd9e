"""What tells subjects of the same words apart: which of the numbers that a subject's seed draws show, and as what.

The world draws a subject's tint (three numbers), then its kind's own picks, then what it wears (`easel.pocket.world`:
`people.meet`, `animals`, `things`, `wear.choose`). A pick, 0..1, becomes a choice at ``cuts``. A hotel room's picks are
not listed: they are drawn through its walls and pictures.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from easel.pocket.train.alike import own_seed
from easel.pocket.world import Scene, words

TINT = 3
"""Numbers that the tint takes, before all others."""


class Detail(NamedTuple):
    """A number that the seed draws, and where it becomes another choice."""

    place: int
    """Of the numbers behind the tint's."""
    cuts: tuple[float, ...]


def of(count: int) -> tuple[float, ...]:
    """So many choices, each as likely as another; a size by degrees is taken as four."""
    return tuple(k / count for k in range(1, count))


SIZE = of(4)
ANIMAL, PERSON = 10, 12
"""Picks of the kind before those of what is worn."""
WORN = {
    "hat": {"hat": (0, of(4)), "hat's colour": (1, of(8))},
    "sunglasses": {"frame": (3, of(3))},
    "scarf": {"scarf": (4, of(8))},
    "suitcase": {"suitcase": (5, of(8))},
    "ice-cream": {"lower scoop": (6, of(4)), "upper scoop": (7, of(4))},
}
"""By accessory."""
BODY = {"skin": (0, of(6)), "hair": (1, of(7)), "shoes": (4, of(5)), "width": (6, SIZE), "eyes": (9, SIZE)}
OWN: dict[str, dict[str, tuple[int, tuple[float, ...]]]] = {
    "woman": BODY | {"hairdo": (2, of(4)), "pattern": (3, of(5)), "hem": (7, SIZE)},
    "man": BODY | {"bald": (2, (0.75,)), "tie": (3, (0.6,)), "trousers": (5, of(5)), "beard": (8, of(5))},
    "bird": {
        "beak": (0, of(3)), "belly": (1, SIZE), "tail": (2, SIZE), "body": (3, SIZE), "crest": (4, (0.4,)),
        "cheek": (5, (0.5,)),
    },
    "dog": {
        "collar": (0, (0.6,)), "ears": (1, of(3)), "patch": (2, (0.4,)), "tongue": (3, (0.6,)),
        "collar's colour": (ANIMAL + 4, of(8)),
    },
    "cat": {"stripes": (2, (0.5,)), "eyes": (3, of(4))},
    "house": {
        "width": (0, SIZE), "wall": (1, SIZE), "roof's colour": (2, of(5)), "chimney": (4, (0.5,)), "roof": (5, (0.5,)),
        "door": (6, of(3)), "door's colour": (7, of(8)), "bushes": (8, (0.75,)), "flowers": (9, of(7)),
    },
    "car": {"shape": (0, of(4)), "line": (1, (0.5,))},
    "vase": {
        "belly": (0, SIZE), "foot": (1, SIZE), "lip": (2, SIZE), "neck": (3, SIZE), "flowers": (5, of(4)),
        "first colour": (6, of(7)), "second colour": (7, of(7)), "kind of flower": (8, of(3)), "pattern": (9, of(4)),
    },
    "fruit": {"width": (0, SIZE), "bowl": (2, (0.5,)), "pattern": (3, (0.4, 0.7))}
    | {f"fruit {k}": (10 + 3 * k + 2, of(6)) for k in range(7)},
    "lamp": {
        "metal": (0, of(4)), "top": (1, SIZE), "shade": (2, SIZE), "foot": (4, (0.5,)), "outline": (5, (0.35,)),
        "ribs": (6, (0.4,)),
    },
    "room": {},
}  # fmt: skip
"""By kind."""


def could_have(kind: str, worn: Collection[str] = tuple(WORN)) -> dict[str, Detail]:
    """The details by which a subject of a kind can be told: its own, and those of what it wears."""
    found = {name: Detail(*one) for name, one in OWN[kind].items()}
    first = PERSON if kind in words.PEOPLE else ANIMAL
    for accessory in worn:
        found |= {name: Detail(first + place, cuts) for name, (place, cuts) in WORN[accessory].items()}
    return found


def details(scene: Scene) -> dict[str, int]:
    """The choice at each detail of a subject."""
    drawn = np.random.default_rng([own_seed(scene), 1]).random(TINT + 40)[TINT:]
    found = could_have(scene.kind, scene.accessories)
    return {name: int(np.searchsorted(one.cuts, drawn[one.place], "right")) for name, one in found.items()}
