"""The documentation is held to the code: command lines parse, snippets are valid, links and pictures are there."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import easel
from easel.cli import COMMANDS, GROUPS, build
from easel.jobs import inputs
from easel.jobs.caption import tags
from easel.jobs.generate import Prompt
from easel.jobs.stylize import styles
from easel.models.catalog import tables
from easel.recipes import KINDS, SCHEDULERS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
IDS = [page.name for page in PAGES]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`(easel [^`]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


NAMES = {f"easel {name}" for name, *_ in COMMANDS}
NAMES |= {f"easel {group} {member}" for group, (_, *members) in GROUPS.items() for member, *_ in members}
"""Commands named in the text, without what they need to run."""


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced snippets of a page in one of the languages."""
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def commands() -> Iterator[tuple[str, str]]:
    """Every `easel ...` command line: lines of shell snippets, and code within the text that is a whole command."""
    for page in PAGES:
        lines = [line for body in blocks(page, "bash") for line in body.replace("\\\n", " ").splitlines()]
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for line in dict.fromkeys([*lines, *(code for code in INLINE.findall(text) if code not in NAMES)]):
            if line.startswith("easel ") and not line.endswith(" --help"):
                yield page.name, line


def pictures_and_links(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = {target.partition("#")[0] for target in LINK.findall(text)}
    return {target for target in found if target and not target.startswith(("http:", "https:", "mailto:"))}


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_every_command_line_parses(page: str, line: str) -> None:
    command, bound, ignored = build().parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)
    assert callable(command)
    assert not ignored
    assert isinstance(bound, inspect.BoundArguments)


def test_the_documents_show_every_command() -> None:
    shown = " ".join(line for _, line in commands())
    for words in [*KINDS, "run", "again", "models pull", "doctor", "score styles", "score prompt"]:
        assert f"easel {words}" in shown


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_files_of_examples_in_command_lines_exist(page: str, line: str) -> None:
    for word in shlex.split(line):
        if word.startswith("examples/"):
            assert (ROOT / word).exists()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_and_picture_is_there(page: Path) -> None:
    missing = sorted(target for target in pictures_and_links(page) if not (page.parent / target).exists())
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_python_snippets_call_what_exists(page: Path) -> None:
    for body in blocks(page, "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "easel":
                assert hasattr(easel, node.attr)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("easel."):
                module = __import__(str(node.module), fromlist=[alias.name for alias in node.names])
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_yaml_snippets_are_read(tmp_path: Path) -> None:
    readers: dict[str, Callable[[str], object]] = {
        "stylize.md": styles.table,
        "generate.md": lambda path: inputs.read_rows(path, Prompt),
        "caption.md": tags.read_tags,
    }
    for name, read in readers.items():
        for body in blocks(ROOT / "docs" / name, "yaml"):
            path = tmp_path / "snippet.yaml"
            path.write_text(body, encoding="utf-8")
            assert read(str(path))


def test_the_tables_of_names_are_whole() -> None:
    models = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert [name for name in tables.ROWS if f"`{name}`" not in models] == []
    known = (ROOT / "docs" / "stylize.md").read_text(encoding="utf-8")
    assert [name for name in styles.table() if f"`{name}`" not in known] == []
    assert " ".join(SCHEDULERS) in (ROOT / "docs" / "generate.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in menu] == []
    assert yaml.safe_load(menu)["theme"]["font"] is False


def test_documents_and_models_name_no_place_of_their_makers() -> None:
    shipped = [path for path in (tables.PACKAGE / "pocket" / "weights").rglob("*") if path.suffix in (".json", ".md")]
    assert len(shipped) > 20
    for page in (*PAGES, *shipped):
        assert not re.search(r"(?<![\w.])/(work|opt|tmp|home|root)/", page.read_text(encoding="utf-8"))
