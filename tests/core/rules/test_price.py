"""What a call may cost: list prices, and the bound of one request."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from modelrouter.core.bounds import Bound, BoundBasis, Shortfall
from modelrouter.core.facts import Fact
from modelrouter.core.policy import Outcome
from modelrouter.core.subject import Calendar, Subject
from tests.core.rules.cases import (
    NO,
    PERMITTED,
    REFUSED,
    UNKNOWN,
    AskCase,
    Case,
    family_for,
    is_fine,
    is_senseless,
    put,
    rule,
    specs,
    table,
)
from tests.core.rules.world import CELLAR, GPT, SOURCE, TODAY, WORLD, fact, low, price

if TYPE_CHECKING:
    from modelrouter.core.facts import Deployment
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.pricing import PriceList
    from tests.core.rules.world import Given


def at_most(key: str, usd: str | int) -> RuleSpec:
    """A limit in dollars."""
    return replace(rule(key), at_most=Decimal(usd))


def costs(given: Given[PriceList]) -> Deployment:
    """A deployment at this price."""
    return replace(GPT, price=fact(given))


INPUT_2 = at_most("price.input_usd_per_mtok", "2")
CACHED = at_most("price.cached_input_usd_per_mtok", "0.5")
THINKING = at_most("price.reasoning_usd_per_mtok", "10")
OUTPUT_8 = at_most("price.output_usd_per_mtok", "8")
UNKNOWN_PRICE: Fact[PriceList] = Fact.unknown()
HIDDEN_PRICE: Fact[PriceList] = Fact.undisclosed(SOURCE)

PRICES = (
    Case(
        "an input price below the limit is permitted",
        INPUT_2,
        costs(price("1.99")),
        PERMITTED,
        used=("gpt.price",),
        turns_on=None,
    ),
    Case("an input price of exactly the limit is permitted", INPUT_2, costs(price("2")), PERMITTED),
    Case("an input price above the limit is refused", INPUT_2, costs(price("2.50")), REFUSED, "2.5"),
    Case("a price is compared exactly", INPUT_2, costs(price("2.000000001")), REFUSED, "2.000000001"),
    Case(
        "two thirds of a cent stay two thirds of a cent",
        at_most("price.input_usd_per_mtok", "0.0666"),
        costs(price("0.0667")),
        REFUSED,
        "0.0667",
    ),
    Case(
        "writing more digits changes nothing",
        at_most("price.input_usd_per_mtok", "2.000"),
        costs(price("2.0")),
        PERMITTED,
    ),
    Case("an output price of exactly the limit is permitted", OUTPUT_8, costs(price("9", "8")), PERMITTED),
    Case("an output price above the limit is refused", OUTPUT_8, costs(price("1", "8.01")), REFUSED, "8.01"),
    Case("a dear output does not matter for input", INPUT_2, costs(price("1", "100")), PERMITTED),
    Case("a dear input does not matter for output", OUTPUT_8, costs(price("100", "1")), PERMITTED),
    Case("the dearest input counts, even the cached one", INPUT_2, costs(price("1", "8", cached="3")), REFUSED, "3"),
    Case("a cheap cache does not make the input cheaper", INPUT_2, costs(price("3", "8", cached="0.1")), REFUSED, "3"),
    Case(
        "the dearest output counts, even for thinking", OUTPUT_8, costs(price("1", "8", reasoning="12")), REFUSED, "12"
    ),
    Case(
        "cheap thinking does not make the answer cheaper",
        OUTPUT_8,
        costs(price("1", "12", reasoning="2")),
        REFUSED,
        "12",
    ),
    Case("dear thinking does not matter for input", INPUT_2, costs(price("1", "8", reasoning="50")), PERMITTED),
    Case("a fee per request is no price of a token", INPUT_2, costs(price("1", "8", request="0.5")), PERMITTED),
    Case("a cached price of its own is compared", CACHED, costs(price("9", cached="0.4")), PERMITTED),
    Case("without a cached price the cache costs what input costs", CACHED, costs(price("9")), REFUSED, "9"),
    Case("a thinking price of its own is compared", THINKING, costs(price("1", "9", reasoning="11")), REFUSED, "11"),
    Case("without a thinking price thinking costs what output costs", THINKING, costs(price("1", "9")), PERMITTED),
    Case("an unknown price is unknown", INPUT_2, costs(UNKNOWN_PRICE), UNKNOWN, "unknown"),
    Case("an undisclosed price does not pass", OUTPUT_8, costs(HIDDEN_PRICE), NO, "undisclosed"),
    Case("a price of zero that nobody declared free is unknown", INPUT_2, costs(price("0", "0")), UNKNOWN),
    Case("an output price of zero that nobody declared free is unknown", OUTPUT_8, costs(price("0", "0")), UNKNOWN),
    Case("declared free is within every limit", INPUT_2, costs(price("0", "0", free=True)), PERMITTED),
    Case(
        "declared free is within a limit of nothing",
        at_most("price.input_usd_per_mtok", "0"),
        costs(price("0", "0", free=True)),
        PERMITTED,
    ),
    Case(
        "something is more than a limit of nothing",
        at_most("price.output_usd_per_mtok", "0"),
        costs(price("1", "0.01")),
        REFUSED,
        "0.01",
    ),
    Case("our own server has a price too", INPUT_2, replace(CELLAR, price=fact(price("2.1"))), REFUSED, "2.1"),
    Case("our own server must state its price", INPUT_2, replace(CELLAR, price=UNKNOWN_PRICE), UNKNOWN, "unknown"),
    Case("a price on a low source does not permit", INPUT_2, costs(low(price("1"))), NO, "low confidence"),
    Case("a price on a low source does refuse", INPUT_2, costs(low(price("3"))), REFUSED, "3"),
)

TWO_CENTS = at_most("request.cost_usd", "0.02")
PROVED = replace(rule("request.bound"), at_least="proved")
DOCUMENTED = replace(rule("request.bound"), at_least="documented")
WINDOW = replace(rule("request.bound"), at_least="window")
NO_WINDOW = Shortfall("parts that only the context window bounds, and the window is unknown")
TOO_LITTLE = Shortfall("400 output tokens do not fit under the ceiling", 31_000_000)


def up_to(nano_usd: int, basis: BoundBasis = BoundBasis.DOCUMENTED) -> Bound:
    """An attempt that can cost so much at most."""
    return Bound(nano_usd, 1_000, 400, basis)


ASKED = (
    AskCase("a bound below the limit is permitted", TWO_CENTS, up_to(19_999_999), PERMITTED),
    AskCase("a bound of exactly the limit is permitted", TWO_CENTS, up_to(20_000_000), PERMITTED),
    AskCase("one nano-dollar more is refused", TWO_CENTS, up_to(20_000_001), REFUSED, "0.020000001"),
    AskCase("a bound of nothing is permitted", TWO_CENTS, up_to(0), PERMITTED),
    AskCase(
        "a limit finer than the book is rounded down", at_most("request.cost_usd", "0.0000000019"), up_to(2), REFUSED
    ),
    AskCase(
        "a limit finer than the book still admits what is below",
        at_most("request.cost_usd", "0.0000000019"),
        up_to(1),
        PERMITTED,
    ),
    AskCase("what a bound rests on does not matter for its amount", TWO_CENTS, up_to(1, BoundBasis.WINDOW), PERMITTED),
    AskCase("without a bound nobody knows the cost", TWO_CENTS, NO_WINDOW, NO),
    AskCase("an answer that does not fit is not within the limit", TWO_CENTS, TOO_LITTLE, NO),
    AskCase("proved is at least proved", PROVED, up_to(1, BoundBasis.PROVED), PERMITTED),
    AskCase("documented is not proved", PROVED, up_to(1, BoundBasis.DOCUMENTED), REFUSED, "documented"),
    AskCase("the window is not proved", PROVED, up_to(1, BoundBasis.WINDOW), REFUSED, "window"),
    AskCase("proved is more than documented", DOCUMENTED, up_to(1, BoundBasis.PROVED), PERMITTED),
    AskCase("documented is at least documented", DOCUMENTED, up_to(1, BoundBasis.DOCUMENTED), PERMITTED),
    AskCase("the window is not documented", DOCUMENTED, up_to(1, BoundBasis.WINDOW), REFUSED, "window"),
    AskCase("proved is more than the window", WINDOW, up_to(1, BoundBasis.PROVED), PERMITTED),
    AskCase("the window is at least the window", WINDOW, up_to(1, BoundBasis.WINDOW), PERMITTED),
    AskCase("no bound is less than the window", WINDOW, NO_WINDOW, NO),
    AskCase("no bound is not documented", DOCUMENTED, NO_WINDOW, NO),
    AskCase(
        "what a bound amounts to does not matter for what it rests on",
        PROVED,
        up_to(10**15, BoundBasis.PROVED),
        PERMITTED,
    ),
)

SENSELESS = (
    rule("price.input_usd_per_mtok"),
    rule("price.input_usd_per_mtok", allow="2"),
    rule("price.output_usd_per_mtok", require=True),
    replace(INPUT_2, at_most="cheap"),
    replace(INPUT_2, at_most=Decimal(-1)),
    replace(INPUT_2, at_most=True),
    replace(INPUT_2, options={"lineage": ("derived_from",)}),
    rule("request.cost_usd"),
    replace(TWO_CENTS, at_most=Decimal("NaN")),
    replace(TWO_CENTS, at_most=Decimal("Infinity")),
    replace(rule("request.cost_usd"), at_least=Decimal(1)),
    rule("request.bound"),
    replace(PROVED, at_least="certain"),
    replace(PROVED, at_least=2),
    replace(rule("request.bound"), at_most="proved"),
)
FINE = (INPUT_2, OUTPUT_8, replace(INPUT_2, at_most=2), TWO_CENTS, PROVED, WINDOW)


@table(PRICES)
def test_price(case: Case) -> None:
    """List prices answer as the sentence says."""
    put(case)


@table(ASKED)
def test_request(case: AskCase) -> None:
    """The bound of one request answers as the sentence says."""
    subject = Subject(GPT, WORLD, Calendar(TODAY))
    family = family_for(case.rule)
    assert family.check(case.rule) is None
    judgement = family.judge_request(case.rule, subject, case.given)
    assert judgement.outcome in case.outcome, judgement
    assert case.says in judgement.reason
    assert bool(judgement.reason) is (judgement.outcome is not Outcome.PERMITTED)


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about money that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about money that means something passes."""
    is_fine(spec)
