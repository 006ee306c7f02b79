"""The operations of one transaction, sorted by kind once: each is asked about many times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.ports import Reservation, Resolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.ledger.operations import Operation

__all__ = ["Batch"]


class Batch:
    """See the module.

    Attributes:
        operations: in the order in which they were asked for.
        repeats: how many of them an earlier try may have written after all.
        reservations: with their places, as are `ends` and `others`.
    """

    __slots__ = ("ends", "operations", "others", "repeats", "reservations")

    def __init__(self, operations: Sequence[Operation], repeats: int) -> None:
        self.operations = operations
        self.repeats = repeats
        self.reservations: list[tuple[int, Reservation]] = []
        self.ends: list[tuple[int, Resolution]] = []
        self.others: list[tuple[int, Operation]] = []
        for place, operation in enumerate(operations):
            if isinstance(operation, Reservation):
                self.reservations.append((place, operation))
            elif isinstance(operation, Resolution):
                self.ends.append((place, operation))
            else:
                self.others.append((place, operation))
