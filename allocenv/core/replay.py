"""What a sequence of actions leads to, as the environment itself sees it."""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import perf_counter
from allocenv.core.problem import Instance, Problem
from allocenv.core.solver import Solution


class Replay(NamedTuple):
    """Objective and reward along a sequence of n actions."""

    costs: Array  # [n + 1] float64; the first is before any action
    rewards: FloatArray  # [n]
    illegal: BoolArray  # [n]
    metrics: dict[str, float]  # at the end


def replay(problem: Problem, instance: Instance, actions: IntArray) -> Replay:
    """Carry the actions [n, 2] out, one after the other."""
    batch = Batch(problem, 1)
    batch.load([instance])
    costs, rewards, illegal = [float(batch.costs()[0])], [], []
    for action in np.asarray(actions, np.int32).reshape(-1, 2):
        outcome = batch.step(action[None])
        costs.append(float(batch.costs()[0]))
        rewards.append(outcome.rewards[0])
        illegal.append(outcome.illegal[0])
    metrics = problem.metrics(batch.state, 0)
    return Replay(np.array(costs), np.array(rewards, np.float32), np.array(illegal, np.bool_), metrics)


def better(
    problem: Problem, instance: Instance, actions: IntArray, name: str, began: float, start: Solution | None
) -> Solution:
    """The actions [n, 2] that `name` found since `began` as a solution, or the start where that ranks no worse."""
    ours = replay(problem, instance, actions)
    if start is not None:
        theirs = replay(problem, instance, start.actions)
        if problem.rank(theirs.costs, theirs.rewards) <= problem.rank(ours.costs, ours.rewards):
            return start
    return Solution(actions, float(ours.costs[-1]), found_by=name, seconds=perf_counter() - began)
