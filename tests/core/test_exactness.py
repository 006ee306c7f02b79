"""Costs to the last digit: over the table of `genai_prices` beside fractions and beside its own calculator."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.money import usd_from_nano
from modelrouter.core.pricing import Usage
from tests.genai_cases import EQUAL, UNEXPLAINED, VERDICTS, cases, compared, models, modes, skipped
from tests.genai_reports import REPORTS, read
from tests.price_oracle import IN_CLASSES, OUT_CLASSES, own_rates, rate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.genai_cases import Model
    from tests.genai_reports import Report

NANO = 10**9


def verdicts_of(chosen: Iterable[Model]) -> Counter[str]:
    """How each case ends; every one of ours is what fractions give."""
    found: Counter[str] = Counter()
    for model in chosen:
        for case in cases(model, Random(model.name)):
            outcome = compared(model, case)
            assert outcome.ours == outcome.oracle, (model.name, case)
            assert outcome.verdict != UNEXPLAINED, (model.name, case, outcome)
            found[outcome.verdict] += 1
    return found


def is_known(found: Counter[str]) -> bool:
    """Whether each disagreement is one of those that are listed with who is right."""
    return found.keys() <= {EQUAL, *VERDICTS}


def test_costs_are_exact_and_each_disagreement_is_known() -> None:
    """A tenth of the table, and thousands of usages: equal to fractions, and to theirs but for known reasons."""
    chosen = [*islice(models(), 3, None, 8), *islice(modes(), 3, None, 8)]
    found = verdicts_of(chosen)
    assert is_known(found)
    assert len(chosen) > 200
    assert found.total() > 2000
    assert found[EQUAL] > found.total() * 3 // 4


@pytest.mark.long
def test_the_whole_table_is_exact() -> None:
    """Every model of the table at each of its terms of service."""
    found = verdicts_of([*models(), *modes()])
    assert is_known(found)
    assert found.keys() == {EQUAL, *VERDICTS} - {UNEXPLAINED}
    assert skipped().keys() == {"no price of tokens", "no output_mtok"}


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.what)
def test_the_same_report_costs_the_same_but_for_known_reasons(report: Report) -> None:
    """Both readers and both calculators, from what a provider sent to nano-dollars."""
    outcome = read(report)
    assert (outcome.ours == outcome.theirs) == (not report.why)
    assert outcome.settled >= outcome.ours


def test_settling_goes_by_the_larger_figure_of_an_aggregator() -> None:
    """OpenRouter says what it took; ours is kept where it took less."""
    report = next(each for each in REPORTS if each.model.startswith("openrouter/"))
    assert read(report).settled == 950_000_000 > read(report).ours


@pytest.mark.long
def test_a_million_costs_sum_exactly() -> None:
    """Whole nano-dollars add up; the sum is above the exact one by less than a nano-dollar a call."""
    lists = [each.price for each in models() if each.price.is_plain]
    chance = Random(20261122)
    booked, exact, calls = 0, Fraction(0), 1_000_000
    totals: Counter[tuple[int, str]] = Counter()
    for number in range(calls):
        place = number % len(lists)
        tokens_in, tokens_out = chance.randrange(1, 100_000), chance.randrange(1, 10_000)
        cached, reasoning = chance.randrange(tokens_in), chance.randrange(tokens_out)
        booked += lists[place].cost_nano_usd(Usage(tokens_in, tokens_out, cached, reasoning))
        totals[place, "input"] += tokens_in - cached
        totals[place, "cached_input"] += cached
        totals[place, "output"] += tokens_out - reasoning
        totals[place, "reasoning"] += reasoning
        totals[place, "request"] += 1
    for (place, name), count in totals.items():
        price = lists[place]
        if name == "request":
            exact += count * Fraction(price.request_usd) * NANO
            continue
        assert name in {*IN_CLASSES, *OUT_CLASSES}
        around = {"input": price.input_usd_per_mtok, "output": price.output_usd_per_mtok}
        exact += count * rate(own_rates(price), name, around) * NANO / 10**6
    assert 0 <= booked - exact < calls
    assert Fraction(usd_from_nano(booked)) * NANO == booked
