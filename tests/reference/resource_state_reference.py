"""The resource state in plain Python: which bin holds which item, and nothing kept beside it."""


class Twin:
    """One row. `demands[shape][variant]` and `capacities[bin]` are lists with one amount a resource."""

    def __init__(self, capacities, demands, shapes):
        self.capacities, self.demands, self.shapes = capacities, demands, shapes
        self.held = {}  # item -> (bin, variant); placed or touched last comes last

    def takes(self, item, variant):
        return self.demands[self.shapes[item]][variant]

    def used(self, bin_, without=None):
        held = [self.takes(i, v) for i, (b, v) in self.held.items() if b == bin_ and i != without]
        return [sum(amounts) for amounts in zip(*held, strict=True)] or [0] * len(self.capacities[bin_])

    def fits(self, item, bin_, variant):
        """What the item holds in the bin now does not count against it; a demand of 0 always fits."""
        if variant >= len(self.demands[self.shapes[item]]):
            return False
        rows = zip(self.takes(item, variant), self.used(bin_, without=item), self.capacities[bin_], strict=True)
        return all(need == 0 or taken + need <= capacity for need, taken, capacity in rows)

    def place(self, item, bin_, variant):
        self.held.pop(item, None)
        self.held[item] = (bin_, variant)

    def touch(self, item):
        self.place(item, *self.held[item])

    def touch_last(self, item):
        self.held = {item: self.held.pop(item), **self.held}

    def latest_first(self, bin_):
        return [i for i, (b, _) in reversed(self.held.items()) if b == bin_]

    def remove(self, item):
        del self.held[item]
