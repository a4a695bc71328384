"""Hybrid storage as a Problem: parameters, and the assembly of the files beside this one."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from allocenv.core import resource_state
from allocenv.core.arrays import Array, BoolArray, FloatArray, IntArray
from allocenv.core.kernel import direct
from allocenv.core.problem import Observation, Outcome, Sizes
from allocenv.core.solver import Entry
from allocenv.core.state_dict import named_arrays
from allocenv.problems.storage import drawing, dynamics, episode, observation
from allocenv.problems.storage.devices import Device
from allocenv.problems.storage.episode import MODES, REWARDS, Episode, Form
from allocenv.problems.storage.instance_sets import instance_set
from allocenv.problems.storage.instances import Given, Source, Window, find_source, share_requests, shuffled
from allocenv.problems.storage.rules import FREE, WEAR_CREDIT_US, Rules, System
from allocenv.problems.storage.trace import Requests, Trace

LIMITS = {"episode": (1, 10**9), "candidates": (1, 1000), "stride": (1, 10**9), "warm": (0, 10**9)}


class Stage(NamedTuple):
    """One trace with its rules, and the kernel that steps rows of it."""

    requests: Requests
    rules: Rules
    warm_rules: Rules  # LRU fills the devices by these: nothing takes time or wears
    step: Callable[..., Any]


@dataclass(frozen=True)
class Storage:
    """Hybrid storage: which device serves a request, which pages move between devices.

    An action is (slot, device). `placement`: one slot, the next request. `migration`: slot 0 (with the last
    device) serves the next `stride` requests where their pages are, the other slots migrate a candidate page.
    `joint`: slot 0 is the next request, the other slots are candidates. An illegal action serves nothing, takes
    a step and is penalised. An episode is a window of a trace, warmed up by LRU.

    Args:
        mode: `placement`, `migration` or `joint`; see `episode.py`.
        source: the name of a made-up or real trace (`sources.TRACES`), a file, a `Trace`, or a `Source`. Episodes
            begin in the first half of a trace; instance sets are of the second.
        devices: `H&M`, `H&M&L`, ...; see `devices.py`.
        shares: capacities of all devices but the last, as shares of the trace's pages; None: the usual ones.
        accounting: who pays for moves: `charged`, `background` or `free`; see `rules.ACCOUNTING_MEANS`.
        loop: `closed`: one request at a time; `open`: requests arrive by the trace's clock.
        budget_mb_s: bandwidth of migration, 10**6 bytes a second; None: no limit.
        endurance: share of the warranted drive writes per day that may be used; None: no limit.
        episode: requests of a window.
        warm: requests before the window that LRU serves first, without taking time.
        candidates: pages that may be migrated, in modes `migration` and `joint`, until `stride` requests later.
        stride: requests.
        features: `binned` as in the papers, or `float`; see `observation.py`.
        reward: of a request that takes L: `latency`: -L in reads of a page anywhere on the slowest device (the
            return is then the objective, but for scale); `inverse`: a read of the fastest device / L; `sibyl`:
            the same less 0.001 of the time spent evicting, in reads of the fastest device, at least 0. Where a
            step serves several requests, L is their mean. Migrations: `latency`: minus what they add to the
            latency (moves charged); `inverse`: 0; `sibyl`: minus 0.001 of their time.

    The objective is mean latency / Fast-Only (Sibyl's main figure): requests of the window that are still to
    come, or never served, count as served by the slowest device.

    Source: Singh et al., "Sibyl", ISCA 2022; "Harmonia", arXiv 2503.20507.
    """

    mode: str = "placement"
    source: str | Trace | Source = "prxy_1"
    devices: str = "H&M"
    shares: tuple[float, ...] | None = None
    accounting: str = "charged"
    loop: str = "closed"
    budget_mb_s: float | None = None
    endurance: float | None = None
    episode: int = 1000
    warm: int = 1000
    candidates: int = 10
    stride: int = 50
    features: str = "binned"
    reward: str = "latency"

    def __post_init__(self) -> None:
        for name, known in (("mode", MODES), ("features", ("binned", "float")), ("reward", REWARDS)):
            if getattr(self, name) not in known:
                raise ValueError(f"Expected {name} among {', '.join(known)}, got {getattr(self, name)!r}.")
        for name, (low, high) in LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"Expected {name} from {low} to {high}, got {getattr(self, name)}.")
        _ = self.system

    @classmethod
    def on(cls, *windows: Window, **params: Any) -> "Storage":
        """The problem of these windows."""
        return cls(source=Given(windows), **params)

    @cached_property
    def system(self) -> System:
        """The devices and how they are run."""
        return System.named(
            self.devices,
            self.shares,
            accounting=self.accounting,
            loop=self.loop,
            budget_mb_s=self.budget_mb_s,
            endurance=self.endurance,
        )

    @cached_property
    def windows(self) -> Source:
        """Where episodes begin."""
        return find_source(self.source, self.episode, self.warm)

    @cached_property
    def form(self) -> Form:
        fast, slow = self.system.devices[0], self.system.devices[-1]
        return Form(
            mode=MODES.index(self.mode),
            candidates=0 if self.mode == "placement" else self.candidates,
            stride=self.stride,
            binned=self.features == "binned",
            reward=REWARDS.index(self.reward),
            slow_us=_random_read_us(slow),
            fast_us=_random_read_us(fast),
        )

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The traces of `windows`, in their order."""
        return tuple(self._stage(trace) for trace in self.windows.traces)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(
            slots=1 + self.form.candidates,
            bins=len(self.system.devices),
            variants=1,
            slot_features=len(observation.SLOT_FEATURES),
            bin_features=len(observation.BIN_FEATURES),
            context=len(observation.CONTEXT),
            placement_features=len(observation.PLACEMENT_FEATURES),
        )

    @property
    def stop(self) -> tuple[int, int]:
        """Serve what comes next, from the slowest device where that can be chosen."""
        return 0, len(self.system.devices) - 1

    @property
    def lasting_slots(self) -> bool:
        return False

    @property
    def agents(self) -> dict[str, tuple[int, ...]]:
        """Agent -> its slots: the two agents of Harmonia, in the joint mode. Migrations come before the request."""
        slots = tuple(range(self.sizes.slots))
        return {"migration": slots[1:], "placement": slots[:1]} if self.mode == "joint" else {}

    @cached_property
    def max_steps(self) -> int:
        return self._steps_of(self.windows.longest)

    def steps_left(self, state: Episode, b: int) -> int:
        return int(state.steps_left[b])

    def advanced(self, instance: Window, state: Episode, b: int) -> Window:
        saved = {name: array[b].copy() for name, array in named_arrays(state)}
        return replace(instance, saved=saved)

    def other_future(self, instance: Window, rng: np.random.Generator) -> Window:
        """The window with the requests of its second half in another order."""
        return shuffled(instance, rng)

    def overlap(self, one: Window, other: Window) -> bool:
        """Whether a request is in both windows."""
        return share_requests(one, other)

    @property
    def solvers(self) -> Mapping[str, Entry]:
        from allocenv.problems.storage.planning import SOLVERS

        return SOLVERS

    def expert(self, instance: Window, steps: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        from allocenv.problems.storage.planning import expert

        return expert(self, instance, steps)

    def rank(self, costs: Array, rewards: FloatArray) -> tuple[float, ...]:
        return (float(costs[-1]),)

    def warm_up(self) -> None:
        from allocenv.problems.storage.planning import warm_up

        warm_up()

    def holding(self, instances: Sequence[Window]) -> "Storage":
        return replace(self, source=Given(tuple(instances)))

    def instance_set(self, name: str) -> Iterator[tuple[str, Window]]:
        return instance_set(self, name)

    def empty(self, n: int) -> Episode:
        return self._empty(n, max(len(stage.requests.address) for stage in self.stages))

    def draw(self, rng: np.random.Generator) -> Window:
        return self.windows.draw(rng)

    def fill(self, state: Episode, b: int, instance: Window) -> None:
        which = self._which(instance.trace)
        x, rules, warm_rules, _ = self.stages[which]
        if instance.saved is not None:
            _load_row(state, b, instance.saved)
        else:
            dynamics.begin(rules, state.model, b, instance.begin - instance.warm)
            episode.serve_many(x, warm_rules, state.model, b, 0, instance.warm)
            episode.settle(state.model, b)
            episode.start(x, rules, self.form, state, b, instance.end, self._steps_of(len(instance)))
        state.trace[b] = which
        observation.describe(x, rules, self.form, state, b)

    def step(self, state: Episode, actions: IntArray, out: Outcome, lo: int, hi: int) -> None:
        for stage, begin, end in self._runs(state, lo, hi) if len(self.stages) > 1 else ((self.stages[0], lo, hi),):
            stage.step(stage.requests, stage.rules, self.form, state, actions, out, begin, end)

    def observe(self, state: Episode, out: Observation, lo: int, hi: int) -> None:
        # The first fields of `Seen` are an observation.
        if hi - lo == len(out.slots) == len(state.seen.slots):  # all rows: slices would take twice as long
            for array, kept in zip(out, state.seen, strict=False):
                array[...] = kept
            return
        for array, kept in zip(out, state.seen, strict=False):
            array[lo:hi] = kept[lo:hi]

    def placement_mask(self, state: Episode, slots: IntArray, out: BoolArray, lo: int, hi: int) -> None:
        _take(state.seen.legal, slots, out, lo, hi)

    def placement_features(self, state: Episode, slots: IntArray, out: FloatArray, lo: int, hi: int) -> None:
        _take(state.seen.placements, slots, out, lo, hi)

    def cost(self, state: Episode, b: int) -> float:
        latency: float = state.model.latency.item(b) + state.rest.item(b)
        return latency / float(state.model.baseline.item(b) + state.rest_baseline.item(b))

    def metrics(self, state: Episode, b: int) -> dict[str, float]:
        """Of the requests served so far, except for the objective, which is of the whole window."""
        s = state.model
        latency, baseline = s.latency.item(b), s.baseline.item(b)
        return {
            "objective": (latency + state.rest.item(b)) / (baseline + state.rest_baseline.item(b)),
            "mean_latency_us": latency / (s.served.item(b) or 1),
            "normalised": latency / (baseline or 1.0),
            "promoted": float(s.promoted.item(b)),
            "demoted": float(s.demoted.item(b)),
            "on_fastest": s.fast_pages.item(b) / (s.pages.item(b) or 1),
            "illegal": float(s.n_illegal.item(b)),
        }

    def check(self, state: Episode, b: int) -> None:
        x, rules, _, _ = self.stages[int(state.trace[b])]
        s = state.model
        resource_state.check(s.alloc, b)
        limit = rules.wear * (s.clock[b] + WEAR_CREDIT_US)
        _expect(bool((s.written[b, :-1] <= limit[:-1] + 1e-9).all()), b, "no device is written beyond its endurance")
        allowed = rules.budget * dynamics.now(rules, s, b) if math.isfinite(rules.budget) else math.inf
        _expect(s.migrated[b] <= allowed + 1e-9, b, "migration keeps to its bandwidth")
        _expect(s.served[b] == s.at[b] - state.begin[b], b, "`served` counts the requests since the window began")
        served = slice(int(state.begin[b]), int(s.at[b]))
        _expect(s.pages[b] == x.pages[served].sum(), b, "`pages` counts the pages of the requests served")
        op = x.write[served].astype(int)
        fast = rules.timing.first[op, 0] + (x.pages[served] - 1) * rules.timing.further[op, 0]
        _expect(bool(np.isclose(fast.sum(), s.baseline[b])), b, "`baseline` is what the fastest device would take")
        observation.check(x, rules, self.form, state, b)

    def render_text(self, state: Episode, b: int) -> str:
        return drawing.render_text(self._view(state, b))

    def render_figure(self, state: Episode, b: int) -> Any:
        return drawing.render_figure(self._view(state, b))

    def _view(self, state: Episode, b: int) -> drawing.View:
        return drawing.view_of_row(self.system, self.windows.traces[int(state.trace[b])].name, state, b)

    def _steps_of(self, requests: int) -> int:
        """Steps that an episode of so many requests may take."""
        rounds = math.ceil(requests / self.stride)
        turns = rounds if self.mode == "migration" else requests
        return turns + rounds * self.form.candidates

    def _which(self, trace: Trace) -> int:
        for i, known in enumerate(self.windows.traces):
            if known is trace:
                return i
        raise ValueError(f"Expected a window of {self._names()}, got one of {trace.name}: use `holding([window])`.")

    def _names(self) -> str:
        return ", ".join(trace.name for trace in self.windows.traces)

    def _runs(self, state: Episode, lo: int, hi: int) -> Iterator[tuple[Stage, int, int]]:
        """Ranges of rows on one trace each."""
        for which, rows in itertools.groupby(range(lo, hi), key=state.trace.item):
            found = list(rows)
            yield self.stages[which], found[0], found[-1] + 1

    def _empty(self, n: int, pages: int) -> Episode:
        slots, devices = self.sizes.slots, self.sizes.bins
        return Episode(
            model=dynamics.empty_state(n, pages, devices),
            trace=np.zeros(n, np.int64),
            begin=np.zeros(n, np.int64),
            end=np.zeros(n, np.int64),
            began=np.zeros(n),
            steps_left=np.zeros(n, np.int64),
            rest=np.zeros(n),
            rest_baseline=np.zeros(n),
            candidates=np.full((n, slots - 1), resource_state.NOBODY, np.int32),
            moves_left=np.zeros(n, np.int64),
            since=np.zeros(n, np.int64),
            course=np.zeros((n, episode.PARTS)),
            seen=observation.empty_seen(n, slots, devices),
        )

    def _stage(self, trace: Trace) -> Stage:
        rules = self.system.rules(trace)
        warm_rules = rules._replace(accounting=FREE, open_loop=False, wear=np.full_like(rules.wear, np.inf))
        out = Outcome(np.zeros(1, np.float32), *(np.zeros(1, np.bool_) for _ in range(3)))
        actions = np.zeros((1, 2), np.int32)
        row = self._empty(1, 1)
        step = direct(observation.step, trace.requests, rules, self.form, row, actions, out, 0, 1)
        return Stage(trace.requests, rules, warm_rules, step)


def _random_read_us(device: Device) -> float:
    """A read of one page anywhere."""
    return float(device.read_us + device.seek_us + device.rotation_us)


def _take(kept: Array, slots: IntArray, out: Array, lo: int, hi: int) -> None:
    """Write what is kept of the chosen slots into rows lo..hi; a slot that does not exist has nothing."""
    if hi - lo == 1 and 0 <= (slot := slots.item(lo)) < kept.shape[1]:  # of a single environment
        out[lo] = kept[lo, slot]
        return
    chosen = slots[lo:hi]
    exists = (chosen >= 0) & (chosen < kept.shape[1])
    out[lo:hi] = kept[np.arange(lo, hi), np.where(exists, chosen, 0)]
    out[lo:hi][~exists] = 0


def _load_row(state: Episode, b: int, saved: Mapping[str, Array]) -> None:
    """Write saved arrays into row b; pages beyond those of either do not exist."""
    for name, array in named_arrays(state):
        value = saved[name]
        both = tuple(slice(min(sizes)) for sizes in zip(array.shape[1:], value.shape, strict=True))
        row: Any = array[b : b + 1]
        row[(0, *both)] = value[both]


def _expect(holds: Any, b: int, what: str) -> None:
    if not holds:
        raise ValueError(f"Row {b} is inconsistent: expected that {what}.")
