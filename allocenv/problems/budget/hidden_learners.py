"""Who tunes the exact solver best to a learner whose traits are hidden? A player, fixed settings, the published rule.

All meet the same learners, which nobody trained on: the same prompts, traits and first passes of equal groups.
Gains are points of the pool's mean success rate over an episode of the game `Tuned`.
"""

from collections.abc import Callable

import numpy as np

from allocenv.core.arrays import Array, LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.budget.games.training import POINTS, PUBLISHED, WARM_PASSES, Setting, Tuned, action_of
from allocenv.problems.budget.learner.dynamics import draw_pupil, empty_learners, enroll, next_batch, roll, update
from allocenv.problems.budget.learner.presets import Kind, draw_kind
from allocenv.problems.budget.rules.published_knapsack import KnapsackRL
from allocenv.problems.budget.rules.rule import Rule

Play = Callable[[Array], Array]  # observations [B, F] -> actions [B, 5]
SEED = 910_000  # trainings draw from far smaller seeds, their evaluations from 900,000
UNIFORM = np.array([1.0, 2.0, 0.0, 0.9, 8.0])

# Success and failure exponents, bonus, forget factor, most rollouts. Chosen on other learners (seeds 5 and 11).
FIXED = {
    "p (1-p)^2": PUBLISHED,
    "p^4 (1-p)^4": np.array([4.0, 4.0, 0.0, 0.9, 128.0]),
    "p^3 (1-p)^5": np.array([3.0, 5.0, 0.0, 0.9, 128.0]),
    "p^3 (1-p)^5, forget .98": np.array([3.0, 5.0, 0.0, 0.98, 128.0]),
    "p^4 (1-p)^5, forget .98": np.array([4.0, 5.0, 0.0, 0.98, 128.0]),
    "p^12 (1-p)^16, forget .98": np.array([12.0, 16.0, 0.0, 0.98, 128.0]),
    "p^12 (1-p)^20, forget .98": np.array([12.0, 20.0, 0.0, 0.98, 128.0]),
}


def kind_of(b: int, transfers: bool) -> Kind:
    """The traits of evaluated learner b; one of those where all learning transfers."""
    kind = draw_kind(np.random.default_rng([SEED, b, 1]))
    return kind._replace(directness=0.0) if transfers else kind


def gains(play: Play, how: Setting, learners: int, transfers: bool = False) -> Array:
    """Points gained by each of the first evaluated learners, [L]."""
    game, every = Tuned(learners, how), np.ones(learners, np.bool_)
    for b in range(learners):
        game.how = how._replace(kind=kind_of(b, transfers))
        game.begin(b, np.random.default_rng([SEED, b]))
    total, over = np.zeros(learners), np.zeros(learners, np.bool_)
    while not over.all():
        rewards, ended, _ = game.act(play(game.observe()), every & ~over)
        total += rewards
        over |= ended
    return total


def always(numbers: Array) -> Play:
    """The player that never moves the knobs."""
    action = action_of(numbers)
    return lambda seen: np.tile(action, (len(seen), 1))


def rule_gains(how: Setting, learners: int, transfers: bool = False, make: Callable[[int], Rule] = KnapsackRL) -> Array:
    """The same for a rule, which learns from the first passes too: [L]."""
    return np.array([_one_of_rule(how, b, kind_of(b, transfers), make(how.prompts)) for b in range(learners)])


def _one_of_rule(how: Setting, b: int, kind: Kind, rule: Rule) -> float:
    s, own = empty_learners(1, how.prompts, how.batch), np.random.default_rng([SEED, b, 2])
    enroll(how.nature, s, 0, draw_pupil(np.random.default_rng([SEED, b]), how.prompts, kind, how.nature))
    even, warm = np.full(how.batch, how.group), WARM_PASSES * (how.prompts // how.batch)
    begun = 0.0
    for step in range(warm + how.updates):
        if step == warm:
            begun = float(s.mean_rate[0])
        prompts = s.prompt[0].astype(np.int64)
        counts: LongArray = even if step < warm else rule.allocate(prompts, how.group * how.batch, own)
        _roll_all(s, counts)
        rule.observe(prompts, s.correct[0].astype(np.int64), counts)
        update(how.nature, s, 0)
        next_batch(how.nature, s, 0)
    return POINTS * (float(s.mean_rate[0]) - begun)


@kernel
def _roll_all(s, counts):
    for j in range(counts.size):
        roll(s, 0, j, counts[j])
