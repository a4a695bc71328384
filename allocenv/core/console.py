"""Where tables are printed: the terminal, or wide lines where the output is a file or a pipe."""

from rich.console import Console

WIDE = 180


def report_console() -> Console:
    """A console wide enough for tables."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)
