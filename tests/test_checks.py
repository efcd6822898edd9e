"""Model files and folders that lie: whatever is wrong with them is one line that names the file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from easel import models
from easel.cli import main
from easel.errors import EaselError
from easel.models.catalog import checks, listing
from easel.models.catalog.trained_folders import described
from tests import hostile, tiny


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


# --- whole folders, through the command line --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A whole model for each loader."""
    return hostile.shelf(tmp_path_factory.mktemp("shelf"))


def words_for(role: str, folder: Path, photo: Path) -> list[str]:
    """The command that uses a model in a role."""
    model = ["--model", str(folder)]
    return {
        "text-to-image": ["generate", "a", "--steps", "1", *model],
        "image-to-image": ["generate", "a bird", "--steps", "2", "--scheduler", "euler", *model],
        "generator": ["generate", *model],
        "clip": ["generate", "a", "--steps", "1", "--judge", str(folder)],
        "caption": ["caption", str(photo), *model],
        "ask": ["ask", str(photo), "what is it?", *model],
        "subject": [],
        "perceptual": [],
    }[role]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_lies_is_one_line(
    shelf: dict[str, Path], tmp_path: Path, photo: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Status 0 where the lie does not matter, else 2 and one line; never a traceback."""
    role = list(shelf)[seed % len(shelf)]
    what = hostile.lie(shelf[role], tmp_path / "model", 1000 + seed)
    words = words_for(role, tmp_path / "model", photo)
    if not words:
        with contextlib.suppress(EaselError):
            models.load(str(tmp_path / "model"), role, device="cpu")  # type: ignore[call-overload]
        return
    status = main([*words, "--out", str(tmp_path / "out"), "--device", "cpu", "--quiet"])
    error = capfd.readouterr().err
    assert status in (0, 2), f"{what}: {error}"
    if status:
        assert error.startswith("error: "), what
        assert error.count("\n") == 1, f"{what}: {error}"


DIFFUSION_LIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "UNet in words": ("unet/config.json", {"in_channels": "four"}, "the model .* does not load: unet"),
    "no heads": ("unet/config.json", {"attention_head_dim": 0}, "does not load: unet"),
    "no groups": ("unet/config.json", {"norm_num_groups": 0}, "does not load: unet"),
    "wide": ("unet/config.json", {"block_out_channels": [65536, 65536]}, "describes a model of .* numbers"),
    "huge": ("unet/config.json", {"cross_attention_dim": 2**40}, "which no model has"),
    "deep": ("unet/config.json", {"layers_per_block": 10**6}, "'layers_per_block' .* which no model has"),
    "nan": ("vae/config.json", {"scaling_factor": float("nan")}, "'scaling_factor' in its config.json is nan"),
    "no scale": ("vae/config.json", {"scaling_factor": 0}, "does not load: its parts together"),
    "an attention": ("text_encoder/config.json", {"attn_implementation": "flash_attention_2"}, "does not have"),
    "kernels": ("unet/config.json", {"_attn_implementation_internal": "a/b"}, "code from a repository"),
    "quantised": ("vae/config.json", {"quantization_config": {"quant_method": "gguf"}}, "quantised"),
    "code": ("tokenizer/tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["a.B", None]}}, "code of its own"),
    "steps": ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**9}, "a number from 1 to 100,000"),
    "no steps": ("scheduler/scheduler_config.json", {"num_train_timesteps": 0}, "a number from 1 to 100,000"),
    "betas": ("scheduler/scheduler_config.json", {"beta_start": float("nan")}, "'beta_start' is nan"),
    "words": ("scheduler/scheduler_config.json", {"beta_end": "large"}, "does not load: scheduler"),
    "prediction": ("scheduler/scheduler_config.json", {"prediction_type": "flow"}, "prediction_type is 'flow': one of"),
    "index": ("model_index.json", {"unet": 7}, "names no unet"),
    "zeros": ("model_index.json", {"force_zeros_for_empty_prompt": "no"}, "neither true nor false"),
    "own nan": ("easel.json", {"guidance_scale": float("nan")}, "'guidance_scale' is nan: a number from 0 to 50"),
    "own infinity": ("easel.json", {"hires_strength": float("inf")}, "'hires_strength' is inf"),
    "own negative": ("easel.json", {"strength": -1}, "'strength' is -1: a number from 0.01 to 1"),
    "own words": ("easel.json", {"width": "wide"}, "'width' cannot be 'wide'"),
    "own truth": ("easel.json", {"guidance_scale": True}, "'guidance_scale' cannot be True"),
}


@pytest.mark.parametrize("kind", DIFFUSION_LIES)
def test_diffusers_folders_that_lie_are_one_line(shelf: dict[str, Path], tmp_path: Path, kind: str) -> None:
    name, more, words = DIFFUSION_LIES[kind]
    folder = Path(shutil.copytree(shelf["text-to-image"], tmp_path / "sd"))
    file = folder / name
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(merged(known, more)), encoding="utf-8")
    with pytest.raises(EaselError, match=words) as caught:
        models.load(str(folder), "text-to-image", device="cpu")
    assert "sd" in str(caught.value)


TRAINED_LIES: dict[str, tuple[dict[str, Any], str]] = {
    "wide": ({"network": {"channels": 65536, "widest": 65536}}, "describes a model of|does not load"),
    "huge": ({"network": {"channels": 2**40}}, "'channels' in its config.json is 1099511627776, which no model has"),
    "deep": ({"network": {"mapping": 5000}}, "which no model has|has no setting"),
    "words": ({"network": {"latent": "many"}}, "latent is 'many', but takes int"),
    "condition": ({"condition": "captions"}, "conditioned on captions"),
    "names": ({"names": [3]}, "'names' are not all texts"),
    "shares": ({"shares": [float("nan")]}, "'shares' are not all numbers"),
    "encoder": ({"text_encoder": 5}, "'text_encoder' is no text"),
    "a list": ({"network": [1]}, "'network' is missing or no dict"),
}


@pytest.mark.parametrize("kind", TRAINED_LIES)
def test_trained_folders_that_lie_are_one_line(shelf: dict[str, Path], tmp_path: Path, kind: str) -> None:
    more, words = TRAINED_LIES[kind]
    folder = Path(shutil.copytree(shelf["generator"], tmp_path / "model"))
    known = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(merged(known, more)), encoding="utf-8")
    with pytest.raises(EaselError, match=words):
        models.load(str(folder), "generator", device="cpu")


def test_what_easel_models_lists_may_be_hostile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    for number, content in enumerate([*hostile.TEXTS, b'{"model_type": "easel-trained", "network": 3}']):
        folder = Path(shutil.copytree(shelf["generator"], tmp_path / "places" / f"{number:02}"))
        (folder / "config.json").write_bytes(content)
    os.mkfifo(tmp_path / "places" / "pipe")
    monkeypatch.setenv("EASEL_MODELS", f"{tmp_path / 'places'}:/dev/zero:{tmp_path / 'gone'}:{'x' * 5000}")
    assert main(["models", "list"]) == 0
    assert "Traceback" not in capfd.readouterr().err
    damaged = [row for row in listing.rows() if row.name.startswith(str(tmp_path))]
    assert [row.at_hand for row in damaged] == [False]
    with pytest.raises(EaselError, match="holds no model that `easel train` made"):
        described(tmp_path / "places" / "00")


def test_files_that_would_be_read_for_ever_are_refused(shelf: dict[str, Path], tmp_path: Path) -> None:
    for name in ("tokenizer/added_tokens.json", "unet/extra.json", "scheduler/more.json"):
        folder = Path(shutil.copytree(shelf["text-to-image"], tmp_path / name.replace("/", "-")))
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        with pytest.raises(EaselError, match="is not a regular file"):
            models.load(str(folder), "text-to-image", device="cpu")
    folder = Path(shutil.copytree(shelf["clip"], tmp_path / "clip"))
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/model"}')
    with pytest.raises(EaselError, match=r"adapter_config.json inside a model.*--lora"):
        models.load(str(folder), "clip", device="cpu")


@pytest.mark.parametrize("seed", range(6))
def test_single_files_and_loras_that_lie_are_one_line(
    shelf: dict[str, Path], tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    import random

    file = tiny.single_file(shelf["text-to-image"], tmp_path / "one.safetensors")
    adapter = tiny.lora(tmp_path / "style.safetensors", ("diffusers", "kohya")[seed % 2])
    configs = tiny.configs(shelf["text-to-image"], tmp_path / "configs")
    chance = random.Random(seed)
    what = hostile.lying_header(file, chance), hostile.lying_header(adapter, chance)
    for words in (["--model", file, "--config", configs], ["--model", shelf["text-to-image"], "--lora", adapter]):
        out = ["--out", tmp_path / f"out{len(words)}{words[-1] == adapter}", "--device", "cpu", "--quiet"]
        status = main(["generate", "a", "--steps", "1", *map(str, [*words, *out])])
        error = capfd.readouterr().err
        assert status in (0, 2), f"{what}: {error}"
        assert error.count("\n") == (1 if status else 0), f"{what}: {error}"


def test_the_hub_is_offline_while_something_loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    seen: list[bool] = []

    def fail() -> None:
        with checks.loading(tmp_path, "x"):
            seen.append(bool(constants.HF_HUB_OFFLINE))
            raise KeyError("a")

    with pytest.raises(EaselError, match="does not load: x: KeyError: 'a'"):
        fail()
    assert [*seen, bool(constants.HF_HUB_OFFLINE)] == [True, False]
