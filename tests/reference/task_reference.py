"""Task allocation in plain Python: objects, lists and fractions of nothing, written from the rules' words.

An entity is free, committed to a task, or kept by its own task; time passes only when one waits.
"""

import math
from dataclasses import dataclass, field

FAR = math.inf


@dataclass
class Entity:
    cost: float
    ability: list
    xy: tuple
    rate: float
    home: tuple = ()
    task: "Job | None" = None
    arrives: float = 0.0
    left: float = 0.0


@dataclass
class Job:
    index: int
    value: float
    need: list
    xy: tuple
    work: float
    arrival: float
    rate: float
    owner: int
    opened: float = FAR
    team: list = field(default_factory=list)
    ready: float = FAR  # once its team is complete
    frozen: list | None = None  # the need of a complete team


class Twin:
    """One mission under the given `Rules`."""

    def __init__(self, mission, rules):
        self.rules = rules
        self.entities = [
            Entity(float(c), [int(v) for v in a], tuple(map(float, p)), float(r), tuple(map(float, p)))
            for c, a, p, r in zip(mission.cost, mission.ability, mission.xy, mission.rate, strict=True)
        ]
        self.queue = [
            Job(i, float(mission.value[i]), [int(v) for v in mission.need[i]], tuple(map(float, mission.task_xy[i])),
                float(mission.work[i]), float(mission.arrival[i]), float(mission.task_rate[i]), int(mission.owner[i]))
            for i in range(mission.n_tasks)
        ]  # fmt: skip
        self.total = mission.n_tasks
        self.slots = [None] * mission.slots
        self.now, self.net, self.done, self.over, self.makespan = 0.0, 0.0, 0, False, FAR
        self.refill()

    def refill(self):
        for t, job in enumerate(self.slots):
            if job is None and self.queue and self.queue[0].arrival <= self.now + 1e-9:
                self.slots[t] = self.queue.pop(0)
                self.slots[t].opened = self.now

    def distance(self, a, b):
        dx, dy = abs(a[0] - b[0]), abs(a[1] - b[1])
        return {0: 0.0, 1: dx + dy, 2: max(dx, dy), 3: math.hypot(dx, dy)}[self.rules.metric]

    def travel(self, entity, job):
        return self.distance(entity.xy, job.xy) / self.rules.speed

    def cost(self, entity, job):
        return entity.cost + (entity.rate + job.rate) / 2 * math.dist(entity.xy, job.xy)

    def factor(self, job):
        return self.rules.decay ** max(0.0, self.now - job.opened - self.rules.grace)

    def need(self, job):
        if job.frozen is not None:
            return job.frozen
        if not self.rules.decay_needs:
            return job.need
        return [math.ceil(v * self.factor(job) - 1e-9) for v in job.need]

    def lacks(self, job):
        return [n - sum(e.ability[r] for e in job.team) for r, n in enumerate(self.need(job))]

    def kept(self, i):
        return any(job is not None and job.owner == i for job in self.slots)

    def legal(self, slot, placement):
        n, t = len(self.entities), len(self.slots)
        if slot == n and placement == t:
            return True
        if not (0 <= slot <= n and 0 <= placement < t) or self.slots[placement] is None:
            return False
        job = self.slots[placement]
        if job.ready < FAR:
            return False
        if slot == n:
            return not self.rules.single and bool(job.team)
        entity = self.entities[slot]
        useful = any(a > 0 and lack > 0 for a, lack in zip(entity.ability, self.lacks(job), strict=True))
        return entity.task is None and not self.kept(slot) and useful

    def step(self, slot, placement):
        """The change of value less cost (or minus the time that passes), not scaled."""
        if slot == len(self.entities):
            if placement == len(self.slots):
                return 0.0 if self.over else self.wait()
            for entity in self.slots[placement].team:
                entity.task = None
            self.slots[placement].team = []
            return 0.0
        entity, job = self.entities[slot], self.slots[placement]
        entity.task = job
        job.team.append(entity)
        entity.arrives = self.now + self.travel(entity, job)
        self.close_if_complete(job)
        return 0.0

    def close_if_complete(self, job):
        if max(self.lacks(job)) > 0:
            return
        if not self.rules.single:
            for entity in job.team:
                entity.arrives = self.now + self.travel(entity, job)
        job.frozen = self.need(job)
        job.ready = max([self.now, *(e.arrives for e in job.team)]) + job.work

    def next_event(self):
        rules, events = self.rules, [self.rules.horizon]
        if rules.period:
            events.append((math.floor(self.now / rules.period + 1e-9) + 1) * rules.period)
        for job in filter(None, self.slots):
            events.append(job.ready)
            if rules.single and job.ready == FAR:
                events += [e.arrives + rules.wait_limit for e in job.team]
        if None in self.slots and self.queue:
            comes = max(self.now, self.queue[0].arrival)
            if rules.refill_every:
                k = math.ceil(comes / rules.refill_every - 1e-9)
                comes = k * rules.refill_every
                comes += rules.refill_every if comes <= self.now + 1e-9 else 0
            events.append(comes)
        return max(self.now, min(events))

    def wait(self):
        before, net = self.now, self.net
        self.now = self.next_event()
        for t, job in enumerate(self.slots):
            if job is None:
                continue
            if job.ready <= self.now + 1e-9:
                self.net += job.value * self.factor(job) - sum(self.cost(e, job) for e in job.team)
                for entity in job.team:
                    self.let_go(entity, job)
                self.slots[t] = None
                self.done += 1
            elif job.ready == FAR:
                if self.rules.single:
                    for entity in [e for e in job.team if e.arrives + self.rules.wait_limit <= self.now + 1e-9]:
                        job.team.remove(entity)
                        self.let_go(entity, job)
                self.close_if_complete(job)
        every = self.rules.refill_every
        if not every or abs(self.now / every - round(self.now / every)) < 1e-9:
            self.refill()
        if self.done == self.total:
            self.makespan = max(e.left + self.distance(e.xy, e.home) / self.rules.speed for e in self.entities)
        self.over = self.done == self.total or self.now >= self.rules.horizon - 1e-9
        if not self.rules.makespan:
            return self.net - net
        return before - self.now - ((self.objective() - self.now) if self.over else 0.0)

    def let_go(self, entity, job):
        entity.task, entity.left = None, self.now
        if self.rules.metric:
            entity.xy = job.xy

    def objective(self):
        if not self.rules.makespan:
            return -self.net
        return self.makespan if self.done == self.total else self.rules.horizon * (2 - self.done / self.total)
