"""What does an agent see of sequential allocation? Meaning, scale, order of the features.

Nothing hidden: rates, traits of the learner and its ability are left out. A posterior is the Beta of the
beliefs with the batch's own outcomes so far.
"""

import numpy as np

from allocenv.core.kernel import inlined, kernel
from allocenv.core.resource_state import UNPLACED
from allocenv.problems.budget.dynamics import legal, over
from allocenv.problems.budget.learner.beliefs import ALL_RIGHT, ALL_WRONG, BOTH

SLOT_FEATURES = (
    "is stop",
    "posterior mean",
    "posterior deviation, x 2",
    "evidence: log(1 + discounted rollouts) / 5",
    "visits / 20, at most 2",
    "updates since the last visit / 40, at most 2",
    "last group: all wrong",
    "last group: both outcomes",
    "last group: all right",
    "rollouts so far / equal group / 4",
    "correct so far / rollouts so far",
    "both outcomes so far",
)
BIN_FEATURES = ("room / pool", "prompts held / batch")
CONTEXT = (
    "room / budget",
    "updates left / updates",
    "share of the batch with rollouts",
    "share of the batch with both outcomes",
    "mean of the prior",
    "log(first parameter of the prior) / 3",
    "log(second) / 3",
    "signal of the last update, x 2",
    "effective share of the rollouts of the last update",
)
PLACEMENT_FEATURES = (
    "is stop",
    "more rollouts / equal group / 4",
    "chance of both outcomes at the level, less that they are there",
    "the same for each more rollout, x 8",
    "the same weighed by the published value p (1-p)^2, x 50",
    "room left afterwards / pool",
)


@inlined
def wins(e, b, j):
    """First parameter of the posterior of prompt j of the batch."""
    return e.beliefs.prior[b, 0] + e.beliefs.correct[b, e.learner.prompt[b, j]] + e.learner.correct[b, j]


@inlined
def losses(e, b, j):
    """Second parameter."""
    i = e.learner.prompt[b, j]
    return e.beliefs.prior[b, 1] + e.beliefs.wrong[b, i] + e.learner.rollouts[b, j] - e.learner.correct[b, j]


@kernel
def chance_of_both(x, y, rollouts, correct, more):
    """How much likelier both outcomes are after `more` rollouts, if the rate is Beta(x, y) now."""
    if 0 < correct < rollouts:
        return 0.0
    none_right = none_wrong = 1.0
    for n in range(more):
        none_right *= (y + n) / (x + y + n)
        none_wrong *= (x + n) / (x + y + n)
    if rollouts == 0:
        return 1.0 - none_right - none_wrong
    return 1.0 - (none_right if correct == 0 else none_wrong)


@kernel
def weighed_chance(x, y, rollouts, correct, more):
    """The same times the value p (1-p)^2, expected: the value tilts the Beta to (x + 1, y + 2)."""
    mass = x * y * (y + 1.0) / ((x + y) * (x + y + 1.0) * (x + y + 2.0))
    return mass * chance_of_both(x + 1.0, y + 2.0, rollouts, correct, more)


@inlined
def may_raise(e, b, j):
    """Whether prompt j may be raised to any level; a lower one always fits where a higher one does."""
    n_levels = e.alloc.demand.shape[2]
    level = 0 if e.alloc.bin_of[b, j] == UNPLACED else e.alloc.variant_of[b, j] + 1
    if level >= n_levels:
        return False
    found = False
    for pool in range(e.alloc.n_bins[b]):
        found |= legal(e, b, j, pool * n_levels + level)
    return found


@kernel
def observe(form, e, out, lo, hi):
    """Write the observation of rows lo..hi."""
    batch = e.learner.prompt.shape[1]
    for b in range(lo, hi):
        for j in range(batch):
            _describe_prompt(form, e, b, j, out.slots)
            out.slot_bin[b, j] = e.alloc.bin_of[b, j]
            out.slot_mask[b, j] = may_raise(e, b, j)
        out.slots[b, batch, 0] = 1.0
        out.slot_mask[b, batch] = not over(e, b)
        for pool in range(e.alloc.n_bins[b]):
            capacity = max(e.alloc.capacity[b, 0, pool], 1)
            out.bins[b, pool, 0] = 1.0 - e.alloc.used[b, 0, pool] / capacity
            out.bins[b, pool, 1] = e.alloc.n_held[b, pool] / batch
        _describe_batch(form, e, b, out.context)


@inlined
def _describe_prompt(form, e, b, j, out):
    i = e.learner.prompt[b, j]
    x, y = wins(e, b, j), losses(e, b, j)
    n, k = e.learner.rollouts[b, j], e.learner.correct[b, j]
    mean = x / (x + y)
    out[b, j, 1] = mean
    out[b, j, 2] = 2.0 * np.sqrt(mean * (1.0 - mean) / (x + y + 1.0))
    out[b, j, 3] = np.log1p(e.beliefs.correct[b, i] + e.beliefs.wrong[b, i] + n) / 5.0
    out[b, j, 4] = min(e.beliefs.visits[b, i] / 20.0, 2.0)
    since = e.learner.steps[b] - e.beliefs.met[b, i] if e.beliefs.met[b, i] >= 0 else 80
    out[b, j, 5] = min(since / 40.0, 2.0)
    out[b, j, 6] = e.beliefs.last[b, i] == ALL_WRONG
    out[b, j, 7] = e.beliefs.last[b, i] == BOTH
    out[b, j, 8] = e.beliefs.last[b, i] == ALL_RIGHT
    out[b, j, 9] = n / (4.0 * form.group)
    out[b, j, 10] = k / max(n, 1)
    out[b, j, 11] = 0 < k < n


@inlined
def _describe_batch(form, e, b, out):
    batch, room, budget, met, both = e.learner.prompt.shape[1], 0, 0, 0, 0
    for pool in range(e.alloc.n_bins[b]):
        budget += e.alloc.capacity[b, 0, pool]
        room += e.alloc.capacity[b, 0, pool] - e.alloc.used[b, 0, pool]
    for j in range(batch):
        met += e.learner.rollouts[b, j] > 0
        both += 0 < e.learner.correct[b, j] < e.learner.rollouts[b, j]
    x, y = e.beliefs.prior[b, 0], e.beliefs.prior[b, 1]
    out[b, 0] = room / max(budget, 1)
    out[b, 1] = e.updates_left[b] / form.updates
    out[b, 2] = met / batch
    out[b, 3] = both / batch
    out[b, 4] = x / (x + y)
    out[b, 5] = np.log(x) / 3.0
    out[b, 6] = np.log(y) / 3.0
    out[b, 7] = 2.0 * e.learner.signal[b]
    out[b, 8] = e.learner.effective[b]


@kernel
def placement_mask(e, slots, out, lo, hi):
    """Write which placements are legal for the chosen slot of each row."""
    for b in range(lo, hi):
        for placement in range(out.shape[1]):
            out[b, placement] = legal(e, b, slots[b], placement)


@kernel
def placement_features(form, e, slots, out, lo, hi):
    """Write what each placement would mean for the chosen slot of each row."""
    batch, n_levels = e.learner.prompt.shape[1], e.alloc.demand.shape[2]
    for b in range(lo, hi):
        out[b] = 0.0
        j = slots[b]
        if j == batch:
            out[b, :, 0] = 1.0
        if j < 0 or j >= batch:
            continue
        x, y = wins(e, b, j), losses(e, b, j)
        n, k = e.learner.rollouts[b, j], e.learner.correct[b, j]
        for pool in range(e.alloc.n_bins[b]):
            capacity = max(e.alloc.capacity[b, 0, pool], 1)
            for level in range(n_levels):
                more = e.alloc.demand[b, 0, level, 0] - n
                place = pool * n_levels + level
                room = e.alloc.capacity[b, 0, pool] - e.alloc.used[b, 0, pool] - more
                out[b, place, 1] = more / (4.0 * form.group)
                if more > 0:
                    chance = chance_of_both(x, y, n, k, more)
                    out[b, place, 2] = chance
                    out[b, place, 3] = 8.0 * chance / more
                    out[b, place, 4] = 50.0 * weighed_chance(x, y, n, k, more) / more
                out[b, place, 5] = max(room / capacity, -1.0)
