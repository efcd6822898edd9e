"""errors, files, images, sheet, result, workspace: values with known answers, and bad files."""

from __future__ import annotations

import errno
import io
import json
import pickle
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from easel.errors import Cancelled, EaselError, nearest, shortened, unknown
from easel.files import write_atomic
from easel.images import list_pictures, open_picture, save_png, to_rgb
from easel.provenance import read_provenance
from easel.result import Result, Score
from easel.sheet import GAP, TILE, Cell, sheet
from easel.workspace import Step, Workspace
from tests.conftest import drawn

# errors


def test_nearest_puts_look_alikes_first():
    words = ["pocket", "sdxl", "sd-1.5"]
    assert nearest("sd15", words).startswith("use one of sd-1.5, ")
    assert nearest("Van Gogh", ["monet", "van-gogh"]) == "use one of van-gogh, monet"
    assert nearest("qqqq", words) == "use one of pocket, sdxl, sd-1.5"
    assert str(unknown("model", "sd51", words)).startswith("no model called 'sd51': use one of sd-1.5")
    assert nearest("x", []) == "there is none to choose from"


def test_messages_stay_on_one_short_line():
    assert shortened("a\nb" * 100) == ("a b" * 100)[:57] + "..."


# files


def test_write_replaces_whole(tmp_path):
    write_atomic(tmp_path / "new" / "a.txt", b"one")
    write_atomic(tmp_path / "new" / "a.txt", b"two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"two"


def test_a_failed_write_keeps_the_old_file_and_no_part(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a.txt", b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("easel.files.os.fsync", full)
    with pytest.raises(EaselError, match=r"the disk is full"):
        write_atomic(tmp_path / "a.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"old"


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr("easel.files.os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a.txt", b"new")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written_are_refused_first(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EaselError, match="a file is where a folder is needed"):
        Workspace(tmp_path / "file" / "out")
    with pytest.raises(EaselError, match="a file is where a folder is needed"):
        Workspace(tmp_path / "file")
    with pytest.raises(EaselError, match="too long"):
        Workspace(tmp_path / ("x" * 300))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(EaselError, match=r"the disk is full"):
        Workspace(tmp_path / "out")


def test_read_only_folders_are_named(tmp_path, monkeypatch):
    def refuse(self, content):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(EaselError, match="you may not write there; choose another --out"):
        Workspace(tmp_path / "out")


# images: what is refused


def refused(path: Path, words: str) -> None:
    with pytest.raises(EaselError, match=words) as caught:
        open_picture(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?>\n<!-- x --><svg/>", "SVG"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html>", "HTML"),
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\x03\x04" + bytes(40), "zip"),
        (b"%PDF-1.7", "PDF"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
        (b'{"a": 1}', "JSON"),
        (b"hello, world", "not a picture"),
        (bytes(5000), "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a picture|damaged"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, words):
    path = tmp_path / "fake.png"
    path.write_bytes(content)
    refused(path, words)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif"])
def test_truncated_pictures_are_refused(tmp_path, name):
    path = tmp_path / name
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    noise.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "damaged|not a picture")


def test_bombs_and_crumbs_are_refused(tmp_path):
    head = Image.new("1", (30_000, 30_000))
    head.save(tmp_path / "bomb.png")
    refused(tmp_path / "bomb.png", "far too large|too many")
    Image.new("1", (12_000, 9_000)).save(tmp_path / "large.png")
    refused(tmp_path / "large.png", "12000 x 9000 pixels are too many")
    Image.new("RGB", (8, 400)).save(tmp_path / "crumb.png")
    refused(tmp_path / "crumb.png", "too few")


def test_missing_files_and_folders(tmp_path):
    refused(tmp_path / "no.jpg", "there is no file")
    refused(tmp_path, "is a folder")
    refused(tmp_path / "\0", "cannot read")


# images: what is converted


def saved(tmp_path: Path, image: Image.Image, name: str, **options) -> Image.Image:
    image.save(tmp_path / name, **options)
    return open_picture(tmp_path / name)


def near(pixel, wanted, by=3):
    return all(abs(a - b) <= by for a, b in zip(pixel, wanted, strict=True))


def test_every_mode_becomes_rgb(tmp_path):
    size = (32, 24)
    assert saved(tmp_path, Image.new("I;16", size, 40_000), "grey16.png").getpixel((3, 3)) == (156, 156, 156)
    assert saved(tmp_path, Image.new("F", size, 0.5), "float.tif").getpixel((3, 3)) == (128, 128, 128)
    assert near(saved(tmp_path, Image.new("CMYK", size, (0, 255, 255, 0)), "cmyk.jpg").getpixel((3, 3)), (255, 0, 0))
    assert saved(tmp_path, Image.new("RGBA", size, (255, 0, 0, 0)), "clear.png").getpixel((3, 3)) == (255, 255, 255)
    assert near(
        saved(tmp_path, Image.new("RGBA", size, (255, 0, 0, 128)), "half.png").getpixel((3, 3)), (255, 127, 127)
    )
    assert saved(tmp_path, Image.new("LA", size, (9, 0)), "la.png").getpixel((3, 3)) == (255, 255, 255)
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert saved(tmp_path, palette, "palette.png").getpixel((3, 3)) == (10, 200, 30)
    assert saved(tmp_path, palette, "clear-palette.png", transparency=1).getpixel((3, 3)) == (255, 255, 255)
    assert saved(tmp_path, Image.new("1", size, 1), "bit.png").getpixel((3, 3)) == (255, 255, 255)
    assert near(saved(tmp_path, drawn(), "a.webp", lossless=True).getpixel((0, 0)), (245, 222, 179))
    assert saved(tmp_path, drawn(), "a.avif").size == (96, 64)


def test_rotation_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(tmp_path, drawn(40, 20), "turned.jpg", exif=exif)
    assert turned.size == (20, 40)
    assert turned.info == {}


def test_animations_give_their_first_frame_and_say_so(tmp_path):
    frames = [drawn(colour="red"), drawn(colour="blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    first = open_picture(tmp_path / "a.gif")
    assert near(first.getpixel((30, 32)), (255, 0, 0), 8)
    assert "2 frames" in first.info["note"]


def test_colour_profiles_are_followed(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = drawn()
    image.info["icc_profile"] = lab  # no profile for RGB pictures: as good as none
    assert to_rgb(image).getpixel((0, 0)) == (245, 222, 179)
    image.info["icc_profile"] = b"broken"
    assert to_rgb(image).getpixel((0, 0)) == (245, 222, 179)
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert near(to_rgb(image).getpixel((0, 0)), (245, 222, 179), 1)


def test_pictures_of_a_folder_in_natural_order(tmp_path):
    for name in ("b10.png", "b2.PNG", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in list_pictures(tmp_path)] == ["a.jpg", "b2.PNG", "b10.png"]
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    with pytest.raises(EaselError, match=r"no pictures in"):
        list_pictures(tmp_path / "empty")
    (tmp_path / "empty" / "deep" / "a.png").write_bytes(b"x")
    with pytest.raises(EaselError, match=r"there are some in .*deep"):
        list_pictures(tmp_path / "empty")
    with pytest.raises(EaselError, match="there is no folder"):
        list_pictures(tmp_path / "nowhere")


# provenance


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200))
def test_any_text_survives_in_a_png(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "a.png"
    save_png(path, drawn(20, 20), {"easel": json.dumps({"recipe": {"prompt": text}}), "parameters": text})
    assert read_provenance(path) == {"easel": {"recipe": {"prompt": text}}, "parameters": text}


def test_pictures_without_provenance_are_refused(tmp_path, photo):
    with pytest.raises(EaselError, match="does not say how it was made"):
        read_provenance(photo)
    save_png(tmp_path / "bad.png", drawn(), {"easel": "{"})
    with pytest.raises(EaselError, match="its recipe is damaged"):
        read_provenance(tmp_path / "bad.png")


def test_a_picture_carries_its_recipe(tmp_path):
    workspace = Workspace(tmp_path / "out", "cpu", "auto", computed_in="bfloat16")
    workspace.save_picture("a.png", drawn(), {"kind": "generate"}, "words\nSteps: 3")
    found = read_provenance(tmp_path / "out" / "a.png")
    assert found["easel"]["recipe"] == {"kind": "generate"}
    assert (found["easel"]["device"], found["easel"]["dtype"]) == ("cpu", "bfloat16")
    assert {"easel", "torch", "pillow"} <= found["easel"]["versions"].keys()
    raw = (tmp_path / "out" / "a.png").read_bytes()
    assert raw.count(b"iTXt") == 2
    assert raw.index(b"iTXt") < raw.index(b"IDAT")


# sheet


def test_sheet_is_as_large_as_its_cells_and_wraps_text():
    cells = [Cell(drawn(), f"title {index}", ("word " * 60, "x" * 200)) for index in range(4)]
    page = sheet(cells, heading="é — “long” 日本 " * 20)
    assert page.width == 4 * TILE + 5 * GAP
    assert page.height > TILE * 64 // 96
    assert page.getpixel((GAP + TILE // 2, page.height - 3)) == (250, 249, 246)
    assert sheet(cells, columns=2).width == 2 * TILE + 3 * GAP
    assert sheet([Cell(drawn())] * 70).width < 12 * TILE
    assert sheet([]).width > 0


def test_sheet_of_a_tall_and_a_wide_picture():
    page = sheet([Cell(drawn(20, 2000)), Cell(drawn(2000, 20))], columns=1)
    assert page.height >= TILE + 3 * GAP


# result

SCORE = Score(name="clip", value=0.3, low=0.2, high=0.4, n=5, judge="pocket", of="a.png")


def test_result_survives_its_file(tmp_path):
    made = Result(
        kind="ask", folder=tmp_path, pictures=("a.png",), texts={"answer": "ja, é"}, scores=(SCORE,), notes=("n",)
    )
    (tmp_path / "result.json").write_text(made.to_json(), encoding="utf-8")
    assert Result.read(tmp_path) == made
    assert Result.read(tmp_path).to_json() == made.to_json()
    assert list(json.loads(made.to_json())) == [
        "kind",
        "pictures",
        "files",
        "texts",
        "scores",
        "seconds",
        "versions",
        "notes",
    ]
    assert json.loads(made.to_json(with_folder=True))["folder"] == str(tmp_path)


def test_damaged_results_are_named(tmp_path):
    with pytest.raises(EaselError, match=r"there is no result\.json"):
        Result.read(tmp_path)
    (tmp_path / "result.json").write_text('{"kind": 3}')
    with pytest.raises(EaselError, match="damaged at kind"):
        Result.read(tmp_path)
    with pytest.raises(ValueError, match="finite"):
        Score(name="a", value=float("nan"), judge="j", of="x")


def test_pictures_are_listed_by_themselves(tmp_path):
    for name in ("a.png", "sheet.png"):
        save_png(tmp_path / name, drawn())
    made = Result(kind="generate", folder=tmp_path, pictures=("a.png",), files=("sheet.png", "table.csv"))
    assert [image.size for image in made.images] == [(96, 64)]
    assert [path.name for path in made.paths] == ["a.png", "sheet.png", "table.csv"]


def test_a_result_of_version_0_1_listed_its_pictures_among_the_files(tmp_path):
    old = {
        "kind": "generate",
        "files": ["a.png", "sheet.png", "chart.png", "table.csv"],
        "versions": {"easel": "0.1.0"},
    }
    (tmp_path / "result.json").write_text(json.dumps(old))
    found = Result.read(tmp_path)
    assert found.pictures == ("a.png",)
    assert found.files == ("sheet.png", "chart.png", "table.csv")


def test_joining_keeps_order_and_finds_files(tmp_path):
    parts = [
        Result(
            kind="ask",
            folder=tmp_path / part,
            pictures=("a.png",),
            files=("b.csv",),
            texts={"answer": part},
            scores=(SCORE,),
            seconds={"ask": 2.0},
        )
        for part in ("one", "two")
    ]
    whole = Result.joined(parts)
    assert whole.folder == tmp_path
    assert whole.pictures == ("one/a.png", "two/a.png")
    assert whole.files == ("one/b.csv", "two/b.csv")
    assert [score.of for score in whole.scores] == ["one/a.png", "two/a.png"]
    assert whole.texts == {"answer": "one", "two/answer": "two"}
    assert whole.seconds == {"ask": 4.0}
    assert Result.joined(parts[:1]).pictures == ("a.png",)
    with pytest.raises(EaselError, match="2 kinds"):
        Result.joined([parts[0], parts[0].model_copy(update={"kind": "score"})])
    with pytest.raises(EaselError, match="none given"):
        Result.joined([])


# workspace


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr("easel.workspace.time.perf_counter", lambda: self.now)


@pytest.mark.parametrize("style", ["before", "after", "both"])
def test_seconds_by_phase_however_a_job_reports(tmp_path, monkeypatch, style):
    clock = Clock(monkeypatch)
    steps: list[Step] = []
    workspace = Workspace(tmp_path / "out", report=steps.append)
    for phase, each, total in (("load", 3.0, 1), ("draw", 2.0, 4)):
        for index in range(total):
            if style != "after":
                workspace.step(phase, index, total)
            clock.now += each
            if style != "before":
                workspace.step(phase, index + 1, total)
    assert workspace.seconds == {"load": 3.0, "draw": 8.0}
    if style == "after":
        assert [(step.rate, step.eta) for step in steps[1:]] == [(0.5, 6.0), (0.5, 4.0), (0.5, 2.0), (0.5, 0.0)]


def test_rate_of_a_resumed_run_counts_new_work_only(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    steps: list[Step] = []
    workspace = Workspace(tmp_path, report=steps.append)
    clock.now += 50
    workspace.step("caption", 60, 100)
    clock.now += 10
    workspace.step("caption", 80, 100)
    assert steps[0].rate is None
    assert (steps[1].rate, steps[1].eta) == (2.0, 10.0)


def test_report_cancels(tmp_path):
    def stop(step: Step) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        Workspace(tmp_path, report=stop).step("draw", 0, 3)


@pytest.mark.parametrize("name", ["", "../a.png", "/etc/a", "a/../../b"])
def test_names_stay_in_the_folder(tmp_path, name):
    with pytest.raises(EaselError, match="not a file name inside"):
        Workspace(tmp_path).path(name)


def test_saving_texts_bytes_and_below_folders(tmp_path):
    workspace = Workspace(tmp_path / "out")
    assert workspace.save_text("deep/a.txt", "é").read_text(encoding="utf-8") == "é"
    assert workspace.save_bytes("b", b"1").read_bytes() == b"1"
    stream = io.BytesIO((workspace.save_picture("c.png", drawn())).read_bytes())
    assert Image.open(stream).size == (96, 64)
    assert time.perf_counter() > 0


def test_a_phase_reports_its_beginning_and_its_end(tmp_path):
    steps: list[Step] = []
    workspace = Workspace(tmp_path, report=steps.append)
    with workspace.phase("judging", 3) as done:
        done(2)
    with workspace.phase("writing"):
        pass
    seen = [(step.phase, step.done, step.total) for step in steps]
    assert seen == [("judging", 0, 3), ("judging", 2, 3), ("judging", 3, 3), ("writing", 0, 1), ("writing", 1, 1)]


def test_a_table_is_saved_as_csv(tmp_path):
    path = Workspace(tmp_path).save_csv("t.csv", ("a", "b"), [(1, "x, y"), (2.5, 'say "z"')])
    assert path.read_text(encoding="utf-8") == 'a,b\n1,"x, y"\n2.5,"say ""z"""\n'


def test_a_child_works_below_and_reports_above(tmp_path):
    steps: list[Step] = []
    child = Workspace(tmp_path, "cpu", "float32", steps.append).child("cell")
    child.step("draw", 1, 2)
    assert child.folder == tmp_path / "cell"
    assert (child.device, child.computed_in, steps[0].phase) == ("cpu", "float32", "draw")
    with pytest.raises(EaselError, match="not a file name inside"):
        child.child("../up")
