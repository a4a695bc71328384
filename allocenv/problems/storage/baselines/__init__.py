"""Opponents on hybrid storage, each with its source."""
