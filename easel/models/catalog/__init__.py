"""What easel knows by name, where it lies on this disk, how it gets here, and what is looked at before it is opened."""
