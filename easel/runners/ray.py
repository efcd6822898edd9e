"""Workers on Ray: the only part of easel that knows Ray. It carries parts to workers and what they made back.

A pool has between `least` and `most` workers, each an actor that keeps its models loaded: it grows while parts wait and
the cluster has room, shrinks when none do, and goes on without workers that die.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import logging
import os
import platform
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from easel.errors import EaselError, shortened
from easel.version import __version__

LOCAL = "local-cluster"
AHEAD = 2
"""Parts that a worker has at hand: the one it does, and the next."""
ANSWERS_IN = 5.0
"""Seconds in which an address must answer."""
STORE = 256 * 1024 * 1024
"""Bytes of a local cluster's object store: parts on their way back, and what does not fit goes to the disk."""
TOKEN = Path("~/.ray/auth_token")
CURRENT = Path("/tmp/ray/ray_current_cluster")  # noqa: S108
"""Where `ray start` leaves its address."""


class Died(NamedTuple):
    """Instead of an outcome: the worker died, and what Ray says of it."""

    why: str


def connect(on: str, most: int | None) -> Any:
    """Ray, connected to the cluster that `on` names: local-cluster, auto, ray://HOST:PORT or HOST:PORT.

    A connection that is there already is kept. Raises EaselError, within seconds where nobody answers.
    """
    check(on)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if on != LOCAL:
        _take_token(on)
    import ray  # which reads there whether it is to send a token

    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    with explaining(on), _own_signals():
        if on == LOCAL:
            _start_local(ray, most, quiet)
        else:
            threads = os.environ.get("OMP_NUM_THREADS")
            env = {"env_vars": {"OMP_NUM_THREADS": threads}} if threads else {}
            given = {} if on.startswith("ray://") else quiet
            ray.init(address=on, runtime_env=env, **given)
    return ray


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """A process that means something by SIGTERM, as the studio's workers do, keeps it: Ray would end the process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def check(on: str) -> None:
    """Raise EaselError, within seconds, where Ray is not installed, or nobody answers."""
    if importlib.util.find_spec("ray") is None:
        raise EaselError(f"--on {shortened(on)} needs Ray, which is not installed: pip install 'easel[ray]'")
    if on != LOCAL:
        check_address(on)


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


def _token() -> str:
    """This process's token, from where Ray takes it; '' where there is none."""
    found = os.environ.get("RAY_AUTH_TOKEN", "")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN).expanduser()
        found = found or path.read_text(encoding="utf-8").strip()
    return found


def _take_token(on: str) -> None:
    """`ray start` makes a cluster ask for a token, and a plain driver sends none and waits half a minute; to one that
    asks for none a token does harm. So the cluster is asked first. Raises EaselError where there is none, or another.
    """
    address = _found() if on == "auto" else on.removeprefix("ray://")
    if not address or importlib.util.find_spec("grpc") is None:
        return
    if not _refuses(address, on, ""):
        os.environ["RAY_AUTH_MODE"] = "disabled"
        return
    os.environ["RAY_AUTH_MODE"] = "token"
    token = _token()
    if not token or _refuses(address, on, token):
        what = "the token here is another" if token else "there is none here"
        raise EaselError(
            f"the cluster at {shortened(on)} asks for a token, and {what}: copy {TOKEN} from its head, or set "
            "RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file with it"
        )


def _found() -> str:
    """The address of the cluster that runs on this machine; '' where there is none that can be seen."""
    said = os.environ.get("RAY_ADDRESS", "")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        said = said or CURRENT.read_text(encoding="utf-8").strip()
    return said if re.fullmatch(r"[^\s/]+:\d+", said) else ""


def _refuses(address: str, on: str, token: str) -> bool:
    """Whether a cluster refuses a call with this token, or without one."""
    import grpc

    method = "RayletDriver/ClusterInfo" if on.startswith("ray://") else "NodeInfoGcsService/CheckAlive"
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/ray.rpc.{method}", request_serializer=bytes, response_deserializer=bytes)
        try:
            call(b"", timeout=ANSWERS_IN, metadata=[("authorization", f"Bearer {token}")] if token else None)
        except grpc.RpcError as problem:
            return bool(problem.code() == grpc.StatusCode.UNAUTHENTICATED)
    return False


def check_address(on: str) -> None:
    """Raise EaselError where an address is none, or nobody listens there."""
    if on == "auto":
        return
    host, colon, port = on.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise EaselError(
            f"--on {shortened(on)} is no address: use {LOCAL}, auto, HOST:PORT of a cluster, or ray://HOST:PORT"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_IN).close()
    except OSError as problem:
        usual = "6379, or 10001 for ray://"
        raise EaselError(
            f"nobody answers at {shortened(on)} ({shortened(getattr(problem, 'strerror', None) or problem)}): is the "
            f"cluster up (`ray status` on its head), and is this its port (by default {usual})?"
        ) from problem


@contextlib.contextmanager
def explaining(on: str) -> Iterator[None]:
    """Whatever Ray raises, as one line of advice."""
    try:
        yield
    except EaselError:
        raise
    except Exception as problem:
        raise explained(on, problem) from problem


VERSIONS = re.compile(r"\b(Ray|Python): *([\w.]+)")


def explained(on: str, problem: BaseException) -> EaselError:
    """Why a cluster cannot be joined, or cannot be worked on, in words: what differs there, and what to do."""
    text, words = str(problem), shortened(problem, 300)
    if found := _lacking(on, text):
        return found
    if "ersion mismatch" in text:
        told = VERSIONS.findall(text)
        there, here = (" and ".join(" ".join(one) for one in told[at : at + 2]) for at in (0, 2))
        what = f"{there}, and this process {here}" if len(told) == 4 else words
        return EaselError(f"the cluster at {on} has {what}: use the same on all machines")
    if on == "auto" and ("any running Ray" in text or "Could not find" in text):
        return EaselError(
            f"--on auto: no cluster runs on this machine: start one with `ray start --head`, or use {LOCAL}"
        )
    if on == LOCAL:
        return EaselError(f"a local cluster cannot start, or has ended: {words}")
    return EaselError(
        f"the cluster at {on} answers, and does not do what it is asked ({type(problem).__name__}: {words}): see "
        "`ray status` on its head; what is done is kept, and the same command goes on"
    )


def _lacking(on: str, text: str) -> EaselError | None:
    """What is not there, or not the same, where easel cannot be imported on a machine; None where that is not why."""
    if "No module named 'easel'" in text:
        return EaselError(
            f"easel is not installed on the machines of the cluster at {on}: install easel {__version__} there"
        )
    if "No module named 'easel." in text or re.search(r"(attribute|import name) .*easel", text):
        return EaselError(
            f"easel on the machines of the cluster at {on} is another than here: install easel {__version__} there"
        )
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return EaselError(
            f"{missing[1]} is not installed on the machines of the cluster at {on}: install easel {__version__} with "
            "all its packages there"
        )
    return None


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
            if found := _lacking(self.on, str(problem)):
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


def check_versions(who: Mapping[str, str]) -> None:
    """Raise EaselError where a worker's machine has another easel than this process, or another Python but for the last
    number, by which no result changes.
    """
    python = platform.python_version()
    for name, theirs, mine in (("easel", who["easel"], __version__), ("Python", who["python"], python)):
        same = theirs == mine if name == "easel" else theirs.split(".")[:2] == mine.split(".")[:2]
        if not same:
            raise EaselError(
                f"{who['machine']} has {name} {theirs}, and this process {mine}: use the same on all machines"
            )


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
