"""What `allocenv list budget` names beside solvers and instance sets: rules of allocation, and values."""

from allocenv.problems.budget.rules import RULES

CATALOGUE = {
    "Rules of `allocenv evaluate budget`": {name: f"{line.what} ({line.source})" for name, line in RULES.items()},
    "Values of `Allocator` and `allocenv plan budget`": {
        "grpo, infogain": "p (1-p)^2 times the probability that a group has both outcomes, as published (2509.25849)",
        "real_run": "p (1-p) times it: nearest to the gains of the real run",
        "gradient": "the probability that a group has both outcomes",
        "hit": "the probability that some rollout is correct (HORA, 2605.07114); for test time",
        "variance": "less variance of the gradient (VIP, 2602.01601)",
    },
}
