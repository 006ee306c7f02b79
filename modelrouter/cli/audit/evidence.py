"""What the ledger says of a period: everything that an audit pack takes from the book, read in one picture of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.spend.buying import bought, distances
from modelrouter.core.assurance import tally_of
from modelrouter.core.budget import Balance, Position
from modelrouter.core.share_demands import VendorIds
from modelrouter.errors import RequestError
from modelrouter.ledger.audit.attempts import first_seq_at
from modelrouter.ledger.audit.export import REVOCATION_COLUMNS, moment, revocation_rows
from modelrouter.ledger.audit.lines import LARGEST, whole
from modelrouter.ledger.audit.verify import start_of, verify
from modelrouter.ledger.cutting_off import revocations
from modelrouter.ledger.in_force import in_force
from modelrouter.ledger.reads import positions
from modelrouter.ledger.reports import Question, report
from modelrouter.ledger.told import told_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.cli.audit.period import Period
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Tally
    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.concentration import Bought, Distance
    from modelrouter.ledger.audit.heads import Head
    from modelrouter.ledger.audit.verify import Report as Verified
    from modelrouter.ledger.reports import Report
    from modelrouter.ledger.session import Session

__all__ = ["GROUPED", "Evidence", "Failed", "Kept", "evidence_of"]

GROUPED: Final = ("operator", "developer", "model", "deployment", "route", "policy", "month")
FAILED: Final = """SELECT r.operator, r.deployment, COALESCE(e.failure, k.failure), COUNT(DISTINCT r.seq),
        MIN(r.at_us), MAX(r.at_us)
    FROM entries r JOIN entries e ON e.resolves = r.seq
    LEFT JOIN entries k ON k.corrects = r.seq AND k.failure IS NOT NULL
    WHERE r.kind = 'reserve' AND r.seq >= ? AND r.at_us < ? AND COALESCE(e.failure, k.failure) IS NOT NULL
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
"""Failed attempts by what failed; a correction may tell of what was not known at the end."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that the book keeps by its hash."""

    digest: str
    kind: str
    name: str
    body: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Attempts at a deployment that failed in one way; the moments are those of the first and the last of them."""

    operator: str
    deployment: str
    kind: str
    attempts: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read.

    Attributes:
        reports: sums of the period, by each of `GROUPED`.
        tagged: sums of the period by value and deployment, of each tag whose values are listed and not personal.
        failed: attempts of the period that failed; those whose lines are in an archive are not among them.
        documents: every text that was kept before the period ended, oldest first.
        heads: the last line of each writer: id, number, hash.
        untold: calls of the period whose decision cannot be derived, by the reason; nothing else counts them.
        against: the head, kept elsewhere, with which the book was compared.
        positions: where budgets stood when the last line was written, untouched ones too.
        bought: what was bought in the period.
        bought_before: the same of the time right before it, which is as long.
        distances: how far vendors were from share caps when the last line was written.
        revocations: by `REVOCATION_COLUMNS`, those that were in force on some day of the period.
        not_restored: those that nobody restored, whenever they began; some may have ended by themselves.
        last_us: when the last line was written; microseconds since 1970, UTC.
    """

    tally: Tally
    reports: Mapping[str, Report]
    tagged: Mapping[str, Report]
    failed: Sequence[Failed]
    documents: Sequence[Kept]
    heads: Sequence[tuple[str, int, str]]
    verified: Verified
    against: Head | None
    positions: Sequence[Position]
    bought: Sequence[Bought]
    bought_before: Sequence[Bought]
    distances: Sequence[Distance]
    revocations: Sequence[Mapping[str, Any]]
    not_restored: Sequence[Revocation]
    last_us: int
    untold: Mapping[str, int]

    def policy(self, digest: str) -> dict[str, Any] | None:
        """The text of a policy by its hash, as it was in force; None where the book does not have it."""
        found = next((each for each in self.documents if each.digest == digest), None)
        if found is None:
            return None
        body: dict[str, Any] = json.loads(found.body)
        return body


def evidence_of(session: Session, setup: Setup, period: Period, against: Head | None = None) -> Evidence:
    """Read the book.

    Args:
        session: in one picture.
        against: a head that somebody kept, to compare the book with.

    Raises:
        LedgerError: it cannot be read, or is damaged.
        RequestError: the period cuts an hour whose lines are in an archive, or the head's line is in one.
    """
    since, until = period.since_us, period.until_us
    if against is not None and against.seq < start_of(session).seq:
        raise RequestError(
            f"the head was taken at line {against.seq}, and the lines up to {start_of(session).seq} were archived: "
            "compare it with `modelrouter ledger verify --against HEAD --archive FILE`, and give a newer one here"
        )
    untold: Counter[str] = Counter()
    ((last_us,),) = session.rows("SELECT at_us FROM state")
    now, before = bought(session, since, until), bought(session, max(2 * since - until, 0), max(since, 0))
    return Evidence(
        tally=tally_of(told_calls(session, since, until, untold)),
        reports={name: report(session, Question((name,), since, until)) for name in GROUPED},
        tagged={
            name: report(session, Question((f"tag.{name}", "deployment"), since, until))
            for name, tag in setup.tags.items()
            if tag.values is not None and not tag.personal
        },
        failed=tuple(
            Failed(str(operator or ""), str(deployment), str(kind), whole(count), whole(first_us), whole(end_us))
            for operator, deployment, kind, count, first_us, end_us in session.rows(
                FAILED, (first_seq_at(session, since), until)
            )
        ),
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
        verified=verify(session, against=against),
        against=against,
        positions=_positions(session, setup),
        bought=now,
        bought_before=before,
        distances=distances(session, setup, [*now, *before], VendorIds(setup.world), whole(last_us)),
        revocations=tuple(_revocations(session, moment(since), moment(until))),
        not_restored=revocations(session),
        last_us=whole(last_us),
        untold=untold,
    )


def _positions(session: Session, setup: Setup) -> tuple[Position, ...]:
    """Where budgets stand, those of which nothing was spent among them; by name."""
    found = positions(session, setup.budgets, 0)
    touched = {each.budget.name for each in found}
    ((digest,),) = session.rows("SELECT budgets FROM state")
    budgets = in_force(session, setup.budgets).values() if digest else setup.budgets
    untouched = (Position(each, "", Balance(), None) for each in budgets if each.name not in touched)
    return tuple(sorted((*found, *untouched), key=lambda each: (each.budget.name, each.scope)))


def _revocations(session: Session, since: str, until: str) -> Iterator[dict[str, Any]]:
    """Those that began before the end and did not end before the beginning; moments are texts of one length, UTC."""
    for row in revocation_rows(session):
        found = dict(zip(REVOCATION_COLUMNS, row, strict=True))
        ends = [str(end) for end in (found["until"], found["restored_at"]) if end is not None]
        if str(found["at"]) < until and (not ends or min(ends) > since):
            yield found
