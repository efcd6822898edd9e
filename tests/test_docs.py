"""The documentation is held to the code: its commands and snippets run, names and modules exist, links and pictures are
there.

Every `easel ...` command of README and guides runs in a folder like a reader's, against models with known answers, but
makes less of everything (`LESS`, `TINY`). What does not run is validated to its recipe: forms with a word in capitals,
such as DIR, and the lab, whose commands are dated. `easel models pull` needs a network, `easel web` does not end:
these are only parsed.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import itertools
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from PIL import Image

import easel
from easel import models, runners
from easel.cli import build, command_table, main
from easel.jobs import inputs, judges
from easel.jobs.caption import tags
from easel.jobs.generate import prompts
from easel.jobs.stylize import styles
from easel.kinds import GROUPS, KINDS
from easel.models.catalog import tables
from easel.recipes import SCHEDULERS, Recipe, read_yaml, recipe_from
from easel.recipes.compare import TAUGHT
from easel.result import Result
from tests import fakes, tiny
from tests.conftest import drawn, of_few_cells

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LAB = sorted((ROOT / "docs" / "lab").glob("*.md"))
PAGES = [*GUIDES, *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")), *LAB]
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.M | re.S)
SAID = re.compile(FENCE.pattern + r"|(?<!`)`(easel [^`]+)`(?!`)", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FORM = re.compile(r"[A-Z]{3,}(\[.*|:.*)?")
"""A word in capitals stands for what a reader puts there."""
HISTORY = re.compile(
    r"\b(no longer|used to|(was|were) tried|before this|until now|of before|any ?more|has not been run|formerly)\b"
)

LESS: dict[str, Any] = {"count": 12, "iterations": 1, "side": 64, "samples": 4, "batch_size": 8}
"""The most of a setting that a test makes."""
SHORT = {"steps": 1, "evaluate_every": 1, "sampling_steps": 1, "resolution": 64, "count": 1, "prior_pictures": 1}
"""What every personalising of a test has, and a tiny model."""
SERVERS = ("web", "worker")
"""Commands that do not end; `tests/test_web_*.py` run them. Runs on a cluster are in `tests/test_cluster.py`."""
TINY = {"kimg": 0.016, "minutes": None, "widest": 8, "latent": 4, "count": 4, "score_count": 8, "batch_size": 8}
"""What every training of a test has, and a quarter of the resolution."""


class Line(NamedTuple):
    """A command line of a page; in the text it may be a mention, without what it needs to run."""

    words: tuple[str, ...]
    is_mention: bool

    @property
    def is_form(self) -> bool:
        return any(FORM.fullmatch(word) for word in self.words)


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced snippets of a page in one of the languages."""
    return [body for language, body in FENCE.findall(text_of(page)) if language in languages]


def said(page: Path) -> Iterator[Line | str]:
    """Command lines and Python snippets in their order."""
    names = {f"easel {words}" for words in (*command_table(), *GROUPS, "models")} - {"easel models", "easel doctor"}
    for language, body, inline in SAID.findall(text_of(page)):
        if language == "python":
            yield body
        lines = body.replace("\\\n", " ").splitlines() if language == "bash" else [inline]
        for line in lines:
            words = shlex.split(line, comments=True)
            if words[:1] == ["easel"] and words[-1] != "--help" and line not in names:
                yield Line(tuple(words[1:]), bool(inline))


def commands(*pages: Path) -> list[Line]:
    return [one for page in pages for one in said(page) if isinstance(one, Line)]


ALL = [(page_name(page), line) for page in PAGES for line in dict.fromkeys(commands(page))]
IDS = [f"{page}: {' '.join(line.words)}" for page, line in ALL]


# Commands


@pytest.mark.parametrize(("page", "line"), ALL, ids=IDS)
def test_every_command_line_parses(page: str, line: Line) -> None:
    command, bound, ignored = build().parse_args(list(line.words), exit_on_error=False, print_error=False)
    assert callable(command)
    assert not ignored
    assert isinstance(bound, inspect.BoundArguments)
    for word in line.words:
        assert not word.startswith("examples/") or (ROOT / word).exists()


def is_whole(line: Line) -> bool:
    """Whether a command has what its kind needs: in the text `easel score styles --method neural` is a mention."""
    if not line.is_mention:
        return True
    for word, kind in KINDS.items():
        own = word.split("-")
        if list(line.words[: len(own)]) == own:
            first = list(itertools.takewhile(lambda one: not one.startswith("-"), line.words[len(own) :]))
            known = kind.recipe.model_fields
            return len(first) >= sum(name not in known or known[name].is_required() for name in kind.recipe.positional)
    return True


@pytest.mark.parametrize(
    ("page", "line"), [one for one in ALL if is_whole(one[1]) and one[1].words[0] in {*KINDS, *GROUPS}]
)
def test_every_command_line_is_a_recipe(page: str, line: Line, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """All settings are known, within their limits, and belong together."""
    asked: list[Recipe] = []

    def noted(recipe: Recipe, *_: Any, **__: Any) -> Result:
        asked.append(recipe)
        return Result(kind=recipe.kind)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(runners, "run", noted)
    assert main([*line.words, "--quiet"]) == 0, capsys.readouterr().err
    assert asked[0].kind.replace("-", " ") in " ".join(line.words)


def lessened(recipe: Recipe, small: Path) -> Recipe:
    """The same recipe, of which less is made; a model that learns a subject is the small one."""
    values: dict[str, Any] = {
        name: min(most, getattr(recipe, name)) for name, most in LESS.items() if getattr(recipe, name, None) is not None
    }
    if recipe.kind == "train":
        side = getattr(recipe, "resolution")  # noqa: B009 - a setting of this kind alone
        values = TINY | {"resolution": side // 4, "channels": 64 if getattr(recipe, "network", "") == "stylegan" else 4}
    if recipe.kind == "personalize":
        values = SHORT | {"model": str(small), "judge": "pocket"}
    if getattr(recipe, "source", "") == TAUGHT:
        base = getattr(recipe, "base")  # noqa: B009 - of this kind alone
        values = {"base": base | {"model": str(small), "judge": "pocket"}}
    return of_few_cells(recipe.model_copy(update=values))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusion model that can learn."""
    return tiny.sd(tmp_path_factory.mktemp("small") / "sd")


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_model: Path) -> None:
    """Models with known answers, but for what easel trains and what transfers styles; every run makes less."""
    from huggingface_hub import constants

    made, real, run = fakes.Family(), models.load, runners.run
    draw = made.diffusion.generate
    monkeypatch.setattr(
        made.diffusion, "generate", lambda requests, size=None, report=lambda *_: None: draw(requests, size, report)
    )

    def load(name: str, role: Any, *args: Any, **more: Any) -> Any:
        found = real if role in {"generator", "style"} or name == str(small_model) else made.load
        return found(name, role, *args, **more)

    monkeypatch.setattr("easel.models.load", load)
    monkeypatch.setattr("easel.jobs.judges.Fitness.of", judges.Fitness)
    monkeypatch.setattr(runners, "run", lambda recipe, *rest, **more: run(lessened(recipe, small_model), *rest, **more))
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr(Image.Image, "show", lambda picture: None)
    monkeypatch.delenv("EASEL_MODELS", raising=False)


@pytest.fixture
def readers_folder(family: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader stands: photos, sets and models by the names that the pages have."""
    place = tmp_path / "reader"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "examples").symlink_to(ROOT / "examples")
    for name, colour in {"photo.jpg": "teal", "painting.jpg": "navy", "wave.jpg": "blue", "night.jpg": "black"}.items():
        drawn(colour=colour).save(place / name)
    for number, name in enumerate(("photos", "photos/birds", "made/birds", "clothes/shirt", "clothes/coat")):
        (place / name).mkdir(parents=True, exist_ok=True)
        for index in range(6):
            drawn(80 + index, 64, f"#{number * 40:02x}80{index * 40:02x}").save(place / name / f"{index}.png")
    (place / "dog").mkdir()
    for number, colour in enumerate(("teal", "navy", "red", "blue", "black")):
        drawn(80, 64 + 4 * number, colour).save(place / "dog" / f"{number}.png")
    (place / "my-prompts.txt").write_text("a sks dog\na sks dog on the moon\n")
    for name in ("one", "other"):
        drawn().save(place / f"{name}.png")
    for name in ("birds", "pictures"):
        shutil.copytree(ROOT / "examples" / ("faces" if name == "birds" else "captioned"), place / name)
    cub(place / "CUB_200_2011")
    (place / "my-tags.txt").write_text("red\nblue\n")
    for name in ("ink", "night", "dreamy", "rex", "ink-style"):
        (place / f"{name}.safetensors").touch()
    (place / "my-sd15-folder").mkdir()
    return place


def cub(place: Path) -> None:
    """Two species in the layout of CUB-200-2011, each with a picture to train on and one to test with."""
    names = [f"{species}/{number}.jpg" for species in ("001.Finch", "002.Gull") for number in (1, 2)]
    for name in names:
        for folder, ending in (("images", ".jpg"), ("text_c10", ".txt")):
            (place / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (place / folder / name).with_suffix(ending).write_text("a yellow bird\n")
        drawn().save(place / "images" / name)
    tables = {
        "images": "".join(f"{number} {name}\n" for number, name in enumerate(names, 1)),
        "image_class_labels": "1 1\n2 1\n3 2\n4 2\n",
        "classes": "1 001.Finch\n2 002.Gull\n",
        "train_test_split": "1 1\n2 0\n3 1\n4 0\n",
        "attributes": "1 has_wing_color::yellow\n",
        "attributes/image_attribute_labels": "1 1 1 3 1\n2 1 0 3 1\n3 1 1 3 1\n4 1 0 3 1\n",
    }
    (place / "attributes").mkdir()
    for name, table in tables.items():
        (place / f"{name}.txt").write_text(table)


TRAINED: dict[str, dict[str, Any]] = {
    "birds": {"network": "stylegan", "data": "birds", "resolution": 64},
    "words": {"network": "text-dcgan", "data": "birds", "resolution": 64},
    "clothes": {"network": "cgan", "data": "clothes", "resolution": 64},
    "faces": {
        "network": "control-gan",
        "data": "examples/faces",
        "resolution": 64,
        "attributes": ["hat", "sunglasses"],
    },
    "vae": {"network": "vae", "data": "birds", "resolution": 256},
}
"""The models that the pages speak of, in `models/`; each is trained when a page first needs it."""


def prepare(text: str) -> None:
    """Train the models that a command or snippet takes and that are not there."""
    for name in re.findall(r"models/(\w+)", text):
        if name in TRAINED and not Path("models", name).exists():
            runners.run(recipe_from({"kind": "train", "seed": 1} | TRAINED[name]), f"models/{name}")


def target_of(words: Sequence[str]) -> Path | None:
    """The folder that a command writes, where it names one."""
    named = [words[index + 1] for index, word in enumerate(words) if word == "--out"]
    named += [words[2]] if tuple(words[:2]) == ("data", "world") else []
    return Path(named[0]) if named else None


@pytest.mark.parametrize("page", GUIDES, ids=page_name)
def test_the_page_runs_from_top_to_bottom(page: Path, readers_folder: Path, capsys: Any) -> None:
    """Its commands and snippets one after the other, as a reader would try them."""
    written: set[Path] = set()
    for one in said(page):
        if isinstance(one, str):
            prepare(one)
            exec(compile(one, page_name(page), "exec"), {})
        elif (
            one.words[:2] != ("models", "pull")
            and one.words[0] not in SERVERS
            and not one.is_form
            and is_whole(one)
            and "--on" not in one.words
        ):
            line, target = " ".join(one.words), target_of(one.words)
            if target is not None and target not in written:  # a reader's folder of that name stands on other pages
                shutil.rmtree(target, ignore_errors=True)
                written.add(target)
            prepare(line.partition(" --out models/")[0])
            assert main(list(one.words)) == 0, f"easel {line}\n{capsys.readouterr().err[-500:]}"
            if one.words[0] == "again":
                assert "max 0, mean 0 of 255" in capsys.readouterr().out


def test_the_guides_show_every_command() -> None:
    shown = {" ".join(line.words[:2]) for line in commands(*GUIDES)}
    shown |= {line.words[0] for line in commands(*GUIDES)}
    wanted = {words for words in command_table() if words != "models list"} | {"models"}
    assert wanted <= shown


# Snippets


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_snippets_call_what_exists(page: Path) -> None:
    for body in blocks(page, "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "easel":
                assert hasattr(easel, node.attr)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("easel."):
                module = __import__(str(node.module), fromlist=[alias.name for alias in node.names])
                assert all(hasattr(module, alias.name) for alias in node.names)


def calls_in_the_text(page: Path) -> Iterator[ast.Call]:
    """`easel.data_world("birds", what="birds")` within a sentence."""
    for code in re.findall(r"(?<!`)`(easel\.\w+\([^`]*\))`(?!`)", FENCE.sub("", text_of(page))):
        if "..." not in code:
            found = ast.parse(code, mode="eval").body
            assert isinstance(found, ast.Call)
            yield found


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_calls_in_the_text_fit_their_signature(page: Path) -> None:
    for call in calls_in_the_text(page):
        assert isinstance(call.func, ast.Attribute)
        named = {str(word.arg): None for word in call.keywords}
        inspect.signature(getattr(easel, call.func.attr)).bind(*call.args, **named)


def test_yaml_snippets_are_read(tmp_path: Path) -> None:
    readers: dict[str, Callable[[str], object]] = {
        "stylize.md": styles.table,
        "generate.md": lambda path: inputs.read_rows(path, prompts.Prompt),
        "caption.md": tags.read_tags,
    }
    for page in PAGES:
        for body in blocks(page, "yaml"):
            path = tmp_path / "snippet.yaml"
            path.write_text(body, encoding="utf-8")
            assert (read_yaml if body.startswith("kind:") else readers[page.name])(str(path))


# Names, links, words


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    found = {target.partition("#")[0] for target in LINK.findall(FENCE.sub("", text_of(page)))}
    ours = {target for target in found if target and not target.startswith(("http:", "https:", "mailto:"))}
    assert sorted(target for target in ours if not (page.parent / target).exists()) == []


def is_there(name: str) -> bool:
    """Whether a dotted name is a module of the tree, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        word = ".".join(parts[:end])
        try:
            found = importlib.util.find_spec(word)
        except ModuleNotFoundError:
            continue
        if found:
            thing: Any = importlib.import_module(word)
            for part in parts[end:]:
                thing = getattr(thing, part, None)
            return thing is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_and_module_that_is_named_exists(page: Path) -> None:
    text = LINK.sub("]", text_of(page))
    rooms = "easel|tests|benchmarks|examples|docs|jobs|recipes|models|training|pocket|cli|runners"
    paths = set(re.findall(rf"(?<![\w/.-])((?:{rooms})/[\w./-]*\w\.(?:pyi?|md|yaml|jpg|txt))\b", text))
    paths |= set(re.findall(r"(?<![\w/.-])(easel/[\w/]+/)(?=[`\s])", text))
    made_up = {path for path in paths if Path(path).stem == "frame"}  # the kind that tests/toy adds
    assert sorted(p for p in paths - made_up if not ((ROOT / p).exists() or (ROOT / "easel" / p).exists())) == []
    names = set(re.findall(r"(?<![\w./-])((?:easel|benchmarks)(?:\.[a-z_]\w*)+)(?![\w/])", text)) - {"easel.json"}
    assert sorted(name for name in names if not is_there(name)) == []


def test_every_page_that_the_code_names_exists() -> None:
    for file in [path for room in ("easel", "benchmarks", "tests") for path in (ROOT / room).rglob("*.py")]:
        named = re.findall(r"\bdocs/[\w/-]+\.(?:md|png|jpg)\b", text_of(file))
        assert sorted(page for page in named if not (ROOT / page).exists()) == [], file


@pytest.mark.parametrize("page", GUIDES, ids=page_name)
def test_guides_say_what_is_and_not_how_it_came(page: Path) -> None:
    assert HISTORY.findall(FENCE.sub("", text_of(page))) == []


def test_nothing_is_fixed_before_a_first_release() -> None:
    changes = text_of(ROOT / "CHANGELOG.md")
    assert "### Fixed" not in changes or re.search(r"^## \[.*\] - \d{4}-", changes, re.M)


def test_the_tables_of_names_are_whole() -> None:
    known = text_of(ROOT / "docs" / "models.md")
    assert [name for name in tables.ROWS if f"`{name}`" not in known] == []
    known = text_of(ROOT / "docs" / "stylize.md")
    assert [name for name in styles.table() if f"`{name}`" not in known] == []
    assert " ".join(SCHEDULERS) in text_of(ROOT / "docs" / "generate.md")


def test_every_page_is_in_the_menu() -> None:
    menu = text_of(ROOT / "mkdocs.yml")
    docs = ROOT / "docs"
    assert [page for page in docs.rglob("*.md") if f": {page.relative_to(docs).as_posix()}\n" not in menu] == []
    assert yaml.safe_load(menu)["theme"]["font"] is False


def test_cards_of_pocket_are_those_that_the_code_writes() -> None:
    from easel.pocket.train import cards

    weights = tables.PACKAGE / "pocket" / "weights"
    assert [
        name
        for name in cards.PARTS
        if cards.card(name, cards.read_scores(weights / name)) != text_of(weights / name / "README.md")
    ] == []


def test_documents_and_models_name_no_place_of_their_makers() -> None:
    shipped = [path for path in (tables.PACKAGE / "pocket" / "weights").rglob("*") if path.suffix in (".json", ".md")]
    assert len(shipped) > 20
    for page in (*PAGES, *shipped):
        assert not re.search(r"(?<![\w.])/(work|opt|tmp|home|root)/", page.read_text(encoding="utf-8"))
