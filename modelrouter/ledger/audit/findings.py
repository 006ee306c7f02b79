"""What an audit found wrong: the first faults in full, and how many of each kind there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["SHOWN", "Fault", "Findings"]

SHOWN: Final = 20
"""How many faults are kept with their words; one wrong line near the beginning can make every later sum differ."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as the book's own rules want it.

    Attributes:
        kind: one word to count by, as `chain` or `accounts`.
        seq: the line it was seen at; None where it is not about one line.
        text: what is wrong, in one sentence.
    """

    kind: str
    seq: int | None
    text: str


@dataclass(slots=True)
class Findings:
    """All faults of one audit."""

    shown: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    limit: int = SHOWN

    def add(self, kind: str, seq: int | None, text: str) -> None:
        """Note one."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.shown) < self.limit:
            self.shown.append(Fault(kind, seq, text))
