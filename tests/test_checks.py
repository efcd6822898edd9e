"""Model files and folders that lie: whatever is wrong with them is one line that names the file."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from easel import models
from easel.errors import EaselError
from easel.models.catalog import checks
from tests import tiny


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP in transformers' layout."""
    folder = tmp_path_factory.mktemp("checks") / "clip"
    tiny.clip(folder)
    return folder


def header_file(path: Path, header: bytes | dict[str, Any], data: bytes = bytes(4)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
LIES: dict[str, tuple[bytes | dict[str, Any], bytes]] = {
    "overlapping": ({"x": ONE, "y": ONE}, bytes(4)),
    "a gap": ({"x": ONE, "y": ONE | {"data_offsets": [8, 12]}}, bytes(12)),
    "negative": ({"x": ONE | {"data_offsets": [-4, 0]}}, bytes(4)),
    "no whole numbers": ({"x": ONE | {"data_offsets": [0.0, 4.0]}}, bytes(4)),
    "unknown dtype": ({"x": ONE | {"dtype": "Q4"}}, bytes(4)),
    "metadata": ({"__metadata__": {"a": 1}, "x": ONE}, bytes(4)),
    "left over": ({"x": ONE}, bytes(9)),
    "too many": ({"x": ONE | {"shape": [2**62, 2**62]}}, bytes(4)),
    "nested": (b'{"x":' * 10_000 + b"1" + b"}" * 10_000, bytes(4)),
    "a list": (b'{"x":[1]}', bytes(4)),
}


@pytest.mark.parametrize("kind", LIES)
def test_headers_that_lie_are_one_line(tmp_path: Path, kind: str) -> None:
    header, data = LIES[kind]
    file = header_file(tmp_path / "model.safetensors", header, data)
    with pytest.raises(
        EaselError, match=r"model.safetensors is not a whole safetensors file \(.*\): download it again"
    ):
        checks.check_file(file)


def test_a_whole_file_is_described(tmp_path: Path) -> None:
    file = header_file(tmp_path / "m.safetensors", {"__metadata__": {"a": "b"}, "x": ONE, "y": ONE | {
        "dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [4, 8]}}, bytes(8))  # fmt: skip
    assert checks.check_file(file) == {
        "x": {"dtype": "F32", "shape": [1]}, "y": {"dtype": "F8_E4M3", "shape": [2, 2]}}  # fmt: skip
    huge = tmp_path / "huge.safetensors"
    huge.write_bytes(struct.pack("<Q", 100_000_001) + b"{")
    with pytest.raises(EaselError, match="its header makes no sense"):
        checks.check_file(huge)


def test_json_is_read_from_regular_files_of_a_sensible_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, deep, large = tmp_path / "pipe.json", tmp_path / "deep.json", tmp_path / "large.json"
    os.mkfifo(pipe)
    deep.write_text("[" * 100_000, encoding="utf-8")
    large.write_text("{}" + " " * 100, encoding="utf-8")
    monkeypatch.setattr(checks, "MAX_JSON_BYTES", 100)
    for file, words in (
        (pipe, "pipe.json is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (large, "large.json has more than"),
        (tmp_path / "none.json", "no file .*none.json"),
    ):
        with pytest.raises(EaselError, match=words):
            checks.read_json(file)
    monkeypatch.undo()
    with pytest.raises(EaselError, match=r"deep\.json is not readable JSON"):
        checks.read_json(deep)
    with pytest.raises(EaselError, match="is not a regular file"):
        checks.check_file(pipe)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"auto_map": {"AutoModel": "evil.Evil"}}, "run code of its own"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised"),
        ({"attn_implementation": "kernels-community/flash-attn"}, "attention code from a repository"),
        ({"text_config": {"_attn_implementation": {"": "kernels-community/x"}}}, "attention code from a repository"),
    ],
)
def test_configs_that_reach_for_code_are_refused(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "clip"} | more), encoding="utf-8")
    with pytest.raises(EaselError, match=words):
        checks.read_config(file)
    plain = {"model_type": "clip", "attn_implementation": "eager", "auto_map": {}, "text_config": {"a": "b/c"}}
    file.write_text(json.dumps(plain), encoding="utf-8")
    assert checks.read_config(file) == plain


VISION_LIES: dict[str, tuple[str, dict[str, Any]]] = {
    "words for numbers": ("config.json", {"vision_config": {"hidden_size": "many"}}),
    "no heads": ("config.json", {"vision_config": {"num_attention_heads": 0}}),
    "no channels": ("config.json", {"vision_config": {"num_channels": 0}}),
    "huge": ("config.json", {"vision_config": {"hidden_size": 2**24, "intermediate_size": 2**26}}),
    "unknown attention": ("config.json", {"attn_implementation": "magic"}),
    "unknown activation": ("config.json", {"vision_config": {"hidden_act": "magic"}}),
    "unknown dtype": ("config.json", {"dtype": "float9", "text_config": {"dtype": 7}}),
    "a list for a table": ("config.json", {"vision_config": [1, 2]}),
    "remote code": ("config.json", {"auto_map": {"AutoModel": "evil.Evil"}}),
    "remote processor": ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "evil.Evil"}}),
    "negative size": ("preprocessor_config.json", {"size": {"shortest_edge": -5}}),
    "negative crop": ("preprocessor_config.json", {"crop_size": {"height": -5, "width": 3}}),
    "a huge size": ("preprocessor_config.json", {"size": {"shortest_edge": 10**9}}),
    "mean in words": ("preprocessor_config.json", {"image_mean": ["a", "b", "c"]}),
    "division by nothing": ("preprocessor_config.json", {"image_std": [0, 0, 0]}),
    "a strange tokenizer": ("tokenizer_config.json", {"model_max_length": "long", "tokenizer_class": 7}),
}


def merged(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    both = {
        k: merged(into[k], v) if isinstance(v, dict) and isinstance(into.get(k), dict) else v for k, v in more.items()
    }
    return into | both


@pytest.mark.parametrize("kind", VISION_LIES)
def test_vision_folders_that_lie_are_one_line(clip: Path, tmp_path: Path, kind: str) -> None:
    name, more = VISION_LIES[kind]
    folder = Path(shutil.copytree(clip, tmp_path / "clip"))
    file = folder / name
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(merged(known, more)), encoding="utf-8")
    with pytest.raises(EaselError) as caught:
        models.load(str(folder), "clip", device="cpu")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_is_no_text_is_one_line(clip: Path, tmp_path: Path) -> None:
    for content in (b"\xff\xfe\x00", b"{", b"[" * 10_000, b"{}"):
        folder = Path(shutil.copytree(clip, tmp_path / f"clip-{len(content)}-{content[0]}"))
        (folder / "tokenizer.json").write_bytes(content)
        with pytest.raises(EaselError, match=r"the model .* does not load: tokenizer: |is not readable JSON"):
            models.load(str(folder), "clip", device="cpu")
