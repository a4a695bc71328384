"""The pictures and the text show the numbers of the model."""

import numpy as np
import pytest

from allocenv.core.batch import Batch
from allocenv.core.rendering import pixels
from allocenv.heuristics import random_legal
from allocenv.problems.vm import drawing
from allocenv.problems.vm.cluster import PM, VM, build_cluster
from allocenv.problems.vm.problem import VM as Problem

CELL = {"cpu": 8000, "memory": 8192}


def snapshot():
    """p: 8 and 4 cores free on its nodes; q: 8 and 8; off is not active. One whole GPU is free on p."""
    pms = [PM("p", (CELL, CELL), {"gpu": 2000}), PM("q", (CELL, CELL)), PM("off", (CELL,), active=False)]
    vms = [VM("a", "p", (1,), {"cpu": 4000}, {"gpu": 1000}), VM("b", "off", (0,), {"cpu": 1000})]
    return build_cluster("test", pms, vms)


def episode(problem, moves):
    batch = Batch(problem, 1)
    batch.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(moves):
        outcome = batch.step(random_legal(rng)(batch))
        assert not outcome.terminated[0]
    return batch


def test_the_text_counts_cells_by_what_is_left_over():
    problem = Problem.on(snapshot(), objective="cpu:8")
    # 28 free cores, 3 whole chunks of 8: 1 - 24/28
    assert problem.render_text(episode(problem, 0).state, 0).splitlines() == [
        "8-core fragment rate 0.1429 -> 0.1429, 0 moves",
        "8-core chunks that fit: 3 -> 3",
        "left over  0 1 2 3 4 5 6 7  (up to so many cores)",
        "before     3 0 0 0 1 0 0 0  (NUMA nodes)",
        "after      3 0 0 0 1 0 0 0",
    ]


@pytest.mark.parametrize("objective", ["cpu:16", "cpu:32x2", "memory:64"])
def test_the_rate_drawn_is_the_objective(objective):
    problem = Problem(n_pms=5, objective=objective)
    batch = episode(problem, 10)
    view = drawing.view_of_row(problem.rules, batch.state.model, 0, problem.clusters.example)
    assert drawing.fragment_rate(view, view.after) == pytest.approx(batch.costs()[0])
    assert drawing.fragment_rate(view, view.before) == pytest.approx(batch.state.model.start[0])


def test_a_resource_of_the_whole_machine_is_drawn_by_machine():
    problem = Problem.on(snapshot(), objective="gpu:2")
    view = drawing.view_of_row(problem.rules, episode(problem, 0).state.model, 0, problem.clusters.example)
    assert view.before.tolist() == [[1000, 0, 0]]
    assert view.cells == "machines"
    assert drawing.fragment_rate(view, view.before) == 1.0


def test_a_row_and_the_clusters_it_stands_for_are_drawn_alike():
    problem = Problem(n_pms=5)
    instance = problem.draw(np.random.default_rng(0))
    batch = Batch(problem, 1)
    batch.load([instance])
    rng = np.random.default_rng(0)
    for _ in range(3):
        batch.step(random_legal(rng)(batch))
    row = drawing.view_of_row(problem.rules, batch.state.model, 0, problem.clusters.example)
    clusters = drawing.view_of_clusters(instance, problem.rules, problem.advanced(instance, batch.state, 0))
    for one, other in zip(row, clusters, strict=True):
        np.testing.assert_array_equal(one, other)


def test_chunks_too_large_for_a_bin_a_unit_share_bins():
    problem = Problem.on(snapshot(), objective="memory:64")
    view = drawing.view_of_row(problem.rules, episode(problem, 0).state.model, 0, problem.clusters.example)
    assert drawing._bin_names(view)[:3] == ["0", "4", "8"]
    assert drawing._histogram(view, view.before).tolist() == [0, 0, 4] + [0] * 13  # four nodes with 8 GiB


@pytest.mark.parametrize(("n_pms", "objective"), [(1, "cpu:16"), (40, "cpu:64x2"), (300, "empty")])
def test_a_figure_is_drawn_at_any_size(n_pms, objective):
    problem = Problem(n_pms=n_pms, objective=objective)
    cluster = problem.draw(np.random.default_rng(0))
    picture = pixels(drawing.figure_before_after(cluster, problem.rules, cluster))
    assert picture.shape == (682, 1210, 3)
    assert picture.std() > 10


def test_a_figure_outlines_the_machines_that_changed():
    cluster = snapshot()
    rules = Problem.on(cluster, objective="cpu:8").rules
    after = cluster.moved(np.array([1, 2]), cluster.variant_of)
    still = pixels(drawing.figure_before_after(cluster, rules, cluster))
    moved = pixels(drawing.figure_before_after(cluster, rules, after))
    assert (still != moved).any()
    assert "1 move" in drawing.headline(drawing.view_of_clusters(cluster, rules, after))
