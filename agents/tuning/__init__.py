"""Searching for a better config: many short runs, each a run folder, and the best of them as a config."""
