"""A heap of prompts by gain: the largest on top, of equal ones the prompt with fewer rollouts, then the first."""

from allocenv.core.kernel import inlined


@inlined
def goes_first(levels, i, j):
    """Whether prompt i goes before j where their gains are equal."""
    return levels[i] < levels[j] or (levels[i] == levels[j] and i < j)


@inlined
def sink(key, row, levels, x, size):
    """Let place x sink to where it belongs: gains `key`, prompts `row`."""
    k, i = key[x], row[x]
    while True:
        child = 2 * x + 1
        if child >= size:
            break
        right = child + 1
        if right < size:
            if key[right] == key[child]:
                child += int(goes_first(levels, row[right], row[child]))
            else:
                child += int(key[right] > key[child])  # no branch: which of the two is larger cannot be predicted
        if k > key[child] or (k == key[child] and goes_first(levels, i, row[child])):
            break
        key[x], row[x] = key[child], row[child]
        x = child
    key[x], row[x] = k, i
