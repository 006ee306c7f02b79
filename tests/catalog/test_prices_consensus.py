"""Several sources, one price: the rule as a table of cases, hours of the week, announced changes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.catalog.price_consensus import TOLERANCE, Agreement, consensus, found
from modelrouter.catalog.price_sheets import DAYS, Hours, Sheet, Statement, clock, minutes

TODAY = date(2026, 11, 22)
NEW_YEAR = date(2027, 1, 1)
AMOUNTS = st.integers(min_value=1, max_value=10_000).map(lambda cents: Decimal(cents) / 100)


def _amounts(*texts: str) -> list[Decimal]:
    return [Decimal(each) for each in texts]


def _rates(fresh: str, output: str, **others: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in {"input": fresh, "output": output, **others}.items()}


def _says(source: str, *sheets: Sheet, mode: str = "standard") -> Statement:
    return Statement(source, "x", {mode: sheets})


@pytest.mark.parametrize(
    ("votes", "copies", "value", "agreement"),
    [
        (["4", "4", "4"], [], "4", Agreement.AGREED),
        (["4", "4", "5"], [], "4", Agreement.AGREED),  # two of three, also against a dearer one
        (["4", "4.02", "5"], [], "4.02", Agreement.AGREED),  # within half a percent: the dearer of a tie
        (["4", "4", "4.02"], [], "4", Agreement.AGREED),  # the exact value that most name
        (["4", "4.03", "5"], [], "5", Agreement.DISPUTED),
        (["4", "5"], [], "5", Agreement.DISPUTED),
        (["4", "5", "6"], [], "6", Agreement.DISPUTED),
        (["4", "4", "5", "5"], [], "5", Agreement.DISPUTED),  # as many voices on both sides
        (["1", "1.005", "1.01"], [], "1.005", Agreement.AGREED),  # the middle has two others near it
        (["4"], [], "4", Agreement.SINGLE),
        (["0", "4"], [], "4", Agreement.SINGLE),  # zero says nothing
        (["0", "0", "0"], [], None, None),
        ([], [], None, None),
        ([], ["4"], "4", Agreement.SINGLE),  # a copy stands in for its silent original
        (["4"], ["4"], "4", Agreement.SINGLE),  # a copy confirms nothing
        (["4"], ["4.01"], "4", Agreement.SINGLE),
        (["4"], ["3"], "4", Agreement.DISPUTED),  # but it may differ
        (["4"], ["5"], "5", Agreement.DISPUTED),
        (["4", "4"], ["9"], "4", Agreement.AGREED),
    ],
)
def test_the_rule(votes: list[str], copies: list[str], value: str | None, agreement: Agreement | None) -> None:
    """Two of three within half a percent, else the dearest."""
    finding = found(_amounts(*votes), _amounts(*copies))
    said = (None, None) if finding is None else (str(finding.value), finding.agreement)
    assert said == (value, agreement)


@pytest.mark.parametrize(
    ("votes", "value", "agreement"),
    [
        (["4", "4", "8"], "8", Agreement.DISPUTED),
        (["8", "8", "8"], "8", Agreement.AGREED),
        (["8"], "8", Agreement.SINGLE),
        (["8", "4", "4", "4"], "8", Agreement.DISPUTED),
    ],
)
def test_silence_does_not_outvote_an_announcement(votes: list[str], value: str, agreement: Agreement) -> None:
    """A source that knows of no change is out of date, not of another opinion."""
    finding = found(_amounts(*votes), announced=True)
    assert finding is not None
    assert (str(finding.value), finding.agreement) == (value, agreement)


@given(votes=st.lists(AMOUNTS, min_size=1, max_size=4), copies=st.lists(AMOUNTS, max_size=2), announced=st.booleans())
def test_no_value_is_invented_and_disputes_are_dear(
    votes: list[Decimal], copies: list[Decimal], announced: bool
) -> None:
    """A value was named by somebody; where it is disputed nobody named a higher one; where agreed, two are near it."""
    finding = found(votes, copies, announced=announced)
    assert finding is not None
    assert finding.value in {*votes, *copies}
    if finding.agreement is Agreement.DISPUTED:
        assert finding.value >= max(votes)
    near = [vote for vote in votes if abs(vote - finding.value) <= TOLERANCE * max(vote, finding.value)]
    assert (finding.agreement is not Agreement.AGREED) or len(near) >= 2
    assert found(votes[::-1], copies[::-1], announced=announced) == finding


def test_each_rate_is_judged_by_itself() -> None:
    """One disputed rate does not move the others, and a class that one source knows is taken from it."""
    held = consensus(
        [
            _says("a", Sheet(_rates("1", "2", cached_input="0.1"))),
            _says("b", Sheet(_rates("1", "3", audio_input="4"))),
        ],
        TODAY,
    )["standard"][0]
    assert held.sheet.rates == _rates("1", "3", cached_input="0.1", audio_input="4")
    assert (held.agreement, held.disputed, held.single) == (
        Agreement.DISPUTED,
        ("output",),
        ("audio_input", "cached_input"),
    )


def test_a_disputed_fee_leaves_the_price_of_text_agreed() -> None:
    """Whether a search costs 0.01 or 0.025 says nothing about tokens; the rate itself is still named as disputed."""
    sheets = (Sheet(_rates("1", "2", web_search="0.01")), Sheet(_rates("1", "2", web_search="0.025")))
    held = consensus([_says(str(index), sheet) for index, sheet in enumerate(sheets)], TODAY)["standard"][0]
    assert held.sheet.rates["web_search"] == Decimal("0.025")
    assert (held.agreement, held.disputed) == (Agreement.AGREED, ("web_search",))


def test_a_source_without_a_tier_says_that_the_price_is_flat() -> None:
    """Two that know the step win; one against one is disputed, and the dearer price holds above it."""
    flat, stepped = Sheet(_rates("1", "2")), Sheet(_rates("1", "2"), ((1000, _rates("2", "3")),))
    both = consensus([_says("a", flat), _says("b", stepped), _says("c", stepped)], TODAY)["standard"][0]
    assert both.sheet.tiers == ((1000, _rates("2", "3")),)
    assert both.agreement is Agreement.AGREED
    one = consensus([_says("a", flat), _says("b", stepped)], TODAY)["standard"][0]
    assert one.sheet.tiers == ((1000, _rates("2", "3")),)
    assert one.agreement is Agreement.DISPUTED


def test_hours_are_compared_minute_by_minute() -> None:
    """One writes peaks over a low price, one writes valleys under a high one: it is the same price."""
    high, low = _rates("2", "4"), _rates("1", "2")
    everyday = tuple(sorted(DAYS))
    peaks = Sheet(low, hours=((Hours(everyday, 60, 240), Sheet(high)),))
    valleys = Sheet(high, hours=((Hours(everyday, 0, 60), Sheet(low)), (Hours(everyday, 240, 1440), Sheet(low))))
    held = consensus([_says("a", peaks), _says("b", valleys)], TODAY)["standard"][0]
    assert held.agreement is Agreement.AGREED
    assert held.sheet.rates == high
    for day in everyday:
        for minute in range(0, 1440, 30):
            assert held.sheet.at(day, minute).rates == peaks.at(day, minute).rates == valleys.at(day, minute).rates


def test_hours_in_which_sources_differ_cost_the_dearer_price() -> None:
    """Two say that weekends are cheap all day, one forgets it: two of three. With one of each, the dearer holds."""
    high, low = _rates("2", "4"), _rates("1", "2")
    weekdays = Sheet(low, hours=((Hours((1, 2, 3, 4, 5), 60, 240), Sheet(high)),))
    always = Sheet(low, hours=((Hours(tuple(sorted(DAYS)), 60, 240), Sheet(high)),))
    three = consensus([_says("a", weekdays), _says("b", weekdays), _says("c", always)], TODAY)["standard"][0]
    assert three.sheet.at(6, 120).rates == low
    two = consensus([_says("a", weekdays), _says("c", always)], TODAY)["standard"][0]
    assert two.sheet.at(6, 120).rates == high
    assert two.agreement is Agreement.DISPUTED
    assert two.sheet.at(6, 300).rates == low


def test_an_announced_change_is_held_from_its_day_on() -> None:
    """Until the day before, all agree; from then on the announced, dearer price is disputed and counts."""
    old, new = Sheet(_rates("1", "2")), Sheet(_rates("2", "4"), starts_on=NEW_YEAR)
    now, later = consensus([_says("a", old, new), _says("b", old)], TODAY)["standard"]
    assert (now.starts_on, now.ends_on, now.agreement) == (None, date(2026, 12, 31), Agreement.AGREED)
    assert (later.starts_on, later.ends_on, later.agreement) == (NEW_YEAR, None, Agreement.DISPUTED)
    assert later.sheet.rates == _rates("2", "4")


def test_a_mode_ends_where_only_the_standard_price_is_known_to_change() -> None:
    """Half of a price that doubles does not stay what it was."""
    modes = {
        "standard": (Sheet(_rates("1", "2")), Sheet(_rates("2", "4"), starts_on=NEW_YEAR)),
        "flex": (Sheet(_rates("0.5", "1")),),
    }
    held = consensus([Statement("a", "x", modes)], TODAY)
    assert [each.ends_on for each in held["flex"]] == [date(2026, 12, 31)]


def test_past_changes_are_over() -> None:
    """Of a history only what holds today is asked."""
    history = (Sheet(_rates("9", "9")), Sheet(_rates("1", "2"), starts_on=date(2026, 8, 21)))
    (held,) = consensus([_says("a", *history)], TODAY)["standard"]
    assert (held.sheet.rates, held.since) == (_rates("1", "2"), date(2026, 8, 21))


def test_no_source_no_price() -> None:
    """Zero throughout, or nothing at all, is no price in any mode."""
    assert consensus([], TODAY) == {}
    assert consensus([_says("a", Sheet(_rates("0", "0")))], TODAY) == {}
    assert consensus([_says("a", Sheet({"input": Decimal(1)}))], TODAY) == {}


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("01:05", 65), ("24:00", 1440)])
def test_times_of_day_come_back(text: str, minute: int) -> None:
    """What is written is read again."""
    assert minutes(text) == minute
    assert clock(minute) == text


@pytest.mark.parametrize("text", ["24:01", "9", "12:60", "noon"])
def test_other_texts_are_no_time(text: str) -> None:
    """A wrong hour would be a wrong price."""
    with pytest.raises(ValueError, match=r"no time of day|invalid literal"):
        minutes(text)
