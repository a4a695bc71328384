"""The contest on hidden learners, and bars 4 to 7: what decides them."""

import numpy as np
import pytest

from allocenv.problems.budget import learning_bars
from allocenv.problems.budget.games.training import Setting
from allocenv.problems.budget.hidden_learners import FIXED, UNIFORM, always, gains, kind_of, rule_gains
from allocenv.problems.budget.learner.fitting import Bar
from allocenv.problems.budget.rules.even import Uniform

SMALL = Setting(prompts=24, batch=6, updates=12, every=4)


def test_equal_groups_are_the_same_whether_a_rule_or_the_knobs_give_them():
    """The game draws tokens too, so outcomes differ; both must gain about the same over many learners."""
    how = Setting(prompts=64, batch=32, updates=60, every=60)
    by_knobs, by_rule = gains(always(UNIFORM), how, 12), rule_gains(how, 12, make=lambda n: Uniform())
    assert by_knobs.mean() == pytest.approx(by_rule.mean(), rel=0.15)


def test_a_contest_is_the_same_every_time_and_each_learner_whatever_their_number():
    play = always(FIXED["p (1-p)^2"])
    np.testing.assert_array_equal(gains(play, SMALL, 4)[:2], gains(play, SMALL, 2))


def test_how_long_a_fixed_action_holds_changes_nothing():
    play = always(FIXED["p (1-p)^2"])
    np.testing.assert_allclose(gains(play, SMALL, 3), gains(play, SMALL._replace(every=12), 3), rtol=1e-12)


def test_where_all_transfers_nothing_is_direct_and_the_rest_is_hidden():
    kinds = [kind_of(b, True) for b in range(8)]
    assert {kind.directness for kind in kinds} == {0.0}
    assert len({kind.noise for kind in kinds}) == 8


@pytest.mark.parametrize(("agent", "rule", "passed"), [(20.0, 15.0, True), (19.9, 15.0, False), (20.0, 19.6, False)])
def test_the_agent_must_reach_the_best_fixed_value_and_beat_the_published_rule(monkeypatch, agent, rule, passed):
    """Uniform gains 10, the published value 18, the best fixed value 20: 5 points of relative gain are 0.5."""
    fixed = dict.fromkeys(FIXED, 18.0) | {"p^4 (1-p)^4": 20.0}
    told = {id(numbers): fixed[name] for name, numbers in FIXED.items()} | {id(UNIFORM): 10.0}
    monkeypatch.setattr(learning_bars, "always", lambda numbers: told[id(numbers)])
    monkeypatch.setattr(learning_bars, "gains", lambda play, how, n, transfers=False: np.full(n, play))
    monkeypatch.setattr(learning_bars, "rule_gains", lambda how, n, transfers: np.full(n, rule))

    class Session:
        def player(self, name):
            return agent

    measured = learning_bars.hidden_learners(Session(), 4, 2)
    assert measured.passed is passed
    assert measured.values["best"] == "p^4 (1-p)^4"


def test_the_simulator_is_judged_by_the_prompts_that_fitted_nothing(monkeypatch):
    class Run:
        correct = np.zeros((4, 3))

    def closeness(error):
        return {"gain by bin": Bar(np.zeros(2), np.array([0.0, error]), 0.04)}

    monkeypatch.setattr(learning_bars, "read_real_run", Run)
    monkeypatch.setattr(learning_bars, "tuning_half", lambda run: np.array([True, True, True, False]))
    monkeypatch.setattr(learning_bars, "judge", lambda correct: closeness(0.03 if len(correct) == 1 else 0.05))
    chance = {"gain by bin": 0.25, learning_bars.ALL: 0.1}
    monkeypatch.setattr(learning_bars, "perfect", lambda prompts: chance if prompts == 1 else {})
    measured = learning_bars.simulator(None)
    assert measured.passed
    assert "25% are within the limit of gain by bin, 10% within all limits" in measured.figure
    assert "0.050 (bar 0.04, MISSED)" in measured.figure
    monkeypatch.setattr(learning_bars, "judge", lambda correct: closeness(0.05 if len(correct) == 1 else 0.03))
    assert not learning_bars.simulator(None).passed
