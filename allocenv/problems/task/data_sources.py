"""Real data of task allocation: what it is, its licence, and where it comes from."""

from allocenv.core.data import DataSource

SOURCES = (
    DataSource(
        "task/taskalloc_presets.json",
        "constants of the four published environments of the two-stage approach (arXiv 2407.00496)",
        "none stated: numbers for comparison, not shipped",
        "github.com/yk7333/TaskAllocation",
    ),
    DataSource(
        "task/dcmrta_20a50t.json",
        "coalition routing: 20 robots, 50 tasks, makespans of four methods",
        "MIT",
        "github.com/marmotlab/DCMRTA, testSet_20A_50T_CONDET",
    ),
    DataSource(
        "task/heteromrta_15r20t.json",
        "coalition routing: 15 robots of 5 skills, 20 tasks, makespans of three references and a bound",
        "Apache-2.0",
        "github.com/FansenMeng3044/HeteroMRTA, RALTestSet",
    ),
)
