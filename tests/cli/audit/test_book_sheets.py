"""Who was cut off in a period, which texts were in force in it, and which waivers stood."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter import RevokedError, Router
from modelrouter.core.assurance.revocations import ROLES_OF, Revocation, RevokedKind, RevokedRole
from modelrouter.ledger import open_ledger
from modelrouter.testing import FakeClock, FakeTransport, reply
from tests.cli.audit.packs import rows
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

QUARTER: Final = ("--period", "2020-Q2", "--on", "2020-07-01")
WAIVING: Final = """\
policy: one
rules: {operator.id: {deny: [openai]}}
waivers: [{id: W-1, rule: one/operator.id, subject: dear, because: BECAUSE, owner: dpo, expires: 2020-06-30}]
"""


def second(month: int, day: int) -> float:
    """Noon of a day of 2020."""
    return datetime(2020, month, day, 12, tzinfo=UTC).timestamp()


def at(clock: FakeClock, moment_s: float) -> None:
    """Move a clock on to a moment."""
    clock.move(moment_s - clock.now_s())


@pytest.fixture
def _config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes `chat` (own), `closed` (dear) and `both` (dear, own)."""
    (folder / "modelrouter.yaml").write_text(f"ledger: sqlite:///book.db\n{TWO_ROUTES}", encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "invented")


@pytest.mark.usefixtures("_config")
def test_who_was_cut_off_in_the_period(folder: Path, run: Callable[..., Ran]) -> None:
    """Those that were in force on some day of it, and no others: in which roles, why, until when, and what undid it."""
    clock = FakeClock(second(1, 10))
    vendor, service = RevokedKind.VENDOR, RevokedKind.DEPLOYMENT
    book = open_ledger("sqlite:///book.db", clock, base=folder)
    with contextlib.ExitStack() as ending:
        ending.callback(book.close, 10.0)
        over = book.revoke(Revocation(vendor, "over", "before", ROLES_OF[vendor]))
        at(clock, second(2, 1))
        book.restore([over], "settled")
        until_us = round(second(3, 1) * 1_000_000)
        book.revoke(Revocation(vendor, "ended", "by itself", ROLES_OF[vendor], until_us=until_us))
        until_us = round(second(5, 1) * 1_000_000)
        book.revoke(Revocation(vendor, "reaching", "in", frozenset({RevokedRole.VIA}), until_us=until_us))
        at(clock, second(4, 10))
        cut = book.revoke(Revocation(service, "dear", "breach", ROLES_OF[service], abort_in_flight=True))
        with (
            Router.from_config(transports={"direct": FakeTransport(reply("hello"))}, clock=clock) as router,
            pytest.raises(RevokedError),
        ):
            router.complete("closed", "hi")
        at(clock, second(7, 20))
        book.restore([cut], "audited")
        book.revoke(Revocation(vendor, "later", "after", ROLES_OF[vendor]))
    assert run("audit", *QUARTER, "--out", "pack").code == 0
    found = {row["name"]: row for row in rows(folder / "pack", "revocations")}
    assert list(found) == ["reaching", "dear"]
    reaching, dear = found["reaching"], found["dear"]
    assert (reaching["kind"], reaching["roles"], reaching["reason"]) == ("vendor", "via", "in")
    assert (reaching["from"][:10], reaching["until"][:10]) == ("2020-02-01", "2020-05-01")
    assert (reaching["in_force"], reaching["restored_by"]) == ("no: its time was over", "")
    assert (dear["revocation"], dear["until"], dear["calls_under_way"]) == (f"entry {cut}", "", "interrupted")
    assert (dear["in_force"], dear["restored_at"][:10], dear["why_restored"]) == (
        "no: restored",
        "2020-07-20",
        "audited",
    )
    assert dear["restored_by"].startswith("entry ")
    refused = [row for row in rows(folder / "pack", "refusals") if row["layer"] == "cut-off"]
    assert [(row["deployment"], row["calls"]) for row in refused] == [("dear", "1")]
    assert "revocations.csv" in refused[0]["what_that_is"]
    page = (folder / "pack" / "README.md").read_text(encoding="utf-8")
    assert "Cut off at some time of the period: `deployment:dear`, `vendor:reaching` (revocations.csv)" in page
    assert "**Calls for `closed` that nobody might serve: 1.**" in page


@pytest.mark.usefixtures("_config")
def test_who_is_cut_off_is_left_to_nobody(folder: Path, run: Callable[..., Ran]) -> None:
    """A service that is cut off on the day of the pack takes nothing over after a loss, until its time is over."""
    clock = FakeClock(second(4, 1))
    book = open_ledger("sqlite:///book.db", clock, base=folder)
    own = RevokedKind.DEPLOYMENT
    until_us = round(second(6, 1) * 1_000_000)
    entry = book.revoke(Revocation(own, "own", "no room", ROLES_OF[own], until_us=until_us))
    book.close(10.0)
    for day, left, by in (("2020-05-01", "both: nobody", f"entry {entry}"), ("2020-07-01", "both: own", "")):
        assert run("audit", "--period", "2020-Q2", "--on", day, "--out", day).code == 0
        vendors = {row["vendor"]: row for row in rows(folder / day, "vendors")}
        assert left in vendors["openai"]["left_without_it"]
        found = {row["deployment"]: row for row in rows(folder / day, "deployments")}
        assert found["own"]["cut_off_by"] == by
        assert [row["in_force"] for row in rows(folder / day, "revocations")] == [
            "yes" if by else "no: its time was over"
        ]
        page = (folder / day / "README.md").read_text(encoding="utf-8")
        assert ("Services that are cut off now, and are left to no use: `own`" in page) == bool(by)


@pytest.mark.usefixtures("_config")
def test_what_is_kept_was_not_therefore_in_force(folder: Path, run: Callable[..., Ran]) -> None:
    """Of all policies whose texts the ledger keeps, those are marked that bound a call of the period."""
    with Router.from_config(transports={"direct": FakeTransport(reply("hi"))}, clock=FakeClock(second(4, 1))) as router:
        router.complete("chat", "hi")
    run("audit", *QUARTER, "--out", "pack")
    kept = {row["name"]: row for row in rows(folder / "pack", "documents")}
    assert all(row["what_that_is"] for row in kept.values())
    bound = {name: row["bound_in_the_period"] for name, row in kept.items() if row["kind"] == "policy"}
    assert bound.pop("policy/baseline") == "enforced"
    assert len(bound) > 5
    assert set(bound.values()) == {"no call"}
    assert {row["bound_in_the_period"] for row in kept.values() if row["kind"] != "policy"} == {""}


@pytest.mark.usefixtures("_config")
def test_a_waiver_that_was_changed_has_two_rows_and_days_are_numbers(folder: Path, run: Callable[..., Ran]) -> None:
    """One for each text in which it stood, both counted under its id; what expired counts below 0."""
    config = folder / "modelrouter.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("[baseline]", "[one]"), encoding="utf-8")
    (folder / "policies").mkdir()
    clock = FakeClock(second(4, 1))
    for because in ("first", "second"):
        (folder / "policies" / "one.yaml").write_text(WAIVING.replace("BECAUSE", because), encoding="utf-8")
        with Router.from_config(transports={"direct": FakeTransport(reply("hi"))}, clock=clock) as router:
            router.complete("closed", "hi")
        clock.move(60.0)
    run("audit", *QUARTER, "--out", "pack")
    found = [(row["because"], row["days_left"], row["calls"]) for row in rows(folder / "pack", "waivers")]
    assert sorted(found) == [("first", "-1", "2"), ("second", "-1", "2")]
