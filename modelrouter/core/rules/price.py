"""`price.*`, `request.cost_usd`, `request.bound`: what it costs, and how surely that is known before sending.

A price rule asks for the dearest price that can apply, at any length of prompt, hour or day and in any region: input
may be charged fresh or cached, output may be reasoning. Where a machine is paid by the hour, nobody knows what a token
costs. A price list of zeros is unknown until somebody declares it free. `request.*` rules depend on the size of one
request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.bounds import BoundBasis, Shortfall
from modelrouter.core.facts import Confidence, State, trusted
from modelrouter.core.money import format_usd, nano_from_usd
from modelrouter.core.policy import Judgement, Outcome
from modelrouter.core.price_words import price_words
from modelrouter.core.rules.base import LOW, Hearing, RuleFamily
from modelrouter.core.rules.grammar import Grammar, Limit, amount
from modelrouter.core.tariff import INPUT_CLASSES, OUTPUT_CLASSES, TokenClass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from modelrouter.core.bounds import Bound
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.subject import Subject

__all__ = ["BY_THE_HOUR", "ZERO", "PriceFamily", "RequestFamily"]

ZERO = "zero, not declared free"
BY_THE_HOUR = "paid by the machine hour, not by the token"
AMOUNT = Grammar(("max",), limit=Limit.AMOUNT)
BASES = {basis.name.lower(): basis for basis in BoundBasis}


def _per_mtok(*classes: TokenClass) -> Callable[[PriceList], Decimal]:
    return lambda price: price.dearest_usd_per_mtok(*classes)


DEAREST: Mapping[str, Callable[[PriceList], Decimal]] = {
    "price.cached_input_usd_per_mtok": _per_mtok(TokenClass.CACHED_INPUT),
    "price.input_usd_per_mtok": _per_mtok(*INPUT_CLASSES),
    "price.output_usd_per_mtok": _per_mtok(*OUTPUT_CLASSES),
    "price.reasoning_usd_per_mtok": _per_mtok(TokenClass.REASONING),
    "price.request_usd": lambda price: price.dearest_request_usd(),
}


class PriceFamily(RuleFamily):
    """Rates of the price list."""

    grammars: ClassVar[Mapping[str, Grammar]] = dict.fromkeys(DEAREST, AMOUNT)

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Compare the dearest rate of a class."""
        path = f"{hearing.name}.price"
        price = _read_price(hearing)
        if price is None:
            return
        if price.is_zero and not price.free:
            hearing.doubt(ZERO, path, f"a price for `{hearing.name}`, or `free: true`")
        if price.has_machine_hours and spec.key != "price.request_usd":
            hearing.doubt(
                BY_THE_HOUR, path, f"a price of `{hearing.name}` by the token, or a rule for request.cost_usd"
            )
        dearest, limit = DEAREST[spec.key](price), amount(spec.at_most)
        if dearest > limit:
            remedy = f"`{hearing.name}` with {spec.key} of at most {limit:f}"
            hearing.refuse(f"{dearest:f}", path, remedy)


class RequestFamily(RuleFamily):
    """The ceiling of one request, and what its bound rests on."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "request.bound": Grammar(("min",), limit=Limit.WORD, values=tuple(BASES)),
        "request.cost_usd": AMOUNT,
    }
    per_request: ClassVar[bool] = True

    def fault(self, spec: RuleSpec) -> str | None:
        """Also a ceiling that is too large for a ledger."""
        found = super().fault(spec)
        if found is not None or spec.key != "request.cost_usd":
            return found
        try:
            nano_from_usd(amount(spec.at_most))
        except ValueError as error:
            return str(error)
        return None

    def judge(self, spec: RuleSpec, subject: Subject) -> Judgement:
        """Permitted until there is a request, with the facts that any bound of this deployment will rest on."""
        hearing = Hearing(subject)
        if spec.key == "request.cost_usd":
            _read_price(hearing)
        deployment = subject.deployment
        hearing.read(f"{hearing.name}.bound_basis", deployment.bound_basis)
        if trusted(deployment.bound_basis) in {None, BoundBasis.WINDOW}:
            hearing.read(f"{hearing.name}.context_tokens", deployment.context_tokens)
        return Judgement(Outcome.PERMITTED, used=hearing.judgement().used)

    def judge_request(self, spec: RuleSpec, subject: Subject, bound: Bound | Shortfall) -> Judgement:
        """Whether one request stays within, at one deployment."""
        hearing = Hearing(subject)
        fault = self.fault(spec)
        if fault is not None:
            return Judgement(Outcome.UNKNOWN, fault, spec.key)
        if spec.key == "request.cost_usd":
            _hear_cost(hearing, nano_from_usd(amount(spec.at_most)), bound)
        else:
            _hear_basis(hearing, BASES[str(spec.at_least)], bound)
        return hearing.judgement()


def _read_price(hearing: Hearing) -> PriceList | None:
    fact = hearing.subject.deployment.price
    price = fact.value
    shown = "" if price is None else price_words(price)
    return hearing.read(f"{hearing.name}.price", fact, remedy=f"a price for `{hearing.name}`", shown=shown)


def _hear_cost(hearing: Hearing, limit: int, bound: Bound | Shortfall) -> None:
    _read_price(hearing)
    path = "request.cost_usd"
    needed = bound.needed_nano_usd if isinstance(bound, Shortfall) else bound.nano_usd
    if needed is None:
        hearing.doubt(_why(bound), f"{hearing.name}.context_tokens", f"a known context window for `{hearing.name}`")
    elif needed > limit or isinstance(bound, Shortfall):
        reason = f"needs {format_usd(needed)} of {format_usd(limit)}"
        hearing.refuse(reason, path, f"a ceiling of {format_usd(needed)}")


def _hear_basis(hearing: Hearing, least: BoundBasis, bound: Bound | Shortfall) -> None:
    path = f"{hearing.name}.bound_basis"
    fact = hearing.subject.deployment.bound_basis
    remedy = f"a bound for `{hearing.name}` that is {least.name.lower()}"
    if isinstance(bound, Shortfall):
        hearing.doubt(bound.reason, f"{hearing.name}.context_tokens", remedy)
        return
    if bound.basis is BoundBasis.WINDOW:  # rests on the window alone, whatever was written about the tokenizer
        if least > bound.basis:
            hearing.refuse("window", path, remedy)
        return
    hearing.note(path, bound.basis.name.lower(), fact.source)
    if bound.basis < least:
        hearing.refuse(bound.basis.name.lower(), path, remedy)
    elif fact.state is State.KNOWN and fact.source.confidence is Confidence.LOW:
        hearing.doubt(LOW, path, f"a better source for `{path}`")


def _why(bound: Bound | Shortfall) -> str:
    return bound.reason if isinstance(bound, Shortfall) else State.UNKNOWN.value
