"""What do accesses and moves cost, as far as they can be foreseen? Expected times on idle devices, microseconds."""

from allocenv.core.kernel import inlined, kernel
from allocenv.problems.storage.devices import MEAN_SQRT_DISTANCE
from allocenv.problems.storage.dynamics import READ, WRITE
from allocenv.problems.storage.rules import FREE


@inlined
def access_us(rules, device, op, n, sequential):
    """Time of one I/O."""
    timing = rules.timing
    us = timing.first[op, device] + (n - 1) * timing.further[op, device]
    if timing.full_seek[device] > 0.0 and not sequential:
        us += timing.track[device] + (timing.full_seek[device] - timing.track[device]) * MEAN_SQRT_DISTANCE
        us += timing.rotation[device]
    return us


@inlined
def saving_us(rules, device, op, n, sequential):
    """What a request saves on the device instead of the slowest."""
    slowest = rules.capacity.size - 1
    return access_us(rules, slowest, op, n, sequential) - access_us(rules, device, op, n, sequential)


@inlined
def eviction_us(rules, device, n):
    """Time to move a run of pages down."""
    return access_us(rules, device, READ, n, False) + access_us(rules, device + 1, WRITE, n, False)


@inlined
def place_us(rules, price, device, n):
    """Moves by which a place on the device comes free, where a request needs n of them.

    Args:
        price: [D - 1, 2]  what a place costs, see `leaving.new_price`.
    """
    return min(price[device, 0], eviction_us(rules, device, n) / n)


@inlined
def coming_us(rules, op, n, price):
    """What a request's pages pay to come to the fastest device, and for others to leave for them."""
    if rules.accounting == FREE:
        return 0.0
    us = access_us(rules, 0, WRITE, n, False) + n * place_us(rules, price, 0, n)
    if op == WRITE:
        us -= access_us(rules, rules.capacity.size - 1, WRITE, n, False)
    return us


@kernel
def saving_of_a_read(rules):
    """What a page saves on the fastest device instead of the slowest where it is read."""
    return saving_us(rules, 0, READ, 1, False)


@kernel
def steepest(rules):
    """How many times more of its saving a page may pay to go up one device than to come all the way; 1 of two."""
    slowest = rules.capacity.size - 1
    whole = (access_us(rules, 0, WRITE, 1, False) + eviction_us(rules, 0, 1)) / max(saving_of_a_read(rules), 1.0)
    most = whole
    for device in range(slowest):
        saving = access_us(rules, device + 1, READ, 1, False) - access_us(rules, device, READ, 1, False)
        cost = access_us(rules, device, WRITE, 1, False) + eviction_us(rules, device, 1)
        most = max(most, cost / max(saving, 1.0))
    return most / whole
