"""Where runs are shared out, and the workers that stay warm from one of this process's runs to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from easel.errors import EaselError, shortened
from easel.runners.cluster.worker import Worker
from easel.runners.ray import Pool
from easel.workspace import Workspace

_pools: dict[tuple[Any, ...], Pool] = {}
"""Pools of this process, whose least workers stay warm for its next run."""


@dataclass(frozen=True)
class Cluster:
    """Where a run is shared out, among how many, and how its pictures are kept."""

    on: str
    least: int = 1
    most: int | None = None
    shards: int | None = None
    """Photos whose pictures go into one tar; None writes plain files."""
    part: int | None = None
    """Photos of a part; chosen by the kind where it is not given."""

    @classmethod
    def asked(cls, on: str, workers: str | None = None, shards: int | None = None) -> Cluster:
        """As it is said on the command line: workers as '4', or '1:16' from least to most. Raises EaselError."""
        if shards is not None and shards < 1:
            raise EaselError(f"--shards {shards}: a shard holds the pictures of 1 photo at least")
        if not workers:
            return cls(on, shards=shards)
        low, colon, high = workers.partition(":")
        if not low.isdigit() or (colon and not high.isdigit()) or not 1 <= int(low) <= int(high or low) <= 100_000:
            raise EaselError(f"--workers {shortened(workers)}: write a number, or LEAST:MOST, such as 4 or 1:16")
        return cls(on, int(low), int(high or low), shards)


@contextlib.contextmanager
def joined(cluster: Cluster, workspace: Workspace, device: str | None = None) -> Iterator[Pool]:
    """The workers: those of this process's last run there, where it had some. `device` is theirs, where it is not the
    workspace's. Raises EaselError.
    """
    device = device or workspace.device
    key = (cluster.on, cluster.least, cluster.most, device)
    workspace.step("joining the cluster", 0, 1)
    for other in [other for other in _pools if other != key]:  # warm workers of another pool would hold the room
        _pools.pop(other).close()
    pool = _pools.get(key) or Pool(cluster.on, cluster.least, cluster.most, Worker, device)
    try:
        workspace.step("joining the cluster", 1, 1)
        yield pool
    except BaseException:
        _pools.pop(key, None)
        pool.close()
        raise
    _pools[key] = pool


def close() -> None:
    """End the workers that this process keeps warm."""
    while _pools:
        _pools.popitem()[1].close()
