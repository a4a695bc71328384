"""Which moves of a plan can run at the same time?

In a wave all moves may run at once and finish in any order: while it runs, both the old and the new place of
each VM are counted as taken. A move overtakes an earlier one only if the two touch no common host, VM or
anti-affinity group, so the waves one after the other do exactly what the plan does.
"""

from collections import Counter
from collections.abc import Sequence

from allocenv.problems.vm.cluster import Cluster
from allocenv.problems.vm.objective import Rules
from allocenv.problems.vm.replay import Replay

# KubeVirt's defaults are 5 migrations at a time in the cluster and 2 out of a node.
WAVE_CAP = 5
HOST_CAP = 2

Step = tuple[int, int, int]  # vm, pm, variant


def waves_of(
    cluster: Cluster, rules: Rules, steps: Sequence[Step], wave_cap: int = WAVE_CAP, host_cap: int = HOST_CAP
) -> list[int]:
    """The wave of each step, from 1: at most `wave_cap` steps in one, `host_cap` in and out of one host.

    The steps must be legal one after the other; then each wave has at least one.
    """
    if wave_cap < 1 or host_cap < 1:
        raise ValueError(f"Expected caps of at least 1, got {wave_cap} a wave and {host_cap} a host.")
    replay = Replay(cluster, rules)
    wave_of = [0] * len(steps)
    waiting = list(range(len(steps)))
    wave = 0
    while waiting:
        wave += 1
        filling = _Wave(replay, host_cap)
        for i in waiting:
            if filling.admits(steps[i]):
                wave_of[i] = wave
            if filling.size == wave_cap:
                break
        for i in waiting:
            if wave_of[i]:
                replay.move(*steps[i])
        waiting = [i for i in waiting if not wave_of[i]]
    return wave_of


class _Wave:
    """What one wave holds so far, and what may not be overtaken any more."""

    def __init__(self, replay: Replay, host_cap: int) -> None:
        self.replay = replay
        self.host_cap = host_cap
        self.size = 0
        self.alone = False  # nobody may join the first
        self.free = replay.free.copy()
        self.moving: set[int] = set()
        self.at_host: Counter[int] = Counter()
        self.coming: Counter[tuple[int, int]] = Counter()  # (group, domain) -> members on their way
        self.waiting: set[tuple[str, int]] = set()  # hosts, VMs and groups of the moves put off

    def admits(self, step: Step) -> bool:
        """Let the step join if it can; if not, nothing that touches the same may join any more."""
        vm, pm, variant = step
        source = int(self.replay.bin_of[vm])
        groups = self.replay.groups(vm)
        touches = {("vm", vm), ("pm", pm), ("pm", source), *(("group", group) for group in groups)}
        joins = not self.alone and not touches & self.waiting and self._has_room(step, source)
        if not joins and (self.size or self.waiting):
            self.waiting |= touches
            return False
        # The first is legal alone, even where it changes node on a host too full to hold the VM twice.
        self.alone = not joins
        self.size += 1
        self.moving.add(vm)
        self.at_host.update({source, pm})
        self.free[:, pm] -= self.replay.demand(vm, variant)
        self.coming.update((group, self.replay.domain(group, pm)) for group in groups)
        return True

    def _has_room(self, step: Step, source: int) -> bool:
        """Whether the step is legal with everyone in the wave at both places."""
        vm, pm, variant = step
        if vm in self.moving or any(self.at_host[host] >= self.host_cap for host in (source, pm)):
            return False
        need = self.replay.demand(vm, variant)
        if ((need > self.free[:, pm]) & (need > 0)).any():
            return False
        return all(
            self.replay.members(group, pm, without=vm) + self.coming[group, self.replay.domain(group, pm)]
            < self.replay.cluster.group_limit[group]
            for group in self.replay.groups(vm)
        )
