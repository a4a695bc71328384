"""Coalition routing as an obvious discrete-event simulation: a list of arrivals, robots that wait, teams that leave.

And the features of its candidates, one by one, from what their table says.
"""

from math import dist, exp

import numpy as np

WAY_SHARE, CRITICAL = 0.6, 0.25


def run(problem, routes):
    """Start times by task and the makespan (None where a task never starts)."""
    places = [tuple(xy) for xy in problem.start_xy]
    free_at = [0.0] * problem.n_robots
    to_do = [list(route) for route in routes]
    waiting = {}  # task -> robots there, in the order of arrival
    start = {task: 0.0 for task in range(problem.n_tasks) if not any(problem.need[task])}
    ends = [float(problem.duration[task]) for task in start]
    is_waiting = set()
    while True:
        arrivals = [
            (free_at[r] + dist(places[r], problem.task_xy[to_do[r][0]]) / problem.velocity, r)
            for r in range(problem.n_robots)
            if to_do[r] and r not in is_waiting
        ]
        if not arrivals:
            break
        now, r = min(arrivals)
        task = to_do[r].pop(0)
        places[r], free_at[r] = tuple(problem.task_xy[task]), now
        if task in start:
            continue
        waiting.setdefault(task, []).append(r)
        is_waiting.add(r)
        there = [sum(problem.ability[q][k] for q in waiting[task]) for k in range(len(problem.need[task]))]
        if all(have >= needed for have, needed in zip(there, problem.need[task], strict=True)):
            start[task] = now
            ends.append(now + problem.duration[task])
            for q in waiting.pop(task):
                is_waiting.discard(q)
                free_at[q] = now + problem.duration[task]
    if len(start) < problem.n_tasks or is_waiting:
        return start, None
    home = [
        free_at[r] + dist(places[r], problem.start_xy[r]) / problem.velocity
        for r in range(problem.n_robots)
        if routes[r]
    ]
    return start, max(home + ends)


class Candidates:
    """A problem and where its robots are: `ready` and `place` [R] (a task, or None at the depot), tasks `left`."""

    def __init__(self, problem, ready, place, left):
        self.problem, self.ready, self.place, self.left = problem, list(ready), list(place), list(left)
        self.robots, self.skills = range(problem.n_robots), range(problem.need.shape[1])

    def from_task(self, one, other):
        xy = self.problem.task_xy
        return dist(xy[one], xy[other]) / self.problem.velocity

    def from_depot(self, r, task):
        return dist(self.problem.start_xy[r], self.problem.task_xy[task]) / self.problem.velocity

    def way(self, r, task):
        return self.from_depot(r, task) if self.place[r] is None else self.from_task(self.place[r], task)

    def arrival(self, r, task):
        return self.ready[r] + self.way(r, task)

    def covered(self, task, arrivals):
        """When enough robots of every skill have arrived."""
        start = 0.0
        for k in self.skills:
            there = 0
            for now, r in sorted((arrivals[r], r) for r in self.robots):
                if there >= self.problem.need[task][k]:
                    break
                if self.problem.ability[r][k] > 0:
                    there += self.problem.ability[r][k]
                    start = max(start, now)
        return start

    def earliest(self, task):
        return self.covered(task, [self.arrival(r, task) for r in self.robots])

    def unit(self):
        n, p = self.problem.n_tasks, self.problem
        ways = [self.from_task(i, j) for i in range(n) for j in range(n)]
        ways += [self.from_depot(r, j) for r in self.robots for j in range(n)]
        return float(np.mean(ways) + p.duration.mean())

    def mean_way(self, task):
        others = [self.from_task(other, task) for other in self.left if other != task]
        return float(np.mean(others)) if others else 0.0

    def end(self, k):
        """When the skill ends, by estimate."""
        p, able = self.problem, max(sum(self.problem.ability[:, k]), 1)
        needing = [task for task in self.left if p.need[task][k] > 0]
        work = sum(p.ability[r][k] * self.ready[r] for r in self.robots)
        work += sum(p.need[task][k] * (p.duration[task] + WAY_SHARE * self.mean_way(task)) for task in needing)
        for r in self.robots:
            if needing:
                home = WAY_SHARE * np.mean([self.from_depot(r, task) for task in needing])
            else:
                home = 0.0 if self.place[r] is None else self.from_depot(r, self.place[r])
            work += p.ability[r][k] * home
        return work / able

    def work_left(self, k):
        p = self.problem
        return sum(p.need[task][k] * p.duration[task] for task in self.left) / max(sum(p.ability[:, k]), 1)

    def delays(self, task, team, start):
        """When the other open tasks can start after this one: {task: (now, then)}."""
        end, out = start + self.problem.duration[task], {}
        for other in self.left:
            if other != task:
                arrivals = [
                    end + self.from_task(task, other) if r in team else self.arrival(r, other) for r in self.robots
                ]
                out[other] = self.earliest(other), max(self.earliest(other), self.covered(other, arrivals))
        return out

    def features(self, teams):
        """{(task, rule): [26]}; `teams` {(task, rule): (members, start)}, rule 0 is EARLIEST."""
        p, unit, n = self.problem, self.unit(), self.problem.n_tasks
        ends = [self.end(k) for k in self.skills]
        final = max(ends)
        able = [sum(p.ability[:, k]) for k in self.skills]
        critical = [exp((ends[k] - final) / (CRITICAL * unit)) if able[k] else 0.0 for k in self.skills]
        critical = [c / sum(critical) for c in critical]
        home = {task: max([self.from_depot(r, task) for r in teams[task, 0][0]], default=0.0) for task in self.left}
        longest = max(p.duration[task] + home[task] for task in self.left)
        homes = [self.ready[r] + self.from_depot(r, self.place[r]) for r in self.robots if self.place[r] is not None]
        last = max(homes, default=0.0)
        first = min(self.earliest(task) for task in self.left)
        late = dict.fromkeys(self.left, 0.0)
        for task in self.left:
            for other, (now, then) in self.delays(task, *teams[task, 0]).items():
                late[other] += then - now
        out = {}
        for (task, rule), (team, start) in teams.items():
            needed, d = [k for k in self.skills if p.need[task][k] > 0], p.duration[task]
            way_home = max([self.from_depot(r, task) for r in team], default=0.0)
            spent = {
                k: (
                    sum(p.ability[r][k] * (start + d - self.ready[r]) for r in team)
                    - p.need[task][k] * (d + WAY_SHARE * self.mean_way(task))
                )
                / able[k]
                for k in needed
            }
            delays = self.delays(task, team, start)
            done = max([then + p.duration[o] + home[o] for o, (_, then) in delays.items()], default=0.0)
            others = [self.from_task(o, task) for o in self.left if o != task]
            out[task, rule] = [
                (start - first) / unit,
                (start - np.mean(self.ready)) / unit,
                np.mean([start - self.ready[r] for r in team]) / unit if team else 0.0,
                np.mean([self.way(r, task) for r in team]) / unit if team else 0.0,
                (start - min([self.arrival(r, task) for r in team], default=start)) / unit,
                d / unit,
                way_home / unit,
                (start + d + way_home - last) / unit,
                (d + way_home - longest) / unit,
                len(team) / p.n_robots,
                min(others, default=0.0) / unit,
                self.mean_way(task) / unit,
                len(self.left) / n,
                max([self.work_left(k) for k in needed], default=0.0) / unit / 4,
                max(self.work_left(k) for k in self.skills) / unit / 4,
                float(rule == 1),
                float(rule == 2),
                2 * sum(critical[k] * spent[k] for k in needed) / unit,
                2 * (max(ends[k] + spent.get(k, 0.0) for k in self.skills) - final) / unit,
                (max([ends[k] for k in needed], default=0.0) - final) / unit,
                sum(critical[k] for k in needed),
                (start + d + way_home - final) / unit,
                np.mean([then - now for now, then in delays.values()]) / unit if delays else 0.0,
                (min([then for _, then in delays.values()], default=start + d) - first) / unit,
                late[task] / max(len(self.left) - 1, 1) / unit,
                (max(done, start + d + way_home) - final) / unit,
            ]
        return out
