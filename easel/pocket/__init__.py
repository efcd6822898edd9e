"""The embedded family of small models: the world it learned from, how it is made, and its weights."""
