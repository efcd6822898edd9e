"""Where a recipe is run: here, in this process; later also on a cluster."""
