"""Can a contender's figures be believed? Two checks beside the replay of every plan by the environment.

Who is not named `oracle_...` must not know the future: on an instance whose hidden part is changed it has to do
the same until it could see the change. And what was trained must not have been trained on what it is judged on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from allocenv.core.arrays import IntArray
from allocenv.core.batch import Batch
from allocenv.core.clock import counted
from allocenv.core.fingerprint import fingerprint
from allocenv.core.problem import Instance, Observation, Problem
from allocenv.core.results import ORACLE
from allocenv.evaluate.contest import Contender

READS_THE_FUTURE = "READS THE FUTURE"
DOES_NOT_REPEAT = "DOES NOT REPEAT"  # so that nobody can tell whether it does
TRAINED_ON_THESE = "TRAINED ON THESE INSTANCES"
LOOKED_AT = 2  # instances
TRAINING_DRAWS = 256  # instances of a training that are drawn again


@runtime_checkable
class HiddenFuture(Protocol):
    """A problem that does not show all of an instance from the start."""

    def other_future(self, instance: Instance, rng: np.random.Generator) -> Instance:
        """The same instance as far as it can be seen at first; what is to come is another."""


@runtime_checkable
class Overlapping(Protocol):
    """A problem whose instances can be parts of the same data."""

    def overlap(self, one: Instance, other: Instance) -> bool:
        """Whether the two share data."""


def reads_the_future(problem: Problem, instances: Sequence[Instance], contender: Contender, seed: int = 0) -> bool:
    """Whether the contender acts otherwise where only what it cannot know is changed.

    The first action in which its two plans differ is held against what could be seen before it, by replaying what
    came before: if that was the same, the contender knew more.
    """
    if not isinstance(problem, HiddenFuture):
        return False
    for i, instance in enumerate(instances[:LOOKED_AT]):
        other = problem.other_future(instance, np.random.default_rng([seed, i]))
        plans = [_plan(problem, each, contender, [seed, i]) for each in (instance, other)]
        shortest = min(map(len, plans))
        differ = np.flatnonzero((plans[0][:shortest] != plans[1][:shortest]).any(axis=1))
        if len(differ) and _look_the_same(problem, instance, other, plans[0][: int(differ[0])]):
            return True
    return False


def repeats(problem: Problem, instance: Instance, contender: Contender, seed: int = 0) -> bool:
    """Whether the contender does the same on the same instance with the same generator again."""
    one, again = (_plan(problem, instance, contender, [seed, 0]) for _ in range(2))
    return np.array_equal(one, again)


def _plan(problem: Problem, instance: Instance, contender: Contender, seed: Sequence[int]) -> IntArray:
    """[n, 2]"""
    with counted():
        actions = contender(problem.holding([instance]), instance, np.random.default_rng(seed)).actions
    return np.asarray(actions, np.int32).reshape(-1, 2)


def _look_the_same(problem: Problem, one: Instance, other: Instance, actions: np.ndarray) -> bool:
    """Whether both instances could not be told apart before, during and after the actions."""
    batches = [Batch(problem.holding([each]), 1) for each in (one, other)]
    for batch, each in zip(batches, (one, other), strict=True):
        batch.load([each])
    if not _equal(*(batch.observe() for batch in batches)):
        return False
    for action in actions:
        outcomes = [batch.step(action[None]) for batch in batches]
        if outcomes[0].rewards[0] != outcomes[1].rewards[0] or not _equal(*(batch.observe() for batch in batches)):
            return False
    return True


def _equal(one: Observation, other: Observation) -> bool:
    return all(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def trained_on(problem: Problem, training: Problem, instances: Iterable[Instance], seed: int) -> bool:
    """Whether a training of that seed begins episodes on instances, or parts of their data, that are judged on."""
    drawn = [training.draw(np.random.default_rng([seed, row])) for row in range(TRAINING_DRAWS)]
    if isinstance(problem, Overlapping):
        return any(problem.overlap(one, other) for one in instances for other in drawn)
    known = {fingerprint(each) for each in drawn}
    return any(fingerprint(each) in known for each in instances)


def warnings_of(
    problem: Problem, instances: Sequence[Instance], contenders: Mapping[str, Contender], seed: int = 0
) -> dict[str, str]:
    """Contender -> why its figures do not count; those that are allowed to know the future are not asked."""
    found = {}
    for name, each in contenders.items():
        if isinstance(problem, HiddenFuture) and not name.startswith(ORACLE):
            if not repeats(problem, instances[0], each, seed):
                found[name] = DOES_NOT_REPEAT
            elif reads_the_future(problem, instances, each, seed):
                found[name] = READS_THE_FUTURE
    return found
