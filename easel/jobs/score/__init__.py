"""Measures over folders of pictures, over two sets, and over a trained model."""
