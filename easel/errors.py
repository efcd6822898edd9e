"""The one family of expected errors. Each is a single line of advice for the person at the keyboard."""

from __future__ import annotations

import difflib
import os
import tempfile
import traceback
import unicodedata
from collections.abc import Iterable
from pathlib import Path

FAULT = "easel-error.txt"
"""The traceback of an unexpected fault, in the folder of its run."""


class EaselError(Exception):
    """Something a person can put right. The message is one line: what is wrong, where, and what to do."""


class NoRoom(EaselError):
    """The disk is full: nothing else of a run would go better, so that it stops. What was done is kept."""


class UnexpectedError(EaselError):
    """A fault of easel's own. The message says where the traceback was written; the cause is the fault itself."""


def state_folder() -> Path:
    """Where easel keeps what belongs to no folder of a run (the XDG base directories' state)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "easel"


def unexpected(problem: BaseException, folder: Path | None = None) -> UnexpectedError:
    """One line about a fault of our own; its traceback is in easel-error.txt in `folder`, else where logs are kept."""
    state = state_folder()
    text = "".join(traceback.format_exception(problem)).encode("utf-8", "backslashreplace")
    where = "nowhere, since no file could be written"
    for place in (folder, state, Path(tempfile.gettempdir())):
        file = place / (FAULT if place == folder else f"easel-error-{os.getpid()}.txt") if place else None
        try:
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text)
                where = str(file)
                break
        except OSError:
            continue
    first = shortened(problem, 200) or "no message"
    return UnexpectedError(
        f"easel met something it did not expect: {type(problem).__name__}: {first}; the whole of it is in {where}; "
        "please report it"
    )


class Unconfirmed(EaselError):
    """So much work that it waits for a person's yes. The message says how much, and how to say yes beforehand."""

    def __init__(self, message: str, question: str, folder: Path) -> None:
        super().__init__(message)
        self.question = question
        self.folder = folder
        """Of the run, which goes on there."""


class Cancelled(EaselError):
    """The work was stopped on request (Ctrl-C, or a caller's report that raised this). No half files stay."""


def plain(word: str) -> str:
    """`word` in lower case without accents, spaces, dots, dashes or underscores: 'Van_Gogh' and 'van-gogh' agree."""
    letters = unicodedata.normalize("NFKD", word).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


def close_matches(word: str, known: Iterable[str]) -> list[str]:
    """The known words that look like `word`, best first; empty where none does."""
    names = {plain(name): name for name in known}
    short = plain(word)
    near = difflib.get_close_matches(short, names, n=3, cutoff=0.6)
    inside = [key for key in names if len(short) > 2 and (short in key or key in short) and key not in near]
    return [names[key] for key in [*near, *inside]]


def nearest(word: str, known: Iterable[str]) -> str:
    """Advice after an unknown word: 'use one of sd-1.5, sd-2.1, pocket', the words that look like it first.

    >>> nearest("sd15", ["pocket", "sd-1.5"])
    'use one of sd-1.5, pocket'
    """
    words = list(dict.fromkeys(known))
    if not words:
        return "there is none to choose from"
    near = close_matches(word, words)
    return "use one of " + ", ".join([*near, *(name for name in words if name not in near)])


def unknown(what: str, word: str, known: Iterable[str]) -> EaselError:
    """The error for a word that is not in a table: "no model called 'sd51': use one of sd-1.5, ..."."""
    return EaselError(f"no {what} called '{shortened(word)}': {nearest(word, known)}")


def shortened(text: object, limit: int = 60) -> str:
    """`text` on one line of at most `limit` letters, for use inside an error message."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


MOST_SAID = 4000
"""Letters of a line that is said to a person, at most."""


def printable(text: object, limit: int = MOST_SAID) -> str:
    r"""`text` as one line that a terminal shows as it is, cut to `limit` letters.

    Control characters and line breaks are escaped, and so is what is no text: bytes of names that are not UTF-8.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    line = str(text)
    if len(line) > limit:
        line = f"{line[: limit - 20]} ... ({len(line):,} letters)"
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in line)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii") if not 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def is_text(text: str) -> bool:
    """Whether `text` can be written as UTF-8: lone surrogates, as from names that are not UTF-8, cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
