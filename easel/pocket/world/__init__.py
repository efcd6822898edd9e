"""The pocket world: scenes drawn by code, with the exact truth of what is in them."""

from easel.pocket.world.scene import Scene, identity

__all__ = ["Scene", "identity"]
