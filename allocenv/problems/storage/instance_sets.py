"""Named, fixed windows to be judged on: all from second halves, while trainings draw from first ones."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from allocenv.core.instance_sets import bare_name
from allocenv.problems.storage.instances import Window, second_half_windows
from allocenv.problems.storage.sources import REAL, TRACES, find_trace

if TYPE_CHECKING:
    from allocenv.problems.storage.problem import Storage

MADE_UP = ("prxy_1", "rsrch_0", "hm_1", "usr_0")  # much and little written, small and large requests
WINDOWS = 5  # of each trace
JUDGE_SEED, VALIDATION_SEED = 500_000, 500_001  # of the generator; trainings use 0
VERSION = 1  # raised whenever a name comes to hold something else
# Name -> what it holds; for `allocenv list storage`.
INSTANCE_SETS = {
    "default": f"{WINDOWS} windows each of the made-up traces {', '.join(MADE_UP)}; needs no data",
    "validation": "the same of other seeds: to choose and tune by",
    **{name: f"{WINDOWS} windows of the second half: {TRACES[name]}" for name in REAL},
}


def instance_set(problem: "Storage", name: str) -> Iterator[tuple[str, Window]]:
    """Pairs (label, window). Raises ValueError for an unknown name or version, or where its data is not there."""
    name = bare_name(name, VERSION)
    if name not in INSTANCE_SETS:
        raise ValueError(f"Expected an instance set, one of {', '.join(INSTANCE_SETS)}; got {name!r}.")
    seed = VALIDATION_SEED if name == "validation" else JUDGE_SEED
    for trace_name in (name,) if name in REAL else MADE_UP:
        trace = find_trace(trace_name, seed)
        for window in second_half_windows(trace, WINDOWS, problem.episode, problem.warm):
            yield f"{trace_name}-{window.begin}", window
