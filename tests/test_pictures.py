"""Pictures as people have them: what opens, in which colours, and how much memory a large one takes."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from easel import runners
from easel.cli import main
from easel.data import Item, cut, open_set
from easel.errors import EaselError
from easel.images import READ_SIDE, open_picture, size_of
from easel.jobs.data.duplicates import near_duplicates, redundant
from easel.jobs.data.inspect import inspect
from easel.jobs.data.values import PictureStats
from easel.jobs.inputs import gather, opened_to_read
from easel.jobs.score.set_features import format_of
from easel.recipes.caption import Caption
from tests import fakes


def noisy(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.effect_noise(size, 60).convert("RGB")


def refused(path: Path, *words: str) -> None:
    with pytest.raises(EaselError) as caught:
        open_picture(path)
    assert [word for word in words if word not in str(caught.value)] == [], caught.value


# What opens


@pytest.mark.parametrize("brand", [b"avif", b"mif1", b"msf1"])
def test_the_decoder_says_what_is_avif(tmp_path, brand):
    """Some writers name the container first, as HEIC does."""
    noisy().save(tmp_path / "a.avif")
    whole = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "b.avif").write_bytes(whole[:8] + brand + whole[12:])
    np.testing.assert_array_equal(open_picture(tmp_path / "b.avif"), open_picture(tmp_path / "a.avif"))


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1"])
def test_what_does_not_open_and_begins_like_heic_is_named_so(tmp_path, brand):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(200))
    refused(tmp_path / "a.jpg", "a HEIC photo, which must be converted first")


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "many", "after"])
def test_long_texts_do_not_close_a_png(tmp_path, kind):
    notes = PngImagePlugin.PngInfo()
    if kind in ("zTXt", "after"):
        notes.add_text("a", "x" * 3_000_000, zip=True)
    elif kind == "iTXt":
        notes.add_itxt("a", "x" * 3_000_000, zip=True)
    else:
        for at in range(80):
            notes.add_text(f"a{at}", "x" * 1_000_000, zip=True)
    picture = noisy()
    picture.save(tmp_path / "a.png", pnginfo=notes)
    if kind == "after":  # the text after the pixels
        whole = (tmp_path / "a.png").read_bytes()
        start = whole.index(b"zTXt") - 4
        end = start + 12 + int.from_bytes(whole[start : start + 4], "big")
        (tmp_path / "a.png").write_bytes(whole[:start] + whole[end:-12] + whole[start:end] + whole[-12:])
    np.testing.assert_array_equal(open_picture(tmp_path / "a.png"), picture)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-300])
    if kind != "after":
        refused(tmp_path / "a.png", "is damaged or cut short")


@pytest.mark.parametrize("name", ["a.jpg", "a.mpo", "a.png", "none"])
def test_a_jpeg_with_more_behind_it_is_a_jpeg_under_any_name(tmp_path, name):
    noisy().save(tmp_path / "x.mpo", "MPO", save_all=True, append_images=[noisy()])
    (tmp_path / "x.mpo").rename(tmp_path / name)
    assert open_picture(tmp_path / name).size == (64, 48)
    assert open_picture(tmp_path / name, 32).size == (32, 24)
    assert format_of(tmp_path / name) == "JPEG"


def test_a_box_that_is_too_small_names_its_picture(tmp_path):
    noisy().save(tmp_path / "a.png")
    with pytest.raises(EaselError, match=r"^x/a.png: its box .* under 8 pixels"):
        cut(Item("x/a.png", tmp_path / "a.png", box=(60, 0, 64, 4)), 16)


# Colours


def profile(curve: float | None, name: bytes, space: bytes = b"GRAY", primaries: bytes = b"") -> bytes:
    """A small colour profile: a gamma (1 is linear), and a name that may say what is not so."""
    turn = struct.pack(">I", 0) if curve == 1 else struct.pack(">IH", 1, round((curve or 0) * 256))
    described = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(79)
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    tags = {b"desc": described, b"wtpt": white, b"kTRC": b"curv\0\0\0\0" + turn}
    if space == b"RGB ":
        xyz = {b"r": (0.4360, 0.2225, 0.0139), b"g": (0.3851, 0.7169, 0.0971), b"b": (0.1431, 0.0606, 0.7141)}
        tags = {key: tags[key] for key in (b"desc", b"wtpt")}
        for one, values in xyz.items():
            tags[one + b"XYZ"] = b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(value * 65536) for value in values))
            tags[one + b"TRC"] = b"curv\0\0\0\0" + turn
    place, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for key, value in tags.items():
        table += key + struct.pack(">II", place + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4sI4s4s4s6H", place + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ", 2024, 1, 1, 0, 0, 0
    )
    return (head + b"acspAPPL" + bytes(24) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48))[:128] + table + body


@pytest.mark.parametrize(("gamma", "seen"), [(1.0, 188), (1.8, 146), (2.2, 129)])
@pytest.mark.parametrize("name", [b"Dot Gain", b"sRGB"])
@pytest.mark.parametrize(("mode", "value"), [("L", 128), ("LA", (128, 255)), ("I;16", 128 * 257), ("RGB", (128,) * 3)])
def test_a_profile_is_followed_by_its_tables_whatever_it_is_called(tmp_path, gamma, seen, name, mode, value):
    made = profile(gamma, name, b"RGB " if mode == "RGB" else b"GRAY")
    Image.new(mode, (32, 32), value).save(tmp_path / "a.png", icc_profile=made)
    assert open_picture(tmp_path / "a.png").getpixel((3, 3)) == pytest.approx((seen,) * 3, abs=1)


def test_what_is_srgb_by_its_tables_keeps_its_pixels(tmp_path):
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    other = bytes(made).replace(b"sRGB", b"mine").replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    picture = noisy()
    for one in (bytes(made), other):
        picture.save(tmp_path / "a.png", icc_profile=one)
        np.testing.assert_array_equal(open_picture(tmp_path / "a.png"), picture)
    for grey in (Image.new("L", (32, 32), 128), Image.new("1", (32, 32), 1), Image.new("P", (32, 32), 7)):
        grey.save(tmp_path / "a.png", icc_profile=other)  # of colours, on a picture without
        assert open_picture(tmp_path / "a.png").mode == "RGB"
    picture.save(tmp_path / "a.png", icc_profile=profile(1.0, b"grey"))  # of grey, on a picture with colours
    assert open_picture(tmp_path / "a.png").size == picture.size


# Large pictures


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_is_shrunk_as_it_is_read_and_stays_the_same(tmp_path, name, mode):
    exif = Image.Exif()
    exif[274] = 6
    small = Image.effect_noise((30, 20), 60).convert(mode)
    small.resize((900, 600), Image.Resampling.BICUBIC).save(tmp_path / name, exif=exif)
    whole, less = open_picture(tmp_path / name), open_picture(tmp_path / name, 300)
    assert (whole.size, less.size, size_of(less), size_of(whole)) == ((600, 900), (200, 300), (600, 900), (600, 900))
    assert "size" not in open_picture(tmp_path / name, 900).info
    change = np.asarray(whole.resize((20, 30), Image.Resampling.BOX), float) - np.asarray(
        less.resize((20, 30), Image.Resampling.BOX), float
    )
    assert np.abs(change).max() < 4


def test_a_summary_tells_the_size_that_a_file_has(tmp_path):
    noisy((2600, 1300)).save(tmp_path / "a.jpg")
    found = inspect(Item("a.jpg", tmp_path / "a.jpg"))
    assert isinstance(found, PictureStats)
    assert (found.width, found.height) == (2600, 1300)


def test_batches_are_of_pixels_too(tmp_path, monkeypatch):
    for at in range(5):
        noisy((200, 100)).save(tmp_path / f"{at}.png")
    photos = gather([str(tmp_path)], tmp_path / "out")
    assert [len(batch) for batch in opened_to_read(photos, photos, {}, 4)] == [4, 1]
    monkeypatch.setattr("easel.jobs.inputs.MOST_TOGETHER", 45_000)
    assert [len(batch) for batch in opened_to_read(photos, photos, {}, 4)] == [2, 2, 1]
    monkeypatch.setattr("easel.jobs.inputs.MOST_TOGETHER", 1)
    assert [len(batch) for batch in opened_to_read(photos, photos, {}, 4)] == [1] * 5


@pytest.mark.parametrize(
    ("size", "words"), [((700, 40), "18 times as wide as it is high"), ((20, 400), "20 times as high")]
)
def test_a_panorama_says_that_its_ends_are_not_seen(tmp_path, size, words):
    noisy(size).save(tmp_path / "pano.png")
    noisy((640, 40)).save(tmp_path / "wide.png")
    photos = gather([str(tmp_path)], tmp_path / "out")
    (batch,) = opened_to_read(photos, photos, {}, 8)
    assert f"pano.png is {words}" in batch["pano.png"].info["note"]
    assert "note" not in batch["wide.png"].info


MEMORY = """
import resource, sys
from pathlib import Path
from easel.jobs.data.inspect import inspect
from easel.data import Item
from easel.jobs.inputs import gather, opened_to_read, thumbnail
from easel.jobs.score.set_features import Pictures, picture_at
from easel.models import vision

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
folder = sys.argv[1]
photos = gather([folder], Path(folder) / "out")
start = peak()
small = [thumbnail(one) for batch in opened_to_read(photos, photos, {}, 64) for one in batch.values()]
read = peak()
facts = [inspect(Item(name, path), 96) for name, path in photos.items()]
pictures = Pictures.of(folder)
seen = [picture_at(pictures.place(name), None).size for name in pictures.paths]
print(read - start, peak() - start, len(small), len(facts), len(seen))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_large_photos_take_little_memory(tmp_path):
    """Six of 12 million pixels, 36 MB each when whole: 216 MB together. In a process of its own, by its peak."""
    photo = Image.effect_noise((400, 300), 60).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    for at in range(6):
        photo.save(tmp_path / f"{at}.jpg", quality=80 + at)
    ran = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True)
    reading, all_of_it, *counts = map(int, ran.stdout.split())
    assert counts == [6, 6, 6]
    assert reading < 110_000_000
    assert all_of_it < 130_000_000


def test_four_thousand_copies_are_one_group():
    """In seconds; 3,999 can go. Copies that differ by a little noise are one group too."""
    rng = np.random.default_rng(0)
    copies = np.full((4000, 12, 12, 3), 120, np.uint8) + rng.integers(0, 3, (4000, 12, 12, 3), dtype=np.uint8)
    groups = near_duplicates(np.full(4000, 77, np.uint64), copies)
    assert [len(group.indices) for group in groups] == [4000]
    assert redundant(groups) == 3999
    different = rng.integers(0, 256, (1000, 12, 12, 3), dtype=np.uint8)
    assert near_duplicates(np.zeros(1000, np.uint64), different) == []


# Names that are not UTF-8


STRANGE = [b"caf\xe9.png", b"line\nbreak.png", b"\x1b[31mred.png", "ü.png".encode()]


@pytest.fixture
def fake(monkeypatch):
    made: dict[str, Any] = {"caption": fakes.Captioner()}
    monkeypatch.setattr("easel.models.load", lambda name, role, *more: made.get(role) or fakes.Clip())
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_names_of_any_bytes_go_through_every_door(fake, tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"f\xe9")
    for label in (b"", b"x\xe9", b"y"):
        place = folder / os.fsdecode(label)
        place.mkdir(exist_ok=True)
        for at, name in enumerate(STRANGE):
            noisy((60 + at, 40)).save(place / os.fsdecode(name))
    for name in (b"x\xe9", b"y"):
        assert main(["caption", str(folder / os.fsdecode(name)), "--out", str(tmp_path / "out")]) in (0, 2)
    assert main(["caption", str(folder), "--out", str(folder)]) == 0
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert {row["file_name"] for row in rows} == {"caf\\xe9.png", "line\\nbreak.png", "\\x1b[31mred.png", "ü.png"}
    assert main(["score", "prompt", str(folder), "--out", str(tmp_path / "scored")]) == 0, capsys.readouterr().err
    assert main(["data", "summary", str(folder), "--out", str(tmp_path / "summary")]) == 0
    for at, label in enumerate((b"x\xe9", b"y")):
        (tmp_path / "set" / os.fsdecode(label)).mkdir(parents=True)
        noisy().save(tmp_path / "set" / os.fsdecode(label) / f"{at}.png")
    assert main(["data", "summary", str(tmp_path / "set"), "--out", str(tmp_path / "classes")]) == 0
    assert open_set(tmp_path / "set").classes == ("x\\xe9", "y")
    shown = capsys.readouterr()
    assert "\x1b[31m" not in shown.out + shown.err
    result = json.loads((tmp_path / "scored" / "result.json").read_text())
    assert not [note for note in result["notes"] if "skipped" in note], result["notes"]


def test_captions_are_kept_from_the_first_look_for_the_sheet(fake, tmp_path, monkeypatch):
    for at in range(3):
        noisy((90, 60)).save(tmp_path / f"{at}.png")
    opened: list[str] = []
    real = open_picture

    def counted(path, most_side=None):
        opened.append(Path(path).name)
        return real(path, most_side)

    monkeypatch.setattr("easel.jobs.inputs.open_picture", counted)
    runners.run(Caption(photos=(str(tmp_path),)), tmp_path / "out")
    assert opened == ["0.png", "1.png", "2.png"]


def test_readers_are_given_no_more_than_they_can_use(tmp_path):
    noisy((READ_SIDE + 500, 100)).save(tmp_path / "a.png")
    photos = gather([str(tmp_path / "a.png")], tmp_path / "out")
    (batch,) = opened_to_read(photos, photos, {}, 1)
    assert max(batch["a.png"].size) == READ_SIDE
    stream = io.BytesIO()
    batch["a.png"].save(stream, "PNG")
    assert stream.getvalue().startswith(b"\x89PNG")
