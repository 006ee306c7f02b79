"""`modelrouter status`: how each deployment has fared lately, by the book.

A command has no live Router: breakers, lines and held-back keys are in the memory of the processes that call, and
`Router.explain` shows them there. What the book holds is what came of every attempt, of all processes that write into
it: this tells that and nothing more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document, printable, table
from modelrouter.cli.spend.when import moment_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.config import Setup
    from modelrouter.ledger.audit.attempts import BookedAttempt

__all__ = ["status"]

MICROSECONDS = 1_000_000
NOTE = "by the book, of all processes that write into it; a running Router's own view is in its `explain`"


@dataclass(slots=True)
class Fared:
    """What came of the attempts at one deployment.

    Attributes:
        open: without an end: under way, or of a process that died.
        failures: kinds of failure and how often.
        durations_us: of those that answered.
        row: failures that speak against the deployment since its last answer.
    """

    attempts: int = 0
    open: int = 0
    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    durations_us: list[int] = field(default_factory=list)
    last_answer_us: int | None = None
    last_failure_us: int | None = None
    row: int = 0

    def take(self, attempt: BookedAttempt) -> None:
        """Count one more, in the order of their reservations."""
        from modelrouter.core.failure import RULES, Blame, FailureKind

        self.attempts += 1
        end = attempt.end
        if end is None or end.kind == "expire":
            self.open += 1
        elif end.failure is None:
            self.answered += 1
            self.row = 0
            self.last_answer_us = end.at_us
            if end.duration_us is not None:
                self.durations_us.append(end.duration_us)
        else:
            self.failures[end.failure] += 1
            self.last_failure_us = end.at_us
            self.row += RULES[FailureKind(end.failure)].blame is Blame.DEPLOYMENT

    def blamed(self, blame: str) -> int:
        """How many failures speak against `deployment`, `credential`, its `capacity`, or `nobody`."""
        from modelrouter.core.failure import RULES, FailureKind

        return sum(count for kind, count in self.failures.items() if RULES[FailureKind(kind)].blame.value == blame)

    @property
    def success_share(self) -> float | None:
        """Answers among the attempts that say something about the deployment; None where none does."""
        told = self.answered + self.blamed("deployment") + self.blamed("identity")
        return self.answered / told if told else None

    def duration_s(self, share: float) -> float | None:
        """The time within which this share of the answers came."""
        ordered = sorted(self.durations_us)
        if not ordered:
            return None
        place = min(len(ordered) - 1, max(0, -(-int(share * 100) * len(ordered) // 100) - 1))
        return ordered[place] / MICROSECONDS


def status(
    *,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="a length as 15m, 24h, 7d, or a day as 2026-11-01 (UTC)")
    ] = "1h",
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Show how each deployment has fared lately: answers, failures by kind, time, and who is cut off. Calls nobody."""
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    since_us = moment_us(since, datetime.now(UTC), UTC, option="--since")
    setup = read(find_config(config)).setup
    found, revoked = _read(setup, since_us), _revoked(setup)
    if as_json:
        documents = [{**_document(setup, *each), "revoked": revoked.get(each[0])} for each in found.items()]
        print_document({"since": since, "note": NOTE, "deployments": documents})
    else:
        _show(setup, found, since)
        for name, why in revoked.items():
            console().print(printable(f"{name} is cut off: {why}"), style="yellow", soft_wrap=True)


def _read(setup: Setup, since_us: int) -> dict[str, Fared]:
    """By deployment: those of the config in its order, then others that the book knows."""
    found = {name: Fared() for name in setup.endpoints}
    for attempt in _attempts(setup, since_us):
        found.setdefault(attempt.reservation.deployment or "", Fared()).take(attempt)
    return found


def _has_no_book(setup: Setup) -> bool:
    """It is made with the first call."""
    path = Path(setup.ledger_path) if setup.ledger_path else None
    return path is not None and path.parent.is_dir() and not path.exists()


def _revoked(setup: Setup) -> Mapping[str, str]:
    """Deployments of the config that are cut off, in the book or by a signed file, and by what."""
    from modelrouter.cli.booked import opened
    from modelrouter.cli.revoke.place import in_files
    from modelrouter.cli.revoke.screen import losses_of

    by_files = in_files(setup)
    if _has_no_book(setup):
        return losses_of(setup, by_files).whys
    with opened(setup.ledger) as book:
        return losses_of(setup, (*book.revoked(), *by_files)).whys


def _attempts(setup: Setup, since_us: int) -> Iterable[BookedAttempt]:
    from modelrouter.cli.booked import opened
    from modelrouter.ledger.audit.attempts import attempts_between

    if _has_no_book(setup):
        return
    with opened(setup.ledger) as book, book.reading() as session:
        yield from attempts_between(session, since_us)


def _document(setup: Setup, name: str, fared: Fared) -> dict[str, Any]:
    limits = setup.limits.get(name)
    return {
        "deployment": name,
        "in_config": name in setup.endpoints,
        "attempts": fared.attempts,
        "answered": fared.answered,
        "open": fared.open,
        "failures": dict(fared.failures.most_common()),
        "blamed": {
            blame: fared.blamed(blame) for blame in ("deployment", "identity", "capacity", "credential", "nobody")
        },
        "success_share": None if fared.success_share is None else round(fared.success_share, 4),
        "failures_in_a_row": fared.row,
        "duration_s": {"half": fared.duration_s(0.5), "most": fared.duration_s(0.95)},
        "last_answer": _moment(fared.last_answer_us),
        "last_failure": _moment(fared.last_failure_us),
        "limits": None
        if limits is None
        else {
            "max_in_flight": limits.max_in_flight,
            "requests_per_minute": limits.requests_per_minute,
            "tokens_per_minute": limits.tokens_per_minute,
        },
    }


def _moment(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / MICROSECONDS, UTC).isoformat(timespec="seconds")


def _show(setup: Setup, found: dict[str, Fared], since: str) -> None:
    screen = console()
    figures = ("attempts", "success", "half within", "95 % within")
    rows = table("deployment", *figures, "failures", right=figures)
    for name, fared in found.items():
        kinds = ", ".join(f"{count} {kind}" for kind, count in fared.failures.most_common())
        if fared.row >= setup.health.in_a_row:
            kinds += f"; {fared.row} in a row now"
        if fared.open:
            kinds += f"{', ' if kinds else ''}{fared.open} without an end"
        share = fared.success_share
        rows.add_row(
            name if name in setup.endpoints else f"{name} (not in the config)",
            str(fared.attempts),
            "-" if share is None else f"{share:.1%}",
            *("-" if (took := fared.duration_s(part)) is None else f"{took:.2f} s" for part in (0.5, 0.95)),
            kinds,
        )
    screen.print(f"since {since}, {NOTE}", soft_wrap=True)
    screen.print(rows)
