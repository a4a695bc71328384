"""Judging: the same instances for everyone, paired, with intervals."""
