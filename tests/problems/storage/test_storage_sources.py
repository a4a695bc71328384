"""Traces and devices are found by name or in files."""

import re

import pytest
from real_data import real_data
from storage_files import example

from allocenv.core.files import InputError
from allocenv.problems.storage.data_sources import SOURCES
from allocenv.problems.storage.device_file import read_device, write_device
from allocenv.problems.storage.devices import DEVICES, Device
from allocenv.problems.storage.formats import write_trace
from allocenv.problems.storage.sources import REAL, TRACES, find_trace


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_real_traces_are_found_and_kept(name):
    real_data("storage")
    assert find_trace(name) is find_trace(name)
    assert len(find_trace(name)) > 6000


@pytest.mark.data
def test_the_sources_are_there():
    for source in SOURCES:
        assert real_data(source.path).is_file()


def test_presets_are_made_by_seed():
    assert find_trace("usr_0") is find_trace("usr_0")
    assert (find_trace("usr_0", 1).requests.first[:50] != find_trace("usr_0").requests.first[:50]).any()


def test_files_are_read(tmp_path):
    write_trace(example(12), tmp_path / "mine.csv.gz", "msr")
    trace = find_trace(str(tmp_path / "mine.csv.gz"))
    assert (trace.name, len(trace)) == ("mine", 12)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(ValueError, match=r"cloudphysics, w106.*got 'none'"):
        find_trace("none")
    assert {"hm_1", "cloudphysics_median", "OLTP"} <= set(TRACES)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_is_kept_in_a_file(name, tmp_path):
    write_device(DEVICES[name], tmp_path / "d.json")
    assert read_device(tmp_path / "d.json") == DEVICES[name]


def test_what_is_infinite_is_kept(tmp_path):
    device = Device("d", 1, 2, 3, 4, read_sigma=0.5)
    write_device(device, tmp_path / "d.json")
    assert read_device(tmp_path / "d.json") == device


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "content: found []"),
        ("{", "expected JSON of a device"),
        ('{"speed": 3}', "speed: found 3, expected fields among name"),
        ('{"name": 3}', "name: found 3, expected a name"),
        ('{"name": "d", "read_us": "fast"}', "read_us: found 'fast', expected a number"),
        ('{"name": "d"}', "missing"),
        ('{"name":"d","read_us":-1,"write_us":1,"read_page_us":1,"write_page_us":1}', "expected read_us > 0, got -1"),
    ],
)
def test_a_wrong_device_file_is_named(text, message, tmp_path):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(InputError, match=re.escape(message)):
        read_device(tmp_path / "d.json")
