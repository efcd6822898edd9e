"""How pocket is made, from nothing: `python -m easel.pocket.train all` (make pocket). Every part is its own
target.
"""
