"""How many rollouts does each prompt of a trainer's next batch get? The drop-in: ask, train, tell, ask again.

    allocator = Allocator()
    for prompt_ids in batches:
        counts = allocator.allocate(prompt_ids, total=8 * len(prompt_ids))  # [M], sums to total
        rows = allocator.expand(counts)                                     # [total], row of the batch
        ... generate one rollout for each of rows, reward it ...
        allocator.observe(prompt_ids, n_correct, counts)

It learns the success rate of every prompt from all that was ever observed of it and allocates exactly under
what it believes. `adapters` fits it into trainers like verl and TRL. In rounds, each of which looks at the
outcomes of those before:

    allocator.begin(prompt_ids, total)
    while not allocator.done():
        counts = allocator.next_round(active)
        ... allocator.observe(prompt_ids, n_correct, counts)
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from allocenv.core.arrays import Array, BoolArray, LongArray
from allocenv.problems.budget.allocation import allocate, allocate_tokens
from allocenv.problems.budget.allocator_file import Saved, read_state, write_state
from allocenv.problems.budget.estimators import DiscountedBeta, Estimator, ItemResponse
from allocenv.problems.budget.prompt_ids import PromptId, PromptIds, listed, shown
from allocenv.problems.budget.rounds_of_step import StepInRounds, round_of
from allocenv.problems.budget.values import VALUES, VARIANCE, Belief, Value, mean, worth

GRPO = "grpo"  # the published value of a GRPO group
FORGET = 0.9  # flat optimum on the real run: facts/reasoning_budget.md 5.1
TOKEN_PRIOR = 1.0  # rollouts that the pool's mean length counts for: lengths differ more between prompts than within
HARD, EASY = 0.1, 0.9
FORMAT = "1"
STEP = "step."
MakeEstimator = Callable[[int], Estimator]


class Allocator:
    """Shares a batch's rollouts among its prompts and learns from their outcomes.

    Prompt ids are text, whole numbers or tuples of them. Same calls, same result: there is no randomness.

    Args:
        n_low: fewest rollouts of a prompt. 0 lets prompts be left out.
        n_up: most rollouts of a prompt.
        value: what is maximised: `grpo` (the same as `infogain`), another name of `values.VALUES`, or a `Value`.
        estimator: `beta` (a discounted Beta for each prompt), `rasch` (one common ability, slower), or what
            makes an `Estimator` for so many prompts.
        forget: what the counts of a prompt keep at each visit, for `beta` and for tokens. Default 0.9; lower
            where the learner changes fast.
        n_prompts: prompts of the data set, where known; more may come. Helps the prior in the first pass.

    Raises:
        ValueError: an argument that is none of these.
    """

    def __init__(
        self,
        n_low: int = 2,
        n_up: int = 128,
        value: str | Value = GRPO,
        estimator: str | MakeEstimator = "beta",
        forget: float | None = None,
        n_prompts: int = 0,
    ) -> None:
        for name, x in (("n_low", n_low), ("n_up", n_up), ("n_prompts", n_prompts)):
            if type(x) is not int or x < 0:
                raise ValueError(f"Expected {name}: a whole number of at least 0, got {x!r}.")
        if n_low > n_up or n_up == 0:
            raise ValueError(f"Expected n_low <= n_up and n_up >= 1, got {n_low} and {n_up}.")
        if forget is not None and not 0 < forget <= 1:
            raise ValueError(f"Expected 0 < forget <= 1, got {forget}.")
        self.n_low, self.n_up, self.n_prompts = n_low, n_up, n_prompts
        self.value = _value(value)
        if self.value.shape == VARIANCE and n_low < 2:
            raise ValueError(f"Expected n_low >= 2 for the value `variance`, got {n_low}.")
        self._forget = FORGET if forget is None else float(forget)
        self._kind, self._make = _estimator(estimator, self._forget, forget is not None)
        self._ids = PromptIds()
        self._room = max(n_prompts, 1)
        self._estimator = self._make(self._room)
        self._tokens = np.zeros((2, self._room))  # discounted rollouts and their tokens
        self._step: StepInRounds | None = None
        self._last: tuple[Belief, LongArray] | None = None
        self._expected: dict[str, float] = {}
        self._observed: dict[str, float] = {}

    def allocate(self, prompt_ids: Sequence[Any], total: float, costs: ArrayLike | str | None = None) -> LongArray:
        """The rollouts [M] of different prompts [M]: largest expected value, exactly.

        Args:
            prompt_ids: known or new ones.
            total: rollouts to give; they sum to it. With `costs`: tokens to spend at most.
            costs: tokens of one rollout of each prompt [M], or `observed`: as told to `observe` so far.

        Raises:
            ValueError: ids given twice or of another kind; a total that the bounds do not allow; costs that
                are not above 0.
        """
        found = self._ids.find(prompt_ids)
        prices = None if costs is None else self._prices(found.numbers, costs)
        if prices is None:
            self._check_total(total, len(found.numbers))
        else:
            _check_tokens(total, self.n_low * float(prices.sum()))
        self.finish()
        self._admit(found.new)
        belief = self._estimator.posterior(found.numbers)
        if prices is None:
            counts = allocate(self.value, belief, int(total), self.n_low, self.n_up)
        else:
            counts = allocate_tokens(self.value, belief, prices, float(total), self.n_low, self.n_up).counts
        self._last = belief, counts
        return counts.copy()

    def observe(
        self,
        prompt_ids: Sequence[Any],
        n_correct: ArrayLike,
        n_rollouts: ArrayLike,
        tokens: ArrayLike | None = None,
        allow_new: bool = False,
    ) -> None:
        """Learn from the outcomes of groups, [M] each. On an error nothing is learnt.

        Args:
            prompt_ids: different prompts; each must have been allocated, or `allow_new`.
            n_correct: correct rollouts of each.
            n_rollouts: rollouts of each; 0 says nothing.
            tokens: of all rollouts of each together, where costs matter.
            allow_new: take in prompts that were never allocated, such as those of an old log.

        Raises:
            ValueError: unknown ids, counts that are no whole numbers (NaN), more correct ones than rollouts,
                or, between rounds, prompts or rollouts that were not handed out.
        """
        found = self._ids.find(prompt_ids)
        if found.new and not allow_new:
            more = f" and {len(found.new) - 1} more" if len(found.new) > 1 else ""
            raise ValueError(
                f"Expected prompt ids that were allocated before (or allow_new=True), got {shown(found.new[0])}{more}."
            )
        named = _Named(prompt_ids, len(found.numbers))
        correct, rollouts = named.whole("n_correct", n_correct), named.whole("n_rollouts", n_rollouts)
        named.check(correct > rollouts, lambda i: f"n_correct <= n_rollouts, got {correct[i]} of {rollouts[i]}")
        lengths = None if tokens is None else named.numbers_above("tokens", tokens)
        if self._step is not None:
            self._observe_round(self._step, found.numbers, correct, rollouts, named)
        self._admit(found.new)
        if self._step is None:
            self._estimator.observe(found.numbers, correct, rollouts)
        if lengths is not None:
            self._learn_lengths(found.numbers, rollouts, lengths)
        self._observed = _seen(correct, rollouts)

    def expand(self, counts: ArrayLike) -> LongArray:
        """The row of the batch of each rollout, [total]: row 0 counts[0] times, then row 1 ..."""
        given = np.asarray(counts if np.size(counts) else np.zeros(0, np.int64))
        if given.ndim != 1 or given.dtype.kind not in "iu" or (given < 0).any():
            raise ValueError(f"Expected counts: a list of whole numbers of at least 0, got {shown(counts)}.")
        return np.repeat(np.arange(len(given)), given)

    def begin(self, prompt_ids: Sequence[Any], total: int, per_round: int | None = None) -> None:
        """Begin a step in rounds of at most `per_round` rollouts; default: a quarter of `total`, `n_low` each at least.

        Raises:
            ValueError: as `allocate` without costs, or a round of less than one prompt's `n_low`.
        """
        found = self._ids.find(prompt_ids)
        m = len(found.numbers)
        if not _is_whole(total) or total < 0:
            raise ValueError(f"Expected a total of at least 0 rollouts, got {shown(total)}.")
        usual = max(-(-int(total) // 4), self.n_low * m, 1)
        most = usual if per_round is None else per_round
        if not _is_whole(most) or most < max(self.n_low, 1):
            raise ValueError(f"Expected per_round >= {max(self.n_low, 1)}, got {most!r}.")
        self.finish()
        self._admit(found.new)
        given, correct, rollouts = np.zeros((3, m), np.int64)
        self._step = StepInRounds(found.numbers, given, correct, rollouts, np.array([total, most, 0], np.int64))

    def next_round(self, active: ArrayLike | None = None) -> LongArray:
        """Rollouts [M] of the next round, given all outcomes so far; all 0: no rollout is worth anything.

        Args:
            active: which prompts [M] may get more; default: all.

        Raises:
            ValueError: no step was begun, or `active` is no mask of its prompts.
        """
        step = self._open_step()
        mask: BoolArray = np.ones(len(step.numbers), bool) if active is None else np.asarray(active)
        if mask.dtype != bool or mask.shape != step.numbers.shape:
            raise ValueError(f"Expected active: {len(step.numbers)} booleans, got {mask.dtype} {mask.shape}.")
        belief = self._estimator.posterior(step.numbers)
        counts = round_of(self.value, belief, step, mask, self.n_low, self.n_up)
        step.given[:] += counts
        step.plan[0] -= counts.sum()
        step.plan[2] = int(not counts.any())
        self._last = belief, step.given.copy()
        return counts

    def done(self) -> bool:
        """Whether the step in rounds is over: nothing is left, or nothing was worth a rollout."""
        step = self._step
        return step is None or bool(step.plan[0] == 0 or step.plan[2])

    def finish(self) -> None:
        """Close a step in rounds and learn from it as one group for each prompt; `allocate` and `begin` do so too."""
        step, self._step = self._step, None
        if step is not None:
            self._estimator.observe(step.numbers, step.correct, step.rollouts)

    def posterior(self, prompt_ids: Sequence[Any]) -> Belief:
        """What is believed about the success rates of M known prompts. Raises ValueError for unknown ones."""
        return self._estimator.posterior(self._known(prompt_ids))

    def expected_rates(self, prompt_ids: Sequence[Any]) -> Array:
        """What success rates [M] are expected. Raises ValueError for unknown prompts."""
        return self._estimator.mean(self._known(prompt_ids))

    def expected_tokens(self, prompt_ids: Sequence[Any]) -> Array:
        """Tokens of one rollout [M]. Raises ValueError for unknown prompts, or where none were told."""
        return self._prices(self._known(prompt_ids), "observed")

    def stats(self) -> dict[str, float]:
        """Figures for a log: what the last allocation promises and what was last observed.

        `effective_prompts`: expected share of prompts whose group has both outcomes. `effective_rollouts`:
        expected share of rollouts in such groups. `value`: expected value a prompt. `hard_*`, `easy_*`: share
        of prompts and of rollouts with an expected rate below 0.1, above 0.9. `observed_*`: what came out.
        """
        return {"prompts_known": float(len(self._ids)), **self._promised(), **self._observed}

    def state_dict(self) -> Saved:
        """All that was learnt as arrays and text; from it another allocator goes on bit by bit."""
        settings = {
            "n_low": self.n_low, "n_up": self.n_up, "value": list(self.value), "estimator": self._kind,
            "forget": self._forget, "n_prompts": self.n_prompts,
        }  # fmt: skip
        state: Saved = {
            "format": FORMAT,
            "settings": json.dumps(settings),
            "ids": self._ids.to_json(),
            "stats": json.dumps([self._promised(), self._observed]),
            "tokens": self._tokens.copy(),
        }
        state |= {f"estimator.{name}": array for name, array in self._estimator.state_dict().items()}
        if self._step is not None:
            state |= {f"{STEP}{name}": array.copy() for name, array in self._step._asdict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; bounds and value stay those of this allocator. On an error nothing changes.

        Raises:
            ValueError: no state of an allocator, or one with another estimator or forget factor.
        """
        try:
            self._load(state)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"Expected a state of Allocator.state_dict: {type(error).__name__} {error}.") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state into one file, whole or not at all: JSON where the name ends with .json, else NPZ."""
        write_state(path, self.state_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str], estimator: MakeEstimator | None = None) -> "Allocator":
        """The allocator that was saved, with its settings; an estimator of your own must be given again.

        Raises:
            InputError: the file cannot be read or is no such state.
            ValueError: it does not fit the estimator.
        """
        state = read_state(path)
        try:
            settings = json.loads(str(state["settings"]))
            value = Value(*settings.pop("value"))
            kind, forget = settings.pop("estimator"), settings.pop("forget")
            if estimator is None and kind == "own":
                raise ValueError("Expected the estimator that this state was saved with.")
            made = cls(value=value, estimator=kind if estimator is None else estimator, **settings)
            made._forget = forget
            made._kind, made._make = (kind, estimator) if estimator is not None else _estimator(kind, forget, False)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)}: expected a state written by Allocator.save: {error}.") from None
        made.load_state_dict(state)
        return made

    def _load(self, state: Mapping[str, Any]) -> None:
        if state["format"] != FORMAT:
            raise ValueError(f"Expected a state of format {FORMAT}, got {shown(state['format'])}.")
        settings = json.loads(state["settings"])
        for name, mine in (("estimator", self._kind), ("forget", self._forget)):
            if settings[name] != mine:
                raise ValueError(f"Expected a state with {name} {mine!r}, got {settings[name]!r}.")
        ids = PromptIds.from_json(state["ids"])
        promised, observed = json.loads(state["stats"])
        tokens = np.array(state["tokens"], np.float64)
        if tokens.ndim != 2 or len(tokens) != 2 or tokens.shape[1] < max(len(ids), 1):
            raise ValueError(f"Expected tokens of {len(ids)} prompts, got shape {tokens.shape}.")
        prefix = "estimator."
        saved = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
        estimator = self._make(tokens.shape[1])
        estimator.load_state_dict(saved)
        step = _step(state, len(ids))
        self._room, self._ids, self._tokens, self._step = tokens.shape[1], ids, tokens, step
        self._estimator, self.n_prompts = estimator, settings["n_prompts"]
        self._estimator.n_prompts = self._size()
        self._last, self._expected, self._observed = None, promised, observed

    def _known(self, prompt_ids: Sequence[Any]) -> LongArray:
        found = self._ids.find(prompt_ids)
        if found.new:
            raise ValueError(f"Expected known prompt ids, got {shown(found.new[0])}.")
        return found.numbers

    def _size(self) -> int:
        return max(self.n_prompts, len(self._ids), 1)

    def _admit(self, new: Sequence[PromptId]) -> None:
        """Make room for new prompts; what is per prompt in the estimator's state grows along its first axis."""
        if not new:
            return
        self._ids.add(new)
        if len(self._ids) > self._room:
            before, self._room = self._room, max(2 * self._room, len(self._ids))
            self._estimator = _grown(self._estimator, self._make(self._room), before)
            self._tokens = np.hstack([self._tokens, np.zeros((2, self._room - before))])
        self._estimator.n_prompts = self._size()

    def _check_total(self, total: float, m: int) -> None:
        least, most = self.n_low * m, self.n_up * m
        if not _is_whole(total) or not least <= total <= most:
            raise ValueError(
                f"Expected a whole total from {least} to {most} rollouts "
                f"({m} prompts with {self.n_low} to {self.n_up} each), got {shown(total)}."
            )

    def _prices(self, numbers: LongArray, costs: ArrayLike | str) -> Array:
        if not isinstance(costs, str):
            given = np.asarray(costs, np.float64)
            if given.shape != numbers.shape or not ((given > 0) & (given < np.inf)).all():
                raise ValueError(f"Expected costs: {len(numbers)} finite numbers above 0, got {shown(costs)}.")
            return given
        if costs != "observed":
            raise ValueError(f"Expected costs: numbers or 'observed', got {costs!r}.")
        told, spent = self._tokens.sum(axis=1)
        if told == 0 or spent == 0:
            raise ValueError("Expected tokens in observe before costs='observed', got none so far.")
        here = np.where(numbers < self._room, numbers, 0)
        own = np.where(numbers < self._room, self._tokens[:, here], 0.0)
        prices: Array = (own[1] + TOKEN_PRIOR * spent / told) / (own[0] + TOKEN_PRIOR)
        return prices

    def _learn_lengths(self, numbers: LongArray, rollouts: LongArray, tokens: Array) -> None:
        there = rollouts > 0
        new = np.stack([rollouts[there], tokens[there]])
        self._tokens[:, numbers[there]] = self._forget * self._tokens[:, numbers[there]] + new

    def _open_step(self) -> StepInRounds:
        if self._step is None:
            raise ValueError("Expected begin() before next_round().")
        return self._step

    def _observe_round(
        self, step: StepInRounds, numbers: LongArray, correct: LongArray, rollouts: LongArray, named: "_Named"
    ) -> None:
        place = np.full(max(step.numbers.max(initial=0), numbers.max(initial=0)) + 1, -1)
        place[step.numbers] = np.arange(len(step.numbers))
        at = place[numbers]
        named.check(at < 0, lambda i: "prompts of this step only, got rollouts")
        room = (step.given - step.rollouts)[at]
        named.check(rollouts > room, lambda i: f"at most the {room[i]} rollouts handed out, got {rollouts[i]}")
        step.correct[at] += correct
        step.rollouts[at] += rollouts

    def _promised(self) -> dict[str, float]:
        if self._last is not None:
            self._expected = _promise(self.value, *self._last)
            self._last = None
        return self._expected


class _Named:
    """Checks of numbers [M] whose errors name the prompt."""

    def __init__(self, prompts: Sequence[Any], m: int) -> None:
        self.prompts, self.m = prompts, m

    def whole(self, name: str, x: ArrayLike) -> LongArray:
        """Whole numbers of at least 0."""
        given = self.numbers_above(name, x)
        self.check(given != np.floor(given), lambda i: f"{name}: a whole number, got {given[i]}")
        return given.astype(np.int64)

    def numbers_above(self, name: str, x: ArrayLike) -> Array:
        """Finite numbers of at least 0."""
        try:
            given = np.asarray(x, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"Expected {name}: {self.m} numbers, got {shown(x)}.") from None
        if given.shape != (self.m,):
            raise ValueError(f"Expected {name}: {self.m} numbers, one for each prompt id, got shape {given.shape}.")
        self.check(~((given >= 0) & (given < np.inf)), lambda i: f"{name} of at least 0, got {given[i]}")
        return given

    def check(self, wrong: BoolArray, expected: Callable[[int], str]) -> None:
        """Raise ValueError for the first one that is wrong."""
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(f"Expected {expected(i)} for prompt {shown(listed(self.prompts)[i])}.")


def _value(value: str | Value) -> Value:
    if isinstance(value, Value):
        return Value(*value)
    if value != GRPO and value not in VALUES:
        raise ValueError(f"Expected a value among {', '.join([GRPO, *VALUES])}, got {value!r}.")
    return VALUES["infogain" if value == GRPO else value]


def _estimator(wanted: str | MakeEstimator, forget: float, named: bool) -> tuple[str, MakeEstimator]:
    if wanted == "beta":
        return "beta", lambda n: DiscountedBeta(n, forget)
    if wanted == "rasch":
        if named:
            raise ValueError("Expected forget with the estimator `beta` only: `rasch` does not discount.")
        return "rasch", ItemResponse
    if callable(wanted):
        return "own", wanted
    raise ValueError(f"Expected an estimator: beta, rasch, or what makes one for n prompts; got {wanted!r}.")


def _grown(old: Estimator, new: Estimator, before: int) -> Estimator:
    """The new estimator with what the old one learnt of its first prompts."""
    state = new.state_dict()
    for name, array in old.state_dict().items():
        if state[name].shape == array.shape:
            state[name] = array
        else:
            state[name][:before] = array
    new.load_state_dict(state)
    return new


def _step(state: Mapping[str, Any], n: int) -> StepInRounds | None:
    if f"{STEP}numbers" not in state:
        return None
    step = StepInRounds(*(np.array(state[STEP + name], np.int64) for name in StepInRounds._fields))
    if len({array.shape for array in step[:4]}) != 1 or step.plan.shape != (3,) or (step.numbers >= n).any():
        raise ValueError("Expected the arrays of one step in rounds.")
    return step


def _promise(of: Value, belief: Belief, counts: LongArray) -> dict[str, float]:
    m, total = max(len(counts), 1), max(int(counts.sum()), 1)
    both, rates = worth(VALUES["gradient"], belief, counts), mean(belief)
    found = {
        "prompts": float(len(counts)),
        "rollouts": float(counts.sum()),
        "effective_prompts": float(both.sum() / m),
        "effective_rollouts": float((counts * both).sum() / total),
        "value": float(worth(of, belief, counts).sum() / m),
        "max_rollouts": float(counts.max(initial=0)),
        "mean_rate": float(rates.sum() / m),
    }
    for name, among in (("hard", rates < HARD), ("easy", rates > EASY)):
        found[f"{name}_prompts"] = float(among.sum() / m)
        found[f"{name}_rollouts"] = float(counts[among].sum() / total)
    return found


def _seen(correct: LongArray, rollouts: LongArray) -> dict[str, float]:
    mixed = (correct > 0) & (correct < rollouts)
    total = max(int(rollouts.sum()), 1)
    return {
        "observed_rate": float(correct.sum() / total),
        "observed_effective_prompts": float(mixed.sum() / max(int((rollouts > 0).sum()), 1)),
        "observed_effective_rollouts": float(rollouts[mixed].sum() / total),
    }


def _check_tokens(total: float, least: float) -> None:
    if isinstance(total, bool) or not isinstance(total, (int, float, np.number)) or not least <= total < np.inf:
        raise ValueError(f"Expected at least {least:g} tokens for the fewest rollouts, got {shown(total)}.")


def _is_whole(x: object) -> bool:
    if isinstance(x, (bool, np.bool_)):
        return False
    return isinstance(x, (int, np.integer)) or (isinstance(x, float) and x.is_integer())
