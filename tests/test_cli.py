"""The command line: read from the recipes, quick to answer, one line for what is wrong, a clean stop on Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from easel import progress as in_words
from easel.cli import command_table, main, progress
from easel.cli.reference import main as reference
from easel.errors import EaselError, shortened
from easel.images import save_png
from easel.kinds import KINDS
from easel.provenance import read_provenance
from easel.recipes.describe import settings
from easel.result import Result
from easel.workspace import Step, clock
from tests.conftest import drawn, fake_run

ROOT = Path(__file__).parent.parent


def easel(*words: object) -> int:
    return main([str(word) for word in words])


def python(code: str, *words: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120, **options)


# help


def test_help_is_quick_and_loads_nothing_heavy():
    code = """
import sys, time
from easel.cli import main
assert main(["--help"]) == 0
heavy = {"torch", "diffusers", "transformers", "numpy", "cv2", "PIL", "pydantic"} & set(sys.modules)
assert not heavy, heavy
assert time.process_time() < 0.5, time.process_time()
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "stylize" in done.stdout


def test_help_of_every_command_loads_no_torch(capsys):
    code = """
import sys
from easel.cli import command_table, main
for words in command_table():
    assert main([*words.split(), "--help"]) == 0
heavy = {"torch", "diffusers", "transformers", "cv2", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [words for words, (target, _) in command_table().items() if ".commands:" in target])
def test_flags_are_the_recipe(capsys, words):
    assert easel(*words.split(), "--help") == 0
    text = capsys.readouterr().out
    for flag in ("--seed", "--out", "--json", "--quiet", "--device", "--dtype", "--recipe"):
        assert flag in text or (flag == "--out" and "DIR" in text) or words == "run"
    if words == "run":
        return
    for setting in settings(KINDS[words.replace(" ", "-")].recipe):
        assert setting.in_file != (setting.flag in text or setting.name.upper() in text), setting.name
        if setting.only and not setting.in_file:
            assert f"Settings of {shortened(setting.only.title)}" in " ".join(text.split())


def test_every_command_has_help_and_a_place():
    assert {*KINDS, "run"} <= {words.replace(" ", "-") for words in command_table()}
    for words, (target, meaning) in command_table().items():
        assert words
        assert ":" in target
        assert meaning.endswith(".")


def test_version(capsys):
    import easel as package

    assert easel("--version") == 0
    assert capsys.readouterr().out.strip() == package.__version__


# running


def test_a_run_shows_answer_scores_and_place(fake_job, photo, tmp_path, capsys):
    assert easel("stylize", photo, "--seed", 5, "--count", 2, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "a spot" in shown.out
    assert "0.250 to 0.750" in shown.out
    assert f"written to {tmp_path / 'out'}" in shown.out
    assert "draw: 2 of 2" in shown.err
    assert Result.read(tmp_path / "out").versions["device"] == "cpu"


def test_json_is_all_that_goes_to_stdout(fake_job, photo, tmp_path, capsys):
    assert easel("ask", photo, "red?", "--json", "--out", tmp_path / "out") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["folder"] == str(tmp_path / "out")
    assert shown["scores"][0]["judge"] == "nobody"
    del shown["folder"]
    assert shown == json.loads((tmp_path / "out" / "result.json").read_text())


def test_quiet_is_the_answer_alone(fake_job, photo, tmp_path, capsys):
    assert easel("ask", photo, "red?", "--quiet", "--out", tmp_path / "out") == 0
    assert capsys.readouterr() == ("a spot\n", "")
    assert easel("stylize", photo, "--quiet", "--out", tmp_path / "out") == 0
    assert capsys.readouterr() == (f"{tmp_path / 'out'}\n", "")


def test_lists_and_repeated_flags(fake_job, photo, tmp_path):
    words = [
        "--styles",
        "monet",
        "banksy",
        "--lora",
        "a.safetensors:0.5",
        "--lora",
        "b.safetensors",
        "--negative-prompt",
        "-x",
    ]
    assert easel("stylize", photo, *words, "--out", tmp_path) == 0
    recipe = read_provenance(tmp_path / "000.png")["easel"]["recipe"]
    assert recipe["styles"] == ["monet", "banksy"]
    assert recipe["lora"] == ["a.safetensors:0.5", "b.safetensors"]
    assert recipe["negative_prompt"] == "-x"


@pytest.mark.parametrize(("flag", "meant"), [((), None), (("--new-token",), True), (("--no-new-token",), False)])
def test_a_switch_that_may_be_left_open_has_a_no(fake_job, tmp_path, flag, meant):
    assert easel("personalize", tmp_path, "--subject", "sks dog", *flag, "--out", tmp_path / "out") == 0
    assert read_provenance(tmp_path / "out" / "000.png")["easel"]["recipe"]["new_token"] is meant


def test_the_default_folder_names_kind_and_seed(fake_job, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert easel("generate", "a cat", "--seed", 77) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 2
    assert all(name.startswith("generate-2") and "-77" in name for name in names)


def test_a_recipe_file_with_flags_over_it(fake_job, photo, tmp_path):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"kind": "stylize", "photo": str(photo), "seed": 3, "steps": 9}))
    assert easel("stylize", "--recipe", tmp_path / "r.yaml", "--seed", 4, "--out", tmp_path / "a") == 0
    recipe = read_provenance(tmp_path / "a" / "000.png")["easel"]["recipe"]
    assert (recipe["seed"], recipe["steps"]) == (4, 9)
    assert easel("run", tmp_path / "r.yaml", "--count", 2, "--out", tmp_path / "b") == 0
    assert len(Result.read(tmp_path / "b").pictures) == 2


def test_kinds_in_two_words(fake_job, tmp_path):
    assert easel("score", "styles", tmp_path, "--styles", "monet", "--out", tmp_path / "a") == 0
    assert Result.read(tmp_path / "a").kind == "score-styles"
    assert easel("score", "prompt", tmp_path, "--out", tmp_path / "b") == 0
    assert Result.read(tmp_path / "b").kind == "score-prompt"


# what is wrong

WRONG = [
    ("stylize", "photo is missing"),
    ("ask a", "question is missing"),
    ("stylize x --stpes 3", "--steps"),
    ("stylize x --steps -3", "steps is -3: should be greater than or equal to 1"),
    ("stylize x --steps abc", "--steps"),
    ("stylize x --scheduler dim", "ddim"),
    ("stylize x --strength nan", "strength is nan: it must be a finite number"),
    ("stylize x --styles", "--styles"),
    ("stylize x y", "too many words: y"),
    ("styliz x", "stylize"),
    ("score", ""),
    ("score styles", "folder is missing"),
    ("score prompt d --styles x", "--styles"),
    ("generate", "prompt or prompts: neither is given"),
    ("generate cat --count 0", "count is 0"),
    ("generate cat --width 65", "width is 65: must be a multiple of 8"),
    ("run no.yaml", "there is no file no.yaml"),
    ("again no.png", "there is no file no.png"),
    ("stylize x --recipe no.yaml", "there is no file no.yaml"),
    ("stylize x --out /dev/null/x", "a file is where a folder is needed"),
    ("--foo", "--foo"),
    ("stylize x --steps 1.5", "--steps: '1.5' is not a whole number"),
    ("stylize x --seed 0x10", "--seed: '0x10' is not a whole number"),
    ("stylize x --seed 4294967296", "seed is 4294967296: should be less than or equal to 4294967295"),
    ("generate cat --seed 4294967290 --count 7", "seed: is 4294967290, and the last picture's would be 4294967296"),
    ("ask a b --count 101", "count is 101: should be less than or equal to 100"),
    ("generate cat --batch-size 65", "batch_size is 65"),
    ("data world", "out is missing: name the folder to write into"),
    ("stylize x --method describe --strength 0.5", "strength: belongs to redraw, not to describe"),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_what_is_wrong_is_one_line(fake_job, capsys, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    code = easel(*line.split())
    shown = capsys.readouterr()
    if not words:
        assert (code, shown.err) == (0, "")
        return
    assert code == 2
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert words in shown.err
    assert not (tmp_path / "out").exists()


def test_unknown_devices_and_formats(capsys, photo, tmp_path):
    for words, wanted in (
        (("--device", "cdua"), "no device called 'cdua': use one of cuda"),
        (("--dtype", "bfloat61"), "called 'bfloat61': use one of bfloat16"),
        (("--dtype", "float16", "--device", "cpu"), "float16"),
    ):
        assert easel("stylize", photo, *words, "--out", tmp_path / "out") == 2
        assert wanted in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_empty_out_and_names_that_no_folder_can_have(capsys, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out, words in (
        ("", "out is empty"),
        ("a" * 300, "the name is too long"),
        ("b/" * 3000, "the name is too long"),
    ):
        assert easel("ask", photo, "red?", "--device", "cpu", "--out", out) == 2
        assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_folder_belongs_to_one_run_at_a_time(fake_job, photo, tmp_path, monkeypatch, capsys):
    inside = []

    def nested(recipe, workspace):
        inside.append(easel("ask", photo, "red?", "--out", workspace.folder))
        return fake_run(recipe, workspace)

    monkeypatch.setattr("easel.jobs.run", nested)
    assert easel("stylize", photo, "--out", tmp_path / "out") == 0
    assert inside == [2]
    assert "another run is writing into" in capsys.readouterr().err
    assert not (tmp_path / "out" / ".easel.lock").exists()


def test_several_processes_without_their_places(monkeypatch, capsys, photo, tmp_path):
    for size, rank in (("2", None), ("two", "0"), ("2", "zero")):
        monkeypatch.setenv("WORLD_SIZE", size)
        monkeypatch.delenv("RANK", raising=False)
        if rank is not None:
            monkeypatch.setenv("RANK", rank)
        assert easel("ask", photo, "red?", "--out", tmp_path / "out") in (0, 2)
        shown = capsys.readouterr().err
        assert not shown or ("start them with torchrun" in shown and shown.count("\n") == 1)


def test_a_run_that_fails_at_once_leaves_no_folder(fake_job, photo, tmp_path, monkeypatch, capsys):
    def fail(recipe, workspace):
        workspace.save_text("recipe.yaml", "x")
        raise EaselError("no such style")

    monkeypatch.setattr("easel.jobs.run", fail)
    assert easel("stylize", photo, "--out", tmp_path / "new") == 2
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "mine.txt").write_text("x")
    assert easel("stylize", photo, "--out", tmp_path / "old") == 2
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["mine.txt"]


def test_what_lies_in_a_folder_and_is_of_no_run_is_not_overwritten(fake_job, photo, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000.png").write_text("mine")
    assert easel("stylize", photo, "--out", tmp_path / "out") == 2
    assert "000.png was there before and is of no run of easel: choose another --out" in capsys.readouterr().err
    assert (tmp_path / "out" / "000.png").read_text() == "mine"


# again


def test_again_makes_the_same_picture(fake_job, photo, tmp_path, capsys):
    assert easel("stylize", photo, "--seed", 300, "--count", 3, "--out", tmp_path / "a", "--quiet") == 0
    capsys.readouterr()
    assert easel("again", tmp_path / "a" / "002.png", "--out", tmp_path / "b", "--quiet") == 0
    assert "pixel difference: max 0, mean 0 of 255 (0 = identical)" in capsys.readouterr().out
    assert easel("again", tmp_path / "a" / "002.png", "--out", tmp_path / "c", "--quiet", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["max"], shown["mean"], shown["versions_differ"]) == (0, 0, {})


def test_again_says_how_different(fake_job, photo, tmp_path, capsys):
    assert easel("stylize", photo, "--seed", 300, "--out", tmp_path / "a", "--quiet") == 0
    texts = read_provenance(tmp_path / "a" / "000.png")["easel"]
    texts["recipe"]["seed"] += 3
    texts["versions"]["torch"] = "1.0"
    old = drawn(64, 48)
    old.paste((300 % 256, 1, 99), (0, 0, 64, 48))
    save_png(tmp_path / "old.png", old, {"easel": json.dumps(texts)})
    capsys.readouterr()
    assert easel("again", tmp_path / "old.png", "--out", tmp_path / "b", "--quiet") == 0
    shown = capsys.readouterr().out
    assert "max 3, mean 1 of 255" in shown
    assert "torch 1.0 then" in shown


def test_again_without_the_photo_or_the_recipe(fake_job, photo, tmp_path, capsys):
    assert easel("stylize", photo, "--out", tmp_path / "a", "--quiet") == 0
    moved = photo.rename(tmp_path / "moved.jpg")
    assert easel("again", tmp_path / "a" / "000.png", "--out", tmp_path / "b") == 2
    assert "which is not here: say where with --photo" in capsys.readouterr().err
    assert easel("again", tmp_path / "a" / "000.png", "--photo", moved, "--out", tmp_path / "b") == 0
    save_png(tmp_path / "other.png", drawn(), {"parameters": "a cat\nSteps: 3"})
    assert easel("again", tmp_path / "other.png") == 2
    assert "holds no easel recipe" in capsys.readouterr().err
    save_png(tmp_path / "new.png", drawn(), {"easel": '{"recipe": {"kind": "ask", "easel": "99.1"}}'})
    assert easel("again", tmp_path / "new.png") == 2
    assert "install easel 99.1" in capsys.readouterr().err


def test_again_makes_one_picture_and_starts_nothing_else(fake_job, photo, tmp_path, capsys):
    orders = [
        {"kind": "train", "network": "dcgan", "data": "/"},
        {"kind": "caption", "photos": ["/"]},
        {"kind": "data-world", "count": 500_000},
        {"kind": "generate", "prompt": "a", "count": 10_000},
        {"kind": "generate", "prompts": "set.yaml"},
        {"kind": "generate", "model": "m", "walk": 1000},
    ]
    for recipe in orders:
        save_png(tmp_path / "order.png", drawn(), {"easel": json.dumps({"recipe": recipe})})
        assert easel("again", tmp_path / "order.png", "--out", tmp_path / "out") == 2
        assert "not of one picture: if you trust it" in capsys.readouterr().err
    for name, value in (("device", 3), ("dtype", ["float32"]), ("device", None)):
        recipe = {"kind": "generate", "prompt": "a"}
        save_png(tmp_path / "order.png", drawn(), {"easel": json.dumps({"recipe": recipe, name: value})})
        assert easel("again", tmp_path / "order.png", "--out", tmp_path / "out") == 2
        assert f"which is no name: say it with --{name}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# faults of its own, and streams that break


def test_a_fault_is_one_line_and_its_traceback_lies_in_the_run(fake_job, photo, tmp_path, monkeypatch, capsys):
    def fail(recipe, workspace):
        raise ZeroDivisionError("oh\nno \x1b[31m")

    monkeypatch.setattr("easel.jobs.run", fail)
    assert easel("stylize", photo, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "did not expect: ZeroDivisionError: oh no \\x1b[31m; the whole of it is in" in shown
    assert "Traceback" in (tmp_path / "out" / "easel-error.txt").read_text()


def test_a_fault_before_any_run_is_written_where_logs_are(tmp_path, monkeypatch, capsys):
    def fail():
        raise KeyError("x")

    monkeypatch.setattr("easel.models.catalog.listing.rows", fail)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert easel("models", "list") == 1
    assert "did not expect: KeyError: 'x'" in capsys.readouterr().err
    (file,) = (tmp_path / "easel").iterdir()
    assert "Traceback" in file.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "easel", "--version"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: cannot write: the disk is full")
    assert done.stderr.count(b"\n") == 1


def test_closed_streams_and_narrow_terminals(tmp_path):
    command = f"{sys.executable} -m easel doctor"
    environment = os.environ | {"COLUMNS": "1"}
    for words in (f"{command} 2>&-", f"{command} >&- 2>&-", f"{command} | head -1"):
        done = subprocess.run(
            words, shell=True, capture_output=True, cwd=ROOT, env=environment, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr + done.stdout, words


def test_names_that_are_no_text_are_shown_escaped(fake_job, capsys):
    assert easel("run", os.fsdecode(b"no\xe9\n.yaml")) == 2
    assert capsys.readouterr().err == "error: there is no file no\\xe9 .yaml\n"
    assert easel("generate", os.fsdecode(b"caf\xe9")) == 2
    assert "prompt has letters that are no text" in capsys.readouterr().err


def test_leaving_at_once_does_what_was_to_be_done(tmp_path):
    code = """
import atexit, sys, threading, time
import easel.cli
atexit.register(lambda: print("at the end", flush=True))
easel.cli.main = lambda: print("said") or 3
if len(sys.argv) > 1:
    threading.Thread(target=lambda: (time.sleep(0.3), print("worked on"))).start()
easel.cli.enter()
"""
    for words, shown in (([], "said\nat the end\n"), (["thread"], "said\nworked on\nat the end\n")):
        done = python(code, *words)
        assert (done.returncode, done.stdout, done.stderr) == (3, shown, "")


# stopping

SLOW = """
import sys, time
import easel.jobs, easel.runners.machine
from easel.cli import main
from easel.result import Result

def run(recipe, workspace):
    for index in range(1000):
        workspace.step("draw", index, 1000)
        workspace.save_bytes(f"{index}.bin", bytes(200_000))
        print("step", index, flush=True)
        time.sleep(float(sys.argv[1]))

easel.jobs.run = run
easel.runners.machine.resolve = lambda device, dtype: ("cpu", "float32")
sys.exit(main(["generate", "a cat", "--out", sys.argv[2]]))
"""


@pytest.mark.parametrize(("nap", "times"), [("0.02", 1), ("60", 2)])
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_cleanly(tmp_path, nap, times):
    command = [sys.executable, "-c", SLOW, nap, str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "step 0\n"
        for _ in range(times):
            child.send_signal(signal.SIGINT)
            time.sleep(0.3)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert "error: stopped" in errors
    sizes = {path.suffix: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert sizes == {".bin": 200_000}


# progress


def test_progress_in_plain_lines(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("easel.progress.time.monotonic", lambda: now[0])
    shown: list[str] = []
    show = in_words.lines(shown.append)
    for done in range(5):
        now[0] += 6
        show(Step("draw", done, 4, 1 / 6 if done else None, (4 - done) * 6.0))
    assert shown == ["draw: 0 of 4, 0:24 left", "draw: 2 of 4, 6.0 s each, 0:12 left", "draw: 4 of 4, 6.0 s each"]


def test_progress_words():
    assert clock(3675) == "1:01:15"
    assert clock(9.6) == "0:10"
    assert in_words.speed(2.5) == "2.5 a second"
    assert in_words.in_words(Step("load", 0, 1, None, None)) == "load: 0 of 1"


def test_progress_bar_goes_to_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress.watching() as report:
        report(Step("draw", 1, 4, 2.0, 1.5))
        report(Step("draw", 4, 4, 2.0, 0.0))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "draw" in shown.err
    assert "4/4" in shown.err


# the rest


class Line:
    name, about, roles, sources, licence, note = "sd-9", "nine", ("caption",), ("some/where",), "MIT", "moved"
    megabytes = 2100

    def __init__(self, at_hand):
        self.at_hand = at_hand


def test_models_are_listed(capsys):
    assert easel("models", "list") == 0
    shown = capsys.readouterr().out
    for word in ("pocket", "sd-1.5", "at hand", "licence"):
        assert word in shown
    assert easel("models") == 0
    assert capsys.readouterr().out == shown
    assert easel("models", "list", "--json") == 0
    assert {"name", "at_hand", "licence"} <= json.loads(capsys.readouterr().out)[0].keys()


def test_models_are_pulled(monkeypatch, capsys):
    def pull(name, report, *, configs_only, file):
        report(0, 1)
        report(1, 1)
        return [Path("cache") / name]

    monkeypatch.setattr("easel.models.catalog.download.pull", pull)
    assert easel("models", "pull", "sd-9") == 0
    assert capsys.readouterr().out == "sd-9 is in cache/sd-9\n"


@pytest.mark.parametrize("at_hand", [True, False])
def test_doctor(monkeypatch, capsys, at_hand):
    monkeypatch.setattr("easel.models.catalog.listing.rows", lambda: [Line(at_hand)])
    assert easel("doctor") == 0
    shown = capsys.readouterr().out
    for word in ("device", "dtype", "cores", "memory", "disk", "versions", "pocket, the built-in model, is missing"):
        assert word in shown
    assert ("easel models pull sd-9" in shown) is not at_hand
    assert easel("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cores"] >= 1


def test_reference_is_up_to_date(tmp_path, capsys):
    assert reference([str(tmp_path / "s.md")]) == 0
    assert reference(["--check", str(tmp_path / "s.md")]) == 0
    (tmp_path / "s.md").write_text("old")
    assert reference(["--check", str(tmp_path / "s.md")]) == 1
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert text.startswith("# Settings")


def test_the_stub_is_up_to_date(tmp_path):
    stub = ROOT / "easel" / "__init__.pyi"
    assert reference(["--check", str(stub)]) == 0
    for word, kind in KINDS.items():
        assert f"def {word.replace('-', '_')}(" in stub.read_text(encoding="utf-8")
        assert f"import {kind.class_name} as {kind.class_name}" in stub.read_text(encoding="utf-8")


def test_scheduler_words_are_the_models_ones():
    from easel.models.diffusion import schedulers
    from easel.recipes import SCHEDULERS

    assert set(SCHEDULERS) == set(schedulers.SCHEDULERS)
