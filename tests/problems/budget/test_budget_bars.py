"""The bars measure what they say: the figures of their scripts decide, mistakes are really tried."""

import pytest

from allocenv.problems.budget import bars


class Script:
    """A session whose scripts print this."""

    def __init__(self, output, status=0):
        self.answer = status, output

    def script(self, arguments):
        return self.answer


def test_every_bar_has_a_number_of_its_own():
    numbers = [bar.number for bar in bars.BARS]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    ("output", "status", "passed"),
    [
        ("instances 1000\nequal 1e-12\nunequal 0\ngap 2e-05\n", 0, True),
        ("instances 1000\nequal 1e-8\nunequal 0\ngap 2e-05\n", 0, False),
        ("instances 1000\nequal 0\nunequal 0\ngap 2e-04\n", 0, False),
        ("instances 1000\nequal 0\nunequal 0\ngap 0\n", 1, False),
        ("Traceback (most recent call last)\n", 1, False),
    ],
)
def test_exactness_is_judged_by_the_worst_instance(output, status, passed):
    assert bars.exactness(Script(output, status)).passed is passed


@pytest.mark.parametrize(("output", "passed"), [("kills 3\nsame 1\n", True), ("kills 3\nsame 0\n", False), ("", False)])
def test_a_resumed_state_must_be_the_same(output, passed):
    measured = bars.resume_and_errors(Script(output))
    assert measured.passed is passed
    assert measured.values["unclear"] == []


def test_a_mistake_that_is_let_through_is_told(monkeypatch):
    monkeypatch.setitem(bars.MISTAKES, "harmless", lambda allocator: None)
    measured = bars.resume_and_errors(Script("kills 3\nsame 1\n"))
    assert not measured.passed
    assert "not refused: harmless" in measured.figure


def test_random_instances_are_solved_exactly():
    import budget_exactness

    budget_exactness.main(40)
