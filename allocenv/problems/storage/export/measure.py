"""How fast and how true is an exported header? Compiled here, run on states, timed."""

import re
import shutil
import subprocess
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import numpy as np

from allocenv.core.arrays import Array
from allocenv.problems.storage.export.header import header_of
from allocenv.problems.storage.export.network import PlacementNetwork, chosen_by, random_states
from allocenv.problems.storage.export.table_policy import tabulate

FLAGS = ("-O2", "-Wall", "-Werror", "-std=c99")
STATES = 1_000_000
SECONDS = 120  # for a compiler or a program that hangs

# Times are CPU time, the least of many rounds: others may be using the machine.
PROGRAM = Template("""\
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "$name.h"

#define MANY 4096
#define ROUNDS 400

static uint8_t states[MANY][${NAME}_FEATURES];
static ${name}_page page[MANY];
static uint32_t free_pages[MANY], pages[MANY];
static volatile int sink;

static uint32_t drawn(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

static double best_ns(double best, clock_t begin)
{
    double ns = 1e9 * (double)(clock() - begin) / CLOCKS_PER_SEC / (8.0 * MANY);
    return ns < best ? ns : best;
}

static void answer(const char *in, const char *out)
{
    uint8_t bins[${NAME}_FEATURES];
    FILE *from = fopen(in, "rb"), *to = fopen(out, "wb");
    if (!from || !to)
        exit(2);
    while (fread(bins, 1, sizeof bins, from) == sizeof bins)
        fputc(${name}_choose(bins), to);
    fclose(from);
    if (fclose(to))
        exit(2);
}

int main(int argc, char **argv)
{
    double place = 1e9, place_dependent = 1e9, choose = 1e9, choose_dependent = 1e9;
    ${name}_tier tier = ${name}_tier_of(100000);
    const uint8_t levels[] = {$levels};
    int round, i, j, f;
    if (argc == 3)
        answer(argv[1], argv[2]);
    for (i = 0; i < MANY; i++) {
        for (f = 0; f < ${NAME}_FEATURES; f++)
            states[i][f] = (uint8_t)(drawn() % levels[f]);
        page[i] = ${name}_new_page((int)(drawn() % ${NAME}_DEVICES));
        for (j = (int)(drawn() % 40); j > 0; j--)
            page[i] = ${name}_touched(page[i], drawn() >> (drawn() % 20));
        page[i] = ${name}_moved(page[i], (int)(drawn() % ${NAME}_DEVICES), drawn() >> (drawn() % 20));
        free_pages[i] = drawn() % 100000;
        pages[i] = 1 + drawn() % 300;
    }
    for (round = 0; round < ROUNDS; round++) {
        clock_t begin = clock();
        int sum = 0, last = 0;
        for (j = 0; j < 8; j++)
            for (i = 0; i < MANY; i++)
                sum += ${name}_place(&tier, free_pages[i], (uint32_t)(i * 8 + j), page[i], pages[i], i & 1);
        place = best_ns(place, begin);
        begin = clock();
        for (j = 0; j < 8; j++)
            for (i = 0; i < MANY; i++) {
                /* the page lies where the last decision said */
                ${name}_page there = {(page[i].bits & ~(uint64_t)7) | (uint64_t)last};
                last = ${name}_place(&tier, free_pages[i], (uint32_t)(i * 8 + j), there, pages[i], i & 1);
                sum += last;
            }
        place_dependent = best_ns(place_dependent, begin);
        begin = clock();
        for (j = 0; j < 8; j++)
            for (i = 0; i < MANY; i++)
                sum += ${name}_choose(states[i]);
        choose = best_ns(choose, begin);
        begin = clock();
        for (j = 0; j < 8; j++)
            for (i = 0; i < MANY; i++) {
                states[i][5] = (uint8_t)last;
                last = ${name}_choose(states[i]);
                sum += last;
            }
        choose_dependent = best_ns(choose_dependent, begin);
        sink = sum;
    }
    printf("%.3f %.3f %.3f %.3f %d %d\\n", place, place_dependent, choose, choose_dependent,
           (int)(sizeof ${name}_rows + sizeof ${name}_curve), (int)sizeof(${name}_page));
    return 0;
}
""")


def find_compiler() -> str | None:
    """A C compiler on this machine."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compile_header(header: str, name: str, folder: Path, levels: Array) -> Path:
    """Compile the header with the program that answers and times; the program's path.

    Raises:
        ValueError: there is no compiler, or it refuses.
    """
    compiler = find_compiler()
    if compiler is None:
        raise ValueError("Expected a C compiler (cc, gcc or clang) to measure with; there is none.")
    (folder / f"{name}.h").write_text(header)
    source, program = folder / "measure.c", folder / "measure"
    listed = ", ".join(map(str, levels.tolist()))
    source.write_text(PROGRAM.substitute(name=name, NAME=name.upper(), levels=listed))
    told = _run([compiler, *FLAGS, "-o", str(program), str(source)])
    if told.returncode != 0:
        raise ValueError(f"Expected {name}.h to compile with {' '.join(FLAGS)}: {told.stderr.strip()[:300]}")
    return program


def measure_header(
    network: PlacementNetwork, states: Array | None = None, expected: Array | None = None, name: str = "placement"
) -> dict[str, float]:
    """Compile the network's header, let it decide on states, time it.

    Args:
        network: to be exported.
        states: [N, F] uint8 bins; default: 10**6 random ones.
        expected: [N] devices to compare with; default: of the network itself in double precision.
        name: of the header.

    Returns:
        pipelined_ns and dependent_ns of a decision from a page's metadata on; choose_ns and choose_dependent_ns
        from ready bins on (dependent: the page lies where the last decision said); table_bytes; metadata_bytes
        a page; agreement: share of the states with the expected device.

    Raises:
        ValueError: no compiler, or a network that does not fit; see `tabulate`.
    """
    states = random_states(network.levels, STATES) if states is None else np.ascontiguousarray(states, np.uint8)
    expected = chosen_by(network, states) if expected is None else expected
    with TemporaryDirectory() as made:
        folder = Path(made)
        program = compile_header(header_of(tabulate(network), name), name, folder, network.levels)
        (folder / "states").write_bytes(states.tobytes())
        told = _run([str(program), str(folder / "states"), str(folder / "answers")])
        if told.returncode != 0 or not re.fullmatch(r"([\d.]+\s){6}", told.stdout):
            raise ValueError(f"Expected six figures of the compiled header, got {told.stdout[:100]!r}.")
        answers = np.frombuffer((folder / "answers").read_bytes(), np.uint8)
    pipelined, dependent, choose, choose_dependent, table_bytes, metadata_bytes = map(float, told.stdout.split())
    return {
        "pipelined_ns": pipelined,
        "dependent_ns": dependent,
        "choose_ns": choose,
        "choose_dependent_ns": choose_dependent,
        "table_bytes": table_bytes,
        "metadata_bytes": metadata_bytes,
        "agreement": float((answers == expected).mean()),
    }


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"Expected {command[0]} to end within {SECONDS} s; it did not.") from None
