"""Trained agents as contenders and as members of the planner's portfolio."""

import torch

from allocenv.agents.agent import Agent
from allocenv.agents.config import RunConfig
from allocenv.agents.games import GamePPOAgent
from allocenv.agents.pretrained import cards, two_stage_network
from allocenv.agents.run_files import run_folder
from allocenv.agents.train import load_agent
from allocenv.agents.two_stage.agent import TwoStageAgent
from allocenv.agents.two_stage.solver import GuidedSolver, TwoStageSolver
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.core.solver import Entry, Solver
from allocenv.evaluate.contest import PolicySolver


def shipped_solvers(problem_name: str, problem: Problem) -> dict[str, Entry]:
    """The shipped two-stage policy: one greedy trajectory, the best of many, and as the guide of the search."""
    if f"{problem_name}_two_stage" not in cards():
        return {}
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


def learnt_solver(run: str, problem_name: str, problem: Problem) -> tuple[str, Solver]:
    """A run folder's best checkpoint as a solver, and the name it goes by.

    Raises:
        ValueError: no run folder, or the run of another problem.
    """
    name, agent = _loaded(run, problem_name, problem)
    if isinstance(agent, TwoStageAgent):
        return name, TwoStageSolver(agent.network.eval(), name=name)
    return name, PolicySolver(lambda rng: agent.policy())  # a fresh one each time: what samples begins anew


def learnt_policy(run: str, problem_name: str, problem: Problem) -> tuple[str, Policy]:
    """The same as a policy, which does not choose among trials.

    Raises:
        ValueError: no run folder, the run of another problem, or the player of a game.
    """
    name, agent = _loaded(run, problem_name, problem)
    if isinstance(agent, GamePPOAgent):
        raise ValueError(f"--agent: {run}: expected a run on {problem_name} itself, got one on a game beside it.")
    policy: Policy = agent.policy()
    return name, policy


def _loaded(run: str, problem_name: str, problem: Problem) -> tuple[str, Agent]:
    folder = run_folder(run)
    found = RunConfig.load(folder / "config.toml").problem
    if found != problem_name:
        raise ValueError(f"{folder}/config.toml: problem: found {found!r}, expected {problem_name!r}.")
    torch.set_num_threads(1)
    agent = load_agent(folder, problem=problem)
    return f"{agent.config.agent}:{folder.name}", agent
