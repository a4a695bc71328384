"""Thin adapters over one `Batch`: Gymnasium single, vector and sequential, SB3. No rule of any problem."""
