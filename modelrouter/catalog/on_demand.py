"""A table whose entries are read when they are asked for: most programs use a handful of all that is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OnDemand"]

V = TypeVar("V")


class OnDemand(Mapping[str, V], Generic[V]):
    """See the module. Reading an entry twice, from two threads at once, gives equal values.

    Args:
        entries: as they were written, by name.
        read: makes the value of a name and its entry; what it raises comes from whoever asks for that name.
    """

    __slots__ = ("_entries", "_read", "_values")

    def __init__(self, entries: Mapping[str, object], read: Callable[[str, object], V]) -> None:
        self._entries = entries
        self._read = read
        self._values: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._read(name, self._entries[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
