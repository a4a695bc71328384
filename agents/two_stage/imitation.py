"""Imitation warm start: the network learns to take actions of an expert's plan.

The moves up to the plan's next reward can often be made in any order, so stage one may choose any of their
slots, but none of later ones: it shall finish one macro-move before it begins another. A stop keeps its place.
Stage two learns the plan's placement for the slot that comes next.

Episodes are replayed, never stored: the environment is faster than reading them back. Some rows first wander
by the network's own choices; the expert then plans from where they are (DAgger: Ross et al., AISTATS 2011), so
that the network also learns to go on from its own mistakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from allocenv.agents.two_stage.decoding import TwoStagePolicy, placements_of
from allocenv.agents.two_stage.network import TwoStageNetwork, real_bins
from allocenv.core.arrays import Array, BoolArray, IntArray
from allocenv.core.batch import Batch
from allocenv.core.problem import Instance, Observation, Problem


@dataclass(frozen=True)
class Imitation:
    """How to imitate."""

    rounds: int = 300  # of episodes, each on fresh instances
    rows: int = 32  # episodes side by side
    wander: float = 0.5  # probability that an episode begins with choices of the network's own
    learning_rate: float = 1e-3  # falls to zero along a half cosine
    value_weight: float = 0.005
    max_grad_norm: float = 1.0
    recall: bool = True  # False: what takes back is not learnt (`decoding.placements_of`)

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.rows < 1 or not 0 <= self.wander <= 1:
            raise ValueError(
                f"Expected rounds >= 0, rows >= 1 and wander in [0, 1], "
                f"got {self.rounds}, {self.rows} and {self.wander}."
            )


class Imitator:
    """Runs the rounds. Everything random comes from generators seeded `[seed, round]`: a round can be resumed."""

    def __init__(
        self, network: TwoStageNetwork, problems: Sequence[Problem], settings: Imitation, seed: int = 0
    ) -> None:
        self.network, self.settings, self.seed = network, settings, seed
        self.batches = [Batch(problem, settings.rows) for problem in problems]
        self.optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate, eps=1e-5)
        self.done = 0

    def run_round(self) -> dict[str, float]:
        """Imitate one batch of episodes; returns figures for the log."""
        batch = self.batches[self.done % len(self.batches)]
        rng = np.random.default_rng([self.seed, self.done])
        self._set_learning_rate()
        figures = _Figures()
        lesson = Lesson(batch, rng, self.settings.wander)
        own_draws = torch.Generator().manual_seed(int(rng.integers(2**31)))
        policy = TwoStagePolicy(self.network, own_draws, recall=self.settings.recall)
        while not lesson.over:
            seen = batch.observe()
            own = policy(batch) if lesson.wandering.any() else None
            actions, taught = lesson.next_actions(own)
            mask = placements_of(batch, np.ascontiguousarray(actions[:, 0]), self.settings.recall)
            taught &= mask[np.arange(batch.n), actions[:, 1]]
            if taught.any():
                figures.add(self._learn(batch, seen, actions, mask, lesson.acceptable(), lesson.returns(), taught))
                policy.forget()  # the weights have changed
            lesson.step(actions)
        self.done += 1
        return figures.means()

    def _set_learning_rate(self) -> None:
        share = self.done / max(self.settings.rounds, 1)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))

    def _learn(
        self,
        batch: Batch,
        seen: Observation,
        actions: IntArray,
        mask: BoolArray,
        acceptable: BoolArray,
        returns: Array,
        taught: BoolArray,
    ) -> dict[str, float]:
        features = batch.placement_features(np.ascontiguousarray(actions[:, 0]))
        real = np.flatnonzero((seen.slot_mask | (seen.slot_bin >= 0)).any(0))  # padding costs time
        observation = _of_slots(seen, taught, real)
        slot = torch.from_numpy(np.searchsorted(real, actions[taught, 0]))
        placement = torch.from_numpy(actions[taught, 1].astype(np.int64))
        slot_logits, placement_logits, value = evaluate(
            self.network, observation, slot, torch.from_numpy(features[taught]), torch.from_numpy(mask[taught])
        )
        accepted = torch.from_numpy(acceptable[taught][:, real])
        slot_loss = any_of(slot_logits, accepted).mean()
        placement_loss = cross_entropy(placement_logits, placement)
        value_loss = mse_loss(value, torch.from_numpy(returns[taught].astype(np.float32)))
        loss = slot_loss + placement_loss + self.settings.value_weight * value_loss
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        agree = accepted.gather(-1, slot_logits.argmax(-1, keepdim=True)).float().mean()
        return {
            "slot_loss": slot_loss.item(),
            "placement_loss": placement_loss.item(),
            "value_loss": value_loss.item(),
            "slot_agreement": agree.item(),
        }


def evaluate(
    network: TwoStageNetwork, seen: Observation, slots: Tensor, features: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of both stages, the second for the given slots, and the value."""
    bins = torch.from_numpy(seen.bins)
    trees = network.encode_trees(torch.from_numpy(seen.slots), bins, torch.from_numpy(seen.slot_bin))
    whole = network.encode_whole(trees, real_bins(bins), torch.from_numpy(seen.context))
    slot_logits = network.slot_logits(trees, whole, torch.from_numpy(seen.slot_mask))
    return slot_logits, network.placement_logits(trees, whole, slots, features, mask), network.value(whole)


def any_of(logits: Tensor, acceptable: Tensor) -> Tensor:
    """Minus the log-probability of choosing anything acceptable: [B] of logits and mask [B, S]."""
    return logits.logsumexp(-1) - logits.masked_fill(~acceptable, -torch.inf).logsumexp(-1)


def _of_slots(seen: Observation, rows: BoolArray, slots: Array) -> Observation:
    """Some rows of an observation, and some of its slots."""
    return Observation(
        slots=seen.slots[rows][:, slots],
        bins=seen.bins[rows],
        context=seen.context[rows],
        slot_mask=seen.slot_mask[rows][:, slots],
        slot_bin=seen.slot_bin[rows][:, slots],
    )


class Lesson:
    """Episodes side by side: some rows wander first, then every row follows the expert's plan to its end."""

    def __init__(self, batch: Batch, rng: np.random.Generator, wander: float) -> None:
        self.batch, self.rng = batch, rng
        self.instances: list[Instance] = [batch.problem.draw(rng) for _ in range(batch.n)]
        batch.load(self.instances)
        self.at = 0
        horizon = batch.problem.max_steps
        wanders = rng.random(batch.n) < wander
        self.wander_until = np.where(wanders, rng.integers(0, horizon, batch.n), 0)
        self.plans: list[IntArray | None] = [None] * batch.n
        self.rewards: list[Array] = [np.zeros(0)] * batch.n
        self.place = np.zeros(batch.n, np.int64)  # in the plan
        self.ended = np.zeros(batch.n, np.bool_)

    @property
    def wandering(self) -> BoolArray:
        return (self.at < self.wander_until) & ~self.ended

    @property
    def over(self) -> bool:
        return bool(self.ended.all())

    def next_actions(self, own: IntArray | None) -> tuple[IntArray, BoolArray]:
        """The action of each row [B, 2], and whether it is the expert's, to be learnt."""
        wandering = self.wandering
        actions = np.tile(np.array(self.batch.problem.stop, np.int32), (self.batch.n, 1))
        for b in np.flatnonzero(~self.ended).tolist():
            if wandering[b]:
                assert own is not None
                actions[b] = own[b]
                continue
            if self.plans[b] is None:
                self._plan(b)
            plan = self.plans[b]
            assert plan is not None
            if self.place[b] < len(plan):
                actions[b] = plan[self.place[b]]
        return actions, ~wandering & ~self.ended

    def acceptable(self) -> BoolArray:
        """Slots that the plan acts on until its next reward or stop; that of the stop where it is next: [B, S].

        What precedes a stop may change places, but nothing may follow it that was to precede.
        """
        slots = np.zeros((self.batch.n, self.batch.problem.sizes.slots), np.bool_)
        stop = self.batch.problem.stop[0]
        for b, plan in enumerate(self.plans):
            at = self.place[b]
            if plan is None or at >= len(plan) or plan[at, 0] == stop:
                slots[b, stop] = True
                continue
            ends = np.flatnonzero((self.rewards[b][at:] > 0) | (plan[at:, 0] == stop))
            until = at + ends[0] + 1 if len(ends) else len(plan)
            slots[b, plan[at:until, 0]] = True
            slots[b, stop] = False
        return slots

    def returns(self) -> Array:
        """What the expert's plan still earns in each row: [B]."""
        return np.array([self.rewards[b][self.place[b] :].sum() for b in range(self.batch.n)])

    def step(self, actions: IntArray) -> None:
        """Carry out the actions; rows that end stay as they are."""
        wandering = self.wandering
        outcome = self.batch.step(actions)
        self.place += ~wandering
        self.at += 1
        self.ended |= outcome.terminated | outcome.truncated

    def _plan(self, b: int) -> None:
        problem, state = self.batch.problem, self.batch.state
        here = problem.advanced(self.instances[b], state, b)
        self.plans[b], self.rewards[b] = problem.expert(here, problem.steps_left(state, b), self.rng)


class _Figures:
    """Running means of what the steps of a round report."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.n = 0

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.n += 1

    def means(self) -> dict[str, float]:
        return {name: total / max(self.n, 1) for name, total in self.sums.items()}
