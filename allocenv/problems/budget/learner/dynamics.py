"""How does one update change the success rate of every prompt? State, rollouts, update. Start reading here.

    p_i = sigmoid(s (a_i theta + d_i - b_i))

theta is the ability common to all prompts, a_i the slope of prompt i, b_i its difficulty, d_i what was learnt
from itself, s the sharpening. Of a batch with counts n_i and correct ones k_i:

    s_i = sqrt(k_i/n_i (1 - k_i/n_i))          the size of a GRPO group's mean gradient, for a Bernoulli logit
    S = sum n_i s_i / sum n                    signal
    E = sum of n_i of groups with both outcomes / sum n; its share of the noise power is E / sum n
    theta += (1 - rho) eta S / D               D = 1 (plain SGD) or sqrt(S^2 + kappa E / sum n) (Adam-like)
    d_i   += rho eta n_i s_i P / (sum n) / D

eta is such that equal groups give the fitted pace, and about the run's gain, whatever D and rho are.

The run had equal groups only: how learning depends on the counts is an assumption, not data.

Source: ../shared/facts/reasoning_budget.md, section 6 (derived; GRPO: Shao et al., 2402.03300).
"""

from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray, LongArray
from allocenv.core.kernel import inlined, kernel
from allocenv.problems.budget.learner.presets import (
    DIRECT_EXTRA,
    REAL_RUN,
    REFERENCE_EFFECTIVE,
    REFERENCE_SIGNAL,
    Kind,
    Nature,
)

FARTHEST = 14.0  # logits of a difficulty
LENGTH_SPREAD = 0.36  # of log tokens between prompts (MATH samples, as are the next two)
ROLLOUT_SPREAD = 0.13  # within a prompt
WRONG_LENGTH = 1.3  # tokens of a wrong answer, by those of a correct one
SCALE = float(2**63)


class Learner(NamedTuple):
    """B learners, each with a pool of P prompts of which M are at hand. Kernels of this file are the only writers."""

    slope: Array  # [B, P]  a_i
    ease: Array  # [B, P]  -b_i, logits
    learnt: Array  # [B, P]  d_i, logits
    length: Array  # [B, P]  mean tokens of a correct rollout; their mean over prompts is 1
    ability: Array  # [B]  theta, logits
    progress: Array  # [B]  all that was learnt, mean over prompts, logits
    mean_rate: Array  # [B]  mean success rate of the pool
    steps: LongArray  # [B]  updates so far
    order: IntArray  # [B, P]  the prompts in the order of this pass
    place: LongArray  # [B]  where in `order` the next batch begins
    prompt: IntArray  # [B, M]  the batch at hand
    rate: Array  # [B, M]  its success rates
    rollouts: IntArray  # [B, M]
    correct: IntArray  # [B, M]
    tokens: Array  # [B, M]  of all rollouts of the prompt
    signal: Array  # [B]  S of the last update
    effective: Array  # [B]  E of the last update
    directness: Array  # [B]  rho
    noise: Array  # [B]  kappa; below 0: plain SGD
    random: Array  # [B, 1] uint64


class Pupil(NamedTuple):
    """One learner before its first step."""

    slope: Array  # [P]
    ease: Array  # [P]
    length: Array  # [P]
    kind: Kind
    seed: int  # of everything that happens afterwards


def draw_pupil(rng: np.random.Generator, prompts: int, kind: Kind, nature: Nature = REAL_RUN) -> Pupil:
    """A learner whose prompts are drawn as those of the real run were fitted."""
    rates = rng.beta(nature.first_wins, nature.first_losses, prompts)
    least = 1.0 / (1.0 + np.exp(FARTHEST))
    rates = np.clip(rates, least, 1.0 - least)
    shape = nature.slope_spread**-2
    return Pupil(
        slope=rng.gamma(shape, 1.0 / shape, prompts),
        ease=np.log(rates) - np.log1p(-rates),
        length=rng.lognormal(-0.5 * LENGTH_SPREAD**2, LENGTH_SPREAD, prompts),
        kind=kind,
        seed=int(rng.integers(1, 2**62)),
    )


def empty_learners(n: int, prompts: int, batch: int) -> Learner:
    """Arrays for `n` learners.

    Raises:
        ValueError: a batch that is larger than the pool, or empty.
    """
    if not 1 <= batch <= prompts:
        raise ValueError(f"Expected a batch of 1 to {prompts} prompts, got {batch}.")
    pool = lambda: np.zeros((n, prompts))  # noqa: E731
    row = lambda: np.zeros(n)  # noqa: E731
    return Learner(
        slope=pool(),
        ease=pool(),
        learnt=pool(),
        length=pool(),
        ability=row(),
        progress=row(),
        mean_rate=row(),
        steps=np.zeros(n, np.int64),
        order=np.zeros((n, prompts), np.int32),
        place=np.zeros(n, np.int64),
        prompt=np.zeros((n, batch), np.int32),
        rate=np.zeros((n, batch)),
        rollouts=np.zeros((n, batch), np.int32),
        correct=np.zeros((n, batch), np.int32),
        tokens=np.zeros((n, batch)),
        signal=row(),
        effective=row(),
        directness=row(),
        noise=row(),
        random=np.ones((n, 1), np.uint64),
    )


def enroll(nature: Nature, s: Learner, b: int, pupil: Pupil) -> None:
    """Let the learner begin in row b, with its first batch at hand.

    Raises:
        ValueError: another number of prompts than the arrays have.
    """
    if len(pupil.ease) != s.ease.shape[1]:
        raise ValueError(f"Expected a learner with {s.ease.shape[1]} prompts, got {len(pupil.ease)}.")
    s.slope[b], s.ease[b], s.length[b] = pupil.slope, pupil.ease, pupil.length
    s.learnt[b], s.ability[b], s.progress[b], s.steps[b] = 0.0, 0.0, 0.0, 0
    s.signal[b] = s.effective[b] = 0.0
    s.order[b], s.place[b] = np.arange(s.order.shape[1]), s.order.shape[1]
    s.directness[b] = pupil.kind.directness
    s.noise[b] = -1.0 if pupil.kind.plain else pupil.kind.noise
    s.random[b, 0] = pupil.seed | 1
    _begin(nature, s, b)


@kernel
def _begin(nature, s, b):
    s.mean_rate[b] = mean_rate(nature, s, b)
    next_batch(nature, s, b)


@inlined
def bits(s, b):
    """63 random bits (xorshift64*, Vigna 2016)."""
    x = s.random[b, 0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    s.random[b, 0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(1))


@inlined
def sharpness(nature, s, b):
    """By how much large logits have grown, as a share."""
    return nature.sharpening * s.progress[b]


@inlined
def ceiling(nature, s, b):
    """What slips leave."""
    return 1.0 - nature.slips * np.exp(-s.steps[b] / nature.slip_steps)


@inlined
def rate_of(s, b, i, ability, sharp, top):
    """The success rate of prompt i."""
    logit = s.slope[b, i] * ability + s.learnt[b, i] + s.ease[b, i]
    return top / (1.0 + np.exp(-logit * (1.0 + sharp if logit > 0.0 else 1.0)))


@kernel
def mean_rate(nature, s, b):
    """The mean success rate of the pool."""
    total, ability, sharp, top = 0.0, s.ability[b], sharpness(nature, s, b), ceiling(nature, s, b)
    n = s.ease.shape[1]
    for i in range(n):
        total += rate_of(s, b, i, ability, sharp, top)
    return total / n


@kernel
def next_batch(nature, s, b):
    """Put the next M prompts at hand; each pass goes over the whole pool in a new order."""
    ability, sharp, top = s.ability[b], sharpness(nature, s, b), ceiling(nature, s, b)
    n, m = s.order.shape[1], s.prompt.shape[1]
    if s.place[b] + m > n:
        _shuffle(s, b)
    for j in range(m):
        i = s.order[b, s.place[b] + j]
        s.prompt[b, j] = i
        s.rate[b, j] = rate_of(s, b, i, ability, sharp, top)
        s.rollouts[b, j] = s.correct[b, j] = 0
        s.tokens[b, j] = 0.0
    s.place[b] += m


@inlined
def _shuffle(s, b):
    """Begin a new pass. The few prompts that the old one had left for less than a batch are dropped, as trainers do."""
    for x in range(s.order.shape[1] - 1, 0, -1):
        y = bits(s, b) % (x + 1)
        s.order[b, x], s.order[b, y] = s.order[b, y], s.order[b, x]
    s.place[b] = 0


@inlined
def roll(s, b, j, n):
    """Draw n more rollouts of prompt j of the batch; how many of them were correct."""
    limit = np.int64(s.rate[b, j] * SCALE * (1.0 - 1e-15))
    x = s.random[b, 0]
    correct = 0
    for _ in range(n):
        x ^= x >> np.uint64(12)
        x ^= x << np.uint64(25)
        x ^= x >> np.uint64(27)
        drawn = np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(1))
        correct += 1 if drawn < limit else 0
    s.random[b, 0] = x
    s.rollouts[b, j] += n
    s.correct[b, j] += correct
    return correct


@kernel
def count_tokens(s, b):
    """Draw the tokens of the batch, once all its rollouts are there.

    Lengths are log-normal within a prompt; the sum over a group is drawn as one normal of their mean and
    variance.
    """
    for j in range(s.prompt.shape[1]):
        n = s.rollouts[b, j]
        if n > 0:
            one = ((bits(s, b) >> 10) + 1) * (1.0 / (1 << 53))
            two = (bits(s, b) >> 10) * (1.0 / (1 << 53))
            normal = np.sqrt(-2.0 * np.log(one)) * np.cos(2.0 * np.pi * two)
            mean = s.length[b, s.prompt[b, j]] * (s.correct[b, j] + WRONG_LENGTH * (n - s.correct[b, j]))
            s.tokens[b, j] = mean * max(1.0 + ROLLOUT_SPREAD * normal / np.sqrt(n), 0.1)


@kernel
def update(nature, s, b):
    """Learn from the batch; the gain in the pool's mean success rate."""
    m, total, signal, effective = s.prompt.shape[1], 0.0, 0.0, 0.0
    for j in range(m):
        n = s.rollouts[b, j]
        total += n
        if 0 < s.correct[b, j] < n:
            signal += n * group_size(s, b, j)
            effective += n
    before = s.mean_rate[b]
    if total > 0.0:
        signal /= total
        effective /= total
    s.signal[b], s.effective[b] = signal, effective
    if signal > 0.0:
        push = nature.pace * (1.0 + nature.early * np.exp(-s.steps[b] / nature.early_steps))
        push *= stride(signal, effective, total, s.noise[b]) / (1.0 + DIRECT_EXTRA * s.directness[b])
        s.progress[b] += push
        s.ability[b] += (1.0 - s.directness[b]) * push
        own = s.directness[b] * push * s.ease.shape[1] / (signal * total)
        for j in range(m):
            if 0 < s.correct[b, j] < s.rollouts[b, j]:
                s.learnt[b, s.prompt[b, j]] += own * s.rollouts[b, j] * group_size(s, b, j)
    s.steps[b] += 1
    s.mean_rate[b] = mean_rate(nature, s, b)
    return s.mean_rate[b] - before


@inlined
def group_size(s, b, j):
    """The standard deviation of a group's rewards."""
    k = s.correct[b, j] / s.rollouts[b, j]
    return np.sqrt(k * (1.0 - k))


@inlined
def stride(signal, effective, total, noise):
    """How long a step is, by that of the reference: S / D."""
    if noise < 0.0:
        return signal / REFERENCE_SIGNAL
    length = np.sqrt(signal * signal + noise * effective / total)
    reference = np.sqrt(REFERENCE_SIGNAL * REFERENCE_SIGNAL + noise * REFERENCE_EFFECTIVE / total)
    return signal * reference / (length * REFERENCE_SIGNAL)


@kernel
def learn_evenly(nature, s, group, steps, met, out, lo, hi):
    """Let rows lo..hi learn from equal groups.

    Args:
        nature, s: constants and state.
        group: rollouts of a prompt.
        steps: updates.
        met: [B, P] int32, zeros: becomes how often each prompt was met.
        out: [B, P, V] int32: becomes the correct ones at each of the first V visits.
        lo, hi: rows.
    """
    for b in range(lo, hi):
        for _ in range(steps):
            for j in range(s.prompt.shape[1]):
                i = s.prompt[b, j]
                k = roll(s, b, j, group)
                if met[b, i] < out.shape[2]:
                    out[b, i, met[b, i]] = k
                met[b, i] += 1
            count_tokens(s, b)
            update(nature, s, b)
            next_batch(nature, s, b)
