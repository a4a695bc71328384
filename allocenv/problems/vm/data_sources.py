"""Real data of VM rescheduling: what it is, its licence, and where it comes from."""

from allocenv.core.data import DataSource

SOURCES = (
    DataSource(
        "vm/bytedance/medium.json.gz",
        "ByteDance Medium and Large: two snapshots with every VM's host and NUMA node",
        "Apache-2.0",
        "github.com/bytedance/DRL-based-VM-Rescheduling, data/reset_vm_pm_id_clear2.json and ..._big2.json",
    ),
    DataSource(
        "vm/openb/openb_pod_list_default.csv.gz",
        "OpenB: 1,523 nodes and 8,152 pods of a GPU cluster",
        "Apache-2.0",
        "github.com/hkust-adsl/kubernetes-scheduler-simulator, data/csv",
    ),
    DataSource(
        "vm/roadef2012/A/model_a1_1.txt.gz",
        "ROADEF/EURO 2012, set A: machine reassignment (stored; not read yet)",
        "ISC",
        "github.com/gturri/roadef2012",
    ),
)
