"""The cache policies again, slow and obvious, in lists and dicts, from the papers.

Every list runs from the oldest page to the newest. `access` returns what the kernels return: HIT, ADMITTED,
or the page that left. `held` is the set of pages in the cache.
"""

from collections.abc import Callable

HIT, ADMITTED = -2, -1


class Fifo:
    """First in, first out."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.queue: list[int] = []

    @property
    def held(self) -> set[int]:
        return set(self.queue)

    def access(self, page: int) -> int:
        if page in self.queue:
            self.used(page)
            return HIT
        victim = self.evict() if len(self.queue) == self.capacity else ADMITTED
        self.queue.append(page)
        return victim

    def used(self, page: int) -> None:
        """A page was hit."""

    def evict(self) -> int:
        """Drop a page."""
        return self.queue.pop(0)


class Lru(Fifo):
    """Least recently used."""

    def used(self, page: int) -> None:
        self.queue.remove(page)
        self.queue.append(page)


class Clock(Fifo):
    """Second chance."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.marked: set[int] = set()

    def used(self, page: int) -> None:
        self.marked.add(page)

    def evict(self) -> int:
        while (page := self.queue.pop(0)) in self.marked:
            self.marked.remove(page)
            self.queue.append(page)
        return page


class Sieve(Clock):
    """NSDI 2024, algorithm 1; `hand` is a place in the queue."""

    hand = 0

    def evict(self) -> int:
        while (page := self.queue[self.hand % len(self.queue)]) in self.marked:
            self.marked.remove(page)
            self.hand = (self.hand + 1) % len(self.queue)
        place = self.queue.index(page)
        self.queue.remove(page)
        # A hand that ran off the newest page starts again from the oldest, not from the page that comes in.
        self.hand = place if place < len(self.queue) else 0
        return page


class Lfu(Fifo):
    """Least often used while held; among equals the one that reached that count first."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.clock = 0
        self.uses: dict[int, tuple[int, int]] = {}  # count, when it was reached

    def access(self, page: int) -> int:
        self.clock += 1
        outcome = super().access(page)
        self.uses[page] = (self.uses.get(page, (0, 0))[0] + 1, self.clock)
        return outcome

    def evict(self) -> int:
        page = min(self.queue, key=lambda p: self.uses[p])
        self.queue.remove(page)
        del self.uses[page]
        return page


class TwoQ:
    """VLDB 1994, full version, with Kin and Kout of at least 1."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.k_in, self.k_out = max(1, capacity // 4), max(1, capacity // 2)
        self.a1_in: list[int] = []
        self.a1_out: list[int] = []
        self.am: list[int] = []

    @property
    def held(self) -> set[int]:
        return {*self.a1_in, *self.am}

    def access(self, page: int) -> int:
        if page in self.am:
            self.am.remove(page)
            self.am.append(page)
            return HIT
        if page in self.a1_in:
            return HIT
        known = page in self.a1_out
        if known:
            self.a1_out.remove(page)
        victim = self.reclaim() if len(self.held) == self.capacity else ADMITTED
        (self.am if known else self.a1_in).append(page)
        return victim

    def reclaim(self) -> int:
        if len(self.a1_in) > self.k_in or not self.am:
            victim = self.a1_in.pop(0)
            self.a1_out = [*self.a1_out, victim][-self.k_out :]
            return victim
        return self.am.pop(0)


class Arc:
    """FAST 2003, figure 4, with a real p."""

    def __init__(self, capacity: int) -> None:
        self.c, self.p = capacity, 0.0
        self.t1: list[int] = []
        self.t2: list[int] = []
        self.b1: list[int] = []
        self.b2: list[int] = []

    @property
    def held(self) -> set[int]:
        return {*self.t1, *self.t2}

    def access(self, page: int) -> int:
        if page in self.held:
            (self.t1 if page in self.t1 else self.t2).remove(page)
            self.t2.append(page)
            return HIT
        if page in self.b1:
            self.p = min(self.c, self.p + max(1, len(self.b2) / len(self.b1)))
            self.b1.remove(page)
            victim = self.replace()
            self.t2.append(page)
            return victim
        if page in self.b2:
            self.p = max(0, self.p - max(1, len(self.b1) / len(self.b2)))
            self.b2.remove(page)
            victim = self.replace(in_b2=True)
            self.t2.append(page)
            return victim
        victim = self.make_room()
        self.t1.append(page)
        return victim

    def make_room(self) -> int:
        """Case IV."""
        if len(self.t1) + len(self.b1) == self.c:
            if len(self.t1) == self.c:
                return self.t1.pop(0)
            self.b1.pop(0)
            return self.replace()
        total = len(self.t1) + len(self.t2) + len(self.b1) + len(self.b2)
        if total < self.c:
            return ADMITTED
        if total == 2 * self.c:
            self.b2.pop(0)
        return self.replace()

    def replace(self, in_b2: bool = False) -> int:
        if len(self.held) < self.c:
            return ADMITTED
        wide = len(self.t1) > self.p or (in_b2 and len(self.t1) == self.p)
        if not self.t2 or (self.t1 and wide):
            self.b1.append(self.t1.pop(0))
            return self.b1[-1]
        self.b2.append(self.t2.pop(0))
        return self.b2[-1]


class S3Fifo:
    """SOSP 2023, algorithm 1, with ghosts of 90 % and at least one page in the small queue."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.n_small, self.n_ghosts = max(1, capacity // 10), capacity * 9 // 10
        self.small: list[int] = []
        self.main: list[int] = []
        self.ghosts: list[int] = []
        self.hits: dict[int, int] = {}

    @property
    def held(self) -> set[int]:
        return {*self.small, *self.main}

    def access(self, page: int) -> int:
        if page in self.held:
            self.hits[page] = min(3, self.hits[page] + 1)
            return HIT
        known = page in self.ghosts
        if known:
            self.ghosts.remove(page)
        victim = self.evict() if len(self.held) == self.capacity else ADMITTED
        (self.main if known else self.small).append(page)
        self.hits[page] = 0
        return victim

    def evict(self) -> int:
        if len(self.main) <= self.capacity - self.n_small:
            while self.small:
                page = self.small.pop(0)
                if self.hits[page] < 2:
                    self.ghosts = [*self.ghosts, page]
                    self.ghosts = self.ghosts[len(self.ghosts) - min(len(self.ghosts), self.n_ghosts) :]
                    return page
                self.hits[page] = 0
                self.main.append(page)
        while self.hits[page := self.main.pop(0)] > 0:
            self.hits[page] -= 1
            self.main.append(page)
        return page


class WTinyLfu:
    """TinyLFU, section 4: LRU window, segmented LRU, count-min sketch that is halved."""

    def __init__(self, capacity: int, n_pages: int, seed: int = 0) -> None:
        self.n_window = max(1, capacity - capacity * 99 // 100)
        self.n_main = capacity - self.n_window
        self.n_protected = self.n_main * 8 // 10
        self.window: list[int] = []
        self.probation: list[int] = []
        self.protected: list[int] = []
        self.width = 4
        while self.width < 4 * min(capacity, n_pages):
            self.width *= 2
        self.rows = [[0] * self.width for _ in range(4)]
        self.sampled, self.sample, self.seed = 0, 10 * capacity, seed

    @property
    def held(self) -> set[int]:
        return {*self.window, *self.probation, *self.protected}

    def access(self, page: int) -> int:
        self.note(page)
        if page in self.window:
            self.window.remove(page)
            self.window.append(page)
            return HIT
        if page in self.held:
            (self.probation if page in self.probation else self.protected).remove(page)
            self.protected.append(page)
            if len(self.protected) > self.n_protected:
                self.probation.append(self.protected.pop(0))
            return HIT
        self.window.append(page)
        if len(self.window) <= self.n_window:
            return ADMITTED
        candidate = self.window.pop(0)
        if len(self.probation) + len(self.protected) < self.n_main:
            self.probation.append(candidate)
            return ADMITTED
        if not self.probation or self.estimate(candidate) <= self.estimate(self.probation[0]):
            return candidate
        self.probation.append(candidate)
        return self.probation.pop(0)

    def columns(self, page: int) -> list[int]:
        """The page's counter in each row: two 32-bit mixes, doubly hashed."""

        def mix(x: int) -> int:
            for _ in range(2):
                x = (x ^ x >> 16) * 0x45D9F3B % 2**32
            return x ^ x >> 16

        start = mix(page ^ self.seed)
        step = mix((start + 0x9E3779B9) % 2**32) | 1
        return [(start + row * step) % self.width for row in range(4)]

    def note(self, page: int) -> None:
        for counts, k in zip(self.rows, self.columns(page), strict=True):
            counts[k] = min(15, counts[k] + 1)
        self.sampled += 1
        if self.sampled == self.sample:
            self.rows = [[count // 2 for count in counts] for counts in self.rows]
            self.sampled //= 2

    def estimate(self, page: int) -> int:
        return min(counts[k] for counts, k in zip(self.rows, self.columns(page), strict=True))


def twin(name: str, capacity: int, n_pages: int) -> "Fifo | TwoQ | Arc | S3Fifo | WTinyLfu":
    """The slow policy of that name."""
    if name == "wtinylfu":
        return WTinyLfu(capacity, n_pages)
    kinds: dict[str, Callable[[int], Fifo | TwoQ | Arc | S3Fifo]] = {
        "fifo": Fifo,
        "lru": Lru,
        "clock": Clock,
        "sieve": Sieve,
        "lfu": Lfu,
        "2q": TwoQ,
        "arc": Arc,
        "s3fifo": S3Fifo,
    }
    return kinds[name](capacity)


def next_use_of(accesses: list[int], k: int, never: int) -> int:
    """When the page of access k is accessed again."""
    later = (i for i in range(k + 1, len(accesses)) if accesses[i] == accesses[k])
    return next(later, never)


def fewest_misses(accesses: list[int], capacity: int) -> int:
    """The fewest misses of any policy that may refuse pages, by trying all: sets of held pages, step by step."""
    best: dict[frozenset[int], int] = {frozenset(): 0}
    for page in accesses:
        after: dict[frozenset[int], int] = {}
        for held, misses in best.items():
            cost = misses + (page not in held)
            choices = {held}
            if page not in held:
                dropped = [held - {p} for p in held] if len(held) == capacity else [held]
                choices |= {rest | {page} for rest in dropped}
            for choice in choices:
                after[choice] = min(after.get(choice, cost), cost)
        best = after
    return min(best.values())
