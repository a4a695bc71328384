"""Search over whole episodes: acceptance limits and prices, played in the environment itself, many rows at a time."""
