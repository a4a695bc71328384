"""What does `allocenv plan storage` do? It says how to set the knobs of today's storage stacks for a trace.

A rule here admits a request to the fastest device where all its conditions hold (`baselines/selective.py`). How
each stack calls a condition, and where it has none, is in `settings` (facts/hybrid_storage.md section 7).
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from allocenv.core.console import report_console
from allocenv.core.files import write_atomically
from allocenv.problems.storage.baselines.selective import NO_CUTOFF, Admission
from allocenv.problems.storage.baselines.tuning import N_TRIED, NOTHING, Advice, Knob, advise
from allocenv.problems.storage.evaluation_report import Case
from allocenv.problems.storage.evaluation_run import expect_folder, parse_shares
from allocenv.problems.storage.rules import ACCOUNTING_MEANS, System
from allocenv.problems.storage.simulation import Summary
from allocenv.problems.storage.trace import Trace
from allocenv.problems.storage.trace_commands import Input, tell_left_out

TODAY = {
    "lru": Admission(),
    "lru_p05": Admission(probability=0.05),
    "lru_4hit": Admission(hits=4),
    "slow_only": NOTHING,
}


class Setting(NamedTuple):
    """A knob as its makers call it."""

    stack: str
    knob: str
    value: str


def run_advice(
    source: Input, devices: str, fast: str | None, moves: str, loop: str, today: str, out: Path, seed: int
) -> None:
    """Try the settings, print what to set and what it gives, write plan.json into `out`."""
    if today not in TODAY:
        raise ValueError(f"--today: expected one of {', '.join(TODAY)}, got {today!r}.")
    expect_folder(out)
    system = System.named(devices, parse_shares(fast), accounting=moves, loop=loop)
    read = source.read()
    case = Case(read.trace, system, "second-half", 1)
    console = report_console()
    tell_left_out(read, console)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("trying settings", total=N_TRIED)
        advice = advise(
            read.trace, system, TODAY[today], seed=seed, progress=lambda n: progress.update(task, completed=n)
        )
    console.print(_figures(case, advice, today))
    console.print(_settings_table(advice, read.trace))
    console.print(verdict(advice, read.trace, today), soft_wrap=True)
    write_atomically(out / "plan.json", json.dumps(_document(case, advice, today), indent=1) + "\n")
    console.print(f"Written: {out / 'plan.json'}", soft_wrap=True)


def verdict(advice: Advice, trace: Trace, today: str) -> str:
    """What to do, in a sentence."""
    gain = f"{advice.expected.mean:.1f} us instead of {advice.today.mean:.1f} us"
    if advice.rule == NOTHING:
        what = "admit nothing: on this trace no promotion pays for its move"
    elif advice.rule == TODAY[today]:
        return f"Keep {today}: none of the {N_TRIED} settings tried is better."
    else:
        what = f"admit {rule_text(advice.rule, trace)}, and limit promotion to {advice.rate_mb_s:.3g} MB/s"
    accounting = advice.system.accounting
    return f"Advice: {what}. Expected: {gain} ({advice.gain:.1%} less; moves {accounting})."


def rule_text(rule: Admission, trace: Trace) -> str:
    """The rule in words."""
    if rule == NOTHING:
        return "nothing"
    words = []
    if rule.hits:
        words.append(f"from access {rule.hits + 1} on")
    if rule.probability < 1:
        words.append(f"with probability {rule.probability:g}")
    if rule.cutoff != NO_CUTOFF:
        words.append(f"runs of up to {cutoff_kib(rule, trace):g} KiB only")
    return ", ".join(words) or "everything"


def cutoff_kib(rule: Admission, trace: Trace) -> float:
    """The sequential cut-off; infinite where there is none."""
    return math.inf if rule.cutoff == NO_CUTOFF else rule.cutoff * trace.page_bytes / 1024


def settings(advice: Advice, trace: Trace) -> list[Setting]:
    """The advice in the words of each stack; a knob that a stack lacks is not there."""
    rule = advice.rule
    if rule == NOTHING:
        return [
            Setting("bcache", "cache_mode", "none"),
            Setting("dm-cache", "", "run without it: it has no switch that stops promotion alone"),
            Setting("Open CAS", "cache mode", "pt (pass-through)"),
            Setting("ZFS L2ARC", "secondarycache", "none"),
        ]
    kib, rate = cutoff_kib(rule, trace), math.ceil(advice.rate_mb_s * 1e6)
    open_ended = math.isinf(kib)
    found = [
        Setting("bcache", "sequential_cutoff", "0 (off)" if open_ended else f"{kib * 1024:.0f} bytes"),
        Setting("Open CAS", "seq-cutoff policy", "never" if open_ended else "always"),
    ]
    if not open_ended:
        found.append(Setting("Open CAS", "seq-cutoff threshold", f"{kib:.0f} KiB"))
    if rule.hits:
        found += [
            Setting("Open CAS", "promotion policy", "nhit"),
            Setting("Open CAS", "promotion-nhit threshold", f"{rule.hits + 1}"),
            Setting("dm-cache", "read_ and write_promote_adjustment (policy mq; smq tunes itself)", f"{rule.hits}"),
            Setting("ZFS L2ARC", "l2arc_mfuonly", "1"),
        ]
    else:
        found.append(Setting("Open CAS", "promotion policy", "always"))
    if rule.probability < 1:
        found.append(Setting("CacheLib", "admission probability (random policy)", f"{rule.probability:g}"))
        found.append(Setting("other stacks", "none has random admission: nhit above comes next", _next_best(advice)))
    found.append(Setting("ZFS L2ARC", "l2arc_write_max", f"{rate} bytes a second (l2arc_feed_secs=1)"))
    found.append(Setting("Linux tiers", "numa_balancing_promote_rate_limit_MBps", f"{math.ceil(advice.rate_mb_s)}"))
    return found


def _next_best(advice: Advice) -> str:
    nhit = advice.knobs[0]
    return f"threshold {nhit.value + 1:g}: {nhit.summary.mean:.1f} us"


def _figures(case: Case, advice: Advice, today: str) -> Table:
    """What each setting gives on the half that it is judged on."""
    table = Table("setting", "value", title=case.title, caption=_caption(case.system))
    for column in ("mean us", "/ Fast-Only", "p99 us", "less than today", "pages promoted"):
        table.add_column(column, justify="right")
    rule = rule_text(advice.rule, case.trace)
    table.add_row("today", today, *_cells(advice.today, advice.today))
    table.add_row("slow only", "admit nothing", *_cells(advice.slow_only, advice.today))
    for knob in advice.knobs:
        table.add_row(f"best {knob.name} alone", _value(knob), *_cells(knob.summary, advice.today))
    table.add_row("advice", rule, *_cells(advice.expected, advice.today), style="bold")
    return table


def _caption(system: System) -> str:
    return f"Moves {system.accounting}: {ACCOUNTING_MEANS[system.accounting]}. Chosen and judged on the same half."


def _value(knob: Knob) -> str:
    return "none" if math.isinf(knob.value) else f"{knob.value:g} {knob.unit}".strip()


def _cells(s: Summary, today: Summary) -> tuple[str, ...]:
    saved = 1 - s.mean / today.mean
    return f"{s.mean:.2f}", f"{s.normalised:.3f}", f"{s.p99:.1f}", f"{saved:+.1%}", f"{s.promoted:,}"


def _settings_table(advice: Advice, trace: Trace) -> Table:
    table = Table("stack", "knob", "value", title="In the words of")
    for setting in settings(advice, trace):
        table.add_row(*setting)
    return table


def _document(case: Case, advice: Advice, today: str) -> dict[str, Any]:
    rule, kib = advice.rule, cutoff_kib(advice.rule, case.trace)
    return {
        "allocenv_advice": 1,
        **case.described(),
        "today": {"name": today, **advice.today._asdict()},
        "slow_only": advice.slow_only._asdict(),
        "advice": {
            "admit_nothing": rule == NOTHING,
            "earlier_accesses": rule.hits,
            "admission_probability": rule.probability,
            "sequential_cutoff_kib": None if math.isinf(kib) else kib,
            "rate_limit_mb_s": advice.rate_mb_s,
            "gain": advice.gain,
            "expected": advice.expected._asdict(),
        },
        "alone": [
            {
                "knob": knob.name,
                "value": None if math.isinf(knob.value) else knob.value,
                "unit": knob.unit,
                **knob.summary._asdict(),
            }
            for knob in advice.knobs
        ],
        "settings": [setting._asdict() for setting in settings(advice, case.trace)],
    }
