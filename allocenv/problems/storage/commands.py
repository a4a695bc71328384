"""The wording of `allocenv evaluate storage`, `plan storage`, `generate storage`, and of `allocenv data ...`.

What they do is in `evaluation_run.py`, `archive_run.py`, `advice.py` and `trace_commands.py`.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from allocenv.problems.storage.export.command import export_command as export_command

TraceName = Annotated[str, typer.Option(help="A file, or a name of `allocenv list storage`, such as cloudphysics.")]
Format = Annotated[str | None, typer.Option(help="Of the file; default: told by its content and name.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad lines or records out, and say how many.")]
Sort = Annotated[bool, typer.Option("--sort", help="Put requests in order of time, where the file does not.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many requests.")]
Devices = Annotated[
    str, typer.Option(help="Fastest first: names of H, M, L_SSD, L, or .json files of `allocenv data fit-device`.")
]
Fast = Annotated[
    str | None,
    typer.Option(
        help="Share of the pages that the fastest device holds, such as 0.1; of more than two devices a share for "
        "all but the last, such as 0.05,0.1. Default: as in Sibyl's paper."
    ),
]
Moves = Annotated[
    str,
    typer.Option(help="Who pays for moves: charged (the request that causes them), background (later ones), free."),
]
Loop = Annotated[str, typer.Option(help="closed: one request at a time; open: they arrive by the trace's clock.")]
Budget = Annotated[float | None, typer.Option(help="Most bandwidth of background migration, MB/s.")]
Endurance = Annotated[float | None, typer.Option(help="Share of the warranted drive writes per day to keep to.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all randomness.")]


def evaluate_command(
    context: typer.Context,
    trace: Annotated[str | None, typer.Option(help="A file, or a name of `allocenv list storage`.")] = None,
    archive: Annotated[
        str | None,
        typer.Option(help="Instead: many traces, each a file below this folder or URL; * stands for parts of names."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Of an --archive: local, or ray: its traces on a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; default: Ray on this machine.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Of an --archive: so many traces side by side.")] = None,
    devices: Devices = "H,M",
    fast: Fast = None,
    moves: Moves = "charged",
    loop: Loop = "closed",
    policies: Annotated[str, typer.Option(help="Comma-separated names of `allocenv list storage`, or `all`.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs of each policy, with seeds 0, 1, ...")] = 1,
    part: Annotated[str, typer.Option(help="second-half (the first one teaches) or whole.")] = "second-half",
    budget_mb_s: Budget = None,
    endurance: Endurance = None,
    size_curve: Annotated[
        bool, typer.Option("--size-curve", help="Also latency against fast capacity: 1, 2, 5, 10, 20, 50 %.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for results.json, rows.csv and the plots.")] = Path("out/storage"),
    format: Format = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    sort: Sort = False,
    readme: Annotated[
        Path | None, typer.Option(help="Write the table between this file's <!-- storage:start/end --> marks.")
    ] = None,
) -> None:
    """Replay a block trace under each policy: latency, load, moves and wear, all by the same rules.

    Of an --archive: every trace, the finished ones kept, so that the same command goes on where it was. Exit status 1
    where a trace cannot be read.
    """
    chosen = context.obj.engine(engine, address, processes)
    if (trace is None) == (archive is None):
        raise ValueError("Expected one of --trace and --archive; for windows of traces see storage-episodes.")
    if trace is not None and (engine, address, processes) != ("local", None, None):
        raise ValueError("--engine, --processes: expected an --archive with them; one trace is one process's work.")
    if archive is not None and (size_curve or readme is not None):
        raise ValueError("--size-curve, --readme: expected a --trace with them, got an --archive.")
    from allocenv.problems.storage.evaluation_run import Wishes, run_evaluation
    from allocenv.problems.storage.trace_commands import Input

    source = Input(trace or "", format, limit, skip_bad, sort)
    wishes = Wishes(
        devices, fast, moves, loop, policies, seeds, part, budget_mb_s, endurance, size_curve, tuple(sys.argv[1:])
    )
    if archive is None:
        run_evaluation(source, wishes, out, readme)
        return
    from allocenv.problems.storage.archive_run import run_archive

    if not run_archive(archive, source, wishes, out, chosen):
        raise typer.Exit(1)


def plan_command(
    trace: TraceName,
    devices: Devices = "H,M",
    fast: Fast = None,
    moves: Moves = "charged",
    loop: Loop = "closed",
    today: Annotated[str, typer.Option(help="What is in force: lru, lru_p05, lru_4hit or slow_only.")] = "lru",
    out: Annotated[Path, typer.Option(help="Folder for plan.json.")] = Path("out/advice"),
    format: Format = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    sort: Sort = False,
    seed: Seed = 0,
) -> None:
    """Advise for the knobs of today's caches: n-hit, admission probability, sequential cut-off, rate limit, gain."""
    from allocenv.problems.storage.advice import run_advice
    from allocenv.problems.storage.trace_commands import Input

    run_advice(Input(trace, format, limit, skip_bad, sort), devices, fast, moves, loop, today, out, seed)


def generate_command(
    out: Annotated[Path, typer.Option(help="The file; packed where its name ends with .gz, .xz or .zst.")],
    like: Annotated[str, typer.Option(help="A workload, such as hm_1, prxy_0 or cloudphysics_writes.")] = "hm_1",
    requests: Annotated[int | None, typer.Option(min=1, help="About so many; default: as the workload has.")] = None,
    format: Annotated[str, typer.Option(help="msr, fio_iolog3, blkparse, vscsi2, table ...")] = "msr",
    seed: Seed = 0,
) -> None:
    """Write a made-up block trace with the published statistics of a workload."""
    from allocenv.problems.storage.trace_commands import run_generate

    run_generate(out, like, requests, format, seed)


def fit_device_command(
    files: Annotated[list[Path], typer.Argument(help="Outputs of `fio --output-format=json`, all of one device.")],
    out: Annotated[Path, typer.Option(help="The device as a .json file, for --devices.")],
    name: Annotated[str | None, typer.Option(help="Of the device; default: that of the file.")] = None,
    gigabytes: Annotated[float, typer.Option(help="Its size, 10**9 bytes; fio does not tell.")] = 1000.0,
    dwpd: Annotated[float | None, typer.Option(help="Drive writes per day that the vendor warrants.")] = None,
    rpm: Annotated[float, typer.Option(help="Of a disk.")] = 7200.0,
) -> None:
    """Fit a device model to what fio measured, and say how well it reproduces it.

    Needed are reads and writes at iodepth 1 of at least two block sizes.
    """
    from allocenv.problems.storage.trace_commands import run_fit

    run_fit(files, out, name, gigabytes, dwpd, rpm)


def convert_command(
    input: Annotated[str, typer.Argument(help="A file, or a name of `allocenv list storage`, such as cloudphysics.")],
    output: Annotated[Path, typer.Argument(help="The file; packed where its name ends with .gz, .xz or .zst.")],
    to: Annotated[str, typer.Option(help="Its format: msr, spc, vscsi2, oracle_general, fio_iolog3, table ...")],
    format: Format = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    sort: Sort = False,
) -> None:
    """Write a block trace in another format, and say what of it that format does not hold."""
    from allocenv.problems.storage.trace_commands import Input, run_convert

    run_convert(Input(input, format, limit, skip_bad, sort), output, to)


def statistics_command(
    trace: Annotated[str, typer.Argument(help="A file, or a name of `allocenv list storage`, such as cloudphysics.")],
    format: Format = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    sort: Sort = False,
) -> None:
    """Requests, writes, sizes, re-use and sequential share of a block trace."""
    from allocenv.problems.storage.trace_commands import Input, run_statistics

    run_statistics(Input(trace, format, limit, skip_bad, sort))


DATA_COMMANDS = {"fit-device": fit_device_command, "convert": convert_command, "statistics": statistics_command}
