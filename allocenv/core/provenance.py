"""Where a run came from: versions, commit, machine."""

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_DECIDING = ("numpy", "numba", "scipy", "torch", "ortools")  # packages whose version may change results
_SUFFIXES = (".py", ".safetensors", ".json")
_PACKAGES = ("allocenv", "numpy", "numba", "gymnasium", "torch", "stable-baselines3", "sb3-contrib")


def provenance() -> dict[str, Any]:
    """What one has to know to repeat a run."""
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": machine(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


@cache
def code_fingerprint() -> str:
    """32 hexadecimal digits of what decides results besides settings: our sources and weights, versions of others."""
    digest = blake2b(digest_size=16)
    package = Path(__file__).resolve().parents[1]
    for folder, folders, files in os.walk(package, followlinks=True):
        folders.sort()
        for name in sorted(name for name in files if name.endswith(_SUFFIXES)):
            path = Path(folder, name)
            digest.update(f"{path.relative_to(package)}:{path.stat().st_size};".encode())
            digest.update(path.read_bytes())
    digest.update(repr([platform.python_version(), *(_version(name) for name in _DECIDING)]).encode())
    return digest.hexdigest()


def machine() -> str:
    """The machine in words, for beside every figure."""
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as info:
            model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{os.cpu_count()} x {model}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the source, `+` appended where files differ from it; None outside a repository."""
    file = Path(__file__).resolve()
    here = file.parent
    try:
        _git(here, "ls-files", "--error-unmatch", file.name)  # installed, it may lie in somebody else's repository
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
