"""What the same tokens would have cost elsewhere: an estimate from sums, by a price of the config or the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from modelrouter.cli.catalog.filters import offers_of
from modelrouter.core.pricing import Usage
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.config import Setup
    from modelrouter.core.pricing import PriceList
    from modelrouter.ledger.reports import Sums

__all__ = ["Comparison", "comparison", "estimate_nano_usd"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where the same tokens are priced.

    Attributes:
        found: where its price was found, for people.
    """

    model: str
    operator: str
    price: PriceList
    found: str

    @property
    def name(self) -> str:
        """Model and operator in one word."""
        return f"{self.model}@{self.operator}"


def comparison(setup: Setup, catalog: Catalog, text: str) -> Comparison:
    """The price that `MODEL` or `MODEL@OPERATOR` names: of a deployment of the config, else of an offer of the catalog.

    Raises:
        RequestError: its price is not known, or several are.
        CatalogError: there is no such model.
    """
    model, _, operator = text.partition("@")
    found = _deployed(setup, model, operator) or _offered(catalog, model, operator)
    try:
        found.price.cost_nano_usd(Usage(1, 1))
    except ValueError:
        raise RequestError(
            f"`{found.name}` is paid for by the hour of its machine, and sums of tokens say nothing of hours: compare "
            "with a model that is priced by its tokens"
        ) from None
    return found


def _deployed(setup: Setup, model: str, operator: str) -> Comparison | None:
    """By the config: a deployment of this name, or the one price of all deployments of this model."""
    deployments = setup.world.deployments
    named = [deployments[model]] if model in deployments else []
    fitting = [
        each
        for each in named or [each for each in deployments.values() if each.model == model]
        if operator in {"", each.operator} and each.price.value is not None
    ]
    prices = {each.price.value: each for each in reversed(fitting) if each.price.value is not None}
    if len(prices) > 1:
        names = ", ".join(f"`{each.id}`" for each in fitting)
        raise RequestError(f"the config has several prices for `{model}`: compare with one of {names}")
    for price, each in prices.items():
        return Comparison(each.model, each.operator, price, f"deployment `{each.id}` of the config")
    return None


def _offered(catalog: Catalog, model: str, operator: str) -> Comparison:
    """By the catalog: at the named operator, at the only one, or at the model's own developer."""
    entry = catalog.model(model)
    offers = {each.operator: found for each in offers_of(catalog, model) if (found := _offer(each, model)) is not None}
    if operator and operator not in offers:
        there = f"it is known for {', '.join(sorted(offers))}" if offers else "it is known nowhere"
        raise RequestError(f"the price of `{model}` at `{operator}` is not known: {there}")
    if not offers:
        raise RequestError(f"the price of `{model}` is not known, so there is nothing to compare with")
    developer = entry.developer.value or ""
    chosen = operator or (next(iter(offers)) if len(offers) == 1 else developer)
    if chosen not in offers:
        raise RequestError(
            f"several operators offer `{model}`: name one of {', '.join(sorted(offers))}, as `{model}@{min(offers)}`"
        )
    return offers[chosen]


def _offer(template: OperatorTemplate, model: str) -> Comparison | None:
    """The price at the default endpoint of an operator, or the dearest of those that serve the model."""
    offer = template.models[model]
    serving = [name for name in template.endpoints if offer.endpoints is None or name in offer.endpoints]
    prices = {
        name: price for name in serving if (price := template.price(template.endpoints[name], offer).value) is not None
    }
    if not prices:
        return None
    default = template.default_endpoint
    endpoint = default if default in prices else max(prices, key=lambda name: _weight(prices[name]))
    return Comparison(model, template.operator, prices[endpoint], f"the catalog, endpoint `{endpoint}`")


def _weight(price: PriceList) -> tuple[int, int]:
    return int(price.output_usd_per_mtok * 10**6), int(price.input_usd_per_mtok * 10**6)


def estimate_nano_usd(price: PriceList, sums: Sums) -> int:
    """What the tokens of a sum would come to at a price.

    The tokens of each class are spread evenly over the attempts, and each attempt is priced by itself: fees are
    counted, each is rounded up, and a price by the length of the prompt sees the mean length. Hours of the day count
    at the dearest. Tokens of attempts that reported none, sound, images and tools are not in the sums.
    """
    written, cached = sums.cache_write_tokens, sums.cached_input_tokens
    fresh = max(sums.input_tokens - cached - written, 0)
    plain = max(sums.output_tokens - sums.reasoning_tokens, 0)
    totals = (fresh, cached, written, plain, sums.reasoning_tokens)
    if not any(totals):
        return 0
    count = max(sums.attempts - sums.failures, 1)
    shares = [divmod(total, count) for total in totals]
    cuts = sorted({0, count, *(rest for _, rest in shares)})
    return sum(
        (stop - begin) * price.cost_nano_usd(_usage([each + (begin < rest) for each, rest in shares]))
        for begin, stop in pairwise(cuts)
    )


def _usage(counts: Sequence[int]) -> Usage:
    fresh, cached, written, plain, reasoning = counts
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=plain + reasoning,
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
        cache_write_tokens=written,
    )
