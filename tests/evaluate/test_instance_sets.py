"""Named instance sets hold what their version has always held.

A failure means that results under the same name can no longer be compared: raise VERSION in the problem's
`instance_sets.py` and write the new content with `python tests/evaluate/test_instance_sets.py`.
"""

import dataclasses
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from allocenv.core.instance_sets import bare_name, full_name
from allocenv.problems import PROBLEMS, REGISTRY

STORED = Path(__file__).parents[1] / "data" / "instance_sets.json"
JUDGED = ("default", "validation", "training")  # those that need no data; not every problem has all


def numbers(value):
    """All numbers in an instance, in order, as one flat array."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return np.nan_to_num(value.astype(np.float64).ravel(), posinf=0, neginf=0)
    if dataclasses.is_dataclass(value):
        return numbers([getattr(value, field.name) for field in dataclasses.fields(value)])
    if isinstance(value, Mapping):
        return numbers([value[key] for key in sorted(value)])
    if isinstance(value, list | tuple):
        return np.concatenate([np.zeros(0), *map(numbers, value)])
    return numbers(np.array([value])) if isinstance(value, int | float | np.number) else np.zeros(0)


def content(name, set_name):
    """Of each instance how many numbers it holds, and two sums of them: platforms may differ in the last digits."""
    found = {}
    for label, instance in PROBLEMS.find(name)().instance_set(set_name):
        values = numbers(instance)
        found[label] = [len(values), float(values.sum()), float(values @ np.cos(np.arange(len(values))))]
    return found


def sets_of(name):
    module = import_module(f"{REGISTRY[name].package}.instance_sets")
    return {full_name(each, module.VERSION): each for each in JUDGED if each in module.INSTANCE_SETS}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_name_and_its_version_hold_what_they_have_always_held(name):
    stored = json.loads(STORED.read_text())[name]
    assert sets_of(name).keys() <= stored.keys()
    for versioned in sets_of(name):
        found = content(name, versioned)
        assert found.keys() == stored[versioned].keys()
        for label, figures in found.items():
            assert figures == pytest.approx(stored[versioned][label], rel=1e-6), label


def test_a_name_may_tell_its_version_but_no_other():
    assert bare_name("t1", 2) == bare_name("t1-v2", 2) == "t1"
    assert full_name("t1", 2) == full_name("t1-v2", 2) == "t1-v2"
    with pytest.raises(ValueError, match="Expected t1-v2, the version of this installation; got t1-v1"):
        bare_name("t1-v1", 2)


if __name__ == "__main__":
    now = {name: {full: content(name, bare) for full, bare in sets_of(name).items()} for name in PROBLEMS}
    before = json.loads(STORED.read_text()) if STORED.exists() else {}
    STORED.write_text(json.dumps({name: before.get(name, {}) | found for name, found in now.items()}, indent=1) + "\n")
