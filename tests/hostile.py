"""Model folders that lie, made from whole ones by a seed: one thing in them is changed to what nobody means well."""

from __future__ import annotations

import json
import random
import shutil
import struct
from pathlib import Path
from typing import Any

from tests import tiny

VALUES: tuple[Any, ...] = (
    "many", "", "\ud800", "../../etc/passwd", 0, -1, -(2**40), 1.5, float("nan"), float("inf"), -float("inf"), 3,
    10**9, 2**31, 2**40, 10**30, True, False, None, [], {}, [1, 2, 3], ["a"] * 2000, [2**30] * 4, {"": {"": [None]}},
)  # fmt: skip
KEYS: tuple[tuple[str, Any], ...] = (
    ("auto_map", {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}),
    ("attn_implementation", "kernels-community/flash-attn"),
    ("_attn_implementation", "flash_attention_2"),
    ("_attn_implementation_internal", {"": "kernels-community/x"}),
    ("experts_implementation", "someone/experts"),
    ("quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
    ("kernel_config", {"RMSNorm": "someone/kernels:RMSNorm"}),
    ("use_kernels", True),
    ("dtype", "float9"),
    ("torch_dtype", 7),
    ("trust_remote_code", True),
    ("_class_name", "EvilPipeline"),
    ("architectures", [3]),
    ("model_type", "mamba"),
    ("num_hidden_layers", 10**9),
    ("hidden_act", "magic"),
)
TEXTS: tuple[bytes, ...] = (
    b"", b"{", b"[]", b"\xff\xfe\x00", b"[" * 20_000, b'{"a":' * 20_000, b'{"a": 1' + b"0" * 5000 + b"}", b"null",
    b'{"a": "\\ud800"}', b"{}",
)  # fmt: skip


def shelf(folder: Path) -> dict[str, Path]:
    """Whole models of every kind of loader, by what they are for."""
    trained = Path(__file__).parents[1] / "examples" / "trained"
    return {
        "text-to-image": tiny.sd(folder / "sd"),
        "image-to-image": tiny.eight_channels(folder / "eight"),
        "clip": tiny.clip(folder / "clip"),
        "caption": tiny.blip(folder / "caption"),
        "ask": tiny.blip(folder / "ask", "ask"),
        "subject": tiny.vit(folder / "vit"),
        "perceptual": tiny.resnet(folder / "resnet"),
        "generator": Path(shutil.copytree(trained, folder / "trained")),
    }


def lie(source: Path, target: Path, seed: int) -> str:
    """A copy of a model folder with one lie in it, and what that is."""
    chance = random.Random(seed)
    shutil.copytree(source, target)
    files = sorted(file for file in target.rglob("*") if file.is_file() and file.suffix in (".json", ".safetensors"))
    texts = [file for file in files if file.suffix == ".json" and file.name != "scores.json"]
    kind = chance.choice(["value"] * 5 + ["key", "text", "header", "header"])
    if kind == "header":
        file = chance.choice([file for file in files if file.suffix == ".safetensors"])
        return f"{file.relative_to(target)}: {lying_header(file, chance)}"
    file = chance.choice(texts)
    name = str(file.relative_to(target))
    if kind == "text":
        content = chance.choice(TEXTS)
        file.write_bytes(content)
        return f"{name} is {content[:20]!r} ({len(content)} bytes)"
    values = json.loads(file.read_text(encoding="utf-8"))
    if kind == "key":
        key, value = chance.choice(KEYS)
        file.write_text(json.dumps(values | {key: value}), encoding="utf-8")
        return f"{name} has {key}: {value}"
    place: Any = values
    keys: list[Any] = []
    while True:
        key = chance.choice(list(place)[:200] if isinstance(place, dict) else range(len(place)))
        keys.append(key)
        if not (isinstance(place[key], dict | list) and place[key] and chance.random() < 0.9):
            break
        place = place[key]
    place[key] = chance.choice(VALUES)
    file.write_text(json.dumps(values), encoding="utf-8")
    return f"{name}: {'.'.join(map(str, keys))} = {str(place[key])[:60]!r}"


def lying_header(file: Path, chance: random.Random) -> str:
    """Change the header of a .safetensors file, and say how."""
    whole = file.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    name = chance.choice([name for name in header if name != "__metadata__"])
    entry = header[name]
    start, end = entry["data_offsets"]
    kind = chance.choice([
        "overlap", "gap", "negative", "float", "dtype", "shape", "metadata", "over", "short", "twice", "name", "gone",
        "nested", "huge length", "huge shape",
    ])  # fmt: skip
    changes: dict[str, Any] = {
        "overlap": {"data_offsets": [0, end - start]},
        "gap": {"data_offsets": [start + 8, end + 8]},
        "negative": {"data_offsets": [-8, end]},
        "float": {"data_offsets": [float(start), float(end)]},
        "dtype": {"dtype": chance.choice(["Q4", "I4", 7, None, "F8_E4M3", "BOOL"])},
        "shape": {"shape": [*entry["shape"], 1]},
        "huge shape": {"shape": [2**40, 2**20]},
    }
    entry |= changes.get(kind, {})
    if kind == "metadata":
        header["__metadata__"] = chance.choice([{"a": 1}, [1], "x", {"a": {"b": "c"}}])
    elif kind == "over":
        data += bytes(16)
    elif kind == "short":
        data = data[:-16]
    elif kind == "name":
        header["x" * 5] = header.pop(name)
    elif kind == "gone":
        header = {"__metadata__": {}}
        data = b""
    text = json.dumps(header).encode()
    if kind == "twice":
        text = text[:-1] + b", " + json.dumps({name: entry}).encode()[1:]
    elif kind == "nested":
        text = b'{"x":' * 5000 + b"1" + b"}" * 5000
    size = 2**60 if kind == "huge length" else len(text)
    file.write_bytes(struct.pack("<Q", size) + text + data)
    return f"{kind} ({name})"
