"""Coalition routing as an obvious discrete-event simulation: a list of arrivals, robots that wait, teams that leave."""

from math import dist


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
