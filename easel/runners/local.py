"""Run a recipe in this process: its device, its folder, and its job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from easel.errors import FAULT, EaselError, unexpected
from easel.files import sweep, unwritable
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import machine
from easel.workspace import Report, Workspace


class Busy(EaselError):
    """Another run is writing into the folder."""


LOCK = ".easel.lock"
"""A file in a run's folder that is locked while the run lasts."""


def run(
    recipe: Recipe,
    out: str | Path | None,
    device: str,
    dtype: str,
    report: Report | None,
    do: Callable[[Recipe, Workspace], Result] | None = None,
) -> Result:
    """`runners.run` in one process, whatever was started beside it. `do` does the work elsewhere, on devices that are
    not of this machine; else the job does it here.
    """
    from easel import jobs

    computed_in = dtype
    if do is None:
        device, computed_in = machine.resolve(device, dtype)
    if out is not None and not str(out).strip():
        raise EaselError("out is empty: name a folder, or leave it out")
    folder = default_folder(recipe) if out is None else Path(out)
    is_new = out is None or is_missing(folder)
    workspace = Workspace(folder, device, dtype, report, computed_in)
    try:
        with owned(folder):
            if not is_new:
                sweep(folder)
            result = (do or jobs.run)(recipe, workspace)
            (folder / FAULT).unlink(missing_ok=True)
            return result
    except (EaselError, KeyboardInterrupt, SystemExit):
        take_back(folder, workspace, is_new)
        raise
    except Exception as problem:
        raise unexpected(problem, folder) from problem
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Let this run alone write into a folder until the block ends; the system lets go of it when the process is killed.

    Raises Busy where another run has it. Where files cannot be locked (some network drives) nobody is refused.
    """
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(f"another run is writing into {folder}: wait for it, or choose another --out") from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def is_missing(folder: Path) -> bool:
    """Whether there is nothing at this place yet. Raises EaselError on a name that no folder can have."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError) as problem:
        raise unwritable(problem, folder) from problem
    return False


def take_back(folder: Path, workspace: Workspace, is_new: bool) -> None:
    """Leave nothing of a run that ended before it made anything: no recipe.yaml that was not there, no new folder."""
    if any((folder / name).exists() for name in workspace.written - {"recipe.yaml"}):
        return
    if "recipe.yaml" in workspace.written and not workspace.had_recipe:
        (folder / "recipe.yaml").unlink(missing_ok=True)
    if is_new and {path.name for path in folder.iterdir()} <= {LOCK}:
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()


def default_folder(recipe: Recipe) -> Path:
    """A new folder such as out/stylize-20250131-142501-1234: kind, UTC time and seed, so that runs sort by time."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    first = Path("out") / f"{recipe.kind}-{now}-{recipe.seed}"
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as problem:
        raise unwritable(problem, first) from problem
    return first
