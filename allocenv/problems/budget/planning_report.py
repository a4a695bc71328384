"""How is a plan of rollouts told? Terminal, CSV and JSON."""

import csv
import io
import json
import math
from typing import Any

import numpy as np
from rich.table import Table

from allocenv.problems.budget.history_plan import LEVELS, Expected, Plan

EDGES = np.array([0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0])  # of success rates
SHOWN = 5  # prompts of a list in the terminal


def summary_table(plan: Plan, title: str) -> Table:
    """What the plan and equal groups promise."""
    table = Table("", title=title)
    for column in ("value a prompt", "effective prompts", "effective rollouts", "rollouts", "largest group", "tokens"):
        table.add_column(column, justify="right")
    even = -(-plan.uniform.rollouts // len(plan.ids))
    for name, e, most in (("equal groups", plan.uniform, even), ("plan", plan.expected, int(plan.rollouts.max()))):
        table.add_row(
            name, f"{e.value:.5f}", f"{e.effective_prompts:.1%}", f"{e.effective_rollouts:.1%}",
            f"{e.rollouts:,}", f"{most}", "not told" if math.isnan(e.tokens) else f"{e.tokens:,.0f}",
        )  # fmt: skip
    return table


def rates_table(plan: Plan) -> Table:
    """Where the rollouts go, by expected success rate."""
    table = Table("expected success rate", title="Where the rollouts go")
    for column in ("prompts", "rollouts", "a prompt", "share", "effective prompts"):
        table.add_column(column, justify="right")
    which = np.clip(np.digitize(plan.rate, EDGES) - 1, 0, len(EDGES) - 2)
    for k in range(len(EDGES) - 1):
        mine = which == k
        if mine.any():
            given = plan.rollouts[mine]
            table.add_row(
                f"{EDGES[k]:.2f} to {EDGES[k + 1]:.2f}", f"{mine.sum():,}", f"{given.sum():,}", f"{given.mean():.1f}",
                f"{given.sum() / max(int(plan.rollouts.sum()), 1):.1%}", f"{plan.effective[mine].mean():.1%}",
            )  # fmt: skip
    return table


def verdicts(plan: Plan) -> list[str]:
    """Prompts that are probably hopeless or solved, and the gain, in sentences."""
    lines = []
    for which, what in ((plan.hopeless, "hopeless (rate below 0.05"), (plan.solved, "solved (rate above 0.95")):
        names = [plan.ids[i] for i in np.flatnonzero(which)]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        some = f": {', '.join(names[:SHOWN])}{more}" if names else ""
        lines.append(f"Probably {what} with 90 % probability): {len(names)}{some}")
    return [*lines, f"Gain over equal groups: {gain_text(plan)}."]


def gain(plan: Plan) -> dict[str, float]:
    """Plan against equal groups: relative value, differences of shares."""
    e, u = plan.expected, plan.uniform
    return {
        "value": e.value / u.value - 1 if u.value > 0 else 0.0,
        "effective_prompts": e.effective_prompts - u.effective_prompts,
        "effective_rollouts": e.effective_rollouts - u.effective_rollouts,
    }


def gain_text(plan: Plan) -> str:
    """The gain in words."""
    g = gain(plan)
    return (
        f"{g['value']:+.1%} expected value, {100 * g['effective_rollouts']:+.1f} points of effective rollouts, "
        f"{100 * g['effective_prompts']:+.1f} points of effective prompts"
    )


def plan_csv(plan: Plan) -> str:
    """One line a prompt, in the order of the history."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_row(plan, 0)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(plan, i) for i in range(len(plan.ids)))
    return text.getvalue()


def plan_json(plan: Plan, settings: dict[str, Any]) -> str:
    """Everything."""
    document = {
        "allocenv_budget_plan": 1,
        **settings,
        "credible_interval": list(LEVELS),
        "expected": _plain(plan.expected),
        "equal_groups": _plain(plan.uniform),
        "gain": gain(plan),
        "hopeless": [plan.ids[i] for i in np.flatnonzero(plan.hopeless)],
        "solved": [plan.ids[i] for i in np.flatnonzero(plan.solved)],
        "prompts": [_row(plan, i) for i in range(len(plan.ids))],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _row(plan: Plan, i: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "prompt_id": plan.ids[i],
        "rollouts": int(plan.rollouts[i]),
        "expected_rate": round(float(plan.rate[i]), 6),
        "rate_low": round(float(plan.low[i]), 6),
        "rate_high": round(float(plan.high[i]), 6),
        "effective": round(float(plan.effective[i]), 6),
        "verdict": "hopeless" if plan.hopeless[i] else "solved" if plan.solved[i] else "open",
        "seen_visits": int(plan.visits[i]),
        "seen_correct": int(plan.correct[i]),
        "seen_rollouts": int(plan.tried[i]),
    }
    if plan.tokens is not None:
        row["tokens_a_rollout"] = round(float(plan.tokens[i]), 2)
    return row


def _plain(e: Expected) -> dict[str, Any]:
    return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in e._asdict().items()}
