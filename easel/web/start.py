"""How the studio's processes begin: the web server with its worker, a worker alone, one heavy job."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from easel.errors import EaselError, shortened
from easel.web import studio

HERE = ("localhost", "127.0.0.1", "[::1]")
"""Hosts by which this machine calls itself."""
NAME = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
"""A host's name or address, without scheme, port or path."""
PORTS = 50
"""Ports that are tried, from the one asked for."""
PROCESS = (sys.executable, "-m", "easel.web.start")
"""How a process of the studio is started."""
RESTART_AFTER = 2.0
"""Seconds before a worker that died is started again."""


@dataclass(frozen=True)
class Door:
    """Where the studio listens, and by which names people reach it."""

    host: str
    port: int
    allowed: tuple[str, ...]
    https: bool

    @property
    def is_open(self) -> bool:
        """Whether only this machine can reach it, so that nobody needs to log in before there is an owner."""
        return is_loopback(self.host) and not self.allowed and not self.https

    @property
    def hosts(self) -> list[str]:
        """Names that a request may ask for. Raises EaselError where other machines reach it and no name was said."""
        said = list(self.allowed)
        for name in said:
            if not NAME.fullmatch(name):
                raise EaselError(
                    f"--allowed-host is '{shortened(name)}': write a name or an address alone, as in studio.example or "
                    ".example for all below it; '*' would let any name in"
                )
        if is_loopback(self.host):
            return [*HERE, *said]
        if self.host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            said.append(f"[{self.host}]" if ":" in self.host else self.host)
        if not said:
            raise EaselError(
                f"--host {self.host} opens the studio to other machines: say by which name they reach it, as in "
                "--allowed-host studio.example"
            )
        return [*HERE, *said]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(door: Door) -> socket.socket:
    """A socket on the door's port, or on the next free one where that is taken."""
    family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
    for port in range(door.port, min(door.port + PORTS, 65536)):
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((door.host, port))
            made.listen(128)
        except PermissionError:
            made.close()
            raise EaselError(f"port {port} needs an administrator: choose one above 1023 with --port") from None
        except socket.gaierror:
            made.close()
            raise EaselError(f"no host called '{shortened(door.host)}' on this machine: see --host") from None
        except OSError as problem:
            made.close()
            if port == door.port and problem.errno is not None and "assign" in str(problem):
                raise EaselError(f"this machine has no address {door.host}: see --host") from problem
            continue
        made.set_inheritable(True)
        return made
    raise EaselError(f"ports {door.port} to {door.port + PORTS - 1} are all taken: choose another with --port")


def serve(folder: Path, door: Door, *, workers: int = 1) -> None:
    """Start the web server and its worker, say where, and stay until Ctrl-C or SIGTERM."""
    os.environ["EASEL_HOSTS"] = ",".join(door.hosts)
    os.environ["EASEL_OPEN"] = "1" if door.is_open else "0"
    os.environ["EASEL_HTTPS"] = "1" if door.https else "0"
    place = studio.enter(folder)
    listening = bound(door)
    host, port = listening.getsockname()[:2]
    shown = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    print(f"the studio in {place} is at {shown}", flush=True)
    link = studio.owner_link()
    if link is not None:
        what = "to give it an owner with a password" if door.is_open else "to become its owner"
        print(f"open this once {what}: {shown}owner/{link}/", flush=True)

    import uvicorn

    config = uvicorn.Config(
        "easel.web.asgi:application",
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=3,
        proxy_headers=door.https,
        server_header=False,
    )
    from easel.web import uploads

    uploads.sweep()
    keepers = [Keeper() for _ in range(workers)]
    for keeper in keepers:
        keeper.start()
    server = _server(config)

    def ended(*_: object) -> None:
        if not server.started:  # later it hears of it by itself, and comes back when it has ended
            raise SystemExit(0)

    signal.signal(signal.SIGTERM, ended)
    try:
        server.run(sockets=[listening])
    finally:
        for keeper in keepers:
            keeper.stop()


def _server(config: Any) -> Any:
    """A server that ends its streams when it is told to end, and does not wait until those who watch go away."""
    import uvicorn

    from easel.web import live

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            live.end()
            logging.getLogger("uvicorn.error").addFilter(is_news)
            super().handle_exit(sig, frame)

    return Server(config)


def is_news(record: logging.LogRecord) -> bool:
    """Whether what the server says while it ends is more than that it cut streams which had not gone by themselves."""
    why = record.exc_info[0] if record.exc_info else None
    is_cut = why is not None and issubclass(why, asyncio.CancelledError)
    return not is_cut and "timeout graceful shutdown exceeded" not in record.getMessage()


class Keeper(threading.Thread):
    """Keeps one worker process alive until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start the worker, and start it again whenever it dies."""
        while not self._ended.is_set():
            self._child = subprocess.Popen([*PROCESS, "worker"])
            self._child.wait()
            self._ended.wait(RESTART_AFTER)

    def stop(self) -> None:
        """Let the worker come to its next step, and end."""
        self._ended.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(90)
            except subprocess.TimeoutExpired:
                self._child.kill()


def work(folder: str | Path, *, with_parent: bool = False, once: bool = False) -> None:
    """Be a worker of the studio in `folder`, until told to stop."""
    studio.enter(folder)
    from easel.web.worker import Stop, Worker

    stop = Stop(with_parent=with_parent)
    stop.listen()
    Worker(stop=stop, once=once).run()


def check(folder: Path, door: Door) -> int:
    """Run Django's checks for a studio that others reach; how many warnings there are."""
    os.environ["EASEL_HOSTS"] = ",".join(door.hosts)
    os.environ["EASEL_HTTPS"] = "1" if door.https else "0"
    studio.enter(folder)
    from django.core import checks

    found = [one for one in checks.run_checks(include_deployment_checks=True) if not one.is_silenced()]
    for one in found:
        print(f"{one.id}: {' '.join(str(one.msg).split())}")
    print("no warnings" if not found else f"{len(found)} warnings; --https is for a studio behind an HTTPS server")
    return len(found)


def main(words: Sequence[str]) -> None:
    """`python -m easel.web.start worker`, or `... JOB WORKER` for one heavy job, as the other processes start it."""
    folder = os.environ["EASEL_STUDIO"]
    if words[0] == "worker":
        work(folder, with_parent=True)
        return
    studio.enter(folder)
    from easel.web.worker import run_one

    run_one(int(words[0]), words[1])


if __name__ == "__main__":
    main(sys.argv[1:])
