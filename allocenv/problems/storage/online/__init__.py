"""Agents that learn while they serve: Sibyl and Harmonia, decision and simulation in one compiled loop."""
