"""Shares, their index and the room under caps: the same figures as `spend --concentration`, as of the last line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter import Router
from modelrouter.testing import FakeClock, FakeTransport, reply
from tests.cli.audit.packs import contents, rows
from tests.cli.spend.test_concentration import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

QUARTER: Final = ("--period", "2020-Q4", "--on", "2020-12-31")
ROUTES: Final = ("ask", "ask", "home", "ask", "ask")


@pytest.fixture
def booked(folder: Path) -> Path:
    """A call at home in September; three at `a`, one at `b` and one at home within an hour of October."""
    (folder / "modelrouter.yaml").write_text(CONFIG, encoding="utf-8")
    clock = FakeClock(datetime(2020, 9, 30, 12, tzinfo=UTC).timestamp())
    lane = FakeTransport(reply("hello", input_tokens=10, output_tokens=16))
    with Router.from_config(transports={"direct": lane}, clock=clock) as router:
        router.complete("home", "Hello")
        clock.move(86_400.0)
        for route in ROUTES:
            router.complete(route, "Hello")
            clock.move(60.0)
    return folder


def test_shares_are_those_of_the_spend_command(booked: Path, run: Callable[..., Ran]) -> None:
    """By each way to tell vendors apart; countries count for owners too, without an index; before is what was."""
    run("audit", *QUARTER, "--out", "pack")
    found = rows(booked / "pack", "shares")
    span = ("--since", "2020-10-01", "--until", "2020-12-31")
    for by in ("operator", "developer", "parent", "country"):
        document = run("spend", "--concentration", "--by", by, *span, "--json").document
        ours = [row for row in found if row["by"] == by]
        assert [(row["name"], row["spend_usd"], row["attempts_share"], row["tokens"]) for row in ours] == [
            (row["vendor"], row["spend"]["booked_usd"], row["calls"]["share"], str(row["tokens"]["booked"]))
            for row in document["rows"]
        ]
        index = document["hhi"] or {"spend": "", "calls": "", "tokens": ""}
        for column, measure in (("spend", "spend"), ("attempts", "calls"), ("tokens", "tokens")):
            assert {row[f"hhi_of_{column}"] for row in ours} == {str(index[measure])}
    operators = {row["name"]: row for row in found if row["by"] == "operator"}
    assert {name: row["attempts_share_before"] for name, row in operators.items()} == {
        "north": "0",
        "south": "0",
        "self": "1",
    }
    assert operators["self"]["hhi_of_attempts"] == "4400"


def test_the_room_under_each_cap_is_that_of_the_last_line(booked: Path, run: Callable[..., Ran]) -> None:
    """However long ago that was: a window of a day ends there, not at the moment when the pack is made."""
    run("audit", *QUARTER, "--out", "pack")
    caps = {(row["rule"], row["vendor"]): row for row in rows(booked / "pack", "share_caps")}
    north = caps["two/vendors.share", "north"]
    assert (north["mode"], north["by"], north["window"], north["unit"]) == ("hard", "operator", "24h", "calls")
    assert (north["settled"], north["reserved"], north["of"], north["is_minimum"]) == ("3", "0", "6", "")
    assert (north["cap"], north["share"], north["room"], north["is_over"]) == ("0.6", "0.5", "0", "")
    owner = caps["one/vendors.share", "holding"]
    assert (owner["mode"], owner["unit"], owner["of"], owner["is_minimum"]) == ("soft", "usd", "1", "yes")
    page = (booked / "pack" / "README.md").read_text(encoding="utf-8")
    assert "Every vendor is within each cap on its share" in page


def test_a_vendor_over_its_cap_is_on_the_first_page(booked: Path, run: Callable[..., Ran]) -> None:
    """Under a cap that was lowered since, with the room below 0; and made again, the pack has the same bytes."""
    config = booked / "modelrouter.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("max: 0.6", "max: 0.2"), encoding="utf-8")
    for name in ("one", "two"):
        assert run("audit", *QUARTER, "--out", name).code == 0
    over = [row for row in rows(booked / "one", "share_caps") if row["is_over"]]
    assert [(row["vendor"], row["room"]) for row in over] == [("north", "-2")]
    page = (booked / "one" / "README.md").read_text(encoding="utf-8")
    assert "**Vendors over a cap on their share: `north (two/vendors.share)`**" in page
    assert contents(booked / "one") == contents(booked / "two")
