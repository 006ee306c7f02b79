"""How an audit pack was made: of which period, on which day, from which ledger and config."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from modelrouter.cli.spend.when import written

if TYPE_CHECKING:
    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.period import Period

__all__ = ["Made"]


@dataclass(frozen=True, slots=True)
class Made:
    """How a pack was made.

    Attributes:
        today: the day that facts, waivers and losses are judged for.
        ledger: the book's address as it may be shown.
    """

    period: Period
    today: date
    version: str
    ledger: str
    config: str

    @property
    def noon_s(self) -> float:
        """A moment of the day, seconds since 1970."""
        return datetime.combine(self.today, time(12), UTC).timestamp()

    def judged_us(self, evidence: Evidence) -> int:
        """For which moment it is judged who is cut off, microseconds since 1970: noon, or the last line if later."""
        return max(evidence.last_us, round(self.noon_s * 1_000_000))

    def document(self, evidence: Evidence) -> dict[str, Any]:
        """What is known of the whole pack, for programs."""
        verified = evidence.verified
        return {
            "period": {
                "name": self.period.name,
                "first_day": self.period.first.isoformat(),
                "last_day": self.period.last.isoformat(),
            },
            "made_on": self.today.isoformat(),
            "made_by": f"modelrouter {self.version}",
            "config": self.config,
            "ledger": {
                "address": self.ledger,
                "head": str(verified.head),
                "last_line_at": written(evidence.last_us, UTC),
                "verified": verified.is_good,
                "against": None if evidence.against is None else str(evidence.against),
                "lines": verified.lines,
                "first_line": verified.first_seq,
                "faults": dict(verified.counts),
            },
        }
