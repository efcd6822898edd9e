"""The command line. Commands are loaded when they are called, so that `easel --help` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from easel.errors import Cancelled, EaselError
from easel.version import __version__

if TYPE_CHECKING:
    from cyclopts import App

WHAT_IT_IS = "Targeted pictures: of your subject, in your style, with scores that say how well each one hit."

COMMANDS = (
    ("caption", "easel.cli.commands:caption", "Say what is in photos or folders; rank tags; interrogate."),
    ("ask", "easel.cli.commands:ask", "Ask a question about a photo."),
    ("generate", "easel.cli.commands:generate", "Make pictures from words."),
    ("stylize", "easel.cli.commands:stylize", "Redraw a photo in the manners of artists, each picture scored."),
    ("train", "easel.cli.commands:train", "Train a GAN, a VAE or a text-to-image GAN from a folder of pictures."),
    ("run", "easel.cli.commands:run", "Run a YAML recipe of any kind."),
    ("again", "easel.cli.again:again", "Make a picture again from its own recipe, and compare."),
    ("doctor", "easel.cli.doctor:doctor", "What this machine has, and what to do about what is missing."),
)
GROUPS: dict[str, tuple[str, *tuple[tuple[str, str, str], ...]]] = {
    "score": (
        "Measure over a folder of photos, or over a trained model.",
        ("styles", "easel.cli.commands:score_styles", "How often each style succeeds, less the plain photos' rate."),
        ("prompt", "easel.cli.commands:score_prompt", "How well pictures fit their captions (CLIP-T)."),
        ("sets", "easel.cli.commands:score_sets", "How near a made set is to a real one: FID, KID, precision, recall."),
        ("ppl", "easel.cli.commands:score_ppl", "How evenly a trained model's pictures change (path length)."),
    ),
    "data": (
        "Sets of pictures: look at one, or draw one.",
        ("summary", "easel.cli.commands:data_summary", "What is in a folder of pictures: counts, plots, a map."),
        ("world", "easel.cli.commands:data_world", "Draw a captioned set of birds, faces, rooms, ... into a folder."),
    ),
    "models": (
        "The models that easel knows.",
        ("list", "easel.cli.models:listing", "Every model: role, source, licence, size, and whether it is at hand."),
        ("pull", "easel.cli.models:pull", "Download a model, so that it works offline."),
    ),
}


def build() -> App:
    """The cyclopts app with every command, none of them loaded."""
    from cyclopts import App

    app = App(
        name="easel", help=WHAT_IT_IS, version=__version__, help_format="plaintext", suppress_keyboard_interrupt=False
    )
    for name, target, meaning in COMMANDS:
        app.command(target, name=name, help=meaning)
    for name, (meaning, *members) in GROUPS.items():
        group = App(name=name, help=meaning)
        for member, target, about in members:
            group.command(target, name=member, help=about)
        app.command(group)
    app["models"].default(_list_models)
    return app


def _list_models(*, json: bool = False) -> None:
    from easel.cli.models import listing

    listing(json=json)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 something to put right (one line on stderr), 130 stopped."""
    sys.exit(status(list(sys.argv[1:] if words is None else words)))


def status(words: list[str]) -> int:
    """Run one command line; the exit status."""
    from cyclopts import CycloptsError, UnusedCliTokensError

    try:
        build()(words, exit_on_error=False, print_error=False, result_action="return_value")
    except UnusedCliTokensError as problem:
        return _say(f"too many words: {' '.join(problem.unused_tokens or ())} (words with spaces need quotes)", 2)
    except CycloptsError as problem:
        return _say(" ".join(str(problem).split()), 2)
    except Cancelled as problem:
        return _say(str(problem), 130)
    except EaselError as problem:
        return _say(str(problem), 2)
    except KeyboardInterrupt:
        return _say("stopped at once; finished files are kept", 130)
    except BrokenPipeError:
        sys.stdout = None  # the reader of our output left: nothing more to say
        return 1
    return 0


def _say(line: str, code: int) -> int:
    """One line on stderr, said once where several processes were started together, and the exit status."""
    from easel.runners import machine

    if machine.is_first():
        print(f"error: {line}", file=sys.stderr)
    return code
