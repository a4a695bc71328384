"""An episode as the batch holds it: the model, and the features kept beside it. One step writes both."""

from typing import NamedTuple

from allocenv.core.kernel import kernel
from allocenv.problems.vm.dynamics import State, step_row
from allocenv.problems.vm.observation import Features, count_buckets, refresh


class Episode(NamedTuple):
    """B clusters in the middle of an episode, with what an agent sees of them."""

    model: State
    seen: Features


@kernel
def step(rules, e, actions, out, lo, hi):
    """Carry out one action in each of the rows lo..hi and renew the features of the machines it touched."""
    s, f = e.model, e.seen
    n_variants = s.alloc.demand.shape[2]
    for b in range(lo, hi):
        slot, placement = actions[b, 0], actions[b, 1]
        if slot < 0 or slot >= s.alloc.n_items[b] or placement < 0 or placement // n_variants >= s.alloc.n_bins[b]:
            step_row(rules, s, b, slot, placement, out)
            continue
        source, target = s.alloc.bin_of[b, slot], placement // n_variants
        count_touched(rules, s, f, b, source, target, -1)
        if step_row(rules, s, b, slot, placement, out):
            refresh(rules, s, f, b, source)
            if target != source:
                refresh(rules, s, f, b, target)
        count_touched(rules, s, f, b, source, target, 1)


@kernel
def count_touched(rules, s, f, b, source, target, sign):
    """Count the cells of the two machines (or the one) in or out of the buckets."""
    count_buckets(rules, s, f, b, source, sign)
    if target != source:
        count_buckets(rules, s, f, b, target, sign)
