"""Real data of hybrid storage: what it is, its licence, and where it comes from."""

from allocenv.core.data import DataSource

SOURCES = (
    DataSource(
        "storage/cloudphysics_sample.csv.xz",
        "CloudPhysics: one VMware virtual disk, 2 h, 113,872 reads and writes with times",
        "public set, cite Waldspurger et al. FAST'15; the repository is GPL-3.0",
        "github.com/cacheMon/libCacheSim, data/cloudPhysicsIO.vscsi",
    ),
    DataSource(
        "storage/cloudphysics_w106.u32le.xz",
        "CloudPhysics workload w106: 5,292,456 block ids, without sizes, times or writes",
        "Apache-2.0",
        "github.com/ben-manes/caffeine, simulator resources; from github.com/zhongch4g/LIRS2",
    ),
    DataSource(
        "storage/umass_financial1_first10k.csv.xz",
        "UMass / SPC Financial1: OLTP at a financial institution, its first 10,000 requests",
        "BSD-style; cite the UMass Trace Repository",
        "github.com/huaicheng/ssdsim, example.ascii",
    ),
    DataSource(
        "storage/mqsim_tpcc_small.csv.xz",
        "TPC-C and web search: excerpts almost without re-use, samples for parsers",
        "MIT",
        "github.com/CMU-SAFARI/MQSim, traces",
    ),
    DataSource(
        "storage/arc_OLTP.csv.xz",
        "ARC's traces OLTP (a CODASYL database), P2 and P3 (Windows NT workstations): reads without times",
        "cite Megiddo & Modha, FAST'03",
        "github.com/moka-rs/cache-trace, arc",
    ),
)
