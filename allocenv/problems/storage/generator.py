"""What does a made-up trace look like that has published statistics? Write-heavy ones too, of which few real
ones are at hand.

The pages are cut into extents, each always requested as a whole, one after the other on the volume. Exactly as
many requests as there are extents touch one for the first time, so the number of pages is exact; the others
go on sequentially, return to a recent extent, or draw one by popularity: Zipf over the extents seen so far, with
ranks that drift. Shares are kept by feedback: what a share lacks so far raises its chance.
"""

from dataclasses import dataclass, replace

import numpy as np

from allocenv.core.arrays import LongArray
from allocenv.core.kernel import kernel
from allocenv.problems.storage.trace import PAGE_BYTES, Trace

RECENT = 4096  # requests back that a return may reach
WRITE_MOSTLY = 0.9  # chance of a write to an extent that is mostly written


@dataclass(frozen=True)
class Workload:
    """Statistics of a trace; its number of requests follows from them."""

    name: str
    write_share: float  # of requests
    mean_kib: float  # of a request
    accesses_per_page: float
    unique_pages: int
    sequential_share: float = 0.2  # of requests
    skew: float = 0.9  # Zipf exponent of the extents' popularity
    drift: float = 0.2  # by what share of the extents the ranks have moved at the end
    recency: float = 0.2  # share of requests that return to one of the last ones
    per_second: float = 100.0  # requests

    def __post_init__(self) -> None:
        for name in ("write_share", "sequential_share", "recency"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Expected 0 <= {name} <= 1, got {getattr(self, name)}.")
        if not (self.accesses_per_page >= 1 and self.mean_kib * 1024 >= PAGE_BYTES and self.per_second > 0):
            raise ValueError(
                "Expected at least 1 access per page, 4 KiB per request and some requests a second, got "
                f"{self.accesses_per_page}, {self.mean_kib} and {self.per_second}."
            )
        if not (self.unique_pages >= self.mean_pages and self.skew >= 0 and self.drift >= 0):
            raise ValueError(f"Expected pages for one request, skew and drift of at least 0, got {self}.")

    @property
    def mean_pages(self) -> float:
        """Of a request."""
        return self.mean_kib * 1024 / PAGE_BYTES

    @property
    def requests(self) -> int:
        """As many as touch the pages that often."""
        return max(1, round(self.accesses_per_page * self.unique_pages / self.mean_pages))

    def with_requests(self, requests: int) -> "Workload":
        """The same shares at another length: more or fewer pages."""
        pages = round(requests * self.mean_pages / self.accesses_per_page)
        return replace(self, unique_pages=max(pages, int(self.mean_pages) + 1))


def generate(workload: str | Workload, rng: np.random.Generator) -> Trace:
    """A trace with the statistics of a workload, or of the preset of that name.

    Raises:
        ValueError: an unknown preset.
    """
    if isinstance(workload, str):
        if workload not in PRESETS:
            raise ValueError(f"Expected a workload among {', '.join(PRESETS)}, got {workload!r}.")
        workload = PRESETS[workload]
    w = workload
    begin, size = _extents(w, rng)
    n, m = max(w.requests, len(begin)), len(begin)
    extent, write = np.empty(n, np.int64), np.empty(n, np.bool_)
    fresh = rng.permutation(m)
    # With Zipf's exponent s, rank = (1 + u (k^(1-s) - 1))^(1/(1-s)) of k extents; s = 1 is its limit.
    shares = np.array([w.sequential_share, w.recency, 1 - w.skew if w.skew != 1 else 1e-9, w.drift, w.write_share])
    mostly = rng.random(m) < w.write_share
    seen, known = np.full(m, -1), np.empty(m, np.int64)
    draw_requests(rng.random((n, 4)), shares, begin, size, fresh, mostly, seen, known, extent, write)
    gaps = rng.exponential(1e9 / w.per_second, n) * rng.lognormal(-0.5, 1.0, n)  # bursts: their mean is 1
    time = np.cumsum(gaps).astype(np.int64)
    return Trace.of(w.name, time, begin[extent] * PAGE_BYTES, size[extent] * PAGE_BYTES, write)


def _extents(w: Workload, rng: np.random.Generator) -> tuple[LongArray, LongArray]:
    """[E] first page and pages of each extent: geometric sizes of the mean, cut to the number of pages."""
    n = max(1, round(w.unique_pages / w.mean_pages))
    # Evenly spread quantiles in random order: the mean of few extents is that of many.
    quantile = (rng.permutation(n) + 0.5) / n
    size = np.ones(n, np.int64)
    if w.mean_pages > 1:
        size += np.floor(np.log1p(-quantile) / np.log1p(-1 / w.mean_pages)).astype(np.int64)
    excess = int(size.sum()) - w.unique_pages
    while excess:
        which = rng.permutation(np.flatnonzero(size > 1) if excess > 0 else n)[: abs(excess)]
        if not len(which):
            break
        size[which] -= np.sign(excess)
        excess = int(size.sum()) - w.unique_pages
    gap = rng.integers(1, 4096, n) * (rng.random(n) < 1 / 64)  # sequential runs end somewhere
    return np.cumsum(size + gap) - size, size


@kernel
def draw_requests(uniform, shares, begin, size, fresh, mostly, seen, known, extent, write):
    """Which extent does each request take, and does it write?

    Args:
        uniform: [T, 4] in [0, 1).
        shares: sequential, recent, 1 - skew, drift, write.
        begin, size: [E] first page and pages of each extent.
        fresh: [E] extents in the order in which they are first touched.
        mostly: [E] bool: mostly written.
        seen: [E] -1; becomes the place in `known`.
        known: [E] becomes the extents seen, in order.
        extent: [T] the result.
        write: [T] the result.
    """
    n, m = len(extent), len(fresh)
    sequential, recent, power, drift, writes = shares[0], shares[1], shares[2], shares[3], shares[4]
    # Of the rest, so many writes that the share is met: share = share * WRITE_MOSTLY + (1 - share) * rest.
    rest = writes * (1 - WRITE_MOSTLY) / max(1 - writes, 1e-9)
    n_known, at, made, written = 0, 0, 0, 0
    for t in range(n):
        lacking = m - n_known
        new = t == 0 or uniform[t, 0] * (n - t) < lacking
        chosen = -1
        if t > 0 and sequential * t - made > uniform[t, 1] * 2 - 1:
            after = extent[t - 1] + 1
            if after < m and (seen[after] >= 0 or lacking > 0) and not (seen[after] >= 0 and lacking >= n - t):
                chosen = after
        if chosen < 0 and new:
            while seen[fresh[at]] >= 0:
                at += 1
            chosen = fresh[at]
        elif chosen < 0 and uniform[t, 2] < recent:
            back = int(min(t, RECENT) ** uniform[t, 3])
            chosen = extent[t - min(back, t)]
        elif chosen < 0:
            u = (uniform[t, 2] - recent) / (1 - recent)
            rank = int((1 + u * ((n_known + 1.0) ** power - 1)) ** (1 / power)) - 1
            moved = int(drift * m * t / n)
            chosen = known[(min(rank, n_known - 1) + moved) % n_known]
        if seen[chosen] < 0:
            seen[chosen] = n_known
            known[n_known] = chosen
            n_known += 1
        if t > 0:
            ahead = begin[chosen] - begin[extent[t - 1]] - size[extent[t - 1]]
            made += ahead == 0 or ahead == -1
        extent[t] = chosen
        chance = (WRITE_MOSTLY if mostly[chosen] else rest) + (writes * t - written) / 50
        write[t] = uniform[t, 3] * 7919 % 1 < chance
        written += write[t]


def _like(name: str, write: float, kib: float, per_page: float, pages: int, skew: float = 0.9) -> Workload:
    return Workload(name, write / 100, kib, per_page, pages, skew=skew)


# Sibyl (ISCA 2022), the 14 MSR Cambridge traces: writes, mean KiB, accesses per page, unique pages, as noted in
# facts/hybrid_storage.md section 5. The other figures are assumptions. web_1's accesses per page are "low" there.
MSR_LIKE = {
    w.name: w
    for w in (
        _like("hm_1", 4.7, 15.2, 44.5, 6265),
        _like("mds_0", 88.1, 9.6, 3.5, 31933),
        _like("prn_1", 24.7, 20.0, 2.6, 6891),
        _like("proj_0", 87.5, 38.0, 48.3, 1381),
        _like("proj_2", 12.4, 42.4, 2.9, 27967),
        _like("proj_3", 5.2, 9.6, 3.6, 19397),
        _like("prxy_0", 96.9, 7.2, 95.7, 525),
        _like("prxy_1", 34.5, 12.8, 150.1, 6845),
        _like("rsrch_0", 90.7, 9.1, 34.7, 5504),
        _like("src1_0", 43.6, 43.3, 12.7, 13640),
        _like("stg_1", 36.3, 40.8, 1.1, 3787),
        _like("usr_0", 59.6, 22.8, 19.7, 2138),
        _like("wdev_2", 99.9, 8.1, 17.7, 4270),
        _like("web_1", 45.9, 29.5, 1.5, 6095),
    )
}
# The medians of 106 CloudPhysics workloads (there), a twentieth of their length; and their 95 % quantile of writes.
CLOUDPHYSICS_LIKE = {
    "cloudphysics_median": Workload("cloudphysics_median", 0.49, 21.5, 9.8, 288_000, sequential_share=0.22),
    "cloudphysics_writes": Workload("cloudphysics_writes", 0.99, 21.5, 9.8, 288_000, sequential_share=0.22),
}
PRESETS = {**MSR_LIKE, **CLOUDPHYSICS_LIKE}
