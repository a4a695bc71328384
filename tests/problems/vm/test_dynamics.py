"""The VM model against its plain-Python twin, and by hand; each slip of the peers' code has a test here."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vm_episode_reference import Twin
from vm_small_clusters import OBJECTIVES, snapshots

from allocenv.core.batch import Batch
from allocenv.problems.vm.cluster import PM, VM, Group, build_cluster
from allocenv.problems.vm.objective import Objective
from allocenv.problems.vm.observation import BIN_FEATURES, SLOT_FEATURES
from allocenv.problems.vm.problem import VM as Problem

CPU = 1000  # millicores a core


def machine(name, *cores, memory=100_000, **rest):
    """A machine with so many cores on each of its NUMA nodes."""
    return PM(name, tuple({"cpu": c * CPU, "memory": memory} for c in cores), **rest)


def small(name, pm, node, cores, memory=0, **rest):
    """A VM on one NUMA node."""
    return VM(name, pm, (node,), {"cpu": cores * CPU, "memory": memory}, **rest)


def batch_of(pms, vms, groups=(), n=1, **params):
    batch = Batch(Problem.on(build_cluster("test", pms, vms, groups), **params), n)
    batch.reset(seed=0)
    return batch


def act(batch, slot, pm, variant=0):
    """Carry one migration out: (reward, terminated, illegal)."""
    variants = batch.problem.sizes.variants
    done = batch.step(np.array([[slot, pm * variants + variant]] * batch.n, np.int32))
    return float(done.rewards[0]), bool(done.terminated[0]), bool(done.illegal[0])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    snapshot=snapshots(),
    objective=st.sampled_from(OBJECTIVES),
    goal=st.sampled_from((None, 0.123, 0.517)),
    move_price=st.sampled_from((0.0, 0.3)),
    seed=st.integers(0, 2**16),
)
def test_a_random_episode_goes_as_in_the_plain_python_twin(snapshot, objective, goal, move_price, seed):
    pms, vms, groups = snapshot
    params = {"objective": objective, "max_moves": 12, "goal": goal, "move_price": move_price}
    batch = batch_of(pms, vms, groups, **params)
    twin = Twin(pms, vms, groups, Objective.parse(objective), 12, goal, move_price)
    rng = np.random.default_rng(seed)
    for _ in range(12):
        assert batch.costs()[0] == pytest.approx(twin.value(), abs=1e-9)
        slot_mask = batch.observe().slot_mask[0]
        assert slot_mask.tolist() == twin.slot_mask()
        slot = int(rng.integers(len(vms) + 1)) if rng.random() < 0.3 else int(rng.choice(np.flatnonzero(slot_mask)))
        mask = batch.placement_mask(np.array([slot]))[0]
        assert mask.tolist() == twin.placement_mask(slot)
        wild = rng.random() < 0.2 or not mask.any()
        placement = int(rng.integers(-1, len(mask) + 2) if wild else rng.choice(np.flatnonzero(mask)))
        if slot == len(vms) and rng.random() < 0.7:
            slot = -1  # stopping so often would end most episodes at once
        done = batch.step(np.array([[slot, placement]], np.int32))
        reward, terminated, illegal = twin.step(slot, placement)
        assert done.rewards[0] == pytest.approx(reward, abs=1e-5)
        assert (bool(done.terminated[0]), bool(done.illegal[0])) == (terminated, illegal)
        if terminated:
            break
    batch.problem.check(batch.state, 0)
    assert batch.observe().slot_bin[0, : len(vms)].tolist() == [list(twin.pms).index(pm) for pm, _ in twin.at.values()]


# Two machines of two nodes of 8 cores; a 4-core VM on node 0 of each. Free cores 4 + 8 + 4 + 8 = 24, whole
# 8-core chunks 2, so the fragment rate is 1 - 16 / 24 = 1/3.
PAIR = ([machine("p", 8, 8), machine("q", 8, 8)], [small("a", "p", 0, 4), small("b", "q", 0, 4)])


def test_a_move_that_completes_a_chunk_earns_one():
    batch = batch_of(*PAIR, objective="cpu:8")
    assert batch.costs()[0] == pytest.approx(1 / 3)
    assert act(batch, slot=0, pm=1, variant=0) == (1.0, False, False)
    assert batch.costs()[0] == pytest.approx(0)  # 3 chunks of 8 in 24 free cores


def test_a_move_back_loses_what_it_won():
    batch = batch_of(*PAIR, objective="cpu:8")
    act(batch, slot=0, pm=1, variant=0)
    assert act(batch, slot=0, pm=0, variant=0)[0] == pytest.approx(-1.0)


def test_changing_the_node_of_its_own_machine_is_a_move():
    batch = batch_of(*PAIR, objective="cpu:8")
    assert act(batch, slot=0, pm=0, variant=1) == (0.0, False, False)  # 4 + 8 free become 8 + 4
    assert batch.state.model.moves[0] == 1


def test_staying_where_it_is_is_illegal_and_changes_nothing():
    batch = batch_of(*PAIR, objective="cpu:8")
    before = batch.costs()[0]
    assert act(batch, slot=0, pm=0, variant=0) == (-1.0, False, True)
    assert batch.costs()[0] == before
    assert batch.state.model.moves[0] == 0


@pytest.mark.parametrize("action", [(-1, 0), (0, -1), (3, 0), (0, 4), (99, 99), (2, 1)])
def test_an_action_out_of_range_is_illegal_and_never_raises(action):
    batch = batch_of(*PAIR)
    done = batch.step(np.array([action], np.int32))
    assert (done.illegal[0], done.rewards[0]) == (True, -1.0)


def test_stopping_ends_the_episode_without_a_reward():
    batch = batch_of(*PAIR)
    done = batch.step(np.array([batch.problem.stop], np.int32))
    assert (done.rewards[0], done.terminated[0], done.illegal[0]) == (0.0, True, False)


def test_the_episode_ends_after_max_moves_steps():
    batch = batch_of(*PAIR, max_moves=2)
    assert act(batch, slot=0, pm=1)[1] is False
    assert act(batch, slot=0, pm=1)[1] is True  # an illegal one counts as well


def test_reaching_the_goal_ends_the_episode():
    batch = batch_of(*PAIR, objective="cpu:8", goal=0.1)
    assert act(batch, slot=0, pm=1, variant=0) == (1.0, True, False)


def test_a_move_price_takes_its_cost_from_the_reward():
    pms, _ = PAIR
    vms = [small("a", "p", 0, 4, cost=2.0), small("b", "q", 0, 4)]
    batch = batch_of(pms, vms, objective="cpu:8", move_price=0.25)
    assert act(batch, slot=0, pm=1, variant=0)[0] == pytest.approx(1.0 - 0.25 * 2.0)


def test_memory_binds_as_cores_do():
    pms = [machine("p", 8, memory=10), machine("q", 8, memory=10)]
    vms = [small("a", "p", 0, 1, memory=6), small("b", "q", 0, 1, memory=5)]
    batch = batch_of(pms, vms)
    assert act(batch, slot=0, pm=1)[2] is True  # 6 + 5 > 10


def test_the_gpus_of_a_machine_bind():
    cell = ({"cpu": 8 * CPU, "memory": 100},)
    pms = [PM("p", cell, {"gpu": 2000}), PM("q", cell, {"gpu": 1000})]
    vms = [VM("a", "p", (0,), {"cpu": CPU}, {"gpu": 2000}), VM("b", "p", (), {}, {"gpu": 0})]
    batch = batch_of(pms, vms)
    assert act(batch, slot=0, pm=1)[2] is True  # 2 GPUs do not fit on 1
    assert act(batch, slot=1, pm=1)[2] is False


def test_a_double_numa_vm_may_move_onto_one_of_its_own_nodes():
    """On three nodes of 8 cores, 6 on each of nodes 0 and 1 can become 6 on each of nodes 1 and 2."""
    batch = batch_of([machine("p", 8, 8, 8)], [VM("a", "p", (0, 1), {"cpu": 6 * CPU})], objective="cpu:2x2")
    assert batch.placement_mask(np.array([0]))[0].tolist() == [False, True, True]  # (0,1) is where it is
    assert act(batch, slot=0, pm=0, variant=2)[2] is False
    assert batch.state.model.alloc.used[0, ::2, 0].tolist() == [0, 6000, 6000]


def test_a_double_numa_chunk_takes_two_nodes_of_one_machine():
    # p: nodes with 8 and 4 free: one pair of 4s. q: 12 free on one node and 0 on the other: none.
    pms = [machine("p", 8, 8), machine("q", 12, 4)]
    vms = [small("a", "p", 1, 4), small("b", "q", 1, 4)]
    batch = batch_of(pms, vms, objective="cpu:8x2")
    assert batch.costs()[0] == pytest.approx(1 - 8 / 24)


@pytest.mark.parametrize(("scope", "limit", "illegal"), [("host", 1, True), ("host", 2, False), ("rack", 1, True)])
def test_anti_affinity_holds_by_host_and_by_rack(scope, limit, illegal):
    pms = [machine("p", 8, rack="r"), machine("q", 8, rack="s"), machine("o", 8, rack="s")]
    vms = [small("a", "p", 0, 1), small("b", "q", 0, 1)]
    batch = batch_of(pms, vms, [Group(("a", "b"), scope, limit)])
    to_host, to_rack = 1, 2  # b runs on machine 1; machine 2 is in the same rack
    assert act(batch, slot=0, pm=to_rack if scope == "rack" else to_host)[2] is illegal


def test_a_vm_that_has_left_no_longer_keeps_its_group_out():
    pms = [machine("p", 8), machine("q", 8), machine("o", 8)]
    vms = [small("a", "p", 0, 1), small("b", "q", 0, 1)]
    batch = batch_of(pms, vms, [Group(("a", "b"))])
    assert act(batch, slot=1, pm=2)[2] is False
    assert act(batch, slot=0, pm=1)[2] is False


def test_pins_hold():
    pms = [machine("p", 8), machine("q", 8), machine("o", 8)]
    vms = [
        small("a", "p", 0, 1, may_run_on=frozenset({"p", "o"})),
        small("b", "p", 0, 1, movable=False),
    ]
    batch = batch_of(pms, vms)
    assert batch.placement_mask(np.array([0]))[0].tolist() == [False, False, True]
    assert not batch.placement_mask(np.array([1])).any()
    assert batch.observe().slot_mask[0].tolist() == [True, False, True]


def test_an_inactive_machine_takes_no_vm_keeps_its_own_and_counts_in_no_fragment_rate():
    pms = [machine("p", 8), machine("q", 8), machine("off", 8, active=False)]
    vms = [small("a", "p", 0, 2), small("b", "off", 0, 2)]
    batch = batch_of(pms, vms, objective="cpu:8")
    assert batch.costs()[0] == pytest.approx(1 - 8 / 14)  # free 6 + 8; the 6 of the inactive machine do not count
    assert act(batch, slot=0, pm=2)[2] is True
    assert act(batch, slot=1, pm=1)[2] is True


def test_emptying_a_machine_is_worth_one_where_that_is_the_objective():
    batch = batch_of(*PAIR, objective="empty")
    assert batch.costs()[0] == 0
    assert act(batch, slot=0, pm=1, variant=1)[0] == pytest.approx(1.0)
    assert batch.costs()[0] == pytest.approx(-1 / 2)  # one of two machines is empty


# What the peers' public code gets wrong (facts of VMR2L's environments); each stays right here.


def feature(batch, kind, row, name):
    names = SLOT_FEATURES if kind == "slots" else BIN_FEATURES
    return float(getattr(batch.observe(), kind)[0, row, names.index(name)])


def test_slip_fragment_features_are_right_after_a_move_to_the_second_node():
    pms = [machine("p", 8, 8), machine("q", 16, 16)]
    batch = batch_of(pms, [small("a", "p", 1, 2)], objective="cpu:8")
    assert feature(batch, "bins", 0, "largest left over") == 6 / 8
    act(batch, slot=0, pm=1, variant=1)
    assert feature(batch, "bins", 0, "largest left over") == 0
    assert feature(batch, "bins", 1, "largest left over") == 6 / 8  # 14 free on node 1: one chunk and 6
    assert feature(batch, "bins", 1, "mean left over") == 3 / 8
    batch.problem.check(batch.state, 0)


def test_slip_a_vms_own_features_follow_it():
    pms = [machine("p", 8, 8), machine("q", 16, 16)]
    batch = batch_of(pms, [small("a", "p", 1, 2)], objective="cpu:8")
    assert feature(batch, "slots", 0, "free share of its cell") == 6 / 8
    act(batch, slot=0, pm=1, variant=0)
    assert feature(batch, "slots", 0, "free share of its cell") == 14 / 16
    assert feature(batch, "slots", 0, "left over of its cell") == 6 / 8
    assert feature(batch, "slots", 0, "has migrated in this episode") == 1
    assert batch.observe().slot_bin[0, 0] == 1


def test_slip_machines_of_any_size_are_scaled_by_their_own_capacity():
    """Nothing assumes 88 cores and 368,776 MB."""
    pms = [machine("p", 3, memory=7), machine("q", 500, memory=11)]
    batch = batch_of(pms, [small("a", "p", 0, 3, memory=7), small("b", "q", 0, 125)], objective="cpu:2")
    assert feature(batch, "bins", 0, "free share") == 0
    assert feature(batch, "bins", 1, "free share") == 0.75
    assert act(batch, slot=0, pm=1)[2] is False


def test_slip_amounts_are_whole_numbers_so_that_no_rounding_can_disagree():
    """A thousand moves there and back leave not the least difference."""
    batch = batch_of(*PAIR, objective="cpu:8", max_moves=2000)
    start = batch.costs()[0]
    for _ in range(500):
        act(batch, slot=0, pm=1, variant=0)
        act(batch, slot=0, pm=0, variant=0)
    assert batch.costs()[0] == start
    batch.problem.check(batch.state, 0)


def test_slip_a_seed_decides_everything_and_the_global_generator_nothing():
    problem = Problem(n_pms=4)
    starts = []
    for noise in (1, 2):
        np.random.seed(noise)  # noqa: NPY002
        batch = Batch(problem, 2)
        batch.reset(seed=7)
        starts.append(batch.observe())
    for one, other in zip(*starts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_checks_notice_a_state_that_is_not_kept():
    batch = batch_of(*PAIR)
    for array in (
        batch.state.model.alloc.used,
        batch.state.model.n_chunks,
        batch.state.seen.bins,
        batch.state.seen.slots,
    ):
        kept = array.copy()
        array[0].flat[0] += 1
        with pytest.raises(ValueError, match="Row 0"):
            batch.problem.check(batch.state, 0)
        array[:] = kept
    batch.problem.check(batch.state, 0)
