"""The pocket world: scenes drawn by code, with the exact truth of what is in them. A scene is a value; the rest are
functions of it.
"""

from easel.pocket.world.edits import Edit, edit_pairs
from easel.pocket.world.language import captions, questions
from easel.pocket.world.scene import Scene, identity
from easel.pocket.world.stage import depth, edges, render, segmentation

__all__ = [
    "Edit",
    "Scene",
    "captions",
    "depth",
    "edges",
    "edit_pairs",
    "identity",
    "questions",
    "render",
    "segmentation",
]
