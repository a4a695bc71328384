"""Why does a plan make each move? One sentence each, for the operator who has to approve it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from allocenv.core.arrays import LongArray
from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import ON_HOST, Rules
from allocenv.problems.vm.replay import Replay, amount_text, cell_word, chunks, rows_of_term

WHOLE = -1  # in place of a cell: the machine as a whole


class Change(NamedTuple):
    """The number of chunks of a term that fit somewhere, before and after a move."""

    term: int
    pm: int
    cell: int  # or WHOLE
    chunks: tuple[int, int]
    free: tuple[int, int]


@dataclass(frozen=True)
class Step:
    """One move of a replay and what it changed."""

    vm: int
    source: int
    cells: tuple[int, ...]  # that it left
    pm: int
    variant: int
    gain: float
    changes: tuple[Change, ...]
    empties: bool
    needed: LongArray  # [K*C + P]  what it took of the destination
    left: LongArray  # [K*C + P]  what it gave back at the source
    room: LongArray  # [K*C + P]  what was free at the destination before

    @property
    def wins(self) -> list[Change]:
        """Where more chunks fit than before, the heaviest term first."""
        return [change for change in self.changes if change.chunks[1] > change.chunks[0]]


def carry_out(replay: Replay, vm: int, pm: int, variant: int) -> Step:
    """Make the move and note what it changed. The caller has asked `obstacle`."""
    source = int(replay.bin_of[vm])
    cells, left, room = (
        replay.cells(vm),
        replay.demand(vm, int(replay.variant_of[vm])),
        replay.free[:, pm].copy(),
    )
    hosts = [source] if source == pm else [source, pm]
    before, objective = replay.free[:, hosts].copy(), replay.objective()
    replay.move(vm, pm, variant)
    return Step(
        vm=vm,
        source=source,
        cells=cells,
        pm=pm,
        variant=variant,
        gain=objective - replay.objective(),
        changes=tuple(_changes(replay, hosts, before)),
        empties=source != pm and replay.n_held[source] == 0,
        needed=replay.demand(vm, variant),
        left=left,
        room=room,
    )


def reasons_of(cluster: Cluster, rules: Rules, steps: Sequence[Step]) -> list[str]:
    """A sentence for each step."""
    later = _Later(steps)
    return [_reason(cluster, rules, steps, i, later) for i in range(len(steps))]


def _changes(replay: Replay, hosts: list[int], before: LongArray) -> list[Change]:
    rules, after = replay.rules, replay.free[:, hosts]
    out = []
    for t, chunk in enumerate(rules.term_chunk):
        rows = rows_of_term(rules, t)
        for h, pm in enumerate(hosts):
            if not replay.cluster.active[pm]:
                continue
            if rules.term_nodes[t] == 1:
                spots = [(cell, int(before[r, h]), int(after[r, h])) for cell, r in enumerate(rows)]
                found = [Change(t, pm, k, (b // int(chunk), a // int(chunk)), (b, a)) for k, b, a in spots]
            else:
                counts = [int(chunks(free[:, [h]], rules)[t, 0]) for free in (before, after)]
                totals = [int(free[rows, h].sum()) for free in (before, after)]
                found = [Change(t, pm, WHOLE, (counts[0], counts[1]), (totals[0], totals[1]))]
            out += [change for change in found if change.chunks[0] != change.chunks[1]]
    return out


class _Later:
    """Which steps win something at a place, come to a machine, or empty it: indices in order."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.wins: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.comes: dict[int, list[int]] = defaultdict(list)
        self.empties: dict[int, list[int]] = defaultdict(list)
        for i, step in enumerate(steps):
            for win in step.wins:
                self.wins[win.pm, win.cell].append(i)
            self.comes[step.pm].append(i)
            if step.empties:
                self.empties[step.source].append(i)


def _reason(cluster: Cluster, rules: Rules, steps: Sequence[Step], i: int, later: _Later) -> str:
    step = steps[i]
    source = cluster.pm_ids[step.source]
    if step.empties and rules.empty_weight and cluster.active[step.source]:
        return f"empties {source}"
    if step.wins and step.gain > 0:
        return _won(cluster, rules, step)
    for j in _after(i, [j for k in (*step.cells, WHOLE) for j in later.wins[step.source, k]]):
        win = next(win for win in steps[j].wins if win.pm == step.source)
        return f"a step towards {_chunk(cluster, rules, win)}, which move {j + 1} completes"
    for j in _after(i, later.empties[step.source] if rules.empty_weight else []):
        return f"helps to empty {source}, which move {j + 1} completes"
    for j in _after(i, later.comes[step.source]):
        if ((steps[j].needed > steps[j].room - step.left) & (steps[j].needed > 0)).any():
            return f"makes room on {source} for {cluster.vm_ids[steps[j].vm]} (move {j + 1})"
    if not cluster.active[step.source]:
        return f"takes it off {source}, which is not active"
    if step.wins:
        return _won(cluster, rules, step)
    return f"empties {source}" if step.empties else "changes nothing that the objective counts"


def _after(i: int, found: list[int]) -> list[int]:
    return sorted(j for j in found if j > i)


def _won(cluster: Cluster, rules: Rules, step: Step) -> str:
    win, *more = step.wins
    text = f"completes {_chunk(cluster, rules, win)} ({_span(cluster, rules, win)})"
    others = sum(change.chunks[1] - change.chunks[0] for change in more)
    lost = sum(c.chunks[0] - c.chunks[1] for c in step.changes if c.chunks[1] < c.chunks[0])
    if others:
        text += f" and {others} more chunk{'' if others == 1 else 's'}"
    return text + (f", gives up {lost} elsewhere" if lost else "")


def _chunk(cluster: Cluster, rules: Rules, win: Change) -> str:
    """`a free 16-core chunk on pm_12 node 0`."""
    name = _resource(cluster, rules, win.term)
    whole = int(rules.term_chunk[win.term]) * max(int(rules.term_nodes[win.term]), 1)
    amount, _, unit = amount_text(name, whole).partition(" ")
    size = f"{amount}-core" if name == "cpu" else f"{amount}-GiB memory" if name == "memory" else f"{amount}-{unit}"
    count = win.chunks[1] - win.chunks[0]
    what = f"a free {size} chunk" if count == 1 else f"{count} free {size} chunks"
    where = cluster.pm_ids[win.pm]
    if win.cell != WHOLE and cluster.n_cells > 1:
        where += f" {cell_word(cluster)} {win.cell}"
    elif rules.term_nodes[win.term] == 2:
        where = f"two {cell_word(cluster)}s of {where}"
    return f"{what} on {where}"


def _span(cluster: Cluster, rules: Rules, win: Change) -> str:
    """`14 -> 16 free`."""
    name = _resource(cluster, rules, win.term)
    before, after = (amount_text(name, amount).partition(" ")[0] for amount in win.free)
    return f"{before} -> {after} free"


def _resource(cluster: Cluster, rules: Rules, t: int) -> str:
    first = int(rules.term_resource[t])
    if rules.term_nodes[t] == ON_HOST:
        return cluster.host_resources[first - rules.n_cells * rules.n_cell_resources]
    return cluster.cell_resources[first]
