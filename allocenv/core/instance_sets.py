"""Names of instance sets with their version: `t1` is what this installation holds, `t1-v1` that very version.

A problem raises the VERSION in its `instance_sets.py` whenever a name comes to hold something else, so that results
of different versions are never taken for each other.
"""

import re

_VERSIONED = re.compile(r"(.+)-v(\d+)")


def bare_name(name: str, version: int) -> str:
    """The name without its version.

    Raises:
        ValueError: it asks for another version than there is.
    """
    found = _VERSIONED.fullmatch(name)
    if found is None:
        return name
    if int(found[2]) != version:
        raise ValueError(f"Expected {found[1]}-v{version}, the version of this installation; got {name}.")
    return found[1]


def full_name(name: str, version: int) -> str:
    """The name with its version. Raises ValueError as `bare_name`."""
    return f"{bare_name(name, version)}-v{version}"
