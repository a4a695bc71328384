"""What `allocenv export storage` does: train or read a network, write it in every style, time the header."""

from collections.abc import Callable
from pathlib import Path

import typer

from allocenv.core.files import write_atomically
from allocenv.problems.storage.export.header import check_name, header_of
from allocenv.problems.storage.export.measure import find_compiler, measure_header
from allocenv.problems.storage.export.network import PlacementNetwork, load_network, save_network, train_placement
from allocenv.problems.storage.export.table_policy import TablePolicy, tabulate
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.sources import find_trace

ENDINGS = {"c": "h", "onnx": "onnx", "torchscript": "pt"}
Converter = Callable[[TablePolicy], bytes]


def run_export(
    trace: str | None,
    devices: str,
    style: str,
    out: Path,
    weights: Path | None,
    name: str,
    seed: int,
    measure: bool,
    converter: Callable[[str], Converter],
) -> None:
    """Write the files and print their sizes. Nothing is written where one of the styles cannot be made.

    Raises:
        ValueError: wrong wishes, or a network that does not fit; see `tabulate`.
    """
    styles = [one.strip() for one in style.split(",")]
    unknown = [one for one in styles if one not in ENDINGS]
    if unknown:
        raise ValueError(f"Expected --style among {', '.join(ENDINGS)}, got {unknown[0]!r}.")
    if (trace is None) == (weights is None):
        raise ValueError("Expected either --trace to train on or --weights to read.")
    check_name(name)
    network, origin = _network(trace, devices, weights, seed)
    policy = tabulate(network)
    made = {
        out / f"{name}.{ENDINGS[one]}": header_of(policy, name, origin).encode()
        if one == "c"
        else converter(one)(policy)
        for one in styles
    }
    if trace is not None:
        save_network(network, out / f"{name}.npz")
        typer.echo(f"Written: {out / name}.npz (the weights, for --weights)")
    for path, content in made.items():
        write_atomically(path, content)
        typer.echo(f"Written: {path} ({len(content):,} bytes)")
    typer.echo(f"Tables: {policy.table_bytes:,} bytes; 8 bytes for every page.")
    if "c" in styles and measure:
        _print_measured(network)


def _network(trace: str | None, devices: str, weights: Path | None, seed: int) -> tuple[PlacementNetwork, str]:
    if weights is not None:
        return load_network(weights), f"what {weights.name} was trained on"
    system, found = System.named(devices), find_trace(trace or "", seed)
    return train_placement(found, system, seed), f"{found.name}, {len(found)} requests; {system.label}; seed {seed}"


def _print_measured(network: PlacementNetwork) -> None:
    if find_compiler() is None:
        typer.echo("Not timed: there is no C compiler (cc, gcc or clang).")
        return
    m = measure_header(network)
    typer.echo(
        f"A decision: {m['pipelined_ns']:.1f} ns, {m['dependent_ns']:.1f} ns where each waits for the last; "
        f"as the network in double precision on {m['agreement']:.4%} of random states."
    )
