"""The page of every environment: all that a user asks, in Gymnasium's order."""

import dataclasses
import re

import pytest

from allocenv.problems import PROBLEMS, REGISTRY
from allocenv.wrappers.page import environment_page, sections

ORDER = [
    "Action space", "Observation space", "Rewards", "Starting state", "Episode end", "Arguments", "Versions", "Source",
]  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_has_every_section_in_order(name):
    page = environment_page(name)
    assert page.startswith(f"# allocenv/{REGISTRY[name].title}\n")
    assert re.findall(r"^## (.*)$", page, re.M) == ORDER


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_names_every_feature_and_says_the_shapes(name):
    page, sizes = environment_page(name), PROBLEMS[name]().sizes
    assert f"`slots`, float32 [{sizes.slots}, {sizes.slot_features}]" in page
    counted = len(re.findall(r"^  \d+\. ", page, re.M))
    assert counted == sizes.slot_features + sizes.bin_features + sizes.context


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_explains_no_argument_that_is_not_there(name):
    arguments = environment_page(name).partition("## Arguments")[2].partition("## ")[0]
    fields = {field.name for field in dataclasses.fields(PROBLEMS[name])}
    told = {each.strip() for names in re.findall(r"^- `([\w, ]+)`:", arguments, re.M) for each in names.split(",")}
    assert told
    assert told <= fields


def test_sections_are_told_apart():
    text = "What it is.\n\nAction: a pair\n    of two.\n\nArgs:\n    a: one\n        more.\n\nSource: somebody."
    before, told = sections(text)
    assert before == "What it is."
    assert told == {"Action": "a pair\nof two.", "Args": "a: one\n    more.", "Source": "somebody."}
