"""The maintainer's command that writes the shipped prices: `python -m modelrouter.catalog.refresh_prices`.

It needs the packages `genai-prices`, `model-prices` and `litellm` in the versions that `price_mapping.yaml` was
reviewed for, reads them as data, and writes `prices.json` with its hash, `prices.sha256`, beside this file. `--check`
writes nothing and says whether what is there is what would be written. The same data on the same day give the same
bytes. No network is used. Afterwards a person reads the difference line by line: an offer is one line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.price_consensus import consensus
from modelrouter.catalog.price_sheets import RATES, Sheet, Statement, clock
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.catalog.price_consensus import Held
    from modelrouter.catalog.price_sheets import Hours
    from modelrouter.catalog.price_sources import PriceSource

__all__ = ["FORMAT", "Mapped", "mapped_offers", "render", "snapshot"]

FORMAT: Final = 1
HERE: Final = Path(__file__).parent
MAPPING: Final = "price_mapping.yaml"
CATALOG: Final = "catalog"
AT: Final = "at"
"""In the mapping of an offer: endpoints that have a list of their own, each with its ids."""
USD: Final = "USD"
Document = dict[str, Any]


class Mapped:
    """One offer, or one at an endpoint with a list of its own, with what the mapping says about it.

    Attributes:
        offer: `operator/model`, or `operator/model@endpoint`, by the ids of the catalog.
        refs: by source, the source's own id.
        unpriced: why no source is asked; empty where one is.
    """

    __slots__ = ("billed_at", "currency", "ignore", "modes", "offer", "refs", "unpriced")

    def __init__(self, offer: str, operator: Document, refs: Mapping[str, str]) -> None:
        self.offer = offer
        self.refs = refs
        self.unpriced: str = operator.get("unpriced", "")
        self.currency: Mapping[str, str] = operator.get("currency", {})
        self.modes: Mapping[str, Mapping[str, str]] = operator.get("modes", {})
        self.billed_at: str = operator.get("billed_at", "start")
        self.ignore = frozenset(operator.get("ignore", {}))


def mapped_offers(mapping: Document, offered: Mapping[str, Sequence[str]]) -> list[Mapped]:
    """Every offer of the catalog, in order, with its part of the mapping.

    Args:
        mapping: the reviewed file. `at` of an offer names endpoints where it costs what a source says of that endpoint.
        offered: models by operator, as the catalog has them.

    Raises:
        ValueError: an offer that the mapping does not mention, or one that the catalog does not have.
    """
    operators = mapping["operators"]
    wrong = [f"`{name}` is in the mapping, not in the catalog" for name in operators if name not in offered]
    found = []
    for name, models in sorted(offered.items()):
        operator = operators.get(name)
        if operator is None:
            wrong.append(f"`{name}` is missing in the mapping: add it, or say why it is `unpriced`")
            continue
        listed = operator.get("models", {})
        wrong.extend(
            f"`{name}/{model}` is in the mapping, not in the catalog" for model in listed if model not in models
        )
        for model in sorted(models):
            if model not in listed and "unpriced" not in operator:
                wrong.append(f"`{name}/{model}` is missing in the mapping: add its ids, or say why it is `unpriced`")
            entry = {key: value for key, value in listed.get(model, {}).items() if key != AT}
            reason = {"unpriced": entry["unpriced"]} if "unpriced" in entry else {}
            found.append(
                Mapped(f"{name}/{model}", {**operator, **reason}, {k: v for k, v in entry.items() if not reason})
            )
            found.extend(
                Mapped(f"{name}/{model}@{endpoint}", operator, refs)
                for endpoint, refs in sorted(listed.get(model, {}).get(AT, {}).items())
            )
    if wrong:
        raise ValueError("\n".join(wrong))
    return found


def snapshot(
    mapping: Document, operators: Mapping[str, Document], sources: Sequence[PriceSource], checked_on: date
) -> Document:
    """All that is known of every offer, ready to be written.

    Args:
        mapping: the reviewed file.
        operators: the operators' files, by id.
        sources: in the order in which they are shown.
        checked_on: the day on which they are read.

    Raises:
        ValueError: the mapping does not fit the catalog, or names an id that a source does not have.
    """
    offered = {name: list(document.get("models", {})) for name, document in operators.items()}
    offers: Document = {}
    unpriced = {name: each["unpriced"] for name, each in sorted(mapping["operators"].items()) if "unpriced" in each}
    for mapped in mapped_offers(mapping, offered):
        name, _, served = mapped.offer.partition("/")
        model, _, endpoint = served.partition("@")
        if endpoint and endpoint not in operators[name].get("endpoints", {}):
            raise ValueError(f"`{mapped.offer}` is in the mapping, and `{name}` has no endpoint `{endpoint}`")
        if mapped.unpriced and name not in unpriced:
            offers[mapped.offer] = {"unpriced": mapped.unpriced}
        elif not mapped.unpriced:
            written = {} if endpoint else operators[name]["models"][model] or {}
            copies = _written(written, mapping["copies"], checked_on)
            offers[mapped.offer] = _offer(mapped, sources, copies, checked_on)
    described = {
        each.name: {**mapping["sources"][each.name], "sha256": each.sha256, "version": each.version} for each in sources
    }
    head = {"format": FORMAT, "checked_on": checked_on.isoformat(), "sources": described, "unpriced": unpriced}
    return {**head, "offers": offers}


def _offer(
    mapped: Mapped, sources: Sequence[PriceSource], written: tuple[list[Statement], list[Statement]], day: date
) -> Document:
    statements = [_statement(mapped, source) for source in sources if source.name in mapped.refs]
    own, copies = written
    statements.extend(own)
    currency = next((each.currency for each in statements if each.currency == USD), statements[0].currency)
    voting = [each for each in statements if each.currency == currency]
    held = consensus(voting, day, copies if currency == USD else [])
    if "standard" not in held:
        raise ValueError(f"no source names a price for `{mapped.offer}`: list it as `unpriced` with the reason")
    billed_at = {} if mapped.billed_at == "start" else {"billed_at": mapped.billed_at}
    return {
        **billed_at,
        "currency": currency,
        "modes": {mode: [_held(each) for each in periods] for mode, periods in held.items()},
        "stated": [
            *(_stated(each, day) for each in statements),
            *({**_stated(each, day), "copy": True} for each in copies),
        ],
    }


def _statement(mapped: Mapped, source: PriceSource) -> Statement:
    ref = mapped.refs[source.name]
    found = source.statement(ref, mapped.modes.get(source.name, {}))
    if found is None:
        raise ValueError(f"`{mapped.offer}`: {source.name} {source.version} has no `{ref}`: correct the mapping")
    modes = {mode: tuple(each.without(mapped.ignore) for each in sheets) for mode, sheets in found.modes.items()}
    return Statement(source.name, ref, modes, found.url, mapped.currency.get(source.name, USD))


def _written(offer: Document, copied_from: Sequence[str], checked_on: date) -> tuple[list[Statement], list[Statement]]:
    """The price that stands in the operator's own file: as a voice of its own, or as a copy of another's."""
    price = offer.get("price")
    if not isinstance(price, Mapping):
        return [], []
    rates = {name: Decimal(str(price[f"{name}_usd_per_mtok"])) for name in RATES if f"{name}_usd_per_mtok" in price}
    source = price.get("source", offer.get("source", ""))
    ref = source["ref"] if isinstance(source, Mapping) else str(source)
    day = source.get("checked_on", checked_on) if isinstance(source, Mapping) else checked_on
    found = Statement(CATALOG, ref, {"standard": (Sheet(rates),)}, f"checked on {day}")
    return ([], [found]) if ref.startswith(tuple(copied_from)) else ([found], [])


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _held(held: Held) -> Document:
    days = {"starts_on": held.starts_on, "ends_on": held.ends_on, "since": held.since}
    found: Document = {name: day.isoformat() for name, day in days.items() if day is not None}
    found["agreement"] = held.agreement.value
    lists = {"disputed": list(held.disputed), "single": list(held.single)}
    found.update({name: rates for name, rates in lists.items() if rates})
    return {**found, **_sheet(held.sheet)}


def _stated(statement: Statement, day: date) -> Document:
    modes = {}
    for mode, sheets in statement.modes.items():
        now, later = statement.on(mode, day), [each for each in sheets if each.starts_on and each.starts_on > day]
        kept = [each for each in (now, *later) if each is not None]
        if kept:
            modes[mode] = [
                {**({"starts_on": each.starts_on.isoformat()} if each.starts_on else {}), **_sheet(each)}
                for each in kept
            ]
    found = {"source": statement.source, "ref": statement.ref, "url": statement.url, "modes": modes}
    return {**found, "currency": statement.currency} if statement.currency != USD else found


def _sheet(sheet: Sheet) -> Document:
    found: Document = {"rates": _amounts(sheet.rates)}
    if sheet.tiers:
        found["tiers"] = [{"above": above, "rates": _amounts(rates)} for above, rates in sheet.tiers]
    if sheet.hours:
        found["hours"] = [{**_hours(hours), **_sheet(there)} for hours, there in sheet.hours]
    return found


def _hours(hours: Hours) -> Document:
    return {"days": list(hours.days), "from": clock(hours.start), "until": clock(hours.end)}


def _amounts(rates: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: f"{rate:f}" for name, rate in sorted(rates.items()) if rate > 0}


def render(document: Document) -> bytes:
    """The file: one line for what it rests on, one for each offer, so that a difference can be read."""

    def line(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    head = {key: value for key, value in document.items() if key != "offers"}
    lines = [f'"{name}":{line(value)}' for name, value in sorted(document["offers"].items())]
    return (line(head)[:-1] + ',"offers":{\n' + ",\n".join(lines) + "\n}}\n").encode()


# --- the command ------------------------------------------------------------------------------------------------------


def _operators(folder: Path) -> Iterator[tuple[str, Document]]:
    for file in sorted((folder / "operators").glob("*.yaml")):
        document = parse(file.read_text(encoding="utf-8"), file.name).value
        if isinstance(document, dict):
            yield file.stem, dict(document)


def read_mapping(folder: Path = HERE) -> Document:
    """The reviewed mapping."""
    value = parse((folder / MAPPING).read_text(encoding="utf-8"), MAPPING).value
    if not isinstance(value, dict):
        raise TypeError(f"`{MAPPING}` is no mapping")
    return dict(value)


def _check_versions(mapping: Document, sources: Sequence[PriceSource]) -> None:
    for source in sources:
        reviewed = str(mapping["sources"][source.name]["version"])
        if reviewed != source.version:
            raise ValueError(
                f"{source.name} {source.version} is installed, `{MAPPING}` was reviewed for {reviewed}: review it, "
                "then write the new version there"
            )


def build(checked_on: date, folder: Path = HERE) -> bytes:
    """The snapshot of what is installed.

    Raises:
        ValueError: the mapping was reviewed for other versions, or does not fit.
    """
    from modelrouter.catalog.price_sources import installed_sources

    mapping, sources = read_mapping(folder), installed_sources()
    _check_versions(mapping, sources)
    return render(snapshot(mapping, dict(_operators(folder)), sources, checked_on))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the snapshot, or compare it; 0 good, 1 it differs, 2 it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m modelrouter.catalog.refresh_prices", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the files would change")
    parser.add_argument("--checked-on", type=date.fromisoformat, help="the day of the look; without it, today's")
    given = parser.parse_args(arguments)
    target, hashed = HERE / "prices.json", HERE / "prices.sha256"
    day = given.checked_on
    if day is None and given.check:
        day = date.fromisoformat(json.loads(target.read_bytes())["checked_on"])
    try:
        raw = build(day or date.today())  # noqa: DTZ011 - the maintainer's own day
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sums = f"{hashlib.sha256(raw).hexdigest()}  {target.name}\n"
    if given.check:
        same = target.read_bytes() == raw and hashed.read_text() == sums
        sys.stdout.write("as it stands\n" if same else "prices.json would change: run this without --check\n")
        return 0 if same else 1
    target.write_bytes(raw)
    hashed.write_text(sums)
    sys.stdout.write(f"{target.name}: {len(raw)} bytes, {sums[:64]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
