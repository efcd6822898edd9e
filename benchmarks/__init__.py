"""How fast easel is here: `make bench`."""
