"""RLlib's PPO with this library's runners, module and learners: one iteration is one rollout and its update."""

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch, concat_samples
from ray.rllib.utils.metrics import LEARNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from torch import Tensor

from allocenv.agents.config import RunConfig
from allocenv.agents.engines.rllib.learner import FIGURES, RATE, PPOLearner
from allocenv.agents.engines.rllib.module import PolicyModule
from allocenv.agents.engines.rllib.runner import RolloutRunner

PATIENCE = 300.0  # seconds without any runner before a training gives up
PROBE = 1.0  # seconds an iteration waits to see whether a lost runner is back


def build_algorithm(run: RunConfig, step: int, runners: int, learners: int) -> "RolloutPPO":
    """Start runners and learners on the cluster; `learners` 0 updates in this process."""
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    with _core_silent():
        algorithm: RolloutPPO = algorithm_config(run, step, runners, learners).build_algo()
    return algorithm


@contextmanager
def _core_silent() -> Iterator[None]:
    """Ray's C++ core says on stderr that the config of a runner has to outlive it, which RLlib sees to."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def algorithm_config(run: RunConfig, step: int, runners: int, learners: int) -> PPOConfig:
    """RLlib's config of a run that goes on from `step`."""
    train, params, shares = run.train, run.agent_params, max(learners, 1)
    config = (
        PPOConfig(algo_class=RolloutPPO)
        .environment(env_config={"run": run, "step": step})
        .rl_module(rl_module_spec=RLModuleSpec(module_class=PolicyModule, model_config={"run": run}))
        .env_runners(
            env_runner_cls=RolloutRunner,
            num_env_runners=runners,
            num_envs_per_env_runner=train.n_envs // runners,
            rollout_fragment_length=params.n_steps,
            create_local_env_runner=False,
        )
        .learners(
            num_learners=learners,
            num_gpus_per_learner=int(train.device.startswith("cuda")),
            learner_config_dict={"params": params},
            add_default_connectors_to_learner_pipeline=False,
        )
        .training(
            learner_class=PPOLearner,
            train_batch_size_per_learner=params.n_steps * train.n_envs // shares,
            minibatch_size=params.batch_size // shares,
            num_epochs=params.n_epochs,
            grad_clip=params.max_grad_norm,
            grad_clip_by="global_norm",
        )
        .fault_tolerance(restart_failed_env_runners=True, env_runner_health_probe_timeout_s=PROBE)
        .reporting(min_time_s_per_iteration=0)
        .debugging(log_level="ERROR", seed=run.seed)
    )
    config._dont_auto_sync_env_runner_states = True  # runners keep nothing
    return config


class RolloutPPO(PPO):  # type: ignore[misc]
    """Learns from exactly as many steps as asked for: what a lost runner had collected is collected again."""

    def iterate(self, weights: Mapping[str, Tensor], learning_rate: float) -> tuple[dict[str, float], list[Any]]:
        """One rollout with these weights and the update on it: SB3's figures, and the episodes that ended.

        Raises:
            RuntimeError: no runner came back for a long time.
            RayError: a learner was lost.
        """
        self._weights, self._rate = ray.put({name: weight.cpu() for name, weight in weights.items()}), learning_rate
        results = self.train()[LEARNER_RESULTS][DEFAULT_MODULE_ID]
        return {name: float(results[name]) for name in FIGURES}, self._episodes

    def state(self) -> Any:
        """Weights and optimiser of the policy, as PPOLearner gives them."""
        return self.learner_group.foreach_learner(lambda learner: learner.state()).result_or_errors[0].get()

    def take_over(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Any]) -> None:
        """Let the learners go on from these."""
        for done in self.learner_group.foreach_learner(lambda learner: learner.take_over(weights, optimizer)):
            done.get()

    def cpu_seconds(self) -> float:
        """Of all runners, since they were started."""
        return math.fsum(self.env_runner_group.foreach_env_runner("cpu_seconds", local_env_runner=False))

    def training_step(self) -> None:
        batch = self._collect()
        results = self.learner_group.update(
            batch=MultiAgentBatch({DEFAULT_MODULE_ID: batch}, len(batch)),
            timesteps={RATE: self._rate, NUM_ENV_STEPS_SAMPLED_LIFETIME: 0},
            num_epochs=self.config.num_epochs,
            minibatch_size=self.config.minibatch_size,
            shuffle_batch_per_epoch=True,
        )
        self.metrics.aggregate(results, key=LEARNER_RESULTS)

    def _collect(self) -> SampleBatch:
        """Rollouts of all runners; of those that are left as often as it takes."""
        parts: list[SampleBatch] = []
        self._episodes: list[Any] = []
        seen = time.monotonic()
        while (missing := self.config.num_env_runners - len(parts)) > 0:
            found = self.env_runner_group.foreach_env_runner(
                "sample", kwargs={"weights": self._weights}, local_env_runner=False
            )
            for columns, episodes in found[:missing]:
                parts.append(SampleBatch(columns))
                self._episodes += episodes
            if found:
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise RuntimeError(f"Expected a runner on the cluster to answer, got none within {PATIENCE:g} s.")
            else:
                time.sleep(PROBE)
                self.restore_env_runners(self.env_runner_group)
        return concat_samples(parts).shuffle()
