"""Where is the real data? In $ALLOCENV_DATA, else in ../shared/data beside the repository."""

import os
from pathlib import Path

import pytest


def real_data(path: str) -> Path:
    """The file or folder of that name; skips the test where it is absent."""
    root = Path(os.environ.get("ALLOCENV_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / path).exists():
        pytest.skip(f"needs the real data file {root / path}")
    return root / path
