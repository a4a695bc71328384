"""The games of the reasoning budget as Gymnasium environments: conformance, seeds, batches, baselines."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import allocenv  # noqa: F401  registers the ids
from allocenv.problems.budget.environments import GameEnv, GameVectorEnv
from allocenv.problems.budget.games import samples, votes
from allocenv.problems.budget.games.training import (
    PUBLISHED,
    Setting,
    Tuned,
    action_of,
    knobs,
)

SMALL = {"prompts": 40, "batch": 8, "updates": 12}
PARAMS = {
    "tuned": {**SMALL, "every": 3},
    "weights": SMALL,
    "test_time": {"tasks": 5, "average": 3, "source": "made_up"},
    "vote": {"problems": 5, "average": 3, "source": "made_up"},
}
TITLES = {
    "tuned": "RolloutBudgetTuned-v0",
    "weights": "RolloutBudgetWeights-v0",
    "test_time": "TestTimeBudget-v0",
    "vote": "VoteBudget-v0",
}
every = pytest.mark.parametrize("game", PARAMS)


def flat(seen, b=None):
    arrays = list(seen.values()) if isinstance(seen, dict) else [seen]
    return np.concatenate([(a if b is None else a[b]).ravel() for a in arrays])


@every
def test_it_passes_gymnasiums_checker_without_a_warning(game):
    check_env(gymnasium.make(f"allocenv/{TITLES[game]}", **PARAMS[game]).unwrapped)


@every
def test_a_row_of_any_batch_is_the_same_and_row_zero_is_the_single_environment(game):
    few, many = GameVectorEnv(game, 2, **PARAMS[game]), GameVectorEnv(game, 5, **PARAMS[game])
    one = GameEnv(game, **PARAMS[game])
    seen = [few.reset(seed=3)[0], many.reset(seed=3)[0], one.reset(seed=3)[0]]
    many.action_space.seed(0)
    over = False
    for _ in range(8):
        np.testing.assert_array_equal(flat(seen[0], 1), flat(seen[1], 1))
        if not over:
            np.testing.assert_array_equal(flat(seen[1], 0), flat(seen[2]))
        actions = many.action_space.sample()
        stepped = [few.step(actions[:2]), many.step(actions)]
        np.testing.assert_array_equal(stepped[0][1], stepped[1][1][:2])
        seen[:2] = [stepped[0][0], stepped[1][0]]
        if not over:
            seen[2], reward, terminated, truncated, _ = one.step(actions[0])
            assert reward == stepped[1][1][0]
            over = terminated or truncated


@every
@pytest.mark.parametrize("mode", AutoresetMode)
def test_rows_begin_anew_as_the_autoreset_mode_says(game, mode):
    envs = gymnasium.make_vec(f"allocenv/{TITLES[game]}", num_envs=3, autoreset_mode=mode, **PARAMS[game])
    envs.reset(seed=0)
    envs.action_space.seed(0)
    for _ in range(200):
        seen, _, terminated, truncated, infos = envs.step(envs.action_space.sample())
        ended = terminated | truncated
        if ended.any():
            break
    assert envs.observation_space.contains(seen)
    about = infos["final_info"] if mode == AutoresetMode.SAME_STEP else infos
    assert about["metrics"]["_objective"].tolist() == ended.tolist()
    if mode == AutoresetMode.DISABLED:
        with pytest.raises(gymnasium.error.ResetNeeded):
            envs.step(envs.action_space.sample())
        envs.reset(options={"reset_mask": ended})
    _, rewards, *_ = envs.step(envs.action_space.sample())
    if mode == AutoresetMode.NEXT_STEP:
        assert (rewards[ended] == 0).all()
    envs.close()


@every
def test_masked_actions_are_legal_and_others_are_penalised(game):
    env = GameEnv(game, **PARAMS[game])
    _, info = env.reset(seed=1)
    if env.game.masks() is None:
        with pytest.raises(AttributeError, match="no masks"):
            env.action_masks()
        return
    rng, over = np.random.default_rng(0), False
    while not over:
        mask = env.action_masks()
        np.testing.assert_array_equal(mask, info["action_mask"])
        if not mask.all():
            _, reward, over, *_ = env.step(int(np.argmin(mask)))
            assert reward == -1.0
            assert not over
        _, _, over, _, info = env.step(int(rng.choice(np.flatnonzero(mask[:-1]))))
    assert info["metrics"]["illegal"] >= 0


@every
def test_every_game_can_be_looked_at(game, capsys):
    text, picture = (GameEnv(game, mode, **PARAMS[game]) for mode in ("ansi", "rgb_array"))
    for env in (text, picture):
        env.reset(seed=0)
        env.step(env.action_space.sample())
    first, *others = text.render().splitlines()
    assert re.search(r"update \d+ of|tasks solved|leading answers are right", first)
    assert all("believed" in line for line in others if not line.startswith("..."))
    shown = picture.render()
    assert shown.dtype == np.uint8
    assert shown.std() > 5  # not an empty picture
    GameEnv(game, "human", **PARAMS[game]).reset(seed=0)
    assert "believed" in capsys.readouterr().out


def test_an_action_of_the_tuned_form_stands_for_its_knobs():
    np.testing.assert_allclose(knobs(action_of(PUBLISHED)[None])[0], PUBLISHED, atol=1e-5)
    assert knobs(np.zeros((1, 5)))[0].tolist() == [12, 12, 2.5, 0.75, 32]


def test_the_tuned_form_allocates_as_the_exact_solver_does():
    """The counts inside the kernel against `allocate`, for whole and broken exponents."""
    from allocenv.problems.budget.allocation import allocate
    from allocenv.problems.budget.games.training import LOW, _allocate_row
    from allocenv.problems.budget.values import Belief, value, worth

    game = Tuned(1, Setting(prompts=60, batch=20, updates=30, every=1))
    game.begin(0, np.random.default_rng(0))
    for numbers in ([1, 2, 0, 0.9, 128], [0.5, 3.2, 2.0, 0.9, 30], [4, 4, 0, 0.8, 16]):
        chosen = knobs(action_of(np.array(numbers, float))[None].astype(float))
        for _ in range(4):
            _allocate_row(game.rows, game.scratch, 0, chosen, 8)
            belief = game.scratch.belief
            of = value("gradient", chosen[0, 0], chosen[0, 1])
            plain = Belief(belief.weight.copy(), belief.wins.copy(), belief.losses.copy(), 1.0)
            best = allocate(of, plain, 160, LOW, int(chosen[0, 4]))
            assert game.scratch.levels.sum() == 160
            assert worth(of, plain, game.scratch.levels).sum() == pytest.approx(worth(of, plain, best).sum(), rel=1e-9)
            game.act(action_of(np.array(numbers, float))[None], np.ones(1, bool))


def test_it_matters_how_the_rollouts_of_a_plain_learner_are_spent():
    """A plain SGD learner steps as far as its signal: the posterior rule earns a tenth more than equal groups."""
    from allocenv.problems.budget.games.training import Weights
    from allocenv.problems.budget.learner import Kind

    how = Setting(prompts=600, batch=64, updates=150, kind=Kind(0.0, 0.0, True))
    tuned, even = Tuned(2, how), Weights(2, how)
    for b in range(2):
        tuned.begin(b, np.random.default_rng([0, b]))
        even.begin(b, np.random.default_rng([0, b]))
    rows = np.ones(2, bool)
    for _ in range(15):
        tuned.act(np.tile(action_of(PUBLISHED), (2, 1)), rows)
    for _ in range(150):
        even.act(np.ones((2, 64)), rows)
    assert tuned.rows.running.gained.mean() > 1.1 * even.rows.running.gained.mean()


@pytest.mark.parametrize(
    ("game", "params", "message"),
    [
        ("tuned", {"group": 1}, "Expected group from 2 to 128, got 1"),
        ("weights", {"batch": 2000}, "Expected batch from 1 to 1209, got 2000"),
        ("tuned", {"token_budget": 0.0}, "Expected a token budget above 0"),
        ("test_time", {"tasks": 0}, "Expected tasks from 1 to"),
        ("test_time", {"source": "gsm8k"}, "Expected a source, humaneval or made_up, got 'gsm8k'"),
        ("vote", {"average": 9}, "Expected average from 1 to 8, got 9"),
    ],
)
def test_a_parameter_out_of_range_is_a_clear_error(game, params, message):
    with pytest.raises(ValueError, match=message):
        GameEnv(game, **params)


def test_an_episode_ends_when_its_tokens_are_spent():
    env = GameEnv("weights", **{**SMALL, "token_budget": 100.0})
    env.reset(seed=0)
    terminated, n = False, 0
    while not terminated:
        *_, terminated, _, info = env.step(np.ones(8, np.float32))
        n += 1
    assert n < 12
    assert info["metrics"]["tokens"] >= 100


def play_samples(policy, average, n=40):
    game = samples.Sampling(n, samples.Setting(tasks=50, average=average, source="made_up"))
    for b in range(n):
        game.begin(b, np.random.default_rng([0, b]))
    rows = np.ones(n, bool)
    while rows.any():
        _, terminated, truncated = game.act(policy(game), rows)
        rows &= ~(terminated | truncated)
    return game.solved.mean()


def test_index_policies_of_test_time_solve_more_than_equal_shares():
    def even(game):
        return np.where(game.masks()[:, :-1], -game.used, -1000).argmax(axis=1)

    at_4 = play_samples(samples.posterior_index, 4)
    assert play_samples(samples.oracle_index, 4) >= at_4
    assert at_4 == pytest.approx(play_samples(even, 4))  # equal tasks take turns until they are solved


def test_votes_stop_once_all_leaders_are_sure():
    game = votes.Voting(8, votes.Setting(problems=20, average=8, source="made_up"))
    for b in range(8):
        game.begin(b, np.random.default_rng([0, b]))
    rows = np.ones(8, bool)
    first = game.right.mean()
    while rows.any():
        rows &= ~game.act(votes.least_sure(game, 0.9), rows)[1]
    assert ((game.sureness() >= 0.9) | (game.used == 8)).all()
    assert game.used.mean() < 6
    assert game.right.mean() >= first
