"""Which questions does the tiny model learn? Sums and products of one to three digits, as 8 + 5 characters."""

from typing import NamedTuple

import numpy as np
import torch

ALPHABET = "0123456789+*=. "
NUMBER = {character: i for i, character in enumerate(ALPHABET)}
PROMPT, ANSWER = 8, 5  # characters
END = NUMBER["."]
KINDS = (("+", 2, 1), ("+", 2, 2), ("+", 3, 3), ("*", 2, 1), ("*", 3, 1), ("*", 2, 2))  # sign, digits of both


class Questions(NamedTuple):
    """N different questions."""

    prompts: torch.Tensor  # [N, PROMPT]  int64, filled with spaces on the left
    answers: torch.Tensor  # [N, ANSWER]  int64, ended by a full stop, filled with spaces on the right


class Split(NamedTuple):
    """What is trained on and what is never seen."""

    pool: Questions
    unseen: Questions
    others: Questions  # for the supervised start


def split(pool: int, unseen: int, others: int, seed: int = 0) -> Split:
    """Different questions of all kinds in equal parts; the supervised start sees other ones than `unseen`."""
    rng = np.random.default_rng(seed)
    parts: list[list[tuple[str, int, int]]] = [[], [], []]
    for k, (sign, first, second) in enumerate(KINDS):
        pairs = np.stack(np.meshgrid(_numbers(first), _numbers(second), indexing="ij"), -1).reshape(-1, 2)
        order = rng.permutation(len(pairs))
        wanted = [len(range(k, n, len(KINDS))) for n in (pool, unseen)]
        if sum(wanted) > len(pairs):
            kind = f"{first}{sign}{second}"
            raise ValueError(f"Expected at most {len(pairs)} questions of kind {kind}, got {sum(wanted)}.")
        mine = pairs[order[: wanted[0]]], pairs[order[wanted[0] : sum(wanted)]]
        rest = np.concatenate([mine[0], pairs[order[sum(wanted) :]]])
        more = rest[rng.integers(0, len(rest), others // len(KINDS))]
        for part, chosen in zip(parts, (*mine, more), strict=True):
            part += [(sign, int(a), int(b)) for a, b in chosen]
    return Split(*(_encoded(part) for part in parts))


def solved(given: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Whether the answers [T, ANSWER] given are right up to the full stop, [T]."""
    return ((given == answers) | ~until_end(answers)).all(dim=1)


def until_end(answers: torch.Tensor) -> torch.Tensor:
    """The characters up to the first full stop, with it, [T, ANSWER]."""
    ended = (answers == END).long().cumsum(dim=1)
    return (ended == 0) | ((ended == 1) & (answers == END))


def _numbers(digits: int) -> np.ndarray:
    return np.arange(2, 10) if digits == 1 else np.arange(10 ** (digits - 1), 10**digits)


def _encoded(questions: list[tuple[str, int, int]]) -> Questions:
    prompts = [f"{a}{sign}{b}=".rjust(PROMPT) for sign, a, b in questions]
    answers = [f"{a + b if sign == '+' else a * b}.".ljust(ANSWER) for sign, a, b in questions]
    return Questions(*(torch.tensor([[NUMBER[c] for c in text] for text in texts]) for texts in (prompts, answers)))
