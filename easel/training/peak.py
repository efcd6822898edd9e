"""How much memory a stretch of work has taken at most."""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

import torch

REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
MIB = 2**20


class Peak:
    """The most memory in use since this was made, in bytes: of a GPU what torch holds there; else what the process has
    in memory, where the system can begin that count anew (Linux), or has had since it began.
    """

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self.since_begun = self.device.type != "cuda"
        """Whether it speaks of the whole process, since the count could not begin anew."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        with contextlib.suppress(OSError):
            REFS.write_text("5")  # proc(5): resets the peak resident set size
            self.since_begun = False

    @property
    def bytes(self) -> int:
        """So far."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        if not self.since_begun:
            found = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"), re.M)
            if found:
                return int(found[1]) * 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
