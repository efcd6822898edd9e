"""A training's curves and grids for TensorBoard, which needs not be installed where the training runs.

An event file is a row of records: the length (8 bytes), its checksum (4), a message, its checksum (4), numbers little
end first. The message is protobuf's: `Event` and `Summary` of TensorBoard's event.proto and summary.proto.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path

from easel.errors import EaselError
from easel.files import advice

FOLDER = "tensorboard"
POLYNOMIAL = 0x82F63B78
"""Of CRC-32C (Castagnoli), its bits reversed."""
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""How protobuf writes a field: a whole number, 8 bytes, a length and so many bytes, 4 bytes."""


def _table() -> list[int]:
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return found


TABLE = tuple(_table())


def checksum(content: bytes) -> int:
    """CRC-32C, turned and shifted as records have it."""
    value = 0xFFFFFFFF
    for byte in content:
        value = TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(message: bytes) -> bytes:
    """A message as it stands in the file."""
    length = struct.pack("<Q", len(message))
    return length + struct.pack("<I", checksum(length)) + message + struct.pack("<I", checksum(message))


def varint(number: int) -> bytes:
    """A whole number from 0 up, seven bits a byte, the lowest first."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def field(place: int, kind: int, content: bytes) -> bytes:
    """A field of a message: its number and kind, then what is in it."""
    size = varint(len(content)) if kind == BYTES else b""
    return varint(place << 3 | kind) + size + content


def event(step: int, *fields: bytes) -> bytes:
    """`Event`: when, at which step, and what happened."""
    return field(1, DOUBLE, struct.pack("<d", time.time())) + field(2, VARINT, varint(step)) + b"".join(fields)


def scalar(name: str, value: float) -> bytes:
    """`Summary.Value` of a number."""
    return field(1, BYTES, field(1, BYTES, name.encode()) + field(2, FLOAT, struct.pack("<f", value)))


def picture(name: str, png: bytes) -> bytes:
    """`Summary.Value` of a picture; a PNG says its size in its bytes 16 to 24."""
    width, height = struct.unpack(">II", png[16:24])
    sizes = field(1, VARINT, varint(height)) + field(2, VARINT, varint(width)) + field(3, VARINT, varint(3))
    return field(1, BYTES, field(1, BYTES, name.encode()) + field(4, BYTES, sizes + field(4, BYTES, png)))


class Board:
    """One event file of a training's folder, begun with the first thing that is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file: Path | None = None

    def write(self, step: int, numbers: Mapping[str, float], pictures: Mapping[str, bytes] | None = None) -> None:
        """Numbers, and pictures as PNG files' bytes, at a step. Raises EaselError on a full disk and the like."""
        values = [scalar(name, value) for name, value in numbers.items()]
        values += [picture(name, png) for name, png in (pictures or {}).items()]
        self._append(step, record(event(step, field(5, BYTES, b"".join(values)))))

    def _append(self, step: int, content: bytes) -> None:
        try:
            if self.file is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.file = self.folder / f"events.out.tfevents.{time.time_ns()}.easel"
                # What an earlier file of this folder says of this step and later ones no longer counts.
                began = event(step, field(7, BYTES, field(1, VARINT, varint(1))))
                content = record(event(0, field(3, BYTES, b"brain.Event:2"))) + record(began) + content
            with self.file.open("ab") as stream:
                stream.write(content)
        except OSError as problem:
            raise EaselError(advice(problem, self.folder)) from problem
