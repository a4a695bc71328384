"""What is solved at test time for how many samples? Allocations over the real samples of fixed models.

With a verifier (HumanEval): samples of a task are drawn without replacement from its 100. Figures of policies
that do not look at outcomes are exact expectations (hypergeometric); the others are means over orders.

    uniform          N samples of every task
    pilot            2 of every task, then greedy by the posterior of the pilot, in one round
    sequential       always the unsolved task of the largest posterior mean: posterior p ~ Beta(a, b + failures)
    oracle           greedy by the true share of passing samples, in one round
    oracle_sequential  the true shares, and stops at the first success
    best_blind       what no policy that is told outcomes only can exceed, whatever its prior

Sequential allocation by the posterior is optimal without further knowledge of the tasks: posterior means
fall with each failure and tasks do not differ otherwise, so the largest next gain first is an index policy.
No other prior changes that, nor does learning: `best_blind` says how little is left.

Without a verifier (MATH): votes are bought one by one for each problem until a rule stops; the answer is the
leading one.

    majority         N votes
    posterior        stops when P(leading answer more frequent than the second) exceeds a threshold (Beta(1,1))
    optpo            stops when the likelihood ratio of leading against second answer does (OptPO, 2512.02882:
                     sequential probability ratio test; the rate of the true answer is taken as RIGHT)
    saturation       stops when the gain of one more sample, p (1-p)^n with p the leading share, falls below a
                     threshold (TTSPM, 2505.20522; expression derived)
    best_of_majority of N votes, answers with a share above a threshold; of those the best scored one
                     (Best-of-Majority, 2510.03199)
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, gammaln

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.allocation import take_largest
from allocenv.problems.budget.sample_sets import HUMANEVAL_BETA, Votes

PILOT = 2
RIGHT = 0.7  # share of the true answer among votes, where it is not known (OptPO)
BUDGETS = (2, 4, 8, 16, 32)


def solved_chance(passed: BoolArray) -> Array:
    """Chance that n samples without replacement hold a passing one: [T, S + 1], n = 0..S."""
    s, k = passed.shape[1], passed.sum(axis=1)[:, None]
    n = np.arange(s + 1)
    possible = n <= s - k
    # C(s - k, n) / C(s, n)
    with np.errstate(invalid="ignore"):
        log_none = (
            gammaln(s - k + 1.0) - gammaln(np.maximum(s - k - n, 0) + 1.0) - gammaln(s + 1.0) + gammaln(s - n + 1.0)
        )
    return 1.0 - np.where(possible, np.exp(log_none), 0.0)


def uniform(passed: BoolArray, budget: int) -> float:
    """Share of the tasks solved with `budget` samples each."""
    return float(solved_chance(passed)[:, budget].mean())


def oracle(passed: BoolArray, budget: int) -> float:
    """The same with an average of `budget` samples, allocated in one round by the true shares."""
    chance = solved_chance(passed)
    counts = take_largest(np.diff(chance, axis=1), budget * len(passed))
    return float(chance[np.arange(len(passed)), counts].mean())


def pilot(passed: BoolArray, budget: int, rng: np.random.Generator) -> float:
    """Share solved by two samples of each task and one round by their posterior, in one random order."""
    first = first_pass(passed, rng)
    tasks, samples = passed.shape
    a, b = HUMANEVAL_BETA
    left = first > PILOT
    n = np.arange(samples - PILOT)
    # E[p (1-p)^n] under Beta(a, b + 2): the next failure multiplies by (b + 2 + n) / (a + b + 2 + n + 1)
    gain = a / (a + b + PILOT) * np.cumprod(np.r_[1.0, (b + PILOT + n[:-1]) / (a + b + PILOT + 1 + n[:-1])])
    room = min((budget - PILOT) * tasks, int(left.sum()) * (samples - PILOT))
    counts = np.zeros(tasks, np.int64)
    counts[left] = take_largest(np.tile(gain, (int(left.sum()), 1)), room)
    return float((first <= PILOT + counts).mean())


def sequential(passed: BoolArray, budget: int, rng: np.random.Generator) -> float:
    """Share solved in one random order when the unsolved task of the largest posterior mean is always next.

    That is the one with the fewest failures: tasks take turns until they are solved or the budget is spent;
    the last turn, which not all can have, goes in random order.
    """
    first = first_pass(passed, rng)
    room, samples = budget * len(passed), passed.shape[1]
    for turn in range(1, samples + 1):
        waiting = np.flatnonzero(first >= turn)
        if len(waiting) >= room:
            served = rng.permutation(waiting)[:room]
            return float(((first < turn).sum() + (first[served] == turn).sum()) / len(passed))
        room -= len(waiting)
    return float((first <= samples).mean())


def oracle_sequential(passed: BoolArray, budget: int, rng: np.random.Generator) -> float:
    """Share solved when the unsolved task with the largest share of passing samples left is always next."""
    shares, room = passed.mean(axis=1), budget * len(passed)
    first = first_pass(passed, rng)
    solved = 0
    for task in np.argsort(-shares, kind="stable"):  # a share only rises with failures: the task stays the best
        if shares[task] == 0 or first[task] > room:
            break
        room -= int(first[task])
        solved += 1
    return solved / len(passed)


def best_blind(passed: BoolArray, budget: int) -> float:
    """The most that any policy can solve that is told nothing about tasks but outcomes: a bound, on average.

    Of independent tasks like these, what others show says nothing about a task, so a policy comes down to a mixture of
    "stop after n failures" for each. That solves s(n) and spends c(n) = sum over j < n of 1 - s(j); s over c is
    concave, as its slope, the chance to pass after n failures, only falls (a mixture of rates keeps its lower
    ones). So nothing that spends `budget` on average solves more than s at c = budget.
    """
    chance = solved_chance(passed).mean(axis=0)
    spent = np.concatenate([np.zeros(1), np.cumsum(1.0 - chance[:-1])])
    return float(np.interp(budget, spent, chance))


def first_pass(passed: BoolArray, rng: np.random.Generator) -> LongArray:
    """How many samples each task takes until the first passing one in a random order, [T]; S + 1: there is none."""
    order = rng.permuted(passed, axis=1)
    first: LongArray = np.where(order.any(axis=1), order.argmax(axis=1) + 1, passed.shape[1] + 1)
    return first


def verified_table(passed: BoolArray, seeds: int = 200) -> dict[str, Array]:
    """Shares solved, by policy: [budgets]; BUDGETS are the columns."""
    exact = {"uniform": uniform, "oracle": oracle, "best_blind": best_blind}
    drawn = {"pilot": pilot, "sequential": sequential, "oracle_sequential": oracle_sequential}
    found = {name: np.array([policy(passed, n) for n in BUDGETS]) for name, policy in exact.items()}
    for name, policy in drawn.items():
        rows = [[policy(passed, n, np.random.default_rng([seed, n])) for n in BUDGETS] for seed in range(seeds)]
        found[name] = np.mean(rows, axis=0)
    return found


class Voted(NamedTuple):
    """What a voting rule leads to, means over problems and orders."""

    correct: float
    votes: float


Stop = Callable[[Array, int], bool]  # counts of answers, votes so far -> enough?


def leading(counts: Array) -> tuple[int, int]:
    """Votes of the leading answer and of the second."""
    top = np.sort(counts)[::-1]
    return int(top[0]), int(top[1]) if len(top) > 1 else 0


def lead_posterior(lead: float, second: float) -> float:
    """P(the leading answer is more frequent than the second one) under a uniform prior on their ratio."""
    return float(1.0 - betainc(lead + 1.0, second + 1.0, 0.5))


def stop_by_posterior(threshold: float) -> Stop:
    """Stop when the leading answer leads with this probability."""
    return lambda counts, n: lead_posterior(*leading(counts)) >= threshold


def stop_by_ratio(threshold: float) -> Stop:
    """OptPO: stop when the odds of the leading answer against the second reach threshold / (1 - threshold)."""
    step, needed = np.log(RIGHT / (1 - RIGHT)), np.log(threshold / (1 - threshold))
    return lambda counts, n: (leading(counts)[0] - leading(counts)[1]) * step >= needed


def stop_by_saturation(least: float) -> Stop:
    """TTSPM: stop when one more sample gains less than `least`; p is the leading share, with one vote against it."""

    def stop(counts: Array, n: int) -> bool:
        p = leading(counts)[0] / (n + 1)
        return p * (1 - p) ** n < least

    return stop


def never(counts: Array, n: int) -> bool:
    """Take all votes there are."""
    return False


def vote(votes: Votes, stop: Stop, most: int, rng: np.random.Generator) -> Voted:
    """Buy at most `most` votes of each problem in a random order until the rule stops; of equal answers the first."""
    right = used = 0
    for answer, correct in zip(votes.answer, votes.correct, strict=True):
        order = rng.permutation(len(answer))[:most]
        counts, n = np.zeros(answer.max() + 1), 0
        for i in order:
            counts[answer[i]] += 1
            n += 1
            if stop(counts, n):
                break
        seen = order[:n]
        best = max(answer[seen], key=lambda a: counts[a])
        right += bool(correct[seen][answer[seen] == best][0])
        used += n
    return Voted(right / len(votes.answer), used / len(votes.answer))


def best_of_majority(votes: Votes, most: int, share: float, rng: np.random.Generator) -> Voted:
    """The best scored sample among answers with at least a share of `most` votes."""
    right = 0
    for answer, correct, score in zip(votes.answer, votes.correct, votes.score, strict=True):
        seen = rng.permutation(len(answer))[:most]
        counts = np.bincount(answer[seen])
        frequent = counts[answer[seen]] >= min(share * most, counts.max())
        kept = seen[frequent]
        right += bool(correct[kept[np.argmax(score[kept])]])
    return Voted(right / len(votes.answer), float(most))


def vote_table(votes: Votes, seeds: int = 20) -> dict[str, Voted]:
    """Every voting rule, means over orders."""
    most = votes.answer.shape[1]
    stops: dict[str, tuple[Stop, int]] = {f"majority {n}": (never, n) for n in (1, 2, 4, most)}
    for x in (0.8, 0.9, 0.95):
        stops[f"posterior {x}"] = stop_by_posterior(x), most
        stops[f"optpo {x}"] = stop_by_ratio(x), most
    stops["saturation 0.05"] = stop_by_saturation(0.05), most
    rules: dict[str, Callable[[np.random.Generator], Voted]] = {
        name: partial(vote, votes, stop, n) for name, (stop, n) in stops.items()
    }
    rules[f"best_of_majority {most}"] = partial(best_of_majority, votes, most, 0.25)
    found = {}
    for name, rule in rules.items():
        rows = [rule(np.random.default_rng([seed, 7])) for seed in range(seeds)]
        found[name] = Voted(*(float(x) for x in np.mean(rows, axis=0)))
    return found
