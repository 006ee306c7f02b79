"""Facts as documents and as words: each with its state, its value and its source."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from modelrouter.cli.decisions import source_document, source_words
from modelrouter.core.facts import Condition, Listing, Standing, State
from modelrouter.core.pricing import PriceList
from modelrouter.core.tariff import RATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from modelrouter.catalog.templates import EndpointTemplate
    from modelrouter.core.facts import Fact, Terms

__all__ = [
    "Sources", "fact_document", "fact_words", "price_document", "price_words", "show_facts", "terms_of",
    "uplift_words",
]  # fmt: skip

Document = dict[str, Any]


def fact_document(fact: Fact[Any]) -> Document:
    """A fact for programs: `value` and `source` are None where there is none."""
    return {
        "state": fact.state.value,
        "value": None if fact.value is None else _plain(fact.value),
        "source": None if fact.state is State.UNKNOWN else source_document(fact.source),
    }


def _plain(value: object) -> object:
    """A value as JSON holds it; amounts as text."""
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value.value, int) else value.value
    if isinstance(value, PriceList):
        return price_document(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, (Listing, Standing)):
        named = {"list": value.list_id} if isinstance(value, Listing) else {"model": value.model}
        return {**named, "since": _plain(value.since), "until": _plain(value.until)}
    if isinstance(value, Condition):
        return {
            "kind": value.kind.value,
            "text": value.text,
            "metric": value.metric,
            "more_than": value.value,
            "territory": sorted(value.territory),
        }
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def price_document(price: PriceList) -> Document:
    """A price list, amounts in USD as text, None where a rate is that of its class; `list` is all of it, as booked."""
    rates = {name: getattr(price, name) for name in (*RATE_NAMES, "request_usd", "machine_hour_usd")}
    return {
        **{name: None if rate is None else f"{rate:f}" for name, rate in rates.items()},
        "free": price.free,
        "disputed": price.disputed,
        "mode": price.mode.value,
        "digest": price.digest,
        "list": json.loads(price.to_text()),
    }


def price_words(fact: Fact[PriceList]) -> str:
    """Input and output price of a million tokens, as `$0.5 in, $1.5 out`."""
    price = fact.value
    if price is None:
        return f"price {fact.state.value}"
    if price.free:
        return "free"
    if price.machine_hour_usd is not None and not price.output_usd_per_mtok:
        return f"${price.machine_hour_usd:f} per machine hour"
    disputed = ", disputed" if price.reference is not None and price.reference.disputed else ""
    return f"${price.input_usd_per_mtok:f} in, ${price.output_usd_per_mtok:f} out{disputed}"


def uplift_words(endpoint: EndpointTemplate) -> str:
    """What an endpoint adds to list prices, to stand behind its name; empty where it adds nothing."""
    if endpoint.price_uplift is None:
        return ", prices of its own"
    return "" if endpoint.price_uplift == 1 else f", prices x{endpoint.price_uplift:f}"


def fact_words(fact: Fact[Any]) -> str:
    """A fact's value for people."""
    if fact.value is None:
        return fact.state.value
    if isinstance(fact.value, PriceList):
        return price_words(fact)
    plain = _plain(fact.value)
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, list):
        return ", ".join(_item_words(item) for item in plain) or "none"
    return str(plain)


def _item_words(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    if "model" in item:
        return f"{item['model']} since {item['since'] or 'an unknown day'}" + (
            f" until {item['until']}" if item["until"] else ""
        )
    if "list" in item:
        return f"{item['list']} since {item['since'] or 'an unknown day'}"
    return f"{item['kind']}: {item['text']}"


def terms_of(terms: Terms) -> dict[str, Fact[Any]]:
    """Data terms by their names."""
    return {
        "processing": terms.processing,
        "storage": terms.storage,
        "training": terms.training,
        "retention_days": terms.retention_days,
    }


class Sources:
    """The sources of what is shown, each once: facts carry a number, the numbers are told at the end."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, fact: Fact[Any]) -> str:
        """The number of a fact's source, as ` [2]`; empty where it has none."""
        if fact.state is State.UNKNOWN:
            return ""
        words = f"{source_words(fact.source)}, {fact.source.grade.value}"
        return f" [{self._numbers.setdefault(words, len(self._numbers) + 1)}]"

    def said(self, fact: Fact[Any]) -> str:
        """A fact in words, with the number of its source."""
        return fact_words(fact) + self.mark(fact)

    def show(self, screen: Console) -> None:
        """The sources by their numbers."""
        from rich.table import Table

        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", no_wrap=True, style="dim")
        grid.add_column(overflow="fold", style="dim")
        for words, number in self._numbers.items():
            grid.add_row(f"[{number}]", words)
        screen.print(grid)


def show_facts(screen: Console, facts: Mapping[str, Fact[Any]], sources: Sources) -> None:
    """Each fact on a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, fact in facts.items():
        grid.add_row(f"  {name.replace('_', ' ')}", sources.said(fact))
    screen.print(grid)
