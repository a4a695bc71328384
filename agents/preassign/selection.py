"""From candidates to teams: stage two, for all tasks of all rounds at once.

Tasks share no candidate, so that their order does not matter. Letters as in `network.py`; P: pairs of a round
and a task that has candidates.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from allocenv.agents.preassign.network import PreassignNetwork
from allocenv.agents.preassign.rounds import Round


class Seen(NamedTuple):
    """Rounds as tensors."""

    entities: Tensor  # [B, M, F]
    tasks: Tensor  # [B, T, F]
    cost: Tensor  # [B, M, T]
    fits: Tensor  # [B, M, T]

    @classmethod
    def of(cls, x: Round) -> "Seen":
        return cls(*(torch.from_numpy(array) for array in (x.entities, x.tasks, x.cost, x.fits)))

    def repeated(self, times: int) -> "Seen":
        """Each round so many times in a row."""
        return Seen(*(tensor.repeat_interleave(times, 0) for tensor in self))


class Draw(NamedTuple):
    """One draw in each of P teams that were not complete."""

    pair: Tensor  # [P]  which team
    task: Tensor  # [P, F]  with what was lacking
    candidates: Tensor  # [P, M]
    chosen: Tensor  # [P]
    reward: Tensor  # [P]  minus the entity's cost, plus the value on completion
    next_task: Tensor  # [P, F]
    next_candidates: Tensor  # [P, M]
    over: Tensor  # [P]  complete, or nobody is left


class Teams(NamedTuple):
    """What stage two made of a pre-assignment."""

    assignment: Tensor  # [B, M]  task of each entity that is sent, or -1
    net: Tensor  # [B]  value less cost of the teams sent
    rounds: Tensor  # [pairs]  round of each team
    draws: list[Draw]


def preassigned(network: PreassignNetwork, x: Seen, greedy: Tensor) -> Tensor:
    """Stage one: the task of each entity, -1 for those that fit nowhere: [B, M]. `greedy` [B]: do not sample."""
    logits = network.assign_logits(x.entities, x.tasks, x.fits)
    drawn = torch.multinomial(logits.softmax(-1).flatten(0, 1), 1).view(logits.shape[:2])
    return torch.where(greedy[:, None], logits.argmax(-1), drawn).where(x.fits.any(-1), -1)


def selected(network: PreassignNetwork, x: Seen, choice: Tensor, greedy: Tensor) -> Teams:
    """Stage two: draw the team of each task from its candidates `choice` [B, M]; refuse those that do not pay."""
    n_tasks = x.tasks.shape[1]
    mine = choice[:, None] == torch.arange(n_tasks)[:, None]  # [B, T, M]
    rounds, tasks = mine.any(-1).nonzero(as_tuple=True)
    entities, left = x.entities[rounds], mine[rounds, tasks]  # [pairs, M, F], [pairs, M]
    task, cost = x.tasks[rounds, tasks].clone(), x.cost[rounds, :, tasks]  # [pairs, F], [pairs, M]
    member, net = torch.zeros_like(left), torch.zeros(len(rounds))
    complete = torch.zeros(len(rounds), dtype=torch.bool)
    going, draws = torch.arange(len(rounds)), []
    while len(going):
        draw = _drawn(network, entities[going], task[going], left[going], cost[going], greedy[rounds[going]], going)
        member[going, draw.chosen] = True
        net[going] += draw.reward
        task[going], left[going] = draw.next_task, draw.next_candidates
        complete[going] = ~_lacks(draw.next_task)
        draws.append(draw)
        going = going[~draw.over]
    sent = complete & (net > 0)
    assignment = torch.full(choice.shape, -1)
    for_pair, who = (member & sent[:, None]).nonzero(as_tuple=True)
    assignment[rounds[for_pair], who] = tasks[for_pair]
    total = torch.zeros(len(choice)).index_add(0, rounds, net * sent)
    return Teams(assignment, total, rounds, draws)


def _drawn(
    network: PreassignNetwork, entities: Tensor, task: Tensor, left: Tensor, cost: Tensor, greedy: Tensor, pair: Tensor
) -> Draw:
    rows = torch.arange(len(pair))
    logits = network.select_logits(entities, task, left)
    chosen = torch.where(greedy, logits.argmax(-1), torch.multinomial(logits.softmax(-1), 1).squeeze(-1))
    joined = entities[rows, chosen]
    after, still = task.clone(), left.clone()
    after[:, 1:-2] = (task[:, 1:-2] - joined[:, 1:-2]).clamp_min(0.0).where(task[:, 1:-2] > 0, 0.0)
    after[:, 1:-2][after[:, 1:-2] < 1e-5] = 0.0  # float32
    still[rows, chosen] = False
    still &= ((entities[:, :, 1:-2] > 0) & (after[:, None, 1:-2] > 0)).any(-1)
    complete = ~_lacks(after)
    reward = task[:, 0] * complete - cost[rows, chosen]
    return Draw(pair, task, left, chosen, reward, after, still, complete | ~still.any(-1))


def _lacks(task: Tensor) -> Tensor:
    return (task[:, 1:-2] > 0).any(-1)
