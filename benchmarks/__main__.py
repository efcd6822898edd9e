"""All benchmarks, or those that are named: `python -m benchmarks [start stylize generate edit ...]`.

Each runs in a process of its own, so that none warms up another. The last is the table of all work beside its peers;
names after `table` are rows of it. Flags go to those that are named. What takes long or needs photos of yours (LONG)
runs only when it is named.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = ("start", "stylize", "generate", "edit", "gpu", "sets", "stylegan", "transfer", "table")
LONG = ("cluster", "domains", "details", "fast", "fitness", "fullsize", "personalize", "readers", "subjects", "web")


def main(words: list[str]) -> int:
    """Run them in order; the exit status of the first that fails, else 0."""
    end = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    named, flags = words[:end], words[end:]
    if named[:1] == ["table"]:
        named, flags = ["table"], words[1:]
    wrong = [word for word in named if word not in (*NAMES, *LONG)]
    if wrong:
        print(f"no benchmark called '{wrong[0]}': use {', '.join((*NAMES, *LONG))}", file=sys.stderr)
        return 2
    for name in named or NAMES:
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *flags], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
