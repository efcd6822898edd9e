"""What people put in: files and folders of pictures. The content decides what a file is, not its name; the place a
photo was taken at is removed, without touching its pixels.
"""

from __future__ import annotations

import io
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Sum
from PIL import Image

from easel.errors import EaselError, printable, shortened
from easel.files import write_atomic
from easel.images import BROKEN, MAGIC, open_picture
from easel.web.models import Upload

TEXTS = frozenset({".yaml", ".yml", ".txt", ".jsonl", ".json", ".csv", ".tsv", ".caption"})
"""Endings of texts that are taken: tables and captions beside pictures, styles, prompts, tags."""
NOT_IN_A_SET = frozenset({"config.json", "easel.json", "model_index.json", "result.json", "recipe.yaml"})
"""Names that would make a folder pass for a model or a run."""
OUTSIDE = re.compile(r"""(?:^|[\s"':=,\[])(?:/[\w.]|~/|\.\./|[A-Za-z]:\\|file:)""")
"""How a text names a file outside of its own folder."""
MOST_TEXT = 20_000_000
GPS, XMP_PLACE = 0x8825, re.compile(rb"GPS|geo:lat|Iptc4xmpExt:Location|photoshop:City", re.I)
PLACE_NOTE = "the place where it was taken was removed"


def safe_name(name: str) -> str:
    """A file's name without its folders, in letters that any disk takes: 'Bird (2).JPG' is 'Bird-2.jpg'."""
    base = PurePosixPath(name.replace("\\", "/")).name
    plain = unicodedata.normalize("NFKC", base)
    stem, dot, ending = plain.rpartition(".")
    stem = "-".join(re.findall(r"\w+", stem if dot else plain))[:60].strip("-_") or "file"
    ending = "".join(re.findall(r"[A-Za-z0-9]", ending))[:12].lower() if dot else ""
    return f"{stem}.{ending}" if ending else stem


def room_left(person: Any) -> int:
    """Bytes that a person may still put in."""
    taken = Upload.objects.filter(owner=person).aggregate(sum=Sum("bytes"))["sum"] or 0
    return int(settings.QUOTA) - int(taken)


def take_file(person: Any, file: UploadedFile) -> Upload:
    """Keep one file: a picture, a text, or weights. Raises EaselError on anything else, and where there is no room."""
    content_name = safe_name(file.name or "")
    refuse_size(person, file.size or 0)
    name, content, notes = _looked_at(content_name, file)
    return _kept(person, name, [(name, content)], notes, is_folder=False)


def take_folder(person: Any, name: str, files: Sequence[tuple[str, UploadedFile]]) -> Upload:
    """Keep a folder of pictures with the texts beside them; `files` have their paths in it.

    What is neither is left out, and a note says how much. Raises EaselError where no picture is among them.
    """
    if len(files) > settings.MOST_FILES:
        raise EaselError(f"{len(files):,} files are too many at once: at most {settings.MOST_FILES:,}")
    refuse_size(person, sum(file.size or 0 for _, file in files), most=settings.QUOTA)
    kept: list[tuple[str, Any]] = []
    left_out, notes = [], dict[str, int]()
    for path, file in files:
        parts = [
            safe_name(part) for part in PurePosixPath(path.replace("\\", "/")).parts if part not in {"/", "..", "."}
        ]
        try:
            if parts[-1] in NOT_IN_A_SET or parts[-1].endswith(".safetensors"):
                raise EaselError("belongs to a model or a run")
            last, content, said = _looked_at(parts[-1], file)
            kept.append(("/".join([*parts[:-1], last]), content))
            for note in said:
                notes[note] = notes.get(note, 0) + 1
        except EaselError as problem:
            left_out.append(f"{shortened(parts[-1] if parts else path)} ({shortened(problem)})")
    pictures = [path for path, _ in kept if Path(path).suffix not in TEXTS]
    if not pictures:
        why = f": {left_out[0]}" if left_out else ""
        raise EaselError(f"there is no picture among these {len(files)} files{why}")
    told = [f"{note} ({count} pictures)" for note, count in notes.items()]
    if left_out:
        told.append(f"{len(left_out)} files were left out: {', '.join(left_out[:3])}")
    return _kept(person, safe_name(name).replace(".", "-"), kept, told, is_folder=True)


def refuse_size(person: Any, size: int, most: int | None = None) -> None:
    """Raise EaselError on what is too large for one file, or for the room this person has left."""
    most = settings.MOST_UPLOAD if most is None else most
    if size > most:
        raise EaselError(f"{size / 1e6:,.0f} MB are too many: at most {most / 1e6:,.0f} MB")
    if size > room_left(person):
        raise EaselError(f"there is no room for {size / 1e6:,.0f} MB more: delete what you put in on the page Account")


def _looked_at(name: str, file: UploadedFile) -> tuple[str, bytes | UploadedFile, list[str]]:
    """What a file is called here, its content (weights stay the file they are), and what was done to it."""
    file.seek(0)
    start = file.read(64)
    file.seek(0)
    if MAGIC.match(start):
        content, notes = without_place(file.read())
        return f"{Path(name).stem}.{_picture_kind(name, content)}", content, notes
    if Path(name).suffix == ".safetensors":
        _check_weights(file)
        return name, file, []
    if Path(name).suffix in TEXTS:
        return name, _text(name, file), []
    raise EaselError(
        f"{printable(name)} is no picture that easel reads (PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF), no table or text, "
        "and no .safetensors file"
    )


def _picture_kind(name: str, content: bytes) -> str:
    """The ending that a picture's content has. Raises EaselError where it does not open."""
    part = Path(settings.FOLDER) / "uploads" / f".{secrets.token_hex(4)}.part"
    try:
        part.write_bytes(content)
        open_picture(part, 64)
        with Image.open(part) as picture:
            form = (picture.format or "").lower()
    except EaselError as problem:
        raise EaselError(
            str(problem).replace(str(part), printable(name)).replace(part.name, printable(name))
        ) from problem
    finally:
        part.unlink(missing_ok=True)
    return {"jpeg": "jpg", "mpo": "jpg", "jpeg2000": "jp2"}.get(form, form)


def _check_weights(file: UploadedFile) -> None:
    """Raise EaselError on what only calls itself safetensors."""
    import json

    size = int.from_bytes(file.read(8), "little")
    try:
        if not 2 <= size <= 100_000_000 or not isinstance(json.loads(file.read(size)), dict):
            raise ValueError
    except ValueError:
        raise EaselError("this is no safetensors file: pickles (.ckpt, .pt, .bin) are not taken") from None
    finally:
        file.seek(0)


def _text(name: str, file: UploadedFile) -> bytes:
    """A text's content. Raises EaselError where it is none, or names files outside of its folder."""
    if (file.size or 0) > MOST_TEXT:
        raise EaselError(f"{printable(name)} is too large for a text")
    content: bytes = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EaselError(f"{printable(name)} is no UTF-8 text") from None
    if Path(name).suffix != ".txt" and Path(name).suffix != ".caption" and (found := OUTSIDE.search(text)):
        line = text.count("\n", 0, found.end()) + 1
        raise EaselError(f"{printable(name)}: line {line} names a file outside of its own folder")
    return content


def _kept(person: Any, name: str, files: Iterable[tuple[str, Any]], notes: list[str], *, is_folder: bool) -> Upload:
    number = secrets.token_hex(6)
    top = Path("uploads") / number
    base = top / name if is_folder else top
    size = count = 0
    try:
        for path, content in files:
            place = base / path
            if isinstance(content, bytes):
                write_atomic(place, content)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as stream:
                    shutil.copyfileobj(content, stream)
            size, count = size + place.stat().st_size, count + 1
        return Upload.objects.create(
            pk=number,
            owner=person,
            name=name,
            is_folder=is_folder,
            bytes=size,
            count=count,
            notes=notes,
            created=time.time(),
        )
    except BaseException:
        shutil.rmtree(top, ignore_errors=True)
        raise


def delete(upload: Upload) -> None:
    """Take an upload away, with its files."""
    upload_folder = Path("uploads") / upload.pk
    upload.delete()
    shutil.rmtree(upload_folder, ignore_errors=True)


def without_place(content: bytes) -> tuple[bytes, list[str]]:
    """A picture's bytes without the place it was taken at, and a note where there was one.

    JPEG, PNG and WebP keep every pixel: only the pieces that tell the place are left out. Others become PNG.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            exif = picture.getexif()
            has_gps = bool(exif.get_ifd(GPS)) or GPS in exif
            form = picture.format
            xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    except BROKEN:
        return content, []
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    in_xmp = bool(XMP_PLACE.search(xmp))
    if not has_gps and not in_xmp:
        return content, []
    del exif[GPS]
    kept = exif.tobytes() if len(exif) else b""
    if form in {"JPEG", "MPO"}:
        return _jpeg(content, kept), [PLACE_NOTE]
    if form == "PNG":
        return _png(content, kept.removeprefix(b"Exif\0\0")), [PLACE_NOTE]
    if form == "WEBP":
        return _webp(content, kept.removeprefix(b"Exif\0\0")), [PLACE_NOTE]
    with Image.open(io.BytesIO(content)) as picture:
        stream = io.BytesIO()
        picture.convert("RGBA" if picture.has_transparency_data else "RGB").save(stream, "PNG")
    return stream.getvalue(), [f"{PLACE_NOTE}, and it was written anew as PNG"]


def _jpeg(content: bytes, exif: bytes) -> bytes:
    """A JPEG with these EXIF bytes, without XMP and IPTC; its pixels are not decoded."""
    made, place = [content[:2]], 2
    if exif:
        made.append(b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif)
    while place + 4 <= len(content) and content[place] == 0xFF:
        mark = content[place + 1]
        if mark == 0xDA:
            break
        size = int.from_bytes(content[place + 2 : place + 4], "big") + 2
        if mark not in (0xE1, 0xED):
            made.append(content[place : place + size])
        place += size
    return b"".join([*made, content[place:]])


def _png(content: bytes, exif: bytes) -> bytes:
    """A PNG with these EXIF bytes, without XMP."""
    import zlib

    made, place = [content[:8]], 8
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big") + 12
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + size - 4]
        if kind == b"IDAT" and exif:
            made.append(len(exif).to_bytes(4, "big") + b"eXIf" + exif + zlib.crc32(b"eXIf" + exif).to_bytes(4, "big"))
            exif = b""
        if kind != b"eXIf" and not (kind in (b"iTXt", b"tEXt", b"zTXt") and body.startswith(b"XML:com.adobe.xmp")):
            made.append(content[place : place + size])
        place += size
    return b"".join(made)


def _webp(content: bytes, exif: bytes) -> bytes:
    """A WebP with these EXIF bytes, without XMP."""
    made, place = [], 12
    while place + 8 <= len(content):
        kind = content[place : place + 4]
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        whole = content[place : place + 8 + size + size % 2]
        if kind == b"VP8X":
            whole = whole[:8] + bytes([(whole[8] & ~0b1100) | (0b1000 if exif else 0)]) + whole[9:]
        if kind not in (b"EXIF", b"XMP "):
            made.append(whole)
        place += len(whole)
    if exif:
        made.append(b"EXIF" + len(exif).to_bytes(4, "little") + exif + b"\0" * (len(exif) % 2))
    body = b"".join(made)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
