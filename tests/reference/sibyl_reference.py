"""Sibyl's decision and reward, one request at a time, written from the paper with numpy matrices."""

from itertools import pairwise

import numpy as np

ATOMS = 51


def octave_bin(value):
    """Exact below 8, then four bins per power of two, at most 63."""
    if value < 8:
        return int(value)
    octave = int(np.log2(value)) - 2
    return min(4 * octave + int(value) // 2**octave, 63)


class SlowSibyl:
    """Looks at the trace and at where pages are, keeps its own counts, decides by a plain perceptron."""

    def __init__(self, sizes, weights, levels):
        self.levels, self.layers, w = levels, [], 0
        for n_in, n_out in pairwise(sizes):
            matrix = weights[w : w + n_in * n_out].reshape(n_in, n_out)
            self.layers.append((matrix, weights[w + n_in * n_out : w + (n_in + 1) * n_out]))
            w += (n_in + 1) * n_out
        self.count, self.last = {}, {}

    def see(self, requests, t, capacity, device_of):
        page, n = int(requests.first[t]), int(requests.pages[t])
        free = [c - int((device_of == d).sum()) for d, c in enumerate(capacity[:-1])]
        bins = [
            min(int(np.log2(n)), 7),
            int(requests.write[t]),
            octave_bin(t - self.last[page]) if page in self.last else 63,
            octave_bin(self.count.get(page, 0)),
            *[min(8 * f // c, 7) for f, c in zip(free, capacity, strict=False)],
            int(device_of[page]),
        ]
        for touched in range(page, page + n):
            self.count[touched] = self.count.get(touched, 0) + 1
            self.last[touched] = t
        return bins

    def values(self, bins):
        """Expected return of each device, as a share of the highest."""
        h = np.array(bins) / (self.levels - 1)
        for i, (matrix, bias) in enumerate(self.layers):
            h = h @ matrix + bias
            h = h / (1 + np.exp(-h)) if i < len(self.layers) - 1 else h
        p = np.exp(h.reshape(-1, ATOMS))
        return p @ np.linspace(0, 1, ATOMS) / p.sum(axis=1)


def reward(latency_us, evicted, eviction_us, fast_us, gamma):
    """1 / latency, less 0.001 a microsecond of eviction, never below 0; the fastest read earns 1 - gamma."""
    earned = 1 / latency_us
    if evicted:
        earned = max(0, earned - 0.001 * eviction_us)
    return (1 - gamma) * fast_us * earned
