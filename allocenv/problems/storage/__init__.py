"""Hybrid storage: which pages live on which device, so that requests are served fast and devices last."""
