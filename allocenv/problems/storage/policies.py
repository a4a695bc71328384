"""Every policy for hybrid storage by name: what it is, and how to make a fresh one for a run."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from allocenv.problems.storage.baselines.selective import Admission, Fixed, Selective
from allocenv.problems.storage.dynamics import STAY
from allocenv.problems.storage.online.harmonia import Harmonia
from allocenv.problems.storage.online.sibyl import TENFOLD, Sibyl
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Replayer
from allocenv.problems.storage.trace import Trace


class Line(NamedTuple):
    """A policy of the registry. Names of those that read the future begin with `oracle_`."""

    what: str
    make: Callable[[Trace, System, int], Replayer]  # for a trace, a system, and a seed


POLICIES: dict[str, Line] = {
    "slow_only": Line("every page stays on the slowest device", lambda *_: Fixed(STAY)),
    "lru": Line("every page to the fastest device, least recently used out", lambda *_: Selective(Admission())),
    "lru_p05": Line("LRU, 5 % of the requests admitted at random", lambda *_: Selective(Admission(probability=0.05))),
    "lru_4hit": Line("LRU, admitted after 4 hits", lambda *_: Selective(Admission(hits=4))),
    "sibyl": Line("Sibyl (ISCA 2022): C51 chooses each request's device, learning online", Sibyl),
    "sibyl_tenfold": Line("Sibyl at ten times the published learning rate", partial(Sibyl, learning=TENFOLD)),
    "harmonia": Line("Harmonia (2025): one Q-network places, one migrates, learning online", Harmonia),
}
