"""Where the real data lies: `$ALLOCENV_DATA`, else `../shared/data` beside the repository."""

import os
from pathlib import Path


def data_folder() -> Path | None:
    """The folder of the real data, or None where there is none on this machine."""
    named = os.environ.get("ALLOCENV_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None
