"""Sets of pictures: look at one, or draw one out of the world."""
