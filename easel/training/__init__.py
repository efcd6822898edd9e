"""Teaching networks: one loop, checkpoints that survive a kill, and the recipe of pocket."""
