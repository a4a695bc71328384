"""The pre-assignment agent: what its networks promise, which teams it sends, and that it learns and goes on."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from allocenv.agents.config import ConfigError, RunConfig
from allocenv.agents.preassign.network import Mixing, PreassignNetwork
from allocenv.agents.preassign.policy import PreassignPolicy
from allocenv.agents.preassign.replay import Replay
from allocenv.agents.preassign.rounds import rounds_of
from allocenv.agents.preassign.selection import Seen, preassigned, selected
from allocenv.agents.train import load_agent, train
from allocenv.core.batch import Batch
from allocenv.problems import make_problem

COLUMNS = 5  # money, two abilities, position


class Given(NamedTuple):
    """A round by hand."""

    entities: np.ndarray
    tasks: np.ndarray
    cost: np.ndarray
    fits: np.ndarray


def a_round(costs, abilities, values, needs):
    """One round without travel."""
    entities = np.concatenate([np.c_[costs], abilities, np.zeros((len(costs), 2))], 1, dtype=np.float32)[None]
    tasks = np.concatenate([np.c_[values], needs, np.zeros((len(values), 2))], 1, dtype=np.float32)[None]
    cost = np.repeat(np.array(costs, np.float32)[None, :, None], len(values), 2)
    helps = ((np.array(abilities)[:, None] > 0) & (np.array(needs)[None] > 0)).any(2)[None]
    return Seen.of(Given(entities, tasks, cost, helps))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PreassignNetwork(COLUMNS, 8)


def teams_of(network, x, choice):
    return selected(network, x, torch.tensor([choice]), torch.tensor([False]))


def small(**changes):
    values = {
        "problem": "task",
        "agent": "preassign",
        "params": {"n_entities": 8, "n_slots": 2, "n_tasks": 4},
        "train": {"total_steps": 8, "n_envs": 4, "figures": False, "checkpoint_every": 4, "learning_rate": 3e-3},
        "agent_params": {"width": 16, "learning_starts": 8, "updates": 2},
    }
    return RunConfig.from_dict(values | changes)


def test_any_number_of_entities_and_tasks_fits_and_the_mask_is_kept(network):
    for m, t in ((3, 2), (7, 5)):
        fits = torch.rand(2, m, t) < 0.5
        logits = network.assign_logits(torch.rand(2, m, COLUMNS), torch.rand(2, t, COLUMNS), fits)
        assert logits.shape == (2, m, t)
        assert (logits[~fits] < -1e8).all()
        acting = fits.any(-1)
        assert network.mixing(torch.rand(2, m), torch.rand(2, m, COLUMNS), acting).shape == (2,)


def test_the_whole_never_falls_when_one_choice_gets_better():
    torch.manual_seed(1)
    mixing = Mixing(COLUMNS, 8)
    entities, acting, chosen = torch.rand(64, 6, COLUMNS), torch.rand(64, 6) < 0.7, torch.randn(64, 6)
    better = chosen + torch.rand(64, 6) * (torch.rand(64, 6) < 0.3)
    assert (mixing(better, entities, acting) >= mixing(chosen, entities, acting) - 1e-6).all()
    idle = chosen + 5.0 * ~acting
    torch.testing.assert_close(mixing(idle, entities, acting), mixing(chosen, entities, acting))


def test_a_team_ends_once_it_covers_the_need_and_earns_value_less_cost(network):
    """Both needs of 1 take both entities: 5 - (1 + 2). The other task has no candidate."""
    x = a_round([1, 2, 9], [[1, 0], [0, 1], [1, 1]], [5, 7], [[1, 1], [1, 0]])
    teams = teams_of(network, x, [0, 0, -1])
    assert teams.assignment.tolist() == [[0, 0, -1]]
    assert teams.net.tolist() == [2.0]
    assert [draw.over.tolist() for draw in teams.draws] == [[False], [True]]


def test_a_team_that_does_not_pay_or_is_not_complete_is_not_sent(network):
    x = a_round([3, 3, 1], [[1, 0], [0, 1], [1, 0]], [5, 7], [[1, 1], [2, 0]])
    teams = teams_of(network, x, [0, 0, 1])  # 5 - 6 < 0, and half of the need
    assert teams.assignment.tolist() == [[-1, -1, -1]]
    assert teams.net.tolist() == [0.0]


def test_who_brings_nothing_that_is_lacking_is_not_drawn(network):
    x = a_round([1, 1, 1], [[2, 0], [2, 0], [0, 2]], [9], [[2, 2]])
    for seed in range(5):
        torch.manual_seed(seed)
        teams = teams_of(network, x, [0, 0, 0])
        assert teams.net.tolist() == [7.0]  # never three: after one of the equals the other helps no more
        assert (teams.assignment >= 0).sum() == 2


def test_entities_are_assigned_only_where_they_fit(network):
    x = a_round([1, 1, 1], [[1, 0], [0, 1], [0, 0]], [5, 7], [[1, 0], [0, 1]])
    for greedy in (True, False):
        assert preassigned(network, x, torch.tensor([greedy])).tolist() == [[0, 1, -1]]


def test_the_replay_keeps_the_latest_rows():
    replay = Replay(4)
    for start in (0, 3, 6):
        replay.add({"x": torch.arange(start, start + 3)})
    assert sorted(replay.rows["x"].tolist()) == [5, 6, 7, 8]
    other = Replay(4)
    other.load_state_dict(replay.state_dict())
    other.add({"x": torch.tensor([9])})
    assert sorted(other.rows["x"].tolist()) == [6, 7, 8, 9]


def earned(problem, network, tries=1):
    """On sixteen fixed instances."""
    batch = Batch(problem, 16)
    batch.reset(77)
    policy, over = PreassignPolicy(network, tries), np.zeros(16, np.bool_)
    while not over.all():
        outcome = batch.step(policy(batch))
        assert not (outcome.illegal & ~over).any()
        over |= outcome.terminated | outcome.truncated
    return -batch.costs()


def test_a_short_training_improves(tmp_path):
    config = small(train={"total_steps": 60, "n_envs": 12, "figures": False, "learning_rate": 3e-3})
    result = train(config, tmp_path, progress=False)
    first, last = load_agent(tmp_path, "step-0000000000"), load_agent(tmp_path, "last")
    assert result.finished
    problem = config.make_problem()
    before, after = earned(problem, first.network), earned(problem, last.network)
    assert after.mean() > before.mean()
    many = earned(problem, last.network, 8)
    assert many.shape == (16,)


def test_a_resumed_run_ends_at_the_same_weights(tmp_path):
    train(small(), tmp_path / "once", progress=False)
    half = small(train={"total_steps": 4, "n_envs": 4, "figures": False, "learning_rate": 3e-3, "checkpoint_every": 4})
    train(half, tmp_path / "twice", progress=False)
    result = train(small(), tmp_path / "twice", progress=False)
    assert result.step == 8
    once, twice = (load_agent(tmp_path / name, "last").weights() for name in ("once", "twice"))
    assert all((once[key] == twice[key]).all() for key in once)


def test_missions_are_decided_alike_alone_and_together(network):
    problem = make_problem("task", n_entities=8, n_slots=2, n_tasks=4, n_abilities=2)
    missions = [problem.draw(np.random.default_rng(i)) for i in range(3)]

    def nets(chosen):
        batch = Batch(problem, len(chosen))
        batch.load(chosen)
        policy = PreassignPolicy(network, 1)
        for _ in range(150):
            batch.step(policy(batch))
        return (-batch.costs()).tolist()

    assert nets(missions) == [nets([mission])[0] for mission in missions]


def test_problems_without_rounds_are_refused():
    with pytest.raises(ConfigError, match="assigns nobody in rounds"):
        rounds_of(make_problem("vm"), None)
    problem = make_problem("task", preset="dcmrta")
    with pytest.raises(ConfigError, match="teams leave together"):
        rounds_of(problem, Batch(problem, 1))
