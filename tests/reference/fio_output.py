"""fio's JSON, made of a device whose figures are known."""

import json

import numpy as np


def service(device, write, pages, random, rng, n):
    """n service times in microseconds."""
    first, further = (device.write_us, device.write_page_us) if write else (device.read_us, device.read_page_us)
    seek = 0.0
    if random and device.seek_us:
        distance = np.abs(rng.random(n) - rng.random(n))
        seek = device.track_us + (device.seek_us - device.track_us) / (8 / 15) * np.sqrt(distance) + device.rotation_us
    sigma = device.write_sigma if write else device.read_sigma
    return (first + further * (pages - 1) + seek) * rng.lognormal(-(sigma**2) / 2, sigma, n)


def fio_json(
    device, sizes=(4, 16, 64, 256), depths=(1,), modes=("randread", "randwrite"), channels=1, seed=0, n=40_000
):
    """The text that fio prints after jobs of these sizes (KiB), depths and modes; `channels` I/Os served at once."""
    rng, jobs = np.random.default_rng(seed), []
    for mode in modes:
        for size in sizes:
            for depth in depths:
                waits = max(1, depth // channels)
                write, random = "write" in mode, "rand" in mode
                latency = sum(service(device, write, size // 4, random, rng, n) for _ in range(waits))
                side = {
                    "io_bytes": n * size * 1024,
                    "total_ios": n,
                    "clat_ns": {
                        "mean": latency.mean() * 1000,
                        "percentile": {f"{p:.6f}": int(np.percentile(latency, p) * 1000) for p in (50, 99, 99.9)},
                    },
                }
                idle = {"io_bytes": 0, "total_ios": 0, "clat_ns": {"mean": 0.0}}
                jobs.append(
                    {
                        "jobname": f"{mode}-{size}k-{depth}",
                        "job options": {"rw": mode, "bs": f"{size}k", "iodepth": str(depth)},
                        "read": idle if write else side,
                        "write": side if write else idle,
                    }
                )
    return json.dumps({"fio version": "fio-3.36", "global options": {"ioengine": "libaio"}, "jobs": jobs})
