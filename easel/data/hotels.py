"""Hotels-50K (Stylianou et al. 2019): hotel rooms from travel sites and from TraffickCam, by chain and hotel.

Four tables and the pictures at images/train/CHAIN/HOTEL/SOURCE/PICTURE.jpg, those for testing below
images/test/unoccluded/ (or images/test/). Most people have only a part of the million pictures: what is missing is
counted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from easel.data import tables
from easel.data.item import Item, Lost, Value
from easel.errors import EaselError, shortened

HOTELS, CHAINS = "hotel_info.csv", "chain_info.csv"
SETS = {"train": "train_set.csv", "test": "test_set.csv"}
PLACES = ("", "dataset", "input/dataset", "input")
SOURCES = {"traffickcam": "traffickcam", "travel_website": "travel_website", "travel website": "travel_website"}
UNKNOWN = "Unknown"
"""Folder of the hotels whose chain no table has, and the name of that chain unless chain_info.csv has one."""
Row = Mapping[str, str]


def home(folder: Path) -> Path | None:
    """Where the tables are."""
    return next((folder / part for part in PLACES if (folder / part / HOTELS).is_file()), None)


def is_hotels(folder: Path) -> bool:
    """hotel_info.csv, one of the tables of pictures, and images/."""
    place = home(folder)
    return bool(place and any((place / name).is_file() for name in SETS.values()) and (folder / "images").is_dir())


def hotels(folder: Path, lost: Lost) -> Iterator[Item]:
    """Every picture of train_set.csv and test_set.csv that is there. Its label is the chain.

    A hotel that hotel_info.csv lacks, or that has no chain there, is of the unknown chain.

    Raises EaselError naming the line that is wrong, or the column that a table lacks.
    """
    place = home(folder)
    if place is None:
        raise EaselError(f"{folder} has no {HOTELS}")
    chains = {row["chain_id"]: row["chain_name"] for _, row in rows(place / CHAINS, ("chain_id", "chain_name"), lost)}
    chains.setdefault(UNKNOWN, next((name for name in chains.values() if name.lower() == UNKNOWN.lower()), UNKNOWN))
    known = {row["hotel_id"]: row for _, row in rows(place / HOTELS, ("hotel_id", "hotel_name", "chain_id"), lost)}
    for split, name in SETS.items():
        if not (place / name).is_file():
            continue
        roots = ["images/train"] if split == "train" else ["images/test/unoccluded", "images/test"]
        for _, row in rows(place / name, ("image_id", "hotel_id", "image_url", "image_source"), lost):
            hotel = known.get(row["hotel_id"], {"hotel_name": "", "chain_id": UNKNOWN})
            found = _found(folder, roots, row, hotel["chain_id"])
            if found is None:
                path = f"{roots[0]}/{hotel['chain_id']}/{row['hotel_id']}/{row['image_source']}/{row['image_id']}"
                lost.add(path, split)
            else:
                chain = chains.get(hotel["chain_id"], hotel["chain_id"])
                yield Item(found, folder / found, label=chain, attributes=_attributes(row, hotel), split=split)


def _found(folder: Path, roots: list[str], row: Row, chain: str) -> str | None:
    """Where a picture lies: its ending is the address's, in its letters or small ones, but most tools save .jpg."""
    ending = PurePosixPath(row["image_url"].partition("?")[0]).suffix
    places = [f"{root}/{chain}" for root in roots]
    places += roots if chain == UNKNOWN else []  # a blank chain is no folder for the set's own script
    for place in places:
        for end in dict.fromkeys((".jpg", ending, ending.lower())):
            name = f"{place}/{row['hotel_id']}/{row['image_source']}/{row['image_id']}{end}"
            if end and (folder / name).is_file():
                return name
    return None


def _attributes(row: Row, hotel: Row) -> dict[str, Value]:
    """The hotel by name, where it is, and the source of the picture."""
    known: dict[str, Value] = {
        "hotel": hotel["hotel_name"] or row["hotel_id"],
        "source": SOURCES.get(row["image_source"].lower(), row["image_source"]),
    }
    for name in ("latitude", "longitude"):
        try:
            known[name] = float(hotel.get(name) or "none")
        except ValueError:
            continue  # not every hotel has a place
    return known


def rows(path: Path, wanted: tuple[str, ...], lost: Lost) -> Iterator[tuple[str, Row]]:
    """(place, row) of a csv file, one at a time. Raises EaselError when a column is missing or it is no table."""
    try:
        with tables.opened(path, newline="", errors="replace") as stream:
            reader = csv.DictReader(stream, restval="", skipinitialspace=True)
            lacking = [name for name in wanted if name not in (reader.fieldnames or ())]
            if lacking:
                raise EaselError(f"{path} has no column {lacking[0]}: its first line must be {', '.join(wanted)}")
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                if "chain_id" in wanted and not row["chain_id"].strip():
                    row["chain_id"] = UNKNOWN
                keys = [name for name in ("chain_id", "hotel_id", "image_id", "image_source") if name in wanted]
                if not all(row[name].strip() for name in keys):
                    lost.skip(
                        f"lines of {path.name} without {' and '.join(keys)} are skipped", tables.short_place(where)
                    )
                    continue
                yield where, row | {name: tables.inside(row[name], where) for name in keys}
    except (OSError, UnicodeError, csv.Error) as problem:
        raise EaselError(f"cannot read {path}: {shortened(problem)}") from problem
