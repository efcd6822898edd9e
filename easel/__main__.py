"""`python -m easel` is `easel`."""

import sys

from easel.cli import main

if __name__ == "__main__":
    sys.exit(main())
