"""The command line. Commands are loaded when they are called, so that `easel --help` answers at once."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from easel.errors import Cancelled, EaselError, UnexpectedError, printable, unexpected
from easel.kinds import GROUPS, KINDS
from easel.version import __version__

if TYPE_CHECKING:
    from cyclopts import App

LEAST_COLUMNS = 20
WHAT_IT_IS = "Targeted pictures: of your subject, in your style, with scores that say how well each one hit."

TOOLS = {
    "run": ("easel.cli.commands:run", "Run a YAML recipe of any kind."),
    "again": ("easel.cli.again:again", "Make a picture again from its own recipe, and compare."),
    "models list": ("easel.cli.models:listing", "Every model: role, source, licence, size, and whether it is at hand."),
    "models pull": ("easel.cli.models:pull", "Download a model, so that it works offline."),
    "web": ("easel.cli.web:web", "Start the studio in the browser: pages, a queue, a gallery, APIs."),
    "worker": ("easel.cli.web:worker", "Run jobs of a studio beside its own worker."),
    "doctor": ("easel.cli.doctor:doctor", "What this machine has, and what to do about what is missing."),
}
"""Commands that are no kind of job."""


def command_table() -> dict[str, tuple[str, str]]:
    """Every command, by its words: where its function is, and what it does. A kind in two words is in a group."""
    kinds = {
        word.replace("-", " ") if word.partition("-")[0] in GROUPS else word: (
            f"easel.cli.commands:{word.replace('-', '_')}",
            kind.about,
        )
        for word, kind in KINDS.items()
    }
    return kinds | TOOLS


def build() -> App:
    """The cyclopts app with every command, none of them loaded."""
    from cyclopts import App

    app = App(
        name="easel", help=WHAT_IT_IS, version=__version__, help_format="plaintext", suppress_keyboard_interrupt=False
    )
    groups = {
        word: App(name=word, help=about)
        for word, about in (*GROUPS.items(), ("models", "The models that easel knows."))
    }
    for words, (target, about) in command_table().items():
        group, _, member = words.rpartition(" ")
        (groups[group] if group else app).command(target, name=member, help=about)
    for made in groups.values():
        app.command(made)
    groups["models"].default(_list_models)
    return app


def _list_models(*, json: bool = False) -> None:
    from easel.cli.models import listing

    listing(json=json)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; the exit status: 0 done, 2 something to put right (one line on stderr), 1 a fault of
    easel's own, 130 stopped.
    """
    try:
        _speak_safely()
        from cyclopts import CycloptsError, UnusedCliTokensError

        given = list(sys.argv[1:] if words is None else words)
        try:
            build()(given, exit_on_error=False, print_error=False, result_action="return_value")
            _flush()
        except UnusedCliTokensError as problem:
            return _say(f"too many words: {' '.join(problem.unused_tokens or ())} (words with spaces need quotes)", 2)
        except CycloptsError as problem:
            return _say(" ".join(str(problem).split()), 2)
    except Cancelled as problem:
        return _say(str(problem), 130)
    except UnexpectedError as problem:
        return _say(str(problem), 1)
    except EaselError as problem:
        return _say(str(problem), 2)
    except KeyboardInterrupt:
        return _say("stopped at once; finished files are kept", 130)
    except BrokenPipeError:
        _let_go(1)  # the reader of our output left: nothing more to say
        return 1
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            return _say(str(unexpected(problem)), 1)
        _let_go(1)
        return _say("cannot write: the disk is full, or what standard output goes to is", 2)
    except Exception as problem:  # noqa: BLE001 - the outermost door: what comes through is a fault of easel's own
        return _say(str(unexpected(problem)), 1)
    return 0


def enter() -> None:
    """`easel` as a program: run the command line, and leave at once.

    Python would first free the million objects that torch, diffusers and transformers are made of, which takes a second
    and changes nothing. What is to be done at the end is done: streams are written out, and so is whatever a library
    has asked for (atexit). Where a thread still works, Python's own way is taken.
    """
    status = main()
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()]
    if others:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _speak_safely() -> None:
    """Names that are no UTF-8 are shown escaped, a stream that was closed takes what is said and drops it, and a
    terminal that says it has hardly any columns gets twenty.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as we live
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) < LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(LEAST_COLUMNS)


def _flush() -> None:
    """Write out what was printed while an error can still be told. Raises OSError where it cannot be written."""
    with contextlib.suppress(ValueError):  # closed before us
        sys.stdout.flush()


def _let_go(number: int) -> None:
    """Point standard output (1) or error (2) to nowhere, so that Python has nothing to complain of at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _say(line: str, code: int) -> int:
    """One line on stderr and the exit status; of several processes that were started together the first alone speaks,
    and the others end well.
    """
    from easel.runners import machine

    if not machine.is_first():
        return 0
    with contextlib.suppress(OSError, ValueError):
        print(f"error: {printable(line)}", file=sys.stderr, flush=True)
    return code
