"""Real data of the reasoning budget: what it is, its licence, and where it comes from."""

from allocenv.core.data import DataSource

REAL_RUN = DataSource(
    "reasoning/grpo_trajectories.csv.xz",
    "A GRPO run of Qwen2.5-Math-1.5B: successes of 8 rollouts for 806 prompts at each of 44 to 57 visits",
    "Apache-2.0",
    "github.com/ypwang61/One-Shot-RLVR, data/acc_step_500.json; arXiv 2504.20571",
)
HUMANEVAL = DataSource(
    "reasoning/humaneval_codegen16b.csv.xz",
    "HumanEval: 100 samples of CodeGen-16B for each of 164 tasks, passed or not",
    "MIT",
    "github.com/microsoft/CodeT; pass flags computed for this data set",
)
MATH = DataSource(
    "reasoning/math100_best_of_8.csv.xz",
    "MATH: 8 samples for each of 100 problems, with reward-model scores and answer clusters",
    "MIT",
    "github.com/QwenLM/Qwen2.5-Math, evaluation/data/eval_rm_maj_example",
)
SOURCES = (REAL_RUN, HUMANEVAL, MATH)
