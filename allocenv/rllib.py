"""The problems as environments for those who write their own RLlib experiments; needs `pip install allocenv[ray]`.

    import allocenv.rllib
    allocenv.rllib.register()
    config = (
        PPOConfig()
        .environment("allocenv/storage", env_config={"trace": "zipf"})  # parameters of the problem
        .env_runners(
            num_env_runners=2, num_envs_per_env_runner=64, gym_env_vectorize_mode="vector_entry_point",
            env_to_module_connector=lambda env, spaces, device: FlattenObservations(),
        )
    )

`vector_entry_point` steps a runner's environments as one batch. `allocenv/<problem>-sequential` asks for the slot and
for the placement one after the other, for algorithms of Discrete actions such as DQN; it has no batch.
`allocenv train CONFIG --engine ray` is faster and keeps the masks: it rolls out and learns with the agents here.
"""

from functools import partial
from typing import Any

from ray.tune.registry import register_env

from allocenv.problems import REGISTRY
from allocenv.wrappers.make import make, make_sequential, make_vec


def register() -> list[str]:
    """Give every problem its name with RLlib, in this process and on its workers; the names."""
    names = []
    for problem in REGISTRY:
        for name, create in ((problem, _create), (f"{problem}-sequential", _create_sequential)):
            register_env(f"allocenv/{name}", partial(create, problem))
            names.append(f"allocenv/{name}")
    return names


def _create(problem: str, context: Any) -> Any:
    """A batch where RLlib asks for `num_envs`, else a single environment."""
    params = dict(context)
    count = params.pop("num_envs", None)
    return make(problem, **params) if count is None else make_vec(problem, count, **params)


def _create_sequential(problem: str, context: Any) -> Any:
    return make_sequential(problem, **dict(context))
