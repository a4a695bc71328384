"""Acting with frozen weights: the likeliest choices, or the best of some samples by what their teams earn."""

import torch

from allocenv.agents.preassign.network import PreassignNetwork
from allocenv.agents.preassign.rounds import Rounds, rounds_of
from allocenv.agents.preassign.selection import Seen, preassigned, selected
from allocenv.core.arrays import IntArray, LongArray
from allocenv.core.batch import Batch


class PreassignPolicy:
    """Decides every round `tries` times, once by the likeliest choices and else by sampling, and sends the teams
    that earn most: value and cost are known, only the future is not.

    Samples depend on which rows are decided together; the likeliest choices (`tries` 1) do not.
    """

    def __init__(self, network: PreassignNetwork, tries: int, seed: int = 0) -> None:
        self.network, self.tries = network, tries
        self.generator = torch.Generator().manual_seed(seed)
        self._batch: Batch | None = None
        self._rounds: Rounds | None = None

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> IntArray:
        if self._rounds is None or self._batch is not batch:
            self._batch, self._rounds = batch, rounds_of(batch.problem, batch)
        rows, seen = self._rounds.due()
        if len(rows):
            self._rounds.plan(rows, self._best(Seen.of(seen)))
        return self._rounds.actions()

    def _best(self, x: Seen) -> LongArray:
        n = len(x.entities)
        many = x.repeated(self.tries)
        greedy = torch.arange(n * self.tries) % self.tries == 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=self.generator)))
            teams = selected(self.network, many, preassigned(self.network, many, greedy), greedy)
        best = teams.net.view(n, self.tries).argmax(1)
        found: LongArray = teams.assignment.view(n, self.tries, -1)[torch.arange(n), best].numpy()
        return found
