"""Pictures in and out of files, with Pillow only: read as upright RGB, written with the recipe inside."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import struct
import warnings
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageOps, PngImagePlugin, UnidentifiedImageError

from easel.errors import EaselError, printable, shortened
from easel.files import check_regular, write_atomic

if TYPE_CHECKING:
    from PIL import ImageCms

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
SHARD = ".tar"
"""How a shard of pictures ends."""
SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".avif", ".avifs", ".gif", ".bmp", ".dib",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx",
})  # fmt: skip
"""Endings of the pictures that are read. The content decides; by these a folder's pictures are told from its rest."""
STRANGE = frozenset({
    ".heic", ".heif", ".jxl", ".psd", ".xcf", ".svg", ".tga", ".exr", ".hdr", ".ico", ".eps", ".raw", ".dng", ".cr2",
    ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
})  # fmt: skip
"""Endings of pictures that are not read: they are counted, so that nobody wonders where they are."""
PLAIN = frozenset({
    ".txt", ".caption", ".md", ".rst", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".toml", ".html",
    ".pdf", ".py", ".ipynb", ".sh", ".log", ".npy", ".npz", ".h5", ".mat", ".pkl", ".pickle", ".pt", ".pth", ".ckpt",
    ".safetensors", ".bin", ".onnx", ".parquet", ".arrow", ".db", ".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".mp4",
    ".mov", ".avi", ".webm", ".mkv", ".wav", ".mp3", ".xls", ".xlsx", ".doc", ".docx", ".part", ".tmp", ".lock",
})  # fmt: skip
"""Endings of what is no picture; whatever has none of all these endings is asked by its content."""
MAGIC = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*|P[1-6]\s+[\d#]|"
    rb"....ftyp(avif|avis)|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    re.S,
)
"""How pictures begin."""
MOST_PIXELS = 100_000_000
LEAST_SIDE = 16
READ_SIDE = 2048
"""Pixels of the longer side that a model which looks at pictures, or a small copy, can make use of at most."""
TAKES = "use a PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF or JPEG 2000 picture"
OUR_OWN = frozenset({"sheet.png", "chart.png", "preview.png", "walk.png", "walk.webp"})
"""Pictures that easel lays beside those it makes: none of a set."""
OF_A_RUN = frozenset({"result.json", "recipe.yaml"})
"""What lies in the folder of a run of ours."""

FOREIGN = (
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", re.I | re.S), "an SVG drawing"),
    (re.compile(rb"\s*(<!--.*?-->\s*)*(<!DOCTYPE html|<html|<head|<body)", re.I | re.S), "a web page (HTML)"),
    (re.compile(rb"\s*<\?xml", re.I), "an XML file"),
    (re.compile(rb"\x80[\x02-\x05]"), "a Python pickle"),
    (re.compile(rb"PK\x03\x04"), "a zip archive"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"\{|\["), "a JSON or text file"),
)
"""How files that are not pictures begin, and what to call them."""
HEIC = re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.S)
"""How photos begin that may be HEIC. Some AVIF begin so too, hence they are named so only where they do not open."""

BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, MemoryError)
"""What Pillow's decoders raise on damaged files."""


def open_picture(path: str | Path, most_side: int | None = None, ground: str = "white") -> Image.Image:
    """The picture in a file: RGB, upright by its EXIF, colours in sRGB, transparency laid on `ground`.

    The content decides, not the name. An animation gives its first frame and says so in `.info["note"]`. Where the
    longer side has over `most_side` pixels the picture is shrunk to that as it is read, which saves most of the memory
    of a large photo, and `.info["size"]` is what it was.

    Raises EaselError on what is not a picture, is damaged, is smaller than 16 px or has over 100 million pixels.
    """
    path = Path(path)
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata of a readable picture is no news; size is checked below
        try:
            return _opened(path, path, most_side, ground)
        except (Image.DecompressionBombError, OverflowError) as problem:
            raise EaselError(f"{_said(path)}: far too large: at most {MOST_PIXELS:,} pixels") from problem
        except UnidentifiedImageError as problem:
            raise EaselError(
                f"{_said(path)} is {_strange(path) or 'not a picture that easel reads'}: {TAKES}"
            ) from problem
        except BROKEN as problem:
            if name := _strange(path):
                raise EaselError(f"{_said(path)} is {name}: {TAKES}") from problem
            if bare := _without_texts(path, problem):
                with contextlib.suppress(*BROKEN):
                    return _opened(path, bare, most_side, ground)
            raise EaselError(
                f"{_said(path)} is damaged or cut short ({shortened(problem)}): save it again"
            ) from problem


def _opened(path: Path, content: Path | io.BytesIO, most_side: int | None, ground: str) -> Image.Image:
    """The picture, converted. Raises what Pillow's decoders raise."""
    with Image.open(content, formats=FORMATS) as source:
        size = source.size
        _check_size(path, size)
        frames = int(getattr(source, "n_frames", 1))
        source.seek(0)
        too_large = most_side is not None and max(size) > most_side
        if too_large:  # a JPEG is decoded at a half, a quarter or an eighth of its size
            source.draft(None, _within(size, most_side))
        source.load()
        whole: Image.Image = source
        if too_large and whole.mode in AVERAGED:
            whole = whole.resize(_within(size, most_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        picture = to_rgb(ImageOps.exif_transpose(whole), ground)
    if most_side is not None and too_large:
        turned = (picture.width >= picture.height) != (size[0] >= size[1])
        picture.thumbnail((most_side, most_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        picture.info["size"] = size[::-1] if turned else size
    if frames > 1 and source.format in {"GIF", "WEBP", "AVIF", "PNG", "TIFF"}:
        picture.info["note"] = f"{printable(path.name)} has {frames} frames: the first was used"
    return picture


AVERAGED = frozenset({"L", "RGB", "RGBA", "LA", "CMYK"})
"""Modes whose pixels can be averaged before they are converted."""


def _within(size: tuple[int, int], most: int | None) -> tuple[int, int]:
    """The size with its longer side brought to `most`."""
    scale = (most or max(size)) / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def address(picture: Image.Image, most: tuple[int, int]) -> str:
    """An address for a page that holds the picture itself, as a JPEG of at most so many pixels across and down."""
    small = picture.copy()
    small.thumbnail(most, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def size_of(picture: Image.Image) -> tuple[int, int]:
    """Width and height of an opened picture as its file has it, upright, before anything shrunk it."""
    width, height = picture.info.get("size", picture.size)
    return int(width), int(height)


def _said(path: Path) -> str:
    return shortened(path, 200)


def _strange(path: Path) -> str:
    """What a file is that Pillow cannot open, where its beginning says so."""
    with path.open("rb") as stream:
        return "a HEIC photo, which must be converted first" if HEIC.match(stream.read(16)) else ""


TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
MOST_FILE = 1 << 30
"""Bytes of a PNG that is read once more without its texts."""


def _without_texts(path: Path, problem: Exception) -> io.BytesIO | None:
    """A PNG without its text chunks, where Pillow found those too long: the text is bounded, not the picture."""
    if not isinstance(problem, ValueError) or path.stat().st_size > MOST_FILE:
        return None
    kept = io.BytesIO()
    with path.open("rb") as stream:
        head = stream.read(8)
        if head != b"\x89PNG\r\n\x1a\n":
            return None
        kept.write(head)
        while len(start := stream.read(8)) == 8:
            length, kind = int.from_bytes(start[:4], "big"), start[4:]
            if kind in TEXT_CHUNKS:
                stream.seek(length + 4, io.SEEK_CUR)
            else:
                kept.write(start + stream.read(length + 4))
    kept.seek(0)
    return kept


def check_file(path: Path) -> None:
    """Refuse, by content, what is plainly no picture."""
    try:
        if path.is_dir():
            raise EaselError(f"{path} is a folder: name one picture in it")
        check_regular(path)
        with path.open("rb") as stream:
            start = stream.read(2048)
    except (OSError, ValueError) as problem:
        raise EaselError(f"cannot read {shortened(path, 200)}: {shortened(problem)}") from problem
    if not start:
        raise EaselError(f"{path} is empty (0 bytes)")
    start = start.removeprefix(b"\xef\xbb\xbf")
    for pattern, name in FOREIGN:
        if pattern.match(start):
            raise EaselError(f"{path} is {name}, not a picture: {TAKES}")


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        raise EaselError(f"{path}: {width} x {height} pixels are too many: at most {MOST_PIXELS:,}; make it smaller")
    if min(width, height) < LEAST_SIDE:
        raise EaselError(f"{path}: {width} x {height} pixels are too few: at least {LEAST_SIDE} a side")


def to_rgb(image: Image.Image, ground: str = "white") -> Image.Image:
    """Any Pillow mode as 8-bit sRGB: 16-bit and float scaled, CMYK and profiles converted, alpha laid on `ground`."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    elif image.has_transparency_data:
        clear = image.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", clear.size, ground), clear)
        image = flat.convert("L" if image.mode in {"LA", "La", "L"} else "RGB")
    return _to_srgb(image, profile)


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits, 32 bits or floats, as 8 bits."""
    whole = image.convert("F")
    low, high = (float(end) for end in whole.getextrema())  # type: ignore[arg-type]  # one band: two numbers
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 65535:
        low, high = 0.0, next(top for top in (1.0, 255.0, 65535.0) if high <= top)
    scale = 255.0 / max(high - low, 1e-12)
    return whole.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
"""What a profile speaks of, and the pictures that it can be followed in."""
SAME = 2
"""Levels of 255 by which a profile may change colours and still be sRGB by another name."""


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Follow an embedded colour profile where it says something; a broken one is as good as none."""
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = PROFILE_MODES.get(source.profile.xcolor_space.strip(), "")
            if mode == "CMYK" and image.mode != "CMYK":
                return _bare(image.convert("RGB"))
            if mode:
                follow = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
                plain = image if image.mode == mode else image.convert(mode)
                if mode == "CMYK" or not _is_srgb(follow, mode):
                    seen = ImageCms.applyTransform(plain, follow)
                    return _bare(seen if seen is not None else plain.convert("RGB"))
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return _bare(image.convert("RGB"))


def _is_srgb(follow: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a profile's tables leave colours as they are, whatever it calls itself."""
    from PIL import ImageCms

    if mode == "L":
        probe = Image.frombytes("L", (256, 1), bytes(range(256)))
    else:
        steps = [*range(0, 256, 17)]
        probe = Image.frombytes(
            "RGB", (16, 256), bytes(n for r in steps for g in steps for b in steps for n in (r, g, b))
        )
    seen = ImageCms.applyTransform(probe, follow)
    if seen is None:
        return True
    change = ImageChops.difference(seen, probe.convert("RGB")).getextrema()
    return all(int(band[1]) <= SAME for band in change)  # type: ignore[index]  # three bands: a pair each


def _bare(image: Image.Image) -> Image.Image:
    """The same pixels with nothing hanging on them: no old EXIF, profile or texts."""
    image.info = {}
    return image


LOOKED_AT = 300
"""Entries of a folder that are looked at for a hint."""


def list_pictures(folder: str | Path) -> list[Path]:
    """The pictures directly in a folder, in natural order (2 before 10), without the sheets of a run of ours.

    Raises EaselError if there are none, naming a folder in it that has some.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EaselError(f"there is no folder {folder}" if not folder.exists() else f"{folder} is not a folder")
    try:
        found = [folder / entry.name for entry in scanned(folder) if is_picture(entry)]
        if not found:
            deeper = [folder / entry.name for entry in scanned(folder, LOOKED_AT) if _is_plain_folder(entry)]
            place = next((one for one in sorted(deeper) if _has_a_picture(one)), None)
            hint = f"; there are some in {place}: name that folder" if place else f": {TAKES}"
            raise EaselError(f"there are no pictures in {folder}{hint}")
    except OSError as problem:
        raise EaselError(f"cannot read {folder}: {shortened(problem.strerror or problem)}") from problem
    return sorted(found, key=_natural)


def scanned(folder: Path, most: int | None = None) -> list[os.DirEntry[str]]:
    """The entries of a folder, at most so many, without the sheets of a run of ours. Raises OSError."""
    with os.scandir(folder) as entries:
        found = list(islice(entries, most))
    if any(entry.name in OF_A_RUN for entry in found):
        return [entry for entry in found if entry.name not in OUR_OWN]
    return found


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a file is a picture by its ending or, where that says nothing, by its content. Hidden ones are none."""
    if entry.name.startswith("."):
        return False
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a million times
    if ending in SUFFIXES:
        return entry.is_symlink() or not entry.is_dir()
    return ending not in PLAIN and ending not in STRANGE and begins_as_picture(entry)


def strange_endings(folder: Path) -> list[str]:
    """The ending of every picture in a folder that is not read."""
    try:
        endings = [os.path.splitext(entry.name)[1].lower() for entry in scanned(folder)]  # noqa: PTH122
    except OSError:
        return []
    return sorted(ending for ending in endings if ending in STRANGE)


def begins_as_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a file begins as pictures do."""
    try:
        if not entry.is_file():
            return False
        with open(entry.path, "rb") as stream:  # noqa: PTH123 - a million times
            return bool(MAGIC.match(stream.read(32)))
    except OSError:
        return False


def _is_plain_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def _has_a_picture(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(is_picture(entry) for entry in scanned(folder, LOOKED_AT))
    return False


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", path.name.casefold())
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in parts]


def save_png(path: str | Path, image: Image.Image, texts: dict[str, str] | None = None) -> None:
    """Write a PNG, atomically, with each of `texts` (keyword to UTF-8 text) in an iTXt chunk. Raises EaselError."""
    notes = PngImagePlugin.PngInfo()
    for key, text in (texts or {}).items():
        notes.add_itxt(key, text.encode("utf-8", "backslashreplace").decode("utf-8"))
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=notes)
    write_atomic(Path(path), stream.getvalue())
