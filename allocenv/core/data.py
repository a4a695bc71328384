"""Where the real data lies: `$ALLOCENV_DATA`, else `../shared/data` beside the repository."""

import os
from pathlib import Path
from typing import NamedTuple


def data_folder() -> Path | None:
    """The folder of the real data, or None where there is none on this machine."""
    named = os.environ.get("ALLOCENV_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


class DataSource(NamedTuple):
    """One source of real data."""

    path: str  # a file of it, below the data folder
    what: str
    licence: str
    origin: str
