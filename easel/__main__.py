"""`python -m easel` is `easel`."""

from easel.cli import main

if __name__ == "__main__":
    main()
