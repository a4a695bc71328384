"""How does a placement network become C? Its tables as text, in a header without dependencies."""

import re
from collections.abc import Iterator
from textwrap import fill

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.storage.export.header_text import HEADER
from allocenv.problems.storage.export.network import PlacementNetwork
from allocenv.problems.storage.export.table_policy import TablePolicy, tabulate

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
    check_name(name)
    offset = policy.offset.tolist()
    return HEADER.substitute(
        name=name,
        NAME=name.upper(),
        origin=re.sub(r"[^ -~]|[*/]{2}|\\|\?\?", "?", origin),  # nothing that ends the comment
        devices=len(policy.ahead) + 1,
        features=len(policy.levels),
        width=policy.rows.shape[1],
        n_rows=len(policy.rows),
        rows=_lines(policy.rows),
        cells=len(policy.curve),
        curve=_lines(policy.curve),
        cell_bits=policy.cell_bits,
        table_bytes=policy.table_bytes,
        declared=", ".join(f"above{d}" for d in range(1, len(policy.ahead) + 1)),
        parameters=", ".join(f"uint32_t b{f}" for f in range(len(offset))),
        all_bins=", ".join(f"bins[{f}]" for f in range(len(offset))),
        row_pointers=_row_pointers(policy, name),
        row_sum=" + ".join(f"r{f}[k]" for f in range(len(offset))),
        last_layer="\n".join([*_outputs(policy, name), *_greatest(len(policy.ahead))]),
    )


def check_name(name: str) -> None:
    """Raises ValueError for a name that is no C identifier."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"Expected a name of up to 31 letters, digits and _, that begins with a letter, got {name!r}.")


def _row_pointers(policy: TablePolicy, name: str) -> str:
    """One pointer to a row for each feature."""
    offset = policy.offset.tolist()
    row = [f"{name}_rows[{f'{begin} + ' if begin else ''}b{f}]" for f, begin in enumerate(offset)]
    return "\n".join(f"    const int16_t *r{f} = {text};" for f, text in enumerate(row))


def _outputs(policy: TablePolicy, name: str) -> Iterator[str]:
    """What bins and units add to each output: unrolled, so that weights stand in the instructions."""
    for d, (bias, straight) in enumerate(zip(policy.bias.tolist(), policy.straight.tolist(), strict=True), 1):
        yield f"    above{d} = INT64_C({bias});"
        for f, weight in enumerate(straight):
            yield f"    above{d} += (int64_t)b{f} * {weight};"
    for k in range(policy.ahead.shape[1]):
        yield f"    h = {name}_curve[cell[{k}]];"
        for d, weight in enumerate(policy.ahead[:, k].tolist(), 1):
            yield f"    above{d} += h * {weight};"


def _greatest(others: int) -> Iterator[str]:
    """The first device of the greatest output; device 0 has 0."""
    for d in range(1, others + 1):
        yield f"    best = above{d} > most ? {d} : best;"
        yield f"    most = above{d} > most ? above{d} : most;"


def _lines(table: Array) -> str:
    """The initialiser of a table, as many entries to a line as fit."""
    entries = [str(entry).replace("[", "{").replace("]", "}") + "," for entry in table.tolist()]
    return fill(" ".join(entries), 110, initial_indent="    ", subsequent_indent="    ")
