"""One instance that several agents share, as a PettingZoo parallel environment: each has slots of its own."""

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from allocenv.core.arrays import Array
from allocenv.core.batch import Batch
from allocenv.core.problem import Observation, Problem
from allocenv.core.rendering import HUMAN, RENDER_FPS, RENDER_MODES, expect_render_mode, render_row
from allocenv.wrappers.spaces import as_problem, observation_space

Observed = dict[str, Array]


class Shared(Protocol):
    """What a problem says beside `Problem` when its slots belong to several agents."""

    @property
    def agents(self) -> dict[str, tuple[int, ...]]:
        """Agent -> its slots, in the order in which they act within a step; empty: it has no agents."""


class MultiAgentEnv(ParallelEnv):  # type: ignore[misc]
    """A problem with `agents`, each of which sees and acts on its own slots only.

    Within a step the agents act one after the other in the problem's order, all on what they saw before it.
    An agent of one slot always acts: Discrete(N * V). One of several acts or passes: MultiDiscrete([own slots + 1,
    N * V]), the last slot number passes. An agent sees its own slots, all bins and the context, under the names
    of `spaces.observation_space`. All agents get the sum of the step's rewards: they have one aim.

    `infos` holds for each agent `illegal` (of its action), the problem's `metrics`, and `action_mask` (int8 [N * V])
    where it has one slot. `reset(options={"instance": x})` begins on the given instance.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": RENDER_FPS, "name": "allocenv"}  # noqa: RUF012

    def __init__(self, problem: str | Problem, render_mode: str | None = None, **params: Any) -> None:
        expect_render_mode(render_mode, RENDER_MODES)
        self.problem = as_problem(problem, params)
        self.slots: dict[str, list[int]] = {
            agent: list(slots) for agent, slots in getattr(self.problem, "agents", {}).items()
        }
        if not self.slots:
            raise ValueError("Expected a problem whose slots belong to agents; this one has none.")
        self.batch = Batch(self.problem, 1)
        self.render_mode = render_mode
        self.possible_agents = list(self.slots)
        self.agents: list[str] = []
        self._seeded = False
        sizes = self.problem.sizes
        self.observation_spaces = {
            agent: observation_space(sizes._replace(slots=len(slots))) for agent, slots in self.slots.items()
        }
        self.action_spaces: dict[str, spaces.Space[Any]] = {
            agent: spaces.MultiDiscrete([len(slots) + 1, sizes.placements])
            if len(slots) > 1
            else spaces.Discrete(sizes.placements)
            for agent, slots in self.slots.items()
        }

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observed], dict[str, dict[str, Any]]]:
        options = options or {}  # others than `instance` are PettingZoo's to give and nobody's to read
        if seed is not None or not self._seeded:
            self.batch.seed(int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed)
            self._seeded = True
        if "instance" in options:
            self.batch.load([options["instance"]])
        else:
            self.batch.reset()
        self.agents = list(self.possible_agents)
        if self.render_mode == HUMAN:
            self.render()
        return self._seen(), self._infos(dict.fromkeys(self.agents, False))

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Observed], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        acting = self.agents
        total, illegal, terminated, truncated = 0.0, dict.fromkeys(acting, False), False, False
        for agent in acting:
            pair = self._pair(agent, actions[agent])
            if pair is None or terminated or truncated:
                continue
            done = self.batch.step(pair)
            total += float(done.rewards[0])
            illegal[agent] = bool(done.illegal[0])
            terminated, truncated = bool(done.terminated[0]), bool(done.truncated[0])
        seen, infos = self._seen(), self._infos(illegal)
        if self.render_mode == HUMAN:
            self.render()
        if terminated or truncated:
            self.agents = []
        return (
            seen,
            dict.fromkeys(acting, total),
            dict.fromkeys(acting, terminated),
            dict.fromkeys(acting, truncated),
            infos,
        )

    def placement_mask(self, agent: str, own: int = 0) -> Array:
        """Which placements are legal now for an agent's slot, by its own number: int8 [N * V]."""
        slot = np.array([self.slots[agent][own]], np.int32)
        mask: Array = self.batch.placement_mask(slot)[0].view(np.int8)
        return mask

    def render(self) -> Any:
        """As `AllocEnv.render`."""
        return render_row(self.batch, 0, self.render_mode)

    def close(self) -> None:
        self.batch.close()

    def _pair(self, agent: str, action: Any) -> Array | None:
        """The action as a pair of the problem, [1, 2]; None: the agent passes."""
        slots = self.slots[agent]
        if len(slots) == 1:
            return np.array([[slots[0], int(action)]], np.int32)
        own, placement = (int(part) for part in action)
        if own == len(slots):
            return None
        return np.array([[slots[own] if 0 <= own < len(slots) else -1, placement]], np.int32)

    def _seen(self) -> dict[str, Observed]:
        whole = self.batch.observe()
        return {agent: _part(whole, slots) for agent, slots in self.slots.items()}

    def _infos(self, illegal: dict[str, bool]) -> dict[str, dict[str, Any]]:
        metrics = self.problem.metrics(self.batch.state, 0)
        return {agent: self._info(agent, metrics, of_agent) for agent, of_agent in illegal.items()}

    def _info(self, agent: str, metrics: dict[str, float], illegal: bool) -> dict[str, Any]:
        info: dict[str, Any] = {"illegal": illegal, "metrics": dict(metrics)}
        return {**info, "action_mask": self.placement_mask(agent)} if len(self.slots[agent]) == 1 else info


def _part(whole: Observation, slots: list[int]) -> Observed:
    """What an agent with these slots sees: fresh arrays."""
    return {
        "slots": whole.slots[0, slots],
        "bins": whole.bins[0].copy(),
        "context": whole.context[0].copy(),
        "slot_mask": whole.slot_mask[0, slots].view(np.int8),
        "slot_bin": whole.slot_bin[0, slots],
    }
