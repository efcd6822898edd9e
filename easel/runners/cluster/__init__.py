"""A run shared out among machines: found, cut into parts, handed to workers, written down, put together in order.

The folder of the run holds the manifest; whatever is killed, the same command goes on. The driver writes pictures to a
folder itself, and workers write them to a bucket, so that no disk must be shared. Its memory does not grow with photos.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import EaselError, shortened
from easel.files import write_atomic
from easel.kinds import KINDS
from easel.recipes import write_yaml
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners.cluster import glue, places, sources
from easel.runners.cluster.manifest import NAME, VERSION, Manifest, Part
from easel.runners.cluster.part import Worker
from easel.runners.cluster.task import Outcome, Task
from easel.runners.ray import Died, Pool
from easel.workspace import Workspace

TOGETHER, ALONE = 64, 8
"""Photos of a part that go through the models together, and that are runs of their own."""
MOST_DEATHS = 2
"""Workers that may die with a part in hand before it is cut smaller, or given up where it is one photo."""
LOOK = 0.2
"""Seconds between two looks at what has come back, and at whether the run is to stop."""
HOPELESS = 16
"""Failures for one and the same reason, with nothing done, after which the run stops: it is not the photos' mistake."""
CLOCK_EVERY = 5.0
"""Seconds between two looks at the clock that a kill does not undo."""
COPY_EVERY = 300.0
"""Seconds between two copies of the manifest beside pictures in a bucket."""
FINDING = "finding photos"
FAULTS = "photo-errors.txt"
"""The last traceback of a fault of easel's own over a photo."""
ALONE_FOR = 30.0
"""Seconds without any worker after which it is said that the run waits for one."""

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


def check(recipe: Recipe, cluster: Cluster) -> None:
    """Raise EaselError where a run cannot be shared out, or not so."""
    if not recipe.shared_by:
        raise EaselError(f"{recipe.kind} cannot be shared out among machines: leave --on out")
    if problem := recipe.whole_only():
        raise EaselError(problem)
    size = getattr(recipe, "batch_size", 1)
    if cluster.shards and cluster.shards % size:
        raise EaselError(f"--shards {cluster.shards}: must be a multiple of --batch-size, which is {size}")


def run(recipe: Recipe, workspace: Workspace, cluster: Cluster, to: str = "") -> Result:
    """Run a recipe on a cluster, going on where an earlier start stopped. `to` is a bucket's folder for what is made.

    Raises EaselError and Cancelled.
    """
    return _Run(recipe, workspace, cluster, to).run()


class _Run:
    """One start of a shared run."""

    def __init__(self, recipe: Recipe, workspace: Workspace, cluster: Cluster, to: str) -> None:
        self.recipe, self.workspace, self.cluster, self.to = recipe, workspace, cluster, to
        self.began = self.copied = time.monotonic()
        self.left: deque[Part] = deque()
        self.after = 0
        self.reasons: Counter[str] = Counter()
        self.whole = ""

    def run(self) -> Result:
        """Prepare, find, do, put together."""
        from easel import jobs

        recipe, workspace, to = self.recipe, self.workspace, self.to
        check(recipe, self.cluster)
        path = workspace.path(NAME)
        if to:
            places.check_writable(to)
            if not path.exists():
                places.fetch(places.below(to, NAME), path)
        self.recipe = recipe = self._continued(path)
        jobs.facts_of(recipe)
        named = [] if recipe.shared_by == "count" else self._named()
        found = sources.sources(named) if named and not path.exists() else []
        workspace.place_for(NAME)
        with contextlib.closing(Manifest(path)) as self.manifest:
            self._begin()
            write_yaml(recipe, workspace.place_for("recipe.yaml"))
            with self._pool() as pool:
                if self.manifest.total is None:
                    self._find(pool, found or sources.sources(named), named)
                self._do(pool)
                pool.shrink()
                return self._finished(pool)

    def _continued(self, path: Path) -> Recipe:
        """The recipe, with the seed of the start before. Raises EaselError where that had other settings."""
        from easel import jobs

        if not path.exists() or not (self.workspace.folder / "recipe.yaml").exists():
            return self.recipe
        return jobs.continued(self.recipe, self.workspace, resumes=True)

    def _named(self) -> list[str]:
        value = getattr(self.recipe, self.recipe.shared_by)
        return list(value) if isinstance(value, tuple) else [str(value)]

    def _begin(self) -> None:
        facts = self.manifest
        if facts.fact("version") not in {None, VERSION}:
            raise EaselError(
                f"{facts.path} is of another version of easel: go on with that one, or choose another --out"
            )
        mine = json.dumps([self.to, self.cluster.shards])
        before = facts.fact("kept")
        if before not in {None, mine}:
            raise EaselError(
                f"{facts.path.parent} holds a run whose pictures are kept otherwise ({before}, now {mine}): use the "
                "same --out and --shards to go on with it"
            )
        starts = int(facts.fact("starts") or 0) + 1
        facts.keep(version=VERSION, kept=mine, starts=str(starts))
        if facts.total is not None:
            facts.take_back_lost()
            if starts > 1:
                glued = facts.counts()[0]
                self.workspace.step("going on", glued, facts.total)

    @contextlib.contextmanager
    def _pool(self) -> Iterator[Pool]:
        """The workers: those of this process's last run there, where it had some."""
        cluster, device = self.cluster, self.workspace.device
        key = (cluster.on, cluster.least, cluster.most, device)
        self.workspace.step("joining the cluster", 0, 1)
        for other in [other for other in _pools if other != key]:  # warm workers of another pool would hold the room
            _pools.pop(other).close()
        pool = _pools.get(key) or Pool(cluster.on, cluster.least, cluster.most, Worker, device)
        try:
            self.workspace.step("joining the cluster", 1, 1)
            self.deaths_before = pool.deaths
            yield pool
        except BaseException:
            _pools.pop(key, None)
            pool.close()
            raise
        _pools[key] = pool

    def _part_size(self) -> int:
        """Items of a part: whole batches, and no fewer or more for any number of workers, so that these change
        nothing.
        """
        batch = getattr(self.recipe, "batch_size", 1)
        if self.cluster.shards:
            return self.cluster.shards
        wanted = self.cluster.part or (TOGETHER if self.recipe.together else ALONE)
        return max(1, -(-wanted // batch)) * batch

    def _find(self, pool: Pool, found: list[sources.Source], named: list[str]) -> None:
        """Fill the manifest with what there is to do; heads of shards are read by the workers."""
        manifest, size = self.manifest, self._part_size()
        if self.recipe.shared_by == "count":
            manifest.number_pictures(int(getattr(self.recipe, "count", 1)), size)
            return
        root = sources.common_root(found)
        known = int(manifest.fact("sources") or 0)
        shards = [(number, one) for number, one in enumerate(found) if one.sort == "shard" and number >= known]
        broken = 0
        for number, source in enumerate(found):
            if source.sort != "shard" and number >= known:
                manifest.forget_found(number)
                manifest.add_found(number, sources.listed(source, root))
                self.workspace.step(FINDING, number, len(found))
        for number, rows, note in self._indexed(pool, shards, root):
            manifest.forget_found(number)
            manifest.add_found(number, (tuple(row) for row in rows))
            if note:
                broken += 1
                manifest.note([note])
        total = manifest.number_items(size)
        self.workspace.step(FINDING, len(found), len(found))
        if not total:
            why = manifest.notes()
            raise EaselError(why[0]) if broken else sources.nothing_found(named)

    def _indexed(
        self, pool: Pool, shards: list[tuple[int, sources.Source]], root: str
    ) -> Iterator[tuple[int, list[Any], str]]:
        """What is in each shard, and a note on what is wrong with it."""
        waiting, tries = deque(shards), 0
        while waiting or pool.busy:
            pool.grow(len(waiting))
            while waiting and pool.room:
                number, source = waiting.popleft()
                pool.submit("index", (number, source), source.place, root)
            for (number, source), back, _ in pool.wait(LOOK):
                if back is None or isinstance(back, Died):
                    tries += back is not None
                    if tries > 10 * MOST_DEATHS:
                        raise EaselError(f"workers die reading {source.place}: {back.why if back else ''}")
                    waiting.append((number, source))
                    continue
                yield (number, *back)
            done = len(shards) - len(waiting) - pool.busy
            self.workspace.step(FINDING, done, len(shards))

    def _do(self, pool: Pool) -> None:
        """Hand out all parts that wait, and take in what comes back."""
        total = self.manifest.total or 0
        done, failed = self.manifest.counts()
        phase = "drawing" if self.recipe.shared_by == "count" else self.recipe.kind
        self.workspace.step(phase, done + failed, total)
        self._refill()
        over, seen = done + failed, time.monotonic()
        while self.left or pool.busy:
            pool.grow(len(self.left))
            if not self.left:
                pool.shrink()
            while self.left and pool.room:
                part = self.left.popleft()
                pool.submit("do", part, self._task(part))
                self._refill()
            preview = None
            for part, back, who in pool.wait(LOOK):
                over += self._take(part, back, who)
                preview = back if isinstance(back, Outcome) else preview
            seen = time.monotonic() if pool.size else seen
            waits = time.monotonic() - seen > ALONE_FOR
            self.workspace.step(
                f"{phase}, waiting for room for a worker" if waits else phase, over, total, _picture(preview)
            )
            self._keep_clock(pool)
            self._copy_manifest()

    def _keep_clock(self, pool: Pool, *, now: bool = False) -> None:
        """Keep how long the run takes and how many workers were lost, so that a killed start counts too."""
        time_now = time.monotonic()
        if now or time_now - self.began > CLOCK_EVERY:
            seconds = float(self.manifest.fact("seconds") or 0) + time_now - self.began
            deaths = int(self.manifest.fact("deaths") or 0) + pool.deaths - self.deaths_before
            self.manifest.keep(seconds=str(seconds), deaths=str(deaths))
            self.began, self.deaths_before = time_now, pool.deaths

    def _refill(self) -> None:
        """Keep a few hundred parts at hand, however many wait in the manifest."""
        if len(self.left) < 100:
            more = self.manifest.waiting(self.after, 200)
            self.left.extend(more)
            if more:
                self.after = more[-1].first + 1

    def _task(self, part: Part) -> Task:
        recipe = self.recipe
        size, total = int(self.manifest.fact("size") or 1), self.manifest.total or 0
        shard = ""
        if self.cluster.shards and total > 1:
            width = max(6, len(str(total // size)))
            shard = f"pictures-{part.first // size:0{width}d}"
            shard += ".tar" if part.first % size == 0 else f"-{part.first % size}.tar"
        items = tuple(self.manifest.items(part))
        device, dtype = self.workspace.device, self.workspace.dtype
        plain, kind = recipe.plain(), KINDS[recipe.kind]
        return Task(part, items, total, kind, plain, device, dtype, os.fspath(Path.cwd()), self.to, shard)

    def _take(self, part: Part, back: Any, who: str) -> int:
        """What came back for a part: keep it, or hand the part out again; how many items are over by it."""
        if back is None:
            self.left.appendleft(part)
            return 0
        if isinstance(back, Died):
            part = self.manifest.died(part)
            if part.deaths < MOST_DEATHS:
                self.left.appendleft(part)
                return 0
            return self._smaller(part, f"{part.deaths} workers died over it: {back.why}")
        outcome: Outcome = back
        if outcome.lacked_memory:
            return self._smaller(part, "there is too little memory for it, also alone")
        if outcome.fault:
            write_atomic(self.workspace.folder / FAULTS, outcome.fault.encode("utf-8", "backslashreplace"))
            if not outcome.done and not outcome.failed:
                return self._smaller(part, f"easel met something it did not expect: see {FAULTS}")
        if outcome.failed and not outcome.done and not self.manifest.counts()[0]:
            self.reasons.update(outcome.failed.values())
            if sum(self.reasons.values()) >= min(HOPELESS, self.manifest.total or 0) and len(self.reasons) == 1:
                why, times = next(iter(self.reasons.items()))
                raise EaselError(f"{why}; and so for all {times} until now" if times > 1 else why)
        for name, content in outcome.files.items():
            self.workspace.save_bytes(name, content)
        self.workspace.written.update(outcome.names)
        if len(self.workspace.written) > 10_000:
            self.workspace.written.clear()
            self.workspace.written.add(NAME)
        glue.keep_cells(self.workspace, outcome.cells)
        made = {"done": outcome.done, "tables": outcome.tables, "notes": outcome.notes, "versions": outcome.versions}
        if outcome.whole:
            made["whole"] = outcome.whole
        self.manifest.finish(part, made, outcome.failed, who, outcome.spent)
        return part.size

    def _smaller(self, part: Part, why: str) -> int:
        """Cut a part in two, or give it up where it is a single photo."""
        if part.size > 1:
            self.left.extendleft(reversed(self.manifest.split(part)))
            return 0
        self.manifest.finish(part, {}, {part.first: why}, "", 0.0)
        return 1

    def _finished(self, pool: Pool) -> Result:
        """Put together what was made, and copy it to the bucket where there is one."""
        workspace, manifest = self.workspace, self.manifest
        done, _failed = manifest.counts()
        if not done:
            raise EaselError(next(manifest.failures(1))[1])
        whole = (
            next((made["whole"] for _, made in manifest.made() if "whole" in made), None)
            if manifest.total == 1
            else None
        )
        if whole is not None:
            result = Result.model_validate_json(whole).model_copy(update={"folder": workspace.folder})
        else:
            heading = str(getattr(self.recipe, "prompt", "") or "")[:200]
            self._keep_clock(pool, now=True)
            deaths = int(manifest.fact("deaths") or 0)
            extra = [f"{deaths} workers died, and their parts were done again"] if deaths else []
            result = glue.glued(manifest, workspace, self.recipe.kind, heading, extra)
            facts = {"seconds": manifest.fact("seconds"), "starts": manifest.fact("starts"), "deaths": deaths}
            workspace.save_text(glue.REPORT, glue.report(manifest, result, facts))
            shutil.rmtree(workspace.folder / glue.CELLS, ignore_errors=True)
        versions = workspace.versions | result.versions
        result = result.model_copy(update={"seconds": result.seconds | workspace.seconds, "versions": versions})
        if self.to:
            note = f"all of it is in {self.to}"
            result = result.model_copy(update={"notes": (*result.notes, note)})
        workspace.save_text("result.json", result.to_json())
        if self.to:
            for name in (
                "recipe.yaml",
                "result.json",
                *(name for name in result.files if workspace.path(name).exists()),
            ):
                places.send(workspace.path(name), places.below(self.to, name))
            self._copy_manifest(now=True)
        return result

    def _copy_manifest(self, *, now: bool = False) -> None:
        """A copy of the manifest beside pictures in a bucket, so that another machine can go on."""
        if self.to and (now or time.monotonic() - self.copied > COPY_EVERY):
            self.copied = time.monotonic()
            copy = self.workspace.folder / f".{NAME}"
            self.manifest.copy(copy)
            places.send(copy, places.below(self.to, NAME))
            copy.unlink(missing_ok=True)


def _picture(outcome: Outcome | None) -> Image.Image | None:
    """The preview that came with an outcome."""
    if outcome is None or not outcome.preview:
        return None
    with Image.open(io.BytesIO(outcome.preview)) as picture:
        return picture.convert("RGB")


def close() -> None:
    """End the workers that this process keeps warm."""
    while _pools:
        _pools.popitem()[1].close()


__all__ = ["Cluster", "check", "close", "run"]
