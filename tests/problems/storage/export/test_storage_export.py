"""The exported policy: true to the network, small, free of libraries, and fast to compute."""

import io
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import nn

from allocenv.agents.export_policy import CONVERTERS, TableNetwork, onnx_bytes, torchscript_bytes
from allocenv.core.files import InputError
from allocenv.problems.storage.evaluation import judged
from allocenv.problems.storage.export.command import export_command
from allocenv.problems.storage.export.deployed import Deployed, choose
from allocenv.problems.storage.export.header import header_of, policy_header
from allocenv.problems.storage.export.measure import FLAGS, compile_header, find_compiler, measure_header
from allocenv.problems.storage.export.network import (
    PlacementNetwork,
    chosen_by,
    layers_of,
    load_network,
    outputs_of,
    random_states,
    save_network,
    train_placement,
)
from allocenv.problems.storage.export.table_policy import Z_MOST, choices, tabulate
from allocenv.problems.storage.online.features import harmonia_levels, long_bin, size_bin
from allocenv.problems.storage.online.harmonia import Harmonia
from allocenv.problems.storage.online.learner import take_over
from allocenv.problems.storage.online.network import forward
from allocenv.problems.storage.rules import System
from allocenv.problems.storage.trace import Trace

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler: cc, gcc or clang")


def network_of(devices=2, units=10, seed=0, scale=1.0):
    """A network with random weights."""
    rng, levels = np.random.default_rng(seed), harmonia_levels(devices)
    n = (len(levels) + 1) * units + (units + 1) * devices
    return PlacementNetwork(levels, np.array([len(levels), units, devices]), scale * rng.normal(0, 1, n))


def toy_trace(n=3000):
    """Half the requests go to 20 hot pages, half are writes."""
    rng = np.random.default_rng(0)
    pages = np.where(rng.random(n) < 0.5, rng.integers(0, 20, n), rng.integers(20, 2000, n))
    return Trace.of("toy", None, pages * 4096, np.full(n, 4096), rng.random(n) < 0.5)


class SwishNetwork(nn.Module):
    """The trained network as PyTorch has it: two linear layers with SiLU between."""

    def __init__(self, network):
        super().__init__()
        layers = layers_of(network)
        n_in, units, devices = network.sizes.tolist()
        self.first, self.last = nn.Linear(n_in, units).double(), nn.Linear(units, devices).double()
        with torch.no_grad():
            for linear, weight, bias in (
                (self.first, layers.first, layers.first_bias),
                (self.last, layers.last, layers.last_bias),
            ):
                linear.weight.copy_(torch.from_numpy(weight.T.copy()))
                linear.bias.copy_(torch.from_numpy(bias.copy()))
        self.register_buffer("top", torch.from_numpy(network.levels - 1).double())

    def forward(self, bins):
        return self.last(nn.functional.silu(self.first(bins / self.top)))


def test_the_reference_is_the_network_that_decides_in_the_simulator():
    network, bins = network_of(3), random_states(harmonia_levels(3), 1)[0]
    total = int(network.sizes.sum())
    z, h = np.zeros(total), np.zeros(total)
    h[:7] = bins / (network.levels - 1)
    forward(network.sizes, network.weights, z, h)
    np.testing.assert_allclose(outputs_of(network, bins[None])[0], h[-3:], rtol=1e-9)


@needs_compiler
@pytest.mark.parametrize(("devices", "units"), [(2, 10), (4, 16), (8, 10)])
def test_the_header_chooses_as_pytorch_does(devices, units):
    network = network_of(devices, units, scale=0.5)
    states = random_states(network.levels, 1_000_000)
    with torch.inference_mode():
        expected = SwishNetwork(network)(torch.from_numpy(states).double()).argmax(1).numpy()
    measured = measure_header(network, states, expected)
    assert measured["agreement"] >= 0.999
    assert measured["table_bytes"] == tabulate(network).table_bytes <= 16 << 10
    assert measured["metadata_bytes"] == 8
    assert 0 < measured["pipelined_ns"] < 1000  # a bar, on an idle machine, says more
    assert 0 < measured["dependent_ns"] < 1000


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 1e6])
@pytest.mark.parametrize(("devices", "units"), [(2, 10), (4, 24), (8, 5)])
def test_weights_of_any_size_fit(devices, units, scale):
    network = network_of(devices, units, scale=scale)
    policy, states = tabulate(network), random_states(network.levels, 100_000)
    assert (choices(policy, states) == chosen_by(network, states)).mean() >= 0.998
    parts = np.split(policy.rows.astype(int), policy.offset[1:])
    least, most = (sum(pick(part, axis=0) for part in parts) for pick in (np.min, np.max))
    assert 0.999 * Z_MOST < max(-least.min(), most.max()) <= Z_MOST  # all of the 16 bits, and no more
    assert policy.curve.max() == 0xFFFF


@needs_compiler
@pytest.mark.parametrize("scale", [0.3, 30.0])
def test_header_numpy_and_pytorch_are_equal_in_every_state(scale):
    network = network_of(3, scale=scale)
    policy, states = tabulate(network), random_states(network.levels, 200_000, seed=1)
    expected = choices(policy, states)
    assert measure_header(network, states, expected)["agreement"] == 1
    with torch.inference_mode():
        twin = TableNetwork(policy)(torch.from_numpy(states.astype(np.int64))).numpy()
    np.testing.assert_array_equal(twin, expected)


def test_the_tables_decide_in_the_simulator_as_everywhere():
    system = System.named("H&M")
    network = train_placement(toy_trace(), system)
    agent, bins = Deployed(network, system), random_states(network.levels, 500)
    found = []
    for state in bins:
        agent.tables.bins[:] = state
        found.append(choose(agent.tables))
    assert found == choices(tabulate(network), bins).tolist()
    assert 0 < sum(found) < 500


def test_an_exported_network_is_judged_by_its_file_name(tmp_path):
    trace, system = toy_trace(), System.named("H&M")
    network = train_placement(trace, system)
    save_network(network, tmp_path / "place.npz")
    found = judged(trace, system, str(tmp_path / "place.npz")).summary
    assert found.mean < judged(trace, system, "slow_only").summary.mean
    assert found == judged(trace, system, str(tmp_path / "place.npz")).summary._replace(wall=found.wall)
    with pytest.raises(ValueError, match="Expected a network for 3 devices, got one for 2"):
        judged(trace, System.named("H&M&L"), str(tmp_path / "place.npz"))


def test_equal_outputs_go_to_the_faster_device():
    network = network_of(3)
    network.weights[:] = 0
    states = random_states(network.levels, 100)
    assert not choices(tabulate(network), states).any()
    network.weights[-2:] = 1.0  # devices 1 and 2 promise the same, and more than 0
    assert (choices(tabulate(network), states) == 1).all()


def object_symbols(header, folder):
    """What a program that uses every public function needs from elsewhere."""
    (folder / "placement.h").write_text(header)
    source = folder / "use.c"
    source.write_text(
        '#include "placement.h"\n'
        "int use(const uint8_t *bins, uint32_t now) {\n"
        "    placement_tier tier = placement_tier_of(1000);\n"
        "    placement_page page = placement_refreshed(placement_touched(placement_new_page(1), now), now);\n"
        "    page = placement_moved(page, placement_place(&tier, 5, now, page, 8, 1), now);\n"
        "    return placement_choose(bins) + placement_is_new(page) + placement_device(page);\n"
        "}\n"
    )
    compiler = find_compiler()
    subprocess.run([compiler, *FLAGS, "-c", "-o", str(folder / "use.o"), str(source)], check=True)
    told = subprocess.run(["nm", "-u", str(folder / "use.o")], capture_output=True, text=True, check=True)
    return told.stdout.split()


@needs_compiler
def test_the_header_needs_no_library(tmp_path):
    assert object_symbols(header_of(tabulate(network_of())), tmp_path) in ([], ["U", "_GLOBAL_OFFSET_TABLE_"])


def test_the_header_holds_no_floating_point():
    header = policy_header(*reversed(network_of()), name="tiny", origin="a */ trace \\ with ??/ tricks")
    code = header[header.index("#ifndef") :]
    assert "float" not in code
    assert "double" not in code
    assert "tiny_place" in header
    assert header.count("*/") == header.count("/*")


BINS_PROGRAM = r"""
#include <stdio.h>
#include "placement.h"
int main(void) {
    uint32_t v, capacity, now = 4194304 - 5;  /* stamps wrap in between */
    for (v = 0; v < 200000; v++)
        printf("%u %u\n", (unsigned)placement_long_bin(v), (unsigned)placement_size_bin(v + 1));
    for (capacity = 1; capacity < 40; capacity++) {
        placement_tier tier = placement_tier_of(capacity);
        for (v = 0; v <= capacity; v++)
            printf("%u 0\n", (unsigned)placement_free_bin(&tier, v));
    }
    {
        placement_page page = placement_new_page(3);
        page = placement_touched(page, now);
        page = placement_moved(page, 1, now + 2);
        page = placement_moved(page, 1, now + 3);  /* lies there already */
        page = placement_touched(page, now + 7);
        printf("%d %u\n", placement_device(page), (unsigned)placement_count(page));
        printf("%u %u\n", (unsigned)placement_since_access(page, now + 10),
               (unsigned)placement_since_move(page, now + 10));
        page = placement_refreshed(page, now + 2000000);
        printf("%u %u\n", (unsigned)placement_was_moved(page),
               (unsigned)placement_since_access(page, now + 2000000));
        page = placement_refreshed(page, now + 4000000);
        printf("%u 0\n", (unsigned)(placement_since_access(page, now + 4190000) > 114688));
    }
    return 0;
}
"""


@needs_compiler
def test_bins_and_metadata_in_c_are_those_of_the_simulator(tmp_path):
    compile_header(header_of(tabulate(network_of(4))), "placement", tmp_path, harmonia_levels(4))
    source, program = tmp_path / "bins.c", tmp_path / "bins"
    source.write_text(BINS_PROGRAM)
    subprocess.run([find_compiler(), *FLAGS, "-o", str(program), str(source)], check=True)
    told = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.split()
    pairs = [[int(a), int(b)] for a, b in zip(told[::2], told[1::2], strict=True)]
    some = [*range(200), *range(200, 200_000, 97), *range(114_600, 114_800)]
    assert [pairs[v] for v in some] == [[long_bin(v), size_bin(v + 1)] for v in some]
    shares = [min(8 * v // capacity, 7) for capacity in range(1, 40) for v in range(capacity + 1)]
    assert [first for first, _ in pairs[200_000:-4]] == shares
    # last access 3 requests ago, move 8; the move is forgotten after 2**20, the access is not: 2,000,000 - 7
    assert pairs[-4:] == [[1, 2], [3, 8], [0, 1_999_993], [1, 0]]


def test_torchscript_chooses_as_the_tables_do():
    network = network_of(4)
    policy, states = tabulate(network), random_states(network.levels, 10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(io.BytesIO(torchscript_bytes(policy)))
    chosen = module(torch.from_numpy(states.astype(np.int64)))
    np.testing.assert_array_equal(chosen.numpy(), choices(policy, states))


def test_onnx_chooses_as_the_tables_do():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    import onnxruntime

    network = network_of(4)
    policy, states = tabulate(network), random_states(network.levels, 10_000)
    session = onnxruntime.InferenceSession(onnx_bytes(policy))
    (chosen,) = session.run(None, {"bins": states.astype(np.int64)})
    np.testing.assert_array_equal(chosen, choices(policy, states))


def test_onnx_without_its_packages_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("allocenv.agents.export_policy.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'allocenv\[export\]'"):
        onnx_bytes(tabulate(network_of()))


def test_what_was_learnt_is_exported_and_read_back(tmp_path):
    trace, system = toy_trace(), System.named("H&M")
    network = train_placement(trace, system, seed=3)
    again = train_placement(trace, system, seed=3)
    np.testing.assert_array_equal(network.weights, again.weights)
    fresh = Harmonia(trace, system, 3).state.placement.learner
    take_over(fresh)
    assert not np.array_equal(network.weights, fresh.acting)
    save_network(network, tmp_path / "a.npz")
    for saved, array in zip(load_network(tmp_path / "a.npz"), network, strict=True):
        np.testing.assert_array_equal(saved, array)
    states = random_states(network.levels, 100_000)
    assert (choices(tabulate(network), states) == chosen_by(network, states)).mean() >= 0.999


def test_a_trace_too_short_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="at least 1000 requests to learn from, got 500"):
        train_placement(toy_trace(500), System.named("H&M"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a.pop("levels"), "arrays: found"),
        (lambda a: a.update(weights=a["weights"][:-1]), "Expected 102 weights"),
        (lambda a: a.update(weights=np.full(102, np.nan)), "finite weights"),
        (lambda a: a.update(weights=np.array(["a"])), "one row of real numbers"),
        (lambda a: a.update(levels=a["levels"] + 1), "bins"),
        (lambda a: a.update(sizes=np.array([7, 10])), "2 to 8 devices"),
        (lambda a: a.update(weights=np.array([None], object)), "an .npz file"),
    ],
)
def test_wrong_files_are_clear_errors(tmp_path, change, told):
    arrays = dict(network_of()._asdict())
    change(arrays)
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=told):
        load_network(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"hello", b"\x93NUMPY\x01\x00v\x00"])
def test_files_that_are_no_npz_are_clear_errors(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"an \.npz file"):
        load_network(tmp_path / "a.npz")
    with pytest.raises(InputError, match="No such file"):
        load_network(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (network_of(scale=1e20), r"weights of up to 1e\+15, the largest is"),
        (network_of(scale=1e307), r"weights of up to 1e\+15, the largest is"),
        (network_of(units=40), "tables of up to 16384 bytes, 40 units take 19008"),
    ],
)
def test_networks_that_do_not_fit_are_clear_errors(network, told):
    with pytest.raises(ValueError, match=told):
        tabulate(network)


def test_a_name_that_is_no_c_identifier_is_an_error():
    with pytest.raises(ValueError, match="up to 31 letters"):
        header_of(tabulate(network_of()), "my policy")


@pytest.fixture
def export(tmp_path, monkeypatch, capsys):
    """Call the command as the command line mounts it; what it printed."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command("storage")(export_command)

    @app.callback()
    def offer(context: typer.Context) -> None:
        context.obj = CONVERTERS.__getitem__

    def call(*arguments):
        app(["storage", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    return call


def test_the_command_writes_every_style_and_reads_its_weights_again(export):
    network = network_of()
    save_network(network, "weights.npz")
    told = export(
        "--weights", "weights.npz", "--style", "c,torchscript", "--out", "o", "--name", "tier", "--no-measure"
    )
    assert (Path("o") / "tier.h").read_text().startswith("/* tier.h")
    assert f"{(Path('o') / 'tier.pt').stat().st_size:,} bytes" in told
    assert sorted(path.name for path in Path("o").iterdir()) == ["tier.h", "tier.pt"]


def test_the_command_trains_on_a_trace(export, monkeypatch):
    monkeypatch.setattr("allocenv.problems.storage.export.exporting.find_trace", lambda name, seed: toy_trace())
    told = export("--trace", "toy", "--devices", "H,M", "--out", "o")
    assert sorted(path.name for path in Path("o").iterdir()) == ["placement.h", "placement.npz"]
    assert "toy, 3000 requests; H&M, moves charged; seed 0" in (Path("o") / "placement.h").read_text()
    assert ("A decision: " in told) == (find_compiler() is not None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--weights", "w.npz", "--style", "rust"], "--style among c, onnx, torchscript, got 'rust'"),
        ([], "either --trace"),
        (["--weights", "none.npz"], "No such file"),
        (["--weights", "none.npz", "--name", "../up"], "up to 31 letters"),
        (["--trace", "nothing"], "Expected a trace among"),
    ],
)
def test_wrong_wishes_write_nothing(export, arguments, told):
    with pytest.raises(ValueError, match=told):
        export(*arguments)
    assert not list(Path().iterdir())
