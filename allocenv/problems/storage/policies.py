"""Every policy for hybrid storage by name: what it is, and how to make a fresh one for a run."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from allocenv.problems.storage.baselines.archivist import archivist
from allocenv.problems.storage.baselines.cached import STYLES, Cached
from allocenv.problems.storage.baselines.clairvoyant import belady, cost_aware
from allocenv.problems.storage.baselines.frequency import hps, lfu_migration
from allocenv.problems.storage.baselines.hot_cold import tuned_cde
from allocenv.problems.storage.baselines.k_svm import k_svm
from allocenv.problems.storage.baselines.rnn_hss import rnn_hss
from allocenv.problems.storage.baselines.selective import Admission, Fixed, Selective
from allocenv.problems.storage.baselines.tuning import hindsight_tuned, tuned_before
from allocenv.problems.storage.dynamics import STAY
from allocenv.problems.storage.foresight.agent import Foresight
from allocenv.problems.storage.foresight.choice import FRUGAL_RULES, ONLINE_RULES
from allocenv.problems.storage.online.harmonia import Harmonia
from allocenv.problems.storage.online.sibyl import TENFOLD, Sibyl
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Replayer
from allocenv.problems.storage.trace import Trace


class Line(NamedTuple):
    """A policy of the registry. Names of those that read the future begin with `oracle_`."""

    what: str
    make: Callable[[Trace, System, int], Replayer]  # for a trace, a system, and a seed
    taught: bool = False  # it knows the first half before it starts: to be judged on the second only
    learnt: bool = False


def _cached(name: str) -> Line:
    return Line(f"every page to the fastest device, {STYLES[name]}", lambda _, __, seed: Cached(name, seed))


POLICIES: dict[str, Line] = {
    "slow_only": Line("every page stays on the slowest device", lambda *_: Fixed(STAY)),
    "lru": Line("every page to the fastest device, least recently used out", lambda *_: Selective(Admission())),
    "lru_p05": Line("LRU, 5 % of the requests admitted at random", lambda *_: Selective(Admission(probability=0.05))),
    "lru_4hit": Line("LRU, admitted after 4 hits", lambda *_: Selective(Admission(hits=4))),
    **{name: _cached(name) for name in STYLES},
    "tuned_lru": Line("selective LRU: the best setting on the first half", tuned_before, taught=True),
    "cde": Line(
        "hot or random writes up, cold sequential ones down", lambda t, system, _: tuned_cde(t, system), taught=True
    ),
    "hps": Line("by epochs: pages used above a threshold", lambda trace, *_: hps(trace)),
    "lfu_migration": Line("by epochs: the 1024 most used of the slower device", lambda trace, *_: lfu_migration(trace)),
    "archivist": Line(
        "by epochs: pages a neural network calls hot", lambda trace, _, seed: archivist(trace, seed), learnt=True
    ),
    "k_svm": Line(
        "by epochs: pages a support vector machine calls hot", lambda trace, _, seed: k_svm(trace, seed), learnt=True
    ),
    "rnn_hss": Line(
        "by epochs: pages an LSTM expects to be used most", lambda trace, _, seed: rnn_hss(trace, seed), learnt=True
    ),
    "oracle_tuned_lru": Line("selective LRU: the best setting on the half it is judged on", hindsight_tuned),
    "oracle_belady": Line("the future known: the pages used next, others refused", lambda trace, *_: belady(trace)),
    "oracle_cost_aware": Line(
        "the same, for pages used often enough to pay for their move; tuned on the half it is judged on",
        lambda trace, system, _: cost_aware(trace, system),
    ),
    "sibyl": Line("Sibyl (ISCA 2022): C51 chooses each request's device, learning online", Sibyl, learnt=True),
    "sibyl_tenfold": Line(
        "Sibyl at ten times the published learning rate", partial(Sibyl, learning=TENFOLD), learnt=True
    ),
    "foresight": Line(
        "ours: values learnt on the first half and online, rules in shadows", Foresight.taught, taught=True, learnt=True
    ),
    "foresight_frugal": Line(
        "the same where moves are dear (wear, four devices): many times as cautious",
        partial(Foresight.taught, rules=FRUGAL_RULES, if_free=()),
        taught=True,
        learnt=True,
    ),
    "foresight_online": Line(
        "ours, learning from nothing while the trace is replayed",
        partial(Foresight, rules=ONLINE_RULES, credited=False),
        learnt=True,
    ),
    "harmonia": Line("Harmonia (2025): one Q-network places, one migrates, learning online", Harmonia, learnt=True),
}
