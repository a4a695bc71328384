"""What do games have in common whose action takes more of one of T items, or stops?"""

from typing import Any

import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray, LongArray

ILLEGAL = 1.0  # what an action costs that is not legal; it does nothing
FENCE = 10.0  # of what is observed


class Turns:
    """B rows of T items that share a budget; see `Game`.

    A subclass says which items are open, what taking one brings, and what is seen.

    Args:
        n: rows.
        budget: of a row, for all its items together.
        shapes: name -> shape of each part of what one row observes, between 0 and FENCE.
    """

    def __init__(self, n: int, items: int, budget: int, price: float, shapes: dict[str, tuple[int, ...]]) -> None:
        if not 0 <= price < np.inf:
            raise ValueError(f"Expected a price of at least 0, got {price}.")
        self.n, self.items, self.budget, self.price = n, items, budget, price
        self.used: LongArray = np.zeros((n, items), np.int64)
        self.spent: LongArray = np.zeros(n, np.int64)
        self.stopped = np.zeros(n, np.bool_)
        self.illegal: LongArray = np.zeros(n, np.int64)
        self.observation_space = spaces.Dict(
            {name: spaces.Box(0.0, FENCE, shape, np.float32) for name, shape in shapes.items()}
        )
        self.action_space: spaces.Space[Any] = spaces.Discrete(items + 1)

    def clear(self, b: int) -> None:
        """Row b as it is before anything is taken."""
        self.used[b] = self.spent[b] = self.illegal[b] = 0
        self.stopped[b] = False

    def open(self) -> BoolArray:
        """Items that can be taken of, the budget aside, [B, T]."""
        raise NotImplementedError

    def take(self, b: LongArray, t: LongArray) -> Array:
        """Take of item t[i] in row b[i]; what that brings, its price paid, [len(b)]."""
        raise NotImplementedError

    def act(self, actions: Array, rows: BoolArray) -> tuple[Array, BoolArray, BoolArray]:
        """See `Game`."""
        actions, every = np.asarray(actions).astype(np.int64), np.arange(self.n)
        item = np.clip(actions, 0, self.items)
        legal = rows & self.masks()[every, item] & (item == actions)
        wrong, stop = rows & ~legal, legal & (item == self.items)
        taking = legal & ~stop
        rewards = np.where(wrong, -ILLEGAL, 0.0)
        rewards[taking] = self.take(every[taking], item[taking])
        self.illegal[wrong] += 1
        self.stopped |= stop
        over = rows & (self.stopped | ~self.masks()[:, :-1].any(axis=1))
        return rewards, over, rows & ~over & (self.spent + self.illegal >= 2 * self.budget)

    def masks(self) -> BoolArray:
        """See `Game`: open items while the budget lasts; stop always."""
        left = (self.spent < self.budget)[:, None]
        return np.concatenate([self.open() & left, np.ones((self.n, 1), np.bool_)], axis=1)

    def seen_price(self) -> Array:
        """The price x 10 as it is observed, [B]."""
        return np.full(self.n, min(10.0 * self.price, FENCE))
