"""How does a table policy become TorchScript or ONNX? As a network of whole numbers, equal to its C header.

Bins pick rows of a first layer; the size of each unit's sum picks a cell of a curve; a last layer of curve and bins
says what choices 1.. promise above choice 0.
"""

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from allocenv.core.arrays import Array


class Tables(Protocol):
    """The arrays of a table policy. F features, R rows, U units padded to W, C cells of the curve, D choices."""

    @property
    def levels(self) -> Array: ...  # [F]
    @property
    def rows(self) -> Array: ...  # [R, W]
    @property
    def curve(self) -> Array: ...  # [C]
    @property
    def cell_bits(self) -> int: ...
    @property
    def ahead(self) -> Array: ...  # [D - 1, U]
    @property
    def straight(self) -> Array: ...  # [D - 1, F]
    @property
    def bias(self) -> Array: ...  # [D - 1]


class TableNetwork(nn.Module):
    """Bins [N, F] int64 in, choices [N] int64 out."""

    offset: Tensor
    rows: Tensor
    curve: Tensor
    ahead: Tensor
    straight: Tensor
    bias: Tensor

    def __init__(self, tables: Tables) -> None:
        super().__init__()
        self.cell = 1 << tables.cell_bits
        units = tables.ahead.shape[1]
        for name, array in (
            ("offset", np.cumsum(tables.levels) - tables.levels),
            ("rows", tables.rows[:, :units]),
            ("curve", tables.curve),
            ("ahead", tables.ahead.T),
            ("straight", tables.straight.T),
            ("bias", tables.bias),
        ):
            self.register_buffer(name, torch.from_numpy(np.array(array, np.int64)))

    def forward(self, bins: Tensor) -> Tensor:
        z = self.rows[bins + self.offset].sum(1)
        cell = torch.div(z.abs() - (z < 0).long(), self.cell, rounding_mode="trunc")
        above = self.curve[cell] @ self.ahead + bins @ self.straight + self.bias
        return torch.cat([torch.zeros_like(above[:, :1]), above], dim=1).argmax(1)


def torchscript_bytes(tables: Tables) -> bytes:
    """The policy as a TorchScript file."""
    data = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.export has no runtime outside Python so small
        torch.jit.save(torch.jit.script(TableNetwork(tables).eval()), data)
    return data.getvalue()


def onnx_bytes(tables: Tables) -> bytes:
    """The policy as an ONNX file: input `bins` [N, F], output `choice` [N], both int64.

    Raises:
        ValueError: onnx or onnxscript is not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ValueError(f"Expected {' and '.join(missing)} to be installed: pip install 'allocenv[export]'.")
    example = torch.zeros(2, len(tables.levels), dtype=torch.int64)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells which other packages it does without
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        program = torch.onnx.export(
            TableNetwork(tables).eval(),
            (example,),
            input_names=["bins"],
            output_names=["choice"],
            dynamic_shapes=({0: torch.export.Dim("states")},),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program.")
    content: bytes = program.model_proto.SerializeToString()
    return content


CONVERTERS: dict[str, Callable[[Tables], bytes]] = {"onnx": onnx_bytes, "torchscript": torchscript_bytes}
