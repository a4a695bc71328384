"""What the reasoning budget promises, bar by bar; `allocenv bench budget` measures it.

Speeds are wall time of one core, the best of some rounds. The replay is of the prompts that tuned nothing.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from allocenv.core.bench import Bar, Measured, Session
from allocenv.problems.budget.allocation import allocate
from allocenv.problems.budget.allocator import Allocator
from allocenv.problems.budget.evaluation import rates_of
from allocenv.problems.budget.learning_bars import BARS as LEARNING_BARS
from allocenv.problems.budget.replay import interval, replay
from allocenv.problems.budget.rules.published_knapsack import solve_as_published
from allocenv.problems.budget.values import VALUES, beta

INFOGAIN = VALUES["infogain"]
INSTANCES = 1000
ROUNDS = 30
GROUP = 8
OURS = ("posterior", "rasch")
PUBLISHED = "knapsack_rl"
TWICE = "oracle_rasch_twice"
SEEDS = 5


def exactness(session: Session) -> Measured:
    """Bar 1: against dynamic programming over all levels, and against the bound at unequal costs."""
    status, output = session.script(["tests/reference/budget_exactness.py", str(INSTANCES)])
    found = _figures(output)
    worst = max(found.get("equal", np.inf), found.get("unequal", np.inf))
    passed = status == 0 and worst <= 1e-9 and found.get("gap", np.inf) <= 1e-4
    figure = (
        f"{found.get('instances', 0):.0f} instances: equal costs within {found.get('equal', np.nan):.1e}, unequal "
        f"costs within {found.get('unequal', np.nan):.1e}; greedy by tokens within {found.get('gap', np.nan):.1e} of "
        "the LP bound at 256 to 1,024 prompts"
    )
    return Measured(passed, figure, found)


def speeds(session: Session) -> Measured:
    """Bar 2: the exact solver, the published dynamic programme, and a step of the allocator."""
    found = {f"allocate_{m}": _allocation_seconds(m) for m in (256, 512, 8192)}
    rates = np.clip(np.random.default_rng(0).beta(0.35, 0.7, 256), 1e-3, 1 - 1e-3)
    solve_as_published(rates[:4], 8)  # compiles
    found["published"] = min(_seconds(lambda: solve_as_published(rates, (GROUP - 2) * 256)) for _ in range(2))
    found["step"] = _step_seconds()
    faster = found["published"] / found["allocate_256"]
    passed = (
        found["allocate_512"] <= 0.2e-3 and found["allocate_8192"] <= 10e-3 and faster >= 1000 and found["step"] <= 1e-3
    )
    figure = (
        f"{found['allocate_512'] * 1e3:.3f} ms at M = 512, {found['allocate_8192'] * 1e3:.2f} ms at 8,192; "
        f"{found['allocate_256'] * 1e3:.3f} ms at 256, {faster:,.0f} times the published programme "
        f"({found['published'] * 1e3:.0f} ms); observe and allocate {found['step'] * 1e3:.2f} ms at 256"
    )
    return Measured(passed, figure, {**found, "faster": faster})


def _allocation_seconds(m: int) -> float:
    rng = np.random.default_rng(m)
    belief = beta(rng.gamma(0.7, 2.0, m) + 0.05, rng.gamma(0.9, 3.0, m) + 0.05)
    allocate(INFOGAIN, belief, GROUP * m)  # compiles
    return min(_seconds(lambda: allocate(INFOGAIN, belief, GROUP * m)) for _ in range(ROUNDS))


def _step_seconds(m: int = 256, pool: int = 1024) -> float:
    """Of `Allocator.allocate` and `observe` together, ids as text."""
    rng, best = np.random.default_rng(0), np.inf
    rates, allocator = rng.beta(0.35, 0.7, pool), Allocator(n_prompts=pool)
    for _ in range(ROUNDS):
        rows = rng.permutation(pool)[:m]
        ids = [f"prompt {row}" for row in rows]
        began = time.perf_counter()
        counts = allocator.allocate(ids, GROUP * m)
        took = time.perf_counter() - began
        correct = rng.binomial(counts, rates[rows])
        best = min(best, took + _seconds(lambda: allocator.observe(ids, correct, counts)))  # noqa: B023 (called at once)
    return best


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def real_run(session: Session) -> Measured:
    """Bar 3: the replay of the real run at 8 rollouts a prompt, on prompts that tuned nothing."""
    figures = replay(rates_of(None, "held-out"), (PUBLISHED, *OURS, TWICE), SEEDS)
    uniform = figures["uniform"]
    values: dict[str, Any] = {}
    passed, told = True, []
    for name in (*OURS, PUBLISHED):
        f = figures[name]
        gap, low, high = interval(100 * f.gap)
        rollouts, prompts, hard = f.rollouts.mean(), f.prompts.mean(), f.hard_solved.mean()
        values[name] = {"gap": gap, "low": low, "high": high, "rollouts": rollouts, "prompts": prompts, "hard": hard}
        if name in OURS:
            passed = passed and (
                gap >= 80
                and rollouts >= 0.75
                and prompts >= uniform.prompts.mean()
                and hard > uniform.hard_solved.mean()
            )
        told.append(
            f"{name} {gap:.1f} [{low:.1f}, {high:.1f}] % of the gap, effective rollouts {rollouts:.3f}, prompts "
            f"{prompts:.3f}, hard solved {hard:.1f}"
        )
    told.append(
        f"uniform {uniform.rollouts.mean():.3f}, {uniform.prompts.mean():.3f}, {uniform.hard_solved.mean():.1f}"
    )
    values[TWICE] = {"gap": 100 * float(figures[TWICE].gap.mean())}
    told.append(f"rasch told the outcomes of twice its rollouts {values[TWICE]['gap']:.1f} % of the gap")
    return Measured(passed, "; ".join(told), values)


def resume_and_errors(session: Session) -> Measured:
    """Bar 8: a trainer killed at any time goes on bit by bit; mistakes are one clear line and change nothing."""
    status, output = session.script(["tests/reference/budget_killed_trainer.py"])
    found = _figures(output)
    unclear = [name for name, call in MISTAKES.items() if not _refused(call)]
    passed = status == 0 and found.get("same") == 1 and found.get("kills", 0) >= 1 and not unclear
    figure = (
        f"killed {found.get('kills', 0):.0f} times, the state {'equal' if found.get('same') == 1 else 'NOT equal'} bit "
        f"by bit to that of a run without; {len(MISTAKES)} mistakes: "
        f"{'all refused in one line, nothing learnt' if not unclear else 'not refused: ' + ', '.join(unclear)}"
    )
    return Measured(passed, figure, {**found, "unclear": unclear})


MISTAKES: dict[str, Callable[[Allocator], object]] = {
    "unknown id": lambda a: a.observe(["never"], [1], [2]),
    "correct above rollouts": lambda a: a.observe(["a"], [3], [2]),
    "NaN correct": lambda a: a.observe(["a"], [float("nan")], [2]),
    "NaN rollouts": lambda a: a.observe(["a"], [1], [float("nan")]),
    "negative count": lambda a: a.observe(["a"], [-1], [2]),
    "total below M x N_low": lambda a: a.allocate(["a", "b", "c"], 5),
    "total above M x N_up": lambda a: a.allocate(["a", "b", "c"], 400),
    "NaN total": lambda a: a.allocate(["a"], float("nan")),
    "id twice": lambda a: a.allocate(["a", "a"], 8),
    "id of another kind": lambda a: a.allocate([1.5], 8),
    "NaN cost": lambda a: a.allocate(["a"], 100, costs=[float("nan")]),
    "state of another kind": lambda a: a.load_state_dict(Allocator(estimator="rasch").state_dict()),
}


def _refused(call: Callable[[Allocator], object]) -> bool:
    allocator = Allocator()
    allocator.allocate(["a", "b"], 8)
    before = allocator.state_dict()
    try:
        call(allocator)
    except ValueError as error:
        after = allocator.state_dict()
        return "\n" not in str(error) and all(np.array_equal(before[name], after[name]) for name in before)
    return False


def _figures(output: str) -> dict[str, float]:
    """Lines `name number`."""
    found = {}
    for line in output.splitlines():
        name, _, number = line.partition(" ")
        try:
            found[name] = float(number)
        except ValueError:
            continue
    return found


BARS = (
    Bar("1", "equal to the DP optimum within 1e-9 on 1,000 random instances; unequal costs within 1e-4 of the LP bound "
        "at M >= 256", exactness),
    Bar("2", "<= 0.2 ms at M = 512, <= 10 ms at 8,192 (B = 8 M); >= 1,000 x the published DP at 256; observe + "
        "allocate <= 1 ms at 256", speeds),
    Bar("3", "replay of the real run, 8 a prompt: >= 80 % of the uniform-oracle gap, effective rollouts >= 0.75, "
        "effective prompts not below uniform, more hard prompts solved (goal: >= 90 %)", real_run),
    *LEARNING_BARS,
    Bar("8", "a killed trainer resumes the allocator's state bit by bit; mistakes are clear errors", resume_and_errors),
)  # fmt: skip
