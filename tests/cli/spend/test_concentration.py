"""`modelrouter spend --concentration`: shares, their trend, and how far each cap is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter import Router
from modelrouter.core.attempts import Attempt, Billing
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.ports import CallRecord, Reservation, Resolution
from modelrouter.testing import FakeClock, FakeTransport, reply
from tests.ledger.builders import reserve, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.cli.command import Ran

CONFIG: Final = """modelrouter: 1
caller: {name: Acme GmbH, country: DE, parent_country: DE}
ledger: sqlite:///book.db
organisations:
  holding: {country: US, parent: none, terms: {training: never}, source: the register}
  north: {country: DE, parent: holding, terms: {training: never}, source: the register}
  south: {country: FR, parent: holding, terms: {training: never}, source: the register}
deployments:
  a: {DEPLOYMENT, operator: north}
  b: {DEPLOYMENT, operator: south}
  own: {DEPLOYMENT, operator: self, runs_on: none}
policies:
  - {policy: two, rules: {vendors.share: {max: 0.6, of: calls, window: 24h, min_volume: 4, when_alone: permit}}}
  - {policy: one, rules: {vendors.share: {max: 0.3, by: parent, window: 24h, min_volume: 1, mode: soft}}}
routes:
  ask: {try: [a, b], output_tokens: {default: 16, min: 1}}
  home: {try: [own], output_tokens: {default: 16, min: 1}}
""".replace(
    "DEPLOYMENT",
    "model: smollm2-135m-instruct, hosts: [127.0.0.1], base_url: 'http://127.0.0.1:9/v1', name: small, "
    "processing: [DE], storage: none, retention_days: 0, training: never, context_tokens: 2048, "
    "bound_basis: documented, price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}, "
    "source: {ref: platform team, checked_on: 2026-11-01, confidence: high, grade: technical}",
)


@pytest.fixture
def booked(folder: Path) -> Path:
    """Two calls at `a`, two at `b`, one at home: 42 USD a million calls, all just now."""
    (folder / "modelrouter.yaml").write_text(CONFIG, encoding="utf-8")
    lane = FakeTransport(reply("hello", input_tokens=10, output_tokens=16))
    with Router.from_config(transports={"direct": lane}) as router:
        for route in ("ask", "ask", "home", "ask", "ask"):
            router.complete(route, "Hello")
    return folder


def shares(document: Mapping[str, Any], measure: str = "spend") -> dict[str, str]:
    """Each vendor's share."""
    return {row["vendor"]: row[measure]["share"] for row in document["rows"]}


def test_shares_by_each_way_to_tell_vendors_apart(booked: Path, run: Callable[..., Ran]) -> None:
    """By operator what runs here stands beside the vendors; by country an operator counts under its owner's too."""
    document = run("spend", "--concentration", "--json").document
    assert document["by"] == "operator"
    by_calls = shares(document, "calls")
    assert sum(Decimal(share) for share in by_calls.values()) == 1
    assert by_calls == {"north": "0.4", "south": "0.4", "self": "0.2"}
    assert document["hhi"]["calls"] == 3_600
    by_parent = run("spend", "--concentration", "--by", "parent", "--json").document
    assert shares(by_parent, "tokens") == {"holding": "0.8", "self": "0.2"}
    by_country = run("spend", "--concentration", "--by", "country", "--json").document
    assert shares(by_country, "calls") == {"US": "0.8", "DE": "0.4", "FR": "0.4", "self": "0.2"}
    assert by_country["hhi"] is None
    by_developer = run("spend", "--concentration", "--by", "developer", "--json").document
    assert list(shares(by_developer).values()) == ["1"]


def test_the_distance_to_each_cap(booked: Path, run: Callable[..., Ran]) -> None:
    """By each cap's own measure and window: what a vendor has, and how much more may be reserved for it."""
    caps = {(cap["rule"], cap["vendor"]): cap for cap in run("spend", "--concentration", "--json").document["caps"]}
    north = caps["two/vendors.share", "north"]
    assert (north["settled"], north["reserved"], north["total"], north["room"]) == (2, 0, 5, 1)
    assert (north["share"], north["max"], north["is_over"], north["window"]) == ("0.4", "0.6", False, "24h")
    owner = caps["one/vendors.share", "holding"]
    assert (owner["mode"], owner["by"], owner["of"]) == ("soft", "parent", "spend")
    assert (owner["total_usd"], owner["min_volume_usd"], owner["room_usd"]) == ("0.00021", "1", "0.299832")
    assert not [vendor for _, vendor in caps if vendor == "self"], "what runs here has no cap"


def test_people_read_the_same(booked: Path, run: Callable[..., Ran]) -> None:
    """A table of shares with their trend, and one of caps; what a figure is of is said where it matters."""
    told = run("spend", "--concentration").out
    assert "north" in told
    assert "40 %" in told
    assert "caps now" in told
    assert "1 call" in told
    text = " ".join(told.split())
    assert "less than its `min_volume` is booked, so shares are of $1" in text
    assert "of 10,000, which is one vendor alone" in text


def test_the_trend_is_this_window_against_the_one_before(folder: Path, run: Callable[..., Ran]) -> None:
    """The shares of the window before stand beside those of now; where nothing was bought, nothing is said."""
    (folder / "modelrouter.yaml").write_text(CONFIG, encoding="utf-8")
    day = datetime(2026, 11, 20, 12, tzinfo=UTC)
    for number, (operator, days) in enumerate([("north", 1), ("north", 1), ("south", 1), ("north", 0), ("south", 0)]):
        _buy(folder, f"r-{number}", operator, day - timedelta(days=days))
    question = ("spend", "--concentration", "--since", "2026-11-20", "--until", "2026-11-20", "--json")
    rows = {row["vendor"]: row["calls"] for row in run(*question).document["rows"]}
    assert {name: (row["share"], row["share_before"]) for name, row in rows.items()} == {
        "north": ("0.5", "0.666667"),
        "south": ("0.5", "0.333333"),
    }
    assert "-16.7" in run(*question[:-1]).out
    earlier = run("spend", "--concentration", "--since", "2026-11-19", "--until", "2026-11-19", "--json").document
    assert {row["calls"]["share_before"] for row in earlier["rows"]} == {None}


def _buy(folder: Path, name: str, operator: str, moment: datetime) -> None:
    """One settled call at a moment of the past, as the book would have it."""
    from modelrouter.ledger.sqlite import SqliteLedger

    clock = FakeClock(moment.timestamp())
    store = SqliteLedger(folder / "book.db", clock)
    price = PriceList(Decimal(1), Decimal(2))
    most = Bound(1_000, 10, 10, BoundBasis.DOCUMENTED)
    call = CallRecord(f"c-{name}", None, "ask", {}, "{}")
    assert reserve(store, Reservation(name, call, 1, operator, operator, "small", most, price)) is None
    attempt = Attempt(1, operator, most, price, 0.0, 1.0, usage=Usage(10, 5), billing=Billing.BILLED, cost_nano_usd=900)
    assert resolve(store, Resolution(name, Billing.BILLED, 900, attempt)) is None
    store.close(5)


def test_nothing_is_booked_yet(folder: Path, run: Callable[..., Ran]) -> None:
    """Before the first call there is nothing to show, and no ledger is made for it."""
    (folder / "modelrouter.yaml").write_text(CONFIG, encoding="utf-8")
    told = run("spend", "--concentration")
    assert (told.code, told.out.startswith("nothing is booked from ")) == (0, True)
    document = run("spend", "--concentration", "--json").document
    assert (document["rows"], document["caps"]) == ([], [])
    assert not (folder / "book.db").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "model"), "`model` tells no vendors apart: write operator, developer, parent, country"),
        (("--csv",), "this means nothing with `--concentration`"),
        (("--limit", "3"), "this means nothing with `--concentration`"),
        (("--since", "2999-01-01"), "is not in the past"),
        (("--since", "soon"), "`soon` is no length and no day"),
    ],
)
def test_wrong_use(booked: Path, run: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, and one sentence."""
    told = run("spend", "--concentration", *arguments)
    assert told.code == 2
    assert words in " ".join(told.err.split())
