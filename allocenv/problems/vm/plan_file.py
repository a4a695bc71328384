"""What is a rescheduling plan, on paper? Ordered moves with places, gains, reasons and waves; JSON and CSV.

The JSON document, version 1:

| field | holds |
|---|---|
| `allocenv_plan` | 1, the version of this layout |
| `source` | the snapshot the plan was made on |
| `objective` | what it minimises, such as `cpu:16` (see `Objective.parse`) |
| `bound` | no plan of as many moves can get below; null: unknown |
| `found_by` | the solver |
| `wave_cap`, `host_cap` | most moves of a wave at a time, and in and out of one host |
| `curve` | the objective after 0, 1, ..., n moves: the first is before the plan, the last after it |
| `moves` | in order, each legal when its turn comes (below) |

A move: `order` (from 1), `wave` (from 1; moves of a wave may run at once), `vm`, `from` and `to` (each `pm`
and `cells`, the NUMA nodes or GPUs), `takes` (what moves, in millicores, MiB, milli-GPUs, others as counted),
`gain` (how much lower the objective is after it) and `reason`. The CSV has the moves alone.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from os.path import isdir
from pathlib import Path

import numpy as np
from rich.table import Table

from allocenv.core.files import InputError, one_line, write_atomically
from allocenv.problems.vm.cluster import INT_MAX, Cluster
from allocenv.problems.vm.formats.fields import Field, read_json
from allocenv.problems.vm.objective import Objective, Rules
from allocenv.problems.vm.reasons import carry_out, reasons_of
from allocenv.problems.vm.replay import Replay, amount_text
from allocenv.problems.vm.waves import HOST_CAP, WAVE_CAP, waves_of

VERSION = 1
MAX_TEXT = 4000  # characters of a source or a reason
CSV_COLUMNS = (
    "order", "wave", "vm", "takes", "from_pm", "from_cells", "to_pm", "to_cells", "gain", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Move:
    """One migration."""

    order: int  # from 1
    vm: str
    from_pm: str
    from_cells: tuple[int, ...]
    to_pm: str
    to_cells: tuple[int, ...]
    takes: Mapping[str, int]  # over all its cells: millicores, MiB, milli-GPUs, others as counted
    gain: float  # how much lower the objective is after it
    reason: str
    wave: int  # from 1


@dataclass(frozen=True)
class Plan:
    """Ordered moves, each legal when its turn comes, and what they lead to."""

    source: str
    objective: str
    curve: tuple[float, ...]  # the objective after 0..n moves
    moves: tuple[Move, ...]
    bound: float = -np.inf
    found_by: str = ""
    wave_cap: int = WAVE_CAP
    host_cap: int = HOST_CAP

    @property
    def before(self) -> float:
        return self.curve[0]

    @property
    def after(self) -> float:
        return self.curve[-1]

    @property
    def proven(self) -> bool:
        """Whether no plan of as many moves is better."""
        return self.after <= self.bound + 1e-9


def make_plan(
    cluster: Cluster,
    rules: Rules,
    objective: Objective | str,
    moves: Sequence[tuple[int, int, int]],
    *,
    bound: float = -np.inf,
    found_by: str = "",
    wave_cap: int = WAVE_CAP,
    host_cap: int = HOST_CAP,
) -> Plan:
    """The plan of the moves (vm index, pm index, variant), in this order.

    Raises:
        ValueError: a move that is not legal when its turn comes.
    """
    replay = Replay(cluster, rules)
    curve, steps = [replay.objective()], []
    for i, (vm, pm, variant) in enumerate(moves):
        obstacle = replay.obstacle(vm, pm, variant)
        if obstacle is not None:
            raise ValueError(f"Expected legal moves, move {i + 1} is not: {obstacle.detail}.")
        steps.append(carry_out(replay, vm, pm, variant))
        curve.append(replay.objective())
    waves = waves_of(cluster, rules, moves, wave_cap, host_cap)
    reasons = reasons_of(cluster, rules, steps)
    records = tuple(
        Move(
            order=i + 1,
            vm=cluster.vm_ids[step.vm],
            from_pm=cluster.pm_ids[step.source],
            from_cells=step.cells,
            to_pm=cluster.pm_ids[step.pm],
            to_cells=cluster.cells_of(step.vm, step.variant),
            takes=_takes(cluster, step.vm),
            gain=step.gain,
            reason=reasons[i],
            wave=waves[i],
        )
        for i, step in enumerate(steps)
    )
    return Plan(cluster.source, str(objective), tuple(curve), records, bound, found_by, wave_cap, host_cap)


def _takes(cluster: Cluster, vm: int) -> dict[str, int]:
    shape = cluster.shape_of[vm]
    c = len(cluster.cell_resources)
    amounts = cluster.shape_demand[shape].astype(np.int64)
    amounts[:c] *= cluster.shape_nodes[shape]
    names = cluster.cell_resources + cluster.host_resources
    return {name: int(amount) for name, amount in zip(names, amounts, strict=True) if amount}


def write_plan(plan: Plan, path: str | Path) -> list[Path]:
    """Write the plan to a `.json` or `.csv` file, or both as `plan.json` and `plan.csv` into a folder.

    Returns what was written. A path without a suffix is a folder, which is made.
    """
    path = Path(path)
    if path.suffix == ".json":
        files = {path: plan_json(plan)}
    elif path.suffix == ".csv":
        files = {path: plan_csv(plan)}
    elif isdir(path) or not path.suffix:
        files = {path / "plan.json": plan_json(plan), path / "plan.csv": plan_csv(plan)}
    else:
        raise ValueError(f"Expected a folder, a .json or a .csv file, got {path}.")
    for name, text in files.items():
        write_atomically(name, text)
    return list(files)


def plan_json(plan: Plan) -> str:
    """The plan as the text of its JSON document."""
    document = {
        "allocenv_plan": VERSION,
        "source": one_line(plan.source, MAX_TEXT),
        "objective": plan.objective,
        "bound": plan.bound if np.isfinite(plan.bound) else None,
        "found_by": plan.found_by,
        "wave_cap": plan.wave_cap,
        "host_cap": plan.host_cap,
        "curve": list(plan.curve),
        "moves": [
            {
                "order": move.order,
                "wave": move.wave,
                "vm": move.vm,
                "from": {"pm": move.from_pm, "cells": list(move.from_cells)},
                "to": {"pm": move.to_pm, "cells": list(move.to_cells)},
                "takes": dict(move.takes),
                "gain": move.gain,
                "reason": move.reason,
            }
            for move in plan.moves
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def plan_csv(plan: Plan) -> str:
    """The moves as the text of a CSV file."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for move in plan.moves:
        takes, gain = takes_text(move.takes), f"{move.gain:.9g}"
        source, target = cells_text(move.from_cells), cells_text(move.to_cells)
        place = (move.from_pm, source, move.to_pm, target)
        writer.writerow((move.order, move.wave, move.vm, takes, *place, gain, move.reason))
    return out.getvalue()


def plan_table(plan: Plan) -> Table:
    """The plan for a terminal."""
    end = "proven optimal" if plan.proven else "" if np.isinf(plan.bound) else f"bound {plan.bound:.4f}"
    notes = ", ".join(note for note in (f"{len(plan.moves)} moves", plan.found_by, end) if note)
    table = Table(title=f"{plan.objective}: {plan.before:.4f} -> {plan.after:.4f} ({notes})")
    for name in ("move", "wave"):
        table.add_column(name, justify="right")
    for name in ("VM", "takes", "from", "to"):
        table.add_column(name)
    table.add_column("gain", justify="right")
    table.add_column("after", justify="right")
    table.add_column("reason")
    # Where all machines have one cell, as nodes of Kubernetes do, naming it says nothing.
    places = [cells for move in plan.moves for cells in (move.from_cells, move.to_cells)]
    has_cells = any(cells not in ((), (0,)) for cells in places)
    for move, after in zip(plan.moves, plan.curve[1:], strict=True):
        source, target = (cells_text(c) if has_cells else "" for c in (move.from_cells, move.to_cells))
        table.add_row(
            str(move.order), str(move.wave), move.vm, takes_text(move.takes),
            f"{move.from_pm} {source}".strip(), f"{move.to_pm} {target}".strip(),
            f"{move.gain:+.4f}", f"{after:.4f}", move.reason,
        )  # fmt: skip
    return table


def cells_text(cells: Sequence[int]) -> str:
    """`0`, `0+1`, or nothing."""
    return "+".join(map(str, cells))


def takes_text(takes: Mapping[str, int]) -> str:
    """`4 cores, 8 GiB memory`."""
    return ", ".join(amount_text(name, amount) for name, amount in takes.items())


def read_plan(path: str | Path) -> Plan:
    """Read a plan from its JSON file or the folder it was written to.

    Raises:
        InputError: a file that is no plan of this version, or a field that is missing or of the wrong type.
    """
    path = Path(path)
    document = read_json(path / "plan.json" if isdir(path) else path)
    document.get("allocenv_plan").whole(VERSION, VERSION)
    bound = document.find("bound")
    moves = [_move(found, i + 1) for i, found in enumerate(document.get("moves").each())]
    curve = document.get("curve")
    if len(curve.each()) != len(moves) + 1:
        raise InputError(curve.source, curve.name, f"{len(curve.value)} numbers", f"{len(moves) + 1}: moves + 1")
    return Plan(
        source=document.get("source").text(MAX_TEXT),
        objective=_objective(document.get("objective")),
        curve=tuple(value.number(-1e9, 1e9) for value in curve.each()),
        moves=tuple(moves),
        bound=-np.inf if bound is None else bound.number(-1e9, 1e9),
        found_by=document.get("found_by").text(MAX_TEXT),
        wave_cap=document.get("wave_cap").whole(1, INT_MAX),
        host_cap=document.get("host_cap").whole(1, INT_MAX),
    )


def _objective(found: Field) -> str:
    text = found.text()
    try:
        Objective.parse(text)
    except ValueError:
        raise found.wrong("an objective such as cpu:16") from None
    return text


def _move(found: Field, order: int) -> Move:
    found.get("order").whole(order, order)
    return Move(
        order=order,
        vm=found.get("vm").id(),
        from_pm=found.get("from").get("pm").id(),
        from_cells=_cells(found.get("from").get("cells")),
        to_pm=found.get("to").get("pm").id(),
        to_cells=_cells(found.get("to").get("cells")),
        takes={name: amount.whole(0, 10**12) for name, amount in found.get("takes").members().items()},
        gain=found.get("gain").number(-1e9, 1e9),
        reason=found.get("reason").text(MAX_TEXT),
        wave=found.get("wave").whole(1, INT_MAX),
    )


def _cells(found: Field) -> tuple[int, ...]:
    cells = tuple(cell.whole(0, 1000) for cell in found.each())
    if len(set(cells)) < len(cells):
        raise found.wrong("different cells")
    return tuple(sorted(cells))
