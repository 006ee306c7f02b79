"""Share caps: the rule by a truth table and in exact fractions, the tally by a slow oracle, and what is said."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.share_tally import Tally
from modelrouter.core.shares import (
    HOUR_US,
    Holding,
    Measure,
    ShareCap,
    ShareDemand,
    ShareMode,
    ShareRefusal,
    admit_share,
    cap_text,
    first_hour_us,
    length_text,
    percent,
    share_refusal_text,
    units_of,
    units_text,
)
from tests.strategies import everyday

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON_US: Final = 500_000 * HOUR_US + 1_234_567
WHOLE: Final = 2**53


def demand(
    most: Fraction = Fraction(3, 5),
    least: int = 100,
    *,
    of: Measure = Measure.SPEND,
    by: str = "operator",
    window_h: int = 24,
    members: frozenset[str] = frozenset({"azure"}),
) -> ShareDemand:
    """A cap asked of a vendor."""
    cap = ShareCap(
        "two/vendors.share", most.numerator, most.denominator, of, by, window_h * 3_600, least, ShareMode.HARD
    )
    return ShareDemand(cap, "azure", members)


@pytest.mark.parametrize(
    ("settled", "reserved", "total", "needed", "granted"),
    [
        (0, 0, 0, 60, True),  # of the least volume
        (0, 0, 0, 61, False),
        (0, 0, 99, 61, False),
        (60, 0, 60, 0, True),  # nothing is asked for
        (60, 0, 60, 1, False),  # alone: it has all there is, and the least volume is used
        (0, 60, 0, 1, False),  # pending counts like settled
        (30, 30, 100, 0, True),
        (30, 30, 100, 1, False),
        (30, 30, 102, 1, True),  # 61 of 61.2
        (60, 0, 1_000, 540, True),
        (60, 0, 1_000, 541, False),
        (600, 0, 1_000, 1, False),
        (700, 0, 1_000, 0, False),  # over already, by an overrun or another cap
        (-5, 0, 0, 65, True),  # a correction may leave less than nothing
    ],
)
def test_the_rule(settled: int, reserved: int, total: int, needed: int, granted: bool) -> None:
    """Settled, reserved and needed of a vendor against 60 % of the larger of 100 and all that is settled."""
    held = Holding(settled, reserved, total)
    refusal = admit_share(demand(), needed, held)
    assert refusal == (None if granted else ShareRefusal(demand(), held, needed))


@everyday(200)
@given(
    most=st.fractions(min_value=Fraction(1, 1000), max_value=Fraction(999, 1000), max_denominator=10**6),
    least=st.integers(1, WHOLE),
    held=st.tuples(st.integers(-WHOLE, WHOLE), st.integers(0, WHOLE), st.integers(-WHOLE, WHOLE)),
    needed=st.integers(0, WHOLE),
)
def test_the_rule_is_exact(most: Fraction, least: int, held: tuple[int, int, int], needed: int) -> None:
    """The rule as the design has it, in fractions: the same answer for every amount that a book can hold."""
    settled, reserved, total = held
    allowed = settled + reserved + needed <= most * max(least, total)
    assert (admit_share(demand(most, least), needed, Holding(*held)) is None) is allowed


def test_one_nano_dollar_decides() -> None:
    """A third of a sum that three does not divide is no float: the last nano-dollar decides."""
    total = 3 * 10**15 + 1
    third = demand(Fraction(1, 3), 1)
    assert admit_share(third, 1, Holding(10**15 - 1, 0, total)) is None
    assert admit_share(third, 2, Holding(10**15 - 1, 0, total)) is not None


def test_what_an_attempt_adds_at_most() -> None:
    """Its bound, one call, or all tokens that it may use."""
    most = Bound(777, 120, 400, BoundBasis.DOCUMENTED)
    assert [units_of(measure, most) for measure in Measure] == [777, 1, 520]


# --- the tally --------------------------------------------------------------------------------------------------------

Change = tuple[int, str, str, tuple[int, ...]]
changes = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.sampled_from("xy"), st.tuples(*[st.integers(-9, 99)] * 6)),
    max_size=30,
)


def slow(found: Sequence[Change], asked: ShareDemand, hour: int) -> Holding:
    """The sums of all changes whose hour lies in the window, one by one."""
    place = 2 * list(Measure).index(asked.cap.of)
    inside = [each for each in found if each[0] >= hour - asked.cap.window_s // 3_600]
    own = [each for each in inside if each[2 if asked.cap.by == "developer" else 1] in asked.members]
    settled, reserved = (sum(each[3][at] for each in own) for at in (place, place + 1))
    return Holding(settled, reserved, sum(each[3][place] for each in inside))


@everyday(150)
@given(
    found=changes,
    asked=st.lists(
        st.tuples(
            st.integers(0, 30),
            st.sampled_from(list(Measure)),
            st.sampled_from(["operator", "developer", "parent"]),
            st.integers(1, 30),
            st.frozensets(st.sampled_from("abcxy")),
        ),
        max_size=12,
    ),
)
def test_a_tally_is_what_adding_up_gives(
    found: list[Change], asked: list[tuple[int, Measure, str, int, frozenset[str]]]
) -> None:
    """However changes and questions alternate, while hours go by, every window has the sums of its own hours."""
    tally, hour, told = Tally(30 * 3_600), 0, list[Change]()
    last = (30, Measure.SPEND, "operator", 30, frozenset("a"))
    for number, (later, measure, by, window_h, members) in enumerate([*asked, last]):
        for change in found[number::13]:
            tally.add(change[0] * HOUR_US, (change[1], change[2]), change[3])
            told.append(change)
        hour = max(hour, later)
        wanted = demand(of=measure, by=by, window_h=window_h, members=members)
        assert tally.holding(wanted, hour * HOUR_US + 7) == slow(told, wanted, hour)


def test_an_hour_counts_until_its_last_microsecond_has_left_the_window() -> None:
    """The window of an hour, seen from the last and from the first microsecond of an hour."""
    hour_us = NOON_US // HOUR_US * HOUR_US
    assert first_hour_us(3_600, hour_us) == hour_us - HOUR_US
    assert first_hour_us(3_600, hour_us - 1) == hour_us - 2 * HOUR_US


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (3, 5, "60 %"),
        (1, 3, "33.3 %"),
        (2, 3, "66.7 %"),
        (1, 1, "100 %"),
        (0, 7, "0 %"),
        (5, 0, "0 %"),
        (3, 1, "300 %"),
        (1, 2_001, "0 %"),
    ],
)
def test_shares_in_words(part: int, whole: int, text: str) -> None:
    """To a tenth, rounded by whole numbers; of nothing there is no share."""
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("window_s", "text"), [(3_600, "1h"), (86_400, "24h"), (172_800, "2d"), (30 * 86_400, "30d"), (90_000, "25h")]
)
def test_windows_in_words(window_s: int, text: str) -> None:
    """As a config has them."""
    assert length_text(window_s) == text


def test_amounts_in_words() -> None:
    """Dollars, calls and tokens, one of them without its `s`."""
    assert units_text(Measure.SPEND, 1_500_000_000) == "$1.5"
    assert [units_text(Measure.CALLS, count) for count in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
    assert units_text(Measure.TOKENS, 1_200) == "1200 tokens"


def test_a_cap_and_a_refusal_in_words() -> None:
    """Rule, vendor, share now, cap and window; the least volume only where it is what counts."""
    by_calls = demand(of=Measure.CALLS, least=10)
    assert cap_text(by_calls.cap) == "at most 60 % of calls by operator over 24h"
    assert share_refusal_text(ShareRefusal(by_calls, Holding(6, 1, 8), 1)) == (
        "`two/vendors.share` caps operator `azure` at 60 % of calls over 24h, and this call could bring it to 80 %: "
        "6 calls booked (75 %), 1 call held by calls under way, 1 call needed, of 8 calls in all, counted as 10 calls; "
        "use other vendors, or raise its `max` or `min_volume`"
    )
    assert "counted as" not in share_refusal_text(ShareRefusal(by_calls, Holding(60, 1, 100), 1))
