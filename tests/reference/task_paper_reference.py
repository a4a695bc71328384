"""The published steps of RBF, Material and Electric in plain Python, written from facts/task_allocation.md 1 and 6."""

import math


class GridTwin:
    """RBF (material=False) or Material: lists of rows, dictionaries of slots."""

    def __init__(self, preset, material=False):
        self.material = material
        self.agents = [row[:4] for row in preset["agents"]]
        self.pos = [list(row[4:6]) if material else [3, 3] for row in preset["agents"]]
        cells = [row[4:6] for row in preset["tasks"]] if material else preset["task_cells"]
        self.queue = [(list(row[:4]), list(cell)) for row, cell in zip(preset["tasks"], cells, strict=True)]
        self.horizon = preset["horizon"]
        self.slots = [self.queue.pop(0) for _ in range(5)]
        self.age = [-1] * 5
        self.epoch = 0

    def empty(self, t):
        return sum(self.slots[t][0]) == 0

    def walk(self, i, t):
        """Where the controller sends entity i: True where it works."""
        cell = self.slots[t][1]
        if all(c <= 0 for c in cell):
            return False
        error = [cell[0] - self.pos[i][0], cell[1] - self.pos[i][1]]
        if error == [0, 0]:
            return True
        sign = [(e > 0) - (e < 0) for e in error]
        if not self.material and error[1] != 0:
            sign[0] = 0
        self.pos[i] = [p + d for p, d in zip(self.pos[i], sign, strict=True)]
        return False

    def step(self, target):
        """Returns reward, value, done."""
        self.epoch += 1
        workers = [i for i, t in enumerate(target) if t >= 0 and self.walk(i, t)]
        sums = [[0.0] * 4 for _ in range(5)]
        for i in workers:
            matching = [t for t in range(5) if list(self.slots[t][1]) == self.pos[i]]
            for t in matching[:1] if self.material else matching:
                sums[t] = [a + b for a, b in zip(sums[t], self.agents[i], strict=True)]
        reward = value = 0.0
        for t in range(5):
            row, cell = self.slots[t]
            if not self.empty(t) and all(s >= need for s, need in zip(sums[t][1:], row[1:], strict=True)):
                reward += row[0] - sums[t][0]
                value += row[0]
                self.slots[t] = ([0.0] * 4, [0, 0] if self.material else [-c for c in cell])
                self.age[t] = 1
        if not self.material:
            for t in range(5):
                if self.age[t] <= -10:
                    self.slots[t] = ([v * 0.99 for v in self.slots[t][0]], self.slots[t][1])
        done = (not self.queue and all(self.empty(t) for t in range(5))) or self.epoch >= self.horizon
        self.age = [a - 1 for a in self.age]
        if self.epoch % 5 == 0:
            for t in range(5):
                if self.empty(t) and self.queue:
                    self.slots[t] = self.queue.pop(0)
        return reward, value, done


class ElectricTwin:
    """Areas that lend power; every quirk of facts 6.6 kept."""

    def __init__(self, preset):
        self.areas, self.rate = preset["areas"], preset["convey_cost"]
        self.queue = list(preset["request_order"])
        self.horizon = preset["horizon"]
        self.idle = [True] * len(self.areas)
        self.slots = [self.take() for _ in range(5)]
        self.age = [-1] * 5
        self.epoch = 0

    def take(self):
        area = self.queue.pop(0)
        self.idle[area] = False
        return [2 * v for v in self.areas[area]]

    def cost(self, i, t):
        distance = math.dist(self.areas[i][2:], self.slots[t][2:])
        return (self.rate[i] + self.rate[t]) / 2 * distance

    def step(self, target):
        self.epoch += 1
        reward = value = 0.0
        costs = [sum(self.cost(i, t) for i, to in enumerate(target) if to == t) for t in range(5)]
        for t in range(5):
            power = sum(self.areas[i][1] for i, to in enumerate(target) if to == t)
            if sum(self.slots[t]) > 0 and power >= self.slots[t][1]:
                reward += self.slots[t][0] - costs[t]
                value += self.slots[t][0]
                same = [sum(a == b for a, b in zip(area[2:], self.slots[t][2:], strict=True)) for area in self.areas]
                self.idle[same.index(max(same))] = True
                self.slots[t] = [0.0] * 4
                self.age[t] = 1
        self.slots = [[v * 0.9 for v in row] if a <= -10 else row for row, a in zip(self.slots, self.age, strict=True)]
        done = (not self.queue and all(sum(row) == 0 for row in self.slots)) or self.epoch >= self.horizon
        self.age = [a - 1 for a in self.age]
        if self.epoch % 5 == 0:
            for t in [t for t in range(5) if sum(self.slots[t]) == 0]:
                if t == 2:
                    break
                if self.queue:
                    self.slots[t] = self.take()
        return reward, value, done
