"""The problems under RLlib's own algorithms."""

import numpy as np
import pytest

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("default")]


def test_every_problem_has_its_names():
    import allocenv.rllib
    from allocenv.problems import REGISTRY

    names = allocenv.rllib.register()
    assert names == [f"allocenv/{name}{form}" for name in REGISTRY for form in ("", "-sequential")]


def test_rllibs_own_runner_steps_a_batch_of_environments():
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.connectors.env_to_module import FlattenObservations
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    import allocenv.rllib

    allocenv.rllib.register()
    config = (
        PPOConfig()
        .environment("allocenv/vm", env_config={"n_pms": 3, "max_moves": 4})
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=4,
            gym_env_vectorize_mode="vector_entry_point",
            env_to_module_connector=lambda env, spaces, device: FlattenObservations(),
        )
    )
    runner = SingleAgentEnvRunner(config=config)
    episodes = runner.sample(num_timesteps=32)
    assert sum(map(len, episodes)) >= 32
    assert all(np.isfinite(episode.get_rewards()).all() for episode in episodes)
    assert type(runner.env.unwrapped).__name__ == "AllocVectorEnv"
    runner.stop()
