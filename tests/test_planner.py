"""The portfolio: who is asked when, what is kept, and when it ends. With the toy: each item placed costs -1."""

import threading
import time

import numpy as np
import pytest
from small_clusters import random_cluster
from toy_problem import Toy

from allocenv.core.batch import Batch
from allocenv.core.solver import Entry, Solution
from allocenv.planner import EXACT_FROM, as_solver, plan, pruned
from allocenv.problems.vm.planning import SOLVERS
from allocenv.problems.vm.problem import VM

ROOM = np.array([2, 1])  # of the toy's two bins: all three items can be placed
PLACE = [[0, 0], [1, 0], [2, 1]]  # (item, bin)


class Fake:
    """A solver that returns the first `n` placements, and remembers how it was called."""

    def __init__(self, n=0, bound=-np.inf, actions=None, claim=None, wait=False):
        self.actions = np.array(PLACE[:n] if actions is None else actions, np.int32).reshape(-1, 2)
        self.claim, self.bound, self.wait = -float(n) if claim is None else claim, bound, wait
        self.seconds, self.draws, self.starts, self.lock = [], [], [], threading.Lock()

    def __call__(self, problem, instance, seconds, rng, start=None, stop=lambda: False):
        with self.lock:
            self.seconds.append(seconds)
            self.draws.append(float(rng.random()))
            self.starts.append(start)
        until = time.perf_counter() + seconds
        while self.wait and not stop() and time.perf_counter() < until:
            time.sleep(0.001)
        return Solution(self.actions, self.claim, self.bound)


def run(seconds=0.3, workers=2, seed=0, listener=None, **entries):
    """Plan for the toy; entries: name -> (solver, part)."""
    solvers = {name: Entry(*entry) for name, entry in entries.items()}
    return plan(Toy(), ROOM, seconds, seed, workers, solvers, listener)


@pytest.mark.parametrize("parts", [("quick", "anytime"), ("anytime", "quick"), ("quick", "exact"), ("quick", "quick")])
def test_the_best_is_kept_whoever_found_it_and_whoever_comes_later(parts):
    found = run(EXACT_FROM, good=(Fake(2), parts[0]), bad=(Fake(1), parts[1]), worst=(Fake(0), "anytime"))
    assert found.solution.objective == -2
    assert found.solution.found_by == "good"
    assert found.solution.actions.tolist() == PLACE[:2]
    assert found.start == 0


def test_without_a_gain_nothing_is_done():
    found = run(idle=(Fake(0), "quick"))
    assert len(found.solution.actions) == 0
    assert found.solution.objective == found.start == 0
    assert found.history == []


def test_the_environment_has_the_last_word_on_the_objective():
    found = run(liar=(Fake(1, claim=-100.0), "quick"), honest=(Fake(2), "quick"))
    assert found.solution.objective == -2


@pytest.mark.parametrize("part", ["quick", "anytime", "exact"])
def test_an_illegal_plan_is_an_error_that_names_the_solver(part):
    cheat = Fake(actions=[[0, 0], [0, 1]])  # the item is placed already
    with pytest.raises(ValueError, match=r"Solver cheat returned a plan whose action 1 is illegal; this is a bug"):
        run(EXACT_FROM, cheat=(cheat, part))


def test_a_proof_ends_the_search_early():
    search = Fake(1, wait=True)
    began = time.perf_counter()
    found = run(4.0, search=(search, "anytime"), exact=(Fake(3, bound=-3.0), "exact"))
    assert found.proven
    assert found.solution.found_by == "exact"
    assert time.perf_counter() - began < 3.0  # 0.6 s of search alone, then the proof at once
    assert found.seconds < 3.0


def test_a_bound_proves_what_another_solver_found():
    found = run(EXACT_FROM, search=(Fake(3), "anytime"), exact=(Fake(0, bound=-3.0), "exact"))
    assert found.solution.found_by == "search"
    assert found.bound == -3
    assert found.proven


def test_a_looser_bound_proves_nothing():
    found = run(EXACT_FROM, search=(Fake(3), "anytime"), exact=(Fake(0, bound=-3.1), "exact"))
    assert not found.proven


def test_after_a_proof_nobody_is_asked():
    later = Fake(1)
    run(first=(Fake(3, bound=-3.0), "quick"), later=(later, "anytime"))
    assert later.seconds == []


def test_with_little_time_the_exact_solver_is_not_asked():
    exact = Fake(3)
    run(EXACT_FROM / 2, quick=(Fake(1), "quick"), exact=(exact, "exact"))
    assert exact.seconds == []


def test_solvers_of_no_part_are_not_asked():
    other = Fake(3)
    run(other=(other, "none"))
    assert other.seconds == []


def test_nobody_gets_more_time_than_is_left():
    quick, search = Fake(1, wait=True), Fake(2)
    found = run(0.2, quick=(quick, "quick"), search=(search, "anytime"))
    assert 0 < quick.seconds[0] <= 0.2
    assert search.seconds == []  # the quick one has used it up
    assert 0.2 <= found.seconds < 0.7


def test_anytime_solvers_run_on_every_worker_from_the_best_so_far():
    search, other = Fake(2), Fake(1)
    run(0.2, 5, quick=(Fake(1), "quick"), search=(search, "anytime"), other=(other, "anytime"))
    assert len(search.draws) == 3
    assert len(other.draws) == 2
    assert len({*search.draws, *other.draws}) == 5  # each with a random stream of its own
    assert all(start.objective <= -1 for start in (*search.starts, *other.starts))


def test_the_seed_decides_every_random_stream():
    streams = []
    for seed in (3, 3, 4):
        search, quick = Fake(1), Fake(0)
        run(0.2, 3, seed, search=(search, "anytime"), quick=(quick, "quick"))
        streams.append(sorted(search.draws + quick.draws))
    assert streams[0] == streams[1]
    assert streams[0] != streams[2]


def test_the_listener_hears_of_every_improvement():
    heard = []
    entries = {"one": (Fake(1), "quick"), "two": (Fake(2), "quick"), "again": (Fake(2), "quick")}
    found = run(0.2, 1, listener=lambda *told: heard.append(told), **entries)
    assert heard == found.history
    assert [(who, cost) for _, who, cost in heard] == [("one", -1), ("two", -2)]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_time_limit_is_positive(seconds):
    with pytest.raises(ValueError, match=r"positive time limit"):
        run(seconds, quick=(Fake(1), "quick"))


def test_as_one_solver_it_hands_on_plan_and_bound():
    entries = {"search": Entry(Fake(3), "anytime"), "exact": Entry(Fake(0, bound=-3.0), "exact")}
    solution = as_solver(entries, 1)(Toy(), ROOM, EXACT_FROM, np.random.default_rng(0))
    assert solution.objective == -3
    assert solution.proven
    assert solution.found_by == "planner: search"


def test_actions_without_which_the_rest_is_as_good_are_left_out():
    cluster = random_cluster(3)
    problem = VM.on(cluster, max_moves=6)
    good = SOLVERS["greedy"].solver(problem, cluster, 1.0, np.random.default_rng(0)).actions
    assert len(good)
    there_and_back = _detour(problem, cluster, good[:, 0])
    kept = pruned(problem, cluster, np.concatenate([there_and_back, good]))
    assert kept.tolist() == good.tolist()


def _detour(problem, cluster, others):
    """A move and the way back of a VM that is not among the others: [2, 2]."""
    batch = Batch(problem, 1)
    batch.load([cluster])
    slot = int(np.setdiff1d(np.flatnonzero(batch.observe().slot_mask[0]), others)[0])
    away = int(np.flatnonzero(batch.placement_mask(np.array([slot], np.int32))[0])[0])
    home = int(cluster.bin_of[slot] * problem.sizes.variants + cluster.variant_of[slot])
    return np.array([[slot, away], [slot, home]], np.int32)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_never_worse_than_its_quick_solvers_and_keeps_the_time(seed):
    cluster = random_cluster(seed, n_pms=8, n_vms=40)
    problem = VM.on(cluster, max_moves=4)
    problem.warm_up()
    greedy = SOLVERS["greedy"].solver(problem, cluster, 1.0, np.random.default_rng(0))
    found = plan(problem, cluster, 0.1, seed, workers=1)
    assert found.solution.objective <= greedy.objective + 1e-12
    assert len(found.solution.actions) <= 4
    assert found.seconds < 0.6  # 0.1, and what a busy machine adds
