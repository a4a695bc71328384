"""The model against its plain-Python twin, and by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from task_reference import Twin

from allocenv.core.batch import Batch
from allocenv.problems.task.mission import build_mission
from allocenv.problems.task.problem import Task
from allocenv.problems.task.rules import PRESET_RULES

SIZES = {"n_entities": (3, 9), "n_slots": (1, 4), "n_tasks": (2, 7), "n_abilities": (1, 4)}
TIMED = {"rbf": 1.0, "material": 0.0, "electric": 0.5, "almighty": 0.0, "dcmrta": 0.0, "heteromrta": 0.4}


def small(preset, **params):
    """Missions of the preset with few of everything, numbers drawn for each."""
    sizes = {} if preset == "almighty" else dict(SIZES)
    if preset == "almighty":
        sizes = {"n_abilities": (2, 4)}
    return Task(preset, **sizes, arrivals=TIMED[preset], **params)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(preset=st.sampled_from(sorted(PRESET_RULES)), seed=st.integers(0, 2**20), swap=st.booleans())
def test_a_random_episode_goes_as_in_the_plain_python_twin(preset, seed, swap):
    commit = ("team" if PRESET_RULES[preset].single else "single") if swap else None
    problem = small(preset, commit=commit, horizon=60.0)
    rng = np.random.default_rng(seed)
    missions = [problem.draw(rng) for _ in range(3)]
    batch = Batch(problem, 3)
    batch.load(missions)
    twins = [Twin(mission, problem.rules) for mission in missions]
    for _ in range(60):
        slot_mask = batch.observe().slot_mask
        masks = np.stack([batch.placement_mask(np.full(3, i)) for i in range(problem.sizes.slots)], axis=1)
        actions = np.zeros((3, 2), np.int32)
        expected = []
        for b, twin in enumerate(twins):
            legal = expected_mask(problem, twin)
            np.testing.assert_array_equal(masks[b], legal)
            np.testing.assert_array_equal(slot_mask[b], legal.any(axis=1))
            some = np.argwhere(legal)
            actions[b] = some[rng.integers(len(some))] if rng.random() < 0.7 else problem.stop
            slot = len(twin.entities) if actions[b, 0] == problem.sizes.slots - 1 else int(actions[b, 0])
            place = len(twin.slots) if actions[b, 1] == problem.sizes.bins - 1 else int(actions[b, 1])
            expected.append(twin.step(slot, place))
        outcome = batch.step(actions)
        for b, twin in enumerate(twins):
            assert outcome.rewards[b] == pytest.approx(expected[b] / batch.state.model.scale[b], rel=1e-4, abs=1e-5)
            assert outcome.terminated[b] == twin.over
            assert batch.state.model.now[b] == pytest.approx(twin.now)
            assert batch.costs()[b] == pytest.approx(twin.objective())
            problem.check(batch.state, b)


def expected_mask(problem, twin):
    """Legal pairs in the padded sizes of the problem: nobody is the last slot, waiting the last placement."""
    mask = np.zeros((problem.sizes.slots, problem.sizes.bins), bool)
    n, t = len(twin.entities), len(twin.slots)
    for i in range(n + 1):
        for j in range(t + 1):
            if twin.legal(i, j):
                mask[i if i < n else -1, j if j < t else -1] = True
    return mask


def begin(mission, preset="rbf", **params):
    batch = Batch(Task.on(mission, preset=preset, **params), 1)
    batch.reset(seed=0)
    return batch


def act(batch, slot, placement):
    done = batch.step(np.array([[slot, placement]], np.int32))
    return float(done.rewards[0]), bool(done.terminated[0]), bool(done.illegal[0])


def two_and_one(**params):
    """Two entities (costs 1 and 2, abilities 3 and 4) at (0, 0); one task of value 10 that needs 6, at (2, 1)."""
    parts = {"slots": 1, "task_xy": [[2, 1]], **params}
    return build_mission([1, 2], [[3], [4]], [10], [[6]], **parts)


def test_a_team_leaves_when_it_covers_the_need_and_is_paid_when_it_is_done():
    """Travel 3 and work 1: at time 4; value 10 less cost 3, in mean values of 10: 0.7."""
    batch = begin(two_and_one(), period=0.0)
    assert act(batch, 0, 0) == (0.0, False, False)
    assert batch.state.model.phase[0, 0] == 1
    assert act(batch, 1, 0) == (0.0, False, False)
    assert batch.state.model.phase[0, 0] == 2
    reward, over, _ = act(batch, 2, 1)
    assert reward == pytest.approx(0.7)
    assert over
    assert batch.state.model.now[0] == 4.0
    assert batch.problem.metrics(batch.state, 0)["cost"] == 3.0


def test_a_forming_team_can_be_given_up_at_no_cost_and_a_closed_one_cannot():
    batch = begin(two_and_one())
    act(batch, 0, 0)
    assert act(batch, 2, 0) == (0.0, False, False)
    assert batch.observe().slot_bin[0].tolist() == [-1, -1, -1]
    act(batch, 0, 0)
    act(batch, 1, 0)
    assert act(batch, 2, 0)[2]


def test_a_value_decays_until_the_task_is_done():
    """Waiting one period of 12: done at 16, six units beyond grace: 10 * 0.5 ** 6 less 3 is a loss."""
    batch = begin(two_and_one(), preset="material", period=12.0, decay=0.5, grace=10.0)
    act(batch, 2, 1)
    act(batch, 0, 0)
    act(batch, 1, 0)
    reward = act(batch, 2, 1)[0]  # Chebyshev travel 2 and work 1: at 15
    assert batch.state.model.now[0] == 15.0
    assert reward == pytest.approx((10 * 0.5**5 - 3) / 10)


def test_a_need_that_decays_lets_a_waiting_team_leave():
    """The need of 6 falls below 5.5 ... at 10 + 60 units of time to 3.3, rounded up 4; at 79 to 3: one is enough."""
    batch = begin(two_and_one(), horizon=200.0)
    act(batch, 0, 0)
    while batch.state.model.phase[0, 0] == 1:
        act(batch, 2, 1)
    assert batch.state.model.now[0] == 79.0  # 6 * 0.99 ** 69 = 2.999
    batch.problem.check(batch.state, 0)


def test_an_area_whose_own_request_is_open_serves_nobody():
    """Area 0 asks for 2 from the others; area 1 is at distance 5: rates (0.2 + 0.4) / 2 * 5 = 1.5."""
    mission = build_mission(
        [0, 0], [[5], [5]], [10], [[2]], slots=1, xy=[[0, 0], [3, 4]], rate=[0.4, 0.2], task_xy=[[0, 0]],
        task_rate=[0.4], owner=[0],
    )  # fmt: skip
    batch = begin(mission, preset="electric")
    assert batch.observe().slot_mask[0].tolist() == [False, True, True]
    act(batch, 1, 0)
    assert act(batch, 2, 1)[0] == pytest.approx((10 - 1.5) / 10)


def test_one_who_left_alone_waits_for_the_others_until_patience_ends():
    """Speed 0.2: distance 1 takes 5; it may wait for 10, so it is free again at 15, where the task is."""
    mission = build_mission([0, 0], [[1], [1]], [1], [[2]], slots=1, xy=[[0, 0], [0, 0]], task_xy=[[1, 0]], work=[2])
    batch = begin(mission, preset="dcmrta")
    act(batch, 0, 0)
    act(batch, 2, 1)
    model = batch.state.model
    assert model.now[0] == 15.0
    assert batch.observe().slot_mask[0].tolist() == [True, True, True]
    act(batch, 0, 0)
    act(batch, 1, 0)
    act(batch, 2, 1)
    assert model.over[0]
    assert batch.costs()[0] == pytest.approx(15 + 5 + 2 + 5)  # the second travels, work, and home


def test_rewards_can_be_discounted_by_the_time_that_has_passed():
    batch = begin(two_and_one(), gamma_per_time=0.9, period=0.0)
    act(batch, 0, 0)
    act(batch, 1, 0)
    assert act(batch, 2, 1)[0] == pytest.approx(0.7 * 0.9**4)


def test_a_task_that_nobody_can_cover_is_reported_and_keeps_its_slot():
    mission = build_mission([1], [[3]], [10], [[6]], slots=1)
    assert mission.impossible.tolist() == [0]
    batch = begin(mission)
    assert batch.problem.metrics(batch.state, 0)["impossible"] == 1.0
    assert "needs more" in batch.problem.render_text(batch.state, 0) or "need more" in batch.problem.render_text(
        batch.state, 0
    )
    while not act(batch, 1, 1)[1]:
        pass
    assert batch.state.model.now[0] == 100.0


def test_tasks_arrive_in_order_and_fill_slots_at_the_refill_times():
    """One slot; the second task arrives at 7: rbf refills at multiples of 5, so at 10."""
    mission = build_mission([1], [[9]], [5, 5], [[6], [6]], slots=1, arrival=[0, 7])
    batch = begin(mission, period=0.0)
    act(batch, 0, 0)
    act(batch, 1, 1)
    assert batch.state.model.now[0] == 1.0
    act(batch, 1, 1)
    assert batch.state.model.now[0] == 10.0
    assert batch.state.model.task[0, 0] == 1
