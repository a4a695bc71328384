"""Policies of few numbers, learnt by an evolution strategy."""
