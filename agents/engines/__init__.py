"""Where work runs: `local`, this process and its forks, or `ray`, a cluster. The work is the same."""

from importlib.util import find_spec

ENGINES = ("local", "ray")


def expect_engine(name: str, address: str | None = None) -> str:
    """The name of an engine that can be used here, with the address of a cluster. Raises ValueError."""
    if name not in ENGINES:
        raise ValueError(f"--engine: expected {' or '.join(ENGINES)}, got {name!r}.")
    if name == "ray" and find_spec("ray") is None:
        raise ValueError("--engine ray: Ray is not installed. Install it with: pip install 'allocenv[ray]'")
    if address is not None and name != "ray":
        raise ValueError(f"--address: expected --engine ray with it, got {name!r}.")
    return name
