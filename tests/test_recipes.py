"""Recipes: strict, frozen, the same on every face, with errors that name the key, the line and the nearest name."""

from __future__ import annotations

import inspect
import math
import os
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import easel
from easel.errors import EaselError
from easel.kinds import GROUPS, KINDS
from easel.recipes import Recipe, read_yaml, recipe_from, to_yaml, write_yaml
from easel.recipes.ask import Ask
from easel.recipes.caption import Caption
from easel.recipes.compare import Compare
from easel.recipes.data import DataSummary, DataWorld
from easel.recipes.describe import RUN_SETTINGS, settings
from easel.recipes.edit import Edit
from easel.recipes.generate import Generate
from easel.recipes.knobs import Only, lora_parts
from easel.recipes.personalize import Personalize
from easel.recipes.read import parse_yaml
from easel.recipes.score import ScoreLikeness, ScorePpl, ScorePrompt, ScoreSets, ScoreStyles
from easel.recipes.stylize import Stylize
from easel.recipes.train import Train
from easel.recipes.transfer import Transfer
from easel.recipes.upgrade import numbers, upgraded
from easel.version import __version__

EXAMPLES: dict[str, Recipe] = {
    "caption": Caption(photos=("a.jpg", "b"), tags="builtin", interrogate=True, count=2),
    "ask": Ask(photo="a.jpg", question="is this red?"),
    "generate": Generate(prompt="a cat", guidance_scale=7.5, scheduler="dpmpp-2m", lora=("a.safetensors:0.5", "b")),
    "stylize": Stylize(photo="a.jpg", styles=("monet",), strength=1, width=256, caption="a cat"),
    "transfer": Transfer(photo="a.jpg", style=("b.jpg:2", "c.jpg"), side=96, start="noise", count=2),
    "edit": Edit(photo="a.jpg", prompt="make it night", mask="m.png", mask_feather=8, count=2),
    "compare": Compare(base={"kind": "edit", "prompt": "x"}, axes={"strength": (0.3, 0.5)}, photos=("a.jpg",)),
    "train": Train(network="cgan", data="photos", resolution=32, kimg=10, classes="colour", r1_gamma=1),
    "personalize": Personalize(photos="dog", subject="sks dog", rank=4, targets=("to_q", "to_v"), prior_weight=1),
    "score-styles": ScoreStyles(folder="photos", method=("describe",)),
    "score-prompt": ScorePrompt(folder="photos"),
    "score-sets": ScoreSets(folder="real", made="made", resolution=64),
    "score-likeness": ScoreLikeness(real="real", made="made", identifier="sks"),
    "score-ppl": ScorePpl(model="models/birds", space="w", samples=10),
    "data-summary": DataSummary(folder="photos", layout="classes"),
    "data-world": DataWorld(what="faces", resolution=64, count=20_000),
}


def test_every_kind_has_an_example_and_its_word():
    assert list(EXAMPLES) == list(KINDS)
    for word, kind in KINDS.items():
        assert kind.recipe.model_fields["kind"].default == word
        assert kind.recipe.__name__ == kind.class_name == "".join(part.capitalize() for part in word.split("-"))
        assert kind.job == "easel.jobs." + (word.replace("-", ".") if word.partition("-")[0] in GROUPS else word)
        assert kind.about.endswith(".")


@pytest.mark.parametrize("recipe", EXAMPLES.values(), ids=EXAMPLES)
def test_faces_agree(recipe, tmp_path):
    write_yaml(recipe, tmp_path / "r.yaml")
    assert read_yaml(tmp_path / "r.yaml") == recipe
    assert recipe_from(recipe.model_dump(mode="json")) == recipe
    assert recipe_from(yaml.safe_load(to_yaml(recipe))) == recipe


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_setting_says_what_it_means(kind):
    for setting in settings(kind.recipe):
        assert setting.meaning.endswith("."), setting.name


def test_the_seed_is_drawn_once_and_kept():
    first, second = Ask(photo="a", question="b"), Ask(photo="a", question="b")
    assert first.seed != second.seed
    assert first.model_copy() == first
    with pytest.raises(ValidationError, match="frozen"):
        first.seed = 3  # type: ignore[misc]


def test_the_recipe_of_one_picture():
    recipe = Stylize(photo="a.jpg", seed=10, count=4)
    one = recipe_from(recipe.for_picture(3, styles=["banksy"], caption="a cat"))
    assert isinstance(one, Stylize)
    assert (one.seed, one.count, one.styles, one.caption) == (13, 1, ("banksy",), "a cat")


def test_paths_and_lists_are_taken_from_python(tmp_path):
    recipe = recipe_from({"kind": "caption", "photos": [tmp_path, "b"], "tags": tmp_path / "t"})
    assert recipe == Caption(photos=(str(tmp_path), "b"), tags=str(tmp_path / "t"), seed=recipe.seed)


WRONG = [
    ("kind: stylise", "line 1: no kind of job called 'stylise': use one of stylize, "),
    ("photo: a", "kind is missing: use one of caption"),
    ("kind: 3", "kind is missing"),
    ("kind: stylize\nphoto: a\nstpes: 3", "line 3: stpes is not a setting of stylize: did you mean steps?"),
    ("kind: stylize\nphoto: a\nzzzzzz: 3", "line 3: zzzzzz is not a setting of stylize: it knows kind, "),
    ("kind: stylize", "photo is missing: The photo."),
    ("kind: stylize\nphoto: a\nsteps: -3", "line 3: steps is -3: should be greater than or equal to 1"),
    ("kind: stylize\nphoto: a\nsteps: '3'", "line 3: steps is '3': should be a valid integer"),
    ("kind: stylize\nphoto: a\nsteps: 3.5", "steps is 3.5"),
    ("kind: stylize\nphoto: a\nsteps: true", "steps is True"),
    ("kind: stylize\nphoto: a\nscheduler: dpmp-2m", "line 3: no scheduler called 'dpmp-2m': use one of dpmpp-2m, "),
    ("kind: stylize\nphoto: a\nmethod: redrew", "no method called 'redrew': use one of redraw, describe"),
    ("kind: score", "line 1: no kind of job called 'score': use one of score-"),
    ("kind: score\nwhat: styels", "line 1: no kind of job called 'score-styels': use one of score-styles"),
    ("kind: stylize\nphoto: a\nstrength: .nan", "line 3: strength is nan: it must be a finite number"),
    ("kind: stylize\nphoto: a\nstrength: 0", "strength is 0: should be greater than 0"),
    ("kind: stylize\nphoto: a\nguidance_scale: .inf", "guidance_scale is inf: it must be a finite number"),
    ("kind: stylize\nphoto: a\nwidth: 65", "width is 65: must be a multiple of 8, such as 64 or 72"),
    ("kind: stylize\nphoto: a\nstyles: monet", "styles is 'monet': it must be a list, such as ['monet']"),
    ("kind: stylize\nphoto: a\nstyles: []", "styles is []: give at least 1"),
    ("kind: stylize\nphoto: a\nstyles:\n  - monet\n  - 3", "line 5: styles.1 is 3: should be a valid string"),
    ("kind: stylize\nphoto: a\nlora: ['x:99']", "lora.0 is 'x:99': a scale is a number from -10 to 10"),
    ("kind: stylize\nphoto: a\nphoto: b", "line 3: photo stands twice, first on line 2"),
    ("kind: generate", "prompt or prompts: neither is given"),
    ("kind: generate\nprompt: a\nprompts: b", "both are given"),
    ("kind: generate\nprompt: '  '", "line 2: prompt is empty: say what to make"),
    ("kind: generate\nprompt: false", "line 2: prompt is False: should be a valid string"),
    ("kind: ask\nphoto: ''\nquestion: b", "photo is empty: give a name"),
    ("kind: ask\nphoto: a\nquestion: b\nseed: -1", "seed is -1"),
    ("kind: ask\nphoto: a\nquestion: b\ncount: 0", "count is 0"),
    ("kind: caption\nphotos: []", "photos is []: give at least 1"),
    ("easel: '99.0'\nkind: ask", "written for easel 99.0"),
    ("easel: 1.0\nkind: ask", "easel: 1.0 is not a version; write it in quotes"),
    ("easel: new\nkind: ask", "'new' is not a version"),
    ("- a", "a recipe is a list of 'setting: value' lines"),
    ("", "a recipe is a list of 'setting: value' lines"),
    ("3: a", "a recipe is a list of 'setting: value' lines"),
    ("kind: [", "line 2 is not YAML"),
    ("kind: !!python/object:os.system x", "is not YAML"),
    ("kind: &a [*a]", "kind is missing|not YAML"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_what_is_wrong_is_one_line_with_its_place(tmp_path, text, words):
    path = tmp_path / "r.yaml"
    path.write_text(text + "\n")
    with pytest.raises(EaselError) as caught:
        read_yaml(path)
    line = str(caught.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    assert any(part in line for part in words.split("|"))


def test_a_long_prompt_is_refused_in_one_line():
    with pytest.raises(EaselError, match="prompt has 10,000 words"):
        recipe_from({"kind": "generate", "prompt": "word " * 10_000})


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(EaselError, match="there is no file"):
        read_yaml(tmp_path / "no.yaml")
    with pytest.raises(EaselError, match="is a folder: name a file in it"):
        read_yaml(tmp_path)
    (tmp_path / "b.yaml").write_bytes(bytes(range(128, 256)))
    with pytest.raises(EaselError, match=r"b\.yaml: line 1 is not UTF-8 text"):
        read_yaml(tmp_path / "b.yaml")
    (tmp_path / "wide.yaml").write_text("kind: ask", encoding="utf-16")
    with pytest.raises(EaselError, match="it looks like UTF-16"):
        read_yaml(tmp_path / "wide.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(EaselError, match="is a pipe or a device"):
        read_yaml(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_100_000)
    with pytest.raises(EaselError, match="too large"):
        read_yaml(tmp_path / "large.yaml")
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(9))
    (tmp_path / "laughs.yaml").write_text(layers)
    with pytest.raises(EaselError, match="too large"):
        read_yaml(tmp_path / "laughs.yaml")


def test_changes_and_kind_over_a_file(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("photo: a.jpg\nsteps: 5\n")
    recipe = read_yaml(path, {"steps": 7}, "stylize")
    assert isinstance(recipe, Stylize)
    assert (recipe.photo, recipe.steps) == ("a.jpg", 7)
    path.write_text("kind: ask\nphoto: a.jpg\nquestion: b\n")
    with pytest.raises(EaselError, match="is a recipe of kind ask, not stylize: use  easel run"):
        read_yaml(path, {}, "stylize")


def test_numbers_in_yaml_are_numbers():
    values, lines = parse_yaml("a: 1e-4\nb: 1E5\nc: -2.5e+3\nd: e5\n", "x")
    assert values == {"a": 1e-4, "b": 1e5, "c": -2500.0, "d": "e5"}
    assert lines == {("a",): 1, ("b",): 2, ("c",): 3, ("d",): 4}


def test_yaml_is_read_by_its_core_schema():
    text = "a: 1:30\nb: yes\nc: 2001-01-01\nd: 0o17\ne: 0x1f\nf: +\ng: .5\nh: -.INF\ni: ~\nj: 1_000\nk: 010\nl: True\n"
    values, _ = parse_yaml(text, "x")
    assert list(values.values()) == ["1:30", "yes", "2001-01-01", 15, 31, "+", 0.5, -math.inf, None, "1_000", 10, True]


@pytest.mark.parametrize(
    "text",
    ["a: !!bool maybe", "a: !!timestamp x", "a: !!binary x", "a: !x y", "a: !!python/name:os.system", "a: !!int x"],
)
def test_tags_of_yaml_that_are_not_read_are_said(text):
    with pytest.raises(EaselError, match="is not YAML"):
        parse_yaml(text, "x")


@pytest.mark.parametrize(
    "word", ["no", "1e5", "0o7", "1:30", "~", "null", "0x1f", ".5", "2001-01-01", "=", "<<", "-.inf"]
)
def test_words_that_look_like_something_else_stay_words(tmp_path, word):
    write_yaml(Generate(prompt=word, seed=1), tmp_path / "r.yaml")
    assert read_yaml(tmp_path / "r.yaml") == Generate(prompt=word, seed=1)


@given(st.text(min_size=1, max_size=300).filter(lambda text: text.strip()), st.floats(0, 50))
def test_any_prompt_survives_yaml(tmp_path_factory, prompt, scale):
    path = tmp_path_factory.mktemp("yaml") / "r.yaml"
    try:
        recipe = Generate(prompt=prompt, guidance_scale=scale)
        prompt.encode("utf-8")
    except (ValidationError, UnicodeEncodeError):
        return
    write_yaml(recipe, path)
    again = read_yaml(path)
    assert isinstance(again, Generate)
    assert again.prompt == prompt
    assert again.guidance_scale is not None
    assert math.isclose(again.guidance_scale, scale)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.safetensors", ("a.safetensors", 1.0, 1.0)),
        ("a.safetensors:0.5", ("a.safetensors", 0.5, 0.5)),
        ("a.safetensors:0.8:0", ("a.safetensors", 0.8, 0.0)),
        ("C:\\loras\\a.safetensors:-1", ("C:\\loras\\a.safetensors", -1.0, -1.0)),
        ("dir/v1:2:a.safetensors:.5", ("dir/v1:2:a.safetensors", 0.5, 0.5)),
    ],
)
def test_lora_scales(text, parts):
    assert lora_parts(text) == parts


@pytest.mark.parametrize("text", ["", ":0.5", "a:nan", "a:inf:1", "a:", "a:11"])
def test_lora_nonsense(text):
    with pytest.raises(ValueError, match="is '"):
        lora_parts(text)


# old recipes


OLD_STYLED = {"styles": ["monet"], "styles_file": None, "strength": None, "judge": "pocket", "captioner": "pocket"}
OLD_SAMPLED: dict[str, Any] = {
    "steps": 20,
    "guidance_scale": None,
    "guidance_every": 1,
    "scheduler": None,
    "lora": [],
    "config": None,
}
OLD_NEURAL = {
    "style_image": [],
    "keep_colours": False,
    "features": "pocket",
    "side": 512,
    "iterations": 60,
    "content_weight": None,
    "style_weight": 1.0,
    "tv_weight": None,
    "content_layers": [],
    "style_layers": [],
    "pooling": "average",
    "optimiser": "adam",
    "start": "photo",
    "tile": 1024,
}
OLD_DRAWN = {"negative_prompt": "", "width": None, "height": None, "model": "pocket", "seed": 3, "count": 1}
OLD_SETS = {"layout": None, "split": None, "resolution": None}
OLD_PPL = {"space": "z", "sampling": "end", "samples": 1000, "prompt": None}
OLD_SCORE = OLD_STYLED | OLD_SAMPLED | OLD_NEURAL | OLD_SETS | OLD_PPL | {"folder": None, "made": None}
OLD_SCORE |= {"kind": "score", "method": "redraw", "model": "pocket", "seed": 3, "count": 1}
OLD_SCORE |= {"styles": ["van-gogh", "malevich", "delaunay", "banksy"]}
OLD_STYLIZE = OLD_STYLED | OLD_SAMPLED | OLD_NEURAL | OLD_DRAWN | {"kind": "stylize", "photo": "a", "caption": "b"}
OLD_DATA = {"folder": None, "layout": None, "split": None, "what": "birds", "resolution": 128, "count": 10_000}
OLD_DATA |= {"kind": "data", "model": "pocket", "seed": 3}

OLD = [
    (
        OLD_STYLIZE | {"method": "describe"},
        Stylize(photo="a", styles=("monet",), method="describe", caption="b", seed=3),
    ),
    (
        OLD_STYLIZE | {"method": "neural", "style_image": ["c:2"], "optimiser": "lbfgs", "pooling": "largest"},
        Transfer(photo="a", styles=("monet",), caption="b", seed=3, style=("c:2",), optimizer="lbfgs", pooling="max"),
    ),
    (OLD_SCORE | {"what": "prompt", "folder": "a"}, ScorePrompt(folder="a", seed=3)),
    (
        OLD_SCORE | {"what": "sets", "folder": "a", "made": "b", "split": "test"},
        ScoreSets(folder="a", made="b", split="test", seed=3),
    ),
    (OLD_SCORE | {"what": "ppl", "model": "m", "space": "w"}, ScorePpl(model="m", space="w", seed=3)),
    (
        OLD_SCORE | {"what": "styles", "folder": "a", "styles": ["monet"], "method": "neural", "optimiser": "lbfgs"},
        ScoreStyles(folder="a", styles=("monet",), method=("neural",), optimizer="lbfgs", seed=3),
    ),
    (OLD_DATA | {"task": "summary", "folder": "a"}, DataSummary(folder="a", seed=3)),
    (OLD_DATA | {"task": "world", "what": "cars"}, DataWorld(what="cars", seed=3)),
]


@pytest.mark.parametrize("said", [{"easel": "0.1.0"}, {}], ids=["with its version", "by hand"])
@pytest.mark.parametrize(("old", "new"), OLD, ids=[f"{type(new).__name__}" for _, new in OLD])
def test_recipes_of_version_0_1_replay(old, new, said):
    assert recipe_from(old | said) == new


def test_a_setting_that_the_new_kind_has_not_is_no_longer_dropped_when_it_was_given():
    with pytest.raises(EaselError, match="space is not a setting of score-prompt"):
        recipe_from({"kind": "score", "what": "prompt", "folder": "a", "space": "w"})


@pytest.mark.parametrize("recipe", EXAMPLES.values(), ids=EXAMPLES)
def test_upgrades_leave_recipes_of_today_as_they_are(recipe):
    plain = {name: value for name, value in recipe.plain().items() if name != "easel"}
    assert upgraded(plain) == plain | {"easel": __version__}


def test_upgrades_run_in_order_from_the_version_written():
    upgrades = (
        ("0.2.0", lambda plain: {**plain, "trail": [*plain.get("trail", []), "0.2"]}),
        ("0.10.0", lambda plain: {**plain, "trail": [*plain.get("trail", []), "0.10"]}),
    )
    assert upgraded({"easel": "0.1.0"}, upgrades, "0.10.0") == {"easel": "0.10.0", "trail": ["0.2", "0.10"]}
    assert upgraded({"easel": "0.2.0"}, upgrades, "0.10.0") == {"easel": "0.10.0", "trail": ["0.10"]}
    assert upgraded({"easel": "0.10.1"}, upgrades, "0.10.0") == {"easel": "0.10.0"}
    assert upgraded({}, upgrades, "0.10.0") == {"easel": "0.10.0", "trail": ["0.2", "0.10"]}  # written by hand
    with pytest.raises(EaselError, match=r"install easel 0\.11"):
        upgraded({"easel": "0.11"}, upgrades, "0.10.0")


def test_versions_compare_as_numbers():
    assert numbers("0.10.2") == (0, 10, 2)
    assert numbers("1.2rc1") == (1, 2)


# what belongs to whom


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"kind": "stylize", "photo": "a", "method": "describe", "strength": 0.5},
            "strength: belongs to redraw, not to describe",
        ),
        ({"kind": "score-styles", "folder": "a", "iterations": 3}, "iterations: belongs to neural, not to redraw"),
        (
            {"kind": "score-styles", "folder": "a", "method": "neural", "steps": 3},
            "steps: belongs to diffusion models, not to neural style transfer",
        ),
        ({"kind": "train", "network": "vae", "data": "a", "r1_gamma": 1.0}, "r1_gamma: belongs to GANs, not to vae"),
        (
            {"kind": "train", "network": "dcgan", "data": "a", "classes": "x"},
            "classes: belongs to cgan, stylegan and vae, not to dcgan",
        ),
    ],
)
def test_a_setting_of_somebody_else_is_refused(values, words):
    with pytest.raises(EaselError, match=words):
        recipe_from(values)
    assert recipe_from({name: value for name, value in values.items() if name not in words.split(":")[0]})


def test_what_the_job_finds_out_decides_too():
    recipe = Generate(model="out/mine", label="red", seed=1)
    assert {"label", "steps"} <= recipe.plain().keys()
    trained = recipe.bound(family="trained models")
    assert "label" in trained.plain()
    assert not {"steps", "scheduler", "negative_prompt"} & trained.plain().keys()
    assert "steps" not in trained.for_picture(2)
    with pytest.raises(EaselError, match="label: belongs to trained models, not to diffusion models: leave it out"):
        recipe.bound(family="diffusion models")


def test_a_recipe_on_disk_holds_only_what_applies():
    assert "beta" not in to_yaml(Train(network="dcgan", data="a"))
    assert "beta" in to_yaml(Train(network="vae", data="a"))
    assert not {"tile", "style"} & ScoreStyles(folder="a").plain().keys()
    assert not {"steps", "model"} & ScoreStyles(folder="a", method=("neural",)).plain().keys()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_only_names_values_that_there_are(kind):
    for setting in settings(kind.recipe):
        if setting.only and setting.only.of in kind.recipe.model_fields:
            choices = next(row.choices for row in settings(kind.recipe) if row.name == setting.only.of)
            assert set(setting.only.values) <= set(choices)


def test_words_for_several():
    assert Only("network", "a", "b", "c").title == "a, b and c"
    assert Only("network", "a", "b", title="all").title == "all"
    assert Only("network", "a").title == "a"


# the Python face


def test_python_api(fake_job, photo, tmp_path):
    steps: list[Any] = []
    result = easel.stylize(photo, styles=["monet"], seed=7, out=tmp_path / "out", progress=steps.append)
    assert result.images[0].getpixel((0, 0)) == (7, 0, 99)
    assert steps[-1].done == steps[-1].total == 1
    assert result.versions["dtype"] == "float32"
    assert easel.ask(photo, "red?", out=tmp_path / "b").kind == "ask"
    assert easel.generate("a cat", out=tmp_path / "c").kind == "generate"
    assert easel.caption(photo, out=tmp_path / "d").kind == "caption"
    assert easel.caption([photo, "x"], out=tmp_path / "e").kind == "caption"
    assert easel.score_styles(tmp_path, out=tmp_path / "f").kind == "score-styles"
    assert easel.data_world(tmp_path / "h", what="cars").kind == "data-world"
    assert easel.run(EXAMPLES["ask"], out=tmp_path / "g").kind == "ask"
    with pytest.raises(EaselError, match="stpes is not a setting of stylize: did you mean steps"):
        easel.stylize(photo, stpes=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes 1 positional"):
        easel.stylize(photo, "monet")  # type: ignore[call-arg, arg-type, misc]


@pytest.mark.parametrize("word", KINDS)
def test_functions_have_the_recipes_signature(word):
    kind = KINDS[word].recipe
    assert getattr(easel, KINDS[word].class_name) is kind
    names = list(inspect.signature(getattr(easel, word.replace("-", "_"))).parameters)
    assert set(names) - RUN_SETTINGS.keys() == kind.model_fields.keys() - {"kind", "easel"}
    assert tuple(names[: len(kind.positional)]) == kind.positional
    assert word.replace("-", "_") in dir(easel)
