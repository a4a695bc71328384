"""How fast a config trains here and on a cluster, measured by turns so that a busy machine troubles both."""

import time
from collections.abc import Callable
from typing import NamedTuple

from stable_baselines3.common.logger import Logger

from allocenv.agents.config import RunConfig
from allocenv.agents.engines.training import Engine, build_locally, builder


class Throughput(NamedTuple):
    """Steps a second of a core: of the local engine, on Ray, and the second as a share of the first."""

    local: float
    ray: float
    ratio: float


def training_throughput(config: RunConfig, units: int = 3, env_runners: int = 1) -> Throughput:
    """Rollouts and their updates, by CPU seconds of all processes that take part, `units` of each engine by turns.

    The update runs in this process on both engines; on Ray the rollout does not. Imitation is left out.
    """
    problem, quiet = config.make_problem(), Logger(None, [])
    local = build_locally(config, problem, quiet)
    with builder(Engine("ray", None, env_runners), config) as build:
        remote = build(config, problem, quiet)
        spent = [0.0, 0.0]
        for turn in range(units + 1):
            for i, agent in enumerate((local, remote)):
                others = getattr(agent, "cpu_seconds", lambda: 0.0)
                used = _cpu_of(agent.phases[-1].unit, others)
                spent[i] += used if turn else 0.0  # the first turn compiles and connects
        remote.close()
    local.close()
    steps = units * config.agent_params.n_steps * config.train.n_envs
    return Throughput(steps / spent[0], steps / spent[1], spent[0] / spent[1])


def _cpu_of(unit: Callable[[], None], others: Callable[[], float]) -> float:
    """CPU seconds of this process and of what `others` counts."""
    before = time.process_time() + others()
    unit()
    return time.process_time() + others() - before
