"""Which constants make the simulator like the real run? Fitted to half of its prompts and time, judged on the rest.

    python -m allocenv.problems.budget.learner.fitting

prints the constants of `presets.py` and the table of the other half. The constants are fitted by the method of
simulated moments: the figures of `statistics.py` of made-up learners under equal groups of 8, each weighed by
its sampling error. Three choices of form were made with all visits in view: that sharpening acts on positive
logits only, that slips exist, and about how long the early pace lasts (where the search begins).

Half of the prompts have 27 to 105 in a bin of gains, so figures scatter: `perfect` tells how often a run that the
simulator itself made up would be found within the limits.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from allocenv.core.arrays import Array, IntArray
from allocenv.problems.budget.learner.dynamics import Learner, draw_pupil, empty_learners, enroll, learn_evenly
from allocenv.problems.budget.learner.presets import REAL_RUN, Kind, Nature
from allocenv.problems.budget.learner.statistics import LAGS, figures, fitted_beta
from allocenv.problems.budget.real_run import ABSENT, GROUP, RealRun, read_real_run, tuning_half

PROMPTS, BATCH = 1209, 128  # of the real run
FIRST_HALF, WHOLE = 23, 46  # visits
EARLY_GAINS = slice(0, 5), slice(18, 23)  # visits between which gains are taken, in the half of the time
GAINS = slice(5, 10), slice(41, 46)  # in all of it
KIND = Kind(0.0, 60.0, False)  # what one prompt learns helps all, as the run shows; under equal groups the noise
# of the gradient says nothing
FITTED = (
    "first_wins",
    "first_losses",
    "pace",
    "early",
    "sharpening",
    "slips",
    "slope_spread",
    "early_steps",
    "slip_steps",
)
EVALUATIONS = 350
LEARNERS = 8  # made-up ones by evaluation
RUNS = 200  # made-up real runs, for shares with a standard error of .035 at most
ALL = "all"
STEP = 0.15  # of the first simplex, in logarithms

# Figures of all 1,209 prompts of the real run, a third of which no file here holds (facts, sections 3.1 and 6)
FULL_TRANSITIONS = (0.213, 0.601, 0.825, 0.928, 0.949, 0.915, 0.827, 0.611, 0.268)
FULL_GAINS = (0.008, 0.038, 0.137, 0.165, 0.235, 0.205, 0.131, 0.063, 0.024)
FULL_BETA, FULL_LAGS = (0.30, 0.34), (0.915, 0.909, 0.895, 0.853)

# Sampling errors of the figures of half the prompts (bootstrap over prompts)
ERROR_BETA, ERROR_LAG, ERROR_LEVEL, ERROR_RISE, SPREAD_GAIN = 0.03, 0.006, 0.015, 0.006, 0.18


class Bar(NamedTuple):
    """One kind of figure on prompts and visits that were not fitted."""

    real: Array
    simulated: Array
    limit: float  # by how much they may differ

    @property
    def error(self) -> float:
        """The largest difference."""
        return float(np.nanmax(np.abs(self.real - self.simulated)))


def simulate(
    nature: Nature, visits: int, learners: int = LEARNERS, kind: Kind = KIND, seed: int = 0
) -> tuple[IntArray, Learner]:
    """Successes [learners x P, V] of 8 at each visit under equal groups, and the learners in the end."""
    s = empty_learners(learners, PROMPTS, BATCH)
    for b in range(learners):
        enroll(nature, s, b, draw_pupil(np.random.default_rng([seed, b]), PROMPTS, kind, nature))
    met = np.zeros((learners, PROMPTS), np.int32)
    out = np.full((learners, PROMPTS, visits), ABSENT, np.int32)
    passes = int(visits / 0.95) + 4  # 57 of 1,209 prompts are dropped in each pass
    learn_evenly(nature, s, GROUP, passes * (PROMPTS // BATCH), met, out, 0, learners)
    return out.reshape(-1, visits), s


def fit(correct: IntArray, start: Nature = REAL_RUN) -> Nature:
    """The constants under which made-up learners look like successes [P, V] of 8 over V visits."""
    visits = correct.shape[1]
    real, weights = _moments(correct), _weights(correct)

    def loss(x: Array) -> float:
        made, _ = simulate(_nature(x, start), visits)
        return float(np.nansum(((_moments(made) - real) * weights) ** 2))

    x0 = np.log([getattr(start, name) for name in FITTED])
    simplex = np.vstack([x0, x0 + STEP * np.eye(len(x0))])
    options = {"initial_simplex": simplex, "maxfev": EVALUATIONS}
    return _nature(minimize(loss, x0, method="Nelder-Mead", options=options).x, start)


def judge(correct: IntArray, nature: Nature = REAL_RUN, learners: int = 24) -> Mapping[str, Bar]:
    """How far the simulator is from successes [P, V] of 8 over at least 46 visits."""
    made, _ = simulate(nature, WHOLE, learners, seed=1)
    return compare(correct, made)


def compare(correct: IntArray, made: IntArray) -> Mapping[str, Bar]:
    """Figures of successes [P, V] of 8 beside those of made-up ones [Q, W], both over at least 46 visits."""
    real, made = correct[:, :WHOLE], made[:, :WHOLE]
    one = figures(real, *GAINS)
    late, late_made = (figures(x[:, FIRST_HALF:], *EARLY_GAINS) for x in (real, made))
    return {
        "transitions, visits 23 to 45": Bar(late.transitions, late_made.transitions, 0.03),
        "gain by bin, visits 23 to 45": Bar(late.gains, late_made.gains, 0.04),
    } | _over_all_visits(one.transitions, one.gains, _late_beta(real), one.lags, made)


def judge_full(nature: Nature = REAL_RUN, learners: int = 24) -> Mapping[str, Bar]:
    """How far the simulator is from the figures of the whole real run."""
    made, _ = simulate(nature, WHOLE, learners, seed=1)
    transitions, gains = np.array(FULL_TRANSITIONS), np.array(FULL_GAINS)
    return _over_all_visits(transitions, gains, np.array(FULL_BETA), np.array(FULL_LAGS), made)


def _over_all_visits(transitions: Array, gains: Array, beta: Array, lags: Array, made: IntArray) -> dict[str, Bar]:
    """Figures of a real run over 46 visits beside those of made-up successes [Q, V] of 8."""
    other = figures(made, *GAINS)
    return {
        "transitions, all visits": Bar(transitions, other.transitions, 0.03),
        "gain by bin": Bar(gains, other.gains, 0.04),
        "Beta of the last visits": Bar(beta, _late_beta(made), 0.05),
        "correlations at lags": Bar(lags, other.lags, 0.02),
    }


def perfect(prompts: int, nature: Nature = REAL_RUN, runs: int = RUNS, learners: int = 24) -> Mapping[str, float]:
    """How often a perfect simulator would be found within each limit, and within all of them at once, as shares.

    Real runs of at most 1,209 prompts are drawn from the simulator and judged by what it expects.
    """
    made, _ = simulate(nature, WHOLE, learners, seed=1)
    found = [compare(simulate(nature, WHOLE, 1, seed=2 + k)[0][:prompts], made) for k in range(runs)]
    held = {name: np.array([bars[name].error <= bars[name].limit for bars in found]) for name in found[0]}
    return {name: float(x.mean()) for name, x in held.items()} | {ALL: float(np.all([*held.values()], axis=0).mean())}


def report(run: RealRun, nature: Nature = REAL_RUN) -> str:
    """The judgement as text, on the prompts that were not fitted and on all there are."""
    lines = []
    for title, chosen in (("prompts not fitted", ~tuning_half(run)), ("all prompts", slice(None))):
        correct = run.correct[chosen]
        chance = perfect(len(correct), nature)
        lines.append(f"{title}; a perfect simulator would be within all limits in {chance[ALL]:.0%} of cases:")
        for name, bar in judge(correct, nature).items():
            often = f"a perfect one in {chance[name]:.0%} of cases"
            lines.append(f"  {name:30} within {bar.error:.3f} (bar {bar.limit:.2f}; {often})")
            for label, row in (("real", bar.real), ("made", bar.simulated)):
                lines.append(f"    {label}  " + " ".join(f"{x:6.3f}" for x in row))
    return "\n".join(lines)


def reference(nature: Nature) -> tuple[float, float]:
    """Mean signal and share of effective rollouts of learners under equal groups, over the run."""
    made, _ = simulate(nature, WHOLE)
    share = made[made != ABSENT] / GROUP
    return float(np.sqrt(share * (1 - share)).mean()), float(((share > 0) & (share < 1)).mean())


def _moments(correct: IntArray) -> Array:
    f = figures(correct, *EARLY_GAINS)
    known = np.array(LAGS) < correct.shape[1]
    rise = f.path[[5, 10, 15, -1]] - f.path[:3].mean()
    betas = [fitted_beta(correct[:, :3]), fitted_beta(correct[:, -3:])]
    return np.concatenate([f.transitions, f.gains, *betas, f.lags[known], f.path.mean(keepdims=True), rise])


def _weights(correct: IntArray) -> Array:
    """1 / sampling error of each of the moments."""
    f = figures(correct, *EARLY_GAINS)
    groups = np.bincount(correct[:, :-1][correct[:, :-1] != ABSENT], minlength=GROUP + 1)
    chance = f.transitions * (1 - f.transitions)
    known = sum(lag < correct.shape[1] for lag in LAGS)
    return 1 / np.concatenate(
        [
            np.sqrt(chance / groups),
            SPREAD_GAIN / np.sqrt(f.members),
            np.full(4, ERROR_BETA),
            np.full(known, ERROR_LAG),
            [ERROR_LEVEL],
            np.full(4, ERROR_RISE),
        ]
    )


def _late_beta(correct: IntArray) -> Array:
    return fitted_beta(correct[:, WHOLE - 3 : WHOLE])


def _nature(x: Array, start: Nature) -> Nature:
    return start._replace(**dict(zip(FITTED, np.exp(x).tolist(), strict=True)))


def main() -> None:
    """Fit, and print what `presets.py` holds."""
    run = read_real_run()
    nature = fit(run.correct[tuning_half(run)][:, :FIRST_HALF])
    signal, effective = reference(nature)
    print(f"REAL_RUN = {nature}\nREFERENCE_SIGNAL = {signal:.3f}\nREFERENCE_EFFECTIVE = {effective:.3f}")
    print(report(run, nature))


if __name__ == "__main__":
    main()
