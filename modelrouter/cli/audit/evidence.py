"""What the ledger says of a period: everything that an audit pack takes from the book, read in one picture of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.assurance import tally_of
from modelrouter.ledger.audit.lines import LARGEST, whole
from modelrouter.ledger.audit.verify import verify
from modelrouter.ledger.reads import positions
from modelrouter.ledger.reports import Question, report
from modelrouter.ledger.told import told_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.cli.audit.period import Period
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Tally
    from modelrouter.core.budget import Position
    from modelrouter.ledger.audit.verify import Report as Verified
    from modelrouter.ledger.reports import Report
    from modelrouter.ledger.session import Session

__all__ = ["GROUPED", "Evidence", "Kept", "evidence_of"]

GROUPED: Final = ("operator", "developer", "model", "deployment", "route", "policy", "month")


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that the book keeps by its hash."""

    digest: str
    kind: str
    name: str
    body: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read.

    Attributes:
        reports: sums of the period, by each of `GROUPED`; and by deployment and operator, as `deployment,operator`.
        documents: every text that was kept before the period ended, oldest first.
        heads: the last line of each writer: id, number, hash.
        positions: where budgets stood when the last line was written.
        last_us: when that was; microseconds since 1970, UTC.
        untold: calls of the period whose decision cannot be derived, by the reason; nothing else counts them.
    """

    tally: Tally
    reports: Mapping[str, Report]
    documents: Sequence[Kept]
    heads: Sequence[tuple[str, int, str]]
    verified: Verified
    positions: Sequence[Position]
    last_us: int
    untold: Mapping[str, int]

    def policy(self, digest: str) -> dict[str, Any] | None:
        """The text of a policy by its hash, as it was in force; None where the book does not have it."""
        found = next((each for each in self.documents if each.digest == digest), None)
        if found is None:
            return None
        body: dict[str, Any] = json.loads(found.body)
        return body


def evidence_of(session: Session, setup: Setup, period: Period) -> Evidence:
    """Read the book.

    Args:
        session: in one picture.

    Raises:
        LedgerError: it cannot be read, or is damaged.
        RequestError: the period cuts an hour whose lines are in an archive.
    """
    since, until = period.since_us, period.until_us
    untold: Counter[str] = Counter()

    def summed(*by: str) -> Report:
        return report(session, Question(by, since, until))

    ((last_us,),) = session.rows("SELECT at_us FROM state")
    return Evidence(
        tally=tally_of(told_calls(session, since, until, untold)),
        reports={**{name: summed(name) for name in GROUPED}, "deployment,operator": summed("deployment", "operator")},
        documents=tuple(
            Kept(str(digest), str(kind), str(name), str(body), whole(at_us))
            for digest, kind, name, body, at_us in session.rows(
                """SELECT digest, kind, name, body, at_us FROM documents WHERE at_us < ?
                    ORDER BY at_us, kind, name, digest""",
                (min(until, LARGEST),),
            )
        ),
        heads=tuple(
            (str(writer_id), whole(number), str(digest))
            for writer_id, number, digest in session.rows(
                """SELECT w.writer_id, e.writer_seq, e.hash FROM entries e JOIN writers w ON w.writer = e.writer
                    WHERE e.seq IN (SELECT MAX(seq) FROM entries GROUP BY writer) ORDER BY w.writer_id"""
            )
        ),
        verified=verify(session),
        positions=positions(session, setup.budgets, 0),
        last_us=whole(last_us),
        untold=untold,
    )
