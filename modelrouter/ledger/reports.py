"""Reports: what was spent, by any one or two groups and between any two moments; every sum is an exact integer.

An attempt belongs to the moment of its reservation, whatever became of it later. Whole hours are read from `rollups`;
what a report cuts off an hour is added up from the lines themselves, which are found by halving, because `at_us` never
falls as `seq` grows. So a report begins and ends to the microsecond and still reads no more than an hour of lines.

The caller brings a session that holds one picture of the book (`Session.snapshot`).
"""

from __future__ import annotations

import itertools
import json
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from modelrouter.errors import RequestError
from modelrouter.ledger.report_sums import (
    ADDED,
    CHANGES,
    ENDS,
    LATEST_US,
    NAMES,
    ROLLUPS,
    TAG,
    grouped,
    is_plain_tag,
    whole,
    within,
)
from modelrouter.ledger.tallies import HOUR_US
from modelrouter.ports import SpendRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import tzinfo

    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["GROUPS", "Question", "Report", "ReportRow", "Sums", "groups_of", "report", "spend"]

TIMES: Final = ("day", "hour", "month")
DAYS: Final = ("day", "month")
POLICY: Final = "policy"
GROUPS: Final = (*NAMES, POLICY, *TIMES)
"""What a report may be grouped by, beside `tag.NAME`."""

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
"""Since 1972 the offset of no zone has been anything but whole minutes, so no day begins within one."""
DAY_US: Final = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is asked for.

    Attributes:
        by: one or two of `GROUPS` and `tag.NAME`, as `groups_of` reads them; none at all gives the total alone.
        since_us: the first moment that counts, microseconds since 1970, UTC; None is the beginning of the book.
        until_us: the first that no longer counts; None is now.
        zone: whose days and months `day` and `month` are, and in which hours are written. An `hour` is one of UTC's.
    """

    by: tuple[str, ...] = ("deployment",)
    since_us: int | None = None
    until_us: int | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Sums:
    """What attempts come to. The five kinds of money are never added up silently.

    Attributes:
        calls: requests whose first reservation is among them.
        attempts: reservations.
        failures: attempts that are known to have failed.
        settled_nano_usd: what was billed, up to the bound.
        uncertain_nano_usd: bounds of attempts of which nobody knows what they cost, and of those that expired.
        reserved_nano_usd: bounds of attempts without an end.
        overrun_nano_usd: what settlements came to beyond their bound.
        correction_nano_usd: what late settlements and reconciliations changed; may be negative.
        failed_nano_usd: how much of settled, uncertain and overrun failed attempts cost.
        saved_nano_usd: what the baseline would have cost for the same usage, less what was paid; failures paid for
            are taken off, and where a dearer model than the baseline answered it is negative. An estimate.
    """

    calls: int = 0
    attempts: int = 0
    failures: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    settled_nano_usd: int = 0
    uncertain_nano_usd: int = 0
    reserved_nano_usd: int = 0
    overrun_nano_usd: int = 0
    correction_nano_usd: int = 0
    failed_nano_usd: int = 0
    saved_nano_usd: int = 0

    def plus(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    @property
    def known_nano_usd(self) -> int:
        """What attempts cost whose cost is known: settled, overrun and correction."""
        return self.settled_nano_usd + self.overrun_nano_usd + self.correction_nano_usd

    @property
    def spent_nano_usd(self) -> int:
        """All but what is reserved, as budgets count it."""
        return self.known_nano_usd + self.uncertain_nano_usd


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The sums of one group; `group` has a value for each name of `Question.by`."""

    group: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """An answer.

    Attributes:
        rows: in the order of their groups, hours in the order of time.
        total: of all attempts, each counted once. Rows by policy may come to more: an attempt counts under every
            policy that bound it.
    """

    rows: tuple[ReportRow, ...]
    total: Sums


# --- questions --------------------------------------------------------------------------------------------------------


def groups_of(text: str) -> tuple[str, ...]:
    """The groups that `route` or `route,tag.team` names.

    Raises:
        RequestError: there is no such group, one stands twice, or there are more than two.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in GROUPS and not (name.startswith(TAG) and len(name) > len(TAG)):
            raise RequestError(
                f"`{name}` is none of {', '.join(sorted(GROUPS))}, tag.NAME: there is nothing else to group by"
            )
    if len(set(names)) < len(names):
        raise RequestError(f"`{text}` names a group twice: name two that differ, or one")
    if len(names) > 2:
        raise RequestError(f"`{text}` names {len(names)} groups: name one or two")
    return names


def spend(
    session: Session, *, by: str, since_s: float | None = None, until_s: float | None = None
) -> tuple[SpendRow, ...]:
    """Totals by one group, in the order of the groups, days and months by UTC.

    Args:
        since_s: the first moment that counts, seconds since 1970.
        until_s: the first that no longer counts.

    Raises:
        RequestError: `by` is no group, or the end lies before the beginning.
        LedgerUnavailableError: the book cannot be read.
    """
    names = groups_of(by)
    if len(names) != 1:
        raise RequestError(f"`{by}` names {len(names)} groups, and rows of `spend` have one: ask for a report")
    answer = report(session, Question(names, _from_seconds(since_s), _from_seconds(until_s)))
    return tuple(_spend_row(row) for row in answer.rows)


def _from_seconds(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    return round(max(0.0, min(seconds, LATEST_US / SECOND_US)) * SECOND_US)


def _spend_row(row: ReportRow) -> SpendRow:
    sums = row.sums
    return SpendRow(
        row.group[0],
        attempts=sums.attempts,
        failures=sums.failures,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        settled_nano_usd=sums.settled_nano_usd,
        uncertain_nano_usd=sums.uncertain_nano_usd,
        reserved_nano_usd=sums.reserved_nano_usd,
        saved_nano_usd=sums.saved_nano_usd,
        calls=sums.calls,
        failed_nano_usd=sums.failed_nano_usd,
        overrun_nano_usd=sums.overrun_nano_usd,
        correction_nano_usd=sums.correction_nano_usd,
    )


# --- the answer -------------------------------------------------------------------------------------------------------


def report(session: Session, question: Question) -> Report:
    """Sums by group.

    Raises:
        RequestError: the end does not lie after the beginning, or an hour would have to be cut whose lines are in an
            archive.
        LedgerUnavailableError: the book cannot be read.
    """
    since_us, until_us = question.since_us, question.until_us
    if since_us is not None and until_us is not None and until_us <= since_us:
        raise RequestError(
            f"the report ends at {_written(until_us)}, which is not after its begin {_written(since_us)}"
        )
    keys = tuple(dict.fromkeys(_key(name) for name in question.by if name not in TIMES))
    found: dict[Row, tuple[int, ...]] = {}
    for row, sums in _read(session, question, keys):
        before = found.get(row)
        found[row] = sums if before is None else tuple(map(int.__add__, before, sums))
    return _answer(question, keys, found)


def _key(name: str) -> str:
    """The column in which the values of a group stand."""
    if name == POLICY:
        return "policies"
    return "tags" if name.startswith(TAG) and not is_plain_tag(name) else name


def _read(session: Session, question: Question, keys: tuple[str, ...]) -> Iterator[tuple[Row, tuple[int, ...]]]:
    """The sums by keys, and by moment in front of them where that is wanted; a key may come several times."""
    moments = any(name in TIMES for name in question.by)
    hour_us, minute_us = _steps(question, keys)
    first_us, end_us, edges = _hours(question)
    torn: frozenset[int] = frozenset()
    if question.zone is not UTC and any(name in DAYS for name in question.by):
        torn = _torn(session, question, first_us, end_us)
        edges = [*edges, *((torn_us, torn_us + HOUR_US) for torn_us in sorted(torn))]
    if first_us < end_us:
        where, values = within(first_us, end_us)
        for row, sums in grouped(session, ROLLUPS, keys, where, values, moments=moments, step_us=hour_us):
            if not torn or row[0] not in torn:
                yield row, sums
    lines = _Lines(session)
    for begin_us, stop_us in edges:
        span = lines.between(begin_us, stop_us)
        if span is not None:
            for source in (ENDS, CHANGES):
                where = "r.kind = 'reserve' AND r.seq >= ? AND r.seq < ?"
                yield from grouped(session, source, keys, where, span, moments=moments, step_us=minute_us)


def _steps(question: Question, keys: tuple[str, ...]) -> tuple[int, int]:
    """How finely moments must be told apart, among hours and among lines."""
    if question.zone is UTC and keys and "hour" not in question.by:
        return DAY_US, DAY_US  # fewer rows; alone, hours are read in the order of their index, which is faster still
    return HOUR_US, MINUTE_US


def _hours(question: Question) -> tuple[int, int, list[tuple[int, int]]]:
    """The first whole hour, the end of the last, and what is left of hours at either side, if anything."""
    since_us = min(max(question.since_us or 0, 0), LATEST_US)
    until_us = LATEST_US if question.until_us is None else min(max(question.until_us, 0), LATEST_US)
    first_us, end_us = -(-since_us // HOUR_US) * HOUR_US, until_us // HOUR_US * HOUR_US
    if question.until_us is None or until_us == LATEST_US:
        end_us = until_us = LATEST_US
    if end_us < first_us:  # within one hour
        return first_us, first_us, [(since_us, until_us)]
    edges = [(since_us, first_us), (end_us, until_us)]
    return first_us, end_us, [(begin_us, stop_us) for begin_us, stop_us in edges if begin_us < stop_us]


def _torn(session: Session, question: Question, first_us: int, end_us: int) -> frozenset[int]:
    """The hours in which a day of the zone begins, as where clocks are half an hour off."""
    where, values = within(first_us, end_us)
    rows = session.rows(f"SELECT DISTINCT hour_us FROM rollups WHERE {where}", values)  # noqa: S608 - ours
    hours = (whole(hour_us) for (hour_us,) in rows)
    day = _label("day", question.zone)
    return frozenset(hour_us for hour_us in hours if day(hour_us) != day(hour_us + HOUR_US - 1))


class _Lines:
    """Finds lines by their time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        states = session.rows("SELECT first_seq, seq FROM state")
        self._first, self._last = (whole(states[0][0]), whole(states[0][1])) if states else (1, 0)

    def between(self, begin_us: int, stop_us: int) -> tuple[int, int] | None:
        """The first line of a part of an hour, and the first behind it; None where nothing was reserved in that hour.

        Raises:
            RequestError: some of its lines may be in an archive.
        """
        hour_us = begin_us // HOUR_US * HOUR_US
        if not self._session.rows("SELECT 1 FROM rollups WHERE hour_us = ? LIMIT 1", (hour_us,)):
            return None
        if self._first > 1 and begin_us <= self._at_us(self._first):
            raise RequestError(
                f"lines from before {_written(self._at_us(self._first))} are in an archive, and there only whole hours "
                f"can be told apart: begin and end at whole hours of UTC, not at {_written(begin_us)}"
            )
        begin = self._after(begin_us, self._first)
        return begin, self._after(stop_us, begin)

    def _after(self, at_us: int, low: int) -> int:
        """The first line from `low` on that is not before a moment; behind the last one where all are."""
        high = self._last + 1
        while low < high:
            middle = (low + high) // 2
            if self._at_us(middle) < at_us:
                low = middle + 1
            else:
                high = middle
        return low

    def _at_us(self, seq: int) -> int:
        rows = self._session.rows("SELECT at_us FROM entries WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,))
        return whole(rows[0][0]) if rows else LATEST_US


def _answer(question: Question, keys: tuple[str, ...], found: Mapping[Row, tuple[int, ...]]) -> Report:
    """Put the raw rows into the groups that were asked for."""
    ahead = int(any(name in TIMES for name in question.by))
    readers = [_reader(name, keys, question.zone, ahead) for name in question.by]
    total: tuple[int, ...] = (0,) * len(ADDED)
    groups: dict[tuple[tuple[int, str], ...], tuple[int, ...]] = {}
    for row, sums in found.items():
        if not any(sums):
            continue  # the sum over nothing, where nothing is grouped
        total = tuple(map(int.__add__, total, sums))
        for group in itertools.product(*(read(row) for read in readers)):
            before = groups.get(group)
            groups[group] = sums if before is None else tuple(map(int.__add__, before, sums))
    rows = (
        ReportRow(tuple(name for _, name in group), Sums(*groups[group])) for group in sorted(groups) if question.by
    )
    return Report(tuple(rows), Sums(*total))


def _reader(name: str, keys: tuple[str, ...], zone: tzinfo, ahead: int) -> Callable[[Row], tuple[tuple[int, str], ...]]:
    """What takes the values of a group out of a raw row, each behind its place in time where it has one."""
    known: dict[Column, tuple[tuple[int, str], ...]] = {}
    place, values = 0, _names("")
    if name in TIMES:
        values = _times(name, zone)
    elif name in keys:
        place = keys.index(name) + ahead
    else:
        place, values = keys.index("policies" if name == POLICY else "tags") + ahead, _names(name)

    def read(row: Row) -> tuple[tuple[int, str], ...]:
        value = row[place]
        if value not in known:
            known[value] = values(value)
        return known[value]

    return read


def _times(name: str, zone: tzinfo) -> Callable[[Column], tuple[tuple[int, str], ...]]:
    label = _label(name, zone)
    if name != "hour":
        return lambda moment: ((0, label(whole(moment))),)
    return lambda moment: ((whole(moment) // HOUR_US, label(whole(moment) // HOUR_US * HOUR_US)),)


def _names(name: str) -> Callable[[Column], tuple[tuple[int, str], ...]]:
    if name == POLICY:
        return lambda text: tuple((0, str(policy)) for policy in dict.fromkeys(json.loads(str(text)))) or ((0, ""),)
    if name.startswith(TAG):
        tag = name.removeprefix(TAG)
        return lambda text: ((0, str(json.loads(str(text)).get(tag, ""))),)
    return lambda value: ((0, str(value)),)


def _label(name: str, zone: tzinfo) -> Callable[[int], str]:
    """How an hour, a day or a month is written, by one of its moments."""

    def write(at_us: int) -> str:
        local = datetime.fromtimestamp(at_us // SECOND_US, UTC).astimezone(zone)
        if name == "hour":
            return local.isoformat(timespec="minutes").replace("+00:00", "Z")
        return local.date().isoformat() if name == "day" else local.date().isoformat()[:7]

    return write


def _written(at_us: int) -> str:
    moment = datetime.fromtimestamp(min(at_us, 253_402_300_799 * SECOND_US) / SECOND_US, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
