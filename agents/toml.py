"""TOML of the standard library, or its twin on Python 3.10."""

import sys

if sys.version_info >= (3, 11):
    import tomllib as tomllib
else:
    import tomli as tomllib  # noqa: F401
