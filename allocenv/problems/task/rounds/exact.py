"""The best assignment of one round, by CP-SAT (OR-tools), within a limit of processor time."""

from typing import Any

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.clock import run_model
from allocenv.problems.task.rounds.situation import FAR, IDLE, Situation

SECONDS = 2.0
UNIT = 1e-4  # of value and cost: CP-SAT knows whole numbers only


def cp_sat(x: Situation, rng: np.random.Generator, seconds: float = SECONDS) -> LongArray:
    """An assignment [F], the best one where the time suffices for a proof."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    f, n = x.cost.shape
    serves = [
        [model.new_bool_var(f"{i}.{o}") if x.cost[i, o] < FAR and x.ability[i][x.need[o] > 0].any() else None
         for o in range(n)] for i in range(f)
    ]  # fmt: skip
    done = [model.new_bool_var(f"done {o}") for o in range(n)]
    gain = []
    for o in range(n):
        team: list[tuple[int, Any]] = [(i, serves[i][o]) for i in range(f) if serves[i][o] is not None]
        for r in np.flatnonzero(x.need[o]):
            model.add(sum(int(x.ability[i, r]) * s for i, s in team) >= int(x.need[o, r]) * done[o])
        for i, s in team:
            model.add_implication(s, done[o])
            gain.append(-round(x.cost[i, o] / UNIT) * s)
        gain.append(round(x.value[o] / UNIT) * done[o])
    for i in range(f):
        model.add_at_most_one([s for s in serves[i] if s is not None])
    model.maximize(sum(gain))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = int(rng.integers(2**31))
    found = np.full(f, IDLE)
    if run_model(solver, model, seconds, busy=True) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return found
    for i in range(f):
        for o in range(n):
            if serves[i][o] is not None and solver.boolean_value(serves[i][o]):
                found[i] = o
    return found
