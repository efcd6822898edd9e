"""Plain networks, one a file. They know tensors, and nothing of recipes, jobs or folders."""
