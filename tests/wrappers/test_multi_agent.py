"""Several agents on one instance: the PettingZoo environment."""

import numpy as np
import pytest

pytest.importorskip("pettingzoo")
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils.conversions import parallel_to_aec
from toy_problem import Toy

from allocenv.core.batch import Batch
from allocenv.problems.storage.problem import Storage
from allocenv.wrappers.multi_agent import MultiAgentEnv

PARAMS = {"mode": "joint", "episode": 40, "candidates": 3, "stride": 10}


def begin(seed=0, **params):
    env = MultiAgentEnv("storage", **{**PARAMS, **params})
    env.reset(seed=seed)
    return env


@pytest.mark.filterwarnings("ignore::UserWarning")  # the tests warn of observations that are dictionaries
def test_it_passes_pettingzoos_tests():
    parallel_api_test(MultiAgentEnv("storage", **PARAMS), num_cycles=150)
    parallel_seed_test(lambda: MultiAgentEnv("storage", **PARAMS), num_cycles=50)
    api_test(parallel_to_aec(MultiAgentEnv("storage", **PARAMS)), num_cycles=100)


def test_an_agent_sees_and_does_only_what_its_slots_allow():
    env = begin()
    assert env.agents == ["migration", "placement"]
    assert env.action_space("migration").nvec.tolist() == [4, 2]
    assert env.action_space("placement").n == 2
    seen, *_ = env.step({"migration": np.array([3, 0]), "placement": 1})
    assert seen["migration"]["slots"].shape[0] == 3
    assert seen["placement"]["slots"].shape[0] == 1


def test_a_step_is_the_agents_actions_one_after_the_other():
    """The migration first, then the request; both agents get the sum."""
    env, batch = begin(seed=3), Batch(Storage(**PARAMS), 1)
    batch.reset(seed=3)
    slot = int(np.flatnonzero(batch.observe().slot_mask[0, 1:])[0]) + 1
    device = int(batch.placement_mask(np.array([slot]))[0].argmax())
    rewards = [float(batch.step(np.array([pair])).rewards[0]) for pair in ((slot, device), (0, 1))]
    _, given, _, _, infos = env.step({"migration": np.array([slot - 1, device]), "placement": 1})
    assert given == {"migration": pytest.approx(sum(rewards)), "placement": pytest.approx(sum(rewards))}
    assert not infos["migration"]["illegal"]


def test_an_agent_may_pass():
    env, batch = begin(seed=3), Batch(Storage(**PARAMS), 1)
    batch.reset(seed=3)
    expected = float(batch.step(np.array([[0, 1]])).rewards[0])
    _, given, *_ = env.step({"migration": np.array([3, 0]), "placement": 1})
    assert given["placement"] == pytest.approx(expected)


def test_an_illegal_action_is_laid_at_its_agents_door():
    env = begin(candidates=2)
    env.batch.state.candidates[0, 0] = -1  # no page
    *_, infos = env.step({"migration": np.array([0, 0]), "placement": 1})
    assert infos["migration"]["illegal"]
    assert not infos["placement"]["illegal"]


def test_a_problem_without_agents_is_refused():
    with pytest.raises(ValueError, match="belong to agents"):
        MultiAgentEnv(Toy())
    with pytest.raises(ValueError, match="belong to agents"):
        MultiAgentEnv("storage", mode="placement")
