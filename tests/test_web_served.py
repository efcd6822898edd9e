"""Files to a browser: whole, by ranges, kept, as downloads; and the package's own few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CONTENT = bytes(range(256)) * 3000
"""More than two pieces."""


@pytest.fixture
def ask(studio: Path) -> Any:
    """What a browser gets of a file with some headers: status, headers, bytes."""
    import asyncio

    from django.test import RequestFactory

    from easel.web import served

    def get(path: Path, method: str = "GET", download: bool = False, **headers: str) -> tuple[int, Any, bytes]:
        request = RequestFactory().generic(
            method, "/", headers={key.replace("_", "-"): v for key, v in headers.items()}
        )
        answer = served.file_response(request, path, download=download)

        async def whole() -> bytes:
            return b"".join([piece async for piece in answer])  # type: ignore[attr-defined]

        return answer.status_code, answer.headers, asyncio.run(whole()) if answer.streaming else answer.content

    return get


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a é.png"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=300000-600000", 300000, 600000),
        ("bytes=767990-", 767990, 767999),
        ("bytes=-10", 767990, 767999),
        ("bytes=5-99999999", 5, 767999),
    ],
)
def test_a_range_is_those_bytes(ask: Any, file: Path, asked: str, first: int, last: int) -> None:
    status, headers, content = ask(file, Range=asked)
    assert (status, content) == (206, CONTENT[first : last + 1])
    assert headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert headers["Content-Length"] == str(last - first + 1)


def test_a_file_is_whole_kept_and_what_it_is(ask: Any, file: Path, tmp_path: Path) -> None:
    from django.http import Http404

    status, headers, content = ask(file)
    assert (status, content, headers["Content-Type"]) == (200, CONTENT, "image/png")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(file, If_None_Match=headers["ETag"])[::2] == (304, b"")
    assert ask(file, Range="bytes=9-5")[0] == ask(file, Range=f"bytes={len(CONTENT)}-")[0] == 416
    assert ask(file, Range="bytes=0-9", If_Range='"another"')[0] == 200, "it has changed: all of it"
    assert ask(file, Range="lines=1-2")[0] == 200
    status, headers, content = ask(file, method="HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    page = tmp_path / "page.html"
    page.write_text("<script>alert(1)</script>", encoding="utf-8")
    headers = ask(page)[1]
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''page.html"
    assert ask(file, download=True)[1]["Content-Disposition"] == "attachment; filename*=UTF-8''a%20%C3%A9.png"
    for missing in (tmp_path / "none.png", tmp_path):
        with pytest.raises(Http404):
            ask(missing)


def test_the_package_s_own_files_are_kept_by_a_browser(client: Any) -> None:
    answer = client.get("/static/studio.css")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert client.get("/static/studio.css", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert "max-age" in client.get("/static/studio.css?v=1")["Cache-Control"]
    assert client.get("/static/settings.py").status_code == 404
