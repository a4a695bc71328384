"""By which rules does time pass? The scalars that every kernel takes, and those of each preset."""

from typing import NamedTuple

import numpy as np

# How far apart two points are; travel takes distance / speed.
NONE, MANHATTAN, CHEBYSHEV, EUCLID = 0, 1, 2, 3
METRICS = {"none": NONE, "manhattan": MANHATTAN, "chebyshev": CHEBYSHEV, "euclid": EUCLID}

# Whose step function time passes by.
EVENTS, PAPER_GRID, PAPER_ELECTRIC = 0, 1, 2


class Rules(NamedTuple):
    """The rules of time, travel and reward."""

    horizon: float = 100.0  # the episode ends
    refill_every: float = 0.0  # empty slots take the next tasks at multiples of this; 0: at once
    period: float = 0.0  # waiting ends at multiples of this at the latest; 0: at events only
    decay: float = 1.0  # factor of the value for each unit of time after `grace` in the slot
    grace: float = 0.0
    decay_needs: bool = False  # needs shrink by the same factor (rounded up), until the team is complete
    metric: int = NONE
    speed: float = 1.0
    single: bool = False  # an entity leaves on its own and waits at the task; else the complete team leaves
    makespan: bool = False  # minimise the time at which the last entity is home; else maximise value less cost
    wait_limit: float = np.inf  # how long an entity waits at a task for its team, where it left on its own
    gamma: float = 1.0  # rewards earned at time t are multiplied by gamma ** t
    stepping: int = EVENTS


# What the constants mean: facts/task_allocation.md section 1 (arXiv 2407.00496), 4 (DCMRTA, HeteroMRTA).
# Material's decay (0.95 a step after 15) was meant but never took effect; with it the ways of 50 steps leave
# nothing to earn (2 of 1,680 by the best rule), so it is off here too: `decay` turns it on.
PRESET_RULES: dict[str, Rules] = {
    "rbf": Rules(100.0, 5.0, 1.0, 0.99, 10.0, True, MANHATTAN),
    "material": Rules(150.0, 5.0, 5.0, 1.0, 15.0, False, CHEBYSHEV),
    "electric": Rules(100.0, 5.0, 1.0, 0.9, 10.0, True, NONE),
    "almighty": Rules(1.0),
    "dcmrta": Rules(200.0, metric=EUCLID, speed=0.2, single=True, makespan=True, wait_limit=10.0),
    "heteromrta": Rules(200.0, metric=EUCLID, speed=0.2, single=True, makespan=True, wait_limit=10.0),
}
