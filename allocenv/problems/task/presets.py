"""Which kinds of missions are there: sizes by default, rules, and where the published instances are."""

from dataclasses import replace

from allocenv.problems.task.instances import Generated, Given, Ranges, Source
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.paper.constants import VARIANTS, published
from allocenv.problems.task.rules import EVENTS, PAPER_ELECTRIC, PAPER_GRID, PRESET_RULES, Rules

MODES = ("fixed", "paper")
ROUTING = ("dcmrta", "heteromrta")
PRESET_RANGES: dict[str, Ranges] = {
    "rbf": Ranges((60, 60), (5, 5), (30, 30), (3, 3)),
    "material": Ranges((100, 100), (5, 5), (30, 30), (3, 3)),
    "electric": Ranges((20, 20), (5, 5), (30, 30), (1, 1)),
    "almighty": Ranges((25, 25), (9, 9), (9, 9), (8, 8)),
    "dcmrta": Ranges((20, 20), (0, 0), (50, 50), (1, 1)),
    "heteromrta": Ranges((15, 15), (0, 0), (20, 20), (5, 5)),
}
STEPPING = {"rbf": PAPER_GRID, "material": PAPER_GRID, "electric": PAPER_ELECTRIC, "almighty": EVENTS}


def rules_of(preset: str, mode: str) -> Rules:
    """The rules of a preset. Raises ValueError for an unknown one, or a mode that it does not have."""
    if preset not in PRESET_RULES:
        raise ValueError(f"Expected a preset among {', '.join(PRESET_RULES)}, got {preset!r}.")
    if mode not in MODES:
        raise ValueError(f"Expected a mode among {', '.join(MODES)}, got {mode!r}.")
    if mode == "fixed":
        return PRESET_RULES[preset]
    if preset in ROUTING:
        raise ValueError(f"Expected mode 'fixed' of {preset}: paper mode is of {', '.join(STEPPING)}.")
    return PRESET_RULES[preset]._replace(stepping=STEPPING[preset], period=1.0)  # its controller is asked each step


def ranges_of(preset: str, given: dict[str, int | tuple[int, ...] | None]) -> Ranges:
    """The sizes of a preset, but for those given as a number or as (low, high)."""
    changed = {name: _range(name, value) for name, value in given.items() if value is not None}
    sizes = replace(PRESET_RANGES[preset], **changed)
    if preset != "almighty":
        return sizes
    if changed.keys() - {"abilities"}:
        raise ValueError(f"Expected n_abilities alone of almighty, which decides its size, got {', '.join(changed)}.")
    low, high = sizes.abilities
    return Ranges((3 * low + 1, 3 * high + 1), (low + 1, high + 1), (low + 1, high + 1), (low, high))


def _range(name: str, value: int | tuple[int, ...]) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, int) for v in pair):
        raise ValueError(f"Expected n_{name} to be a number or two, low and high; got {value!r}.")
    return pair[0], pair[1]


def find_source(preset: str, mode: str, source: str, sizes: Ranges, arrivals: float) -> Source:
    """`generated`, `published`, a variant of the published rbf, or the name of a file of missions."""
    if mode == "paper":
        return Given((published_mission(preset, "published" if source == "generated" else source, True),))
    if source == "generated":
        return Generated(preset, sizes, arrivals)
    if preset not in ROUTING and (source == "published" or source in VARIANTS):
        return Given((published_mission(preset, source, False),))
    from allocenv.problems.task.formats import read_missions

    return Given(read_missions(preset, source))


def published_mission(preset: str, source: str, faithful: bool) -> Mission:
    """The published instance of a preset; for rbf a variant may be named."""
    return published(preset, "base" if source == "published" else source, faithful)
