"""Which rule of allocation makes most of a real run? Its success rates, outcomes drawn again, the same for every rule.

A pass visits every prompt once, in batches of equal size. After a warm-up of equal groups each rule shares
the rollouts of each batch; it sees what was correct, never the rate. What it does has no effect on the
learner: rates are those of the run.

Figures are expectations at the true rates given the allocation (for rules of several rounds, whose counts
depend on outcomes: what came out, which has the same mean and more scatter).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.budget.rules import RULES, Played, Rule, make_rule, play
from allocenv.problems.budget.values import VALUES, known, worth

HARD = 0.1  # a prompt is hard below this rate
LOWEST, BEST = "uniform", "oracle_exact"
BLOCK = 64  # rollouts of each prompt drawn at once


class Setting(NamedTuple):
    """How the run is replayed."""

    group: int = 8  # rollouts a prompt on average
    batch: int = 256  # prompts of a step at most
    warm_up: int = 2  # passes of equal groups for all rules, not counted


USUAL = Setting()


class Step(NamedTuple):
    """One step of a rule, for whoever watches."""

    rule: str
    seed: int
    visit: int
    rates: Array  # [M]  true ones of its prompts
    rollouts: LongArray  # [M]


Watch = Callable[[Step], None]


class Figures(NamedTuple):
    """What came of one rule, for each of S seeds."""

    value: Array  # [S]  published value of a prompt's group, mean over prompts
    rollouts: Array  # [S]  share of rollouts in groups with both outcomes
    prompts: Array  # [S]  share of prompts whose group had both
    hard_solved: Array  # [S]  hard prompts solved at least once in a pass
    trained: Array  # [S]  share of groups with both outcomes among those the update uses
    spent: Array  # [S]  share of the rollouts that the rule used
    most: Array  # [S]  largest group
    gap: Array  # [S]  share of the gap between uniform and oracle that is closed


def replay(
    rates: Array,
    rules: Iterable[str] = tuple(RULES),
    seeds: int = 5,
    how: Setting = USUAL,
    watch: Watch | None = None,
) -> Mapping[str, Figures]:
    """Play every rule over the rates [P, V] of P prompts at V visits; `watch` is told of every step.

    Raises:
        ValueError: an unknown rule, no prompt, no visit beyond the warm-up, or no seed.
    """
    if rates.ndim != 2 or not len(rates) or rates.shape[1] <= how.warm_up or seeds < 1:
        raise ValueError(
            f"Expected rates [P, V] with V > {how.warm_up} and at least one seed, got {rates.shape}, {seeds}."
        )
    names = list(dict.fromkeys([LOWEST, BEST, *rules]))
    found = {name: np.array([_one_run(rates, name, seed, how, watch) for seed in range(seeds)]).T for name in names}
    low, best = found[LOWEST][0], found[BEST][0]
    return {name: Figures._make([*rows, (rows[0] - low) / (best - low)]) for name, rows in found.items()}


def interval(values: Array) -> tuple[float, float, float]:
    """Mean and 95 % interval over seeds (Student's t)."""
    middle = float(values.mean())
    if len(values) < 2:
        return middle, middle, middle
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return middle, middle - half, middle + half


def table(figures: Mapping[str, Figures]) -> str:
    """The figures as text, a rule a line."""
    lines = [
        f"{'rule':24}{'prompts':>9}{'rollouts':>9}{'value':>9}{'gap closed':>28}{'hard':>8}{'most':>6}{'spent':>7}"
    ]
    for name, f in figures.items():
        middle, low, high = interval(100 * f.gap)
        lines.append(
            f"{name:24}{f.prompts.mean():9.3f}{f.rollouts.mean():9.3f}{f.value.mean():9.5f}"
            f"{f'{middle:.1f} [{low:.1f}, {high:.1f}] %':>28}"
            f"{f.hard_solved.mean():8.1f}{f.most.max():6.0f}{f.spent.mean():7.3f}"
        )
    return "\n".join(lines)


class _Outcomes:
    """Outcomes of the rollouts of one step: rollout number j of a prompt has the same one whatever the rule."""

    def __init__(self, p: Array, rng: np.random.Generator) -> None:
        self.p, self.rng = p, rng
        self.solved = np.zeros((len(p), 1), np.int64)  # [M, j]  successes of the first j rollouts
        self.used = np.zeros(len(p), np.int64)

    def draw(self, counts: LongArray) -> LongArray:
        """Successes [M] of the next `counts` rollouts."""
        after = self.used + counts
        while after.max(initial=0) >= self.solved.shape[1]:
            hits = (self.rng.random((len(self.p), BLOCK)) < self.p[:, None]).cumsum(axis=1)
            self.solved = np.hstack([self.solved, self.solved[:, -1:] + hits])
        row = np.arange(len(self.p))
        correct: LongArray = self.solved[row, after] - self.solved[row, self.used]
        self.used = after
        return correct


def _one_run(rates: Array, name: str, seed: int, how: Setting, watch: Watch | None) -> tuple[float, ...]:
    """Figures of one rule but for the gap."""
    n, visits = rates.shape
    now = rates[:, 0]
    rule = make_rule(name, n, lambda prompts: now[prompts])
    sums, most, step = np.zeros(8), 0.0, 0
    for visit in range(visits):
        now = rates[:, visit]
        order = np.random.default_rng([seed, visit]).permutation(n)
        for prompts in np.array_split(order, -(-n // how.batch)):
            drawn = _Outcomes(now[prompts], np.random.default_rng([seed, visit, step]))
            step += 1
            if visit < how.warm_up:
                counts = np.full(len(prompts), how.group)
                rule.observe(prompts, drawn.draw(counts), counts)
                continue
            own = np.random.default_rng([seed, visit, step, 1])
            played = play(rule, prompts, how.group * len(prompts), drawn.draw, own)
            sums += _judge(rule, played, now[prompts], how)
            most = max(most, float(played.rollouts.max()))
            if watch is not None:
                watch(Step(name, seed, visit, now[prompts], played.rollouts))
    value, seen, both, hard, trained, trained_both, used, budget = sums
    prompts_played = n * (visits - how.warm_up)
    return (
        value / prompts_played,
        both / used,
        seen / prompts_played,
        hard / (visits - how.warm_up),
        trained_both / max(trained, 1),
        used / budget,
        most,
    )


def _judge(rule: Rule, played: Played, p: Array, how: Setting) -> Array:
    """Sums over the prompts of one step."""
    counts, correct = played.rollouts, played.correct
    if played.first.sum() == counts.sum():
        seen = worth(VALUES["gradient"], known(p), counts)
        solved = worth(VALUES["hit"], known(p), counts)
    else:
        seen = ((correct > 0) & (correct < counts)).astype(np.float64)
        solved = (correct > 0).astype(np.float64)
    uses = rule.trains_on(correct, counts)
    mixed = (correct > 0) & (correct < counts)
    use = p * (1 - p) ** 2
    return np.array(
        [
            (use * seen).sum(),
            seen.sum(),
            (counts * seen).sum(),
            solved[p < HARD].sum(),
            uses.sum(),
            (uses & mixed).sum(),
            counts.sum(),
            how.group * len(p),
        ],
        np.float64,
    )
