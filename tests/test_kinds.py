"""A new kind is one recipe, one job, one example and one line in one table: here it is added, and every face has it."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import easel
from easel.cli import command_table, main
from easel.cli.reference import page, stub
from easel.images import open_picture
from easel.kinds import KINDS, Kind
from easel.provenance import read_provenance, with_places
from easel.recipes import read_yaml, recipe_from
from easel.result import Result
from tests.toy.recipe import Frame

ROOT = Path(__file__).parent.parent
EXAMPLE = "kind: frame\nphoto: {photo}\nmaterial: paint\nwidth: 5\nseed: 4\n"


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the table; recipe and job are in tests/toy."""
    monkeypatch.setitem(KINDS, "frame", Kind("Put a frame around a photo.", "tests.toy.recipe:Frame", "tests.toy.job"))


@pytest.fixture
def example(frame: None, photo: Path, tmp_path: Path) -> Path:
    path = tmp_path / "frame.yaml"
    path.write_text(EXAMPLE.format(photo=photo))
    return path


def test_on_the_command_line(example: Path, photo: Path, tmp_path: Path, capsys: Any) -> None:
    assert "frame" in command_table()
    assert main(["--help"]) == 0
    assert "Put a frame around a photo." in capsys.readouterr().out
    assert main(["frame", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--width" in shown
    assert "Settings of paint" in shown
    words = ["frame", str(photo), "--width", "3", "--seed", "1", "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == {"frame": "#8a5a2b"}
    assert Result.read(tmp_path / "out").images[0].size == (96 + 6, 64 + 6)
    assert main(["frame", str(photo), "--colour", "red"]) == 2
    assert "colour: belongs to paint, not to wood" in capsys.readouterr().err
    assert main(["frame", str(photo), "--widht", "3"]) == 2
    assert "--width" in capsys.readouterr().err


def test_from_yaml(example: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["run", str(example), "--out", str(tmp_path / "a"), "--quiet"]) == 0
    assert main(["frame", "--recipe", str(example), "--width", "6", "--out", str(tmp_path / "b"), "--quiet"]) == 0
    assert [Result.read(tmp_path / name).images[0].size for name in "ab"] == [(106, 74), (108, 76)]
    kept = read_yaml(tmp_path / "a" / "recipe.yaml")
    assert kept == read_yaml(example)
    assert isinstance(kept, Frame)


def test_from_python(frame: None, photo: Path, tmp_path: Path) -> None:
    function = easel.frame  # type: ignore[attr-defined]
    assert list(inspect.signature(function).parameters)[:2] == ["photo", "material"]
    assert easel.Frame is Frame  # type: ignore[attr-defined]
    assert {"frame", "Frame"} <= set(dir(easel))
    one = function(photo, width=4, out=tmp_path / "a")
    other = easel.run(Frame(photo=str(photo), width=4, seed=9), out=tmp_path / "b")
    assert one.images[0].tobytes() == other.images[0].tobytes()


def test_in_the_picture(example: Path, tmp_path: Path, capsys: Any) -> None:
    result = easel.run(example, out=tmp_path / "a")
    inside = read_provenance(result.picture_paths[0])
    whole = read_yaml(example)
    assert recipe_from(with_places(inside["easel"]["recipe"], whole.plain())) == whole
    assert inside["parameters"] == "Frame: 5"
    assert main(["again", str(result.picture_paths[0]), "--out", str(tmp_path / "b")]) == 0
    assert "max 0, mean 0 of 255" in capsys.readouterr().out


def test_in_the_reference_and_the_stub(frame: None) -> None:
    assert "### frame: settings of paint" in page()
    assert "| `width` | whole number, 1 to 100 | 8 |" in page()
    assert "def frame(\n    photo: str | Path,\n    *,\n" in stub()


def test_nothing_else_names_a_kind() -> None:
    """Of the modules outside a kind's own, only the table says its name as a word of its own."""
    for word in ("transfer", "score-ppl", "data-summary"):
        own = {KINDS[word].path.partition(":")[0], KINDS[word].job, "easel.kinds", "easel.recipes.upgrade"}
        for path in sorted((ROOT / "easel").rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            lines = [one.lineno for one in ast.walk(tree) if isinstance(one, ast.Constant) and one.value == word]
            assert not lines or module in own, f"{module}:{lines[0]} names {word}"


def test_pictures_open(example: Path, tmp_path: Path) -> None:
    result = easel.run(example, out=tmp_path / "a")
    assert open_picture(result.picture_paths[0]).getpixel((0, 0)) != (0, 0, 0)
