"""Budgets: windows by the calendar on the wall, slots that let no money go too soon, admission by a slow oracle."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.budget import (
    SCOPES,
    SLOTS,
    Balance,
    Budget,
    Position,
    Refusal,
    Spending,
    Window,
    admit,
    charges,
    period_us,
    span_us,
)
from tests.strategies import everyday

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ZONES: Final = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",  # until 2019 clocks changed at midnight, so some days began at one
    "Asia/Kolkata",  # half an hour off
    "Australia/Lord_Howe",  # moves by half an hour
    "America/New_York",
    "Pacific/Apia",  # had no 30 December 2011
)
CALENDAR: Final = (Window.DAY, Window.WEEK, Window.MONTH)


def us(text: str) -> int:
    """A moment in ISO text as microseconds."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


MOMENTS = st.integers(us("2000-01-03T00:00:00Z"), us("2037-12-01T00:00:00Z"))
AMOUNTS = st.integers(0, 1_000)


def budget(window: Window, zone: str = "UTC", *, length_s: int = 0) -> Budget:
    """A budget with a window, and nothing else of interest."""
    return Budget("b", 1_000, window, length_s, ZoneInfo(zone), zone)


def label(window: Window, zone: str, at_us: int) -> tuple[int, ...]:
    """What a person reads off a calendar on the wall of that zone: the oracle of calendar windows."""
    local = (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone))
    if window is Window.MONTH:
        return local.year, local.month
    if window is Window.WEEK:
        return tuple(local.isocalendar())[:2]
    return local.year, local.month, local.day


# --- calendar windows -------------------------------------------------------------------------------------------------


@everyday(600)
@given(st.sampled_from(CALENDAR), st.sampled_from(ZONES), MOMENTS)
def test_a_calendar_window_is_what_the_calendar_on_the_wall_says(window: Window, zone: str, at_us: int) -> None:
    """From its first microsecond to its last the calendar reads the same, and just before and after it does not."""
    start_us, end_us = period_us(budget(window, zone), at_us)
    assert end_us is not None
    assert start_us <= at_us < end_us
    here = label(window, zone, at_us)
    assert label(window, zone, start_us) == here == label(window, zone, end_us - 1)
    assert label(window, zone, start_us - 1) != here
    assert label(window, zone, end_us) != here


@everyday(300)
@given(st.sampled_from(CALENDAR), st.sampled_from(ZONES), MOMENTS)
def test_calendar_windows_follow_one_another_without_a_gap(window: Window, zone: str, at_us: int) -> None:
    """The end of one is the beginning of the next, so no moment belongs to none or to two."""
    limit = budget(window, zone)
    start_us, end_us = period_us(limit, at_us)
    assert end_us is not None
    assert period_us(limit, end_us)[0] == end_us
    assert period_us(limit, start_us - 1)[1] == start_us


@pytest.mark.parametrize(
    ("zone", "at", "start", "end"),
    [
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),  # 23 hours
        ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),  # 25 hours
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),  # begins at one
        ("America/Sao_Paulo", "2019-02-17T02:30:00Z", "2019-02-16T02:00:00Z", "2019-02-17T03:00:00Z"),  # 25 hours
        ("Australia/Lord_Howe", "2026-10-04T00:00:00Z", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"),  # 23.5 hours
        ("Asia/Kolkata", "2026-11-22T18:29:59Z", "2026-11-21T18:30:00Z", "2026-11-22T18:30:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),  # after the lost day
    ],
)
def test_days_on_which_clocks_change(zone: str, at: str, start: str, end: str) -> None:
    """Reckoned by hand: days have 23, 24, 25 or 23.5 hours, and may begin at one in the morning."""
    assert period_us(budget(Window.DAY, zone), us(at)) == (us(start), us(end))


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """Local midnight in both cases, also across a change of clocks and of the year."""
    berlin = budget(Window.WEEK, "Europe/Berlin")
    assert period_us(berlin, us("2026-03-29T21:59:59Z")) == (us("2026-03-22T23:00:00Z"), us("2026-03-29T22:00:00Z"))
    month = budget(Window.MONTH, "Europe/Berlin")
    assert period_us(month, us("2026-12-31T23:30:00Z")) == (us("2026-12-31T23:00:00Z"), us("2027-01-31T23:00:00Z"))
    assert period_us(month, us("2026-03-31T12:00:00Z")) == (us("2026-02-28T23:00:00Z"), us("2026-03-31T22:00:00Z"))


@everyday(300)
@given(st.sampled_from(ZONES), MOMENTS)
def test_an_hour_begins_when_the_minute_hand_stands_at_twelve(zone: str, at_us: int) -> None:
    """Past the hour by the clock on the wall is past the start of the window, in every zone."""
    local = (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone))
    past_us = (local.minute * 60 + local.second) * SECOND + local.microsecond
    assert period_us(budget(Window.HOUR, zone), at_us) == (at_us - past_us, at_us - past_us + HOUR)


@everyday(50)
@given(MOMENTS)
def test_a_total_never_ends(at_us: int) -> None:
    """One account from the beginning of time, and no reset."""
    assert period_us(budget(Window.TOTAL), at_us) == span_us(budget(Window.TOTAL), at_us) == (0, None)


@everyday(200)
@given(st.sampled_from([*CALENDAR, Window.HOUR]), st.sampled_from(ZONES), MOMENTS)
def test_what_counts_of_a_calendar_window_is_the_window_itself(window: Window, zone: str, at_us: int) -> None:
    """A calendar window has one account, which counts until the window is over."""
    assert span_us(budget(window, zone), at_us) == period_us(budget(window, zone), at_us)


# --- rolling windows --------------------------------------------------------------------------------------------------

LENGTHS = st.sampled_from([60, 61, 90 * 60, 24 * 3600, 7 * 24 * 3600 + 1])


@everyday(400)
@given(LENGTHS, MOMENTS, st.lists(st.tuples(st.floats(0, 1.2), AMOUNTS), max_size=20))
def test_a_slot_never_lets_money_go_too_soon(length_s: int, at_us: int, spent: list[tuple[float, int]]) -> None:
    """Whatever was spent within the length counts, and nothing that is older than the length and one slot."""
    rolling = budget(Window.ROLLING, length_s=length_s)
    length_us = length_s * SECOND
    slot_us = -(-length_us // SLOTS)
    moments = [(at_us - int(age * length_us), amount) for age, amount in spent]
    first_us, _ = span_us(rolling, at_us)
    counted = sum(amount for moment, amount in moments if period_us(rolling, moment)[0] >= first_us)
    assert counted >= sum(amount for moment, amount in moments if moment > at_us - length_us)
    assert counted <= sum(amount for moment, amount in moments if moment > at_us - length_us - slot_us)


@everyday(300)
@given(LENGTHS, MOMENTS)
def test_a_rolling_window_changes_when_it_says_so_and_not_before(length_s: int, at_us: int) -> None:
    """Until the moment that it names the same slots count; from it on the oldest is gone."""
    rolling = budget(Window.ROLLING, length_s=length_s)
    first_us, changes_us = span_us(rolling, at_us)
    assert changes_us is not None
    assert changes_us > at_us
    assert span_us(rolling, changes_us - 1)[0] == first_us
    assert span_us(rolling, changes_us)[0] == first_us + -(-length_s * SECOND // SLOTS)


@everyday(150)
@given(LENGTHS, MOMENTS, st.lists(st.tuples(st.floats(0, 0.4), AMOUNTS, st.floats(0, 1)), min_size=1, max_size=40))
def test_no_stretch_of_a_rolling_window_s_length_is_ever_over_admitted(
    length_s: int, start_us: int, asked: list[tuple[float, int, float]]
) -> None:
    """Reservations come and settle below their bounds: no stretch, wherever it begins, holds more than the limit."""
    rolling = budget(Window.ROLLING, length_s=length_s)
    length_us, at_us = length_s * SECOND, start_us
    accounts: dict[int, Balance] = {}
    spent: list[tuple[int, int]] = []
    for pause, needed, share in asked:
        at_us += int(pause * length_us)
        first_us, resets_us = span_us(rolling, at_us)
        balance = Balance()
        for period, part in accounts.items():
            balance = balance.plus(part) if period >= first_us else balance
        if admit(needed, [Position(rolling, "", balance, resets_us)]) is None:
            cost = int(needed * share)
            period = period_us(rolling, at_us)[0]
            accounts[period] = accounts.get(period, Balance()).plus(Balance(settled=cost))
            spent.append((at_us, cost))
    for end_us, _ in spent:
        within = sum(cost for moment, cost in spent if end_us - length_us < moment <= end_us)
        assert within <= rolling.limit_nano_usd


# --- admission --------------------------------------------------------------------------------------------------------

BALANCES = st.builds(Balance, AMOUNTS, AMOUNTS, AMOUNTS, st.integers(0, 50), st.integers(-50, 50))
POSITIONS = st.builds(
    Position,
    st.builds(
        Budget,
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 3_500),
        st.just(Window.TOTAL),
        wait_s=st.sampled_from([0.0, 1.0, 5.0]),
    ),
    st.just(""),
    BALANCES,
    st.none(),
)


def oracle(needed: int, positions: Sequence[Position]) -> tuple[str, int | None]:
    """Admission spelled out amount by amount: what is said, and by which position."""
    full: list[int] = []
    hopeless: list[int] = []
    for place, position in enumerate(positions):
        parts = position.balance
        left = position.budget.limit_nano_usd
        for part in (parts.settled, parts.uncertain, parts.overrun, parts.correction):
            left -= part
        if needed > left:
            hopeless.append(place)
        if needed > left - parts.reserved:
            full.append(place)
    if hopeless:
        return "exceeded", hopeless[0]
    return ("busy", full[0]) if full else ("admitted", None)


@everyday(1000)
@given(st.integers(0, 3_500), st.lists(POSITIONS, max_size=5))
def test_admission_says_what_the_slow_oracle_says(needed: int, positions: list[Position]) -> None:
    """All or none; exceeded before busy; the first of its kind is told, and the least patient sets the wait."""
    said, place = oracle(needed, positions)
    found = admit(needed, positions)
    if said == "admitted" or place is None:
        assert found is None
        assert all(each.balance.used + needed <= each.budget.limit_nano_usd for each in positions)
        return
    assert found is not None
    assert (found.position, found.needed_nano_usd, found.is_busy) == (positions[place], needed, said == "busy")
    patience = [each.budget.wait_s for each in positions if each.balance.used + needed > each.budget.limit_nano_usd]
    assert found.wait_s == (min(patience) if found.is_busy else 0.0)


@everyday(500)
@given(st.integers(0, 3_500), st.lists(POSITIONS, min_size=1, max_size=5))
def test_busy_means_that_it_would_fit_if_nothing_were_reserved(needed: int, positions: list[Position]) -> None:
    """That is the whole difference between trying again and giving up."""
    found = admit(needed, positions)
    freed = [replace(each, balance=replace(each.balance, reserved=0)) for each in positions]
    if found is not None:
        assert (admit(needed, freed) is None) == found.is_busy
    else:
        assert admit(needed, freed) is None


def test_a_balance_keeps_its_five_sums_apart() -> None:
    """Reserved is not spent; a correction may take away."""
    balance = Balance(1, 2, 4, 8, -5).plus(Balance(10, 20, 40, 80, 0))
    assert balance == Balance(11, 22, 44, 88, -5)
    assert (balance.spent, balance.used) == (116, 160)


# --- what falls under a budget ----------------------------------------------------------------------------------------

WORDS = st.sampled_from(["x", "y", "z"])
SPENDINGS = st.builds(
    Spending,
    WORDS,
    st.lists(WORDS, max_size=3).map(tuple),
    WORDS,
    WORDS,
    WORDS,
    st.dictionaries(st.sampled_from(["team", "user"]), WORDS, max_size=2),
)
NAMES = st.sampled_from([*SCOPES, "tag.team", "tag.user"])
BUDGETS = st.builds(
    Budget,
    st.sampled_from(["a", "b"]),
    st.just(1),
    st.just(Window.TOTAL),
    each=st.just("") | NAMES,
    only=st.dictionaries(NAMES, st.frozensets(WORDS | st.just(""), min_size=1), max_size=2),
)


def seen(spending: Spending) -> set[tuple[str, str]]:
    """Everything that is true of an attempt, as pairs."""
    found = {
        ("route", spending.route),
        ("deployment", spending.deployment),
        ("operator", spending.operator),
        ("developer", spending.developer),
    }
    found |= {("policy", policy) for policy in spending.policies}
    return found | {(f"tag.{tag}", spending.tags.get(tag, "")) for tag in ("team", "user")}


@everyday(500)
@given(st.lists(BUDGETS, max_size=4), SPENDINGS)
def test_an_attempt_is_charged_to_the_accounts_that_cover_it(budgets: list[Budget], spending: Spending) -> None:
    """`only` needs one value of each of its names; `each` gives one account for every value; order is kept."""
    facts = seen(spending)
    wanted: list[tuple[Budget, frozenset[str]]] = []
    for each in budgets:
        if all(any((name, value) in facts for value in values) for name, values in each.only.items()):
            scopes = {value for name, value in facts if name == each.each} if each.each else {""}
            wanted.append((each, frozenset(scopes)))
    found = charges(budgets, spending)
    assert len(found) == sum(len(scopes) for _, scopes in wanted)
    assert {scope for _, scope in found} <= {"x", "y", "z", ""}
    rest = list(found)
    for each, expected in wanted:
        mine, rest = rest[: len(expected)], rest[len(expected) :]
        assert all(one is each for one, _ in mine)
        assert {scope for _, scope in mine} == expected


def test_a_request_without_the_tag_has_an_account_of_its_own() -> None:
    """Leaving a tag out is no way past a budget that is kept apart by it."""
    per_team = Budget("team", 1, Window.DAY, each="tag.team")
    assert charges([per_team], Spending("r", (), "d", "o", "v", {})) == ((per_team, ""),)


# --- definitions ------------------------------------------------------------------------------------------------------


def test_the_definition_leaves_out_what_processes_need_not_agree_on() -> None:
    """Waiting is each process's own affair, and the zone is known by its name."""
    one = Budget("b", 5, Window.DAY, zone=ZoneInfo("Europe/Berlin"), zone_name="Europe/Berlin", wait_s=1.0)
    other = replace(one, zone=UTC, wait_s=9.0)
    assert (one.definition, one.shape) == (other.definition, other.shape)
    assert json.loads(one.definition)["limit_nano_usd"] == 5


def test_a_limit_changes_the_definition_and_not_the_shape() -> None:
    """So a raised limit keeps its accounts."""
    one = Budget("b", 5, Window.DAY)
    assert replace(one, limit_nano_usd=6).shape == one.shape
    assert replace(one, limit_nano_usd=6).definition != one.definition


@pytest.mark.parametrize(
    "change",
    [
        {"window": Window.WEEK},
        {"length_s": 60},
        {"zone_name": "Europe/Berlin"},
        {"each": "route"},
        {"only": {"route": frozenset({"r"})}},
    ],
)
def test_everything_that_moves_amounts_between_accounts_changes_the_shape(change: dict[str, object]) -> None:
    """Another window, zone, scope or cover needs accounts of its own."""
    one = Budget("b", 5, Window.DAY)
    assert replace(one, **change).shape != one.shape  # type: ignore[arg-type]  # fields by name


def test_the_order_of_what_is_covered_means_nothing() -> None:
    """Two files that list the same routes in another order agree."""
    one = Budget("b", 5, Window.DAY, only={"route": frozenset({"a", "b"}), "operator": frozenset({"o"})})
    other = Budget("b", 5, Window.DAY, only={"operator": frozenset({"o"}), "route": frozenset({"b", "a"})})
    assert one.definition == other.definition


def test_a_refusal_knows_its_position() -> None:
    """Errors are written from it alone."""
    position = Position(Budget("b", 5, Window.DAY), "", Balance(settled=4), 7)
    assert admit(2, [position]) == Refusal(position, 2, is_busy=False, wait_s=0.0)
