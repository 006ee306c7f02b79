"""The balances of budgets, added up from the lines alone, and whether every admission left them within their limits."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelrouter.ledger.audit.lines import body_digest
from modelrouter.ledger.audit.windows import definitions_of, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelrouter.ledger.audit.windows import Definition, Shape, Subject

__all__ = [
    "CHARGED",
    "CORRECTION",
    "OVERRUN",
    "RESERVED",
    "SETTLED",
    "UNCERTAIN",
    "USED",
    "Accounts",
    "Excess",
    "Key",
    "Sums",
]

SETTLED, UNCERTAIN, RESERVED, OVERRUN, CORRECTION, CHARGED, USED = range(7)
Sums = list[int]
"""The five sums of an account, in this order; the last reservation that was charged to it; the five together."""
Key = tuple[str, str, int]
"""An account: the shape of its budgets, its scope, and when it begins."""


@dataclass(frozen=True, slots=True)
class Excess:
    """An admission that a budget had no room for."""

    budget: str
    scope: str
    used_nano_usd: int
    limit_nano_usd: int


@dataclass(slots=True)
class Accounts:
    """Every account of every budget that was ever in force here.

    All of them are kept from the first line on, also those of a budget that comes later: it counts what its window had
    spent before.
    """

    in_force: tuple[Definition, ...] = ()
    sums: dict[tuple[str, str], dict[int, Sums]] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    since: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # line and moment, by name and shape
    entries: dict[tuple[str, str], list[int]] = field(
        default_factory=dict
    )  # the lines of a definition, by name and text
    digest: str = ""
    newest: int = 0  # the line that put these budgets in force

    def know(self, definitions: Iterable[Definition]) -> None:
        """Keep accounts for these budgets, whenever they come into force."""
        for each in definitions:
            self.shapes.setdefault(each.shape.text, each.shape)

    def apply(self, content: str | None, seq: int, at_us: int) -> None:
        """Put the budgets of a line in force.

        Raises:
            ValueError: the line does not hold budgets.
        """
        self.in_force = definitions_of(content)
        self.know(self.in_force)
        self.digest = body_digest(f"[{','.join(sorted(each.text for each in self.in_force))}]")
        self.newest = seq
        for each in self.in_force:
            self.entries.setdefault((each.name, each.text), []).append(seq)
        self.since = {each.named: self.since.get(each.named, (seq, at_us)) for each in self.in_force}

    def of(self, subject: Subject, at_us: int) -> dict[Key, Sums]:
        """The accounts that an attempt of this moment falls under, by what they are."""
        found: dict[Key, Sums] = {}
        for text, shape in self.shapes.items():
            scopes = shape.scopes(subject)
            if not scopes:
                continue
            start = shape.start_us(at_us)
            for scope in scopes:
                periods = self.sums.setdefault((text, scope), {})
                found[text, scope, start] = periods.setdefault(start, [0, 0, 0, 0, 0, 0, 0])
        return found

    def excesses(self, subject: Subject, at_us: int) -> list[Excess]:
        """The budgets in force whose limit is passed for this attempt."""
        found: list[Excess] = []
        for definition in self.in_force:
            for scope in definition.shape.scopes(subject):
                used = self.used(definition.shape, scope, at_us)
                if used > definition.limit_nano_usd:
                    found.append(Excess(definition.name, scope, used, definition.limit_nano_usd))
        return found

    def used(self, shape: Shape, scope: str, at_us: int) -> int:
        """All that counts at a moment: settled, uncertain, reserved, overrun and correction."""
        periods = self.sums.get((shape.text, scope), {})
        if shape.window != "rolling":
            sums = periods.get(shape.start_us(at_us))
            return 0 if sums is None else sums[USED]
        first, last = shape.counts_from_us(at_us), shape.start_us(at_us)
        slots = range(first, last + 1, shape.slot_us)
        return sum([sums[USED] for sums in map(periods.get, slots) if sums is not None])


@functools.lru_cache(maxsize=8_192)
def subject(  # noqa: PLR0917 - six columns
    route: str, policies: str, tags: str, deployment: str, operator: str, developer: str
) -> Subject:
    """`windows.subject_of`, kept: most attempts are like many others."""
    return subject_of(
        route=route, policies=policies, tags=tags, deployment=deployment, operator=operator, developer=developer
    )
