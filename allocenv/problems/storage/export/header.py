"""How does a placement network become C? Its tables as text, in a header without dependencies."""

import re
from collections.abc import Sequence

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.storage.export.header_text import HEADER
from allocenv.problems.storage.export.network import PlacementNetwork
from allocenv.problems.storage.export.table_policy import (
    CURVE_BITS,
    NODES,
    ONE_BITS,
    STEP_BITS,
    TablePolicy,
    tabulate,
)

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")


def policy_header(
    weights: Array, sizes: LongArray, levels: LongArray, name: str = "placement", origin: str = "an unnamed trace"
) -> str:
    """C99 text of a header that decides as the network does.

    Args:
        weights: [W] layer by layer: [F, U], [U], [U, D], [D].
        sizes: [3] inputs F, hidden units U, devices D.
        levels: [F] bins of each feature, as of `harmonia_levels`.
        name: a C identifier that begins every name in the header.
        origin: what it was trained on, for the reader of the header.

    Raises:
        ValueError: see `tabulate`; a name that is no C identifier.
    """
    return header_of(tabulate(PlacementNetwork(levels, sizes, weights)), name, origin)


def header_of(policy: TablePolicy, name: str = "placement", origin: str = "an unnamed trace") -> str:
    """The header of a policy's tables. Raises ValueError for a name that is no C identifier."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"Expected a name of up to 31 letters, digits and _, that begins with a letter, got {name!r}.")
    features = range(len(policy.levels))
    return HEADER.substitute(
        name=name,
        NAME=name.upper(),
        origin=re.sub(r"[^ -~]|\*/|/\*|\\|\?\?", "?", origin),  # nothing that ends the comment
        devices=len(policy.ahead) + 1,
        features=len(policy.levels),
        units=policy.ahead.shape[1],
        width=policy.rows.shape[1],
        n_rows=len(policy.rows),
        nodes=NODES,
        table_bytes=policy.table_bytes,
        rows=_lines(policy.rows),
        curve=_lines(policy.curve),
        ahead=_lines(policy.ahead),
        bias=", ".join(f"INT64_C({value})" for value in policy.bias.tolist()),
        row_pointers="\n".join(
            f"    const int32_t *r{f} = ${{name}}_rows[bins[{f}]{_plus(begin)}];".replace("${name}", name)
            for f, begin in enumerate(policy.offset.tolist())
        ),
        row_sum=" + ".join(f"r{f}[k]" for f in features),
        step_bits=STEP_BITS,
        step=1 << STEP_BITS,
        step_mask=(1 << STEP_BITS) - 1,
        dip_shift=STEP_BITS + CURVE_BITS - ONE_BITS,
    )


def _plus(begin: int) -> str:
    return f" + {begin}" if begin else ""


def _lines(table: Array) -> str:
    """Rows of a table, as many to a line as fit."""
    lines, line = [], "   "
    for row in table.tolist():
        text = f" {_braced(row)},"
        if len(line) + len(text) > 110 and line.strip():
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([*lines, line])


def _braced(row: Sequence[int]) -> str:
    return "{" + ", ".join(map(str, row)) + "}"
