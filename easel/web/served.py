"""Files to a browser: in pieces and by ranges, kept by their state, and never as anything but what they are."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

PIECE = 256 * 1024
SHOWN = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif",
    ".gif": "image/gif",
}  # fmt: skip
"""Files that a browser shows; all others are downloads."""
STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


def file_response(
    request: HttpRequest, path: Path, *, download: bool = False, keep: str = "private, no-cache"
) -> HttpResponseBase:
    """The file, a range of it, or the word that it is as the browser has it. Http404 where it is not there."""
    try:
        found = path.stat()
    except OSError as problem:
        raise Http404 from problem
    if not path.is_file():
        raise Http404
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    shown = SHOWN.get(path.suffix.lower())
    headers = {
        "ETag": tag,
        "Last-Modified": formatdate(found.st_mtime, usegmt=True),
        "Cache-Control": keep,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }
    if download or shown is None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(path.name)}"
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers=headers)
    first, last, status = 0, found.st_size - 1, 200
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if asked and (asked[1] or asked[2]) and request.headers.get("If-Range", tag) == tag:
        first = int(asked[1]) if asked[1] else max(0, found.st_size - int(asked[2]))
        last = min(last, int(asked[2])) if asked[1] and asked[2] else last
        if first > last:
            return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{found.st_size}"})
        status = 206
        headers["Content-Range"] = f"bytes {first}-{last}/{found.st_size}"
    headers["Content-Length"] = str(last - first + 1)
    kind = shown or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    kind = kind if shown or kind in {"application/json", "text/csv", "application/zip"} else "application/octet-stream"
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=kind)
    return StreamingHttpResponse(pieces(path, first, last + 1), status=status, headers=headers, content_type=kind)


async def pieces(path: Path, first: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a file from `first` up to `end`, read beside the loop."""
    stream = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(stream.seek, first)
        left = end - first
        while left > 0 and (piece := await asyncio.to_thread(stream.read, min(PIECE, left))):
            left -= len(piece)
            yield piece
    finally:
        await asyncio.to_thread(stream.close)


def static(request: HttpRequest, name: str) -> HttpResponse:
    """One of the package's own few files, by its name."""
    path = STATIC / name
    if name not in {one.name for one in STATIC.iterdir() if one.suffix in TYPES}:
        raise Http404
    content = path.read_bytes()
    tag = f'"{path.stat().st_mtime_ns:x}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=3600" if request.GET.get("v") else "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(content, content_type=f"{TYPES[path.suffix]}; charset=utf-8", headers=headers)
