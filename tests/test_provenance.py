"""What pictures say of themselves: names and not places, and what other programs wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from easel.cli import main
from easel.errors import EaselError
from easel.images import save_png
from easel.provenance import (
    SAMPLERS,
    Done,
    MadeBy,
    made_by,
    parameters,
    read_provenance,
    record,
    settings_in,
    with_places,
    without_places,
)
from tests.conftest import drawn

A1111 = """masterpiece, a cat, <lora:ink:0.8>
on two lines
Negative prompt: fog, (rain:1.2)
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1234567890, Size: 512x768, \
Model hash: 6ce0161689, Model: v1-5, Denoising strength: 0.7, Clip skip: 2, ENSD: 31337, \
Lora hashes: "ink: 6ce01, x: \\"y\\"", Version: v1.9.4"""


def easel(*words: object) -> int:
    return main([str(word) for word in words])


# --- A1111's text, written and read -----------------------------------------------------------------------------------


def test_zeros_are_written() -> None:
    done = Done("cpu", "float32", seed=0, steps=0, guidance_scale=0.0, strength=0.0, scheduler="euler-a")
    last = parameters("a", "", done).splitlines()[-1]
    assert last.startswith("Steps: 0, Sampler: Euler a, CFG scale: 0, Seed: 0, Denoising strength: 0, RNG: CPU, Versio")
    assert "Sampler" not in parameters("a", "", Done("cpu", "float32"))


def test_what_a1111_wrote_is_a_recipe_as_far_as_it_goes() -> None:
    values, left_out = settings_in(A1111)
    assert values == {
        "kind": "generate",
        "prompt": "masterpiece, a cat, \non two lines",
        "negative_prompt": "fog, (rain:1.2)",
        "steps": 20,
        "scheduler": "dpmpp-2m-karras",
        "guidance_scale": 6.5,
        "seed": 1234567890,
        "width": 512,
        "height": 768,
    }
    assert left_out == [
        "LoRA ink:0.8", "Model hash: 6ce0161689", "Model: v1-5", "Denoising strength: 0.7", "Clip skip: 2",
        "ENSD: 31337", 'Lora hashes: ink: 6ce01, x: "y"',
    ]  # fmt: skip


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_what_we_write_in_a1111s_words_is_read_back(scheduler: str) -> None:
    done = Done("cpu", "float32", seed=0, width=512, height=64, steps=4, scheduler=scheduler, guidance_scale=0.0)
    values, left_out = settings_in(parameters("a: b, c", "no\nlines", done))
    assert left_out == []
    assert values == {
        "kind": "generate", "prompt": "a: b, c", "negative_prompt": "no\nlines", "scheduler": scheduler, "steps": 4,
        "guidance_scale": 0.0, "seed": 0, "width": 512, "height": 64,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "kept", "left_out"),
    [
        ("Sampler: DPM++ 2M SDE Karras, Seed: 5, Steps: 3", {"seed": 5, "steps": 3}, ["Sampler: DPM++ 2M SDE Karras"]),
        ("Sampler: Euler a, Schedule type: Automatic, Steps: 3", {"scheduler": "euler-a", "steps": 3}, []),
        (
            "Steps: 0, Seed: 4294967296, Size: 500x500",
            {},
            ["Steps: 0", "Seed: 4294967296", "Size: 500 x 500"],
        ),
        ("Steps: 1e3, Seed: -1, CFG scale: nan", {}, ["Steps: 1e3", "CFG scale: nan", "Seed: -1"]),
        ("Steps: 4, Size: 512, CFG scale: 99", {"steps": 4}, ["Size: 512", "CFG scale: 99.0"]),
    ],
)
def test_what_cannot_be_taken_over_is_left_out(facts: str, kept: dict[str, Any], left_out: list[str]) -> None:
    values, left = settings_in(f"a\n{facts}")
    assert values == {"kind": "generate", "prompt": "a"} | kept
    assert sorted(left) == sorted(left_out)


def test_a_prompt_alone_is_a_prompt() -> None:
    assert settings_in("a cat\nSteps: 3") == ({"kind": "generate", "prompt": "a cat\nSteps: 3"}, [])
    assert settings_in("")[0]["prompt"] == ""
    assert len(settings_in("a" * 3_000_000)[0]["prompt"]) == 1_000_000
    assert settings_in("a\n" + '"' * 500_000 + ":" * 500_000)[1] == []


# --- other programs ---------------------------------------------------------------------------------------------------

GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 5, "positive": ["10", 0], "negative": ["7", 0]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat in the sun"}},
    "10": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["6", 0], "control_net": ["12", 0]}},
}
OTHERS: dict[str, tuple[dict[str, str], MadeBy]] = {
    "comfy": ({"prompt": json.dumps(GRAPH), "workflow": "{}"}, MadeBy("ComfyUI", "a cat in the sun")),
    "comfy without a sampler": ({"prompt": json.dumps({"6": GRAPH["6"]})}, MadeBy("ComfyUI", "a cat in the sun")),
    "comfy in circles": ({"prompt": '{"1": {"inputs": {"positive": ["1", 0]}}}'}, MadeBy("ComfyUI", None)),
    "comfy deep": ({"prompt": "[" * 100_000}, MadeBy("ComfyUI", None)),
    "invoke": ({"invokeai_metadata": '{"positive_prompt": "a cat", "seed": 3}'}, MadeBy("InvokeAI", "a cat")),
    "invoke, old": ({"sd-metadata": '{"image": {"prompt": [{"prompt": "a cat"}]}}'}, MadeBy("InvokeAI", "a cat")),
    "invoke, no table": ({"invokeai_metadata": "[1, 2]"}, MadeBy("InvokeAI", None)),
    "novel": ({"Software": "NovelAI", "Comment": '{"prompt": "a cat", "uc": "x"}'}, MadeBy("NovelAI", "a cat")),
    "novel, bare": ({"Software": "NovelAI", "Description": "a cat", "Comment": "{"}, MadeBy("NovelAI", "a cat")),
    "swarm": ({"parameters": '{"sui_image_params": {"prompt": "a cat"}}'}, MadeBy("SwarmUI", "a cat")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_programs_are_named_with_their_prompt(tmp_path: Path, name: str, capsys: Any) -> None:
    texts, expected = OTHERS[name]
    assert made_by(texts) == expected
    save_png(tmp_path / "x.png", drawn(), texts)
    assert read_provenance(tmp_path / "x.png")["made_by"] == expected
    assert easel("again", tmp_path / "x.png") == 2
    words = f": '{expected.prompt}'" if expected.prompt else ""
    assert capsys.readouterr().err.endswith(f"x.png was made by {expected.tool}{words}; easel cannot repeat it\n")


def test_a1111s_picture_is_drawn_with_another_model(fake_job: None, tmp_path: Path, capsys: Any) -> None:
    save_png(tmp_path / "a.png", drawn(), {"parameters": A1111})
    assert easel("again", tmp_path / "a.png") == 2
    assert "A1111's text: 'masterpiece, a cat, on two lines': give --model NAME" in capsys.readouterr().err
    assert easel("again", tmp_path / "a.png", "--model", "pocket", "--out", tmp_path / "out", "--quiet") == 0
    shown = capsys.readouterr().out
    assert "left out: LoRA ink:0.8; Model hash: 6ce0161689; Model: v1-5; Denoising strength: 0.7; Clip skip: 2" in shown
    recipe = read_provenance(next((tmp_path / "out").glob("0*.png")))["easel"]["recipe"]
    assert (recipe["seed"], recipe["steps"], recipe["model"], recipe["height"]) == (1234567890, 20, "pocket", 768)
    assert easel("again", tmp_path / "a.png", "--model", "pocket", "--out", tmp_path / "b", "--quiet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["left_out"][4] == "Clip skip: 2"


@pytest.mark.parametrize(
    "text",
    [
        '{"recipe": {"kind": "stylize", "photo": "' + "a" * 300 + '"}}',
        '{"recipe": {"kind": "stylize", "photo": "' + "a" * 70_000 + '"}}',
        '{"recipe": {"kind": "stylize", "photo": "a\\nerror: b\\u001b[31m"}}',
        '{"recipe": {"kind": "generate", "prompt": "\\ud800"}}',
        '{"recipe": {"kind": "generate", "prompt": "a", "model": "/' + "a/" * 3000 + '"}}',
        '{"recipe": {"kind": ["generate"]}}',
        '{"recipe": {"kind": "generate", "prompt": "a", "seed": 1e400}}',
        '{"recipe": ' + "[" * 50_000,
        "[]",
        "\\ud800",
    ],
)
def test_hostile_provenance_is_one_line(tmp_path: Path, text: str, capsys: Any) -> None:
    save_png(tmp_path / "x.png", drawn(), {"easel": text})
    assert easel("again", tmp_path / "x.png", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "\x1b" not in error
    assert len(error) < 4200


def test_text_in_latin_1_is_read(tmp_path: Path, capsys: Any) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "NovelAI")
    info.add_text("Description", "un été")
    Image.new("RGB", (32, 32)).save(tmp_path / "x.png", pnginfo=info)
    assert read_provenance(tmp_path / "x.png")["made_by"] == MadeBy("NovelAI", "un été")


# --- names, not places ------------------------------------------------------------------------------------------------


def test_what_travels_in_a_picture_holds_names_and_no_places(tmp_path: Path) -> None:
    model, style = tmp_path / "models" / "mine", tmp_path / "style.png"
    model.mkdir(parents=True)
    style.write_bytes(b"")
    recipe = {
        "kind": "transfer",
        "photo": "/gone/private/cat.jpg",
        "style": [f"{style}:0.5", "near/x.png:2"],
        "features": str(model),
        "styles_file": "mine.yaml",
        "caption": "/ a slash",
        "seed": 3,
    }
    kept = {
        "kind": "transfer",
        "photo": "cat.jpg",
        "style": ["style.png:0.5", "near/x.png:2"],
        "features": "mine",
        "styles_file": "mine.yaml",
        "caption": "/ a slash",
        "seed": 3,
    }
    assert without_places(recipe) == kept
    text = record(recipe, device="cpu", dtype="float32", versions={})
    assert "private" not in text
    assert str(tmp_path) not in text
    (tmp_path / "cat.jpg").write_bytes(b"")
    whole = recipe | {"photo": str(tmp_path / "cat.jpg")}
    assert with_places(kept, whole) == whole
    assert with_places(kept, recipe)["photo"] == "cat.jpg"  # gone: stays a name
    (tmp_path / "canny").mkdir()
    edges = {"kind": "stylize", "photo": "a.jpg", "method": "canny", "control_model": "canny"}
    given = {"control_model": str(tmp_path / "canny")}
    assert with_places(edges, edges | given) == edges | given  # the method is no folder, though one is called so
    loras = {"kind": "generate", "prompt": "/imagine a cat", "lora": [f"{style}:0.8:0.5", "x.safetensors"]}
    assert without_places(loras) == loras | {"lora": ["style.png:0.8:0.5", "x.safetensors"]}


def test_again_finds_the_photo(fake_job: None, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, other = tmp_path / "photos" / "photo.png", tmp_path / "elsewhere"
    photo.parent.mkdir()
    other.mkdir()
    save_png(photo, drawn(), {})
    assert easel("stylize", photo, "--out", tmp_path / "run", "--quiet") == 0
    assert str(tmp_path) in (tmp_path / "run" / "recipe.yaml").read_text()
    picture = tmp_path / "run" / "000.png"
    assert read_provenance(picture)["easel"]["recipe"]["photo"] == "photo.png"
    assert easel("again", picture, "--out", tmp_path / "a", "--quiet") == 0  # by the run's own recipe
    lonely = picture.rename(other / "000.png")
    capsys.readouterr()
    assert easel("again", lonely, "--out", tmp_path / "b", "--quiet") == 2
    assert "was made from photo.png, which is not here: say where with --photo" in capsys.readouterr().err
    assert easel("again", lonely, "--photo", photo, "--out", tmp_path / "c", "--quiet") == 0
    monkeypatch.chdir(photo.parent)
    assert easel("again", lonely, "--out", tmp_path / "d", "--quiet") == 0


def test_a_picture_without_a_word_says_so(tmp_path: Path) -> None:
    save_png(tmp_path / "x.png", drawn(), {"Title": "a cat"})
    with pytest.raises(EaselError, match="does not say how it was made"):
        read_provenance(tmp_path / "x.png")
