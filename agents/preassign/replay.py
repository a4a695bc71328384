"""The latest experience, drawn from at random: a ring of rows in named tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Replay:
    """At most `size` rows; tensors are made when the first rows come."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0  # of rows ever added
        self.rows: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return min(self.count, self.size)

    def add(self, rows: Mapping[str, Tensor]) -> None:
        """Add n rows, each tensor [n, ...], over the oldest ones."""
        n = len(next(iter(rows.values())))
        if not self.rows:
            self.rows = {name: rows[name].new_zeros(self.size, *rows[name].shape[1:]) for name in rows}
        latest = min(n, self.size)
        where = torch.arange(self.count + n - latest, self.count + n) % self.size
        for name, tensor in rows.items():
            self.rows[name][where] = tensor[n - latest :]
        self.count += n

    def sample(self, n: int) -> dict[str, Tensor]:
        """n rows, with replacement."""
        which = torch.randint(len(self), (n,))
        return {name: tensor[which] for name, tensor in self.rows.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "rows": {name: tensor[: len(self)].clone() for name, tensor in self.rows.items()}}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        self.count, self.rows = saved["count"], {}
        for name, kept in saved["rows"].items():
            self.rows[name] = kept.new_zeros(self.size, *kept.shape[1:])
            self.rows[name][: len(kept)] = kept
