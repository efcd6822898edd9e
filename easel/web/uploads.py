"""What people put in: files and folders of pictures. The content decides what a file is, not its name; the place a
photo was taken at is removed, without touching its pixels.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import secrets
import shutil
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Sum
from PIL import Image

from easel.errors import EaselError, printable, shortened
from easel.files import ROOM_WANTED, atomic_path
from easel.images import BROKEN, MAGIC, open_picture
from easel.recipes.read import parse_yaml
from easel.web.models import Upload
from easel.web.safety import most_bytes

TEXTS = frozenset({".yaml", ".yml", ".txt", ".jsonl", ".json", ".csv", ".tsv", ".caption"})
"""Endings of texts that are taken: tables and captions beside pictures, styles, prompts, tags."""
READ = frozenset({".yaml", ".yml", ".json", ".jsonl"})
"""Endings of texts that are read to find out what they name."""
NOT_IN_A_SET = frozenset({"config.json", "easel.json", "model_index.json", "result.json", "recipe.yaml"})
"""Names that would make a folder pass for a model or a run."""
OUTSIDE = re.compile(r"""(?:^|[\s"':=,\[])(?:/[\w.]|~/|\.\./|[A-Za-z]:\\|file:)""")
"""How a text names a file outside of its own folder."""
NO_ROOM = "there is no room for this: delete what you put in on the page Account"
OUT = frozenset({"/", "..", "."})
"""Parts of a path that lead elsewhere, or nowhere."""
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


def take_file(person: Any, file: UploadedFile, key: str = "") -> Upload:
    """Keep one file: a picture, a text, or weights, under `key` or one of its own. Raises EaselError on anything else,
    and where there is no room.
    """
    content_name = safe_name(file.name or "")
    refuse_size(person, file.size or 0, most_bytes(content_name))
    name, content, notes = _looked_at(content_name, file)
    upload = Upload(pk=key or secrets.token_hex(6), owner=person, name=name, notes=notes, created=time.time())
    upload.bytes = _write(Path(upload.place), content)
    upload.save(force_insert=True)
    if room_left(person) < 0:  # several at once, each of which had room
        delete(upload)
        raise EaselError(NO_ROOM)
    return upload


def take_folder(
    person: Any, name: str, files: Sequence[tuple[str, UploadedFile]], into: Upload | None = None
) -> Upload:
    """Keep a folder of pictures with the texts beside them; `files` have their paths in it. A browser sends a large one
    in pieces: the later ones go `into` the first.

    What is neither is left out, and a note says how much. Raises EaselError where no file is taken.
    """
    upload = into or Upload(
        pk=secrets.token_hex(6),
        owner=person,
        name=safe_name(name).replace(".", "-"),
        is_folder=True,
        bytes=0,
        count=0,
        created=time.time(),
    )
    if upload.count + len(files) > settings.MOST_FILES:
        raise EaselError(f"a folder has at most {settings.MOST_FILES:,} files here")
    refuse_size(person, sum(file.size or 0 for _, file in files), most=settings.QUOTA)
    base, left_out, noted = Path(upload.place), list[str](), Counter[str]()
    for path, file in files:
        parts = PurePosixPath(path.replace("\\", "/")).parts
        *above, last = [safe_name(part) for part in parts if part not in OUT] or [""]
        try:
            if last in NOT_IN_A_SET or last.endswith(".safetensors"):
                raise EaselError("belongs to a model or a run")
            last, content, said = _looked_at(last, file)
            upload.bytes += _write(base.joinpath(*above, last), content)
            upload.count += 1
            noted.update(said)
        except EaselError as problem:
            left_out.append(f"{shortened(last or path)} ({shortened(problem)})")
    if not upload.count:
        shutil.rmtree(base.parent, ignore_errors=True)
        raise EaselError(f"there is no picture among these {len(files)} files: {', '.join(left_out[:1])}")
    upload.notes = [*upload.notes, *(f"{note} ({count} pictures)" for note, count in noted.items())]
    if left_out:
        upload.notes.append(f"{len(left_out)} files were left out: {', '.join(left_out[:3])}")
    upload.save()
    return upload


def refuse_size(person: Any, size: int, most: int) -> None:
    """Raise EaselError on what has more than `most` bytes, or more than the room that this person has left."""
    if size > most:
        raise EaselError(f"{size / 1e6:,.0f} MB are too many: at most {most / 1e6:,.0f} MB")
    if size > room_left(person):
        raise EaselError(NO_ROOM)
    if size > shutil.disk_usage(settings.FOLDER).free - ROOM_WANTED:
        raise EaselError("the disk of the studio is full: nothing can be put in until there is room again")


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
    if Path(name).suffix in READ and (out := next(filter(_leads_out, _texts_in(name, text)), "")):
        raise EaselError(f"{printable(name)} names a file outside of its own folder: '{shortened(out)}'")
    return content


def _texts_in(name: str, text: str) -> list[str]:
    """Every text that a YAML or JSON file holds, as its reader sees it: escapes hide nothing then."""
    try:
        if Path(name).suffix == ".jsonl":
            values: Any = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            values = json.loads(text) if Path(name).suffix == ".json" else parse_yaml(text, name)[0]
    except (EaselError, ValueError, RecursionError) as problem:
        raise EaselError(f"{printable(name)} does not read: {shortened(problem, 200)}") from problem
    waiting: list[Any] = [values]
    found: list[str] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            found.append(value)
    return found


def _leads_out(text: str) -> bool:
    """Whether a text is a path that leaves its folder."""
    return bool(OUTSIDE.match(text)) or ".." in re.split(r"[/\\]", text)


def _write(place: Path, content: bytes | UploadedFile) -> int:
    """Write a file of an upload, whole or not at all; its bytes."""
    with atomic_path(place) as part:
        if isinstance(content, bytes):
            part.write_bytes(content)
        else:
            with part.open("xb") as stream:
                shutil.copyfileobj(content, stream)
    return place.stat().st_size


def delete(upload: Upload) -> None:
    """Take an upload away, with its files."""
    upload_folder = Path("uploads") / upload.pk
    upload.delete()
    shutil.rmtree(upload_folder, ignore_errors=True)


OLD = 86_400.0
"""Seconds after which what a killed process left of an upload is no longer being written."""


def sweep() -> int:
    """Take away what killed processes left: bodies that were being sent, and uploads without a row. How many."""
    known, count = set(Upload.objects.values_list("pk", flat=True)), 0
    for path in Path("uploads").iterdir():
        with contextlib.suppress(OSError):
            if path.name not in known and time.time() - path.stat().st_mtime > OLD:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                count += 1
    return count


def without_place(content: bytes) -> tuple[bytes, list[str]]:
    """A picture's bytes without the place it was taken at, and a note where there was one.

    JPEG, PNG and WebP keep every pixel: only the pieces that tell the place are left out. Others become PNG.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            exif = picture.getexif()
            has_gps = GPS in exif  # asked without reading it, or Pillow would write it again
            form = picture.format
            xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    except BROKEN:
        return content, []
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    in_xmp = bool(XMP_PLACE.search(xmp))
    if not has_gps and not in_xmp:
        return content, []
    if has_gps:
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
