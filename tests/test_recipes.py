"""Recipes: strict, frozen, the same on every face, with errors that name the key, the line and the nearest name."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import easel
from easel.errors import EaselError
from easel.recipes import (
    KINDS,
    AnyRecipe,
    Ask,
    Caption,
    Data,
    Generate,
    Recipe,
    Score,
    Stylize,
    Train,
    read_yaml,
    recipe_from,
    to_yaml,
    write_yaml,
)
from easel.recipes.describe import settings
from easel.recipes.knobs import lora_parts
from easel.recipes.read import parse_yaml
from easel.recipes.upgrade import UPGRADES, numbers, upgraded

EXAMPLES: dict[str, Recipe] = {
    "caption": Caption(photos=("a.jpg", "b"), tags="builtin", interrogate=True, count=2),
    "ask": Ask(photo="a.jpg", question="is this red?"),
    "generate": Generate(prompt="a cat", guidance_scale=7.5, scheduler="dpmpp-2m", lora=("a.safetensors:0.5", "b")),
    "stylize": Stylize(photo="a.jpg", styles=("monet",), strength=1, width=256, caption="a cat"),
    "score": Score(what="styles", folder="photos", method="describe"),
    "data": Data(task="world", what="faces", resolution=64, count=20_000),
    "train": Train(network="cgan", data="photos", resolution=32, kimg=10, classes="colour", r1_gamma=1),
}


def test_every_kind_has_an_example_and_its_word():
    assert list(EXAMPLES) == list(KINDS)
    for word, kind in KINDS.items():
        assert kind.model_fields["kind"].default == word
        assert kind.__name__.lower() == word


@pytest.mark.parametrize("recipe", EXAMPLES.values(), ids=EXAMPLES)
def test_faces_agree(recipe, tmp_path):
    write_yaml(recipe, tmp_path / "r.yaml")
    assert read_yaml(tmp_path / "r.yaml") == recipe
    assert recipe_from(recipe.model_dump(mode="json")) == recipe
    assert recipe_from(yaml.safe_load(to_yaml(recipe))) == recipe
    assert TypeAdapter(AnyRecipe).validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_setting_says_what_it_means(kind):
    for setting in settings(kind):
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
    ("kind: generate\nprompt: no", "line 2: prompt is False: should be a valid string"),
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
    with pytest.raises(EaselError, match="cannot read"):
        read_yaml(tmp_path)
    (tmp_path / "b.yaml").write_bytes(bytes(range(128, 256)))
    with pytest.raises(EaselError, match="cannot read"):
        read_yaml(tmp_path / "b.yaml")
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


def test_no_upgrade_is_needed_yet():
    assert UPGRADES == ()


def test_upgrades_run_in_order_from_the_version_written():
    upgrades = (
        ("0.2.0", lambda plain: {**plain, "trail": [*plain.get("trail", []), "0.2"]}),
        ("0.10.0", lambda plain: {**plain, "trail": [*plain.get("trail", []), "0.10"]}),
    )
    assert upgraded({"easel": "0.1.0"}, upgrades, "0.10.0") == {"easel": "0.10.0", "trail": ["0.2", "0.10"]}
    assert upgraded({"easel": "0.2.0"}, upgrades, "0.10.0") == {"easel": "0.10.0", "trail": ["0.10"]}
    assert upgraded({"easel": "0.10.1"}, upgrades, "0.10.0") == {"easel": "0.10.0"}
    assert upgraded({}, upgrades, "0.10.0") == {"easel": "0.10.0"}
    with pytest.raises(EaselError, match=r"install easel 0\.11"):
        upgraded({"easel": "0.11"}, upgrades, "0.10.0")


def test_versions_compare_as_numbers():
    assert numbers("0.10.2") == (0, 10, 2)
    assert numbers("1.2rc1") == (1, 2)


# the Python face


def test_python_api(fake_job, photo, tmp_path):
    steps = []
    result = easel.stylize(photo, styles=["monet"], seed=7, out=tmp_path / "out", progress=steps.append)
    assert result.pictures[0].getpixel((0, 0)) == (7, 0, 99)
    assert steps[-1].done == steps[-1].total == 1
    assert result.versions["dtype"] == "float32"
    assert easel.ask(photo, "red?", out=tmp_path / "b").kind == "ask"
    assert easel.generate("a cat", out=tmp_path / "c").kind == "generate"
    assert easel.caption(photo, out=tmp_path / "d").kind == "caption"
    assert easel.caption([photo, "x"], out=tmp_path / "e").kind == "caption"
    assert easel.score("styles", tmp_path, out=tmp_path / "f").kind == "score"
    assert easel.run(EXAMPLES["ask"], out=tmp_path / "g").kind == "ask"
    with pytest.raises(EaselError, match="stpes is not a setting of stylize: did you mean steps"):
        easel.stylize(photo, stpes=3)
