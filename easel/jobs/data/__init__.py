"""Sets of pictures: summarise one, or draw one out of the world."""
