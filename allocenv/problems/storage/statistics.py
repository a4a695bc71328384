"""What kind of trace is it? The figures by which trace sets are described."""

import numpy as np

from allocenv.problems.storage.trace import Trace


def statistics(trace: Trace) -> dict[str, float]:
    """Figures of a trace; `seconds` is NaN without a clock.

    A page that a request touches is one access; KiB are those of the pages touched. A request is sequential
    where it begins at the last page of the request before it or at the page after that.
    """
    r = trace.requests
    accesses = int(r.pages.sum(dtype=np.int64))
    touched = np.zeros(trace.n_pages + 1, np.int64)  # a part of a trace keeps the whole one's pages
    np.add.at(touched, r.first, 1)
    np.add.at(touched, r.first + r.pages, -1)
    unique = int((np.cumsum(touched) > 0).sum())
    begin = r.address[r.first]
    ahead = begin[1:] - (begin[:-1] + r.pages[:-1])
    follows = (ahead == 0) | (ahead == -1)
    return {
        "requests": len(trace),
        "seconds": float(r.time[-1] - r.time[0]) / 1e9 if trace.timed else float("nan"),
        "write_share": float(r.write.mean()),
        "mean_kib": accesses * trace.page_bytes / 1024 / len(trace),
        "page_accesses": accesses,
        "unique_pages": unique,
        "accesses_per_page": accesses / unique,
        "sequential_share": float(follows.sum()) / len(trace),
    }
