"""The model of sequential allocation: state, legality, what an action does. Start reading here.

A batch of M prompts is at hand and a budget of rollouts, in one or more pools. An action raises one prompt to
a level of rollouts: the difference is drawn at once and its outcomes are seen before the next action. Stop
spreads what is left evenly over the batch, lets the learner make its update, and puts the next batch at hand.
To stop at once is thus the rule of equal groups.

On the core: prompt = item, pool = bin, level = variant, rollouts = resource. A prompt stays in the pool of its
first rollouts. The learner is that of `learner/dynamics.py`.
"""

from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import UNPLACED, ResourceState, clear, empty_resource_state, fits, place, remove
from allocenv.core.state_dict import named_arrays
from allocenv.problems.budget.instances import Lesson
from allocenv.problems.budget.learner.beliefs import Beliefs, empty_beliefs, forget_all, observe_batch
from allocenv.problems.budget.learner.dynamics import (
    Learner,
    count_tokens,
    empty_learners,
    enroll,
    mean_rate,
    next_batch,
    roll,
    update,
)
from allocenv.problems.budget.learner.presets import Nature

ILLEGAL_REWARD = -1.0
POINTS = 100.0  # rewards are gains of the mean success rate in points
HARD = 0.1  # a prompt is hard below this rate


class Form(NamedTuple):
    """The parameters of an episode as kernels take them."""

    group: int  # rollouts of an equal group
    updates: int  # of an episode
    forget: float  # of the beliefs


class Totals(NamedTuple):
    """Sums over the updates of B episodes."""

    gained: Array  # [B]  of the mean success rate
    groups: LongArray  # [B]  prompts with rollouts
    effective: LongArray  # [B]  of them with both outcomes
    rollouts: LongArray  # [B]
    used: LongArray  # [B]  rollouts in groups with both outcomes
    hard: LongArray  # [B]  hard prompts met
    hard_solved: LongArray  # [B]  of them solved at least once
    tokens: Array  # [B]  1 = a mean correct rollout
    most: LongArray  # [B]  largest group
    illegal: LongArray  # [B]


class State(NamedTuple):
    """B learners in the middle of an episode. Kernels of this file are the only writers."""

    alloc: ResourceState
    learner: Learner
    beliefs: Beliefs
    totals: Totals
    begun: Array  # [B]  mean success rate at the start
    updates_left: LongArray  # [B]
    steps_left: LongArray  # [B]


def empty_state(n: int, prompts: int, batch: int, pools: int, levels: tuple[int, ...], form: Form) -> State:
    """Arrays for `n` episodes with a budget of batch x group rollouts in equal pools."""
    alloc = empty_resource_state(n, batch, pools, 1, 1, len(levels))
    alloc.n_items[:], alloc.n_bins[:], alloc.n_variants[:] = batch, pools, len(levels)
    alloc.demand[:, 0, :, 0] = levels
    total = batch * form.group
    alloc.capacity[:, 0, :] = total // pools + (np.arange(pools) < total % pools)
    counts: dict[str, Any] = {
        name: np.zeros(n, np.float64 if name in ("gained", "tokens") else np.int64) for name in Totals._fields
    }
    return State(
        alloc,
        empty_learners(n, prompts, batch),
        empty_beliefs(n, prompts),
        Totals(**counts),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )


def fill(nature: Nature, form: Form, state: State, b: int, lesson: Lesson, steps: int) -> None:
    """Begin an episode in row b: the learner, after a warm-up of equal groups, or as it was saved."""
    if lesson.saved is not None:
        for name, array in named_arrays(state):
            array[b] = lesson.saved[name]
        return
    enroll(nature, state.learner, b, lesson.pupil)
    forget_all(state.beliefs, b)
    _begin(nature, form, state, b, lesson.warm)
    for array in state.totals:
        array[b] = 0
    state.begun[b] = state.learner.mean_rate[b]
    state.updates_left[b], state.steps_left[b] = form.updates, steps


def saved_row(state: State, b: int) -> dict[str, Any]:
    """A copy of all of row b."""
    return {name: array[b].copy() for name, array in named_arrays(state)}


@kernel
def _begin(nature, form, e, b, warm):
    clear(e.alloc, b)
    for _ in range(warm):
        for j in range(e.learner.prompt.shape[1]):
            roll(e.learner, b, j, form.group)
        _learn(nature, form, e, b)


@kernel
def _learn(nature, form, e, b):
    """Let the learner make its update with the batch at hand; the gain."""
    count_tokens(e.learner, b)
    observe_batch(e.beliefs, e.learner, b, form.forget)
    _count(e, b)
    gain = update(nature, e.learner, b)
    e.totals.gained[b] += gain
    next_batch(nature, e.learner, b)
    return gain


@inlined
def _count(e, b):
    s, t = e.learner, e.totals
    for j in range(s.prompt.shape[1]):
        n, k = s.rollouts[b, j], s.correct[b, j]
        t.tokens[b] += s.tokens[b, j]
        t.rollouts[b] += n
        t.groups[b] += n > 0
        t.most[b] = max(t.most[b], n)
        if 0 < k < n:
            t.effective[b] += 1
            t.used[b] += n
        if s.rate[b, j] < HARD:
            t.hard[b] += 1
            t.hard_solved[b] += k > 0


@inlined
def over(e, b):
    """Whether the episode has ended."""
    return e.updates_left[b] <= 0 or e.steps_left[b] <= 0


@inlined
def legal(e, b, slot, placement):
    """Whether the action is legal: a higher level in the prompt's own pool, or in any for its first rollouts."""
    batch, n_levels = e.alloc.bin_of.shape[1], e.alloc.demand.shape[2]
    if over(e, b) or slot < 0 or slot > batch or placement < 0 or placement >= e.alloc.n_bins[b] * n_levels:
        return False
    if slot == batch:
        return placement == 0
    pool, level = placement // n_levels, placement % n_levels
    home = e.alloc.bin_of[b, slot]
    if home != UNPLACED and (home != pool or e.alloc.variant_of[b, slot] >= level):
        return False
    return fits(e.alloc, b, slot, pool, level)


@inlined
def raise_to(e, b, slot, pool, level):
    """Draw the rollouts that the prompt lacks of a level."""
    if e.alloc.bin_of[b, slot] != UNPLACED:
        remove(e.alloc, b, slot)
    place(e.alloc, b, slot, pool, level)
    roll(e.learner, b, slot, e.alloc.demand[b, 0, level, 0] - e.learner.rollouts[b, slot])


@inlined
def finish(nature, form, e, b):
    """Spread what is left, the first prompts get one more; then the update; the gain."""
    batch, left = e.learner.prompt.shape[1], 0
    for pool in range(e.alloc.n_bins[b]):
        left += e.alloc.capacity[b, 0, pool] - e.alloc.used[b, 0, pool]
    for j in range(batch):
        roll(e.learner, b, j, left // batch + (j < left % batch))
    clear(e.alloc, b)
    e.updates_left[b] -= 1
    return _learn(nature, form, e, b)


@kernel
def step_row(nature, form, e, b, slot, placement, out):
    """Carry out one action in row b. In an episode that has ended every action does nothing."""
    out.rewards[b] = 0.0
    out.terminated[b] = out.illegal[b] = False
    out.truncated[b] = over(e, b)
    if out.truncated[b]:
        return
    allowed = legal(e, b, slot, placement)
    e.steps_left[b] -= 1
    if not allowed:
        out.illegal[b] = True
        out.rewards[b] = ILLEGAL_REWARD
        e.totals.illegal[b] += 1
    elif slot == e.alloc.bin_of.shape[1]:
        out.rewards[b] = POINTS * finish(nature, form, e, b)
    else:
        n_levels = e.alloc.demand.shape[2]
        raise_to(e, b, slot, placement // n_levels, placement % n_levels)
    out.terminated[b] = e.updates_left[b] <= 0
    out.truncated[b] = not out.terminated[b] and e.steps_left[b] <= 0


@kernel
def step(nature, form, e, actions, out, lo, hi):
    """Carry out one action [B, 2] in each of the rows lo..hi."""
    for b in range(lo, hi):
        step_row(nature, form, e, b, actions[b, 0], actions[b, 1], out)


def check(nature: Nature, e: State, b: int) -> None:
    """Raise ValueError where row b breaks an invariant."""
    s = e.learner
    level = e.alloc.variant_of[b]
    held = np.where(level == UNPLACED, 0, e.alloc.demand[b, 0, np.maximum(level, 0), 0])
    _expect(np.array_equal(held, s.rollouts[b]), b, "every prompt has the rollouts of its level")
    _expect(bool((s.correct[b] <= s.rollouts[b]).all()), b, "no prompt has more correct ones than rollouts")
    _expect(sorted(s.order[b]) == list(range(s.order.shape[1])), b, "a pass goes over every prompt once")
    _expect(bool(np.isclose(s.mean_rate[b], mean_rate(nature, s, b))), b, "the mean rate is that of the pool")
    _expect(bool(np.isclose(e.totals.gained[b], s.mean_rate[b] - e.begun[b])), b, "the gains of the updates sum up")


def _expect(holds: bool, b: int, what: str) -> None:
    if not holds:
        raise ValueError(f"Row {b} is inconsistent: expected that {what}.")
