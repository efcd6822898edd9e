"""Sets of pictures: folders in the layouts people have them in, and a packed cache that training reads from.

>>> from easel.data import open_set, packed
>>> birds = open_set("CUB_200_2011")  # doctest: +SKIP
>>> birds.require("captions")  # doctest: +SKIP
>>> small = packed(birds, 64, "cache")  # doctest: +SKIP
>>> small.pixels.shape, small.captions[0], small.classes[small.labels[0]]  # doctest: +SKIP
"""

from easel.data.annotations import Annotations
from easel.data.cache import Packed, packed
from easel.data.columns import Column, Texts
from easel.data.hashes import Report, data_hash
from easel.data.item import Box, Item, Value
from easel.data.layouts import LAYOUTS, PictureSet, open_set
from easel.data.square import cut, opened, square

__all__ = [
    "LAYOUTS",
    "Annotations",
    "Box",
    "Column",
    "Item",
    "Packed",
    "PictureSet",
    "Report",
    "Texts",
    "Value",
    "cut",
    "data_hash",
    "open_set",
    "opened",
    "packed",
    "square",
]
