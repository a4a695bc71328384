"""Puts the slow, obvious twins of `tests/reference` on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "reference"))
