"""What the stand-in knows: the world, its events, and how Discord writes them."""
