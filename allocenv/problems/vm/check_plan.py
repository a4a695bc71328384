"""Does a plan still hold on a newer snapshot? Move by move, skipping what no longer does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from allocenv.core.files import InputError
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Objective, Rules, compile_rules
from allocenv.problems.vm.plan_file import Move, Plan, cells_text, make_plan
from allocenv.problems.vm.replay import ALREADY_THERE, LEGAL, Obstacle, Replay

VM_GONE = "VM gone"
VM_ELSEWHERE = "VM elsewhere"
VM_CHANGED = "VM changed"
HOST_GONE = "host gone"


@dataclass(frozen=True)
class Verdict:
    """What became of one move of a plan."""

    move: Move  # as planned
    status: str  # LEGAL, or why it was skipped: a constant of this module or of `replay`
    detail: str  # a sentence for people; empty where legal
    before: float  # the objective on the newer snapshot, before this move and ...
    after: float  # ... after it; equal where it was skipped
    renewed: Move | None  # the move with order, gain, reason and wave as of the newer snapshot

    @property
    def legal(self) -> bool:
        return self.status == LEGAL


def check_plan(plan: Plan, cluster: Cluster) -> list[Verdict]:
    """Replay the plan on a newer snapshot: a verdict a move. `verdicts[-1].after` is what it leads to.

    A move is skipped where its VM is gone, is not at the place it was to leave, or takes another number of
    cells than planned; where the destination is gone or not active; and where the move is illegal when its
    turn comes.

    Raises:
        InputError: the objective of the plan has no meaning on this cluster.
    """
    rules = rules_for(plan, cluster)
    vm_index = {name: i for i, name in enumerate(cluster.vm_ids)}
    pm_index = {name: i for i, name in enumerate(cluster.pm_ids)}
    replay = Replay(cluster, rules)
    found: list[tuple[Obstacle | None, float, float]] = []
    kept = []
    for move in plan.moves:
        before = replay.objective()
        vm, pm = vm_index.get(move.vm), pm_index.get(move.to_pm)
        obstacle: Obstacle | None
        if vm is None:
            obstacle = Obstacle(VM_GONE, f"{move.vm} is not in {cluster.source}")
        elif pm is None:
            obstacle = Obstacle(HOST_GONE, f"{move.to_pm} is not in {cluster.source}")
        else:
            variant = _variant(cluster, vm, move.to_cells)
            obstacle = _moved_or_changed(replay, move, vm, variant) or replay.obstacle(vm, pm, variant)
            if obstacle is None:
                replay.move(vm, pm, variant)
                kept.append((vm, pm, variant))
        found.append((obstacle, before, replay.objective()))
    renewed = iter(
        make_plan(cluster, rules, plan.objective, kept, wave_cap=plan.wave_cap, host_cap=plan.host_cap).moves
    )
    return [
        Verdict(move, LEGAL, "", before, after, next(renewed))
        if obstacle is None
        else Verdict(move, obstacle.status, obstacle.detail, before, after, None)
        for move, (obstacle, before, after) in zip(plan.moves, found, strict=True)
    ]


def repaired(plan: Plan, verdicts: Sequence[Verdict]) -> Plan:
    """The plan restricted to the moves that still hold, as of the snapshot it was checked on.

    Its bound is dropped: it was that of another snapshot.
    """
    moves = tuple(verdict.renewed for verdict in verdicts if verdict.renewed is not None)
    start = verdicts[0].before if verdicts else plan.before
    curve = (start, *(verdict.after for verdict in verdicts if verdict.legal))
    return replace(plan, moves=moves, curve=curve, bound=-np.inf)


def rules_for(plan: Plan, cluster: Cluster) -> Rules:
    """The plan's objective on the cluster."""
    try:
        objective = Objective.parse(plan.objective)
        return compile_rules(objective, cluster.n_cells, cluster.cell_resources, cluster.host_resources)
    except ValueError as error:
        raise InputError(cluster.source, "objective of the plan", plan.objective, str(error)) from None


def _variant(cluster: Cluster, vm: int, cells: tuple[int, ...]) -> int:
    """Which variant of the VM takes these cells, -1: none."""
    choices = cluster.variants[cluster.shape_nodes[cluster.shape_of[vm]]]
    return choices.index(cells) if cells in choices else -1


def _moved_or_changed(replay: Replay, move: Move, vm: int, variant: int) -> Obstacle | None:
    cluster = replay.cluster
    if variant < 0:
        wanted = cells_text(move.to_cells) or "none"
        return Obstacle(VM_CHANGED, f"{move.vm} takes {len(replay.cells(vm))} cells, the plan gives it {wanted}")
    here = cluster.pm_ids[replay.bin_of[vm]], replay.cells(vm)
    if here == (move.to_pm, move.to_cells):
        return Obstacle(ALREADY_THERE, f"{move.vm} is on {move.to_pm} already")
    if here != (move.from_pm, move.from_cells):
        place = f"{here[0]} {cells_text(here[1])}".strip()
        planned = f"{move.from_pm} {cells_text(move.from_cells)}".strip()
        return Obstacle(VM_ELSEWHERE, f"{move.vm} is on {place}, the plan found it on {planned}")
    return None
