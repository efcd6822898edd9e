"""What people say about a scene: captions, and questions with their answers."""

from __future__ import annotations

import numpy as np

from easel.pocket.world import words
from easel.pocket.world.scene import Scene

Asked = tuple[str, str]
Rng = np.random.Generator
PART = {"woman": "dress", "man": "coat", "room": "bed", "vase": "vase", "fruit": "bowl"}
"""The part of a kind that has the scene's colour, where it is not the whole."""
HUMAN = {"woman": "she", "man": "he"}
MEDIA = {"pencil": "a pencil drawing of", "watercolour": "a watercolour of", "pixel-art": "pixel art of"}
WORN = ("hat", "sunglasses", "scarf")
GROUPS = {"person": words.PEOPLE, "animal": words.ANIMALS}


def article(phrase: str) -> str:
    """The phrase with "a" or "an"."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def part(scene: Scene) -> str:
    """What has the colour: "dress", "bird", "bed"."""
    return PART.get(scene.kind, scene.kind)


def colour(scene: Scene) -> str:
    """The colour that is seen; nothing in a style without colours."""
    return "" if scene.style in words.COLOURLESS else scene.colour


def subject(scene: Scene, name: str | None = None) -> str:
    """The subject in words, as in "a happy woman in a red dress", "a blue bird", "a hotel room with a green bed"."""
    name = name or words.KIND_NAMES[scene.kind]
    feel = {"neutral": "", "joy": "happy ", "sadness": "sad "}[scene.mood]
    if scene.kind in words.PEOPLE:
        return f"{article(feel + name)} in {article(join(colour(scene), part(scene)))}"
    if scene.kind == "room":
        return f"{article(feel + name)} with {article(join(colour(scene), 'bed'))}"
    return article(feel + join(colour(scene), name))


def worn(scene: Scene) -> str:
    """What is worn and carried, as in "wearing a hat and a scarf, holding an ice cream"."""
    on = [words.ACCESSORY_NAMES[name] for name in scene.accessories if name in WORN]
    if scene.mask:
        on.insert(0, "a panda mask")
    said = []
    if on:
        said.append("wearing " + (", ".join(on[:-1]) + " and " + on[-1] if len(on) > 1 else on[0]))
    said += [words.ACCESSORY_PHRASES[name] for name in scene.accessories if name not in WORN]
    return ", ".join(said)


def time_of_day(scene: Scene) -> str:
    """The time of day that is seen: a night or sunset light wins over the drawn time."""
    return scene.light if scene.light in ("night", "sunset") else scene.time


def when(scene: Scene) -> str:
    """Time and weather, as in "at sunset in the fog"; nothing on a clear day."""
    weather = words.LIGHT_PHRASES[scene.light] if scene.light in ("fog", "winter") else ""
    return join(words.TIME_PHRASES[time_of_day(scene)], weather)


def join(*said: str) -> str:
    """What is not empty, with spaces between."""
    return " ".join(phrase for phrase in said if phrase)


def captions(scene: Scene) -> list[str]:
    """At least five wordings of the whole scene, the canonical one first, clumsy ones last, none twice."""
    rng = np.random.default_rng([scene.seed, 4])
    also = words.KIND_ALSO[scene.kind]
    who, plain = subject(scene, also[int(rng.integers(len(also)))]), subject(scene)
    room = scene.kind == "room"
    where = "" if room else words.PLACE_PHRASES[scene.place]
    other = "" if room else words.PLACE_ALSO[scene.place][int(rng.integers(2))]
    castle = "with a castle in the background" if scene.castle else ""
    style, time, wears = words.STYLE_PHRASES[scene.style], when(scene), worn(scene)
    styled = scene.style != "plain"
    medium = MEDIA.get(scene.style, f"a painting {style} of") if styled else "a picture of"
    last = "" if scene.style in MEDIA or not styled else f", {style}"
    start = join(time + ",", who) if time else join("there is", who)
    front = join(medium, plain) if styled else f"this is {plain}"
    tags = [words.KIND_NAMES[scene.kind], colour(scene), "" if room else scene.place, time, wears,
            "castle" if scene.castle else "", scene.style if styled else ""]  # fmt: skip
    tags = [tag for tag in tags if tag]
    spot = "" if room else scene.place.replace("plain", "plain background")
    bare = join(colour(scene), also[0], spot, time_of_day(scene))
    said = [
        join(plain, wears, where, time, castle, style),
        join(medium, who, wears, other, time, castle),
        join(join(MEDIA.get(scene.style, ""), who), wears, where, castle, time) + last,
        join(start, other, castle, wears, style),
        join(front, where, time),
        join(who, style, where, wears, castle, time),
        ", ".join(tags),
        join(bare, style),
        ", ".join([also[-1], *tags[1:]]),
    ]
    return list(dict.fromkeys(said))


def questions(scene: Scene) -> list[Asked]:
    """Ten questions or more with answers of `words.ANSWERS`; yes and no are asked equally often.

    A question with a yes has a twin of its own sort with a no (another kind, another colour, ...), so that the words of
    a question do not give its answer away.
    """
    rng = np.random.default_rng([scene.seed, 5])
    yes, no = _twins(scene, rng)
    if len(no) > len(yes):
        # The style, asked last, has a no but no yes of its own: one of the other twins makes room.
        no.pop(int(rng.integers(len(no) - 1)))
    more_yes, more_no = _more(scene, rng)
    more_no = [ask for ask in more_no if ask not in no]
    extra = min(len(more_no), len(more_yes))
    yes += _some(more_yes, extra, rng)
    no += _some(more_no, extra, rng)
    return open_questions(scene) + [(ask, "yes") for ask in yes] + [(ask, "no") for ask in no]


def _some(asks: list[str], count: int, rng: Rng) -> list[str]:
    return [asks[int(k)] for k in rng.permutation(len(asks))[: max(0, count)]]


def open_questions(scene: Scene) -> list[Asked]:
    """What, which colour, where, when, which style, how many."""
    asked = [
        ("what is in the picture?", words.KIND_NAMES[scene.kind]),
        ("when is it?", time_of_day(scene)),
        ("what style is this?", words.STYLE_ANSWERS[scene.style]),
        ("how many people are there?", "1" if scene.kind in words.PEOPLE else "0"),
        ("how many animals are there?", "1" if scene.kind in words.ANIMALS else "0"),
    ]
    if colour(scene):
        asked.insert(1, (f"what colour is the {part(scene)}?", scene.colour))
    if scene.kind == "room" or scene.place != "plain":
        asked.append(("is it inside or outside?", "outside" if scene.place in words.OUTDOORS else "inside"))
    if scene.kind != "room":
        noun = part(scene) if scene.kind in words.THINGS else scene.kind
        asked.append((f"where is the {noun}?", words.PLACE_ANSWERS[scene.place]))
    if scene.place in words.OUTDOORS and scene.place != "moon":
        asked.append(("what is the weather?", scene.light if scene.light in ("fog", "winter") else "clear"))
        asked.append(("what is in the background?", "castle" if scene.castle else words.PLACE_ANSWERS[scene.place]))
    return asked + (_being(scene) if scene.kind in (*words.PEOPLE, *words.ANIMALS) else [])


def _being(scene: Scene) -> list[Asked]:
    who = HUMAN.get(scene.kind, f"the {scene.kind}")
    asked = []
    if not scene.mask:
        asked.append((f"how does {who} feel?", words.MOOD_WORDS[scene.mood]))
    on = [name for name in scene.accessories if name in WORN]
    if scene.mask:
        asked.append((f"which mask is {who} wearing?", "panda"))
    elif len(on) == 1 or (not on and scene.kind in words.ANIMALS):
        asked.append((f"what is {who} wearing?", on[0] if on else "nothing"))
    held = [name.replace("-", " ") for name in scene.accessories if name not in WORN]
    if scene.kind in words.PEOPLE and len(held) < 2:
        asked.append((f"what is {who} holding?", held[0] if held else "nothing"))
    return asked


def _other(known: tuple[str, ...], true: str, rng: Rng) -> str:
    rest = [word for word in known if word != true]
    return rest[int(rng.integers(len(rest)))]


def _twins(scene: Scene, rng: Rng) -> tuple[list[str], list[str]]:
    """Questions answered yes, and their twins answered no."""
    time = time_of_day(scene)
    kind = _other(words.KINDS, scene.kind, rng)
    yes = [
        f"is there {article(words.KIND_NAMES[scene.kind])}?",
        f"do you see {article(words.KIND_ALSO[scene.kind][-1])}?",
        f"is it {time}?",
    ]
    no = [
        f"is there {article(words.KIND_NAMES[kind])}?",
        f"do you see {article(words.KIND_ALSO[_other(words.KINDS, scene.kind, rng)][-1])}?",
        f"is it {_other(words.TIMES, time, rng)}?",
    ]
    if colour(scene):
        yes.append(f"is the {part(scene)} {scene.colour}?")
        no.append(f"is the {part(scene)} {_other(words.COLOURS, scene.colour, rng)}?")
    if scene.kind != "room":
        yes.append(f"is this {words.PLACE_PHRASES[scene.place]}?")
        no.append(f"is this {words.PLACE_PHRASES[_other(words.PLACES, scene.place, rng)]}?")
    if scene.kind == "room" or scene.place != "plain":
        outside = scene.place in words.OUTDOORS
        yes.append("is this outside?" if outside else "is this inside?")
        no.append("is this inside?" if outside else "is this outside?")
    if scene.style != "plain":
        yes.append(words.STYLE_QUESTIONS[scene.style])
    no.append(words.STYLE_QUESTIONS[_other(tuple(words.STYLE_QUESTIONS), scene.style, rng)])
    return yes, no


def _more(scene: Scene, rng: Rng) -> tuple[list[str], list[str]]:
    """More questions answered yes, more answered no; as many of each are asked as there are of the fewer."""
    yes: list[str] = []
    no = [words.STYLE_QUESTIONS[_other(tuple(words.STYLE_QUESTIONS), scene.style, rng)]]
    for group, kinds in GROUPS.items():
        (yes if scene.kind in kinds else no).append(f"is there {article(group)}?")
    (yes if scene.castle else no).append("is there a castle?")
    if scene.place in words.OUTDOORS and scene.place != "moon":
        for light, ask in (("fog", "is it foggy?"), ("winter", "is it winter?")):
            (yes if scene.light == light else no).append(ask)
    if scene.kind in words.PEOPLE or scene.kind in words.ANIMALS:
        _worn(scene, yes, no)
    return yes, no


def _worn(scene: Scene, yes: list[str], no: list[str]) -> None:
    who = HUMAN.get(scene.kind, f"the {scene.kind}")
    for accessory in words.ACCESSORIES if scene.kind in words.PEOPLE else WORN:
        (yes if accessory in scene.accessories else no).append(f"is {who} {words.ACCESSORY_PHRASES[accessory]}?")
    if scene.kind in words.PEOPLE:
        (yes if scene.mask else no).append(f"is {who} wearing a panda mask?")
    if not scene.mask:
        (yes if scene.mood == "joy" else no).append(f"is {who} happy?")
        (yes if scene.mood == "sadness" else no).append(f"is {who} sad?")
        if scene.mood == "neutral":
            yes.append(f"is {who} calm?")
