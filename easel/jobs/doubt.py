"""What is said where a reader is out of its depth: whose guess it is, and the ways to a better answer."""

from __future__ import annotations


def guess_of(reader: str) -> str:
    """'pocket's guess', of a model by its label."""
    return f"{reader}'s guess"


def marked(text: str, reader: str) -> str:
    """The text, and whose guess it is."""
    return f"{text} ({guess_of(reader)})"


def ways(flag: str, instead: str, *others: str) -> str:
    """What to do about it: '--model base reads more (`easel models pull base` fetches it)'; `instead` is the model that
    the reader names, or nothing.
    """
    found = [*others, f"{flag} {instead} (`easel models pull {instead}` fetches it)" if instead else f"another {flag}"]
    return f"take {' or '.join(found)}"
