"""The data floor: every layout in miniature, the packed cache, and the two jobs about sets."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from easel import runners
from easel.cli import main
from easel.data import LAYOUTS, Item, Texts, cut, open_set, packed, square
from easel.data.annotations import ADVICE, collect
from easel.data.cache import WAITING, shorten
from easel.data.columns import ColumnBuilder
from easel.data.hashes import data_hash
from easel.data.square import around, middle
from easel.data.texts import read_table, read_texts
from easel.errors import Cancelled, EaselError
from easel.images import list_pictures
from easel.jobs.data import panels
from easel.jobs.data import world as data_world
from easel.jobs.data.duplicates import near_duplicates, redundant
from easel.jobs.data.inspect import inspect
from easel.jobs.data.map import grid_cells, principal_components, tsne
from easel.jobs.data.values import PictureStats
from easel.jobs.data.words import left_out_notes
from easel.jobs.inputs import gather
from easel.jobs.score.set_features import Pictures
from easel.pocket.world import Scene, captions, render, segmentation, words
from easel.recipes import recipe_from
from easel.recipes.caption import Caption
from easel.recipes.data import DataSummary, DataWorld
from easel.recipes.knobs import LayoutName
from tests import fakes

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def paint(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def noise(path: Path, seed: int, size: tuple[int, int] = (48, 40)) -> Path:
    """A picture that is like no other: soft blobs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def flat(folder: Path, count: int = 5) -> Path:
    for number in range(count):
        noise(folder / f"{number}.png", number)
    return folder


def refused(call: Any, *words: str) -> str:
    with pytest.raises(EaselError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    assert [word for word in words if word not in line] == [], line
    return line


# Layouts


def test_a_flat_folder(tmp_path):
    flat(tmp_path, 3)
    write(tmp_path / "notes.txt", "no picture")
    write(tmp_path / ".hidden.png", "no picture")
    found = open_set(tmp_path)
    assert (found.layout, len(found), list(found.names)) == ("flat", 3, ["0.png", "1.png", "2.png"])
    assert found[1] == Item("1.png", tmp_path / "1.png")
    assert found[-1].name == "2.png"
    assert [item.name for item in found] == list(found.names)


@pytest.mark.parametrize("inner", ["images", "data"])
def test_anime_faces_come_in_one_folder(tmp_path, inner):
    paint(tmp_path / inner / "a.jpg")
    assert [item.name for item in open_set(tmp_path)] == [f"{inner}/a.jpg"]


def test_flat_splits(tmp_path):
    paint(tmp_path / "train" / "a.jpg")
    paint(tmp_path / "val" / "b.jpg")
    assert [(item.name, item.split) for item in open_set(tmp_path)] == [
        ("train/a.jpg", "train"),
        ("val/b.jpg", "valid"),
    ]
    assert list(open_set(tmp_path, split="validation").names) == ["val/b.jpg"]
    refused(lambda: open_set(tmp_path, split="test"), "no pictures", "in the split 'test'")
    refused(lambda: open_set(tmp_path, split="trian"), "no split called 'trian': use one of train")


def test_class_folders(tmp_path):
    for name in ("b dog/1.jpg", "b dog/deep/2.jpg", "a cat/1.PNG", "overview.png"):
        paint(tmp_path / name)
    found = open_set(tmp_path)
    assert (found.layout, found.classes) == ("classes", ("a cat", "b dog"))
    assert [(item.name, item.label) for item in found] == [
        ("a cat/1.PNG", "a cat"),
        ("b dog/1.jpg", "b dog"),
        ("b dog/deep/2.jpg", "b dog"),
    ]
    assert found.labels.tolist() == [0, 1, 1]
    assert found.small_classes() == ["a cat"]


def test_class_folders_in_splits(tmp_path):
    for name in ("train/x/1.jpg", "train/y/1.jpg", "test/x/2.jpg"):
        paint(tmp_path / name)
    found = open_set(tmp_path)
    assert {(item.label, item.split) for item in found} == {("x", "train"), ("y", "train"), ("x", "test")}
    assert open_set(tmp_path, split="test").classes == ("x",)


def test_class_folders_within_one_folder(tmp_path):
    for name in ("images/x/1.jpg", "images/y/1.jpg", "images/y/deep/2.jpg", "images/overview.png"):
        paint(tmp_path / name)
    found = open_set(tmp_path)
    assert (found.layout, found.classes) == ("classes", ("x", "y"))
    assert [item.name for item in found] == ["images/x/1.jpg", "images/y/1.jpg", "images/y/deep/2.jpg"]
    assert all(item.path.is_file() for item in found)
    for name in ("2.jpg", "3.jpg"):
        paint(tmp_path / "images" / name)
    assert open_set(tmp_path).layout == "flat"  # as many pictures as folders beside them: no overviews


def test_links_that_lead_back_are_not_followed(tmp_path):
    """To the folder itself, to the set, above the set, and back from elsewhere; a link elsewhere is followed."""
    place = tmp_path / "set"
    for name in ("set/x/1.jpg", "set/x/deep/2.jpg", "set/y/3.jpg", "outside/4.jpg"):
        paint(tmp_path / name)
    for name, to in {"x/self": ".", "x/deep/up": "..", "x/set": "..", "x/above": "../..", "all": "."}.items():
        (place / name).symlink_to(to)
    names = ["x/1.jpg", "x/deep/2.jpg", "y/3.jpg"]
    assert list(open_set(place).names) == names
    (place / "y" / "more").symlink_to(tmp_path / "outside")
    assert list(open_set(place).names) == [*names, "y/more/4.jpg"]
    (tmp_path / "outside" / "back").symlink_to(place / "y")
    assert list(open_set(place).names) == [*names, "y/more/4.jpg"]


def test_links_that_lead_to_themselves_are_passed_over_or_named(tmp_path):
    """One called like a folder is none; one called like a picture is a broken picture."""
    for name in ("x/1.jpg", "y/2.jpg", "y/3.jpg"):
        paint(tmp_path / name)
    for name in ("x/round", "round", "y/round.jpg"):
        (tmp_path / name).symlink_to(Path(name).name)
    found = open_set(tmp_path)
    assert found.layout == "classes"
    assert list(found.names) == ["x/1.jpg", "y/2.jpg", "y/3.jpg", "y/round.jpg"]
    data = packed(found, 16, tmp_path / "cache")
    assert len(data) == 3
    assert list(data.broken) == ["y/round.jpg"]


def metadata(folder: Path, *rows: dict[str, Any], name: str = "metadata.jsonl") -> Path:
    for row in rows:
        file = row.get("file_name", row.get("file"))
        if file and not (folder / file).exists() and "gone" not in file:
            paint(folder / file)
    write(folder / name, "".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_an_image_folder_with_metadata(tmp_path):
    metadata(
        tmp_path,
        {"file_name": "x/a.png", "text": "one", "captions": ["one", "two\nlines"], "label": 3, "hat": True, "age": 7},
        {
            "file_name": "b.png",
            "mood": "sad",
            "hat": None,
            "size": [3, 4],
            "bad": float("nan"),
            "huge": 10**400,
            "box": [1, 2, 20, 30],
            "split": "val",
        },
        {"file_name": "gone.png", "text": "not there"},
    )
    found = open_set(tmp_path)
    assert (found.layout, found.missing, found.missing_names) == ("metadata", 1, ("gone.png",))
    assert (found.unnamed, found.unnamed_names) == (0, ())
    assert found[0] == Item("x/a.png", tmp_path / "x/a.png", ("one", "two lines"), "3", {"hat": True, "age": 7})
    assert found[1].attributes == {"mood": "sad"}
    assert (found[1].box, found[1].split, found[1].captions, found[1].label) == ((1, 2, 20, 30), "valid", (), None)
    assert found.captions.present.tolist() == [True, False]
    assert found.attribute("hat").is_yes_no
    np.testing.assert_array_equal(found.attribute("age").numbers(), [7, np.nan])


def test_other_names_of_the_same_form(tmp_path):
    metadata(tmp_path, {"file": "a.png", "caption": "a cat"}, name="captions.jsonl")
    assert open_set(tmp_path)[0].captions == ("a cat",)


def test_metadata_in_splits(tmp_path):
    metadata(tmp_path / "train", {"file_name": "a.png"})
    metadata(tmp_path / "test", {"file_name": "a.png"})
    assert [(i.name, i.split) for i in open_set(tmp_path)] == [("test/a.png", "test"), ("train/a.png", "train")]


def test_pictures_that_no_line_names_are_counted(tmp_path):
    metadata(tmp_path, {"file_name": "x/a.png"}, {"file_name": "./x//b.png"})
    for name in ("c.png", "x/d.png", "y/deep/e.png", ".hidden.png", "sheet.png"):
        paint(tmp_path / name)
    write(tmp_path / "notes.txt", "no picture")
    found = open_set(tmp_path)
    assert (len(found), found.unnamed) == (2, 4)
    assert found.unnamed_names == ("c.png", "sheet.png", "x/d.png", "y/deep/e.png")  # no run of ours lies here
    write(tmp_path / "result.json", "{}")
    assert "sheet.png" not in open_set(tmp_path).unnamed_names  # a run's own, which is none of the set


def test_a_split_without_a_table_is_counted_as_unnamed(tmp_path):
    metadata(tmp_path / "train", {"file_name": "a.png"})
    paint(tmp_path / "test" / "b.png")
    found = open_set(tmp_path)
    assert (list(found.names), found.unnamed_names) == (["train/a.png"], ("test/b.png",))
    assert open_set(tmp_path, split="train").unnamed == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "lines that are not JSON are skipped: 1 (metadata.jsonl: line 2)"),
        ("[" * 100_000, "lines that are not JSON are skipped: 1"),
        ("[1]", "lines without keys are skipped: 1"),
        ('{"text": "a"}', "lines without a file_name are skipped: 1"),
        ('{"file_name": 7}', "lines without a file_name are skipped: 1"),
        ('{"file_name": "b.png", "text": 3}', "captions that are no text are left out: 1"),
        ('{"file_name": "b.png", "text": ["one", {}]}', "captions that are no text are left out: 1"),
        ('{"file_name": "b.png", "text": "a \\ud800 b"}', "captions that are no Unicode text are left out: 1"),
        ('{"file_name": "b.png", "text": "%s"}' % ("x" * 10_001), "captions of over 10,000 letters are left out: 1"),
        ('{"file_name": "b.png", "label": {}}', "classes that are no word or number are left out: 1"),
        ('{"file_name": "b.png", "box": [1, 2]}', "boxes that are not"),
        ('{"file_name": "b.png", "box": [0, 0, 1%s, 5]}' % ("0" * 400), "boxes that are not"),
        ('{"file_name": "b.png", "box": [0, 0, 1e400, 5]}', "boxes that are not"),
        ('{"file_name": "b.png", "box": [NaN, 0, 5, 5]}', "boxes that are not"),
        ('{"file_name": "b.png", "box": [-5, 0, 5, 5]}', "boxes that are not"),
        ('{"file_name": "b.png", "box": [9, 0, 5, 5]}', "boxes that are not"),
        ('{"file_name": "b.png", "box": true}', "boxes that are not"),
    ],
)
def test_a_wrong_line_is_skipped_and_counted(tmp_path, line, words):
    metadata(tmp_path, {"file_name": "a.png", "text": "one"})
    paint(tmp_path / "b.png")
    with (tmp_path / "metadata.jsonl").open("a") as stream:
        stream.write(line)
    found = open_set(tmp_path)
    assert found[0].captions == ("one",)
    assert [note for note in found.notes if words in note], found.notes
    assert all(item.box is None for item in found)
    if "b.png" in line:
        assert list(found.names) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["../b.png", "/etc/b.png", "C:\\\\b.png"])
def test_a_line_that_leaves_the_folder_is_refused(tmp_path, name):
    metadata(tmp_path, {"file_name": "a.png"})
    with (tmp_path / "metadata.jsonl").open("a") as stream:
        stream.write(f'{{"file_name": "{name}"}}')
    refused(lambda: open_set(tmp_path), str(tmp_path), "line 2", "is not a file name within")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{\n[\n", b"no JSON at all"])
def test_a_table_without_one_good_line_is_refused(tmp_path, content):
    paint(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_bytes(content)
    refused(lambda: open_set(tmp_path), "metadata.jsonl")


def cub(folder: Path) -> Path:
    birds = ["001.Black_footed_Albatross/A_1.jpg", "001.Black_footed_Albatross/A_2.jpg", "002.Laysan_Albatross/B_1.jpg"]
    for name, colour in zip(birds, (RED, GREEN, BLUE), strict=True):
        paint(folder / "images" / name, colour, (60, 40))
    write(folder / "images.txt", "".join(f"{at} {name}\n" for at, name in enumerate(birds, 1)))
    write(folder / "image_class_labels.txt", "1 1\n2 1\n3 2\n")
    write(folder / "classes.txt", "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n")
    write(folder / "bounding_boxes.txt", "1 10.0 5.0 30.0 20.0\n2 0.0 0.0 60.0 40.0\n3 1.0 1.0 10.0 10.0\n")
    write(folder / "train_test_split.txt", "1 1\n2 0\n3 1\n")
    write(folder / "attributes.txt", "1 has_bill_shape::curved\n2 has_wing_color::blue\n")
    rows = ["1 1 1 3 1.2", "1 2 0 3 1.2", "2 1 0 3 1.2", "2 2 1 3 0 1.2", "3 1 0 1 1", "3 2 0 1 1"]
    write(folder / "attributes" / "image_attribute_labels.txt", "\n".join(rows) + "\n")
    said = "".join(f"bird says {number}\n" for number in range(10))
    write(folder / "text_c10" / Path(birds[0]).with_suffix(".txt"), said)
    return folder


def test_cub(tmp_path):
    found = open_set(cub(tmp_path))
    assert (found.layout, len(found), found.missing) == ("cub", 3, 0)
    assert found.classes == ("Black footed Albatross", "Laysan Albatross")
    first = found[0]
    assert (first.box, first.split, first.label) == ((10, 5, 40, 25), "train", "Black footed Albatross")
    assert first.captions == tuple(f"bird says {number}" for number in range(10))
    assert first.attributes == {"has_bill_shape::curved": True, "has_wing_color::blue": False}
    assert found[1].attributes == {"has_bill_shape::curved": False, "has_wing_color::blue": True}
    assert found[1].captions == ()
    refused(lambda: found.require("captions"), "2 of 3 pictures have no caption", "A_2.jpg", "B_1.jpg")
    found.require("labels", "has_bill_shape::curved")


def test_cub_as_its_archive_unpacks_and_with_pictures_missing(tmp_path):
    cub(tmp_path / "CUB_200_2011")
    (tmp_path / "CUB_200_2011" / "images" / "002.Laysan_Albatross" / "B_1.jpg").unlink()
    found = open_set(tmp_path)
    assert (found.layout, len(found), found.missing) == ("cub", 2, 1)
    assert found[0].path.is_file()
    assert found[0].name.startswith("CUB_200_2011/images/001")


def test_cub_tables_that_disagree(tmp_path):
    cub(tmp_path)
    write(tmp_path / "image_class_labels.txt", "1 1\n2 9\n3 2\n4\n")
    write(tmp_path / "bounding_boxes.txt", "1 a b c d\n2 0 0 1%s 5\n3 1 1 10 10\n3 nan 1 10 10\n" % ("0" * 400))
    found = open_set(tmp_path)
    assert [item.label for item in found] == ["Black footed Albatross", None, "Laysan Albatross"]
    assert [item.box for item in found] == [None, None, (1, 1, 11, 11)]
    boxes = "bounding_boxes.txt: line 1, bounding_boxes.txt: line 2, ..."
    assert found.notes == (
        "lines of image_class_labels.txt with under 2 words are skipped: 1 (image_class_labels.txt: line 4)",
        f"boxes that are no x, y, width and height are left out: 3 ({boxes})",
        "pictures without a class in image_class_labels.txt and classes.txt: 1 (images.txt: line 2)",
    )


CELEBA = "3\nBald Smiling\n000001.jpg -1  1\n000002.jpg  1 -1\n000003.jpg  1  1\n"


@pytest.mark.parametrize(
    ("table", "text", "place"),
    [
        ("list_attr_celeba.txt", CELEBA, "img_align_celeba"),
        ("Anno/list_attr_celeba.txt", CELEBA, "Img/img_align_celeba"),
        (
            "list_attr_celeba.csv",
            "image_id,Bald,Smiling\n000001.jpg,-1,1\n000002.jpg,1,-1\n000003.jpg,1,1\n",
            "img_align_celeba/img_align_celeba",
        ),
    ],
)
def test_celeba(tmp_path, table, text, place):
    for number in (1, 2):
        paint(tmp_path / place / f"00000{number}.jpg", size=(178, 218))
    write(tmp_path / table, text)
    write(tmp_path / "list_eval_partition.txt", "000001.jpg 0\n000002.jpg 2\n000003.jpg 1\n")
    found = open_set(tmp_path)
    assert (found.layout, len(found), found.missing) == ("celeba", 2, 1)
    assert found[0].attributes == {"Bald": False, "Smiling": True}
    assert [item.split for item in found] == ["train", "test"]
    assert found[0].path.is_file()
    refused(lambda: found.attribute("smilling"), "no attribute called 'smilling': use one of Smiling")
    found.require("Smiling")


def test_celeba_with_a_short_line(tmp_path):
    for name in ("1.jpg", "2.jpg"):
        paint(tmp_path / "img_align_celeba" / name)
    write(tmp_path / "list_attr_celeba.txt", "1\nBald Smiling\n1.jpg 1\n2.jpg 1 -1\n")
    found = open_set(tmp_path)
    assert [item.name for item in found] == ["img_align_celeba/2.jpg"]
    assert found.notes == ("lines without 2 numbers, each 1 or -1, are skipped: 1 (list_attr_celeba.txt: line 3)",)


def annotation(*boxes: tuple[int, int, int, int]) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    parts = ["".join(f"<{n}>{v}</{n}>" for n, v in zip(names, box, strict=True)) for box in boxes]
    return "<annotation>" + "".join(f"<object><bndbox>{part}</bndbox></object>" for part in parts) + "</annotation>"


@pytest.mark.parametrize(("images", "notes"), [("Images", "Annotation"), ("images/Images", "annotations/Annotation")])
def test_stanford_dogs(tmp_path, images, notes):
    for name in ("n02085620-Chihuahua/n02085620_7", "n02085782-Japanese_spaniel/n02085782_2"):
        paint(tmp_path / images / f"{name}.jpg")
    write(tmp_path / notes / "n02085620-Chihuahua/n02085620_7", annotation((1, 1, 5, 5), (2, 3, 30, 25)))
    found = open_set(tmp_path)
    assert (found.layout, found.classes) == ("dogs", ("Chihuahua", "Japanese spaniel"))
    assert [item.box for item in found] == [(2, 3, 30, 25), None]
    assert found[0].name == f"{images}/n02085620-Chihuahua/n02085620_7.jpg"
    write(tmp_path / notes / "n02085620-Chihuahua/n02085620_7", "<annotation></annotation>")
    found = open_set(tmp_path)
    assert [item.box for item in found] == [None, None]
    assert found.notes == ("annotations without a box are left out: 1 (n02085620-Chihuahua/n02085620_7)",)


def hotels(folder: Path, tables: str = "input/dataset") -> Path:
    place = folder / tables
    write(place / "chain_info.csv", "chain_id,chain_name\n3,Sleep Well\n-1,unknown\n")
    hotel = 'hotel_id,hotel_name,chain_id,latitude,longitude\n7,"Grand, The",3,38.9,-77.0\n8,Inn,-1,,\n'
    write(place / "hotel_info.csv", hotel)
    head = "image_id,hotel_id,image_url,image_source,upload_timestamp\n"
    rows = [
        "11,7,http://a/b.jpg,travel_website,",
        "12,8,http://a/c.png?x=1,traffickcam,2016",
        "13,8,http://a/d.jpg,traffickcam,",
    ]
    write(place / "train_set.csv", head + "\n".join(rows) + "\n")
    write(place / "test_set.csv", head + "21,7,http://a/e.jpg,traffickcam,\n22,7,http://a/f.jpg,traffickcam,\n")
    paint(folder / "images/train/3/7/travel_website/11.jpg")
    paint(folder / "images/train/-1/8/traffickcam/12.png")
    paint(folder / "images/test/unoccluded/3/7/traffickcam/21.jpg")
    return folder


@pytest.mark.parametrize(("split", "missing"), [(None, 3), ("train", 1), ("test", 2), ("valid", 0)])
def test_only_the_pictures_of_the_split_are_missing(tmp_path, split, missing):
    """In three layouts with tables: one picture of train is not there, and two of test."""
    birds = cub(tmp_path / "birds")
    write(birds / "train_test_split.txt", "1 1\n2 0\n3 0\n")
    shutil.rmtree(birds / "images")
    parts = {"gone0": "train", "gone1": "test", "gone2": "test", "a": "train", "b": "val", "c": "test"}
    rooms = metadata(tmp_path / "rooms", *({"file_name": f"{n}.png", "split": part} for n, part in parts.items()))
    faces = tmp_path / "faces"
    write(faces / "list_attr_celeba.txt", "6\nBald Smiling\n" + "".join(f"{at}.jpg 1 1\n" for at in range(6)))
    write(faces / "list_eval_partition.txt", "0.jpg 0\n1.jpg 2\n2.jpg 2\n3.jpg 0\n4.jpg 1\n5.jpg 2\n")
    for at in (3, 4, 5):
        paint(faces / "img_align_celeba" / f"{at}.jpg")
    assert [open_set(place, split=split).missing for place in (rooms, faces)] == [missing] * 2
    (birds / "images").mkdir()
    words = f"none of the {missing} pictures" if missing else "in the split 'valid'"
    refused(lambda: open_set(birds, split=split), words)


@pytest.mark.parametrize("tables", ["input/dataset", "dataset", "."])
def test_hotels(tmp_path, tables):
    found = open_set(hotels(tmp_path, tables))
    assert (found.layout, len(found), found.missing) == ("hotels", 3, 2)
    assert found.missing_names[0] == "images/train/-1/8/traffickcam/13"
    assert found.classes == ("Sleep Well", "unknown")
    assert found[0].attributes == {
        "hotel": "Grand, The", "source": "travel_website", "latitude": 38.9, "longitude": -77.0,
    }  # fmt: skip
    assert found[1].attributes == {"hotel": "Inn", "source": "traffickcam"}
    assert [item.split for item in found] == ["train", "train", "test"]
    assert all(item.path.is_file() for item in found)


def test_hotels_without_a_chain_are_of_the_unknown_one(tmp_path):
    """A hotel that hotel_info.csv lacks, and one with a blank chain, where the set's own scripts put them."""
    hotels(tmp_path)
    place = tmp_path / "input/dataset"
    with (place / "train_set.csv").open("a") as stream:
        stream.write("".join(f"{at},{at - 22},http://a/{at}.jpg,traffickcam,\n" for at in (31, 32, 33)))
    with (place / "hotel_info.csv").open("a") as stream:
        stream.write("10,Blank, ,,\n")
    paint(tmp_path / "images/train/Unknown/9/traffickcam/31.jpg")
    paint(tmp_path / "images/train/10/traffickcam/32.jpg")
    found = {item.name: item for item in open_set(tmp_path)}
    unlisted, blank = (
        found.get(f"images/train/{name}.jpg") for name in ("Unknown/9/traffickcam/31", "10/traffickcam/32")
    )
    assert unlisted is not None
    assert blank is not None
    assert (unlisted.label, unlisted.attributes) == ("unknown", {"hotel": "9", "source": "traffickcam"})
    assert (blank.label, blank.attributes["hotel"]) == ("unknown", "Blank")
    assert open_set(tmp_path).missing_names[1] == "images/train/Unknown/11/traffickcam/33"
    write(place / "chain_info.csv", "chain_id,chain_name\n3,Sleep Well\n")
    assert open_set(tmp_path).classes == ("-1", "Sleep Well", "Unknown")


@pytest.mark.parametrize("ending", [".JPG", ".jpg", ".Png", ".png"])
def test_hotels_keep_the_ending_of_the_address(tmp_path, ending):
    hotels(tmp_path)
    table = tmp_path / "input/dataset/train_set.csv"
    write(table, f"image_id,hotel_id,image_url,image_source\n14,7,http://a/d{ending}?x=1,traffickcam\n")
    name = f"images/train/3/7/traffickcam/14{ending}"
    paint(tmp_path / name)
    assert list(open_set(tmp_path, split="train").names) == [name]


def test_hotels_with_nothing_downloaded_or_a_strange_table(tmp_path):
    hotels(tmp_path)
    for path in tmp_path.rglob("*.*g"):
        path.unlink()
    refused(lambda: open_set(tmp_path), "none of the 5 pictures", "is there")
    write(tmp_path / "input/dataset/train_set.csv", "id,hotel\n1,7\n")
    refused(lambda: open_set(tmp_path), "train_set.csv has no column image_id")


def test_every_layout_is_recognised_and_refused_elsewhere_with_its_tree(tmp_path):
    flat(tmp_path / "pictures", 1)
    for word, layout in LAYOUTS.items():
        if word != "flat":
            refused(lambda word=word: open_set(tmp_path / "pictures", word), f"not laid out as '{word}'", layout.tree)
    (tmp_path / "empty").mkdir()
    refused(lambda: open_set(tmp_path / "empty"), *LAYOUTS, "CLASS/*.jpg", "metadata.jsonl")
    refused(lambda: open_set(tmp_path / "nowhere"), "there is no folder")
    refused(lambda: open_set(tmp_path, "cubs"), "no layout called 'cubs': use one of cub")


# What people have beside their pictures


def noted(folder: Path, *words: str, **options: Any) -> Any:
    """The opened set; each of the words stands in one of its notes."""
    found = open_set(folder, **options)
    assert [word for word in words if not any(word in note for note in found.notes)] == [], found.notes
    assert all("\n" not in note for note in found.notes)
    return found


@pytest.mark.parametrize(
    ("text", "said"), [("a.txt", "a.jpg"), ("A.TXT", "A.JPG"), ("a.caption", "a.png"), ("a.jpg.txt", "a.jpg")]
)
@pytest.mark.parametrize("place", ["", "images", "train", "x"])
def test_captions_beside_pictures(tmp_path, text, said, place):
    paint(tmp_path / place / said)
    write(tmp_path / place / text, "a red square\n\na square, red\n")
    if place == "x":
        paint(tmp_path / "y" / "b.jpg")
    found = {item.name: item.captions for item in open_set(tmp_path)}
    assert found[f"{place}/{said}" if place else said] == ("a red square", "a square, red")


def test_texts_that_are_no_captions_are_counted(tmp_path):
    for name in "abcd":
        paint(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_bytes("caf\xe9".encode("latin-1"))
    write(tmp_path / "b.txt", "0 0.5 0.5 0.2 0.1\n1 0.1 0.2 0.3 0.4\n")
    write(tmp_path / "c.txt", "x" * 10_001)
    write(tmp_path / "other.txt", "whose?")
    write(tmp_path / "README.txt", "about")
    found = noted(
        tmp_path,
        "captions that are not UTF-8 text of at most 1,000,000 bytes are left out: 1 (a.txt)",
        "texts of numbers beside pictures are no captions: 1 (b.txt)",
        "captions of over 10,000 letters are left out: 1 (c.txt)",
        "texts that belong to no picture are not read: 1 (other.txt)",
    )
    assert not found.captions.present.any()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_values(tmp_path, delimiter, encoding):
    rows = [
        ["file_name", "text", "label", "age", "hat"],
        ["a.png", '"a b\u00e4r, two"', "x", "7", "true"],
        ["b.png", "", "", "", ""],
    ]
    (tmp_path / "metadata.csv").write_text("\n".join(delimiter.join(row) for row in rows), encoding=encoding)
    for name in "ab":
        paint(tmp_path / f"{name}.png")
    found = open_set(tmp_path)
    assert found.layout == "metadata"
    assert found[0] == Item("a.png", tmp_path / "a.png", ("a b\u00e4r, two",), "x", {"age": 7, "hat": True})
    assert found[1] == Item("b.png", tmp_path / "b.png")


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize(("encoding", "words"), [("latin-1", "it may be Latin-1"), ("utf-16-le", "it may be UTF-16")])
def test_a_table_in_another_encoding_is_named(tmp_path, name, encoding, words):
    paint(tmp_path / "a.png")
    good = "file_name,text\n" if name.endswith("csv") else ""
    line = '{"file_name": "a.png", "text": "%s"}' if name.endswith("jsonl") else "a.png,%s"
    (tmp_path / name).write_bytes((good + line % "one" + "\n" + line % "caf\xe9" + "\n").encode(encoding))
    refused(lambda: open_set(tmp_path), f"{name}: line ", words, "save it as UTF-8")


def test_a_table_of_parquet_is_read_or_said(tmp_path, monkeypatch):
    flat(tmp_path, 2)
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = noted(
        tmp_path, "metadata.parquet is there and is not read: `pip install pyarrow`, or write it as metadata.csv"
    )
    assert found.layout == "flat"
    rows = [{"file_name": "0.png", "text": "one"}, {"file_name": "1.png", "text": None}]
    batches = SimpleNamespace(iter_batches=lambda: [SimpleNamespace(to_pylist=lambda: rows)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("importlib.import_module", lambda name: SimpleNamespace(ParquetFile=lambda path: batches))
    assert [item.captions for item in open_set(tmp_path)] == [("one",), ()]


def test_labels_of_stylegan(tmp_path):
    for at in range(3):
        paint(tmp_path / "00000" / f"img{at}.png")
    pairs = [["00000/img0.png", 3], ["00000/img1.png", [0, 1, 0]], ["00000/img2.png", None]]
    write(tmp_path / "dataset.json", json.dumps({"labels": pairs}))
    assert [item.label for item in open_set(tmp_path)] == ["3", "1", None]
    write(tmp_path / "dataset.json", json.dumps({"labels": None}))
    assert noted(tmp_path).layout == "flat"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("img_align_celeba/img_align_celeba", "000001.jpg"),
        ("images/images", "a.png"),
        ("birds/birds/images", "a.png"),
        ("one/two", "a.png"),
    ],
)
def test_a_set_one_folder_deeper_is_found(tmp_path, place, name):
    paint(tmp_path / place / name)
    write(tmp_path / "__MACOSX" / "x", "")
    found = noted(tmp_path, "the set was found in ")
    assert [item.path for item in found] == [tmp_path / place / name]
    assert all(item.path.is_file() for item in found)


def test_birds_within_folders_are_found_with_their_captions(tmp_path):
    cub(tmp_path / "Data" / "birds" / "CUB_200_2011")
    assert (open_set(tmp_path).layout, len(open_set(tmp_path))) == ("cub", 3)
    cub(tmp_path / "Data" / "more")
    found = noted(tmp_path, "more/ is a set of its own (layout 'cub'), here taken for a class: name it")
    assert found.classes == ("birds", "more")


def test_names_are_compared_as_people_see_them(tmp_path):
    """Accents in one letter or two, the ending's large and small letters, and names that are no UTF-8."""
    for name in ("caf\u00e9/\u00fcber.png", "nai\u0308ve.png", "B.PNG"):
        paint(tmp_path / name)
    strange = os.fsdecode(b"z\xe9.png")
    paint(tmp_path / strange)
    names = ["cafe\u0301/u\u0308ber.png", "na\u00efve.png", "B.png", "z\\xe9.png", strange, "b.png"]
    write(tmp_path / "metadata.jsonl", "")
    lines = [json.dumps({"file_name": name, "text": str(at)}) for at, name in enumerate(names) if at != 3]
    write(tmp_path / "metadata.jsonl", "\n".join(lines))
    found = open_set(tmp_path)
    assert (len(found), found.missing_names, found.unnamed) == (4, ("b.png",), 0)
    assert all(item.path.is_file() for item in found)
    write(tmp_path / "metadata.csv", "")
    write(tmp_path / "metadata.jsonl", json.dumps({"file_name": "z\\xe9.png"}))  # as easel's own tables have it
    assert [item.path for item in open_set(tmp_path)] == [tmp_path / strange]


def test_a_picture_of_several_lines_has_several_captions(tmp_path):
    rows = [{"file_name": "a.png", "text": text} for text in ("one", "two", "one")]
    found = open_set(metadata(tmp_path, rows[0], {"file_name": "b.png", "text": "b"}, *rows[1:]))
    assert [(item.name, item.captions) for item in found] == [("a.png", ("one", "two")), ("b.png", ("b",))]


# Folders: what is a class, what a split, what neither


def tree_of(folder: Path, *names: str) -> Path:
    for name in names:
        if name.endswith("/"):
            (folder / name).mkdir(parents=True)
        elif name.endswith((".png", ".jpg")):
            paint(folder / name)
        else:
            write(folder / name, "x")
    return folder


@pytest.mark.parametrize(
    "beside", ["runs/events.out", "annotations/a.xml", "empty/", "runs/a.png", "masks/a.png", "other/a.png"]
)
@pytest.mark.parametrize("valid", ["val", "valid", "validation", "test", "Test"])
def test_a_folder_beside_the_splits_does_not_undo_them(tmp_path, beside, valid):
    names = [f"{split}/{label}/{at}.png" for split in ("train", valid) for label in ("cat", "dog") for at in range(2)]
    tree_of(tmp_path, *names, beside)
    found = noted(tmp_path, *(["is left out"] if beside.endswith(".png") else []))
    assert (found.layout, found.classes, len(found)) == ("classes", ("cat", "dog"), 8)
    assert len(open_set(tmp_path, split="train")) == 4
    assert open_set(tmp_path, "classes").classes == ("cat", "dog")


def test_a_folder_beside_flat_splits_does_not_undo_them(tmp_path):
    tree_of(tmp_path, "train/a.png", "val/b.png", "runs/c.png")
    assert [item.split for item in noted(tmp_path, "runs/ beside train/, val/ is left out")] == ["train", "valid"]
    assert len(open_set(tmp_path, "flat", "train")) == 1


def test_what_is_called_like_a_split_is_no_class_without_a_word(tmp_path):
    tree_of(tmp_path / "one", "abstract/a.png", "validation/b.png", "portrait/c.png")
    note = "validation/ beside abstract/, portrait/ is taken for a class: move it elsewhere if it is a split"
    assert noted(tmp_path / "one", note).classes == ("abstract", "portrait", "validation")
    tree_of(tmp_path / "two", "cat/a.png", "dog/b.png", "test/cat/c.png", "test/dog/d.png")
    found = noted(tmp_path / "two", "test/ beside cat/, dog/ is taken for a split, the others for classes")
    assert [(item.name, item.label, item.split) for item in found] == [
        ("cat/a.png", "cat", ""),
        ("dog/b.png", "dog", ""),
        ("test/cat/c.png", "cat", "test"),
        ("test/dog/d.png", "dog", "test"),
    ]


@pytest.mark.parametrize("side", ["masks", "Annotations", "labels", "anything"])
def test_pictures_that_belong_to_pictures_are_no_class(tmp_path, side):
    tree_of(tmp_path, "images/a.jpg", "images/b.jpg", f"{side}/a.png", f"{side}/b.png")
    found = noted(tmp_path, f"{side}/ beside images/ is left out")
    assert (found.layout, list(found.names)) == ("flat", ["images/a.jpg", "images/b.jpg"])


def test_images_and_masks_within_splits(tmp_path):
    tree_of(tmp_path, *(f"{part}/{what}/a.png" for part in ("train", "val") for what in ("images", "masks")))
    assert list(open_set(tmp_path).names) == ["train/images/a.png", "val/images/a.png"]


def test_doubt_is_said(tmp_path):
    tree_of(tmp_path, "masks/a.png", "hats/b.png")
    assert noted(tmp_path, "masks/ beside hats/ is taken for a class").classes == ("hats", "masks")


def test_splits_in_the_names_of_a_table(tmp_path):
    rows = [{"file_name": f"{part}/{at}.png", "text": "t"} for part in ("train", "val") for at in range(2)]
    found = open_set(metadata(tmp_path, *rows), split="train")
    assert list(found.names) == ["train/0.png", "train/1.png"]
    assert len(open_set(tmp_path, split="valid")) == 2


def test_captions_and_classes_do_not_undo_each_other(tmp_path):
    tree_of(tmp_path, "cat/1.png", "cat/2.png", "dog/1.png", "overview.png")
    names = ("cat/1.png", "cat/2.png", "dog/1.png")
    metadata(tmp_path, *({"file_name": name, "text": f"a {name}"} for name in names))
    found = open_set(tmp_path)
    found.require("captions", "labels")
    assert [(item.name, item.label) for item in found] == [(name, name[:3]) for name in names]
    metadata(tmp_path, {"file_name": "overview.png", "text": "all"})  # of none of the classes
    found = noted(tmp_path, "1 (overview.png)")
    assert (found.layout, len(found), found.classes) == ("classes", 3, ("cat", "dog"))
    metadata(tmp_path, *({"file_name": name, "text": f"a {name}"} for name in names[:2]))  # of one class alone
    found = noted(tmp_path, "captions and classes that the pictures lack are taken from metadata.jsonl")
    assert [(item.label, item.captions) for item in found] == [
        ("cat", ("a cat/1.png",)), ("cat", ("a cat/2.png",)), ("dog", ()),
    ]  # fmt: skip
    assert len(open_set(tmp_path, "metadata")) == 2


def sets_of_all_layouts(folder: Path) -> dict[str, Path]:
    """Sets without captions, one of each layout and of each shape that has one."""
    cub(folder / "cub")
    shutil.rmtree(folder / "cub" / "text_c10")
    tree_of(folder / "celeba", "img_align_celeba/1.jpg", "img_align_celeba/2.jpg")
    write(folder / "celeba" / "list_attr_celeba.txt", "2\nBald Smiling\n1.jpg 1 1\n2.jpg -1 1\n")
    tree_of(folder / "dogs", "Images/n1-Pug/a.jpg", "Images/n2-Chow/b.jpg", "Annotation/n1-Pug/", "Annotation/n2-Chow/")
    hotels(folder / "hotels")
    tree_of(folder / "flat", "a.png", "b.png")
    tree_of(folder / "images", "images/a.png", "images/b.png")
    tree_of(folder / "splits", "train/a.png", "val/b.png")
    tree_of(folder / "classes", "x/a.png", "y/b.png")
    tree_of(folder / "many classes", *(f"{name}/{name}.png" for name in "uvwxyz"))
    tree_of(folder / "classes in splits", *(f"{s}/{c}/a.png" for s in ("train", "test") for c in "xy"))
    tree_of(folder / "deeper", "one/images/a.png", "one/images/b.png")
    metadata(folder / "metadata", {"file_name": "a.png"}, {"file_name": "b.png"})
    return {place.name: place for place in sorted(folder.iterdir())}


def test_the_advice_about_captions_is_true_in_every_layout(tmp_path, monkeypatch):
    """The command that a refusal names, and the table that it names, both give every picture a caption."""
    monkeypatch.setattr("easel.models.load", lambda name, role, *more: fakes.Captioner())
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
    places = sets_of_all_layouts(tmp_path / "command") | {
        f"{name} by hand": place for name, place in sets_of_all_layouts(tmp_path / "hand").items()
    }
    for name, place in places.items():
        before = open_set(place)
        said = refused(lambda before=before: before.require("captions"), "file_name and text in metadata.jsonl")
        if name.endswith("by hand") or name == "metadata":
            rows = ({"file_name": item.name, "text": "said"} for item in before)
            write(before.folder / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        else:
            words = shlex.split(said.split("`")[1])
            assert words[:2] == ["easel", "caption"]
            assert words[-2:] == ["--out", str(before.folder)]
            photos = [str(one) for word in words[2:-2] for one in sorted(Path("/").glob(word.strip("/")))]
            runners.run(Caption(photos=tuple(photos)), before.folder)
        after = open_set(place)
        after.require("captions")
        assert list(after.names) == list(before.names) or set(after.names) == set(before.names), name
        assert after.classes == before.classes, name


def test_the_advice_about_classes_is_true_in_every_layout(tmp_path):
    for name, place in sets_of_all_layouts(tmp_path).items():
        before = open_set(place)
        if before.classes and (before.labels >= 0).all():
            continue
        refused(lambda before=before: before.require("labels"), ADVICE["labels"])
        lines = [json.dumps({"file_name": item.name, "label": str(at % 2)}) for at, item in enumerate(before)]
        write(before.folder / "metadata.jsonl", "\n".join(lines))
        after = open_set(place)
        after.require("labels")
        assert set(after.names) == set(before.names), name


@pytest.mark.parametrize("own", ["sheet.png", "chart.png", "preview.png", "walk.png", "walk.webp"])
def test_the_sheets_of_a_run_are_none_of_a_set(tmp_path, own):
    flat(tmp_path / "a", 2)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for place in ("a", "b"):
        paint(tmp_path / place / own)
        write(tmp_path / place / "result.json", "{}")
    assert list(open_set(tmp_path / "a").names) == ["0.png", "1.png"]
    assert len(open_set(tmp_path)) == 4  # as classes
    assert list(gather([str(tmp_path / "a")], tmp_path / "out")) == ["0.png", "1.png"]
    assert list(Pictures.of(str(tmp_path / "a")).paths) == ["0.png", "1.png"]
    (tmp_path / "a" / "result.json").unlink()
    assert own in open_set(tmp_path / "a").names  # a picture of somebody's own


def test_pictures_of_every_ending_are_read_or_counted(tmp_path):
    picture = Image.effect_noise((20, 20), 60)
    for name in ("a.pgm", "b.jp2", "c.ppm", "d.mpo", "e.jpe", "f.apng"):
        kind = {"d.mpo": "JPEG", "e.jpe": "JPEG", "f.apng": "PNG"}.get(name)
        picture.convert("L" if name == "a.pgm" else "RGB").save(tmp_path / name, kind)
    picture.save(tmp_path / "no ending", "PNG")
    picture.save(tmp_path / "strange.ending", "JPEG")
    for name in ("g.heic", "h.psd", "i.heic", "no picture", "notes.md"):
        write(tmp_path / name, "x")
    found = noted(tmp_path, ".heic files are not read, convert them: 2 (g.heic, i.heic)", ".psd files are not read")
    assert len(found) == 8
    assert len(packed(found, 16, tmp_path / "cache")) == 8
    assert len(gather([str(tmp_path)], tmp_path / "out")) == 8


def test_the_same_data_in_another_folder_has_the_same_hash(tmp_path):
    tree_of(tmp_path / "a", "x/1.png", "y/2.png")
    write(tmp_path / "a" / "x" / "1.txt", "said")
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere" / "b")
    assert data_hash(open_set(tmp_path / "a")) == data_hash(open_set(tmp_path / "elsewhere" / "b"))


def test_what_could_be_read_for_ever_is_not(tmp_path):
    """Pipes and devices as pictures, as captions beside them, and as tables."""
    flat(tmp_path, 2)
    for name in ("a.png", "0.txt", "metadata.jsonl", "metadata.csv", "dataset.json"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "b.png").symlink_to("/dev/zero")
    (tmp_path / "1.txt").symlink_to("/dev/zero")
    found = open_set(tmp_path)
    data = packed(found, 16, tmp_path / "cache")
    assert (len(data), set(data.broken)) == (2, {"a.png", "b.png"})
    assert not data.captions.present.any()


def test_a_search_for_a_set_does_not_walk_a_disk(tmp_path, monkeypatch):
    for at in range(40):
        for deep in range(30):
            (tmp_path / f"{at:02}" / f"{deep:02}").mkdir(parents=True)
    count = 0
    real = os.scandir

    def scandir(place):
        nonlocal count
        count += 1
        return real(place)

    monkeypatch.setattr("os.scandir", scandir)
    refused(lambda: list_pictures(tmp_path), "there are no pictures in")
    assert count < 60


# Columns


@given(st.lists(st.text(max_size=12), max_size=20))
def test_texts_are_a_list(texts):
    column = Texts.of(texts)
    assert list(column) == texts
    assert column[:] == texts
    assert column.lengths.tolist() == [len(text.encode("utf-8")) for text in texts]


@given(st.lists(st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", min_size=1, max_size=2), max_size=20))
def test_a_column_gives_back_its_values(values):
    codes = ColumnBuilder()
    for row, value in enumerate(values):
        if value is not None or row % 2:
            codes.set(row, value)
    column = codes.done("x", len(values))
    assert [column[at] for at in range(len(values))] == values
    assert all(type(column[at]) is type(value) for at, value in enumerate(values))


def test_numbers_and_words_are_in_order():
    items = [Item(str(at), Path(str(at)), attributes={"age": age, "mood": mood}) for at, (age, mood) in
             enumerate([(30, "sad"), (5, "joy"), (100, "sad")])]  # fmt: skip
    annotations = collect(items).annotations
    assert annotations.attributes["age"].values == (5, 30, 100)
    assert annotations.attributes["mood"].numbers().tolist() == [1, 0, 1]


def test_a_picture_costs_little_memory():
    """Items come and go: 20,000 of them, with caption, class, attribute and box, stay under 200 bytes each."""
    place, count = Path("x"), 20_000

    def items():
        for at in range(count):
            name = f"images/train/{at % 92}/{at:08}.jpg"
            yield Item(name, place, ("a room with a bed",), str(at % 92), {"source": "site"}, (0, 0, 9, 9), "train")

    tracemalloc.start()
    try:
        kept = collect(items())
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept.annotations) == count
    assert current / count < 120
    assert peak / count < 200


def test_what_a_job_needs_is_refused_in_words(tmp_path):
    found = open_set(metadata(tmp_path, {"file_name": "a.png", "text": "x", "hat": True, "label": "c"}))
    refused(found.require, "the set has 1 picture: at least 2 are needed")
    two = open_set(
        metadata(tmp_path, {"file_name": "a.png", "hat": True, "label": "c"}, {"file_name": "b.png", "label": "c"})
    )
    two.require()
    refused(lambda: two.require("labels"), "all 2 pictures have the same class (c)")
    refused(lambda: two.require("captions"), "2 of 2 pictures have no caption (a.png, b.png)", ADVICE["captions"])
    refused(lambda: two.require("hat"), "1 of 2 pictures has no value of 'hat' (b.png)")
    refused(lambda: two.require("hatt"), "no attribute called 'hatt': use one of hat")


# Squares


def test_the_middle_and_the_box():
    assert middle((60, 40)) == (10, 0, 50, 40)
    assert around((10, 5, 40, 25), (60, 40)) == (10, 0, 40, 30)
    assert around((50, 30, 60, 40), (60, 40)) == (50, 30, 60, 40)
    assert around((0, 0, 60, 40), (60, 40)) == (10, 0, 50, 40)
    refused(lambda: around((70, 5, 90, 25), (60, 40)), "its box")


@given(st.integers(16, 90), st.integers(16, 90), st.tuples(*[st.integers(-20, 120)] * 4))
def test_a_box_becomes_a_square_within_the_picture(width, height, edges):
    box = (min(edges[0], edges[2]), min(edges[1], edges[3]), max(edges[0], edges[2]), max(edges[1], edges[3]))
    try:
        left, top, right, bottom = around(box, (width, height))
    except EaselError:
        return
    assert right - left == bottom - top > 0
    assert left >= 0
    assert top >= 0
    assert right <= width
    assert bottom <= height


def test_shrinking_averages_areas():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = square(Image.fromarray(np.repeat(checks[..., None], 3, axis=2)), 8)
    assert small.shape == (8, 8, 3)
    assert set(np.unique(small)) <= {127, 128}
    assert square(Image.new("RGB", (20, 30), BLUE), 64).reshape(-1, 3).tolist()[0] == list(BLUE)


# The packed cache


def mixed(folder: Path) -> Path:
    """Every sort of file that a real folder has: grey, alpha, CMYK, turned by EXIF, and two broken in the middle."""
    folder.mkdir()
    Image.new("L", (40, 40), 100).save(folder / "a.png")
    Image.new("RGBA", (40, 60), (255, 0, 0, 0)).save(folder / "b.png")
    Image.new("CMYK", (50, 40), (0, 255, 255, 0)).save(folder / "c.jpg")
    write(folder / "d.png", "no picture at all")
    turned = Image.new("RGB", (40, 20), BLUE)
    turned.paste(RED, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[274] = 6
    turned.save(folder / "e.png", exif=exif)
    whole = noise(folder / "f.png", 1).read_bytes()
    (folder / "f.png").write_bytes(whole[: len(whole) // 2])
    paint(folder / "g.jpg", GREEN)
    return folder


def test_packing_takes_what_opens_and_names_the_rest(tmp_path):
    small = packed(open_set(mixed(tmp_path / "set")), 16, tmp_path / "cache")
    assert small.pixels.shape == (5, 16, 16, 3)
    assert small.pixels.dtype == np.uint8
    assert isinstance(small.pixels, np.memmap)
    assert not small.pixels.flags.writeable
    assert list(small.names) == ["a.png", "b.png", "c.jpg", "e.png", "g.jpg"]
    assert small.broken.keys() == {"d.png", "f.png"}
    assert "damaged" in small.broken["f.png"]
    assert (small.pixels[0] == 100).all()
    assert (small.pixels[1] == 255).all()
    assert small.pixels[3, 0, 0].tolist() == list(RED)
    assert np.abs(small.pixels[4].astype(int) - GREEN).max() < 4
    assert small.side == 16


def test_packing_keeps_what_is_known(tmp_path):
    small = packed(open_set(cub(tmp_path / "birds")), 8, tmp_path / "cache")
    assert small.captions[0][9] == "bird says 9"
    assert small.captions[1] == ()
    assert [small.classes[at] for at in small.labels] == ["Black footed Albatross"] * 2 + ["Laysan Albatross"]
    assert small.attribute("has_wing_color::blue").numbers().tolist() == [0, 1, 0]
    refused(lambda: small.require("captions"), "2 of 3 pictures have no caption")
    assert len(small.hash) == 64


def test_a_packed_set_is_not_packed_again(tmp_path, monkeypatch):
    pictures = open_set(flat(tmp_path / "set"))
    first = packed(pictures, 16, tmp_path / "cache")
    monkeypatch.setattr("easel.data.cache.cut", lambda item, side: pytest.fail("opened again"))
    monkeypatch.setattr("easel.data.hashes.content_hash", lambda path: pytest.fail("read again"))
    again = packed(open_set(tmp_path / "set"), 16, tmp_path / "cache")
    assert again.hash == first.hash
    np.testing.assert_array_equal(again.pixels, first.pixels)


def test_the_hash_is_of_the_data_not_of_the_place(tmp_path):
    first = data_hash(open_set(flat(tmp_path / "one")))
    for path in flat(tmp_path / "two").iterdir():
        os.utime(path, (1, 1))
    assert data_hash(open_set(tmp_path / "two")) == first
    noise(tmp_path / "two" / "3.png", 99)
    assert data_hash(open_set(tmp_path / "two"), tmp_path / "cache") != first
    write(tmp_path / "one" / "metadata.jsonl", "".join(f'{{"file_name": "{n}.png", "text": "t"}}\n' for n in range(5)))
    assert data_hash(open_set(tmp_path / "one")) != first


def test_a_changed_file_is_seen(tmp_path):
    flat(tmp_path / "set")
    before = packed(open_set(tmp_path / "set"), 16, tmp_path / "cache")
    paint(tmp_path / "set" / "2.png", BLUE)
    after = packed(open_set(tmp_path / "set"), 16, tmp_path / "cache")
    assert after.hash != before.hash
    assert after.pixels[2, 3, 3].tolist() == list(BLUE)


def test_packing_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    pictures = open_set(flat(tmp_path / "set", 50))
    write(tmp_path / "set" / "7.png", "broken")
    whole = packed(pictures, 16, tmp_path / "whole")
    monkeypatch.setattr("easel.data.cache.CHUNK_BYTES", 16 * 16 * 16 * 3)

    def stop(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("packing", 32):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        packed(pictures, 16, tmp_path / "cache", stop)
    seen: list[str] = []
    real = open_set(tmp_path / "set")

    def counted(item: Any, side: int) -> Any:
        seen.append(item.name)
        return cut(item, side)

    monkeypatch.setattr("easel.data.cache.cut", counted)
    made = packed(real, 16, tmp_path / "cache")
    assert len(seen) == 18
    np.testing.assert_array_equal(made.pixels, whole.pixels)
    assert list(made.names) == list(whole.names)
    assert made.broken == whole.broken
    assert not list((tmp_path / "cache").glob("*.part"))


@pytest.mark.parametrize("ended", ["finished", "killed", "cancelled"])
def test_a_set_that_another_run_packs_is_waited_for(tmp_path, monkeypatch, ended):
    """Another run holds the set's lock; what it comes to decides what this one does."""
    pictures, cache = open_set(flat(tmp_path / "set")), tmp_path / "cache"
    whole = packed(pictures, 16, tmp_path / "whole")
    (place,) = (tmp_path / "whole").glob("*-16")
    monkeypatch.setattr("easel.data.cache.PAUSE", 0)
    if ended == "finished":
        monkeypatch.setattr("easel.data.cache.cut", lambda item, side: pytest.fail("packed twice"))
    other, waits = contextlib.ExitStack(), 0
    cache.mkdir()
    other.enter_context(FileLock(cache / f"{place.name}.lock", timeout=0))

    def tell(phase: str, done: int, total: int) -> None:
        nonlocal waits
        if phase != WAITING:
            return
        waits += 1
        if ended == "cancelled":
            raise Cancelled("stopped")
        if waits == 3:
            if ended == "finished":
                shutil.copytree(place, cache / place.name)
            other.close()

    with other:
        if ended == "cancelled":
            with pytest.raises(Cancelled):
                packed(pictures, 16, cache, tell)
            return
        made = packed(pictures, 16, cache, tell)
    assert waits == 3
    np.testing.assert_array_equal(made.pixels, whole.pixels)
    assert sorted(path.name for path in cache.iterdir()) == [place.name, "stamps.json"]


def test_packing_refuses_what_cannot_be(tmp_path):
    write(tmp_path / "bad" / "a.png", "x")
    write(tmp_path / "bad" / "b.png", "x")
    refused(lambda: packed(open_set(tmp_path / "bad"), 16, tmp_path / "cache"), "not one of 2 pictures can be opened")
    pictures = open_set(flat(tmp_path / "set", 1))
    refused(lambda: packed(pictures, 4, tmp_path / "cache"), "a resolution of 4 pixels")
    write(tmp_path / "file", "")
    refused(lambda: packed(pictures, 16, tmp_path / "file"), "a file is where a folder is needed")


def test_a_damaged_cache_says_so(tmp_path):
    pictures = open_set(flat(tmp_path / "set"))
    packed(pictures, 16, tmp_path / "cache")
    (file,) = (tmp_path / "cache").rglob("pixels.npy")
    shorten(file, 3)
    assert np.load(file).shape == (3, 16, 16, 3)
    refused(lambda: packed(pictures, 16, tmp_path / "cache"), "is damaged", "delete that folder")


# Looking


def test_a_look_measures_what_is_shown(tmp_path):
    Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 40, axis=0).repeat(20, axis=1)).save(tmp_path / "a.png")
    found = inspect(Item("a.png", tmp_path / "a.png"), thumbnail=8)
    assert isinstance(found, PictureStats)
    assert (found.width, found.height, found.is_grey) == (40, 40, True)
    assert found.brightness == pytest.approx(127.5, abs=1)
    assert found.contrast == pytest.approx(127.5, abs=1)
    assert found.thumbnail is not None
    assert found.thumbnail.shape == (8, 8, 3)
    write(tmp_path / "b.png", "")
    assert "is empty" in str(inspect(Item("b.png", tmp_path / "b.png")))


def hashes_and_copies(*paths: Path) -> tuple[Any, Any]:
    found = [inspect(Item(path.name, path)) for path in paths]
    assert all(isinstance(one, PictureStats) for one in found)
    return (
        np.array([one.bits for one in found if isinstance(one, PictureStats)], np.uint64),
        np.stack([one.copy for one in found if isinstance(one, PictureStats)]),
    )


def test_near_duplicates_are_copies_in_other_sizes_and_formats(tmp_path):
    paths = [noise(tmp_path / f"{seed}.png", seed, (160, 120)) for seed in range(12)]
    with Image.open(paths[4]) as picture:
        picture.resize((80, 60), Image.Resampling.LANCZOS).save(tmp_path / "small.png")
        picture.save(tmp_path / "copy.jpg", quality=60)
    found = near_duplicates(*hashes_and_copies(*paths, tmp_path / "small.png", tmp_path / "copy.jpg"))
    assert [group.indices for group in found] == [(4, 12, 13)]
    assert redundant(found) == 2
    # Flat red and flat green are as bright as each other, and no copies.
    flats = paint(tmp_path / "red.png", RED), paint(tmp_path / "green.png", GREEN), paint(tmp_path / "again.png", RED)
    assert [group.indices for group in near_duplicates(*hashes_and_copies(*flats))] == [(0, 2)]


@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=6))
def test_up_to_three_bits_may_differ_wherever_they_are(bits, wrong):
    other = bits
    for place in wrong:
        other ^= 1 << place
    found = near_duplicates(np.array([bits, other], np.uint64), np.zeros((2, 12, 12, 3), np.uint8))
    assert len(found) == (len(wrong) <= 3)
    assert all(group.bits == len(wrong) for group in found)


def test_the_map_keeps_neighbours_together():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 10)) * 12
    rows = np.concatenate([centre + rng.normal(size=(20, 10)) for centre in centres])
    points = tsne(rows)
    np.testing.assert_array_equal(points, tsne(rows))
    groups = np.repeat(np.arange(3), 20)
    far = ((points[:, None] - points[None]) ** 2).sum(axis=2) + np.eye(60) * 1e9
    assert (groups[far.argsort(axis=1)[:, :5]] == groups[:, None]).mean() > 0.95


def test_principal_components_are_those_of_a_line():
    line = np.outer(np.arange(5.0), [3.0, 4.0])
    np.testing.assert_allclose(np.abs(principal_components(line)[:, 0]), [10, 5, 0, 5, 10], atol=1e-9)
    np.testing.assert_allclose(principal_components(line)[:, 1], 0, atol=1e-9)
    assert tsne(np.ones((1, 4))).tolist() == [[0, 0]]
    assert np.isfinite(tsne(np.ones((30, 4)))).all()


@given(st.integers(1, 40), st.integers(0, 1000))
def test_every_picture_has_a_cell_of_its_own(count, seed):
    from easel.jobs.data.summary import grid_of

    columns, rows = grid_of(count)
    cells = grid_cells(np.random.default_rng(seed).normal(size=(count, 2)), columns, rows)
    assert len({tuple(cell) for cell in cells.tolist()}) == count
    assert (cells >= 0).all()
    assert (cells < [columns, rows]).all()


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-1000, 1000), min_size=1, max_size=50))
def test_a_histogram_loses_nothing(values):
    panel = panels.histogram("x", values)
    assert sum(panel.counts) == len(values)
    assert len(panel.counts) == len(panel.labels) <= 24


@pytest.mark.parametrize(("ratio", "words"), [(1.5, "3:2"), (1.0, "1:1"), (0.56, "9:16"), (3.0, "wide"), (0.2, "tall")])
def test_shapes_in_words(ratio, words):
    assert panels.ratio_words(ratio) == words


# The jobs


def test_captioning_into_the_folder_gives_what_text_networks_need(monkeypatch, tmp_path):
    """The way that a refusal names: afterwards every picture has a caption, and the run's own sheet is none of them."""
    monkeypatch.setattr("easel.models.load", lambda name, role, *more: fakes.Captioner())
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
    folder = flat(tmp_path / "set", 3)
    refused(lambda: open_set(folder).require("captions"), "3 of 3 pictures have no caption", f"--out {folder}")
    runners.run(Caption(photos=(str(folder),)), folder)
    found = open_set(folder)
    found.require("captions")
    assert (found.layout, len(found), found.unnamed) == ("metadata", 3, 0)


@pytest.fixture
def clip(monkeypatch):
    monkeypatch.setattr("easel.models.load", lambda name, role, *more: fakes.Clip())
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))


def test_a_summary(clip, tmp_path):
    folder = mixed(tmp_path / "my <set>")
    before = sorted(folder.iterdir())
    result = runners.run(DataSummary(folder=str(folder)), tmp_path / "out")
    assert sorted(folder.iterdir()) == before
    assert result.files == ("summary.html", "sheet.png", "table.csv")
    assert result.texts["pictures"] == "7"
    assert result.texts["broken"] == "2"
    assert result.texts["captions"] == "none"
    assert any("d.png" in note for note in result.notes)
    page = (tmp_path / "out" / "summary.html").read_text()
    assert "my &lt;set&gt;" in page
    assert "<set>" not in page
    assert "http" not in page.replace("https://", "http").split("<body>")[0]
    assert page.count("data:image/jpeg;base64,") >= 5
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width == 1680


def test_a_summary_of_hotels_says_what_is_missing(clip, tmp_path):
    result = runners.run(DataSummary(folder=str(hotels(tmp_path / "set"))), tmp_path / "out")
    assert result.texts["missing"].startswith("2 ")
    assert result.texts["classes"] == "2, 1 to 2 pictures each; 1 with one picture alone (unknown)"
    assert result.texts["near-duplicates"].startswith("1 group of 3 pictures; 2 pictures could go")
    assert result.texts["splits"] == "test 1, train 2"
    assert any("2 pictures are missing" in note for note in result.notes)


def test_a_summary_says_what_no_line_names(clip, tmp_path):
    folder = metadata(flat(tmp_path / "set", 5), {"file_name": "0.png", "text": "a"}, {"file_name": "1.png"})
    result = runners.run(DataSummary(folder=str(folder)), tmp_path / "out")
    assert result.texts["unnamed"] == "3 in the folder that its table does not name"
    said = "3 pictures in the folder have no line in its table and are left out, such as 2.png"
    assert said in result.notes
    assert left_out_notes(open_set(folder)) == [said]  # a training says the same
    paint(tmp_path / "one" / "b.png")
    alone = open_set(metadata(tmp_path / "one", {"file_name": "a.png"}))
    assert left_out_notes(alone) == ["1 picture in the folder has no line in its table and is left out: b.png"]
    assert left_out_notes(open_set(flat(tmp_path / "all", 2))) == []


def test_a_summary_looks_at_no_more_than_asked(clip, tmp_path):
    result = runners.run(DataSummary(folder=str(flat(tmp_path / "set", 9)), count=3), tmp_path / "out")
    assert "hash" not in result.texts
    assert result.texts["pictures"] == "9"
    assert result.texts["looked at"] == "3, spread evenly"


def test_a_summary_of_one_picture_and_of_none(clip, tmp_path):
    paint(tmp_path / "one" / "a.png")
    assert runners.run(DataSummary(folder=str(tmp_path / "one")), tmp_path / "out").texts["pictures"] == "1"
    (tmp_path / "none").mkdir()
    refused(lambda: runners.run(DataSummary(folder=str(tmp_path / "none")), tmp_path / "o"), "no pictures")
    write(tmp_path / "bad" / "a.png", "x")
    refused(lambda: runners.run(DataSummary(folder=str(tmp_path / "bad")), tmp_path / "o"), "not one of 1")


def world(out: Path, **settings: Any) -> Any:
    return runners.run(DataWorld(**{"resolution": 32, "seed": 5, "count": 4} | settings), out)


@pytest.mark.parametrize("what", data_world.SUBJECTS)
def test_a_set_of_the_world_opens_as_it_was_meant(clip, tmp_path, what):
    world(tmp_path / what, what=what)
    found = open_set(tmp_path / what)
    assert (found.layout, len(found), found.missing) == ("metadata", 4, 0)
    kinds = data_world.SUBJECTS[what]
    assert set(found.classes) <= set(kinds if len(kinds) > 1 else words.COLOURS)
    assert found.captions.present.all()
    found.require("captions", least=2)
    spec = data_world.SetSpec(what, 5, 32, "")
    for at, item in enumerate(found):
        scene = data_world.scene_of(spec, at)
        assert item.captions == tuple(dict.fromkeys(captions(scene)))
        for name in ("hat", "sunglasses"):
            assert item.attributes.get(name, name in scene.accessories) == (name in scene.accessories)
        with Image.open(item.path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), data_world.pixels(scene, spec))


def test_a_killed_set_draws_only_what_is_not_there(clip, tmp_path, monkeypatch):
    world(tmp_path / "whole")
    world(tmp_path / "set")
    (tmp_path / "set" / "images" / "000002.png").unlink()
    (tmp_path / "set" / "metadata.jsonl").unlink()
    drawn: list[int] = []

    def counted(scene: Scene, size: int) -> Any:
        drawn.append(scene.seed)
        return render(scene, size)

    monkeypatch.setattr(data_world, "render", counted)
    world(tmp_path / "set")
    assert drawn == [7]
    for name in ("metadata.jsonl", "images/000002.png"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    refused(lambda: world(tmp_path / "set", seed=6), "holds a run with other settings (seed")


def test_workers_draw_what_one_process_draws(clip, tmp_path, monkeypatch):
    world(tmp_path / "one", count=40)
    monkeypatch.setattr(data_world, "MAX_IN_PROCESS", 10)
    monkeypatch.setattr(data_world, "cores", lambda: 1)
    world(tmp_path / "two", count=40)
    for path in (tmp_path / "one").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_faces_show_the_head(clip):
    spec = data_world.SetSpec("faces", 0, 64, "")
    for at in range(6):
        left, top, right, bottom = data_world.head_box(scene := data_world.scene_of(spec, at))
        assert right - left == pytest.approx(bottom - top, abs=1)
        truth = np.isin(segmentation(scene, 128), [words.LABELS[scene.kind], words.LABELS["hat"]])
        assert truth[max(0, top) : bottom, max(0, left) : right].mean() > 0.25


def test_the_recipes_of_sets_take_only_their_own():
    with pytest.raises(EaselError, match="folder is missing"):
        recipe_from({"kind": "data-summary"})
    with pytest.raises(EaselError, match="folder"):
        recipe_from({"kind": "data-world", "folder": "x"})
    assert set(get_args(DataWorld.model_fields["what"].annotation)) == set(data_world.SUBJECTS)


def test_the_command_line_of_sets(clip, tmp_path, capsys):
    assert main(["data", "world", str(tmp_path / "set"), "--what", "cars", "--count", "3", "--resolution", "32"]) == 0
    assert len(open_set(tmp_path / "set")) == 3
    assert main(["data", "summary", str(tmp_path / "set"), "--out", str(tmp_path / "out")]) == 0
    assert "pictures: 3" in capsys.readouterr().out
    assert main(["data", "world"]) == 2
    assert "out is missing: name the folder to write into" in capsys.readouterr().err
    assert main(["data", "summary", str(tmp_path / "set"), "--layout", "cubb", "--out", str(tmp_path / "o")]) == 2
    assert 'Did you mean "cub"?' in capsys.readouterr().err


def test_sets_from_python(clip, tmp_path):
    import easel

    easel.data_world(tmp_path / "set", what="lamps", count=2, resolution=32, seed=1)
    assert easel.data_summary(tmp_path / "set", out=tmp_path / "out").texts["pictures"] == "2"


def test_progress_is_told_and_can_stop(clip, tmp_path):
    told: list[SimpleNamespace] = []

    def report(step):
        told.append(step)
        if step.phase == "looking":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        runners.run(DataSummary(folder=str(flat(tmp_path / "set"))), tmp_path / "out", report=report)
    assert not (tmp_path / "out").exists()


# One reader of metadata.jsonl


def test_a_table_of_pictures_that_lie_elsewhere(tmp_path: Path) -> None:
    table = tmp_path / "metadata.jsonl"
    rows = (("a.tar/1.png", "one"), ("a.tar/1.png", "again"), ("b.png", "gone"))
    table.write_text("".join(json.dumps({"file_name": name, "text": text}) + "\n" for name, text in rows))
    told = read_table(table, {"a.tar/1.png"}, "s3://bucket/photos")
    assert told.texts == {"a.tar/1.png": "one"}
    assert told.notes == ["1 of 2 pictures were skipped: b.png is not there"]
    with pytest.raises(EaselError, match="2 of 2 pictures were skipped"):
        read_table(table, {}, "s3://bucket/photos")


def test_texts_of_a_table_are_read_as_training_reads_them(tmp_path):
    rows = [{"file_name": "a/0.png", "caption": "one"}, {"file_name": "1.png", "text": ["two", "more"], "caption": "x"}]
    write(tmp_path / "metadata.jsonl", "\ufeff" + "".join(json.dumps(row) + "\n\n" for row in rows))
    for name in ("a/0.png", "1.png"):
        paint(tmp_path / name)
    told = read_texts(tmp_path)
    assert told.texts == {"a/0.png": "one", "1.png": "two"}
    assert told.paths == {name: tmp_path / name for name in told.texts}


@pytest.mark.parametrize("name", ["../0.png", "a/../../0.png", "/etc/passwd", "C:\\0.png", "..\\0.png"])
def test_a_table_does_not_lead_out_of_its_folder(tmp_path, name):
    write(tmp_path / "metadata.jsonl", json.dumps({"file_name": "0.png", "text": "t"}) + "\n")
    with (tmp_path / "metadata.jsonl").open("a") as stream:
        stream.write(json.dumps({"file_name": name, "text": "t"}))
    with pytest.raises(EaselError, match=r"metadata.jsonl: line 2: .* is not a file name within the set's folder"):
        read_texts(tmp_path)


def test_recipes_know_every_layout():
    assert set(get_args(LayoutName)) == set(LAYOUTS)
