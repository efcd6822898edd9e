"""A run shared out among machines: found, cut into parts, handed to workers, written down, put together in order.

The folder of the run holds the manifest; whatever is killed, the same command goes on. The driver writes pictures to a
folder itself, and workers write them to a bucket, so that no disk must be shared. Its memory does not grow with photos.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from easel.errors import EaselError, shortened
from easel.kinds import KINDS
from easel.recipes import write_yaml
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners.cluster import crowd, glue, places, pools, sources
from easel.runners.cluster.handing import LOOK, MOST_DEATHS, Handing
from easel.runners.cluster.manifest import NAME, VERSION, Manifest, Part
from easel.runners.cluster.pools import Cluster
from easel.runners.cluster.task import Outcome, Task
from easel.runners.ray import Died, Pool
from easel.workspace import Workspace

TOGETHER, ALONE = 64, 8
"""Photos of a part that go through the models together, and that are runs of their own."""
COPY_EVERY = 300.0
"""Seconds between two copies of the manifest beside pictures in a bucket."""
FINDING = "finding photos"


def check(recipe: Recipe, cluster: Cluster, to: str = "") -> None:
    """Raise EaselError where a run cannot be shared out, or not so."""
    if problem := recipe.whole_only():
        raise EaselError(problem)
    if recipe.hands_out and (to or cluster.shards):
        what = "--shards packs pictures, and" if cluster.shards else f"--out {shortened(to)}:"
        raise EaselError(f"{what} {recipe.kind} writes tables and one result: leave it out, and name a folder as --out")
    size = getattr(recipe, "batch_size", 1)
    if cluster.shards and cluster.shards % size:
        raise EaselError(f"--shards {cluster.shards}: must be a multiple of --batch-size, which is {size}")


def run(recipe: Recipe, workspace: Workspace, cluster: Cluster, to: str = "") -> Result:
    """Run a recipe on a cluster, going on where an earlier start stopped. `to` is a bucket's folder for what is made.

    Raises EaselError and Cancelled.
    """
    if recipe.hands_out:
        return crowd.run(recipe, workspace, cluster)
    return _Run(recipe, workspace, cluster, to).run()


class _Run:
    """One start of a shared run."""

    def __init__(self, recipe: Recipe, workspace: Workspace, cluster: Cluster, to: str) -> None:
        self.recipe, self.workspace, self.cluster, self.to = recipe, workspace, cluster, to
        self.began = self.copied = time.monotonic()

    def run(self) -> Result:
        """Prepare, find, do, put together."""
        from easel import jobs

        recipe, workspace, to = self.recipe, self.workspace, self.to
        check(recipe, self.cluster, to)
        path = workspace.path(NAME)
        if to:
            places.check_writable(to)
            if not path.exists():
                places.fetch(places.below(to, NAME), path)
        self.recipe = recipe = self._continued(path)
        jobs.facts_of(recipe)
        named = [] if recipe.shared_by == "count" else self._named()
        found = sources.sources(named) if named and not path.exists() else []
        with pools.joined(self.cluster, workspace) as pool:  # where nobody lets us in, nothing is left behind
            workspace.place_for(NAME)
            with contextlib.closing(Manifest(path)) as self.manifest:
                self._begin()
                write_yaml(recipe, workspace.place_for("recipe.yaml"))
                self.handing = Handing(self.manifest, workspace, pool, self.began)
                if self.manifest.total is None:
                    self._find(pool, found or (sources.sources(named) if named else []), named)
                phase = "drawing" if recipe.shared_by == "count" else recipe.kind
                self.handing.run(phase, self._task, self._keep, tick=self._copy_manifest)
                pool.shrink()
                return self._finished()

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

    def _keep(self, part: Part, outcome: Outcome, who: str) -> None:
        """Write down what a part has come to."""
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

    def _finished(self) -> Result:
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
            self.handing.keep_clock(now=True)
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


__all__ = ["Cluster", "check", "run"]
