"""Imitation: the loss by hand, learning, resuming, and episodes that the environment accepts."""

from math import log

import numpy as np
import pytest
import torch
from toy_problem import Toy

from allocenv.agents.two_stage.imitation import Imitation, Imitator, Lesson, any_of
from allocenv.core.batch import Batch
from allocenv.problems import make_problem


class Taught(Toy):
    """The expert places items in their order while there is room, each into the bin with the most of it."""

    @property
    def max_steps(self):
        return self.steps

    def steps_left(self, state, b):
        return int(state.steps_left[b])

    def advanced(self, instance, state, b):
        return state.room[b].copy(), np.flatnonzero(state.bin_of[b] < 0)

    def expert(self, instance, steps, rng):
        room, waiting = instance
        plan = []
        for item in waiting[: min(steps, room.sum())]:
            plan.append((item, room.argmax()))
            room[room.argmax()] -= 1
        return np.array(plan, np.int32), np.array([item + 1.0 for item, _ in plan])


def imitator(network, problems, **settings):
    return Imitator(network, problems, Imitation(**{"rounds": 20, "rows": 8, "learning_rate": 1e-2, **settings}))


@pytest.mark.parametrize(
    ("acceptable", "probability"),
    [([1, 0, 0], 1 / 6), ([1, 1, 0], 3 / 6), ([0, 0, 1], 3 / 6), ([1, 0, 1], 4 / 6), ([1, 1, 1], 1)],
)
def test_any_of_is_minus_the_log_of_the_acceptable_probability(acceptable, probability):
    logits = torch.tensor([[log(1), log(2), log(3)]]) + 7.0  # probabilities 1/6, 2/6, 3/6
    loss = any_of(logits, torch.tensor([acceptable], dtype=torch.bool))
    assert loss.item() == pytest.approx(-log(probability), abs=1e-6)


def test_any_of_pushes_towards_what_is_acceptable_only():
    logits = torch.zeros(1, 3, requires_grad=True)
    any_of(logits, torch.tensor([[True, True, False]])).sum().backward()
    assert logits.grad.tolist()[0] == pytest.approx([-1 / 6, -1 / 6, 1 / 3])  # 1/3 - 1/2 twice, 1/3


@pytest.mark.parametrize("wander", [0.0, 0.5])
def test_losses_fall_and_agreement_rises_within_twenty_rounds(network_for, wander):
    learner = imitator(network_for(Taught()), [Taught()], wander=wander)
    rounds = [learner.run_round() for _ in range(20)]
    first, last = ({name: np.mean([r[name] for r in part]) for name in rounds[0]} for part in (rounds[:4], rounds[-4:]))
    assert all(last[name] < 0.8 * first[name] for name in ("slot_loss", "placement_loss", "value_loss"))
    assert last["slot_agreement"] > max(first["slot_agreement"], 0.95)


def test_resumed_between_two_rounds_it_ends_with_the_same_weights(network_for):
    lessons = [Taught(), Taught(steps=2)]
    whole, cut, resumed = (imitator(network_for(Taught()), lessons, rounds=4) for _ in range(3))
    figures = [whole.run_round() for _ in range(4)]
    for _ in range(2):
        cut.run_round()
    resumed.network.load_state_dict(cut.network.state_dict())
    resumed.optimizer.load_state_dict(cut.optimizer.state_dict())
    resumed.done = cut.done
    assert [resumed.run_round() for _ in range(2)] == figures[2:]
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name])


def test_a_stop_is_not_acceptable_before_it_is_next():
    """An update of a budget ends with a stop, which earns the reward: to stop first would be another plan."""
    problem = make_problem("budget", prompts=12, batch=4, updates=2)
    lesson = Lesson(Batch(problem, 3), np.random.default_rng(0), 0.0)
    stops = 0
    while not lesson.over:
        actions, _ = lesson.next_actions(None)
        acceptable = lesson.acceptable()
        assert acceptable[np.arange(3), actions[:, 0]].all()
        stopping = actions[:, 0] == problem.stop[0]
        assert (acceptable[:, problem.stop[0]] == stopping).all()
        assert (acceptable[stopping].sum(axis=1) == 1).all()
        stops += int((stopping & ~lesson.ended).sum())
        lesson.step(actions)
    assert stops == 3 * 2


def test_lessons_take_turns(network_for, monkeypatch):
    drawn, draw = [], Taught.draw
    monkeypatch.setattr(Taught, "draw", lambda self, rng: (drawn.append(self.steps), draw(self, rng))[1])
    learner = imitator(network_for(Taught()), [Taught(), Taught(steps=4)], rows=1)
    for _ in range(3):
        learner.run_round()
    assert drawn == [6, 4, 6]


@pytest.mark.parametrize("wander", [0.0, 1.0])
def test_episodes_wander_legally_and_then_follow_a_legal_plan(network_for, monkeypatch, wander):
    problem = make_problem("vm", n_pms=4, max_moves=4)
    learner = imitator(network_for(problem), [problem], rows=4, wander=wander)
    (batch,), ended, illegal, step = learner.batches, np.zeros(4, bool), [], Batch.step

    def watched(self, actions):
        outcome = step(self, actions)
        if self is batch:
            illegal.append((outcome.illegal & ~ended).any())
            ended[:] |= outcome.terminated | outcome.truncated
        return outcome

    monkeypatch.setattr(Batch, "step", watched)
    for _ in range(2):
        ended[:] = False
        learner.run_round()
        assert ended.all()
    assert not any(illegal)


def test_what_an_episode_must_be_like_is_checked():
    with pytest.raises(ValueError, match=r"rows >= 1 .* got 300, 0 and 0.5"):
        Imitation(rows=0)
