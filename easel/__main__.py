"""`python -m easel` is `easel`."""

from easel.cli import enter

if __name__ == "__main__":
    enter()
