"""VM rescheduling in plain Python: the model of VMR2L (EuroSys 2025, section 3) and its extensions.

Written from the definitions, on the records of a snapshot: nothing is kept but where each VM is, everything
else is counted anew when it is asked for.
"""

from collections import Counter
from itertools import combinations

UNITS = {"cpu": 1000, "memory": 1024, "gpu": 1000}


class Twin:
    """One episode. VMs and machines are named by their ids, cells of a machine by their index."""

    def __init__(self, pms, vms, groups, objective, max_moves, goal=None, move_price=0.0):
        self.pms = {pm.id: pm for pm in pms}
        self.vms = {vm.id: vm for vm in vms}
        self.groups, self.objective, self.goal, self.move_price = groups, objective, goal, move_price
        # who takes nothing of any cell is on none
        cells = {vm.id: tuple(sorted(vm.cells)) if any(vm.per_cell.values()) else () for vm in vms}
        self.at = {vm.id: (vm.pm, cells[vm.id]) for vm in vms}
        self.n_cells = max(len(pm.cells) for pm in pms)
        self.cell_resources = {name for pm in pms for cell in pm.cells for name in cell}
        self.ways = [list(combinations(range(self.n_cells), n)) for n in range(self.n_cells + 1)]
        self.n_variants = max((len(self.ways[len(taken)]) for taken in cells.values()), default=1)
        self.steps_left = max_moves

    def capacity(self, pm, cell, name):
        """What the machine offers on the cell (None: as a whole)."""
        if cell is None:
            return self.pms[pm].own.get(name, 0)
        cells = self.pms[pm].cells
        return cells[cell].get(name, 0) if cell < len(cells) else 0

    def taken(self, pm, cell, name, without=None):
        total = 0
        for vm, (host, cells) in self.at.items():
            if host == pm and vm != without:
                if cell is None:
                    total += self.vms[vm].own.get(name, 0)
                elif cell in cells:
                    total += self.vms[vm].per_cell.get(name, 0)
        return total

    def free(self, pm, cell, name):
        return self.capacity(pm, cell, name) - self.taken(pm, cell, name)

    def active(self):
        return [pm.id for pm in self.pms.values() if pm.active]

    def cells_of(self, term):
        """Where the term's resource is: on cells, or on the machine as a whole."""
        return range(self.n_cells) if term.resource in self.cell_resources else [None]

    def parts(self, term):
        """A chunk takes so many equal parts, each so large."""
        nodes = term.nodes if term.resource in self.cell_resources else 1
        return nodes, round(term.chunk * UNITS.get(term.resource, 1) / nodes)

    def chunks(self, term):
        """How many more chunks of the term the active machines could take, by trying."""
        nodes, part = self.parts(term)
        total = 0
        for pm in self.active():
            room = [max(self.free(pm, cell, term.resource), 0) // part for cell in self.cells_of(term)]
            while sum(fit > 0 for fit in room) >= nodes:
                for k in sorted(range(len(room)), key=lambda k: -room[k])[:nodes]:
                    room[k] -= 1
                total += 1
        return total

    def free_in_all(self, term):
        return sum(self.free(pm, cell, term.resource) for pm in self.active() for cell in self.cells_of(term))

    def worth_of_a_chunk(self, term):
        free = self.free_in_all(term)
        nodes, part = self.parts(term)
        return term.weight * nodes * part / free if free else 0.0

    def value(self):
        """The objective: weighted shares of what no chunk can use, less the share of emptied machines."""
        total = 0.0
        for term in self.objective.terms:
            if self.free_in_all(term):
                total += term.weight - self.worth_of_a_chunk(term) * self.chunks(term)
        hosts = {pm for pm, _ in self.at.values()}
        emptied = sum(pm not in hosts for pm in self.active())
        return total - self.objective.empty * emptied / max(len(self.active()), 1)

    def unit(self):
        """What a reward of 1 means: the objective of the most valuable chunk, or of an emptied machine."""
        values = [self.worth_of_a_chunk(term) for term in self.objective.terms]
        return max([*values, self.objective.empty / max(len(self.active()), 1)]) or 1.0

    def movable(self, vm):
        return self.vms[vm].movable and self.pms[self.at[vm][0]].active

    def domain(self, pm, group):
        return pm if group.scope == "host" else self.pms[pm].rack

    def legal(self, vm, pm, cells):
        """Whether the VM may migrate to these cells of the machine now."""
        record = self.vms[vm]
        if not self.movable(vm) or (pm, cells) == self.at[vm] or not self.pms[pm].active:
            return False
        if record.may_run_on is not None and pm not in record.may_run_on:
            return False
        for cell, needs in [*((cell, record.per_cell) for cell in cells), (None, record.own)]:
            for name, need in needs.items():
                if need > 0 and self.taken(pm, cell, name, without=vm) + need > self.capacity(pm, cell, name):
                    return False
        for group in self.groups:
            if vm in group.members:
                others = [self.domain(self.at[other][0], group) for other in set(group.members) - {vm}]
                if Counter(others)[self.domain(pm, group)] >= group.limit:
                    return False
        return True

    def placements(self, vm):
        """Every machine and choice of cells, at its index among the placements."""
        ways = self.ways[len(self.at[vm][1])]
        for i, pm in enumerate(self.pms):
            for v, cells in enumerate(ways):
                yield i * self.n_variants + v, pm, cells

    def placement_mask(self, slot):
        mask = [False] * (len(self.pms) * self.n_variants)
        if slot == len(self.vms):
            mask[0] = True
        else:
            vm = list(self.vms)[slot]
            for index, pm, cells in self.placements(vm):
                mask[index] = self.legal(vm, pm, cells)
        return mask

    def slot_mask(self):
        return [any(self.placement_mask(slot)) for slot in range(len(self.vms) + 1)]

    def step(self, slot, placement):
        """Carry out one action: (reward, terminated, illegal)."""
        self.steps_left -= 1
        over = self.steps_left <= 0
        exists = 0 <= slot <= len(self.vms) and 0 <= placement < len(self.pms) * self.n_variants
        if not exists or not self.placement_mask(slot)[placement]:
            return -1.0, over, True
        if slot == len(self.vms):
            return 0.0, True, False
        before, unit = self.value(), self.unit()
        vm = list(self.vms)[slot]
        self.at[vm] = next((pm, cells) for i, pm, cells in self.placements(vm) if i == placement)
        reward = (before - self.value()) / unit - self.move_price * self.vms[vm].cost
        reached = self.goal is not None and self.value() <= self.goal + 1e-12
        return reward, over or reached, False
