"""How pocket is made, from nothing: `python -m easel.training.pocket all` (make pocket). Every part is its own
target.
"""
