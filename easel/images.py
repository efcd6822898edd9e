"""Pictures in and out of files, with Pillow only: read as upright RGB, written with the recipe inside."""

from __future__ import annotations

import io
import re
import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from easel.errors import EaselError, shortened
from easel.files import check_regular, write_atomic

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".ppm"})
MOST_PIXELS = 100_000_000
LEAST_SIDE = 16
TAKES = "use a PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF picture"

FOREIGN = (
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", re.I | re.S), "an SVG drawing"),
    (re.compile(rb"\s*(<!--.*?-->\s*)*(<!DOCTYPE html|<html|<head|<body)", re.I | re.S), "a web page (HTML)"),
    (re.compile(rb"\s*<\?xml", re.I), "an XML file"),
    (re.compile(rb"\x80[\x02-\x05]"), "a Python pickle"),
    (re.compile(rb"PK\x03\x04"), "a zip archive"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"....ftyp(heic|heix|mif1|msf1|hevc)", re.S), "a HEIC photo, which must be converted first"),
    (re.compile(rb"\{|\["), "a JSON or text file"),
)
"""How files that are not pictures begin, and what to call them."""

BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, MemoryError)
"""What Pillow's decoders raise on damaged files."""


def open_picture(path: str | Path) -> Image.Image:
    """The picture in a file: RGB, upright by its EXIF, colours in sRGB, transparency laid on white.

    The content decides, not the name. An animation gives its first frame and says so in `.info["note"]`.
    Raises EaselError on what is not a picture, is damaged, is smaller than 16 px or has over 100 million pixels.
    """
    path = Path(path)
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata of a readable picture is no news; size is checked below
        try:
            with Image.open(path, formats=FORMATS) as source:
                _check_size(path, source.size)
                frames = int(getattr(source, "n_frames", 1))
                source.seek(0)
                source.load()
                picture = to_rgb(ImageOps.exif_transpose(source))
        except (Image.DecompressionBombError, OverflowError) as problem:
            raise EaselError(f"{path}: far too large: at most {MOST_PIXELS:,} pixels") from problem
        except UnidentifiedImageError as problem:
            raise EaselError(f"{path} is not a picture that easel reads: {TAKES}") from problem
        except BROKEN as problem:
            raise EaselError(f"{path} is damaged or cut short ({shortened(problem)}): save it again") from problem
    if frames > 1 and source.format in {"GIF", "WEBP", "AVIF", "PNG", "TIFF"}:
        picture.info["note"] = f"{path.name} has {frames} frames: the first was used"
    return picture


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


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode as 8-bit sRGB: 16-bit and float scaled, CMYK and profiles converted, alpha laid on white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image).convert("RGB")
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        flat = Image.alpha_composite(white, clear).convert("RGB")
        return _to_srgb(flat, profile)
    if image.mode == "CMYK":
        return _to_srgb(image, profile)
    return _to_srgb(image.convert("RGB"), profile)


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


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Follow an embedded colour profile where it says something; a broken one is as good as none."""
    if profile and b"sRGB" not in profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            seen = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if seen is not None:
                return _bare(seen)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return _bare(image.convert("RGB"))


def _bare(image: Image.Image) -> Image.Image:
    """The same pixels with nothing hanging on them: no old EXIF, profile or texts."""
    image.info = {}
    return image


def list_pictures(folder: str | Path) -> list[Path]:
    """The pictures directly in a folder by their endings, in natural order (2 before 10). Raises EaselError if none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise EaselError(f"there is no folder {folder}" if not folder.exists() else f"{folder} is not a folder")
    found = [path for path in folder.iterdir() if is_picture_name(path) and path.is_file()]
    if not found:
        deeper = next((path.parent for path in sorted(folder.rglob("*")) if is_picture_name(path)), None)
        hint = f"; there are some in {deeper}" if deeper else f": {TAKES}"
        raise EaselError(f"there are no pictures in {folder}{hint}")
    return sorted(found, key=_natural)


def is_picture_name(path: Path) -> bool:
    """Whether a name ends like a picture's and is not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", path.name.casefold())
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in parts]


def save_png(path: str | Path, image: Image.Image, texts: dict[str, str] | None = None) -> None:
    """Write a PNG, atomically, with each of `texts` (keyword to UTF-8 text) in an iTXt chunk. Raises EaselError."""
    notes = PngImagePlugin.PngInfo()
    for key, text in (texts or {}).items():
        notes.add_itxt(key, text)
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=notes)
    write_atomic(Path(path), stream.getvalue())
