"""The page of an environment, in the order of Gymnasium's own documentation, out of its docstring and its sizes."""

import re
from importlib import import_module
from inspect import getdoc

from allocenv.core.problem import Problem
from allocenv.problems import PROBLEMS, REGISTRY
from allocenv.wrappers.spaces import action_space

TITLES = {
    "Action": "Action space",
    "Rewards": "Rewards",
    "Start": "Starting state",
    "End": "Episode end",
    "Args": "Arguments",
    "Source": "Source",
}
_SECTION = re.compile(rf"^({'|'.join(TITLES)}):[ \n]", re.M)


def environment_page(name: str) -> str:
    """The environment of a problem as Markdown: description, spaces, rewards, start, end, arguments, version, source.

    Raises:
        ValueError: an unknown problem, or one whose docstring lacks a section.
    """
    kind = PROBLEMS.find(name)
    problem, line = kind(), REGISTRY[name]
    description, told = sections(getdoc(kind) or "")
    missing = [title for title in TITLES if title not in told]
    if missing:
        raise ValueError(f"{kind.__name__}: expected {', '.join(f'`{title}:`' for title in missing)} in its docstring.")
    parts = [f"# allocenv/{line.title}", description]
    for title, heading in TITLES.items():
        text = told[title][:1].upper() + told[title][1:] if title != "Args" else told[title]
        if title == "Action":
            text = f"`{action_space(problem.sizes)}` by default.\n\n{text}"
        if title == "Args":
            text = "\n".join(f"- {argument}" for argument in _arguments(text))
        parts.append(f"## {heading}\n\n{text}")
        if title == "Action":
            parts.append(f"## Observation space\n\n{_observation(problem, line.package)}")
        if title == "Rewards":
            parts[-1] += f"\n\nThe objective is minimised: {line.objective} by default."
    parts.insert(-1, f"## Versions\n\n{line.title.rpartition('-')[2]}: the first.")
    return "\n\n".join(parts) + "\n"


def sections(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section of a docstring, and section -> text; paragraphs after one are its own."""
    pieces = _SECTION.split(text)
    names, bodies = pieces[1::2], pieces[2::2]
    return pieces[0].strip(), {name: _dedented(body) for name, body in zip(names, bodies, strict=True)}


def _dedented(body: str) -> str:
    return re.sub(r"^ {4}", "", body, flags=re.M).strip()


def _arguments(text: str) -> list[str]:
    """`name: meaning`, one each, continued lines joined."""
    joined = re.sub(r"\n +", " ", text)
    return [re.sub(r"^([\w, ]+):", r"`\1`:", line) for line in joined.splitlines() if line.strip()]


def _observation(problem: Problem, package: str) -> str:
    """The arrays of one instance, and what stands in them."""
    sizes, known = problem.sizes, import_module(f"{package}.observation")
    rows = [
        ("slots", f"float32 [{sizes.slots}, {sizes.slot_features}]", "items to choose from", known.SLOT_FEATURES),
        ("bins", f"float32 [{sizes.bins}, {sizes.bin_features}]", "what may hold them", known.BIN_FEATURES),
        ("context", f"float32 [{sizes.context}]", "the whole", known.CONTEXT),
        ("slot_mask", f"int8 [{sizes.slots}]", "1: the slot has a legal placement", ()),
        ("slot_bin", f"int32 [{sizes.slots}]", "the bin that holds the slot's item, or -1", ()),
    ]
    text = ["A dictionary; sizes are those of the defaults.", ""]
    for name, shape, what, features in rows:
        text.append(f"- `{name}`, {shape}: {what}")
        text += [f"  {i}. {feature}" for i, feature in enumerate(features)]
    return "\n".join(text)
