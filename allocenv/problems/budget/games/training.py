"""Tuning a rule and giving weights: two games over the learner simulator, each for B rows at once.

`Tuned`: an action sets five numbers of the posterior rule for some updates: the exponents of the value p^a
(1-p)^b, an exploration bonus, the forget factor of the beliefs, the most rollouts of a prompt. The exact
solver does the rest. `Weights`: an action gives every prompt of the batch a share of the rollouts.

The bonus makes a prompt worth 1 + bonus / sqrt(a + b + 1) times as much, a and b being its posterior: that is
its deviation, by that of a coin. The value stays concave, so the solver stays exact.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.budget.allocation.greedy import fill_by_heap, take_above
from allocenv.problems.budget.drawing import View
from allocenv.problems.budget.learner.beliefs import (
    BOTH,
    NO_GROUP,
    Beliefs,
    empty_beliefs,
    forget_all,
    observe_batch,
)
from allocenv.problems.budget.learner.dynamics import (
    Learner,
    count_tokens,
    draw_pupil,
    empty_learners,
    enroll,
    next_batch,
    roll,
    update,
)
from allocenv.problems.budget.learner.presets import REAL_RUN, Kind, Nature, draw_kind
from allocenv.problems.budget.rules.rule import largest_remainder
from allocenv.problems.budget.values import GRADIENT, Belief, Curves, start_curves

LOW = 2  # rollouts of every prompt at least (Tuned)
EVEN = 0.9  # forget factor where the action sets none
POINTS = 100.0  # rewards are gains of the mean success rate in points
FENCE = 10.0  # of features
WARM_PASSES = 2  # of equal groups before an episode, as the rules of the field have

# What an action of -1 and of 1 means; in between linearly, UP by powers.
KNOBS = ("success", "failure", "bonus", "forget", "up")
KNOB_LOW = np.array([0.0, 0.0, 0.0, 0.5, 8.0])
KNOB_HIGH = np.array([24.0, 24.0, 5.0, 1.0, 128.0])
PUBLISHED = np.array([1.0, 2.0, 0.0, 0.9, 128.0])  # the published value under the posterior

GLOBAL = (
    "updates done / updates",
    "tokens spent / token budget",
    "share of prompts with both outcomes",
    "share of rollouts in such groups",
    "signal of the last update, x 2",
    "mean of the pool's Beta",
    "log of its first parameter / 3",
    "log of its second parameter / 3",
    "prompts by share of rollouts: largest group / 64",
    "mean rise of the rate since the last visit, against the posterior, x 10",
    "the same of prompts whose last group had both outcomes, in logits",
    "the same of the others, in logits",
    "hard prompts solved: share of those that were all wrong before",
)
PROMPT = (
    "posterior mean",
    "posterior deviation, x 2",
    "evidence: log(1 + discounted rollouts) / 5",
    "visits / 20, at most 2",
    "updates since the last visit / 40, at most 2",
    "last group had both outcomes",
    "expected tokens of a rollout / 2",
)
MARGIN = 1.2  # on the price of the last batch
KEPT = 0.9  # what running averages keep at each update


class Setting(NamedTuple):
    """The parameters of an episode."""

    prompts: int = 1209  # P
    batch: int = 128  # M
    group: int = 8  # rollouts a prompt on average
    updates: int = 430
    every: int = 10  # updates an action holds for
    token_budget: float = np.inf  # in mean correct rollouts; the episode ends when it is spent
    kind: Kind | None = None  # of learner; None: drawn for each episode and hidden
    nature: Nature = REAL_RUN


class Running(NamedTuple):
    """What is known of the course of B episodes."""

    done: LongArray  # [B]  updates
    tokens: Array  # [B]
    gained: Array  # [B]
    course: Array  # [B, 10]  running sums: prompts, both, rollouts, used, rise, information and rise of those
    # whose last group had both, of the others, prompts all wrong before, solved now
    most: LongArray  # [B]  largest group of the last update
    begun: Array  # [B]  mean rate at the start
    price: Array  # [B]  gain of the next rollout of the last batch (Tuned)


class Scratch(NamedTuple):
    """Arrays the solver works in."""

    belief: Belief  # [M, 1]
    curves: Curves  # [M, 1]
    levels: LongArray  # [M]
    up: LongArray  # [M]
    none: BoolArray  # [M]  no prompt
    key: Array  # [M]
    row: IntArray  # [M]


class Rows(NamedTuple):
    """B episodes."""

    learner: Learner
    beliefs: Beliefs
    running: Running


class Training:
    """What both games have in common."""

    def __init__(self, n: int, how: Setting) -> None:
        check_setting(how)
        self.n, self.how = n, how
        m = how.batch
        self.rows = Rows(
            empty_learners(n, how.prompts, m),
            empty_beliefs(n, how.prompts),
            Running(
                np.zeros(n, np.int64),
                np.zeros(n),
                np.zeros(n),
                np.zeros((n, 10)),
                *(np.zeros(n, np.int64), np.zeros(n), np.zeros(n)),
            ),
        )
        column = lambda: np.zeros((m, 1))  # noqa: E731
        self.scratch = Scratch(
            Belief(column(), column(), column(), 1.0),
            Curves(column(), column(), column(), column(), 1.0),
            np.zeros(m, np.int64),
            np.zeros(m, np.int64),
            np.zeros(m, np.bool_),
            np.zeros(m),
            np.zeros(m, np.int32),
        )

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """See `Game`."""
        how, e = self.how, self.rows
        kind = draw_kind(rng) if how.kind is None else how.kind
        enroll(how.nature, e.learner, b, draw_pupil(rng, how.prompts, kind, how.nature))
        forget_all(e.beliefs, b)
        for array in e.running:
            array[b] = 0
        _warm(how.nature, e, b, how.group, WARM_PASSES * (how.prompts // how.batch))
        e.running.done[b] = 0
        e.running.tokens[b] = e.running.gained[b] = 0.0
        e.running.begun[b] = e.learner.mean_rate[b]

    def masks(self) -> None:
        """See `Game`: every action is legal."""

    def metrics(self, b: int) -> dict[str, float]:
        """See `Game`."""
        run, course = self.rows.running, self.rows.running.course[b]
        return {
            "objective": 1.0 - float(self.rows.learner.mean_rate[b]),
            "gain": POINTS * float(run.gained[b]),
            "prompts_effective": float(course[1] / max(course[0], 1e-9)),
            "rollouts_effective": float(course[3] / max(course[2], 1e-9)),
            "hard_solved": float(course[9] / max(course[8], 1e-9)),
            "tokens": float(run.tokens[b]),
            "most": float(run.most[b]),
            "directness": float(self.rows.learner.directness[b]),
            "noise": float(self.rows.learner.noise[b]),
        }

    def view(self, b: int) -> View:
        """See `Game`: the last batch, by its success rates."""
        learner, run = self.rows.learner, self.rows.running
        title = (
            f"update {int(run.done[b])} of {self.how.updates}; mean success rate {learner.mean_rate[b]:.3f} "
            f"({POINTS * run.gained[b]:+.2f} points)"
        )
        parts = (learner.prompt, learner.rate, learner.rollouts, learner.correct)
        return View(title, *(part[b].copy() for part in parts))

    def _ends(self, rewards: Array, rows: BoolArray) -> tuple[Array, BoolArray, BoolArray]:
        """Rewards, terminated (the episode has its length or its tokens are spent), truncated (never)."""
        run = self.rows.running
        over = rows & ((run.done >= self.how.updates) | (run.tokens >= self.how.token_budget))
        return rewards, over, np.zeros(self.n, np.bool_)

    def _context(self) -> Array:
        out = np.zeros((self.n, len(GLOBAL)))
        _describe_course(self.rows, self.how.updates, self.how.token_budget, out)
        context: Array = np.clip(out, -FENCE, FENCE).astype(np.float32)
        return context


class Tuned(Training):
    """An action [5] in [-1, 1] sets the knobs for the next `every` updates."""

    def __init__(self, n: int, how: Setting) -> None:
        super().__init__(n, how)
        self.observation_space = spaces.Box(-FENCE, FENCE, (len(GLOBAL) + len(KNOBS),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (len(KNOBS),), np.float32)
        self.last = np.zeros((n, len(KNOBS)))

    def begin(self, b: int, rng: np.random.Generator) -> None:
        """See `Game`."""
        super().begin(b, rng)
        self.last[b] = 0.0

    def act(self, actions: Array, rows: BoolArray) -> tuple[Array, BoolArray, BoolArray]:
        """See `Game`."""
        chosen = np.clip(np.asarray(actions, np.float64), -1.0, 1.0)
        if chosen.shape != (self.n, len(KNOBS)) or not np.isfinite(chosen[rows]).all():
            raise ValueError(f"Expected finite actions of shape ({self.n}, {len(KNOBS)}), got {chosen.shape}.")
        self.last[rows] = chosen[rows]
        rewards = np.zeros(self.n)
        how = self.how
        _play_tuned(
            how.nature, self.rows, self.scratch, knobs(chosen), how.group, how.every, how.updates, rows, rewards
        )
        return self._ends(rewards, rows)

    def observe(self) -> Array:
        """See `Game`: `GLOBAL`, then the last action."""
        return np.concatenate([self._context(), self.last.astype(np.float32)], axis=1)


class Weights(Training):
    """An action [M] in [0, 1] gives each prompt of the batch its share of the rollouts; all 0: equal shares."""

    def __init__(self, n: int, how: Setting) -> None:
        super().__init__(n, how)
        size = len(GLOBAL) + how.batch * len(PROMPT)
        self.observation_space = spaces.Box(-FENCE, FENCE, (size,), np.float32)
        self.action_space = spaces.Box(0.0, 1.0, (how.batch,), np.float32)

    def act(self, actions: Array, rows: BoolArray) -> tuple[Array, BoolArray, BoolArray]:
        """See `Game`."""
        weights = np.clip(np.asarray(actions, np.float64), 0.0, 1.0)
        if weights.shape != (self.n, self.how.batch) or not np.isfinite(weights[rows]).all():
            raise ValueError(f"Expected finite actions of shape ({self.n}, {self.how.batch}), got {weights.shape}.")
        total = self.how.batch * self.how.group
        counts = np.zeros(weights.shape, np.int64)
        for b in np.flatnonzero(rows):
            shares = weights[b] if weights[b].sum() > 0 else np.ones(self.how.batch)
            counts[b] = largest_remainder(shares, total)
        rewards = np.zeros(self.n)
        _play_counts(self.how.nature, self.rows, counts, rows, rewards)
        return self._ends(rewards, rows)

    def observe(self) -> Array:
        """See `Game`: `GLOBAL`, then `PROMPT` of each prompt of the batch."""
        out = np.zeros((self.n, self.how.batch, len(PROMPT)))
        _describe_prompts(self.rows, out)
        flat = np.clip(out, -FENCE, FENCE).astype(np.float32).reshape(self.n, -1)
        return np.concatenate([self._context(), flat], axis=1)


def check_setting(how: Setting) -> None:
    """Raise ValueError where a parameter is out of range."""
    for name, low, high in (
        ("prompts", 1, 10**6),
        ("batch", 1, how.prompts),
        ("group", LOW, 128),
        ("updates", 1, 10**6),
        ("every", 1, 10**6),
    ):
        if not low <= getattr(how, name) <= high:
            raise ValueError(f"Expected {name} from {low} to {high}, got {getattr(how, name)}.")
    if not how.token_budget > 0:
        raise ValueError(f"Expected a token budget above 0, got {how.token_budget}.")


def knobs(actions: Array) -> Array:
    """The numbers [B, 5] that actions [B, 5] in [-1, 1] stand for."""
    share = (actions + 1.0) / 2.0
    out: Array = KNOB_LOW + share * (KNOB_HIGH - KNOB_LOW)
    out[:, 4] = np.floor(KNOB_LOW[4] * (KNOB_HIGH[4] / KNOB_LOW[4]) ** share[:, 4])
    return out


def action_of(numbers: Array) -> Array:
    """The action [5] that stands for the knobs [5]: the inverse of `knobs`."""
    out: Array = 2.0 * (numbers - KNOB_LOW) / (KNOB_HIGH - KNOB_LOW) - 1.0
    out[4] = 2.0 * np.log(numbers[4] / KNOB_LOW[4]) / np.log(KNOB_HIGH[4] / KNOB_LOW[4]) - 1.0
    action: Array = out.astype(np.float32)
    return action


@kernel
def _warm(nature, e, b, group, updates):
    for _ in range(updates):
        for j in range(e.learner.prompt.shape[1]):
            roll(e.learner, b, j, group)
        _learn(nature, e, b, EVEN)


@kernel
def _play_counts(nature, e, counts, rows, rewards):
    """One update of each row asked for, with the counts [B, M]."""
    for b in range(rewards.size):
        if rows[b]:
            for j in range(counts.shape[1]):
                roll(e.learner, b, j, counts[b, j])
            rewards[b] = POINTS * _learn(nature, e, b, EVEN)


@kernel
def _play_tuned(nature, e, x, chosen, group, every, updates, rows, rewards):
    """Some updates of each row asked for, by the exact solver with its knobs [B, 5]."""
    for b in range(rewards.size):
        if rows[b]:
            for _ in range(min(every, updates - e.running.done[b])):
                _allocate_row(e, x, b, chosen, group)
                for j in range(x.levels.size):
                    roll(e.learner, b, j, x.levels[j])
                rewards[b] += POINTS * _learn(nature, e, b, chosen[b, 3])


@kernel
def _allocate_row(e, x, b, chosen, group):
    """Write the rollouts of largest expected value into `x.levels`.

    What gains more than a little above the last batch's price is taken without a heap; where that were too
    much, the heap does it all. Either way is exact, see `allocation/greedy.py`.
    """
    room = (group - LOW) * x.levels.size
    _start(e, x, b, chosen, group)
    left = take_above(x.curves, x.levels, x.up, x.none, x.none, MARGIN * e.running.price[b], room)
    if left < 0:
        _start(e, x, b, chosen, group)
        left = room
    fill_by_heap(x.curves, x.levels, x.up, x.none, x.none, left, x.key, x.row)
    e.running.price[b] = x.key[0]


@kernel
def _start(e, x, b, chosen, group):
    """Write the value curves of the batch from LOW rollouts on."""
    s, m = e.learner, x.levels.size
    for j in range(m):
        i = s.prompt[b, j]
        wins, losses = e.beliefs.prior[b, 0] + e.beliefs.correct[b, i], e.beliefs.prior[b, 1] + e.beliefs.wrong[b, i]
        x.belief.wins[j, 0], x.belief.losses[j, 0] = wins, losses
        x.belief.weight[j, 0] = 1.0 + chosen[b, 2] / np.sqrt(wins + losses + 1.0)
        x.levels[j], x.up[j] = LOW, max(int(chosen[b, 4]), group)
    start_curves(GRADIENT, chosen[b, 0], chosen[b, 1], x.belief, x.levels, x.curves)


@kernel
def _learn(nature, e, b, forget):
    """Observe the batch, make the update, put the next batch at hand; the gain."""
    run = e.running
    count_tokens(e.learner, b)
    _follow(e, b)
    observe_batch(e.beliefs, e.learner, b, forget)
    gain = update(nature, e.learner, b)
    next_batch(nature, e.learner, b)
    run.done[b] += 1
    run.gained[b] += gain
    return gain


@inlined
def _follow(e, b):
    """Add the batch to the running sums, before the beliefs take it in."""
    s, run, course = e.learner, e.running, e.running.course
    for c in range(course.shape[1]):
        course[b, c] *= KEPT
    run.most[b] = 0
    for j in range(s.prompt.shape[1]):
        i, n, k = s.prompt[b, j], s.rollouts[b, j], s.correct[b, j]
        if n == 0:
            continue
        run.tokens[b] += s.tokens[b, j]
        run.most[b] = max(run.most[b], n)
        both = 0 < k < n
        course[b, 0] += 1.0
        course[b, 1] += both
        course[b, 2] += n
        course[b, 3] += n if both else 0
        if e.beliefs.last[b, i] == NO_GROUP:
            continue
        wins, losses = e.beliefs.prior[b, 0] + e.beliefs.correct[b, i], e.beliefs.prior[b, 1] + e.beliefs.wrong[b, i]
        mean = wins / (wins + losses)
        at = 4 if e.beliefs.last[b, i] == BOTH else 6
        course[b, at] += k / n - mean
        course[b, at + 1] += mean * (1.0 - mean)
        if e.beliefs.last[b, i] == 1:
            course[b, 8] += 1.0
            course[b, 9] += k > 0


@kernel
def _describe_course(e, updates, token_budget, out):
    for b in range(out.shape[0]):
        c, x, y = e.running.course, e.beliefs.prior[b, 0], e.beliefs.prior[b, 1]
        out[b, 0] = e.running.done[b] / updates
        out[b, 1] = e.running.tokens[b] / token_budget
        out[b, 2] = c[b, 1] / max(c[b, 0], 1e-9)
        out[b, 3] = c[b, 3] / max(c[b, 2], 1e-9)
        out[b, 4] = 2.0 * e.learner.signal[b]
        out[b, 5] = x / (x + y)
        out[b, 6] = np.log(x) / 3.0
        out[b, 7] = np.log(y) / 3.0
        out[b, 8] = e.running.most[b] / 64.0
        out[b, 9] = 10.0 * (c[b, 4] + c[b, 6]) / max(c[b, 0], 1e-9)
        out[b, 10] = c[b, 4] / max(c[b, 5], 1e-2)
        out[b, 11] = c[b, 6] / max(c[b, 7], 1e-2)
        out[b, 12] = c[b, 9] / max(c[b, 8], 1e-9)


@kernel
def _describe_prompts(e, out):
    s, x = e.learner, e.beliefs
    for b in range(out.shape[0]):
        for j in range(out.shape[1]):
            i = s.prompt[b, j]
            wins, losses = x.prior[b, 0] + x.correct[b, i], x.prior[b, 1] + x.wrong[b, i]
            mean = wins / (wins + losses)
            out[b, j, 0] = mean
            out[b, j, 1] = 2.0 * np.sqrt(mean * (1.0 - mean) / (wins + losses + 1.0))
            out[b, j, 2] = np.log1p(x.correct[b, i] + x.wrong[b, i]) / 5.0
            out[b, j, 3] = min(x.visits[b, i] / 20.0, 2.0)
            out[b, j, 4] = min((s.steps[b] - x.met[b, i]) / 40.0, 2.0) if x.met[b, i] >= 0 else 2.0
            out[b, j, 5] = x.last[b, i] == BOTH
            out[b, j, 6] = s.length[b, i] * (mean + 1.3 * (1.0 - mean)) / 2.0
