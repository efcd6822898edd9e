"""The parts of a manifest, handed out to workers until all are over: smaller where memory runs out, given up and named
where a single item kills whoever has it in hand.
"""

from __future__ import annotations

import io
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from PIL import Image

from easel.errors import EaselError
from easel.files import write_atomic
from easel.runners.cluster.manifest import Manifest, Part
from easel.runners.cluster.task import Outcome
from easel.runners.ray import Died, Pool
from easel.workspace import Workspace

MOST_DEATHS = 2
"""Workers that may die with a part in hand before it is cut smaller, or given up where it is one photo."""
LOOK = 0.2
"""Seconds between two looks at what has come back, and at whether the run is to stop."""
HOPELESS = 16
"""Failures for one and the same reason, with nothing done, after which the run stops: it is not the photos' mistake."""
CLOCK_EVERY = 5.0
"""Seconds between two looks at the clock that a kill does not undo."""
FAULTS = "photo-errors.txt"
"""The last traceback of a fault of easel's own over a photo."""
ALONE_FOR = 30.0
"""Seconds without any worker after which it is said that the run waits for one."""


class Handing:
    """Who has which part of one manifest. `began` is when this start began, by the monotonic clock."""

    def __init__(self, manifest: Manifest, workspace: Workspace, pool: Pool, began: float) -> None:
        self.manifest, self.workspace, self.pool = manifest, workspace, pool
        self._began, self._deaths_before = began, pool.deaths
        self._left: deque[Part] = deque()
        self._after = 0
        self._reasons: Counter[str] = Counter()

    def run(
        self,
        phase: str,
        task: Callable[[Part], Any],
        keep: Callable[[Part, Outcome, str], None],
        method: str = "do",
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Until no part waits: hand out, take in. `task` says what a worker's `method` is called with, `keep` writes
        down what a part has come to, `tick` is called at every look. Raises EaselError and Cancelled.
        """
        pool, total = self.pool, self.manifest.total or 0
        over, seen = sum(self.manifest.counts()), time.monotonic()
        self.workspace.step(phase, over, total)
        self._refill()
        while self._left or pool.busy:
            pool.grow(len(self._left))
            if not self._left:
                pool.shrink()
            while self._left and pool.room:
                part = self._left.popleft()
                pool.submit(method, part, task(part))
                self._refill()
            preview = None
            for part, back, who in pool.wait(LOOK):
                over += self._take(part, back, who, keep)
                preview = back if isinstance(back, Outcome) else preview
            seen = time.monotonic() if pool.size else seen
            waits = time.monotonic() - seen > ALONE_FOR
            now = f"{phase}, waiting for room for a worker" if waits else phase
            self.workspace.step(now, over, total, _picture(preview))
            self.keep_clock()
            tick()

    def keep_clock(self, *, now: bool = False) -> None:
        """Keep how long the run takes and how many workers were lost, so that a killed start counts too."""
        time_now = time.monotonic()
        if now or time_now - self._began > CLOCK_EVERY:
            seconds = float(self.manifest.fact("seconds") or 0) + time_now - self._began
            deaths = int(self.manifest.fact("deaths") or 0) + self.pool.deaths - self._deaths_before
            self.manifest.keep(seconds=str(seconds), deaths=str(deaths))
            self._began, self._deaths_before = time_now, self.pool.deaths

    def _refill(self) -> None:
        """Keep a few hundred parts at hand, however many wait in the manifest."""
        if len(self._left) < 100:
            more = self.manifest.waiting(self._after, 200)
            self._left.extend(more)
            if more:
                self._after = more[-1].first + 1

    def _take(self, part: Part, back: Any, who: str, keep: Callable[[Part, Outcome, str], None]) -> int:
        """What came back for a part: keep it, or hand the part out again; how many items are over by it."""
        if back is None:
            self._left.appendleft(part)
            return 0
        if isinstance(back, Died):
            part = self.manifest.died(part)
            if part.deaths < MOST_DEATHS:
                self._left.appendleft(part)
                return 0
            return self._smaller(part, f"{part.deaths} workers died over it: {back.why}")
        outcome: Outcome = back
        if outcome.refused:
            raise EaselError(outcome.refused)
        if outcome.lacked_memory:
            return self._smaller(part, "there is too little memory for it, also alone")
        if outcome.fault:
            write_atomic(self.workspace.folder / FAULTS, outcome.fault.encode("utf-8", "backslashreplace"))
            if not outcome.done and not outcome.failed:
                return self._smaller(part, f"easel met something it did not expect: see {FAULTS}")
        if outcome.failed and not outcome.done and not self.manifest.counts()[0]:
            self._reasons.update(outcome.failed.values())
            if sum(self._reasons.values()) >= min(HOPELESS, self.manifest.total or 0) and len(self._reasons) == 1:
                why, times = next(iter(self._reasons.items()))
                raise EaselError(f"{why}; and so for all {times} until now" if times > 1 else why)
        keep(part, outcome, who)
        return part.size

    def _smaller(self, part: Part, why: str) -> int:
        """Cut a part in two, or give it up where it is a single photo."""
        if part.size > 1:
            self._left.extendleft(reversed(self.manifest.split(part)))
            return 0
        self.manifest.finish(part, {}, {part.first: why}, "", 0.0)
        return 1


def _picture(outcome: Outcome | None) -> Image.Image | None:
    """The preview that came with an outcome."""
    if outcome is None or not outcome.preview:
        return None
    with Image.open(io.BytesIO(outcome.preview)) as picture:
        return picture.convert("RGB")
