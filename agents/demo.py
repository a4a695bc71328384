"""What `allocenv demo` does: a short training, a comparison, a plan and its picture, in a few minutes."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from allocenv.core.data import data_folder

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "vm" / "demo.toml"


def run_demo(out: Path) -> None:
    """Train, compare, plan; on the real Medium snapshot where the data is there."""
    console = Console()
    folder = data_folder()
    runs = out / "runs"
    console.rule("1. A two-stage agent learns from exact plans, then by PPO")
    _allocenv("train", str(CONFIG), "--out", str(runs), "--no-resume")
    run = runs / "vm" / "two_stage" / "demo"
    console.rule("2. The same instances for everyone")
    _allocenv(
        "evaluate", "vm", "--instances", "t1" if folder else "default", "--limit", "5", "--seconds", "1",
        "--agent", str(run), "--out", str(out / "evaluation"),
    )  # fmt: skip
    console.rule("3. A plan that can be carried out")
    snapshot = folder / "vm" / "bytedance" / "medium.json.gz" if folder else out / "snapshot.json"
    if not folder:
        _allocenv("generate", "vm", "--out", str(snapshot), "--machines", "280")
    _allocenv("plan", "vm", "--input", str(snapshot), "--time", "5s", "--out", str(out / "plan"), "--no-table")
    _allocenv("check-plan", "vm", str(out / "plan" / "plan.json"), "--input", str(snapshot))
    console.rule("Done")
    console.print(f"The picture: {out / 'plan' / 'before_after.png'}")
    console.print(f"The curves:  allocenv show {runs}")


def _allocenv(*arguments: str) -> None:
    print(f"$ allocenv {' '.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "allocenv.agents.cli", *arguments], check=False)
    if done.returncode != 0:
        raise ValueError(f"`allocenv {arguments[0]}` ended with status {done.returncode}.")
