"""How is a fitted device kept? As JSON of the fields of `Device`."""

import json
import math
import os
from dataclasses import asdict, fields

from allocenv.core.files import InputError, read_text, write_atomically
from allocenv.problems.storage.devices import Device


def write_device(device: Device, path: str | os.PathLike[str]) -> None:
    """Write the device; what is infinite is left out."""
    known = {name: value for name, value in asdict(device).items() if value != math.inf}
    write_atomically(path, json.dumps(known, indent=1) + "\n")


def read_device(path: str | os.PathLike[str]) -> Device:
    """Read what `write_device` wrote; fields with a default may be missing.

    Raises:
        InputError: not JSON, an unknown or missing field, or a value that no device has.
    """
    source = os.fspath(path)
    try:
        data = json.loads(read_text(source))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(source, "content", str(error), "JSON of a device") from None
    if not isinstance(data, dict):
        raise InputError(source, "content", data, "an object with the fields of a device")
    names = [field.name for field in fields(Device)]
    for name, value in data.items():
        if name not in names:
            raise InputError(source, name, value, f"fields among {', '.join(names)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (name == "name") != isinstance(value, str) or (name != "name" and not number):
            raise InputError(source, name, value, "a name" if name == "name" else "a number")
    try:
        return Device(**data)
    except (TypeError, ValueError) as error:
        raise InputError(source, "fields", str(error), "a device") from None
