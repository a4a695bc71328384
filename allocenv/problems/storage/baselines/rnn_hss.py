"""RNN-HSS: a recurrent network foretells how often the important pages are used in the next epoch.

After Kleio (Doudali et al., HPDC 2019), as Sibyl (ISCA 2022, section 7) runs it: an LSTM for the pages that
matter most, last epoch's count for the others. One LSTM serves all important pages here, trained online by
back-propagation through time on the pages whose next count has just become known. Pages move by background
migration at the end of an epoch, those most used in the next one first.
"""

from dataclasses import dataclass, field

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.baselines.epochs import COUNT, EpochMigration, PageUse, epoch_length
from allocenv.problems.storage.baselines.gradient import Adam, glorot
from allocenv.problems.storage.trace import Trace

HIDDEN = 8
WINDOW = 8  # epochs that a forecast looks back
IMPORTANT = 1024  # pages
STEPS, BATCH, RATE = 10, 256, 0.01


class LSTM:
    """Long short-term memory with one input and one output (Hochreiter and Schmidhuber 1997, forget gates)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.weights = [
            glorot(rng, 1 + HIDDEN, 4 * HIDDEN),  # input, forget, output gate, candidate
            np.repeat([0.0, 1.0, 0.0, 0.0], HIDDEN),  # remember at first
            glorot(rng, HIDDEN, 1),
            np.zeros(1),
        ]
        self.adam = Adam(self.weights, RATE)

    def forecast(self, series: Array) -> Array:
        """The next value of each series [N, WINDOW]: [N]. The last one plus what the network adds."""
        return self._forward(series)[0]

    def loss_and_gradients(self, series: Array, following: Array) -> tuple[float, list[Array]]:
        """Mean squared error against the values that followed [N] / 2, and its gradients."""
        forecast, steps = self._forward(series)
        w, _, v, _ = self.weights
        error = (forecast - following)[:, None] / len(series)  # [N, 1]
        gradients = [np.zeros_like(weight) for weight in self.weights]
        gradients[2], gradients[3] = steps[-1][-1].T @ error, error.sum(0)
        d_hidden, d_cell = error @ v.T, np.zeros((len(series), HIDDEN))
        for inputs, gates, before, cell, _ in reversed(steps):
            i, f, o, g = np.split(gates, 4, axis=1)
            squashed = np.tanh(cell)
            d_cell = d_cell + d_hidden * o * (1 - squashed**2)
            d_gates = np.hstack(
                [
                    d_cell * g * i * (1 - i),
                    d_cell * before * f * (1 - f),
                    d_hidden * squashed * o * (1 - o),
                    d_cell * i * (1 - g**2),
                ]
            )
            gradients[0] += inputs.T @ d_gates
            gradients[1] += d_gates.sum(0)
            d_hidden, d_cell = d_gates @ w[1:].T, d_cell * f
        return float(((forecast - following) ** 2).mean() / 2), gradients

    def learn(self, series: Array, following: Array) -> None:
        """One step of Adam."""
        self.adam.step(self.loss_and_gradients(series, following)[1])

    def _forward(self, series: Array) -> tuple[Array, list[tuple[Array, ...]]]:
        w, b, v, c = self.weights
        hidden = cell = np.zeros((len(series), HIDDEN))
        steps: list[tuple[Array, ...]] = []
        for t in range(series.shape[1]):
            inputs = np.hstack([series[:, t : t + 1], hidden])
            gates = inputs @ w + b
            gates[:, : 3 * HIDDEN] = 1 / (1 + np.exp(-gates[:, : 3 * HIDDEN]))
            gates[:, 3 * HIDDEN :] = np.tanh(gates[:, 3 * HIDDEN :])
            i, f, o, g = np.split(gates, 4, axis=1)
            before, cell = cell, f * cell + i * g
            hidden = o * np.tanh(cell)
            steps.append((inputs, gates, before, cell, hidden))
        forecast: Array = series[:, -1] + (hidden @ v + c)[:, 0]
        return forecast, steps


@dataclass
class RNNScorer:
    """Scores pages by the count foretold, or last epoch's, less one: a page used once is cold."""

    seed: int = 0
    _lstm: LSTM = field(init=False, repr=False)
    _rng: np.random.Generator = field(init=False, repr=False)
    _history: Array | None = field(default=None, init=False, repr=False)  # [M, WINDOW + 1] log2(1 + count)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, 3])
        self._lstm = LSTM(self._rng)

    def score(self, use: PageUse, n_pages: int, capacity: int) -> Array:
        """The score of every page [M]."""
        if self._history is None:
            self._history = np.zeros((n_pages, WINDOW + 1), np.float32)
        history = self._history
        history[:, :-1] = history[:, 1:]
        history[:, -1] = 0
        history[use.pages, -1] = np.log2(1 + use.features[:, COUNT])
        self._learn(history)
        score = np.zeros(n_pages)
        score[use.pages] = use.features[:, COUNT]
        important = most_used(history[:, 1:])
        score[important] = np.exp2(self._lstm.forecast(history[important, 1:].astype(np.float64))) - 1
        return score - 1

    def _learn(self, history: Array) -> None:
        known = most_used(history[:, :-1])  # important an epoch ago
        for _ in range(STEPS if len(known) else 0):
            rows = history[self._rng.choice(known, min(BATCH, len(known)))].astype(np.float64)
            self._lstm.learn(rows[:, :-1], rows[:, -1])


def most_used(history: Array) -> Array:
    """The pages used most over the epochs of `history` [M, E], at most `IMPORTANT`."""
    total = history.sum(1)
    most = np.argpartition(-total, min(IMPORTANT, len(total)) - 1)[:IMPORTANT]
    return np.sort(most[total[most] > 0])


def rnn_hss(trace: Trace, seed: int) -> EpochMigration:
    """RNN-HSS, untrained."""
    return EpochMigration(RNNScorer(seed), epoch_length(trace))
