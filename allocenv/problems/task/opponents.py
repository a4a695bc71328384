"""Every opponent by name: what it is, where it comes from, and how it plays a list of missions."""

import time
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import Array
from allocenv.core.batch import Batch
from allocenv.core.policy import Policy
from allocenv.problems.task.bound import upper_bound
from allocenv.problems.task.dynamics import State
from allocenv.problems.task.heuristics import ROUTING_RULES, RULES, Rule, TeamPolicy, tune_patience
from allocenv.problems.task.instance_sets import instance_set
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.planning import base_of
from allocenv.problems.task.problem import Task
from allocenv.problems.task.rounds.policy import ALLOCATORS, RoundPolicy
from allocenv.problems.task.rules import EVENTS
from allocenv.problems.task.search.lookahead import Lookahead
from allocenv.problems.task.search.whole_episode import VARIATIONS, search
from allocenv.problems.task.teams.numbers import shipped
from allocenv.problems.task.teams.policy import LearntPolicy


class Played(NamedTuple):
    """What came of n missions."""

    objectives: Array  # [n]  minimised: minus what is earned, or the makespan
    seconds: float  # CPU time of the opponent and the environment
    decisions: int  # rounds that were decided
    illegal: int


class Opponent(NamedTuple):
    """One line of the registry. Names of those that know the tasks to come begin with `oracle_`."""

    what: str
    play: Callable[[Task, Sequence[Mission], int, float], Played]  # problem, missions, seed, seconds of a search
    quick: bool = False  # thousands of missions in a minute


def play_policy(problem: Task, missions: Sequence[Mission], policy: Policy, decisions: Callable[[], int]) -> Played:
    """All missions at once, to their ends; the policy says how many rounds it decided, else (negative) every moment
    counts as one."""
    held = problem.holding(missions)
    batch = Batch(held, len(missions))
    batch.load(missions)
    model: State = batch.state.model
    began, moments = time.process_time(), 0
    while True:
        live = ~(model.over | (model.steps_left <= 0))
        if not live.any():
            break
        actions = policy(batch)
        moments += int((live & (actions == held.stop).all(axis=1)).sum())
        batch.step(actions)
    decided = decisions()
    spent = time.process_time() - began
    return Played(batch.costs(), spent, decided if decided >= 0 else moments, int(model.n_illegal.sum()))


def _rule(rule: Rule, problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    return play_policy(problem, missions, TeamPolicy(rule, np.random.default_rng(seed)), lambda: -1)


@cache
def tuned_patience(problem: Task) -> Rule:
    """The patience that does best on the training missions of the preset (in paper mode: of its fixed mode)."""
    generated = Task(problem.preset)
    return tune_patience(generated, [mission for _, mission in instance_set(generated, "training")])


def _patience(problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    return _rule(tuned_patience(Task(problem.preset)), problem, missions, seed, seconds)


def _learnt(problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    return play_policy(problem, missions, LearntPolicy(shipped(problem.preset)), lambda: -1)


def _rounds(name: str, problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    policy = RoundPolicy(ALLOCATORS[name], np.random.default_rng(seed))
    return play_policy(problem, missions, policy, lambda: policy.decided)


def _lookahead(known: bool, problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    policy = Lookahead(base_of(problem), np.random.default_rng(seed), known)
    return play_policy(problem, missions, policy, lambda: policy.decided)


def _searching(name: str, problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    began = time.process_time()
    found = [
        search(problem.holding([mission]), mission, name, seconds, seed * 1_000_003 + i)
        for i, mission in enumerate(missions)
    ]
    return Played(np.array([one.objective for one in found]), time.process_time() - began, len(missions), 0)


def _bound(problem: Task, missions: Sequence[Mission], seed: int, seconds: float) -> Played:
    began = time.process_time()
    bounds = np.array([-upper_bound(problem, mission) for mission in missions])
    return Played(bounds, time.process_time() - began, len(missions), 0)


_SOURCE = {
    "random_teams": "random teams that cover and pay",
    "greedy": "tasks in order, abilities per cost, pruned (Chvatal 1979)",
    "greedy_density": "the same, by value per cost",
    "regret": "the same, by what the next best team would cost more (Martello & Toth 1990)",
    "rate": "value less cost by the time of travel",
    "rate_margin": "the same, of tasks that leave a tenth of their value",
    "patience": "waits for a team within 30 % of the fleet's cover cost",
    "earliest_start": "next the task that can start first",
    "earliest_start_waiting": "the same, waiting counts",
    "round_auction": "sequential single-item auctions each round (Koenig et al. 2006)",
    "round_hungarian": "the Hungarian method again and again each round (Kuhn 1955)",
    "round_annealing": "annealing each round, 200,000 moves (Kirkpatrick et al. 1983)",
    "round_genetic_small": "genetic algorithm each round, 100 x 300",
    "round_genetic": "genetic algorithm each round, 200 x 1000",
    "round_cp_sat": "CP-SAT each round, at most 2 s (OR-tools)",
    "oracle_search": "cross-entropy search over the whole episode, arrivals known (Rubinstein 1999)",
    "oracle_genetic": "the same numbers by a genetic algorithm",
    "oracle_annealing": "the same numbers by annealing chains",
}
TEAM_OPPONENTS: dict[str, Opponent] = {
    **{name: Opponent(_SOURCE[name], partial(_rule, rule), True) for name, rule in RULES.items()},
    "tuned_patience": Opponent("patience, chosen on the training missions", _patience, True),
    "learnt": Opponent("ours: when to wait and whom to keep free, learnt on generated missions", _learnt, True),
    **{
        name: Opponent(_SOURCE[name], partial(_rounds, name), name in ("round_auction", "round_hungarian"))
        for name in ALLOCATORS
    },
    "lookahead": Opponent(
        "each plan of a round followed by a rule (Bertsekas et al. 1997)", partial(_lookahead, False)
    ),
    "oracle_lookahead": Opponent("the same, tasks to come known", partial(_lookahead, True)),
    **{name: Opponent(_SOURCE[name], partial(_searching, name)) for name in VARIATIONS},
    "upper_bound": Opponent("every task at its cover cost with all free: nobody can earn more", _bound, True),
}
ROUTE_OPPONENTS = {name: Opponent(_SOURCE[name], partial(_rule, rule), True) for name, rule in ROUTING_RULES.items()}


def opponents_of(problem: Task) -> dict[str, Opponent]:
    """Those that fit the problem. Paper mode: lookahead needs to know its list, for that cannot be drawn anew."""
    if problem.rules.single:
        return dict(ROUTE_OPPONENTS)
    fitting: dict[str, Any] = dict(TEAM_OPPONENTS)
    if problem.rules.stepping != EVENTS:
        del fitting["lookahead"]
    return fitting


def opponent_names(text: str, problem: Task) -> tuple[str, ...]:
    """Names joined by commas, `quick` or `all`. Raises ValueError for an unknown one, or none."""
    known = opponents_of(problem)
    if text.strip() in ("quick", "all"):
        return tuple(name for name, one in known.items() if one.quick or text.strip() == "all")
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"--against: expected names among {', '.join(known)}; got {name!r}.{hint}")
    if not names:
        raise ValueError(f"--against: expected names among {', '.join(known)}, quick or all; got none.")
    return names
