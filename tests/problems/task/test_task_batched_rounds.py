"""Rounds of many rows at once say what the situation of a single row says."""

import numpy as np
import pytest

from allocenv.core.batch import Batch
from allocenv.problems.task.problem import Task
from allocenv.problems.task.rounds.batched import TeamRounds, look
from allocenv.problems.task.rounds.situation import FAR, IDLE, situation_of


def compared(problem, batch):
    """Every row of the batch with its own situation."""
    model = batch.state.model
    seen = look(batch, np.arange(batch.n))
    for b in range(batch.n):
        x = situation_of(problem.rules, model, b)
        money = model.scale[b]
        unit = model.q_need[b].sum() / (model.n_tasks[b] * model.n_abilities[b])
        k = model.n_abilities[b]
        assert np.flatnonzero(seen.free[b]).tolist() == x.entities.tolist()
        assert np.flatnonzero(seen.open[b]).tolist() == x.slots.tolist()
        pairs = np.ix_(x.entities, x.slots)
        in_time = x.cost < FAR
        np.testing.assert_allclose((seen.cost[b][pairs] * money)[in_time], x.cost[in_time], rtol=1e-5)
        helps = ((x.ability[:, None] > 0) & (x.need[None] > 0)).any(axis=2)
        assert (seen.fits[b][pairs] == in_time & helps).all()
        np.testing.assert_allclose(seen.entities[b, x.entities, 1 : 1 + k] * unit, x.ability, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(seen.tasks[b, x.slots, 1 : 1 + k] * unit, x.need, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(seen.tasks[b, x.slots, 0] * money, x.value, rtol=1e-5, atol=1e-5)
        assert not seen.entities[b, ~seen.free[b]].any()


@pytest.mark.parametrize("preset", ["rbf", "material", "electric"])
def test_rows_say_what_their_situations_say(preset):
    problem = Task(preset, n_entities=(5, 9), n_slots=(2, 3), n_tasks=6)
    batch = Batch(problem, 4)
    batch.reset(0)
    rounds, rng = TeamRounds(batch), np.random.default_rng(0)
    for _ in range(40):
        rows, seen = rounds.due()
        drawn = np.where(rng.random(seen.fits.shape[:2]) < 0.7, rng.integers(0, seen.fits.shape[2]), IDLE)
        ok = np.take_along_axis(seen.fits, drawn.clip(0)[..., None], axis=2)[..., 0]
        rounds.plan(rows, np.where(ok, drawn, IDLE))
        actions = rounds.actions()
        assert not (batch.step(actions).illegal & ~batch.state.model.over).any()
        compared(problem, batch)


def test_a_round_is_asked_again_only_once_something_has_changed():
    """Nobody is sent; values do not fade before time 10, and waiting ends after a time of 1."""
    batch = Batch(Task("rbf"), 1)
    rounds = TeamRounds(batch)
    for _ in range(2):  # the second episode starts as the first did, and is asked about all the same
        batch.reset(0)
        assert rounds.due()[0].tolist() == [0]
        for _ in range(3):
            batch.step(rounds.actions())
            assert rounds.due()[0].tolist() == []
