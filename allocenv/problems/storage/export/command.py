"""The wording of `allocenv export storage`. What it does is in `exporting.py`."""

from pathlib import Path
from typing import Annotated

import typer


def export_command(
    context: typer.Context,
    trace: Annotated[str | None, typer.Option(help="Trace to train on: a file, or a known name.")] = None,
    devices: Annotated[str, typer.Option(help="Fastest first, such as H,M or H&M&L_SSD.")] = "H,M",
    style: Annotated[str, typer.Option(help="c, onnx, torchscript; several with commas.")] = "c",
    out: Annotated[Path, typer.Option(help="Folder for NAME.h, NAME.onnx, NAME.pt and NAME.npz.")] = Path("out/export"),
    weights: Annotated[Path | None, typer.Option(help="NAME.npz of an earlier export, instead of training.")] = None,
    name: Annotated[str, typer.Option(help="A C identifier; begins every name in the header.")] = "placement",
    seed: Annotated[int, typer.Option(min=0, help="Of all randomness.")] = 0,
    measure: Annotated[bool, typer.Option(help="Time the header, where there is a C compiler.")] = True,
) -> None:
    """Train a placement policy on a trace and write it for a driver (C), ONNX or TorchScript."""
    from allocenv.problems.storage.export.exporting import run_export

    run_export(trace, devices, style, out, weights, name, seed, measure, context.obj)
