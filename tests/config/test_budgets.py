"""Budgets and the ledger's address: what is written becomes values of the core, exactly, or is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from modelrouter.config import BudgetConfig, Config, LedgerConfig, WaitConfig, build, from_text
from modelrouter.config import money_schema as schema
from modelrouter.core.budget import Budget, Window
from modelrouter.errors import ConfigError
from tests.config.texts import config, load_files

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.config import Setup

INCLUDE = "include: [house.yaml]"
SECRET = "s3cr3t-word"


def setup(budgets: str, **parts: str) -> Setup:
    """The small configuration with these budgets, each on a line of its own."""
    lines = "\n".join(f"  {line}" for line in budgets.splitlines())
    return from_text(config(more=f"budgets:\n{lines}", **parts))


def only(budgets: str, **parts: str) -> Budget:
    """The one budget of a configuration."""
    (found,) = setup(budgets, **parts).budgets
    return found


# --- what is written --------------------------------------------------------------------------------------------------


def test_a_budget_is_read_as_it_is_written() -> None:
    """Every key has its place in the value of the core."""
    found = only(
        "team: {usd: 50.25, window: day, tz: Europe/Berlin, each: tag.team, only: {route: [support]}, "
        "when_reserved: {wait_s: 5}}"
    )
    assert found == Budget(
        "team",
        50_250_000_000,
        Window.DAY,
        zone_name="Europe/Berlin",
        each="tag.team",
        only={"route": frozenset({"support"})},
        wait_s=5.0,
    )
    assert found.zone == ZoneInfo("Europe/Berlin")


def test_what_is_not_written_limits_nothing_and_waits_for_nobody() -> None:
    """Two keys are enough: everything is covered by one account, in UTC, and reserved money is not waited for."""
    assert only("all: {usd: 10, window: month}") == Budget("all", 10**10, Window.MONTH)


@pytest.mark.parametrize(
    ("written", "nano_usd"),
    [
        ("0.1", 100_000_000),
        ("0.30000000000000000001", 300_000_000),  # as binary fractions neither of the two would be exact
        ("1e-9", 1),
        ("0.0000000019", 1),  # a limit is never made larger by rounding
        ("1000000000", 10**18),
        ("0", 0),
        ("'2000.5'", 2_000_500_000_000),
    ],
)
def test_amounts_are_read_from_the_text_exactly(written: str, nano_usd: int) -> None:
    """No binary fraction comes in between, and what is below a nano-dollar is left off."""
    assert only(f"all: {{usd: {written}, window: total}}").limit_nano_usd == nano_usd


@pytest.mark.parametrize(
    ("written", "length_s"),
    [("90m", 5400), ("24h", 86_400), ("7d", 604_800), ("1m", 60), ("3660d", 3660 * 86_400)],
)
def test_a_length_rolls_on(written: str, length_s: int) -> None:
    """Minutes, hours and days, without a beginning of their own."""
    found = only(f"all: {{usd: 1, window: {written}}}")
    assert (found.window, found.length_s) == (Window.ROLLING, length_s)


@pytest.mark.parametrize("word", ["hour", "day", "week", "month", "total"])
def test_a_word_is_a_window_of_the_calendar(word: str) -> None:
    """Each word is the window of its name."""
    found = only(f"all: {{usd: 1, window: {word}}}")
    assert (found.window, found.length_s) == (Window(word), 0)


@pytest.mark.parametrize("scope", ["route", "policy", "deployment", "operator", "developer", "tag.team"])
def test_a_budget_may_be_kept_apart_by_any_scope(scope: str) -> None:
    """The scopes of the core, by the same words."""
    assert only(f"all: {{usd: 1, window: day, each: {scope}}}").each == scope


def test_a_budget_may_be_limited_to_names_that_are_declared() -> None:
    """Routes, deployments, policies and tags of the file; operators and developers that the catalog knows."""
    found = only(
        "all:\n  usd: 1\n  window: day\n  only: {route: [support], deployment: [own], operator: [mistral, self], "
        "developer: [mistral], policy: [baseline], tag.data_class: [public], tag.team: [anything]}"
    )
    assert found.only["operator"] == {"mistral", "self"}
    assert found.only["tag.team"] == {"anything"}


def test_the_same_as_typed_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration built in Python comes to the same budgets, and is refused with the same sentences."""
    monkeypatch.chdir(tmp_path)
    text = from_text(
        config(more="budgets:\n  team: {usd: 0.1, window: 24h, each: tag.team, when_reserved: {wait_s: 2}}")
    )
    written = Config(
        tags={"team": {}},
        deployments={"own": {"model": "mistral-medium-3.5", "operator": "mistral", "endpoint": "eu"}},
        routes={"support": {"try": ["own"]}},
        policies="none",
        ledger=LedgerConfig(url="sqlite:///b.db", lease_s=5, spool="late"),
        budgets={
            "team": BudgetConfig(usd=Decimal("0.1"), window="24h", each="tag.team", when_reserved=WaitConfig(wait_s=2))
        },
    )
    found = build(written)
    assert found.budgets == text.budgets
    assert (found.ledger_path, found.lease_s, found.spool) == (str(tmp_path / "b.db"), 5.0, str(tmp_path / "late"))
    with pytest.raises(ConfigError, match="not an exact amount"):
        BudgetConfig(usd=0.1, window="day")
    with pytest.raises(ConfigError, match="no window"):
        BudgetConfig(usd="0.1", window="fortnight")


def test_a_machine_without_time_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """UTC needs no table; every other zone says which package has one."""
    monkeypatch.setattr(schema, "ZoneInfo", _nowhere)
    monkeypatch.setattr(schema, "available_timezones", set)
    assert only("all: {usd: 1, window: day, tz: UTC}").zone_name == "UTC"
    with pytest.raises(ConfigError, match="install the package `tzdata`, or write `tz: UTC`"):
        only("all: {usd: 1, window: day, tz: Europe/Berlin}")


def _nowhere(name: str) -> ZoneInfo:
    raise ZoneInfoNotFoundError(name)


# --- houses -----------------------------------------------------------------------------------------------------------


def test_a_budget_of_a_house_holds_beside_those_below(tmp_path: Path) -> None:
    """Both limit every call that they cover; the house's comes first."""
    house = "modelrouter: 1\nbudgets: {company: {usd: 2000, window: month}}\n"
    below = config(include=INCLUDE, more="budgets: {mine: {usd: 5, window: day}}")
    found = load_files(tmp_path, house=house, modelrouter=below)
    assert [each.name for each in found.budgets] == ["company", "mine"]


@pytest.mark.parametrize("usd", [1, 10**6])
def test_a_budget_of_a_house_cannot_be_written_again_below(tmp_path: Path, usd: int) -> None:
    """Not even a tighter one takes its name: two budgets of one name would be two limits of which one is read."""
    house = "modelrouter: 1\nbudgets: {company: {usd: 2000, window: month}}\n"
    below = config(include=INCLUDE, more=f"budgets: {{company: {{usd: {usd}, window: month}}}}")
    with pytest.raises(ConfigError, match=r"house\.yaml:2 and cannot be redefined") as caught:
        load_files(tmp_path, house=house, modelrouter=below)
    assert caught.value.key == "budgets.company"


def test_two_budgets_of_one_name_in_one_file_are_refused() -> None:
    """The second would silently be the only one."""
    with pytest.raises(ConfigError, match="twice"):
        setup("all: {usd: 1, window: day}\nall: {usd: 2, window: day}")


def test_a_house_may_limit_what_only_some_files_below_declare(tmp_path: Path) -> None:
    """A name that this file does not have is a note there, and an error in the file itself."""
    house = "modelrouter: 1\nbudgets: {gpt: {usd: 5, window: day, only: {deployment: [gpt]}}}\n"
    found = load_files(tmp_path, house=house, modelrouter=config(include=INCLUDE))
    unknown, idle = found.notes
    assert "budgets.gpt.only.deployment: unknown deployment `gpt`" in unknown
    assert "budget `gpt`: no route reaches it (deployment gpt)" in idle


# --- reach ------------------------------------------------------------------------------------------------------------


def test_a_budget_that_no_route_reaches_is_noted() -> None:
    """It is no error, and it limits nothing, which somebody should know."""
    found = setup(
        "a: {usd: 1, window: day, only: {operator: [groq]}}\n"
        "b: {usd: 1, window: day, only: {route: [support], developer: [alibaba, mistral]}}"
    )
    (note,) = found.notes
    assert "budget `a`: no route reaches it (operator groq)" in note


def test_routes_under_a_budget_are_those_with_a_call_that_may_fall_under_it() -> None:
    """Tags and policies of calls may be anything; route, deployment, operator and developer are known."""
    found = setup(
        "all: {usd: 1, window: day}\n"
        "own: {usd: 1, window: day, only: {deployment: [own]}}\n"
        "eu: {usd: 1, window: day, only: {operator: [mistral], tag.team: [x], policy: [baseline]}}",
        routes="routes:\n  a: {try: [own]}\n  b: {try: [mistral]}\n  c: {try: [own, mistral]}",
    )
    under = {budget.name: found.routes_under(budget) for budget in found.budgets}
    assert under == {"all": ("a", "b", "c"), "own": ("a", "c"), "eu": ("b", "c")}


def test_how_far_budgets_reach_is_said_by_the_ledger() -> None:
    """A file is one machine's; a server's book is everybody's who uses it."""
    assert "every process on this machine that uses `/" in setup("a: {usd: 1, window: day}").reach
    fleet = from_text(
        config(more="ledger: postgresql://db.internal/money\nbudgets: {a: {usd: 1, window: day, scope: fleet}}")
    )
    assert "every process of the fleet that uses `postgresql://db.internal/money" in fleet.reach
    assert fleet.ledger_path == ""


# --- the ledger's address ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ledger",
    [
        f"postgresql://app:{SECRET}@db.internal:5432/money?sslmode=require",
        f"{{url: 'postgres://app:{SECRET}@db.internal/money', lease_s: 12}}",
        f"postgresql://db.internal/money?user=app&password={SECRET}",
    ],
)
def test_a_password_in_the_address_is_never_shown(ledger: str) -> None:
    """It is used to connect; no text that is printed, logged or kept in the book holds it."""
    found = from_text(config(more=f"ledger: {ledger}"))
    assert SECRET in found.ledger
    shown = [found.ledger_shown, found.reach, repr(found), *(each.text for each in found.digests.values())]
    assert not [text for text in shown if SECRET in text]
    assert "db.internal" in found.ledger_shown


def test_a_wrong_address_does_not_repeat_its_password() -> None:
    """Errors reach logs."""
    with pytest.raises(ConfigError) as caught:
        from_text(config(more=f"ledger: 'postgresql://app:{SECRET}@db/x?schema=Not-A-Name'"))
    assert SECRET not in caught.value.message


def test_the_settings_of_a_ledger_stand_beside_its_address(tmp_path: Path) -> None:
    """Paths are relative to the file; without settings the defaults hold."""
    found = load_files(tmp_path, modelrouter=config(more="ledger: {url: sqlite:///b.db, lease_s: 12.5, spool: late}"))
    assert (found.ledger_path, found.lease_s, found.spool) == (
        str(tmp_path / "b.db"),
        12.5,
        str(tmp_path / "late"),
    )
    plain = from_text(config(more="ledger: sqlite:///b.db"))
    assert (plain.lease_s, plain.spool) == (30.0, None)


def test_a_changed_password_is_no_other_configuration() -> None:
    """The hash of a configuration is kept with each decision, and a rotated password decides nothing."""
    one, other = (
        from_text(config(more=f"ledger: postgresql://app:{word}@db/x")).digests["config"] for word in (SECRET, "other")
    )
    assert one == other
    assert json.loads(one.text)["ledger"].startswith("postgresql://db/x")
