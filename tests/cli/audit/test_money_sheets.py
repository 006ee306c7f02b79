"""What failed, what was spent, and which budgets limit it, whether or not anybody spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from modelrouter import Router
from modelrouter.testing import FakeClock, FakeTransport, failure, reply
from tests.cli.audit.packs import rows
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from modelrouter.testing import Script
    from tests.cli.command import Ran

QUARTER: Final = ("--period", "2020-Q4", "--on", "2020-12-31")
BUDGETS: Final = """\
budgets:
  all: {usd: 10, window: total}
  team: {usd: 5, window: day, each: tag.team}
  closed: {usd: 3, window: month, only: {route: [closed]}}
"""


def test_what_failed_and_what_was_spent(folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures by kind and service, inside the period alone, as many as the sums say; the total is the first row."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES, encoding="utf-8")
    clock = FakeClock(datetime(2020, 9, 30, 23, 59, tzinfo=UTC).timestamp())
    down: Script = failure("server_error", status=503)
    lane = FakeTransport(reply("hi"), scripts={"dear": [down, down, failure("rate_limited", status=429), reply("hi")]})
    with Router.from_config(transports={"direct": lane}, clock=clock) as router:
        for _ in range(4):
            router.complete("both", "hi")
            clock.move(3_600.0)
    run("audit", *QUARTER, "--out", "pack")
    failed = [tuple(row.values())[:4] for row in rows(folder / "pack", "failures")]
    assert failed == [("openai", "dear", "rate_limited", "1"), ("openai", "dear", "server_error", "1")]
    first, *rest = rows(folder / "pack", "spend")
    assert (first["by"], first["failures"], first["calls"]) == ("all", "2", "3")
    assert sum(int(row["failures"]) for row in rest if row["by"] == "operator") == 2
    assert sum(int(row["attempts"]) for row in rest if row["by"] == "deployment") == int(first["attempts"]) == 5


def test_budgets_without_spending_are_listed(folder: Path, run: Callable[..., Ran]) -> None:
    """Each with its limit, what it is kept apart by and what it covers; and nobody is told that none limits."""
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES + BUDGETS, encoding="utf-8")
    clock = FakeClock(datetime(2020, 10, 1, tzinfo=UTC).timestamp())
    lane = FakeTransport(reply("hi", input_tokens=1_000_000, output_tokens=0))
    with Router.from_config(transports={"direct": lane}, clock=clock) as router:
        router.complete("chat", "hi", tags={"team": "red"})
        clock.move(2 * 86_400.0)
        router.complete("chat", "hi", tags={"team": "blue"})
    run("audit", *QUARTER, "--out", "pack")
    names = ("budget", "each", "scope", "covers", "limit_usd", "spent_usd", "left_usd")
    found = [tuple(row[name] for name in names) for row in rows(folder / "pack", "budgets")]
    assert [row[:5] for row in found] == [
        ("all", "", "", "", "10"),
        ("closed", "", "", "route closed", "3"),
        ("team", "tag.team", "blue", "", "5"),
    ]
    assert [row[5:] for row in found] == [("2", "8"), ("0", "3"), ("1", "4")]
    page = (folder / "pack" / "README.md").read_text(encoding="utf-8")
    assert "Budgets that limit spending: `all`, `closed`, `team` (budgets.csv)" in page
    assert "of it beyond what had been set aside**" in page


def test_which_data_went_where(folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """By each value of a tag whose values are listed, a default included; free and personal tags are left out."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    tags = """tags:
  data_class: {values: [public, personal], default: personal}
  team: {}
  user: {values: [ann, bob], personal: true}
"""
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES.replace("tags: {team: {}}\n", tags), encoding="utf-8")
    lane = FakeTransport(reply("hi", input_tokens=1000, output_tokens=0))
    clock = FakeClock(datetime(2020, 10, 1, tzinfo=UTC).timestamp())
    with Router.from_config(transports={"direct": lane}, clock=clock) as router:
        for route, given in (
            ("chat", {"data_class": "public", "team": "red", "user": "ann"}),
            ("chat", {}),
            ("chat", {"data_class": "personal"}),
            ("closed", {"data_class": "public"}),
        ):
            router.complete(route, "hi", tags=given)
    run("audit", *QUARTER, "--out", "pack")
    names = ("tag", "value", "deployment", "chain", "processing", "attempts")
    assert sorted(tuple(row[name] for name in names) for row in rows(folder / "pack", "tags")) == [
        ("data_class", "personal", "own", "self", "DE", "2"),
        ("data_class", "public", "dear", "openai", "global", "1"),
        ("data_class", "public", "own", "self", "DE", "1"),
    ]


def test_what_is_in_an_archive_is_in_sums_alone(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums hold it; rows of failures and calls do not, and the pack says so; a head from it cannot be compared here."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES, encoding="utf-8")
    clock = FakeClock(datetime(2020, 10, 1, tzinfo=UTC).timestamp())
    lane = FakeTransport(reply("hi"), scripts={"dear": [failure("server_error", status=503), reply("hi")]})
    with Router.from_config(transports={"direct": lane}, clock=clock) as router:
        router.complete("both", "hi")
    early = run("ledger", "head").out.strip()
    for days in (1, 20):
        clock.move(days * 86_400.0)
        with Router.from_config(transports={"direct": lane}, clock=clock) as router:
            router.complete("both", "hi")
    ran = run("ledger", "archive", "--before", "2020-10-10", "--to", "old.archive")
    assert (ran.code, ran.err) == (0, "")
    assert run("audit", *QUARTER, "--out", "pack").code == 0
    first, *_ = rows(folder / "pack", "spend")
    assert (first["attempts"], first["failures"]) == ("4", "1")
    assert rows(folder / "pack", "failures") == []
    page = (folder / "pack" / "README.md").read_text(encoding="utf-8")
    assert "are in an archive: sums include them" in page
    ran = run("audit", *QUARTER, "--out", "other", "--against", early)
    assert ran.code == 2
    assert "compare it with `modelrouter ledger verify --against HEAD --archive FILE`" in ran.err
    assert not (folder / "other").exists()
