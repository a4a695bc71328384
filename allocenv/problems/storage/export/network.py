"""Which network is exported? Harmonia's placement network, trained by replaying a trace, kept as a plain .npz."""

import os
import zipfile
from io import BytesIO
from typing import NamedTuple

import numpy as np

from allocenv.core.arrays import Array, BoolArray, IntArray, LongArray
from allocenv.core.files import InputError, write_atomically
from allocenv.problems.storage.online.features import harmonia_levels
from allocenv.problems.storage.online.harmonia import Harmonia
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.simulation import Simulation
from allocenv.problems.storage.trace import Trace


class PlacementNetwork(NamedTuple):
    """A Q-network over binned features with one hidden layer of swish units. F features, U units, D devices."""

    levels: LongArray  # [F]  bins of each feature; its input is bin / (levels - 1)
    sizes: LongArray  # [3]  F, U, D
    weights: Array  # [W]  as in `online/network.py`: [F, U], [U], [U, D], [D]


class Layers(NamedTuple):
    """The weights of a network as matrices."""

    first: Array  # [F, U]
    first_bias: Array  # [U]
    last: Array  # [U, D]
    last_bias: Array  # [D]


def train_placement(trace: Trace, system: System, seed: int = 0) -> PlacementNetwork:
    """Replay the trace under Harmonia (arXiv 2503.20507), which learns on the way; its placement network after that.

    Raises:
        ValueError: the trace is too short to learn anything.
    """
    harmonia = Harmonia(trace, system, seed)
    Simulation(trace, system, seed).run(harmonia)
    learner = harmonia.state.placement.learner
    if learner.steps[0] == 0:
        period = harmonia.learning[0].period
        raise ValueError(f"Expected a trace of at least {period} requests to learn from, got {len(trace)}.")
    return PlacementNetwork(learner.levels.copy(), learner.sizes.copy(), learner.acting.copy())


def layers_of(network: PlacementNetwork) -> Layers:
    """The matrices of a network."""
    n_in, units, devices = (int(n) for n in network.sizes)
    ends = np.cumsum([n_in * units, units, units * devices])
    first, first_bias, last, last_bias = np.split(network.weights, ends)
    return Layers(first.reshape(n_in, units), first_bias, last.reshape(units, devices), last_bias)


def outputs_of(network: PlacementNetwork, bins: Array) -> Array:
    """What the network itself, in double precision, expects of every device: [N, D] for bins [N, F]."""
    layers = layers_of(network)
    z = (bins / (network.levels - 1)) @ layers.first + layers.first_bias
    outputs: Array = z / 2 * (1 + np.tanh(z / 2)) @ layers.last + layers.last_bias  # swish; no overflow
    return outputs


def chosen_by(network: PlacementNetwork, bins: Array) -> LongArray:
    """The device of the highest output [N], the faster one of equal ones, for bins [N, F]."""
    chosen: LongArray = outputs_of(network, bins).argmax(axis=1)
    return chosen


def check_network(network: PlacementNetwork) -> None:
    """Raises ValueError where the arrays are no placement network."""
    levels, sizes, weights = network
    if len(sizes) != 3 or not 2 <= sizes[2] <= 8 or sizes[1] < 1:
        raise ValueError(f"Expected sizes of inputs, hidden units and 2 to 8 devices, got {sizes.tolist()}.")
    known = harmonia_levels(int(sizes[2]))
    if levels.shape != known.shape or not (levels == known).all() or sizes[0] != len(known):
        raise ValueError(f"Expected the bins {known.tolist()} of Harmonia's features, got {levels.tolist()}.")
    expected = int((sizes[0] + 1) * sizes[1] + (sizes[1] + 1) * sizes[2])
    if weights.shape != (expected,):
        raise ValueError(f"Expected {expected} weights, got {weights.shape}.")
    if not np.isfinite(weights).all():
        raise ValueError("Expected finite weights, got NaN or infinity among them.")


def save_network(network: PlacementNetwork, path: str | os.PathLike[str]) -> None:
    """Write the arrays as .npz."""
    data = BytesIO()
    np.savez(data, **network._asdict())
    write_atomically(path, data.getvalue())


def load_network(path: str | os.PathLike[str]) -> PlacementNetwork:
    """Read what `save_network` wrote; nothing in the file is executed.

    Raises:
        InputError: not readable, not an .npz, missing or odd arrays, or arrays that are no placement network.
    """
    source = os.fspath(path)
    arrays = _arrays(source)
    if arrays.keys() != set(PlacementNetwork._fields):
        raise InputError(source, "arrays", sorted(arrays), ", ".join(PlacementNetwork._fields))
    for name, array in arrays.items():
        kind, meant = ("f", "real numbers") if name == "weights" else ("iu", "whole numbers")
        if array.ndim != 1 or array.dtype.kind not in kind:
            raise InputError(source, name, f"{array.dtype} {array.shape}", f"one row of {meant}")
    network = PlacementNetwork(
        arrays["levels"].astype(np.int64), arrays["sizes"].astype(np.int64), arrays["weights"].astype(np.float64)
    )
    try:
        check_network(network)
    except ValueError as error:
        raise InputError(source, "network", str(error), "a placement network") from None
    return network


def random_states(levels: LongArray, n: int, seed: int = 0) -> Array:
    """Bins [n, F] uint8, each uniform over its feature's levels."""
    return np.random.default_rng(seed).integers(0, levels, (n, len(levels))).astype(np.uint8)


def _arrays(source: str) -> dict[str, Array | IntArray | BoolArray]:
    try:
        with np.load(source, allow_pickle=False) as data:
            if not isinstance(data, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            return {name: data[name] for name in data.files}
    except OSError as error:
        if error.strerror is not None:
            raise InputError(source, "file", error.strerror, "a file that can be read") from None
        raise InputError(source, "content", str(error), "an .npz file") from None
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, NotImplementedError, AttributeError) as error:
        raise InputError(source, "content", str(error), "an .npz file") from None
