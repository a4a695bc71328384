"""Which number has a prompt? Ids of any kind become 0, 1, 2, ... in the order in which they are first named."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from allocenv.core.arrays import LongArray

PromptId = str | int | tuple["PromptId", ...]
PLAIN = (str, int)
SHOWN = 60  # characters of an id in an error


class Found(NamedTuple):
    """Numbers of some prompts, and those that are new: they would follow the known ones."""

    numbers: LongArray  # [M]
    new: list[PromptId]


class PromptIds:
    """The prompts known so far. An id is text, a whole number, or a tuple of such, such as (data set, row)."""

    def __init__(self, known: Iterable[PromptId] = ()) -> None:
        self._number: dict[PromptId, int] = {}
        self.add(known)

    def __len__(self) -> int:
        return len(self._number)

    def add(self, new: Iterable[PromptId]) -> None:
        """Number prompts that `find` has called new."""
        for prompt in new:
            self._number.setdefault(prompt, len(self._number))

    def find(self, prompt_ids: Sequence[Any]) -> Found:
        """Look up different ids [M], in a list or an array; changes nothing.

        Raises:
            ValueError: no list, an id of another kind, or one given twice.
        """
        ids = listed(prompt_ids)
        number, after = self._number, len(self._number)
        fresh: dict[PromptId, int] = {}
        numbers = []
        for prompt in ids:
            if type(prompt) not in PLAIN:
                prompt = _checked(prompt)
            at = number.get(prompt)
            numbers.append(fresh.setdefault(prompt, after + len(fresh)) if at is None else at)
        found = np.array(numbers, np.int64)
        if len(set(numbers)) < len(numbers):
            twice = next(prompt for i, prompt in enumerate(ids) if numbers[i] in numbers[:i])
            raise ValueError(f"Expected each prompt id once, got {shown(twice)} twice.")
        return Found(found, list(fresh))

    def to_json(self) -> str:
        """All ids in the order of their numbers; tuples become lists."""
        return json.dumps(list(self._number), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "PromptIds":
        """The reverse.

        Raises:
            ValueError: no list of different ids.
        """
        found = json.loads(text)
        if type(found) is not list:
            raise ValueError("Expected a list of prompt ids.")
        known = [_checked(_tupled(prompt)) for prompt in found]
        made = cls(known)
        if len(made) < len(known):
            raise ValueError("Expected each prompt id once.")
        return made


def shown(prompt: object) -> str:
    """An id for an error, shortened."""
    text = repr(prompt)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def listed(prompt_ids: Any) -> list[Any]:
    """A list, an array or a tensor as a list. Raises ValueError for anything else."""
    if isinstance(prompt_ids, (str, bytes, dict)) or not (
        hasattr(prompt_ids, "tolist") or isinstance(prompt_ids, Iterable)
    ):
        raise ValueError(f"Expected prompt_ids: a list of text or whole numbers, got {shown(prompt_ids)}.")
    ids = prompt_ids.tolist() if hasattr(prompt_ids, "tolist") else list(prompt_ids)
    if type(ids) is not list:
        raise ValueError(f"Expected prompt_ids: a list of text or whole numbers, got {shown(ids)}.")
    return ids


def _checked(prompt: Any) -> PromptId:
    """An id that can be told from every other one and written to a file."""
    if isinstance(prompt, tuple):
        return tuple(_checked(part) for part in prompt)
    if isinstance(prompt, np.generic):
        prompt = prompt.item()
    if isinstance(prompt, str):
        return str(prompt)
    if isinstance(prompt, int) and type(prompt) is not bool:
        return int(prompt)
    raise ValueError(
        f"Expected a prompt id: text, a whole number or a tuple of them, got {shown(prompt)} ({type(prompt).__name__})."
    )


def _tupled(prompt: Any) -> Any:
    return tuple(_tupled(part) for part in prompt) if type(prompt) is list else prompt
