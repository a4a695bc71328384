"""Decoding: encoding what changed gives what encoding afresh gives; sampling keeps to the greedy row and the masks."""

import numpy as np
import pytest
import torch
from toy_problem import Toy

from allocenv.agents.two_stage.decoding import TwoStagePolicy
from allocenv.agents.two_stage.network import TwoStageNetwork, real_bins
from allocenv.core.batch import Batch
from allocenv.problems import make_problem

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


class Ageing(Toy):
    """Items that no bin holds change too: each waits ever longer."""

    def observe(self, state, out, lo, hi):
        super().observe(state, out, lo, hi)
        out.slots[lo:hi, :, 0] += state.steps_left[lo:hi, None]


def sampling(network, **choices):
    return TwoStagePolicy(network, torch.Generator().manual_seed(0), **choices)


def stop_ended(batch, actions, ended):
    actions[ended] = batch.problem.stop
    return actions


def episode(policy, batch):
    """Actions [T, B, 2] until every row has ended, and whether any was illegal before that."""
    ended, taken, illegal = np.zeros(batch.n, np.bool_), [], False
    while not ended.all():
        taken.append(stop_ended(batch, policy(batch), ended))
        outcome = batch.step(taken[-1])
        illegal |= bool((outcome.illegal & ~ended).any())
        ended |= outcome.terminated | outcome.truncated
    return np.array(taken), illegal


def expect_as_encoded_afresh(policy, batch):
    """Raise where the trees that the policy keeps differ from those encoded from what it sees now."""
    seen = batch.observe()
    with torch.inference_mode():
        kept = policy._encoded(seen)
        fresh = policy.network.encode_trees(*map(torch.from_numpy, (seen.slots, seen.bins, seen.slot_bin)))
    for name, new in fresh._asdict().items():
        torch.testing.assert_close(getattr(kept.trees, name), new, **CLOSE)
    assert torch.equal(kept.real, real_bins(torch.from_numpy(seen.bins)))
    policy._memory = kept


def count_encodings(monkeypatch):
    """The numbers of bins that were encoded, call by call."""
    sizes, encode = [], TwoStageNetwork.encode_trees

    def counted(self, slots, bins, slot_bin):
        sizes.append(bins.shape[:2].numel())
        return encode(self, slots, bins, slot_bin)

    monkeypatch.setattr(TwoStageNetwork, "encode_trees", counted)
    return sizes


@pytest.mark.parametrize("seed", range(3))
def test_along_an_episode_what_is_kept_equals_what_is_encoded_afresh(problem, network, seed):
    batch, policy = Batch(problem, 5, seed), sampling(network)
    batch.reset()
    for _ in range(problem.max_steps):
        expect_as_encoded_afresh(policy, batch)
        batch.step(policy(batch))


def test_after_a_move_only_two_bins_of_each_row_are_encoded_again(problem, network, monkeypatch):
    batch, policy = Batch(problem, 5), sampling(network)
    batch.reset()
    batch.step(policy(batch))
    sizes = count_encodings(monkeypatch)
    policy(batch)
    (touched,) = sizes
    assert 0 < touched <= 2 * 5
    policy(batch)  # nothing has changed since
    assert len(sizes) == 1


def test_a_row_that_begins_another_instance_is_encoded_again(network_for):
    smaller, larger = (make_problem("vm", n_pms=n).draw(np.random.default_rng(0)) for n in (4, 12))
    both = make_problem("vm", max_moves=6).holding([smaller, larger])
    batch, policy = Batch(both, 6), sampling(network_for(both))
    batch.load([larger] * 6)
    for row, instance in ((2, smaller), (2, larger), (0, smaller)):
        for _ in range(2):
            batch.step(policy(batch))
        both.fill(batch.state, row, instance)
        expect_as_encoded_afresh(policy, batch)


@pytest.mark.parametrize("kind", [Toy, Ageing])
def test_slots_that_nobody_holds_are_encoded_again_when_they_change(kind, network_for):
    problem = kind(steps=4)
    batch, policy = Batch(problem, 8), sampling(network_for(problem))
    batch.reset(3)
    for b in range(batch.n):  # one row a step, so that few bins are touched
        expect_as_encoded_afresh(policy, batch)
        problem.step(batch.state, policy(batch), batch.outcome, b, b + 1)
    batch.restart([4])  # what was held there is not any more
    expect_as_encoded_afresh(policy, batch)


def test_another_batch_is_encoded_afresh(problem, network):
    policy = sampling(network)
    for n in (3, 2):
        batch = Batch(problem, n, seed=n)
        batch.reset()
        expect_as_encoded_afresh(policy, batch)


def test_greedy_decoding_is_deterministic(problem, network):
    batch, runs = Batch(problem, 4), []
    for _ in range(2):
        batch.reset(7)
        runs.append(episode(TwoStagePolicy(network), batch)[0])
    assert np.array_equal(*runs)


def test_sampling_is_decided_by_its_generator(problem, network):
    batch, runs = Batch(problem, 4), []
    for _ in range(2):
        batch.reset(7)
        runs.append(episode(sampling(network), batch)[0])
    assert np.array_equal(*runs)


def test_row_0_of_a_sampled_batch_is_the_greedy_one(problem, network):
    instance = problem.draw(np.random.default_rng(1))
    alone, together = Batch(problem, 1), Batch(problem, 6)
    alone.load([instance])
    together.load([instance] * 6)
    greedy, _ = episode(TwoStagePolicy(network), alone)
    sampled, _ = episode(sampling(network), together)
    assert np.array_equal(greedy[:, 0], sampled[: len(greedy), 0])
    assert (sampled[:, 1:] != sampled[:, :1]).any()  # the others try something else


def test_one_choice_a_stage_leaves_the_greedy_one_to_every_row(problem, network):
    batch = Batch(problem, 4)
    batch.load([problem.draw(np.random.default_rng(1))] * 4)
    actions = sampling(network, slot_choices=1, placement_choices=1)(batch)
    assert (actions == actions[0]).all()


@pytest.mark.parametrize("rng", [None, 0])
@pytest.mark.parametrize("source", ["calibrated", "crowded"])
def test_no_action_is_illegal(network_for, source, rng):
    problem = make_problem("vm", source=source, n_pms=12, max_moves=12)
    network = network_for(problem)
    batch = Batch(problem, 8)
    batch.reset(2)
    policy = TwoStagePolicy(network) if rng is None else sampling(network, slot_choices=99, placement_choices=99)
    assert not episode(policy, batch)[1]
