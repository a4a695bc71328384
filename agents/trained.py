"""A run folder's best checkpoint, or shipped weights, as a solver or as a policy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from stable_baselines3.common.logger import Logger

from allocenv.agents import agent_class
from allocenv.agents.agent import Agent
from allocenv.agents.config import RunConfig
from allocenv.agents.games import GamePPOAgent
from allocenv.agents.pretrained import stored_names
from allocenv.agents.randomness import undisturbed
from allocenv.agents.run_files import run_folder
from allocenv.agents.train import load_agent
from allocenv.agents.two_stage.agent import TwoStageAgent
from allocenv.agents.two_stage.solver import TwoStageSolver
from allocenv.core.policy import Policy
from allocenv.core.problem import Problem
from allocenv.core.solver import Solver
from allocenv.evaluate.contest import PolicySolver
from allocenv.evaluate.honesty import HiddenFuture


def learnt_solver(run: str, problem_name: str, problem: Problem) -> tuple[str, Solver]:
    """A run folder's best checkpoint as a solver, and the name it goes by.

    Raises:
        ValueError: no run folder, or the run of another problem.
    """
    name, agent = _loaded(run, problem_name, problem)
    if isinstance(agent, TwoStageAgent) and not isinstance(problem, HiddenFuture):  # the best of many is hindsight
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


def shipped_solver(card: Mapping[str, Any], file: Path, problem: Problem) -> Solver:
    """The agent of a card with the weights in the file. Raises ConfigError where the card's config is not one."""
    config = RunConfig.from_dict(card["config"], str(file.with_suffix(".json"))).for_acting()
    torch.set_num_threads(1)  # more are slower on shared cores, and round otherwise
    with undisturbed():
        agent: Agent = agent_class(config.agent)(config, problem, Logger(None, []))
    stored = load_file(file)
    agent.load_weights({name: stored[first] for name, first in stored_names(agent.weights()).items()})
    return PolicySolver(lambda rng: agent.policy())


def _loaded(run: str, problem_name: str, problem: Problem) -> tuple[str, Agent]:
    folder = run_folder(run)
    found = RunConfig.load(folder / "config.toml").problem
    if found != problem_name:
        raise ValueError(f"{folder}/config.toml: problem: found {found!r}, expected {problem_name!r}.")
    torch.set_num_threads(1)  # as on a cluster: more add up in another order
    agent = load_agent(folder, problem=problem)
    return agent.config.label(folder), agent
