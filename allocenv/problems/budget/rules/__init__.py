"""The rules of the field under one protocol, each with its source."""

from collections.abc import Callable
from typing import NamedTuple, NoReturn

from allocenv.problems.budget.estimators import DiscountedBeta, ItemResponse, LastRewards
from allocenv.problems.budget.rules.even import DapoFilter, Uniform
from allocenv.problems.budget.rules.expected_value import ExpectedValue, KnownRates, ToldTwice
from allocenv.problems.budget.rules.published_knapsack import KnapsackRL
from allocenv.problems.budget.rules.rounds import PilotCommit, ReinforceAda
from allocenv.problems.budget.rules.rule import Played as Played
from allocenv.problems.budget.rules.rule import Rates as Rates
from allocenv.problems.budget.rules.rule import Rule as Rule
from allocenv.problems.budget.rules.rule import play as play
from allocenv.problems.budget.rules.shares import Cero, Gvm
from allocenv.problems.budget.values import VALUES

INFOGAIN = VALUES["infogain"]


class Line(NamedTuple):
    """One rule: its maker for P prompts and the true rates (oracles only), what it does, its source."""

    make: Callable[[int, Rates], Rule]
    what: str
    source: str


RULES = {
    "uniform": Line(lambda n, rates: Uniform(), "the same group for every prompt", "GRPO, 2402.03300"),
    "dapo": Line(
        lambda n, rates: DapoFilter(), "the same group for every prompt; those without a gradient dropped", "2503.14476"
    ),
    "knapsack_rl": Line(
        lambda n, rates: KnapsackRL(n), "knapsack over the latest 16 rewards, as published", "Knapsack RL, 2509.25849"
    ),
    "knapsack_exact": Line(
        lambda n, rates: ExpectedValue(LastRewards(n), INFOGAIN),
        "exact knapsack over the latest 16 rewards, without fallback",
        "value: 2509.25849",
    ),
    "gvm": Line(
        lambda n, rates: Gvm(n),
        "rollouts in proportion to 1 / sqrt(p + a/p) of accepted prompts",
        "GVM-RAFT, 2505.02391",
    ),
    "reinforce_ada_positive": Line(
        lambda n, rates: ReinforceAda(balanced=False), "rounds until 2 are correct", "Reinforce-Ada, 2510.04996"
    ),
    "reinforce_ada_balance": Line(
        lambda n, rates: ReinforceAda(balanced=True),
        "rounds until 2 are correct and 2 wrong",
        "Reinforce-Ada, 2510.04996",
    ),
    "vip": Line(
        lambda n, rates: ExpectedValue(DiscountedBeta(n), VALUES["variance"]),
        "least variance of the gradient; Beta posteriors instead of a Gaussian process",
        "VIP, 2602.01601",
    ),
    "hora": Line(
        lambda n, rates: ExpectedValue(DiscountedBeta(n), VALUES["hit"], base=0.5),
        "half an equal group for all, the rest for the most first successes",
        "HORA, 2605.07114",
    ),
    "pilot_commit": Line(
        lambda n, rates: PilotCommit(), "a pilot; then skip, defer or commit", "Pilot-Commit, 2605.26606"
    ),
    "cero": Line(lambda n, rates: Cero(n), "logarithmic utility of rollouts over epochs", "like CERO, 2606.05606"),
    "posterior": Line(
        lambda n, rates: ExpectedValue(DiscountedBeta(n), INFOGAIN),
        "exact knapsack under a discounted Beta for each prompt",
        "ours; value: 2509.25849",
    ),
    "rasch": Line(
        lambda n, rates: ExpectedValue(ItemResponse(n), INFOGAIN),
        "exact knapsack under an item-response model with one common ability",
        "ours; value: 2509.25849",
    ),
    "oracle_rasch_twice": Line(
        lambda n, rates: ToldTwice(ItemResponse(n), INFOGAIN, rates),
        "`rasch`, told the outcomes of twice its rollouts",
        "ours; value: 2509.25849",
    ),
    "oracle_exact": Line(
        lambda n, rates: KnownRates(rates, INFOGAIN), "exact knapsack at the true rates", "value: 2509.25849"
    ),
}


def make_rule(name: str, n_prompts: int, rates: Rates | None = None) -> Rule:
    """The rule of this name for prompts 0..n_prompts-1.

    Args:
        name: one of RULES.
        n_prompts: P.
        rates: the true rates of some prompts, which only rules named `oracle_` ask for.

    Raises:
        ValueError: an unknown name, or an oracle without rates.
    """
    if name not in RULES:
        raise ValueError(f"Expected a rule among {', '.join(RULES)}, got {name!r}.")
    if rates is None:
        if name.startswith("oracle_"):
            raise ValueError(f"Expected the true rates for the rule `{name}`, got none.")
        rates = _unknown
    return RULES[name].make(n_prompts, rates)


def _unknown(prompts: object) -> NoReturn:
    raise RuntimeError("Expected a rule that does without the true rates.")
