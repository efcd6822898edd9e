"""`easel web` and `easel worker`: the studio in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from easel.errors import EaselError

Flag = Parameter(negative=(), show_default=False)
On = Annotated[
    str | None,
    Parameter(help="Ray cluster to hand jobs over to, where their kind can be: local-cluster, auto or an address."),
]
Studio = Annotated[Path, Parameter(help="Folder of the studio: its database, uploads and everything it makes.")]


def web(  # noqa: PLR0913 - flags
    *,
    studio: Studio = Path("studio"),
    host: Annotated[str, Parameter(help="Address to listen on; 0.0.0.0 is all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; the next free one where it is taken.")] = 8000,
    allowed_host: Annotated[
        tuple[str, ...],
        Parameter(help="Name by which other machines reach it; may be given several times.", negative=()),
    ] = (),
    https: Annotated[bool, Flag, Parameter(help="People reach it through an HTTPS server before it.")] = False,
    on: On = None,
    workers: Annotated[str | None, Parameter(help="Workers on that cluster, 4 or LEAST:MOST.")] = None,
    check: Annotated[
        bool, Flag, Parameter(help="Only run Django's checks for a public site, and say what they find.")
    ] = False,
) -> None:
    """Start the studio in the browser, with one worker; without --host for this machine alone."""
    from easel.web import start

    if not 0 <= port <= 65535:
        raise EaselError(f"--port {port}: ports go from 0 (any) to 65535")
    door = start.Door(host, port, allowed_host, https)
    if check:
        if start.check(studio, door):
            sys.exit(1)
        return
    _hand_over(on, workers)
    start.serve(studio, door)


def worker(
    *,
    studio: Studio = Path("studio"),
    on: On = None,
    workers: Annotated[str | None, Parameter(help="Workers on that cluster, 4 or LEAST:MOST.")] = None,
    once: Annotated[bool, Flag, Parameter(help="End when nothing is left to do.")] = False,
) -> None:
    """Run jobs of a studio beside its own worker, on any machine that reaches its folder and its database."""
    from easel.web import start

    _hand_over(on, workers)

    start.work(studio, once=once)


def _hand_over(on: str | None, workers: str | None) -> None:
    """Have the studio's processes, which inherit it, run their jobs on a cluster. Raises EaselError."""
    from easel.runners import cluster, joining

    for name, value in (("EASEL_ON", on), ("EASEL_WORKERS", workers)):
        if value:
            os.environ[name] = value
    if on:
        cluster.Cluster.asked(on, workers)
        joining.check(on)
