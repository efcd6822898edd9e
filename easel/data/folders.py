"""Sets without tables: a flat folder of pictures, and a folder for each class, both perhaps within train/ and test/.

Here too: what a folder holds, and the captions that lie beside its pictures, a text file each.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from easel.data.item import MOST_CAPTION, SPLITS, Item, Lost
from easel.errors import EaselError, is_text, printable, shortened
from easel.files import read_text
from easel.images import OF_A_RUN, STRANGE, is_picture, scanned

MOST_DEEP = 6
"""How far below its class's folder a picture is looked for."""
MOST_LOOKED_AT = 20_000
"""Entries of folders without a picture that are looked at before a folder counts as having none."""
TEXTS = (".txt", ".caption")
"""Endings of the captions beside pictures: NAME.txt or NAME.caption."""
TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".xlsx", ".arrow")
MOST_TEXT = 1_000_000
"""Bytes of a text beside a picture."""
PICTURE_FOLDERS = frozenset({
    "images", "image", "imgs", "img", "jpegimages", "jpeg", "jpegs", "pictures", "photos", "rgb", "jpg", "pngs",
})  # fmt: skip
"""What people call the folder of a set's pictures."""
SIDE_FOLDERS = frozenset({
    "masks", "mask", "annotations", "annotation", "anno", "segmentations", "segmentation", "segmentationclass",
    "segmentationobject", "labels", "labelmaps", "depth", "depths", "edges", "normals", "trimaps", "thumbnails",
    "thumbs", "previews", "samples", "runs", "logs", "outputs", "checkpoints", "conditioning", "alpha", "mattes",
})  # fmt: skip
"""What people call folders of pictures that belong to a set's pictures and are none of them."""
NUMBERS = re.compile(r"[\d\s.,eE+-]+")
READ_ME = re.compile(r"(readme|licen[cs]e|attribution|copying|notice|credits|prompts?)", re.I)


class Listing(NamedTuple):
    """The names directly in a folder, sorted: pictures, folders, texts that may be captions, and all others."""

    pictures: list[str]
    folders: list[str]
    texts: list[str]
    others: list[str]


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder to look into: not a hidden one, nor a link that leads to itself."""
    if entry.name.startswith("."):
        return False
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112 - raises on no link


def listed(folder: Path) -> Listing:
    """What lies directly in `folder`, without hidden files and a run's own sheets. Raises EaselError."""
    found = Listing([], [], [], [])
    try:
        for entry in scanned(folder):
            if entry.name.startswith("."):
                continue
            if is_folder(entry):
                if not entry.name.startswith("__"):
                    found.folders.append(entry.name)
            elif is_picture(entry):
                found.pictures.append(entry.name)
            else:
                (found.texts if entry.name.lower().endswith(TEXTS) else found.others).append(entry.name)
    except OSError as problem:
        raise EaselError(f"cannot read {folder}: {shortened(problem.strerror or problem)}") from problem
    return Listing(*(sorted(names) for names in found))


def has_pictures(folder: Path, depth: int = 0) -> bool:
    """Whether there is a picture in `folder` or, down to `depth` floors, below; stops at the first.

    After 20,000 entries without one it has none, so that a whole disk is never walked.
    """
    left = MOST_LOOKED_AT
    floor = [folder] if folder.is_dir() else []
    for _ in range(depth + 1):
        below: list[Path] = []
        for place in floor:
            try:
                entries = scanned(place, left)
            except OSError:
                continue  # a folder that nobody may read has none
            left -= len(entries)
            for entry in entries:
                if is_folder(entry):
                    below.append(Path(entry.path))
                elif is_picture(entry) and os.path.isfile(entry.path):  # noqa: PTH113 - a million times
                    return True
            if left <= 0:
                return False
        floor = below
    return False


@dataclass(frozen=True)
class Arrangement:
    """Where the pictures of a folder, or its folders of classes, lie."""

    homes: dict[str, str]
    """Folders within the set's own ("" is itself), each with the split that it is."""
    apart: frozenset[str] = frozenset()
    """Folders beside the classes that are none: splits, and those that belong to the pictures."""
    notes: tuple[str, ...] = ()
    """What was left out, and what was taken for what."""


def arranged(folder: Path) -> Arrangement:
    """How a folder without a layout of its own is meant, by what its folders are called and hold.

    Folders without pictures do not count. Where names contradict each other, the notes say what was taken for what.
    """
    pictures, folders, *_ = listed(folder)
    holding = [name for name in folders if has_pictures(folder / name, MOST_DEEP)]
    splits = {name: SPLITS[name.lower()] for name in holding if name.lower() in SPLITS}
    others = [name for name in holding if name not in splits]
    if not splits:
        return _without_splits(folder, pictures, others)
    homes = {_inner(folder, name): split for name, split in splits.items()}
    if not others:
        return Arrangement(homes)
    classes = {name for home in homes for name in listed(folder / home).folders}
    if classes & set(others):  # cat/, dog/ and test/cat/, test/dog/
        note = f"{_named(splits)} beside {_named(others)} is taken for a split, the others for classes"
        return Arrangement({"": "", **homes}, frozenset(splits), (note,))
    nested = any(
        has_pictures(folder / home / name, MOST_DEEP) for home in homes for name in listed(folder / home).folders
    )
    if nested or len(splits) > 1 or all(_is_side(name) for name in others):
        return Arrangement(homes, notes=(f"{_named(others)} beside {_named(splits)} is left out: no split of the set",))
    note = f"{_named(splits)} beside {_named(others)} is taken for a class: move it elsewhere if it is a split"
    return Arrangement({"": ""}, notes=(note,))


def _without_splits(folder: Path, pictures: list[str], holding: list[str]) -> Arrangement:
    main = [name for name in holding if name.lower() in PICTURE_FOLDERS]
    if pictures or len(holding) == 1:
        return Arrangement({"": ""} if pictures else {_inner(folder, holding[0]): ""})
    if len(main) == 1:
        beside = [name for name in holding if name != main[0]]
        if all(_is_side(name) or _same_names(folder / main[0], folder / name) for name in beside):
            note = f"{_named(beside)} beside {main[0]}/ is left out: taken for what belongs to its pictures"
            return Arrangement({main[0]: ""}, notes=(note,))
    doubtful = [name for name in holding if name in main or _is_side(name)]
    note = (
        f"{_named(doubtful)} beside {_named([name for name in holding if name not in doubtful])} is taken for a class"
    )
    return Arrangement({"": ""}, notes=(note,) if doubtful else ())


def _inner(folder: Path, name: str) -> str:
    """train/images for a train/ that has its pictures there; else the folder itself."""
    pictures, folders, *_ = listed(folder / name)
    main = [one for one in folders if one.lower() in PICTURE_FOLDERS and has_pictures(folder / name / one, MOST_DEEP)]
    sides = [one for one in folders if one not in main and has_pictures(folder / name / one, MOST_DEEP)]
    if pictures or len(main) != 1 or name.lower() not in SPLITS or not all(map(_is_side, sides)):
        return name
    return f"{name}/{main[0]}"


def _is_side(name: str) -> bool:
    return name.lower().replace("_", "").replace("-", "") in SIDE_FOLDERS


def _same_names(one: Path, other: Path) -> bool:
    """Whether most pictures of one folder are called as those of the other are, as masks are."""
    first, second = ({stem(name) for name in listed(place).pictures} for place in (one, other))
    return len(first & second) * 2 > len(second)


def _named(folders: list[str] | dict[str, str]) -> str:
    names = sorted(folders)
    return ", ".join(f"{name}/" for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def is_flat(folder: Path) -> bool:
    """Pictures in the folder itself, in its one sub-folder (as anime faces come), or in train/ and test/."""
    return bool(listed(folder).pictures) or any(has_pictures(folder / home) for home in arranged(folder).homes if home)


def flat(folder: Path, lost: Lost) -> Iterator[Item]:
    """The pictures of a flat set. Deeper folders are not looked into, and named."""
    here = listed(folder)
    arrangement = Arrangement({"": ""}) if here.pictures else arranged(folder)
    lost.notes += arrangement.notes
    for home, split in arrangement.homes.items():
        place = folder / home
        found = listed(place)
        deeper = [name for name in found.folders if has_pictures(place / name, MOST_DEEP)]
        if deeper:
            lost.note(
                f"pictures in {_named(deeper)} below {place.name} are left out: layout 'flat' looks at one folder"
            )
        yield from _items(place, f"{home}/" if home else "", found, lost, split=split)


def is_classes(folder: Path) -> bool:
    """At least two sub-folders with pictures; or one sub-folder, or train/ and test/, that have such.

    Pictures beside the sub-folders, such as an overview, are left out where there are fewer of them than sub-folders.
    """
    arrangement = arranged(folder)
    return any(has_classes(folder / home, arrangement.apart if not home else ()) for home in arrangement.homes)


def has_classes(folder: Path, apart: frozenset[str] | tuple[()] = ()) -> bool:
    """Whether a folder has more sub-folders with pictures than pictures, and two at least."""
    pictures, folders, *_ = listed(folder)
    wanted = max(2, len(pictures) + 1)
    holding = (name for name in folders if name not in apart and has_pictures(folder / name, MOST_DEEP))
    return len(list(islice(holding, wanted))) == wanted


def classes(folder: Path, lost: Lost) -> Iterator[Item]:
    """The pictures of every class, whose name is its folder's; deeper folders belong to the class they lie in."""
    arrangement = arranged(folder)
    lost.notes += arrangement.notes
    for home, split in arrangement.homes.items():
        place, prefix = folder / home, f"{home}/" if home else ""
        beside, labels, *_ = listed(place)
        for name in beside:
            lost.skip("pictures beside the folders of classes are left out", prefix + name)
        for label in labels:
            if home or label not in arrangement.apart:
                for inner, found in tree(place / label, MOST_DEEP, lost, (place.resolve(),)):
                    yield from _items(place / label / inner, f"{prefix}{label}/{inner}", found, lost, label, split)


def _items(
    place: Path, prefix: str, found: Listing, lost: Lost, label: str | None = None, split: str = ""
) -> Iterator[Item]:
    """The pictures of one folder with the captions beside them; what else lies there is counted."""
    texts = Beside(place, found, lost)
    for name in found.pictures:
        yield Item(prefix + name, place / name, texts.of(name), label, split=split)
    texts.count_rest(prefix)


class Beside:
    """The captions that lie beside the pictures of one folder, as NAME.txt, NAME.caption or NAME.jpg.txt."""

    def __init__(self, place: Path, found: Listing, lost: Lost) -> None:
        self.place, self.lost, self.found = place, lost, found
        self._left = {same(name.lower()): name for name in found.texts}

    def of(self, name: str) -> tuple[str, ...]:
        """The captions of a picture, a line each; none where there is no such file or it says nothing."""
        if not self._left:
            return ()
        wanted = (same((base + end).lower()) for base in (stem(name), name) for end in TEXTS)
        texts = [self._left.pop(key) for key in wanted if key in self._left]
        return said_in(self.place / texts[0], self.lost) if texts else ()

    def count_rest(self, prefix: str) -> None:
        """Count what lies beside the pictures and is not read."""
        others = [name for name in self._left.values() if not READ_ME.match(name)]
        for name in others:
            self.lost.skip("texts that belong to no picture are not read", prefix + name)
        count_strange(self.found, self.lost, prefix)


def count_strange(found: Listing, lost: Lost, prefix: str) -> None:
    """Count the pictures that are not read, by their endings, and the tables that nothing reads."""
    ours = OF_A_RUN & set(found.others)
    for name in found.others:
        ending = Path(name).suffix.lower()
        if ending in STRANGE:
            lost.skip(f"{ending} files are not read, convert them", prefix + name)
        elif ending in TABLES and not ours and prefix + name not in lost.read:
            lost.skip("tables that are not read (metadata.jsonl with file_name and text is)", prefix + name)


def said_in(path: Path, lost: Lost) -> tuple[str, ...]:
    """The captions in a text beside a picture. One that is no text, is too long, or is numbers alone is counted."""
    try:
        text = read_text(path, MOST_TEXT)
    except EaselError:
        lost.skip(f"captions that are not UTF-8 text of at most {MOST_TEXT:,} bytes are left out", path.name)
        return ()
    if text.strip() and NUMBERS.fullmatch(text):
        lost.skip("texts of numbers beside pictures are no captions", path.name)
        return ()
    return kept_captions(text.splitlines(), path.name, lost)


def kept_captions(texts: list[str], name: str, lost: Lost) -> tuple[str, ...]:
    """Captions without the empty ones, each once; too long ones and what is no text are counted."""
    found: list[str] = []
    for text in texts:
        if len(text) > MOST_CAPTION:
            lost.skip(f"captions of over {MOST_CAPTION:,} letters are left out", name)
        elif not is_text(text):
            lost.skip("captions that are no Unicode text are left out", name)
        elif text.strip():
            found.append(text.strip())
    return tuple(dict.fromkeys(found))


def below(folder: Path, depth: int) -> Iterator[str]:
    """Names of the pictures in a folder and below, folder after folder."""
    return (prefix + name for prefix, found in tree(folder, depth, Lost()) for name in found.pictures)


def tree(folder: Path, depth: int, lost: Lost, above: tuple[Path, ...] = ()) -> Iterator[tuple[str, Listing]]:
    """A folder and those below, each with its path from there ("deep/") and what it holds. Folders that nobody may read
    are counted.

    A link that leads back to a folder on the way here (`above`), or to one that holds such a folder, is not followed.
    """
    real = folder.resolve()
    if any(one.is_relative_to(real) for one in above):
        return iter(())
    try:
        found, way = listed(folder), (*above, real)
    except EaselError:
        lost.skip("folders that cannot be read are left out", str(folder))
        return iter(())
    deeper = (
        (f"{name}/{prefix}", one)
        for name in found.folders
        if depth
        for prefix, one in tree(folder / name, depth - 1, lost, way)
    )
    return chain([("", found)], deeper)


def stem(name: str) -> str:
    """A file's name without its ending."""
    return os.path.splitext(name)[0]  # noqa: PTH122 - a million times


def same(name: str) -> str:
    """A name as it is compared: macOS writes u and two dots where others write one letter, and names that cannot be
    shown stand escaped in the tables that easel writes.
    """
    return unicodedata.normalize("NFC", name if name.isprintable() else printable(name, len(name)))


class Finder:
    """The files of a folder by the names that tables have for them, which may differ in how accents are written, and in
    the ending's large and small letters where only one file fits.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._folders: dict[str, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """The real name of a file, from the folder; None where there is none."""
        if os.path.isfile(self.place / name):  # noqa: PTH113 - a million times
            return name
        return self._nearly(name) or (self._nearly(name.replace("\\", "/")) if "\\" in name else None)

    def _nearly(self, name: str) -> str | None:
        way = ""
        parts = name.split("/")
        for at, part in enumerate(parts):
            real = self._in(way).get(same(part)) or (self._in(way).get(_loose(part)) if at == len(parts) - 1 else None)
            if real is None:
                return None
            way = f"{way}/{real}" if way else real
        return way if os.path.isfile(self.place / way) else None  # noqa: PTH113

    def _in(self, way: str) -> dict[str, str]:
        """Names in one folder by how they are compared; read once."""
        if way not in self._folders:
            try:
                names = os.listdir(self.place / way)  # noqa: PTH208
            except OSError:
                names = []
            found = {same(name): name for name in names}
            loose: dict[str, list[str]] = {}
            for name in names:
                loose.setdefault(_loose(name), []).append(name)
            self._folders[way] = {key: fits[0] for key, fits in loose.items() if len(fits) == 1} | found
        return self._folders[way]


def _loose(name: str) -> str:
    """The name with a small ending, told apart from whole names by a slash, which no name has."""
    base, ending = os.path.splitext(same(name))  # noqa: PTH122
    return f"/{base}{ending.lower()}"
