"""What `allocenv list` and `allocenv data` print."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from inspect import getdoc

from rich.table import Table

from allocenv.agents import AGENTS
from allocenv.agents.pretrained import cards
from allocenv.core.console import report_console
from allocenv.core.data import data_folder
from allocenv.problems import PROBLEMS, REGISTRY
from allocenv.wrappers.page import environment_page


def print_all() -> None:
    """Problems, agents and shipped weights."""
    console = report_console()
    table = Table("problem", "Gymnasium id", "what it is", title="Problems")
    for name, line in REGISTRY.items():
        summary = (getdoc(PROBLEMS[name]) or "").split("\n\n")[0].replace("\n", " ")
        table.add_row(name, f"allocenv/{line.title}", summary)
    console.print(table)
    console.print(f"Agents: {', '.join(AGENTS)}")
    console.print(f"Shipped weights: {', '.join(cards()) or 'none'}")
    console.print("More: allocenv list PROBLEM")


def print_problem(name: str) -> None:
    """One problem: the page of its environment, its solvers and instance sets."""
    problem = PROBLEMS.find(name)()
    console = report_console()
    console.print(environment_page(name), soft_wrap=True, markup=False, highlight=False)
    console.print(f"Solvers: {', '.join(f'{n} ({entry.part})' for n, entry in problem.solvers.items())}")
    sets = import_module(f"{REGISTRY[name].package}.instance_sets")
    table = Table("instance set", "what it holds", title=f"Instance sets, version {sets.VERSION}")
    for set_name, text in sets.INSTANCE_SETS.items():
        table.add_row(set_name, text)
    console.print(table)
    for title, lines in _catalogue(name).items():
        table = Table("name", "what it is", title=title)
        for line in lines.items():
            table.add_row(*line)
        console.print(table)


def _catalogue(name: str) -> Mapping[str, Mapping[str, str]]:
    """What else a problem names, such as traces: title -> name -> what it is."""
    package = REGISTRY[name].package
    if find_spec(f"{package}.catalogue") is None:
        return {}
    found: Mapping[str, Mapping[str, str]] = import_module(f"{package}.catalogue").CATALOGUE
    return found


def print_data() -> None:
    """Every source of real data: where, licence, how to get it."""
    console = report_console()
    folder = data_folder()
    console.print(f"Looked for in $ALLOCENV_DATA, else ../shared/data: {folder or 'nothing there'}", soft_wrap=True)
    table = Table("problem", "data", "licence", "how to get it", "here")
    for name, line in REGISTRY.items():
        for source in import_module(f"{line.package}.data_sources").SOURCES:
            here = folder is not None and (folder / source.path).exists()
            table.add_row(name, source.what, source.licence, source.origin, "yes" if here else "no")
    console.print(table)
