"""How what a part made is called in the whole run, in its files and tables, and how it is packed."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from easel.runners.cluster.task import Outcome


def renumbered(name: str, index: int, total: int, stem: str = "") -> str:
    """'01-van-gogh.png' as the picture at `index` of `total`, with the photo's name in it where there are several."""
    from easel.jobs.inputs import file_name

    words = Path(name).stem.partition("-")[2] if Path(name).stem[:2].isdigit() else Path(name).stem
    return file_name(index, total, f"{stem} {words}" if stem else words)


def renamed(text: str, table: str, names: Mapping[str, str], *, with_head: bool) -> str:
    """A table's text with files called as they are in the whole run: cells and values that are a name."""
    if table.endswith(".jsonl"):
        lines = []
        for line in text.splitlines():
            row = json.loads(line)
            swapped = {key: names.get(value, value) if isinstance(value, str) else value for key, value in row.items()}
            lines.append(json.dumps(swapped, ensure_ascii=False))
        return "".join(f"{line}\n" for line in lines)
    made = io.StringIO()
    rows = [[names.get(cell, cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    csv.writer(made, lineterminator="\n").writerows(rows if with_head else rows[1:])
    return made.getvalue()


def packed(outcome: Outcome) -> bytes:
    """The pictures as a tar that WebDataset reads: NAME.png and NAME.json, with what is known of each, side by side.

    The same pictures make the same bytes.
    """
    facts = {
        name: {"photo": row["photo"], "texts": row["texts"], "scores": [s for s in row["scores"] if s["of"] == name]}
        for row in outcome.done
        for name in row["pictures"]
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in outcome.files.items():
            _add(tar, name, content)
            if name in facts:
                text = json.dumps(facts[name], ensure_ascii=False)
                _add(tar, f"{name.rpartition('.')[0]}.json", text.encode("utf-8"))
    return stream.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def swapped(key: str, names: Mapping[str, str]) -> str:
    """A text's key: a name, or one with ', tags' or the like behind it."""
    if key in names:
        return names[key]
    base, comma, rest = key.rpartition(", ")
    return names[base] + comma + rest if base in names else key
