"""Shortcuts and compiled UNets on tiny models of every family, and the one table of the benchmarks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from benchmarks import fast, gpu, table
from benchmarks.timing import Ratio, Row, Timed
from easel import models, runners
from easel.errors import EaselError
from easel.models.diffusion import Control, PictureRequest, compiled, guidance, schedulers, shortcuts, tasks
from easel.models.diffusion.batch import Batch
from easel.models.diffusion.settings import Defaults, Sampling, Settings, resolve
from easel.models.logging import silence
from easel.provenance import read_provenance
from easel.recipes import recipe_from
from easel.recipes.edit import Edit
from easel.recipes.generate import Generate
from tests import tiny

FAMILIES = ("sd", "eight", "sdxl")
ASKED = Sampling(6, 5.0, "ddim", 64, 64)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    silence()
    folder = tmp_path_factory.mktemp("fast")
    for name, make in (("sd", tiny.sd), ("eight", tiny.eight_channels), ("sdxl", tiny.sdxl)):
        make(folder / name)
    tiny.with_channels(folder / "sd", folder / "sd-instruct", "instruct")
    tiny.controlnet(folder / "sd", folder / "sd-canny", 2)
    tiny.adapter(folder / "sd", folder / "sd-adapter", 3)
    return folder


@pytest.fixture
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC)


def load(path: Path, role: str = "text-to-image") -> Any:
    return models.load(str(path), role, "cpu", "float32")  # type: ignore[call-overload]


def draw(model: Any, asked: Sampling, texts: tuple[str, ...] = ("a red bird", "a cat"), **more: Any) -> Any:
    requests = [PictureRequest(text, seed, sampling=asked, **more) for seed, text in enumerate(texts)]
    return [one.image for one in model.generate(requests)]


def far(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


def rows_seen(model: Any) -> list[int]:
    """A list that grows with each call of the model's UNet by the rows of its batch."""
    seen: list[int] = []
    model.pipeline.unet.conv_in.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    return seen


# --- guidance in an interval ------------------------------------------------------------------------------------------


def test_noise_levels_are_those_of_the_schedule() -> None:
    alphas = torch.tensor([1.0, 0.5, 0.2, 0.0])
    assert [guidance.noise_level(alphas, time) for time in (0, 1, 2, 3, 99)] == pytest.approx(
        [0, 1, 2, *[math.inf] * 2]
    )
    assert guidance.noise_level(alphas, torch.tensor(1.5)) == pytest.approx((0.65 / 0.35) ** 0.5)


@pytest.mark.parametrize("name", FAMILIES)
def test_outside_the_interval_the_prompt_alone_is_asked(
    shelf: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(shelf / name)
    exact, without = draw(model, ASKED), draw(model, replace(ASKED, guidance_scale=1.0))
    seen = rows_seen(model)
    limited = replace(ASKED, fast=("interval",))
    some = draw(model, limited)
    alphas = schedulers.noise_schedule(model.pipeline.scheduler)[0]
    times = [float(time) for time in model.pipeline.scheduler.timesteps]
    low, high = shortcuts.INTERVAL
    assert seen == [4 if low < guidance.noise_level(alphas, time) <= high else 2 for time in times]
    assert {2, 4} == set(seen)
    assert far(some[0], exact[0]) > 0
    # an interval that holds every level is the exact picture, one that holds none is guidance scale 1
    monkeypatch.setattr(shortcuts, "INTERVAL", (-1.0, math.inf))
    assert far(draw(model, limited)[0], exact[0]) == 0
    monkeypatch.setattr(shortcuts, "INTERVAL", (-2.0, -1.0))
    assert far(draw(model, limited)[0], without[0]) <= 1


# --- inner blocks that are kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_inner_blocks_are_worked_out_as_often_as_told(shelf: Path, name: str) -> None:
    model, asked, inner = load(shelf / name), replace(ASKED, fast=("cache",)), []
    unet = model.pipeline.unet
    exact, seen = draw(model, ASKED), rows_seen(model)
    unet.mid_block.resnets[0].register_forward_hook(lambda *_: inner.append(len(seen)))
    fast_one = draw(model, asked)
    assert len(seen) == ASKED.steps
    assert inner == [1, 2, 3, 5]  # the first two, and then every second
    assert far(exact[0], fast_one[0]) > 0
    assert not any("forward" in vars(block) for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks))
    assert far(draw(model, ASKED)[0], exact[0]) == 0  # nothing is left behind


def test_what_stays_the_same_is_answered_exactly(shelf: Path) -> None:
    """The same call, kept or worked out; and the prompt half alone after both halves."""
    unet = load(shelf / "sd").pipeline.unet
    x, words = torch.randn(4, 4, 8, 8), torch.randn(4, 77, tiny.WIDTH)

    def asked(rows: slice, latents: Any = x) -> Any:
        with torch.no_grad():
            return unet(latents[rows], torch.tensor(10), encoder_hidden_states=words[rows], return_dict=False)[0]

    both, half = slice(None), slice(2, None)
    whole = asked(both)
    with shortcuts.kept(unet, 9):
        for _ in range(shortcuts.FIRST + 1):  # worked out, at its end because it is due
            asked(both)
        assert torch.equal(asked(both), whole)
        assert torch.allclose(asked(half), whole[half], atol=1e-5)
        moved = asked(both, x + 0.5)
        assert not torch.allclose(moved, whole, atol=1e-3)  # the outer blocks answer to what is new
    assert not torch.allclose(moved, asked(both, x + 0.5), atol=1e-3)  # and the inner ones did not
    with shortcuts.kept(unet, 9):
        for _ in range(shortcuts.FIRST + 1):
            asked(half)
        assert torch.allclose(asked(both), whole, atol=1e-5)  # more rows than are kept: worked out


def test_a_stopped_drawing_leaves_no_shortcut_behind(shelf: Path) -> None:
    model = load(shelf / "eight")
    hooks = len(model.pipeline.unet._forward_hooks)

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(model.generate([PictureRequest("a", 1, sampling=replace(ASKED, fast=("interval", "cache")))], report=stop))
    assert len(model.pipeline.unet._forward_hooks) == hooks
    assert "forward" not in vars(model.pipeline.unet.mid_block)


# --- all of them ------------------------------------------------------------------------------------------------------


def test_fewer_steps_are_taken_by_a_better_solver_unless_one_is_asked_for() -> None:
    own = Defaults(scheduler="ddim")
    few = resolve(Sampling(20, fast=("steps",)), own)
    assert (few.steps, few.scheduler, few.steps_done) == (10, shortcuts.SOLVER, 10)
    assert resolve(Sampling(9, scheduler="euler", fast=("steps",)), own).scheduler == "euler"
    assert resolve(Sampling(1, fast=("steps",)), own).steps == 1
    with pytest.raises(EaselError, match="'lcm' is for few steps already: leave 'steps' out"):
        resolve(Sampling(4, fast=("steps",)), Defaults(scheduler="lcm"))
    with pytest.raises(EaselError, match="no shortcut called 'chache'"):
        resolve(Sampling(4, fast=("chache",)), own)


@pytest.mark.parametrize("every", [1, 2])
def test_a_picture_with_all_shortcuts_is_its_own(shelf: Path, every: int) -> None:
    """Whatever its neighbour shows, and drawn again in its place; beside guidance that is reused too."""
    model, asked = load(shelf / "sdxl"), replace(ASKED, fast=("interval", "cache", "steps"), guidance_every=every)
    one, other = draw(model, asked), draw(model, asked, ("a red bird", "a house"))
    assert far(one[0], other[0]) == 0
    assert far(one[1], other[1]) > 0
    assert far(draw(model, asked, ("a red bird",), place=(0, 2))[0], one[0]) == 0


def test_controls_and_instructions_take_shortcuts_or_refuse_them(shelf: Path, photo: Image.Image) -> None:
    every = replace(ASKED, fast=("interval", "cache", "steps"))
    for name, task in (("sd-canny", "control"), ("sd-adapter", "adapter")):
        network = load(shelf / name, "controlnet" if task == "control" else "adapter")
        one = [
            draw(load(shelf / "sd"), every, ("a",), task=task, controls=(Control(network, photo),)) for _ in range(2)
        ]
        assert far(one[0][0], one[1][0]) == 0
    model = load(shelf / "sd-instruct", "instruct")
    asked = replace(every, width=None, height=None)
    with pytest.raises(EaselError, match="instruct is guided by the photo too: leave 'interval' out"):
        draw(model, asked, ("a",), task="instruct", image=photo)
    with pytest.raises(EaselError, match="instruct asks for 3 rows at once: use guidance_every 1"):
        tasks.check(PictureRequest("a", 1, sampling=Sampling(guidance_every=2), task="instruct", image=photo))
    assert draw(model, replace(asked, fast=("cache", "steps")), ("a",), task="instruct", image=photo)
    with pytest.raises(ValidationError, match="leave 'interval' out"):
        Edit(photo="a.png", prompt="make it night", method="instruct", fast=("all",))


def test_what_a_model_cannot_take_is_refused_before_a_step(shelf: Path) -> None:
    model = load(shelf / "sd")
    seen = rows_seen(model)
    with pytest.raises(EaselError, match="drawn without guidance, so there is none to limit: leave 'interval' out"):
        draw(model, replace(ASKED, guidance_scale=1.0, fast=("interval",)))
    one_block = SimpleNamespace(up_blocks=[1], config=SimpleNamespace(time_cond_proj_dim=None))
    with pytest.raises(EaselError, match="no inner blocks whose answers could be kept: leave 'cache' out"):
        shortcuts.check_fits(("cache",), one_block, 5.0)
    assert seen == []


def test_a_picture_says_which_shortcuts_it_took_and_is_made_again(shelf: Path, tmp_path: Path) -> None:
    recipe = Generate(prompt="a", seed=3, steps=6, model=str(shelf / "sd"), fast=("all",), guidance_scale=5.0)
    assert recipe.fast == ("interval", "cache", "steps")
    assert Generate(prompt="a", fast=("steps", "cache", "steps")).fast == ("cache", "steps")
    made = runners.run(recipe, tmp_path / "one", "cpu", "float32")
    told = read_provenance(made.picture_paths[0])["easel"]
    assert told["recipe"]["fast"] == ["interval", "cache", "steps"]
    assert (told["recipe"]["steps"], told["steps"], told["scheduler"]) == (6, 3, shortcuts.SOLVER)
    plain = told["recipe"] | {"model": str(shelf / "sd")}
    again = runners.run(recipe_from(plain), tmp_path / "two", "cpu", "float32")
    assert far(made.images[0], again.images[0]) == 0


# --- compiled ---------------------------------------------------------------------------------------------------------


class Compiler:
    """In place of torch.compile: counts what it is given and what is called."""

    def __init__(self) -> None:
        self.given = self.called = 0
        self.packed = self.graphs = False

    def __call__(self, function: Any, **options: Any) -> Any:
        self.given += 1

        def run(*args: Any, **kwargs: Any) -> Any:
            self.called += 1
            self.packed, self.graphs = torch._inductor.config.freezing, torch._inductor.config.triton.cudagraphs
            assert options["options"] == {"freezing": self.packed, "triton.cudagraphs": self.graphs}
            return function(*args, **kwargs)

        return run


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compiler:
    made = Compiler()
    monkeypatch.setattr(torch, "compile", made)
    monkeypatch.setattr(compiled, "missing", lambda _device: "")
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path / "compiled")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    return made


def test_a_unet_is_compiled_once_and_its_blocks_go_with_shortcuts(shelf: Path, compiler: Compiler) -> None:
    model = load(shelf / "sd")
    unet = model.pipeline.unet
    plain = [draw(model, replace(ASKED, fast=words)) for words in ((), ("cache",))]
    like = PictureRequest("a", 1, sampling=ASKED)
    for _ in range(2):
        compiled.prepare(model, like, 4, 2, "packed")
        assert compiler.given == 1
    assert compiler.packed
    assert not torch._inductor.config.freezing
    assert model.compiled.word == "packed"
    before = compiler.called
    same = [draw(model, replace(ASKED, fast=words)) for words in ((), ("cache",))]
    assert compiler.called > before
    assert [far(a[0], b[0]) for a, b in zip(plain, same, strict=True)] == [0, 0]
    # where blocks are left out each is compiled, and still is after the shortcut
    assert compiler.given == 1 + len(unet.down_blocks) + len(unet.up_blocks) + 1
    assert "forward" in vars(unet.mid_block)
    assert "forward" not in vars(unet)
    model.refresh()
    assert not model.compiled.is_on
    assert "forward" not in vars(unet.mid_block)


def test_on_a_gpu_weights_are_fused_and_a_step_is_one_graph(shelf: Path, compiler: Compiler) -> None:
    model = load(shelf / "sd")
    model.device = model.compiled._device = torch.device("cuda")
    unet, names = model.pipeline.unet, list(model.pipeline.unet.state_dict())
    x, words = torch.ones(2, 4, 8, 8), torch.ones(2, 77, unet.config.cross_attention_dim)
    x[0] = torch.randn(4, 8, 8)

    def said() -> Any:
        with torch.no_grad():
            return unet(x, 500, encoder_hidden_states=words, return_dict=False)[0]

    plain = said()
    model.compiled.turn_on("packed")
    assert any(name.endswith("to_qkv.weight") for name in unet.state_dict())
    torch.testing.assert_close(said(), plain)
    assert (compiler.packed, compiler.graphs) == (False, True)
    assert not torch._inductor.config.triton.cudagraphs
    model.compiled.turn_on("packed", by_block=True)
    torch.testing.assert_close(said(), plain)
    assert (compiler.packed, compiler.graphs) == (False, False)
    model.compiled.forget()
    assert list(unet.state_dict()) == names
    assert torch.equal(said(), plain)


def test_a_model_with_a_lora_is_compiled(shelf: Path, compiler: Compiler, tmp_path: Path) -> None:
    """Its effect is noted with the first pictures, uncompiled, and what was asked for is turned on again after that."""
    model = load(shelf / "sd")
    model.add_loras([str(tiny.lora(tmp_path / "style.safetensors"))])
    model.compiled.turn_on("packed")
    draw(model, ASKED)
    assert model.compiled.word == "packed"
    assert compiler.called > 0
    assert any("style.safetensors" in note for note in model.notes)


def test_weights_are_not_fused_beside_a_lora(shelf: Path, tmp_path: Path) -> None:
    model = load(shelf / "sd")
    model.add_loras([str(tiny.lora(tmp_path / "style.safetensors"))])
    compiled.fuse(model.pipeline.unet)
    assert not any(".to_qkv." in name for name in model.pipeline.unet.state_dict())


def test_a_compiled_model_draws_batches_of_one_size(shelf: Path, compiler: Compiler) -> None:
    model = load(shelf / "sd")
    model.compiled.turn_on()
    seen = rows_seen(model)
    some = [PictureRequest("a", seed, sampling=replace(ASKED, steps=1)) for seed in range(3)]
    drawn = list(model.generate(some, 2))
    assert seen == [4, 4]
    assert [one.place for one in drawn] == [(0, 2), (1, 2), (0, 2)]
    whole = Batch((some[0],), Settings(1, 5.0, "ddim", 64, 64), 1, {7: 0}).filled(3)
    assert whole.requests == (some[0],) * 3
    assert whole.wanted == {7: 0}


def test_a_short_run_is_not_compiled_unasked_and_says_why(
    shelf: Path, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, like = load(shelf / "sd"), PictureRequest("a", 1, sampling=ASKED)
    monkeypatch.setattr(compiled, "SECONDS", {"yes": (1.0, 1.0), "packed": (2.0, 2.0)})
    compiled.prepare(model, like, 2, 1, "auto")
    assert model.compiled.word == "no"
    assert any(note.startswith("drawn uncompiled: compiling takes about ") for note in model.notes)
    assert compiler.given == 0
    monkeypatch.setattr(compiled, "SECONDS", {"yes": (1e-9, 1e-9), "packed": (2.0, 2.0)})
    compiled.prepare(model, like, 2, 1, "auto")
    assert model.compiled.word == "yes"
    assert compiler.given > 0


def test_without_a_compiler_it_is_refused_or_left_out(shelf: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    wish: dict[str, Any] = {"prompt": "a", "seed": 1, "steps": 1, "model": str(shelf / "sd")}
    lacks = r"no C\+\+ compiler is on this machine \(g\+\+, gcc, clang\+\+\)"
    with pytest.raises(EaselError, match=f"compile: {lacks}: install one, or leave --compile out"):
        runners.run(Generate(**wish, compile="yes"), tmp_path / "one", "cpu", "float32")
    made = runners.run(Generate(**wish, compile="auto"), tmp_path / "two", "cpu", "float32")
    assert any(note.startswith("drawn uncompiled: no C++ compiler") for note in made.notes)
    assert read_provenance(made.picture_paths[0])["easel"]["recipe"]["compile"] == "no"
    assert "torch.compile is not used on mps" in compiled.missing(torch.device("mps"))
    assert "give --compile yes, packed or no" in Generate(**wish, compile="auto").whole_only()


# --- a GPU's script, and the one table --------------------------------------------------------------------------------


def test_the_gpu_script_goes_its_way_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--tiny"])
    lines = capsys.readouterr().out.splitlines()
    drawn = [line for line in lines if " batch " in line]
    assert len(drawn) == 4
    exact = [line for line in drawn if "guided" not in line]
    assert all(" 0 levels apart" in line or " 1 levels apart" in line for line in exact)
    assert all("% of the roof" in line for line in exact)
    assert "rows at most " in lines[-1]
    assert gpu.work_of("cpu", 2, tiny=True) == 2 * gpu.work_of("cpu", 1, tiny=True) > 0
    asked = SimpleNamespace(dreambooth=Path("script.py"), stylegan=Path("ada"), room=Path("room"))
    assert [words[0] for words in gpu.others(asked)] == ["benchmarks.personalize", "benchmarks.stylegan"]  # type: ignore[arg-type]


def test_rows_say_what_was_measured_or_why_not() -> None:
    theirs, ours = Timed([2.0, 4.0, 9.0], [], [4.0, 4.0, 4.0]), Timed([1.0, 2.0, 3.0], [], [1.0, 2.0, 4.0])
    row = Row.of("work", "peer", theirs, ours, "sums")
    assert (row.clock, row.processor) == (Ratio(2.0, 2.0, 3.0, 3), Ratio(2.0, 1.0, 4.0, 3))
    cells = ("work", "2 s", "peer", "4 s", "2.00 (2.00 to 3.00)", "2.00 (1.00 to 4.00)", "3", "sums")
    assert row.cells() == cells
    assert Row.from_plain(row.plain()) == row
    none = Row.not_run("work", "peer", "needs --peer PATH")
    assert Row.from_plain(none.plain()) == none
    lines = table.table([row, none]).splitlines()
    assert {line.count("|") for line in lines} == {len(table.HEADS) + 1}
    assert "not run: needs --peer PATH" in lines[-1]


def test_every_module_of_the_table_has_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    assert all(callable(importlib.import_module(f"benchmarks.{name}").rows) for name in table.NAMES)
    asked = table.parser().parse_args([])
    for name in ("stylegan", "personalize"):
        (row,) = importlib.import_module(f"benchmarks.{name}").rows(asked)
        assert row.limit.startswith("not run: needs --")
    assert table.main(["nonsense"]) == 2


def test_prices_are_of_the_same_prompts_and_seeds() -> None:
    from easel.models.logging import silence

    silence()
    model = models.load("pocket", "text-to-image", "cpu", "float32")
    ways = {fast.EXACT: fast.Way(), "twin": fast.Way(), "fewer": fast.Way(("steps",))}
    found = fast.measured(model, fast.prompts(2), 2, "pocket", ways)
    assert found[fast.EXACT].distance.value == found["twin"].distance.value == pytest.approx(0.0, abs=1e-6)
    assert found["twin"].lost.value == 0
    assert found["fewer"].distance.value > 0.001
    assert found["fewer"].ratio.n == 2
