"""Online search: what would each plan of this round lead to, if a rule went on from there?

Candidates are the teams that rules of thumb of different patience would send now, each single team, and nobody.
Each is carried out on copies of the episode and followed to the end by the base rule; the best mean is sent
(rollouts: Bertsekas, Tsitsiklis & Wu, "Rollout algorithms for combinatorial optimization", 1997). The tasks to come
are drawn anew for every copy from those seen so far, or from a pool of others; `oracle_lookahead` knows them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from allocenv.core.arrays import Array, IntArray
from allocenv.core.batch import Batch
from allocenv.core.state_dict import named_arrays
from allocenv.problems.task.dynamics import OPEN, State
from allocenv.problems.task.mission import Mission
from allocenv.problems.task.rules import EVENTS
from allocenv.problems.task.search.followed import Followed, Numbers, plan, scratch
from allocenv.problems.task.search.settings import Setting, cover_costs, limits

if TYPE_CHECKING:
    from allocenv.problems.task.problem import Task

FUTURES = 8  # drawn for each round
BOLD = (0.1, 0.2, 0.3, 0.5, 1.0, 3.0)  # patience of the candidates
ANY = 1e9  # a limit that accepts every team that pays
TASK_ARRAYS = ("q_value", "q_need", "q_xy", "q_work", "q_rate", "q_owner")


class Pool(NamedTuple):
    """Tasks to draw futures from: the arrays of the state [P, ...], and their cover costs."""

    arrays: tuple[Array, ...]  # as TASK_ARRAYS
    cover: Array  # [P]


def pool_of(missions: Sequence[Mission]) -> Pool:
    """The tasks of other missions whose entities and abilities are alike; none may have an owner."""
    fields = ("value", "need", "task_xy", "work", "task_rate", "owner")
    arrays = tuple(np.concatenate([getattr(mission, name) for mission in missions]) for name in fields)
    return Pool(arrays, np.concatenate([cover_costs(mission) for mission in missions]))


class Lookahead:
    """Plays a batch by rollouts; rows are planned one after the other.

    Args:
        base: the rule that goes on after this round.
        rng: of the futures.
        known: whether the tasks to come are known as they are (the only way in paper mode).
        pool: where futures are drawn from; None: from the tasks seen so far.
    """

    def __init__(
        self,
        base: Setting,
        rng: np.random.Generator,
        known: bool = False,
        pool: Pool | None = None,
        futures: int = FUTURES,
    ) -> None:
        self.base, self.rng, self.known, self.pool = base, rng, known, pool
        self.futures = 1 if known else futures
        self.decided = 0  # rounds that were searched
        self._rows: dict[int, _Row] = {}
        self._copies: dict[int, Batch] = {}

    def __call__(self, batch: Batch) -> IntArray:
        """One action a row: [B, 2]."""
        return np.array([self._act(batch, b) for b in range(batch.n)], np.int32)

    def _act(self, batch: Batch, b: int) -> tuple[int, int]:
        problem: Task = batch.problem  # type: ignore[assignment]
        s: State = batch.state.model
        if s.over[b]:
            return problem.stop
        row = self._rows.get(b)
        if row is None or row.expected != s.steps_left[b]:
            row = self._rows[b] = self._begin(s, b, row)
        if not row.queue and not row.sent:
            row.queue = self._round(problem, batch, b, row)
            row.sent = bool(row.queue)
        row.expected = int(s.steps_left[b]) - 1
        if row.queue:
            return row.queue.pop(0)
        row.sent = False
        return problem.stop

    def _begin(self, s: State, b: int, old: "_Row | None") -> "_Row":
        """Learn what the row's mission costs to cover; again where the episode has begun anew."""
        mission = _mission_of(s, b)
        return _Row(mission, cover_costs(mission), float(mission.cost.mean()) or 1.0)

    def _round(self, problem: "Task", batch: Batch, b: int, row: "_Row") -> list[tuple[int, int]]:
        s: State = batch.state.model
        open_slots = np.flatnonzero(s.phase[b] == OPEN)
        free = (s.alloc.bin_of[b, : s.n_entities[b]] < 0) & (s.blocked[b, : s.n_entities[b]] == 0)
        if not len(open_slots) or not free.any():
            return []
        plans = self._plans(problem, batch, b, row, open_slots)
        if len(plans) == 1:
            return plans[0]
        self.decided += 1
        return plans[int(np.argmin(self._reached(problem, batch, b, row, plans)))]

    def _plans(
        self, problem: "Task", batch: Batch, b: int, row: "_Row", open_slots: Array
    ) -> list[list[tuple[int, int]]]:
        """Different things to do now, the base rule's first."""
        s: State = batch.state.model
        candidates = [self.base, *(self.base._replace(patience=d) for d in BOLD)]
        limit = np.array([limits(row.cover, row.mission.value, setting) for setting in candidates])
        single = np.zeros((len(open_slots) + 1, row.mission.n_tasks))
        for at, t in enumerate(open_slots):
            single[at, s.task[b, t]] = ANY
        copies = self._copy(problem, batch, b, len(limit) + len(single))
        numbers = self._numbers(row, copies, np.concatenate([limit, single]))
        work = scratch(copies.state.model)
        found: dict[tuple[tuple[int, int], ...], None] = {}
        for r in range(len(limit) + len(single)):
            plan(problem.rules, copies.state.model, numbers, work, r)
            queue = work.queue[r, : work.waiting[r]][::-1]
            found[tuple((int(i), int(t)) for i, t in queue)] = None
        return [list(one) for one in found]

    def _reached(self, problem: "Task", batch: Batch, b: int, row: "_Row", plans: list[list[tuple[int, int]]]) -> Array:
        """The mean objective that each plan leads to: [plans]."""
        n, f = len(plans), self.futures
        copies = self._copy(problem, batch, b, n * f)
        base = limits(row.cover, row.mission.value, self.base)
        limit = np.tile(base, (copies.n, 1))
        if not self.known:
            if problem.rules.stepping != EVENTS:
                raise ValueError("Expected mode 'fixed': in paper mode the list of tasks is what it is; use known.")
            self._draw(copies, row, limit, n, f)
        act = Followed(self._numbers(row, copies, limit))
        model: State = copies.state.model
        longest = max(len(one) for one in plans)
        stop = np.array(problem.stop, np.int32)
        queues = [one for one in plans for _ in range(f)]
        for at in range(longest + 1):  # the plan, then waiting
            live = [queue[at] if at < len(queue) else None for queue in queues]
            actions = np.array([stop if one is None else one for one in live], np.int32)
            done = np.array([at > len(queue) for queue in queues])
            if done.any():  # these have waited already
                actions[done] = act(copies)[: n * f][done]
                if act.scratch is not None:
                    act.scratch.expected[: n * f][~done] = -1
            actions = np.concatenate([actions, np.tile(stop, (copies.n - n * f, 1))])
            copies.step(actions)
        while not (model.over | (model.steps_left <= 0))[: n * f].all():
            copies.step(act(copies))
        costs = np.array([problem.cost(copies.state, r) for r in range(n * f)])
        return np.asarray(costs.reshape(n, f).mean(axis=1))

    def _copy(self, problem: "Task", batch: Batch, b: int, n: int) -> Batch:
        """Row b in each of at least n rows."""
        size = 16
        while size < n:
            size *= 2
        copies = self._copies.setdefault(size, Batch(problem, size))
        for (_, source), (_, target) in zip(named_arrays(batch.state), named_arrays(copies.state), strict=True):
            target[:] = source[b]
        copies.state.model.over[n:] = True
        return copies

    def _numbers(self, row: "_Row", copies: Batch, limit: Array) -> Numbers:
        s: State = copies.state.model
        padded = np.zeros(s.q_value.shape)
        padded[: len(limit), : limit.shape[1]] = limit
        haste = np.full(copies.n, self.base.haste * row.mean_cost)
        return Numbers(np.ones(s.cost.shape), padded, haste, np.full(copies.n, self.base.tau))

    def _draw(self, copies: Batch, row: "_Row", limit: Array, n: int, f: int) -> None:
        """Put drawn tasks in the place of those to come; future j is the same for every plan."""
        s: State = copies.state.model
        first, last = int(s.next_task[0]), int(s.n_tasks[0])
        if first == last:
            return
        seen = Pool(tuple(getattr(s, name)[0, :first].copy() for name in TASK_ARRAYS), row.cover[:first])
        pool = seen if self.pool is None else self.pool
        gaps = float(s.q_arrival[0, first - 1]) / first  # between arrivals seen so far
        for j in range(f):
            which = self.rng.integers(0, len(pool.cover), last - first)
            arrival = s.now[0] + np.cumsum(self.rng.exponential(gaps, last - first)) if gaps > 0 else None
            cover = pool.cover[which]
            limited = limits(cover, pool.arrays[0][which], self.base)
            for r in range(j, n * f, f):
                for name, array in zip(TASK_ARRAYS, pool.arrays, strict=True):
                    getattr(s, name)[r, first:last] = array[which]
                if arrival is not None:
                    s.q_arrival[r, first:last] = arrival
                limit[r, first:last] = limited


class _Row:
    """What is known of a row's episode."""

    def __init__(self, mission: Mission, cover: Array, mean_cost: float) -> None:
        self.mission, self.cover, self.mean_cost = mission, cover, mean_cost
        self.queue: list[tuple[int, int]] = []
        self.sent = False
        self.expected = -1


def _mission_of(s: State, b: int) -> Mission:
    """The mission of row b, from where its entities started."""
    m, q, k, t = int(s.n_entities[b]), int(s.n_tasks[b]), int(s.n_abilities[b]), int(s.n_slots[b])
    return Mission(
        "row", t, s.cost[b, :m].copy(), s.alloc.demand[b, :m, 0, :k].copy(), s.home[b, :m].copy(),
        s.rate[b, :m].copy(), s.q_value[b, :q].copy(), s.q_need[b, :q, :k].copy(), s.q_xy[b, :q].copy(),
        s.q_work[b, :q].copy(), s.q_arrival[b, :q].copy(), s.q_rate[b, :q].copy(), s.q_owner[b, :q].astype(np.int32),
    )  # fmt: skip
