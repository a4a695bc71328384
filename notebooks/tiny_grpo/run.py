"""A real, tiny GRPO training in which groups are unequal: how much does an allocator of rollouts help?

    python notebooks/tiny_grpo/run.py --allocator posterior --seed 0 --steps 480 --out out/tiny_grpo

One thread, CPU. The supervised start is trained once per folder. Groups without a gradient are left out, and the
optimiser steps once per `--mini-batch` of the other rollouts, so a step that brings more signal is learnt from longer,
whatever the allocator. A run that was stopped goes on exactly where it was; more `--steps` lengthen it. Writes
ALLOCATOR-SEED.csv: share of solved answers on the trained pool and on unseen questions, by rollouts spent;
`compare.py` reads them.
"""

import argparse
import csv
import io
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from arithmetic import Questions, Split, solved, split, until_end
from model import Transformer

from allocenv import Allocator
from allocenv.core.files import write_atomically
from allocenv.problems.budget.adapters.groups import outcomes
from allocenv.problems.budget.adapters.verl_like import expansion, grpo_advantages
from allocenv.problems.budget.rules import make_rule

POOL, UNSEEN, OTHERS = 2048, 2000, 60_000
PROMPTS, GROUP = 128, 8  # of a step
START_BATCH, START_RATE = 256, 3.2e-3
RATE, CLIP_LOW, CLIP_HIGH = 3e-4, 0.2, 0.28
MINI_BATCH = 256  # rollouts with a gradient, about, of a step of the optimiser
FORGET = 0.85  # the learner changes within few visits; chosen on seeds 100 to 102
EVAL_EVERY, EVAL_SAMPLES = 16, 4
EVAL_STREAM = 10**6  # seeds of evaluations, beside those of steps
NAMES = ("uniform", "posterior", "rasch", "published")


class Used(NamedTuple):
    """The rollouts with a gradient, T of them."""

    rows: torch.Tensor  # [T]  of the questions of the step
    answers: torch.Tensor  # [T, ANSWER]
    before: torch.Tensor  # [T, ANSWER]  log probabilities when they were drawn
    advantages: torch.Tensor  # [T]


class Published:
    """Knapsack RL as published, with the calls of `Allocator`."""

    def __init__(self) -> None:
        self.rule = make_rule("knapsack_rl", POOL)

    def allocate(self, prompts: np.ndarray, total: int) -> np.ndarray:
        return self.rule.allocate(np.asarray(prompts), total, np.random.default_rng(0))

    def observe(self, prompts, n_correct, n_rollouts) -> None:
        self.rule.observe(np.asarray(prompts), n_correct, n_rollouts)

    def state_dict(self):
        return self.rule.estimator.state_dict()

    def load_state_dict(self, state) -> None:
        self.rule.estimator.load_state_dict(state)


def make_allocator(name: str):
    """None stands for equal groups."""
    if name == "uniform":
        return None
    if name == "published":
        return Published()
    forget = FORGET if name == "posterior" else None
    return Allocator(estimator="beta" if name == "posterior" else "rasch", forget=forget, n_prompts=POOL)


def supervised_start(path: Path, questions: Questions, steps: int) -> dict[str, torch.Tensor]:
    """The weights from which every run of a folder starts; trained where they are not there yet."""
    if path.exists():
        return torch.load(path, weights_only=True)
    torch.manual_seed(0)
    model, rng, began = Transformer(), np.random.default_rng(0), time.perf_counter()
    optimizer = torch.optim.AdamW(model.parameters(), START_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, START_RATE, total_steps=max(steps, 2))
    for step in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(questions.prompts), START_BATCH))
        answers = questions.answers[rows]
        mask = until_end(answers)
        every = torch.arange(START_BATCH)
        loss = -(model.log_probabilities(questions.prompts[rows], every, answers) * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            seconds = time.perf_counter() - began
            print(f"supervised start {step + 1}/{steps}: loss {loss:.3f}, {seconds:.0f} s", flush=True)
    save(path, model.state_dict())
    return model.state_dict()


def save(path: Path, state) -> None:
    """Write a file of torch's, whole or not at all."""
    packed = io.BytesIO()
    torch.save(state, packed)
    write_atomically(path, packed.getvalue())


def grpo_step(
    model, optimizer, allocator, pool: Questions, seed: int, step: int, batch: int, mini: int
) -> dict[str, float]:
    """Sample unequal groups, learn from those with both outcomes, tell the allocator."""
    size = len(pool.prompts)
    batch = min(batch, size)
    epoch, part = divmod(step, size // batch)
    order = np.random.default_rng([seed, epoch]).permutation(size)
    prompts = order[part * batch : (part + 1) * batch]
    counts = np.full(batch, GROUP) if allocator is None else allocator.allocate(prompts, GROUP * batch)
    rows = expansion(counts)
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    questions = pool.prompts[prompts]
    given, before = model.sample(questions, torch.from_numpy(rows), generator)
    rewards = solved(given, pool.answers[prompts[rows]]).double().numpy()
    seen = outcomes(prompts[rows], rewards)
    if allocator is not None:
        allocator.observe(*seen)
    mixed = (seen.n_correct > 0) & (seen.n_correct < seen.n_rollouts)
    advantages = grpo_advantages(rewards, rows)
    used = torch.from_numpy(np.flatnonzero(advantages != 0))
    told = Used(torch.from_numpy(rows)[used], given[used], before[used], torch.from_numpy(advantages)[used].float())
    learn(model, optimizer, questions, told, generator, mini)
    return {
        "effective_prompts": float(mixed.mean()),
        "effective_rollouts": float(seen.n_rollouts[mixed].sum() / seen.n_rollouts.sum()),
        "max_rollouts": float(counts.max()),
        "rollouts": float(counts.sum()),
    }


def learn(model, optimizer, questions: torch.Tensor, used: Used, generator, mini: int) -> None:
    """One pass in mini-batches, clipped further above than below (DAPO), mean over characters."""
    if not len(used.rows):
        return
    mask = until_end(used.answers)
    parts = max(round(len(used.rows) / mini), 1)
    for part in torch.randperm(len(used.rows), generator=generator).chunk(parts):
        now = model.log_probabilities(questions, used.rows[part], used.answers[part])
        ratio, gain = (now - used.before[part]).exp(), used.advantages[part, None]
        kept = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH) * gain) * mask[part]
        optimizer.zero_grad()
        (-kept.sum() / mask[part].sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def share_solved(model, questions: Questions, seed: int) -> tuple[float, np.ndarray]:
    """Share of right answers among EVAL_SAMPLES of each question, and that of each question."""
    rows = torch.arange(len(questions.prompts)).repeat_interleave(EVAL_SAMPLES)
    given, _ = model.sample(questions.prompts, rows, torch.Generator().manual_seed(EVAL_STREAM + seed))
    right = solved(given, questions.answers[rows]).double().view(-1, EVAL_SAMPLES).mean(dim=1).numpy()
    return float(right.mean()), right


def evaluated(model, data: Split, seed: int, step: int) -> dict[str, float]:
    """Pass rates on the pool and on unseen questions."""
    pool, each = share_solved(model, data.pool, 1000 * seed + step)
    unseen, _ = share_solved(model, data.unseen, 1000 * seed + step)
    never, always = float((each == 0).mean()), float((each == 1).mean())
    return {"pool": pool, "unseen": unseen, "pool_at_0": never, "pool_at_1": always}


def run(
    name: str, seed: int, steps: int, out: Path, start_steps: int, batch: int, every: int, mini: int = MINI_BATCH
) -> Path:
    """Train, or go on; returns the CSV."""
    data = split(POOL, UNSEEN, OTHERS)
    model, allocator = Transformer(), make_allocator(name)
    model.load_state_dict(supervised_start(out / "start.pt", data.others, start_steps))
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    checkpoint, table = out / f"{name}-{seed}.pt", out / f"{name}-{seed}.csv"
    begin, spent, seconds, lines = 0, 0.0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        begin, spent, seconds, lines = state["step"], state["spent"], state["seconds"], state["lines"]
        if allocator is not None:
            kept = state["allocator"].items()
            allocator.load_state_dict({key: x if isinstance(x, str) else x.numpy() for key, x in kept})
    else:
        lines.append({"step": 0, "rollouts": 0.0, **evaluated(model, data, seed, 0), "seconds": 0.0})
        print(_told(name, seed, lines[-1]), flush=True)
    sums: dict[str, float] = {}
    began = time.perf_counter()
    for step in range(begin, steps):
        figures = grpo_step(model, optimizer, allocator, data.pool, seed, step, batch, mini)
        spent += figures.pop("rollouts")
        sums = {key: sums.get(key, 0.0) + x for key, x in figures.items()}
        if (step + 1) % every == 0:
            seconds, began = seconds + time.perf_counter() - began, time.perf_counter()
            means = {key: x / every for key, x in sums.items()}
            scores = evaluated(model, data, seed, step + 1)
            lines.append({"step": step + 1, "rollouts": spent, **scores, **means, "seconds": seconds})
            sums, began = {}, time.perf_counter()
            kept = (
                {}
                if allocator is None
                else {k: x if isinstance(x, str) else torch.from_numpy(x) for k, x in allocator.state_dict().items()}
            )
            save(
                checkpoint,
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                    "spent": spent,
                    "seconds": seconds,
                    "lines": lines,
                    "allocator": kept,
                },
            )
            print(_told(name, seed, lines[-1]), flush=True)
        if (step + 1) % every == 0 or step + 1 == steps:
            write_table(table, lines)
    return table


def write_table(path: Path, lines: list[dict[str, float]]) -> None:
    """The evaluations as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_atomically(path, text.getvalue())


def _told(name: str, seed: int, line: dict[str, float]) -> str:
    figures = ", ".join(f"{key} {x:.3f}" for key, x in line.items() if key not in ("step", "rollouts"))
    return f"{name} {seed}, step {line['step']}: {figures}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allocator", choices=NAMES, default="posterior")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--out", type=Path, default=Path("out/tiny_grpo"))
    parser.add_argument("--start-steps", type=int, default=600, help="of the supervised start")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="of a step")
    parser.add_argument("--mini-batch", type=int, default=MINI_BATCH, help="rollouts of a step of the optimiser, about")
    parser.add_argument("--every", type=int, default=EVAL_EVERY, help="steps between evaluations and checkpoints")
    g = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    table = run(g.allocator, g.seed, g.steps, g.out, g.start_steps, g.prompts, g.every, g.mini_batch)
    print(f"Written: {table}")


if __name__ == "__main__":
    main()
