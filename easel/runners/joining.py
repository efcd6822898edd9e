"""Whether a cluster can be joined, asked before Ray is imported; and what Ray says, in words."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from easel.errors import EaselError, shortened
from easel.version import __version__

LOCAL = "local-cluster"
ANSWERS_IN = 5.0
"""Seconds in which an address must answer."""
TOKEN = Path("~/.ray/auth_token")
CURRENT = Path("/tmp/ray/ray_current_cluster")  # noqa: S108
"""Where `ray start` leaves its address."""


def check(on: str) -> None:
    """Raise EaselError, within seconds, where Ray is not installed, nobody answers, or a token is lacking."""
    if importlib.util.find_spec("ray") is None:
        raise EaselError(f"--on {shortened(on)} needs Ray, which is not installed: pip install 'easel[ray]'")
    if on != LOCAL:
        check_address(on)
        _take_token(on)


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
    """Whether a cluster refuses a call with this token, or without one. Raises EaselError where that is no cluster."""
    import grpc

    method = "RayletDriver/ClusterInfo" if on.startswith("ray://") else "NodeInfoGcsService/CheckAlive"
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/ray.rpc.{method}", request_serializer=bytes, response_deserializer=bytes)
        try:
            call(b"", timeout=ANSWERS_IN, metadata=[("authorization", f"Bearer {token}")] if token else None)
        except grpc.RpcError as problem:
            if problem.code() == grpc.StatusCode.UNIMPLEMENTED:  # Ray would wait for half a minute
                raise EaselError(
                    f"what answers at {shortened(on)} is no Ray, or Ray's other port: HOST:PORT takes that of the head "
                    "(by default 6379), ray://HOST:PORT that of its clients (10001)"
                ) from problem
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
    if found := lacking(on, text):
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


def lacking(on: str, text: str) -> EaselError | None:
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
