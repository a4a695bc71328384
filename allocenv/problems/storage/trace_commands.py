"""What do `allocenv data fit-device`, `convert` and `statistics`, and `allocenv generate storage` do?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from allocenv.core.console import report_console
from allocenv.core.files import one_line
from allocenv.problems.storage.device_file import write_device
from allocenv.problems.storage.fitting import fit_device
from allocenv.problems.storage.formats import LOSSES, Read, read_requests, write_trace
from allocenv.problems.storage.generator import PRESETS, generate
from allocenv.problems.storage.sources import TRACES, find_trace
from allocenv.problems.storage.splicing import alone
from allocenv.problems.storage.statistics import statistics

FIGURES = {  # of `statistics`: what a person reads
    "requests": ("requests", "{:,.0f}"),
    "seconds": ("seconds", "{:,.3f}"),
    "write_share": ("writes", "{:.1%}"),
    "mean_kib": ("mean KiB of the pages touched", "{:.1f}"),
    "page_accesses": ("page accesses", "{:,.0f}"),
    "unique_pages": ("unique pages", "{:,.0f}"),
    "accesses_per_page": ("accesses per page", "{:.2f}"),
    "sequential_share": ("sequential", "{:.1%}"),
}


@dataclass(frozen=True)
class Input:
    """The options of a command that say which trace it reads, and how."""

    name: str
    format: str | None = None
    limit: int | None = None
    skip_bad: bool = False
    sort: bool = False

    def read(self) -> Read:
        """The trace. Raises ValueError: neither a file nor a known name; or an InputError of the file."""
        if Path(self.name).exists() or self.name not in TRACES:
            if not Path(self.name).exists():
                raise ValueError(f"Expected a trace file or one of {', '.join(TRACES)}; got {one_line(self.name)!r}.")
            return read_requests(
                self.name, self.format, max_requests=self.limit, skip_bad=self.skip_bad, sort=self.sort
            )
        if self.format is not None:
            raise ValueError(f"--format: expected none for the named trace {self.name}, got {self.format!r}.")
        trace = find_trace(self.name)
        return Read(trace if self.limit is None else alone(trace, 0, self.limit), "named")


def tell_left_out(read: Read, console: Console) -> None:
    """Say what of the file is not in the trace."""
    if read.skipped:
        console.print(f"Left out {read.skipped} bad ones; the first: {read.first_bad}", soft_wrap=True, markup=False)
    if read.others:
        console.print(f"Left out {read.others} that are neither read nor write.", soft_wrap=True)


def run_fit(
    files: Sequence[Path], out: Path, name: str | None, gigabytes: float, dwpd: float | None, rpm: float
) -> None:
    """Fit, show every measurement beside the model, write the device."""
    if out.suffix != ".json":
        raise ValueError(f"--out: expected a .json file, which --devices can name, got {out}.")
    fit = fit_device(files, name or out.stem, gigabytes=gigabytes, dwpd=math.inf if dwpd is None else dwpd, rpm=rpm)
    console = report_console()
    table = Table("job", "what", "KiB", "in flight", title=f"{fit.device.name}: what fio measured, and the model's")
    for column in ("mean us", "model", "error", "p99 us", "model", "error"):
        table.add_column(column, justify="right")
    for row in fit.rows:
        m = row.measured
        p99 = ("-", "-", "-") if math.isnan(m.p99_us) else _beside(m.p99_us, row.p99_us, row.p99_error)
        what = f"{'random ' if m.random else ''}{'write' if m.write else 'read'}"
        mean = _beside(m.mean_us, row.mean_us, row.mean_error)
        table.add_row(one_line(m.job, 40), what, f"{4 * m.pages}", f"{m.depth}", *mean, *p99)
    console.print(table)
    d = fit.device
    head = f", seek {d.seek_us:.0f}, rotation {d.rotation_us:.0f}" if d.seek_us else ""
    console.print(
        f"{d.name}: 4 KiB read {d.read_us:.1f} us, write {d.write_us:.1f}; each further page {d.read_page_us:.2f}, "
        f"{d.write_page_us:.2f}{head}; serves {fit.at_once[0]:.1f} reads, {fit.at_once[1]:.1f} writes at once.",
        soft_wrap=True,
    )
    console.print(f"Largest error: mean {fit.worst_mean:.1%}, p99 {fit.worst_p99:.1%}.", soft_wrap=True)
    if fit.left_out:
        console.print(f"Left out {fit.left_out} jobs that mix reads and writes.")
    write_device(fit.device, out)
    console.print(f"Written: {out}", soft_wrap=True)


def _beside(measured: float, model: float, error: float) -> tuple[str, str, str]:
    return f"{measured:,.1f}", f"{model:,.1f}", f"{error:+.1%}"


def run_convert(source: Input, output: Path, to: str) -> None:
    """Read, write, and say what is lost."""
    _expect_format(to, "--to")
    read = source.read()
    console = Console()
    tell_left_out(read, console)
    lost = write_trace(read.trace, output, to)
    console.print(f"Written: {output} ({len(read.trace)} requests as {to}, from {read.format})", soft_wrap=True)
    if lost:
        console.print(f"Not in it, as {to} does not hold it: {', '.join(lost)}.", soft_wrap=True)


def run_statistics(source: Input) -> None:
    """Print the figures of a trace."""
    read = source.read()
    console = report_console()
    tell_left_out(read, console)
    table = Table("figure", title=f"{read.trace.name} ({read.format}), pages of {read.trace.page_bytes} bytes")
    table.add_column("value", justify="right")
    for name, value in statistics(read.trace).items():
        what, pattern = FIGURES[name]
        table.add_row(what, "no clock" if math.isnan(value) else pattern.format(value))
    console.print(table)


def run_generate(out: Path, like: str, requests: int | None, format: str, seed: int) -> None:
    """Write a made-up trace."""
    _expect_format(format, "--format")
    if like not in PRESETS:
        raise ValueError(f"--like: expected a workload among {', '.join(PRESETS)}, got {like!r}.")
    workload = PRESETS[like] if requests is None else PRESETS[like].with_requests(requests)
    trace = generate(workload, np.random.default_rng(seed))
    write_trace(trace, out, format)
    Console().print(f"Written: {out} ({len(trace)} requests on {trace.n_pages} pages)", soft_wrap=True)


def _expect_format(name: str, option: str) -> None:
    if name not in LOSSES:
        raise ValueError(f"{option}: expected a format among {', '.join(LOSSES)}, got {name!r}.")
