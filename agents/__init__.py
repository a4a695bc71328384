"""Everything that learns. The one registry of agents: a name and where its class lives, imported on demand."""

from importlib import import_module
from typing import Any

AGENTS: dict[str, str] = {
    "ppo": "allocenv.agents.sb3:PPOAgent",
    "a2c": "allocenv.agents.sb3:A2CAgent",
    "two_stage": "allocenv.agents.two_stage.agent:TwoStageAgent",
    "maskable_ppo": "allocenv.agents.sb3:MaskablePPOAgent",
    "dqn": "allocenv.agents.sb3:DQNAgent",
    "game_ppo": "allocenv.agents.games:GamePPOAgent",
    "preassign": "allocenv.agents.preassign.agent:PreassignAgent",
    "qr_dqn": "allocenv.agents.sb3:QRDQNAgent",
    "evolution": "allocenv.agents.evolution.agent:EvolutionAgent",
}


def agent_class(name: str) -> Any:
    """The class of a registered agent (an `allocenv.agents.agent.Agent`)."""
    module, _, attribute = AGENTS[name].partition(":")
    return getattr(import_module(module), attribute)
