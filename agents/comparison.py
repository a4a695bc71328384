"""What `allocenv compare` does: read what evaluations and trainings wrote, and show it together."""

from collections.abc import Sequence
from pathlib import Path

from allocenv.agents.curve import learning_curves
from allocenv.agents.evaluation import marks_of
from allocenv.core.console import report_console
from allocenv.core.files import between_marks, write_atomically
from allocenv.core.results import FILE, read_results
from allocenv.evaluate.report.page import Chapter, Curve, page
from allocenv.evaluate.table import markdown_table, terminal_table


def run_comparison(
    folders: Sequence[Path], reference: str | None, html: Path, markdown: Path | None, readme: Path | None
) -> None:
    """Print the tables, write the page and what else is asked for.

    Raises:
        ValueError: a folder holds neither results nor a run, or nobody took part who is the reference.
    """
    chapters, curves = [], []
    for folder in folders:
        if not folder.exists():
            raise ValueError(f"Expected a folder with {FILE} or a run folder, got {folder}, which is not there.")
        if (folder / "config.toml").is_file():
            name, points, marks = learning_curves(folder)
            curves.append(Curve(name, points, marks))
        else:
            chapters.append(Chapter(read_results(folder), folder if folder.is_dir() else folder.parent))
    if not chapters:
        raise ValueError(f"Expected at least one folder with {FILE}, as `allocenv evaluate --out` writes it.")
    taking_part = {name for chapter in chapters for name in chapter.results.contenders}
    if reference is not None and reference not in taking_part:
        raise ValueError(f"--reference: expected one of {', '.join(sorted(taking_part))}, got {reference!r}.")
    console = report_console()
    tables = {}
    for chapter in chapters:
        results = chapter.results
        wanted = reference if reference in results.contenders else None
        console.print(terminal_table(results, wanted))
        tables[results.problem, results.instances] = markdown_table(results, wanted)
        if readme is not None:
            write_atomically(readme, between_marks(readme, markdown_table(results, wanted), marks_of(results.problem)))
    if markdown is not None:
        text = "\n".join(f"## {problem}: {name}\n\n{table}" for (problem, name), table in tables.items())
        write_atomically(markdown, text)
    write_atomically(html, page(chapters, curves, reference))
    written = [html, *(path for path in (markdown, readme) if path is not None)]
    console.print(f"Written: {', '.join(map(str, written))}", soft_wrap=True)
