"""The least total latency of a trace of single pages on two devices, by trying every admission and eviction."""

from functools import cache


def least_latency(requests, capacity, fast, slow, charged):
    """`requests`: pairs (page, whether it writes); `fast`, `slow`: microseconds of (a read, a write)."""
    evicting = fast[0] + slow[1] if charged else 0  # read there, write here
    admitting = fast[1] if charged else 0  # of a page that was just read

    @cache
    def rest(t, held):
        if t == len(requests):
            return 0
        page, write = requests[t]
        if page in held:
            return fast[write] + rest(t + 1, held)
        refused = slow[write] + rest(t + 1, held)
        admitted = fast[1] if write else slow[0] + admitting
        if len(held) < capacity:
            return min(refused, admitted + rest(t + 1, held | {page}))
        return min(
            [refused] + [admitted + evicting + rest(t + 1, held - {victim} | {page}) for victim in held],
        )

    return rest(0, frozenset())
