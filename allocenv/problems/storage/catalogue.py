"""What `allocenv list storage` names beside solvers and instance sets: policies, traces, devices."""

from allocenv.problems.storage.devices import DEVICES
from allocenv.problems.storage.policies import POLICIES
from allocenv.problems.storage.sources import TRACES

CATALOGUE = {
    "Policies of `allocenv evaluate storage`": {name: line.what for name, line in POLICIES.items()},
    "Traces": TRACES,
    "Devices": {
        name: f"read {d.read_us:g} us, write {d.write_us:g} us a page" + (", moving head" if d.seek_us else "")
        for name, d in DEVICES.items()
    },
}
