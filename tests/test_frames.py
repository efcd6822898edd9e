"""How deep a reader must go: from the command to the tensors there are at most ten frames of ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from easel.cli import main
from easel.networks import dcgan

ROOT = Path(__file__).parent.parent
OURS = str(ROOT / "easel")
MOST = 10


class Seen(Exception):
    """The place was reached; what lay above it is in `frames`."""

    def __init__(self, frames: list[str]) -> None:
        self.frames = frames
        super().__init__(" > ".join(frames))


def frames() -> list[str]:
    """Our own frames above the caller, from the command down."""
    found = []
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            found.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return found[::-1]


def stop(*_: Any, **__: Any) -> None:
    raise Seen(frames())


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Our frames from `easel WORDS` down to where it stops."""
    seen: list[list[str]] = []
    monkeypatch.chdir(ROOT)

    def note(problem: Exception, *_: Any) -> Exception:
        assert isinstance(problem, Seen), problem
        seen.append(problem.frames)
        return problem

    monkeypatch.setattr("easel.runners.local.unexpected", note)
    monkeypatch.setattr("easel.cli.unexpected", note)

    def run(*words: str) -> list[str]:
        assert main([*words, "--out", str(tmp_path / "out"), "--device", "cpu", "--quiet"]) == 1
        return seen[0]

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "a red bird", "--steps", "1", "--width", "64", "--height", "64"),
        ("stylize", "examples/photo.jpg", "--styles", "monet", "--steps", "4", "--width", "64", "--height", "64"),
    ],
    ids=lambda words: words[0],
)
def test_a_picture_is_ten_frames_away(
    reached: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("easel.models.diffusion.trial.try_once", lambda *_: None)  # which asks the UNet as it loads
    monkeypatch.setattr(diffusers.UNet2DConditionModel, "forward", stop)
    found = reached(*words)
    assert found[0] == "__init__.main"
    assert len(found) <= MOST, " > ".join(found)


def test_a_training_is_ten_frames_away(reached: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    critic = type(dcgan.players(dcgan.Config(resolution=16, channels=8, widest=16))["critic"])
    monkeypatch.setattr(critic, "forward", stop)
    found = reached("train", "dcgan", "examples/faces", "--resolution", "16", "--channels", "8", "--widest", "16")
    assert found[0] == "__init__.main"
    assert any("loop" in frame for frame in found)
    assert len(found) <= MOST, " > ".join(found)


def test_a_trained_model_is_ten_frames_away(reached: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.networks import stylegan

    monkeypatch.setattr(stylegan.Generator, "styles", stop)
    found = reached("generate", "--model", "examples/trained")
    assert len(found) <= MOST, " > ".join(found)
    assert torch.is_grad_enabled()
