"""What a caption says, read back as facts, so that captions can be counted right or wrong against the truth."""

import re

from easel.pocket.world import words

Facts = frozenset[tuple[str, str]]
"""Pairs of a name (kind, colour, place, time, mood, worn, mask, castle, weather, style) and its word."""

NAMES = {name: [words.KIND_NAMES[name], *words.KIND_ALSO[name]] for name in words.KINDS}
PLACES = {name: [words.PLACE_PHRASES[name], *words.PLACE_ALSO[name]] for name in words.PLACES}
STYLES = {name: [phrase, name] for name, phrase in words.STYLE_PHRASES.items() if phrase}
STYLES["pencil"].append("pencil drawing")
TABLES: dict[str, dict[str, list[str]]] = {
    "style": STYLES,
    "castle": {"castle": ["with a castle in the background", "in front of a disneyland castle", "castle"]},
    "mask": {"panda": ["panda mask"]},
    "place": PLACES,
    "kind": NAMES,
    "worn": {name: [words.ACCESSORY_NAMES[name]] for name in words.ACCESSORIES},
    "time": {"night": ["at night"], "sunset": ["at sunset"]},
    "weather": {"fog": ["in the fog"], "winter": ["in winter"]},
    "mood": {"joy": ["happy", "full of joy"], "sadness": ["sad", "full of sadness"]},
    "colour": {name: [name] for name in words.COLOURS},
}
"""Read in this order; what was read is taken out of the text, so that "in a room" makes nothing a hotel room."""


def said(caption: str) -> Facts:
    """The facts that a caption in the world's wordings states. A day is what no word of time means."""
    text, found = caption.lower(), set()
    for fact, table in TABLES.items():
        phrases = sorted(((phrase.lower(), word) for word, many in table.items() for phrase in many), key=longest)
        for phrase, word in phrases:
            pattern = rf"(?<![\w-]){re.escape(phrase)}(?![\w-])"
            if re.search(pattern, text):
                found.add((fact, word))
                text = re.sub(pattern, " ", text)
    if not any(fact == "time" for fact, _ in found):
        found.add(("time", "day"))
    return frozenset(found)


def longest(pair: tuple[str, str]) -> tuple[int, str]:
    """Longer phrases are read first."""
    return -len(pair[0]), pair[0]


def f1(found: list[Facts], true: list[Facts]) -> float:
    """2 |found and true| / (|found| + |true|), over all captions together (van Rijsbergen 1979)."""
    both = sum(len(a & b) for a, b in zip(found, true, strict=True))
    return 2 * both / max(1, sum(map(len, found)) + sum(map(len, true)))
