"""A mapping of names to classes that are imported when first asked for."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


class LazyRegistry(Mapping[str, T]):
    """Name -> what `module:attribute` holds. Looking at the names imports nothing."""

    def __init__(self, what: str, places: Mapping[str, str]) -> None:
        self._what, self._places = what, dict(places)

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._places[name].partition(":")
        found: Any = getattr(import_module(module), attribute)
        return found  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def find(self, name: str) -> T:
        """As `[name]`. Raises ValueError, with the nearest name, for one that is not there."""
        if name not in self._places:
            near = get_close_matches(name, self._places, n=1, cutoff=0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Expected {self._what}, one of {', '.join(self._places)}; got {name!r}.{hint}")
        return self[name]
