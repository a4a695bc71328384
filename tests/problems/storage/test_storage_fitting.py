"""A device fitted to what fio measured reproduces it."""

import json
import re

import numpy as np
import pytest
from fio_output import fio_json

from allocenv.core.files import InputError
from allocenv.problems.storage.devices import DEVICES, Device
from allocenv.problems.storage.fitting import fit_device

FLASH = Device("flash", 80, 25, 7.3, 8.0, read_sigma=0.3, write_sigma=0.6)
DISK = Device(
    "disk", 100, 120, 19.5, 21, seek_us=8500, track_us=1000, rotation_us=4166, read_sigma=0.1, write_sigma=0.1
)
ALL = ("read", "write", "randread", "randwrite")


def fitted(tmp_path, device, **how):
    path = tmp_path / "fio.json"
    path.write_text("fio: a warning\n" + fio_json(device, **how))
    return fit_device(path, device.name)


def test_the_figures_of_a_flash_device_are_found(tmp_path):
    fit = fitted(tmp_path, FLASH, modes=ALL)
    for name in ("read_us", "write_us", "read_page_us", "write_page_us", "read_sigma", "write_sigma"):
        assert getattr(fit.device, name) == pytest.approx(getattr(FLASH, name), rel=0.05), name
    assert fit.device.seek_us == 0
    assert fit.worst_mean < 0.05
    assert fit.worst_p99 < 0.15


def test_the_figures_of_a_disk_are_found(tmp_path):
    fit = fitted(tmp_path, DISK, modes=ALL)
    for name in ("seek_us", "rotation_us", "read_page_us"):
        assert getattr(fit.device, name) == pytest.approx(getattr(DISK, name), rel=0.1), name
    assert fit.worst_mean < 0.05
    assert fit.worst_p99 < 0.15


@pytest.mark.parametrize("channels", [1, 8])
def test_deeper_queues_tell_how_many_are_served_at_once(channels, tmp_path):
    fit = fitted(tmp_path, FLASH, depths=(1, 8, 32), channels=channels)
    assert fit.at_once == pytest.approx((channels, channels), rel=0.1)
    assert fit.worst_mean < 0.05
    assert fit.worst_p99 < 0.15


@pytest.mark.parametrize("name", DEVICES)
def test_presets_are_found_again(name, tmp_path):
    fit = fitted(tmp_path, DEVICES[name], modes=ALL, n=20_000)
    assert fit.worst_mean < 0.05
    assert fit.worst_p99 < 0.15


def test_several_files_make_one_device(tmp_path):
    for mode in ("randread", "randwrite"):
        (tmp_path / f"{mode}.json").write_text(fio_json(FLASH, modes=(mode,)))
    fit = fit_device([tmp_path / "randread.json", tmp_path / "randwrite.json"], gigabytes=960, dwpd=1)
    assert (fit.device.gigabytes, fit.device.dwpd, len(fit.rows)) == (960, 1, 8)


def test_jobs_that_mix_reads_and_writes_are_left_out(tmp_path):
    data = json.loads(fio_json(FLASH))
    data["jobs"].append({**data["jobs"][0], "job options": {"rw": "randrw"}})
    (tmp_path / "t.json").write_text(json.dumps(data))
    assert fit_device(tmp_path / "t.json").left_out == 1


def changed(**change):
    data = json.loads(fio_json(FLASH, n=100))
    job = data["jobs"][0]
    job["job options"].update(change.pop("options", {}))
    job["read"]["clat_ns"].update(change)
    return json.dumps(data)


WRONG = {
    "not JSON": ("{", "the JSON of fio"),
    "a list": ("[]", "content: found []"),
    "no jobs": ("{}", "jobs: found None"),
    "reads only": (fio_json(FLASH, modes=("randread",), n=100), "writes of at least two block sizes"),
    "one size": (fio_json(FLASH, sizes=(4,), n=100), "reads of at least two block sizes"),
    "a mean of text": (changed(mean="fast"), "jobs[0].read.clat_ns.mean: found 'fast', expected a number above 0"),
    "a negative mean": (changed(mean=-1), "jobs[0].read.clat_ns.mean: found -1"),
    "a percentile of none": (changed(percentile={"99.000000": None}), "percentile.99.000000: found None"),
    "a size of text": (changed(options={"bs": "big"}), "bs: found 'big', expected a size"),
    "a depth of none": (changed(options={"iodepth": "0"}), "iodepth: found '0', expected a number of at least 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what, tmp_path):
    text, message = WRONG[what]
    (tmp_path / "fio.json").write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        fit_device(tmp_path / "fio.json")


ODD = [None, -1, 0, 1e300, 1e15, "", "x", [], {}, True, "99999999999", "4k", float("nan"), "randrw"]


def test_odd_values_anywhere_give_an_input_error_or_a_fit(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "fio.json"
    text = fio_json(FLASH, sizes=(4, 16), n=100)
    for _ in range(300):
        data = json.loads(text)
        at = data["jobs"][rng.integers(len(data["jobs"]))] if rng.random() < 0.9 else data
        while True:
            key = list(at)[rng.integers(len(at))] if isinstance(at, dict) else int(rng.integers(len(at)))
            if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.2:
                break
            at = at[key]
        at[key] = ODD[rng.integers(len(ODD))]
        path.write_text(json.dumps(data))
        try:
            assert fit_device(path).device.read_us > 0
        except InputError:
            continue
