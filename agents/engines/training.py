"""Which engine trains: what builds a config's agent, here or on a cluster."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from stable_baselines3.common.logger import Logger

from allocenv.agents import agent_class
from allocenv.agents.agent import Agent
from allocenv.agents.config import RunConfig
from allocenv.agents.engines import expect_engine
from allocenv.core.problem import Problem

Build = Callable[[RunConfig, Problem, Logger], Agent]


@dataclass(frozen=True)
class Engine:
    """The options of `allocenv train` about where it runs."""

    name: str = "local"
    address: str | None = None
    env_runners: int = 1
    learners: int = 0  # 0: the update runs in this process

    def __post_init__(self) -> None:
        expect_engine(self.name, self.address)


def build_locally(config: RunConfig, problem: Problem, logger: Logger) -> Agent:
    """The config's agent, all of it in this process."""
    agent: Agent = agent_class(config.agent)(config, problem, logger)
    return agent


@contextmanager
def builder(engine: Engine, config: RunConfig) -> Iterator[Build]:
    """What builds the agent; the connection to the cluster lasts as long as the context.

    Raises ValueError: the agent or its sizes do not suit the engine, or no cluster answers.
    """
    if engine.name == "local":
        yield build_locally
        return
    from allocenv.agents.engines.cluster import connected
    from allocenv.agents.engines.rllib.agent import RayAgent, expect_shares

    expect_shares(config, engine.env_runners, engine.learners)
    wanted = engine.env_runners + engine.learners
    with connected(engine.address, max(wanted, os.cpu_count() or 1)) as ray:
        if (there := int(ray.cluster_resources().get("CPU", 0))) < wanted:
            print(f"The cluster has {there} CPUs; this waits until it has {wanted}.", file=sys.stderr)
        yield partial(RayAgent, runners=engine.env_runners, learners=engine.learners)
