"""Workers on Ray: the only part of easel that knows Ray. It carries parts to workers and what they made back.

A pool has between `least` and `most` workers, each an actor that keeps its models loaded: it grows while parts wait and
the cluster has room, shrinks when none do, and goes on without workers that die.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from easel.errors import EaselError, shortened
from easel.runners.joining import LOCAL, check, check_versions, explaining, lacking

AHEAD = 2
"""Parts that a worker has at hand: the one it does, and the next."""
CLIENT_TRIES = 3
"""Times that a head is asked for the process that it starts for each ray:// connection: a busy one may be late."""
STORE = 256 * 1024 * 1024
"""Bytes of a local cluster's object store: parts on their way back, and what does not fit goes to the disk."""


class Died(NamedTuple):
    """Instead of an outcome: the worker died, and what Ray says of it."""

    why: str


def connect(on: str, most: int | None) -> Any:
    """Ray, connected to the cluster that `on` names: local-cluster, auto, ray://HOST:PORT or HOST:PORT.

    A connection that is there already is kept. Raises EaselError, within seconds where nobody answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    check(on)
    import ray  # which reads there whether it is to send a token

    for handler in logging.getLogger("ray").handlers:  # it sets its loggers' levels anew; what matters is raised
        handler.setLevel(logging.CRITICAL)
    logging.getLogger("ray.util.client.logsclient").addHandler(logging.NullHandler())  # the head's own log
    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    with explaining(on), _own_signals():
        if on == LOCAL:
            _start_local(ray, most, quiet)
        else:
            threads = os.environ.get("OMP_NUM_THREADS")
            env = {"env_vars": {"OMP_NUM_THREADS": threads}} if threads else {}
            is_client = on.startswith("ray://")
            for turn in range(CLIENT_TRIES if is_client else 1):
                try:
                    ray.init(address=on, runtime_env=env, **({"log_to_driver": False} if is_client else quiet))
                    break
                except ConnectionAbortedError as problem:
                    if turn == CLIENT_TRIES - 1 or "Starting Ray client server failed" not in str(problem):
                        raise
    return ray


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """A process that means something by SIGTERM, as the studio's workers do, keeps it: Ray would end the process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _start_local(ray: Any, most: int | None, quiet: Mapping[str, Any]) -> None:
    """A cluster of this machine alone, gone with this process."""
    from easel.runners import machine

    folder = tempfile.mkdtemp(prefix="easel-ray-", dir="/tmp" if Path("/tmp").is_dir() else None)  # noqa: S108 - short
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ray.init(
        address="local",
        num_cpus=max(machine.cores(), (most or 0) * cores_each()),
        include_dashboard=False,
        object_store_memory=STORE,
        _temp_dir=folder,
        **quiet,
    )


def cores_each() -> int:
    """Cores of a worker without a GPU: as many as OMP_NUM_THREADS says, one where it is not set."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(said)) if said.isdigit() else 1


class Pool:
    """Workers, and the parts that they have in hand."""

    def __init__(self, on: str, least: int, most: int | None, worker: Callable[[], Any], device: str = "auto") -> None:
        """Join the cluster. `most` is what the cluster has room for, where it is not given. Raises EaselError."""
        self._ray, self.on = connect(on, most), on
        with explaining(on):
            have = self._ray.cluster_resources()
        gpus = device in {"auto", "cuda"} and have.get("GPU", 0) > 0
        self._needs = {"num_gpus": 1} if gpus else {"num_cpus": cores_each()}
        if device == "cuda" and not gpus:
            raise EaselError(f"--device cuda: no machine of the cluster at {on} has a GPU that Ray knows of")
        self.least, self._most = least, most
        self._worker = self._ray.remote(worker)
        self._starting: dict[Any, Any] = {}
        self._ready: dict[Any, dict[Any, None]] = {}
        """Workers, and what each has in hand, the part it does first."""
        self._tasks: dict[Any, tuple[Any, Any]] = {}
        self.who: dict[Any, str] = {}
        self.deaths = 0
        self._failed_starts = 0

    @property
    def most(self) -> int:
        """How many workers there may be: as asked, else as many as the cluster now has room for."""
        if self._most is not None:
            return max(self._most, self.least)
        have, (name, each) = self._ray.cluster_resources(), next(iter(self._needs.items()))
        room = have.get("GPU" if name == "num_gpus" else "CPU", 1)
        return max(self.least, int(room // each), 1)

    @property
    def size(self) -> int:
        """Workers that are there."""
        return len(self._ready)

    @property
    def busy(self) -> int:
        """Parts that workers have in hand."""
        return len(self._tasks)

    def grow(self, waiting: int) -> None:
        """Have workers for so many waiting parts, within the pool's limits."""
        wanted = min(self.most, max(self.least, waiting + len(self._tasks)))
        for _ in range(wanted - len(self._ready) - len(self._starting)):
            with explaining(self.on):  # through ray:// the head reads the class at once
                actor = self._worker.options(max_restarts=0, max_task_retries=0, **self._needs).remote()
                self._starting[actor.hello.remote()] = actor

    def shrink(self) -> None:
        """Let go of workers that have nothing to do, down to the least."""
        for actor in [actor for actor, held in self._ready.items() if not held]:
            if len(self._ready) <= self.least:
                return
            self._drop(actor)
        for ref, actor in list(self._starting.items()):
            if len(self._ready) + len(self._starting) > self.least:
                del self._starting[ref]
                self._kill(actor)

    @property
    def room(self) -> int:
        """How many more parts can be handed out."""
        return sum(max(0, AHEAD - len(held)) for held in self._ready.values())

    def submit(self, method: str, task: Any, *words: Any) -> None:
        """Hand a part to the worker that has least to do; `words` are what its method is called with."""
        actor = min(self._ready, key=lambda one: len(self._ready[one]))
        with explaining(self.on):
            ref = getattr(actor, method).remote(*words)
        self._tasks[ref] = (task, actor)
        self._ready[actor][ref] = None

    def wait(self, seconds: float) -> Iterator[tuple[Any, Any, str]]:
        """What has come back within so many seconds: the part, its outcome or `Died`, and who did it."""
        refs = [*self._starting, *self._tasks]
        if not refs:
            time.sleep(seconds)
            return
        with explaining(self.on):
            ready, _ = self._ray.wait(refs, num_returns=1, timeout=seconds)
            if ready:  # and whatever else is there
                ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            if ref in self._starting:
                self._arrived(ref, self._starting.pop(ref))
            elif ref in self._tasks:
                yield from self._back(ref)

    def _arrived(self, ref: Any, actor: Any) -> None:
        """A worker has started, or could not. Raises EaselError where it is of other versions, or none can start."""
        try:
            who = self._ray.get(ref)
        except Exception as problem:
            if found := lacking(self.on, str(problem)):
                raise found from problem
            self._failed_starts += 1
            if self._failed_starts < 5:
                return
            raise EaselError(f"workers do not start at {self.on}: {_reason(problem)}") from problem
        check_versions(who)
        self._failed_starts = 0
        self._ready[actor] = {}
        self.who[actor] = f"{who['machine']}:{who['process']}"

    def _back(self, ref: Any) -> Iterator[tuple[Any, Any, str]]:
        """A part that came back; with a worker that died come back all parts that it had in hand."""
        task, actor = self._tasks[ref]
        who = self.who.get(actor, "")
        try:
            outcome = self._ray.get(ref)
        except Exception as problem:  # noqa: BLE001 - Ray has many words for a worker that is gone
            self.deaths += 1
            held = list(self._ready.get(actor, ()))
            self._drop(actor)
            for turn, other in enumerate(held):
                mine = self._tasks.pop(other)[0]
                yield mine, None if turn else Died(_reason(problem)), who  # it had begun the first alone
            return
        del self._tasks[ref]
        self._ready.get(actor, {}).pop(ref, None)
        yield task, outcome, who

    def _drop(self, actor: Any) -> None:
        self._ready.pop(actor, None)
        self._kill(actor)

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(Exception):
            self._ray.kill(actor)

    def close(self) -> None:
        """End all workers, whatever they do; nothing that they have not handed back counts."""
        for actor in [*self._ready, *self._starting.values()]:
            self._kill(actor)
        self._ready, self._starting, self._tasks = {}, {}, {}


def _reason(problem: BaseException) -> str:
    """What Ray says of a dead worker, in few words."""
    text = " ".join(str(problem).split())
    name = type(problem).__name__
    if "creation task" in text or "__init__" in text:
        return shortened(str(problem).strip().splitlines()[-1], 150)
    if name == "OutOfMemoryError" or "OutOfMemory" in text or "low on memory" in text:
        return "its machine ran out of memory"
    if "node" in text.lower() and ("died" in text.lower() or "dead" in text.lower()) and "Worker exit type" not in text:
        return "its machine is gone"
    if "OOM" in text or name in {"ActorDiedError", "WorkerCrashedError"}:
        return "its process was killed, as the system does when memory runs out"
    return f"{name}: {shortened(text, 150)}"
