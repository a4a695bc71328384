"""How does a placement network become C? Its tables as text, in a header without dependencies."""

import re
from collections.abc import Iterator
from textwrap import fill

from allocenv.core.arrays import Array, LongArray
from allocenv.problems.storage.export.header_text import HEADER
from allocenv.problems.storage.export.network import PlacementNetwork
from allocenv.problems.storage.export.table_policy import END, Z_BITS, TablePolicy, needs_end, tabulate

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
    text = {"rows": policy.rows, "slope": policy.slope, "level": policy.level}
    return HEADER.substitute(
        {key: _lines(table) for key, table in text.items()},
        name=name,
        NAME=name.upper(),
        origin=re.sub(r"[^ -~]|[*/]{2}|\\|\?\?", "?", origin),  # nothing that ends the comment
        devices=len(policy.ahead) + 1,
        features=len(policy.levels),
        units=policy.ahead.shape[1],
        width=policy.rows.shape[1],
        n_rows=len(policy.rows),
        half=policy.half,
        end=END,
        cells=1 << (Z_BITS - policy.cell_bits),
        cell_bits=policy.cell_bits,
        table_bytes=policy.table_bytes,
        declared=", ".join(f"above{d} = INT64_C({bias})" for d, bias in enumerate(policy.bias.tolist(), 1)),
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
    return "\n".join(f"    const int32_t *r{f} = {text};" for f, text in enumerate(row))


def _outputs(policy: TablePolicy, name: str) -> Iterator[str]:
    """What each unit adds to each output: unrolled, so that weights stand in the instructions."""
    for k, outside in enumerate(needs_end(policy)):
        yield f"    h = {name}_{'swish' if outside else 'near'}(z[{k}]);"
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
