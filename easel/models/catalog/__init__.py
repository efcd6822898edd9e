"""What easel knows by name, where it lies on this disk, how it gets here, and the checks before it is opened."""
