"""Where the studio listens, by which names people reach it, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from easel.cli import main
from easel.errors import EaselError
from easel.web import start
from easel.web.studio import database


def door(host: str = "127.0.0.1", port: int = 0, allowed: tuple[str, ...] = (), https: bool = False) -> start.Door:
    return start.Door(host, port, allowed, https)


def test_this_machine_alone_is_open_and_others_need_a_name() -> None:
    assert door().is_open
    assert door("::1").is_open
    assert not door(allowed=("studio.example",)).is_open
    assert not door(https=True).is_open
    assert not door("192.0.2.1").is_open
    assert door("192.0.2.1").hosts[-1] == "192.0.2.1"
    assert door("0.0.0.0", allowed=("studio.example",)).hosts[-1] == "studio.example"
    assert "*" not in door("0.0.0.0", allowed=("studio.example",)).hosts
    with pytest.raises(EaselError, match="say by which name they reach it"):
        _ = door("0.0.0.0").hosts
    assert door(allowed=(".example", "10.0.0.1", "[2001:db8::1]")).hosts[-3:] == [
        ".example",
        "10.0.0.1",
        "[2001:db8::1]",
    ]
    for wrong in ("*", "https://studio.example", "studio.example:8000", "studio.example/", "", "a b"):
        with pytest.raises(EaselError, match="write a name or an address alone"):
            _ = door(allowed=(wrong,)).hosts


def test_a_taken_port_gives_way_to_the_next(socket_enabled: None) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    made = start.bound(door(port=port))
    assert made.getsockname()[1] > port
    made.close()
    taken.close()
    with pytest.raises(EaselError, match="no address"):
        start.bound(door("192.0.2.1"))


def test_streams_that_are_cut_at_the_end_are_no_news() -> None:
    def record(text: str, problem: type[BaseException] | None = None) -> logging.LogRecord:
        told = None if problem is None else (problem, problem(), None)
        return logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, text, (1,) if "%s" in text else (), told)

    assert not start.is_news(record("Exception in ASGI application\n", asyncio.CancelledError))
    assert not start.is_news(record("Cancel %s running task(s), timeout graceful shutdown exceeded"))
    assert start.is_news(record("Exception in ASGI application\n", ValueError))


def test_addresses_of_databases(tmp_path: Path) -> None:
    assert database("", tmp_path)["NAME"] == str(tmp_path / "studio.sqlite3")
    found = database("postgresql://me:p%40ss@db.example:5433/studio?sslmode=require", tmp_path)
    names = ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")
    assert [found[name] for name in names] == ["me", "p@ss", "db.example", "5433", "studio", {"sslmode": "require"}]
    assert database("postgres:///studio?host=/run/pg", tmp_path)["HOST"] == "/run/pg"
    for wrong in ("mysql://x/y", "postgresql://host", "nonsense", "postgresql://h:port/x", "postgresql://[::1/x"):
        with pytest.raises(EaselError, match="DATABASE_URL"):
            database(wrong, tmp_path)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["web", "--port", "99999"]) == 2
    assert "ports go from 0" in capsys.readouterr().err
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ninja" else real(name))
    assert main(["web", "--studio", str(tmp_path / "studio")]) == 2
    assert "the studio needs ninja" in capsys.readouterr().err
    (tmp_path / "file").touch()
    monkeypatch.undo()
    assert main(["worker", "--studio", str(tmp_path / "file" / "studio"), "--once"]) == 2
    assert "a file is where a folder is needed" in capsys.readouterr().err


def test_what_the_environment_says_wrongly_is_said(tmp_path: Path) -> None:
    for name, value, words in (
        ("EASEL_QUOTA_GB", "much", "EASEL_QUOTA_GB is 'much': write a number"),
        ("DATABASE_URL", "postgresql://127.0.0.1:1/x", "the database is not reached"),
    ):
        command = [sys.executable, "-m", "easel", "worker", "--once", "--studio", str(tmp_path / "studio")]
        shown = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {name: value})
        assert (shown.returncode, words in shown.stderr, "Traceback" in shown.stderr) == (2, True, False), shown.stderr
    assert (tmp_path / "studio").stat().st_mode & 0o777 == 0o700


def test_django_s_checks_find_nothing_behind_https(tmp_path: Path) -> None:
    words = ["web", "--check", "--studio", str(tmp_path / "studio"), "--allowed-host", "studio.example"]
    for https, status, said in ((["--https"], 0, "no warnings"), ([], 1, "security.W012")):
        command = [sys.executable, "-m", "easel", *words, *https]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (shown.returncode, said in shown.stdout) == (status, True), shown.stdout + shown.stderr


def test_the_command_line_loads_no_django_for_its_help() -> None:
    words = "import sys; from easel.cli import main; main(['--help']); print('django' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert "Start the studio in the browser" in shown
    assert shown.rstrip().endswith("False")
