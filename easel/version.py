"""The version of easel: on a floor of its own, so that the ground can name it without importing the whole package."""

__version__ = "0.2.0"
