"""How much is `500m`, `1Gi`, `128974848`, `1e3` or `2k`? Kubernetes quantities, exactly.

Grammar: Kubernetes API reference, `resource.Quantity`. Sums are taken in billionths, the finest unit there
is, and rounded once, so that a pod of three containers is not rounded three times.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil

from allocenv.problems.vm.formats.fields import Field

BILLION = 10**9
_SUFFIX = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(
    r"\+?(?P<number>[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[KMGTPE]i|[numkMGTPE])?)"
)


def billionths(found: Field) -> int:
    """The quantity in billionths of its unit, rounded up."""
    text = str(found.value) if type(found.value) in (int, float) else found.text()
    value = _parse(text)
    if value is None:
        raise found.wrong("a quantity of at least 0 such as 500m, 1Gi or 2")
    return value


def in_units(name: str, amount: int, *, up: bool) -> int:
    """An amount in billionths as millicores, MiB (memory, storage, huge pages) or whole units."""
    unit = BILLION
    if name == "cpu":
        unit = BILLION // 1000
    elif name in ("memory", "ephemeral-storage", "storage") or name.startswith("hugepages-"):
        unit = BILLION << 20
    return -(-amount // unit) if up else amount // unit


def added(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """The sum of two lists of amounts."""
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


def larger(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """The larger of two lists of amounts, resource by resource."""
    return {name: max(left.get(name, 0), right.get(name, 0)) for name in {**left, **right}}


@lru_cache(maxsize=65536)
def _parse(text: str) -> int | None:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    suffix = found["suffix"] or ""
    if suffix in _BINARY:
        unit = Fraction(2 ** _BINARY[suffix])
    else:
        unit = Fraction(10) ** (int(found["exponent"]) if found["exponent"] else _SUFFIX[suffix])
    return ceil(Fraction(found["number"]) * unit * BILLION)
