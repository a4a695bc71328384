"""Shipped weights as contenders and as members of the planner's portfolio.

Torch and SB3 take seconds to load: they are imported only where they are needed.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from allocenv.agents.pretrained import FOLDER, cards
from allocenv.core.problem import Instance, Problem
from allocenv.core.solver import Entry, Solution, Solver, never


def shipped_solvers(problem_name: str, problem: Problem) -> dict[str, Entry]:
    """The two-stage policy and its kin, and every other agent whose weights are shipped for such a problem."""
    shipped = cards()
    searching = shipped.get(f"{problem_name}_two_stage", {})
    found = _two_stage(problem_name, problem) if "widths" in searching else {}
    for name, card in shipped.items():
        if card.get("problem") == problem_name and _is_offered(card, problem):
            found[card["agent"]] = Entry(ShippedAgent(name, card, problem), "none")
    return found


class ShippedAgent:
    """An agent with shipped weights as a solver; it is built when it is first asked."""

    def __init__(self, name: str, card: Mapping[str, Any], problem: Problem) -> None:
        self.name, self.card, self.problem = name, card, problem

    @cached_property
    def solver(self) -> Solver:
        from allocenv.agents.trained import shipped_solver

        return shipped_solver(self.card, FOLDER / f"{self.name}.safetensors", self.problem)

    def __call__(
        self,
        problem: Problem,
        instance: Instance,
        seconds: float,
        rng: np.random.Generator,
        start: Solution | None = None,
        stop: Callable[[], bool] = never,
    ) -> Solution:
        return self.solver(problem, instance, seconds, rng, start, stop)


def _is_offered(card: Mapping[str, Any], problem: Problem) -> bool:
    """Whether the weights are for problems with these parameters, and fit what this one shows."""
    offer = card.get("offer")
    if offer is None:
        return False
    sizes = problem.sizes._asdict()
    return all(getattr(problem, name) == value for name, value in offer["params"].items()) and all(
        sizes[name] == value for name, value in offer["sizes"].items()
    )


def _two_stage(problem_name: str, problem: Problem) -> dict[str, Entry]:
    """One greedy trajectory, the best of many, and as the guide of the search."""
    import torch

    from allocenv.agents.pretrained import two_stage_network
    from allocenv.agents.two_stage.solver import GuidedSolver, TwoStageSolver

    torch.set_num_threads(1)  # two threads on shared cores are many times slower
    network = two_stage_network(problem_name)
    found = {
        "two_stage_greedy": Entry(TwoStageSolver(network, 1, "two_stage_greedy"), "quick"),
        "two_stage": Entry(TwoStageSolver(network), "anytime"),
    }
    searches = [entry.solver for entry in problem.solvers.values() if entry.part == "anytime"]
    if searches:
        found["two_stage_guided"] = Entry(GuidedSolver(network, searches[0]), "none")
    return found
