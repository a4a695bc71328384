"""Hybrid storage the slow and obvious way: dicts and lists, one page at a time.

Written from the docstring of `problems/storage/dynamics.py` and Sibyl (ISCA 2022, sections 2 and 5), not from the
kernels. A device is a list of pages, most recently used first. All times in microseconds.
"""

from dataclasses import dataclass, field

READ, WRITE = 0, 1
STAY = -1
HOUR, DAY = 3_600e6, 86_400e6


@dataclass
class SlowDevice:
    """Timing, capacity, and what it holds and does."""

    device: object
    capacity: int
    daily: float  # pages that may be written a day; inf: no limit
    pages: list = field(default_factory=list)
    free_at: float = 0.0
    head: int = 0
    written: int = 0

    def io(self, op, address, n, span):
        """Time of one I/O; its head ends behind it."""
        d = self.device
        one, further = (d.read_us, d.read_page_us) if op == READ else (d.write_us, d.write_page_us)
        time = one + (n - 1) * further
        if d.seek_us > 0:
            if address != self.head:
                # E[sqrt|x - y|] = 8/15 over a unit interval: so long is the mean seek
                full = d.track_us + (d.seek_us - d.track_us) * 15 / 8
                distance = min(abs(address - self.head) / span, 1.0)
                time += d.track_us + (full - d.track_us) * distance**0.5 + d.rotation_us
            self.head = address + n
        return time


class SlowStorage:
    """One system over one trace: requests (time ns, first page, pages, write) and the addresses of the pages."""

    def __init__(self, devices, shares, requests, address, accounting, open_loop, budget_mb_s, endurance):
        sizes = [max(1, int(share * len(address))) for share in shares] + [len(address)]
        self.devices = [
            SlowDevice(d, size, d.dwpd * d.gigabytes * 1e9 / 4096 * endurance if endurance else float("inf"))
            for d, size in zip(devices, sizes, strict=True)
        ]
        self.devices[-1].pages = list(range(len(address)))[::-1]
        self.requests, self.address = requests, address
        self.accounting, self.open_loop = accounting, open_loop
        self.budget = budget_mb_s / 4096 if budget_mb_s else float("inf")
        self.span = max(address[-1] - address[0], 1)
        self.clock = self.done = 0.0
        self.at = 0
        self.accesses, self.last_access = {}, {}
        self.promoted = self.demoted = self.migrated = self.evictions = 0

    def where(self, page):
        """The device that holds the page."""
        return next(d for d, device in enumerate(self.devices) if page in device.pages)

    def may_write(self, d, n):
        """Endurance: a share of the daily writes so far, one hour in advance; the slowest takes everything."""
        device = self.devices[d]
        return d == len(self.devices) - 1 or device.written + n <= device.daily / DAY * (self.clock + HOUR)

    def may_target(self, d, n):
        return n <= self.devices[d].capacity and self.may_write(d, n)

    def serve(self, target):
        """Serve the next request; its latency."""
        time, first, n, write = self.requests[self.at]
        pages = list(range(first, first + n))
        self.clock = time / 1000 if self.open_loop else self.done
        self.evictions = 0
        last = len(self.devices) - 1
        if target != STAY:
            target = next(d for d in range(target, last + 1) if self.may_target(d, n))
        elif write and not all(self.may_write(self.where(page), n) for page in pages):
            target = last
        for page in pages:
            self.accesses[page] = self.accesses.get(page, 0) + 1
            self.last_access[page] = self.at
            held = self.devices[self.where(page)].pages
            held.remove(page)
            held.insert(0, page)
        if write and target != STAY:
            finish = self.queue(target, WRITE, first, n)
        else:
            op = WRITE if write else READ
            ends = [self.queue(d, op, run[0], len(run)) for d, run in self.runs(pages, self.where)]
            finish = max(ends)
        moving = 0.0
        if target != STAY and any(self.where(page) != target for page in pages):
            missing = [page for page in pages if self.where(page) != target]
            moving += self.make_room(target, len(missing), finish)
            # what making room has moved down meanwhile is missing all the same
            for inside, run in self.runs(pages, lambda page: self.where(page) == target):
                if inside:
                    continue
                for page in run:
                    self.relocate(page, target)
                if not write:
                    self.devices[target].written += len(run)
                    moving += self.move_io(target, WRITE, run, finish)
        if self.accounting == "charged":
            finish += moving
        self.done = finish
        self.at += 1
        return finish - self.clock

    def runs(self, pages, key):
        """[(key, consecutive pages with that key)]"""
        found = []
        for page in pages:
            if found and found[-1][0] == key(page):
                found[-1][1].append(page)
            else:
                found.append((key(page), [page]))
        return found

    def queue(self, d, op, first, n):
        """An I/O of the request behind what the device has to do; when it is done."""
        device = self.devices[d]
        if op == WRITE:
            device.written += n
        device.free_at = max(self.clock, device.free_at) + device.io(op, self.address[first], n, self.span)
        return device.free_at

    def move_io(self, d, op, pages, now):
        """An I/O that moves neighbouring pages; its time, nothing where moves are free."""
        if self.accounting == "free":
            return 0.0
        device = self.devices[d]
        time = device.io(op, self.address[pages[0]], len(pages), self.span)
        device.free_at = max(device.free_at, now) + time
        return time

    def relocate(self, page, target):
        source = self.where(page)
        if target < source:
            self.promoted += 1
        else:
            self.demoted += 1
        self.devices[source].pages.remove(page)
        self.devices[target].pages.insert(0, page)

    def make_room(self, target, n, now):
        """Least recently used pages go down, from the slowest full device up to the target; the time of it."""
        leave = {}
        for d in range(target, len(self.devices) - 1):
            n = max(n - (self.devices[d].capacity - len(self.devices[d].pages)), 0)
            leave[d] = min(n, len(self.devices[d].pages))  # what finds no room below goes by it
        moving = 0.0
        for d in sorted(leave, reverse=True):
            moving += self.move_down(d, leave[d], now)
        return moving

    def move_down(self, d, n, now):
        groups = []  # [destination, neighbouring pages]
        moving = 0.0
        for _ in range(n):
            victim = self.devices[d].pages[-1]
            dest = next(
                k
                for k in range(d + 1, len(self.devices))
                if self.may_write(k, 1) and len(self.devices[k].pages) < self.devices[k].capacity
            )
            near = groups and groups[-1][0] == dest and self.address[victim] == self.address[groups[-1][1][-1]] + 1
            if near:
                groups[-1][1].append(victim)
            else:
                groups.append((dest, [victim]))
            self.relocate(victim, dest)
            self.devices[dest].written += 1
            self.evictions += 1
        for dest, run in groups:
            moving += self.move_run(d, dest, run, now)
        return moving

    def move_run(self, source, dest, run, now):
        read = self.move_io(source, READ, run, now)
        return read + self.move_io(dest, WRITE, run, now + read)

    def now(self):
        """When the last request was done; where requests come by the clock, when it came."""
        return self.clock if self.open_loop else self.done

    def may_migrate(self, page, target):
        within = self.budget == float("inf") or self.migrated + len(self.devices) <= self.budget * self.now()
        return self.where(page) != target and within and self.may_write(target, 1)

    def migrate(self, page, target):
        """Move a page in the background; its time."""
        now, self.evictions = self.now(), 0
        moving = self.make_room(target, 1, now)
        moving += self.move_run(self.where(page), target, [page], now)
        self.relocate(page, target)
        self.devices[target].written += 1
        self.migrated += 1 + self.evictions
        if self.accounting == "charged":
            self.done += moving
        return moving
