"""The words of the pocket world: every kind, colour, place, ... and how a person says it.

Plain tables, and the one thing that must be read out of them. Captions, questions and drawing all read them, so a word
means the same everywhere.
"""

import re

KINDS = ("woman", "man", "bird", "dog", "cat", "house", "car", "vase", "fruit", "lamp", "room")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
ACCESSORIES = ("hat", "sunglasses", "scarf", "ice-cream", "suitcase")
PLACES = ("kitchen", "forest", "street", "beach", "moon", "acropolis", "mountains", "room", "plain")
TIMES = ("day", "sunset", "night")
MOODS = ("neutral", "joy", "sadness")
LIGHTS = ("none", "night", "sunset", "fog", "winter")

PEOPLE = ("woman", "man")
ANIMALS = ("bird", "dog", "cat")
THINGS = ("vase", "fruit", "lamp")
OUTDOORS = ("forest", "street", "beach", "moon", "acropolis", "mountains")
INDOORS = ("kitchen", "room")

STYLE_PHRASES = {
    "plain": "",
    "van-gogh": "in the style of Van Gogh",
    "malevich": "in the style of Malevich",
    "delaunay": "in the style of Delaunay",
    "banksy": "in the style of Banksy",
    "monet": "in the style of Monet",
    "hokusai": "in the style of Hokusai",
    "kandinsky": "in the style of Kandinsky",
    "pencil": "as a pencil drawing",
    "watercolour": "as a watercolour",
    "pixel-art": "as pixel art",
}
"""What a prompt says for each style; the keys are the styles, "plain" is none."""

_MANNER = re.compile(
    "|".join([r",? *\bin the style of [^,.]+", *(rf",? *\b{phrase}\b" for phrase in STYLE_PHRASES.values() if phrase)]),
    re.IGNORECASE,
)


def without_manner(caption: str) -> str:
    """The caption without a manner that it names: what is to be redrawn in another must not ask for two."""
    return _MANNER.sub("", caption).strip() or caption


COLOURLESS = ("banksy", "pencil")
"""Styles that take the colours away: nothing is said or asked about colour then."""

STYLE_QUESTIONS = {
    "van-gogh": "is this in the style of Van Gogh?",
    "malevich": "is this in the style of Malevich?",
    "delaunay": "is this in the style of Delaunay?",
    "banksy": "is this in the style of Banksy?",
    "monet": "is this in the style of Monet?",
    "hokusai": "is this in the style of Hokusai?",
    "kandinsky": "is this in the style of Kandinsky?",
    "pencil": "is this a pencil drawing?",
    "watercolour": "is this a watercolour?",
    "pixel-art": "is this pixel art?",
}

STYLE_ANSWERS = {
    "plain": "plain", "van-gogh": "van gogh", "malevich": "malevich", "delaunay": "delaunay", "banksy": "banksy",
    "monet": "monet", "hokusai": "hokusai", "kandinsky": "kandinsky", "pencil": "pencil",
    "watercolour": "watercolour", "pixel-art": "pixel art",
}  # fmt: skip
"""The answer to "what style is this?"."""

KIND_NAMES = {
    "woman": "woman", "man": "man", "bird": "bird", "dog": "dog", "cat": "cat", "house": "house", "car": "car",
    "vase": "vase of flowers", "fruit": "bowl of fruit", "lamp": "lamp", "room": "hotel room",
}  # fmt: skip
"""A kind as a caption says it and as "what is in the picture?" is answered."""

KIND_ALSO = {
    "woman": ("woman", "lady"), "man": ("man", "gentleman"), "bird": ("bird", "little bird"), "dog": ("dog", "puppy"),
    "cat": ("cat", "kitten"), "house": ("house", "home"), "car": ("car", "automobile"),
    "vase": ("vase of flowers", "flower vase", "vase"), "fruit": ("bowl of fruit", "fruit bowl"),
    "lamp": ("lamp", "reading lamp"), "room": ("hotel room", "bedroom"),
}  # fmt: skip
"""Other names that captions use for a kind."""

PLACE_PHRASES = {
    "kitchen": "in a kitchen", "forest": "in a forest", "street": "on a street", "beach": "on the beach",
    "moon": "on the moon", "acropolis": "in front of the Acropolis", "mountains": "in the mountains",
    "room": "in a room", "plain": "on a plain background",
}  # fmt: skip

PLACE_ALSO = {
    "kitchen": ("in the kitchen", "standing in a tiled kitchen"), "forest": ("in the woods", "among the trees"),
    "street": ("in the city", "on the pavement"), "beach": ("by the sea", "on the sand"),
    "moon": ("on the surface of the moon", "in space on the moon"),
    "acropolis": ("at the Acropolis", "near a Greek temple"),
    "mountains": ("among snowy mountains", "in front of mountains"), "room": ("in a living room", "inside a room"),
    "plain": ("in front of a plain backdrop", "on a simple background"),
}  # fmt: skip

PLACE_ANSWERS = {**{place: place for place in PLACES}, "plain": "plain background"}
TIME_PHRASES = {"day": "", "sunset": "at sunset", "night": "at night"}
LIGHT_PHRASES = {"none": "", "night": "at night", "sunset": "at sunset", "fog": "in the fog", "winter": "in winter"}
MOOD_WORDS = {"neutral": "calm", "joy": "happy", "sadness": "sad"}
ACCESSORY_PHRASES = {
    "hat": "wearing a hat", "sunglasses": "wearing sunglasses", "scarf": "wearing a scarf",
    "ice-cream": "holding an ice cream", "suitcase": "carrying a suitcase",
}  # fmt: skip
ACCESSORY_NAMES = {
    "hat": "a hat", "sunglasses": "sunglasses", "scarf": "a scarf", "ice-cream": "an ice cream",
    "suitcase": "a suitcase",
}  # fmt: skip

RGB = {
    "red": (214, 44, 42), "orange": (246, 138, 30), "yellow": (252, 212, 44), "green": (52, 158, 70),
    "blue": (44, 98, 214), "purple": (132, 62, 178), "pink": (250, 136, 182), "brown": (112, 68, 38),
    "black": (42, 40, 46), "white": (246, 244, 240),
}  # fmt: skip
"""The middle of each colour word, sRGB 0-255; a subject varies a little around it."""

SEEN = (
    "nothing", "sky", "ground", "water", "wall", "floor", "building", "plant", "rock", "furniture", "window",
    "curtain", "picture", "light", "castle", *KINDS[:-1], "bed", "chest", *ACCESSORIES, "mask",
)  # fmt: skip
LABELS = {name: number for number, name in enumerate(SEEN)}
"""Segmentation labels, name -> number in `Scene.segmentation()`. A hotel room has none: its bed, chest, ... have."""

ANSWERS = (
    "yes", "no", *COLOURS, *KIND_NAMES.values(), *PLACE_ANSWERS.values(), *TIMES, *STYLE_ANSWERS.values(),
    *MOOD_WORDS.values(), "hat", "sunglasses", "scarf", "ice cream", "suitcase", "nothing", "0", "1", "panda",
    "castle", "fog", "winter", "clear", "inside", "outside",
)  # fmt: skip
"""The closed vocabulary of answers (a word may stand twice)."""
