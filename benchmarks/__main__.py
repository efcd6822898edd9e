"""All benchmarks, or those that are named: `python -m benchmarks [start stylize generate gpu sets]`.

Each runs in a process of its own, so that none warms up another.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = ("start", "stylize", "generate", "gpu", "sets")


def main(words: list[str]) -> int:
    """Run them in order; the exit status of the first that fails, else 0."""
    wrong = [word for word in words if word not in NAMES]
    if wrong:
        print(f"no benchmark called '{wrong[0]}': use {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in words or NAMES:
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
