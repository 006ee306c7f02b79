"""`modelrouter audit`: what the pack holds is what happened, it holds nothing it must not, and it can be made again."""

from __future__ import annotations

import csv
import hashlib
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import NoRouteError, Router, ShareCapError
from modelrouter.testing import FakeClock, FakeTransport, failure, reply
from tests.cli.audit.packs import contents, rows
from tests.ledger.audit_book import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelrouter.testing import Script
    from tests.cli.command import Ran

CONFIG = """\
modelrouter: 1
caller: {name: Acme GmbH, country: DE, agreements: [{type: dpa, with: mistral, id: "2026-114"}]}
policies: [customers, watchful]
tags: {user: {personal: true}}
budgets: {month: {usd: 100, window: month}}
deployments:
  small:
    model: qwen3-32b
    operator: self
    runs_on: hetzner
    server: llamacpp
    hosts: ["127.0.0.1"]
    base_url: "http://127.0.0.1:9/v1"
    name: m
    processing: [DE]
    storage: none
    training: never
    retention_days: 0
    price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}
    source: the platform team
  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu, key: "env:MISTRAL_API_KEY"}
  gpt: {model: gpt-6-sol, operator: openai, endpoint: global, key: "env:OPENAI_API_KEY"}
routes:
  support: {try: [small, mistral, gpt]}
  drafts: {try: [gpt]}
"""
CUSTOMERS = """\
policy: customers
description: what customers were promised
rules:
  operator.country: {deny: [CN], because: "risk board"}
  operator.id: {deny: [mistral, openai]}
  request.cost_usd: {max: 0.02}
waivers:
  - {id: W-7, rule: customers/operator.id, subject: gpt, because: "=1+1", owner: dpo, expires: 2999-12-31}
"""
SHARE = "{max: 0.6, of: calls, window: 366d, min_volume: 5, when_alone: refuse}"
WATCHFUL = "policy: watchful\nobserve: true\nrules:\n  operator.country: {deny: [US]}\n"
KEY, PROMPT, ANSWER, PERSON = "sk-invented-key", "a question nobody may read", "an answer as secret", "ann@example.org"
BEGIN_S = 1_793_500_000.0  # in November 2026
PERIOD = ("--period", "2026-Q4", "--on", "2026-12-01")


@pytest.fixture(params=["sqlite", "postgres"])
def booked(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Calls on two routes under two versions of a policy, one with a failure; on each store."""
    for name in ("MISTRAL_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    address = "" if request.param == "sqlite" else f"ledger: '{request.getfixturevalue('book_url')}'\n"
    (folder / "policies").mkdir()
    (folder / "policies" / "watchful.yaml").write_text(WATCHFUL, encoding="utf-8")
    (folder / "modelrouter.yaml").write_text(address + CONFIG, encoding="utf-8")
    clock = FakeClock(BEGIN_S)
    small: list[Script] = [reply(ANSWER), failure("server_error", status=503), reply(ANSWER)]
    lane = FakeTransport(reply(ANSWER, input_tokens=2000, output_tokens=300), scripts={"small": small})
    for text, routes in ((CUSTOMERS, ("support", "support")), (CUSTOMERS.replace("0.02", "0.03"), ("drafts",))):
        (folder / "policies" / "customers.yaml").write_text(text, encoding="utf-8")
        with Router.from_config(transports={"direct": lane}, clock=clock) as router:
            for route in routes:
                router.complete(route, PROMPT, tags={"user": PERSON})
                clock.move(3600.0)
    return folder


def period_of(folder: Path) -> tuple[str, ...]:
    """The period of the calls: a server's clock is its own, and it is no played one."""
    is_played = "postgres" not in (folder / "modelrouter.yaml").read_text(encoding="utf-8")
    return PERIOD if is_played else ("--period", "2000-01-01..2999-12-31", "--on", "2026-12-01")


def test_the_pack_is_what_happened(booked: Path, run: Callable[..., Ran]) -> None:
    """Policies by version, waivers, refusals, spend, shares, vendors and models, each checked by hand."""
    ran = run("audit", *period_of(booked), "--out", "pack")
    assert (ran.code, ran.err) == (0, "")
    pack = booked / "pack"
    policies = [(row["policy"], row["status"], row["calls"]) for row in rows(pack, "policies")]
    assert policies == [
        ("customers", "enforced", "2"),
        ("customers", "enforced", "1"),
        ("watchful", "observed only", "3"),
    ]
    asked = {row["asks"] for row in rows(pack, "rules") if row["rule"] == "request.cost_usd"}
    assert asked == {"max 0.02", "max 0.03"}
    (waiver,) = rows(pack, "waivers")
    assert (waiver["waiver"], waiver["owner"], waiver["because"], waiver["calls"]) == ("W-7", "dpo", "'=1+1", "3")
    refused = {(row["route"], row["deployment"], row["rule"]): row["calls"] for row in rows(pack, "refusals")}
    assert refused == {("support", "mistral", "operator.id"): "2"}
    assert {(row["route"], row["deployment"]): row["calls"] for row in rows(pack, "observed")} == {
        ("support", "gpt"): "2",
        ("drafts", "gpt"): "1",
    }
    spent = {row["name"]: row["spent_usd"] for row in rows(pack, "spend") if row["by"] == "operator"}
    shares = {row["name"]: row for row in rows(pack, "shares") if row["by"] == "operator"}
    assert spent == {"openai": "0.014", "self": "0.00002"}
    assert (shares["openai"]["attempts"], shares["openai"]["attempts_share"]) == ("2", "0.5")
    assert shares["self"]["hhi_of_attempts"] == "5000"
    vendors = {row["vendor"]: row for row in rows(pack, "vendors")}
    assert vendors["openai"]["routes_lost_without_it"] == "drafts"
    assert vendors["hetzner"]["left_without_it"] == "support: gpt"
    without = {name: row["calls_without_other"] for name, row in vendors.items()}
    assert without == {"hetzner": "0", "mistral": "0", "openai": "1", "openai-foundation": "1"}
    assert "mistral" in vendors
    assert {row["model"] for row in rows(pack, "models")} == {"qwen3-32b", "mistral-medium-3.5", "gpt-6-sol"}
    (budget,) = rows(pack, "budgets")
    assert (budget["budget"], budget["limit_usd"]) == ("month", "100")
    assert {row["deployment"]: row["permitted_for"] for row in rows(pack, "deployments")} == {
        "small": "support",
        "mistral": "",
        "gpt": "support, drafts",
    }


def test_texts_are_those_that_the_ledger_names(booked: Path, run: Callable[..., Ran]) -> None:
    """Each policy's file hashes to what policies.csv says; each file of the pack to what the manifest says."""
    document = run("audit", *period_of(booked), "--out", "pack", "--json").document
    pack = booked / "pack"
    for row in rows(pack, "policies"):
        assert hashlib.sha256((pack / row["text"]).read_bytes()).hexdigest() == row["sha256"]
    manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"] == document["files"]
    found = contents(pack)
    assert {each["path"]: each["sha256"] for each in manifest["files"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in found.items() if name != "manifest.json"
    }
    assert manifest["ledger"]["head"] == run("ledger", "head").out.strip()
    assert document["manifest_sha256"] == hashlib.sha256(found["manifest.json"]).hexdigest()


def test_the_same_day_gives_the_same_bytes(booked: Path, run: Callable[..., Ran]) -> None:
    """Made twice, every file is the same; a period without calls is a pack without calls."""
    assert run("revoke", "vendor:mistral", "--reason", "tender lost").code == 0
    for name in ("one", "two"):
        assert run("audit", *period_of(booked), "--out", name).code == 0
    assert contents(booked / "one") == contents(booked / "two")
    assert run("audit", "--period", "1999", "--on", "2026-12-01", "--out", "none").code == 0
    assert rows(booked / "none", "policies") == rows(booked / "none", "spend") == []
    assert "- Calls: 0 (0 attempts" in (booked / "none" / "README.md").read_text(encoding="utf-8")


def test_it_holds_nothing_it_must_not(booked: Path, run: Callable[..., Ran]) -> None:
    """No prompt, no answer, no key, no person, and no path of this machine; cells are no formulas."""
    run("audit", *period_of(booked), "--out", "pack")
    for name, content in contents(booked / "pack").items():
        text = content.decode()
        for secret in (KEY, PROMPT, ANSWER, PERSON, str(booked)):
            assert secret not in text, name
        if name.endswith(".csv"):
            cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
            assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))], name


def test_every_table_is_explained(booked: Path, run: Callable[..., Ran]) -> None:
    """The page to begin with has every file and every column, says what was found, and `audit.json` has all rows."""
    run("audit", *period_of(booked), "--out", "pack")
    pack = booked / "pack"
    page = (pack / "README.md").read_text(encoding="utf-8")
    whole: dict[str, Any] = json.loads((pack / "audit.json").read_text(encoding="utf-8"))
    for path in sorted(pack.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        section = page.split(f"### {path.name} (")[1].split("\n### ")[0]
        assert [column for column in header if f"| `{column}` |" not in section] == []
        if path.name == "facts.csv":
            names = {row["fact"].rpartition(".")[2] for row in rows(pack, "facts")}
            assert [name for name in names if f"| `{name}` |" not in section] == []
        assert len(whole[path.stem]) == len(rows(pack, path.stem))
    assert "**Without these vendors some use would have nobody left: `openai`" in page
    assert "(EU) 2024/2956" in page
    assert "as corrected by OJ L, 2025/90725" in page
    assert "Acme GmbH" in page
    assert "no service without this vendor was permitted: `openai` (1 call), `openai-foundation` (1 call)**" in page


def test_rows_for_the_register(booked: Path, run: Callable[..., Ran]) -> None:
    """Supply chains have ranks; what follows from the proof is proposed; what nobody here can know is marked."""
    run("audit", *period_of(booked), "--out", "pack")
    pack = booked / "pack"
    providers = {row["provider"]: row for row in rows(pack, "dora_b_05_01")}
    assert set(providers) == {"hetzner", "mistral", "openai"}
    assert providers["mistral"]["B_05.01.0080"] == "FR"
    assert providers["mistral"]["B_05.01.0010"] == "to be filled by you"
    assert {(row["provider"], row["B_05.02.0050"]) for row in rows(pack, "dora_b_05_02")} == {
        ("hetzner", "1"),
        ("mistral", "1"),
        ("openai", "1"),
    }
    assessed = {row["provider"]: row for row in rows(pack, "dora_b_07_01")}
    assert assessed["openai"]["B_07.01.0050"] == "Not substitutable"
    assert assessed["hetzner"]["B_07.01.0050"] == "Easily substitutable"
    assert assessed["hetzner"]["B_07.01.0120"] == "openai"
    assert assessed["openai"]["own_servers_left"] == "yes"
    assert (providers["mistral"]["supports_routes"], providers["openai"]["supports_routes"]) == ("", "support, drafts")
    assert assessed["mistral"]["B_07.01.0050"] == "to be filled by you"
    places = [row for row in rows(pack, "dora_b_02_02") if row["provider"] == "mistral"]
    assert {row["agreements"] for row in places} == {"dpa 2026-114"}
    assert {row["B_06.01.0010"]: row["B_06.01.0030"] for row in rows(pack, "dora_b_06_01")} == {
        "F1": "support",
        "F2": "drafts",
    }


@pytest.mark.parametrize("booked", ["sqlite"], indirect=True)
def test_calls_that_nobody_might_serve_are_counted(booked: Path, run: Callable[..., Ran]) -> None:
    """Their reasons stand among the others, and the first page says how many they were."""
    path = booked / "modelrouter.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "  lost: {try: [mistral]}\n", encoding="utf-8")
    with Router.from_config(transports={"direct": FakeTransport()}, clock=FakeClock(BEGIN_S + 86_400.0)) as router:
        for _ in range(3):
            with pytest.raises(NoRouteError):
                router.complete("lost", PROMPT)
    run("audit", *PERIOD, "--out", "pack")
    refused = {(row["route"], row["rule"]): row["calls"] for row in rows(booked / "pack", "refusals")}
    assert refused["lost", "operator.id"] == "3"
    page = (booked / "pack" / "README.md").read_text(encoding="utf-8")
    assert "Calls for `lost` that nobody might serve: 3." in page
    assert "Uses that nobody may serve, even before a loss: `lost`." in page


@pytest.mark.parametrize("booked", ["sqlite"], indirect=True)
def test_a_ledger_that_was_changed_is_told(booked: Path, run: Callable[..., Ran]) -> None:
    """The pack is written and says so on its first page; the answer is 1."""
    with closing(connect(booked / "modelrouter.db")) as connection:
        connection.execute("UPDATE entries SET amount_nano_usd = amount_nano_usd + 1 WHERE kind = 'settle'")
    ran = run("audit", *PERIOD, "--out", "pack", "--json")
    assert (ran.code, ran.document["ok"]) == (1, False)
    assert "The ledger is NOT as it was written" in (booked / "pack" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("booked", ["sqlite"], indirect=True)
def test_a_head_that_was_kept_proves_more(booked: Path, run: Callable[..., Ran]) -> None:
    """Without one the pack says what is not proved; with one it names it; one of another book is answered with 1."""
    assert run("audit", *PERIOD, "--out", "alone").code == 0
    assert "`--against HEAD` was not given" in (booked / "alone" / "README.md").read_text(encoding="utf-8")
    head = run("ledger", "head").out.strip()
    ran = run("audit", *PERIOD, "--out", "kept", "--against", head, "--json")
    assert (ran.code, ran.document["ledger"]["against"]) == (0, head)
    page = (booked / "kept" / "README.md").read_text(encoding="utf-8")
    assert f"it continues the head `{head}`" in page
    assert f"--against {head}` makes this folder again" in page
    other = f"mr1:1:{'0' * 64}"
    assert run("audit", *PERIOD, "--out", "other", "--against", other).code == 1
    assert "The ledger is NOT as it was written" in (booked / "other" / "README.md").read_text(encoding="utf-8")
    assert run("audit", *PERIOD, "--out", "x", "--against", "mr1:no").code == 2
    assert not (booked / "x").exists()


@pytest.mark.parametrize("booked", ["sqlite"], indirect=True)
def test_wrong_use_writes_nothing(booked: Path, run: Callable[..., Ran]) -> None:
    """A folder that holds something, a file in its place, no period and no day end with 2, and leave all as it was."""
    (booked / "full").mkdir()
    (booked / "full" / "mine.txt").write_text("kept", encoding="utf-8")
    (booked / "file").write_text("kept", encoding="utf-8")
    (booked / "empty").mkdir()
    assert "is not empty" in run("audit", *PERIOD, "--out", "full").err
    assert contents(booked / "full") == {"mine.txt": b"kept"}
    assert run("audit", *PERIOD, "--out", "file").code == 2
    assert run("audit", "--period", "Q4", "--out", "x").code == 2
    assert run("audit", "--period", "2026", "--on", "today", "--out", "x").code == 2
    assert not (booked / "x").exists()
    assert run("audit", *PERIOD, "--out", "empty").code == 0
    assert run("audit", *PERIOD).code == 0
    assert (booked / "audit-2026-Q4" / "README.md").exists()


@pytest.mark.parametrize("booked", ["sqlite"], indirect=True)
def test_what_share_caps_refused_is_told(booked: Path, run: Callable[..., Ran]) -> None:
    """It stands among the reasons, without the figures of one call, and a call that had nobody left is counted."""
    capped = CUSTOMERS.replace("request.cost_usd: {max: 0.02}", f"vendors.share: {SHARE}")
    (booked / "policies" / "customers.yaml").write_text(capped, encoding="utf-8")
    clock = FakeClock(BEGIN_S + 86_400.0)
    with Router.from_config(transports={"direct": FakeTransport(reply(ANSWER))}, clock=clock) as router:
        router.complete("drafts", PROMPT)
        for _ in range(2):
            with pytest.raises(ShareCapError):
                router.complete("drafts", PROMPT)
    assert run("audit", *PERIOD, "--out", "pack").code == 0
    pack = booked / "pack"
    found = [row for row in rows(pack, "refusals") if row["rule"] == "vendors.share"]
    assert [(row["route"], row["deployment"], row["layer"], row["reason"], row["calls"]) for row in found] == [
        ("drafts", "gpt", "customers", "", "2")
    ]
    page = (pack / "README.md").read_text(encoding="utf-8")
    assert "Calls for `drafts` that nobody might serve: 2." in page


@pytest.mark.parametrize("booked", ["sqlite"], indirect=True)
def test_decisions_that_are_gone_do_not_keep_the_pack_from_being_made(booked: Path, run: Callable[..., Ran]) -> None:
    """What a decision rests on was altered: it is counted apart on the first page, and the answer is 1."""
    with closing(connect(booked / "modelrouter.db")) as connection:
        connection.execute("UPDATE documents SET body = body || ' ' WHERE kind = 'grounds' AND rowid = "
                           "(SELECT MIN(rowid) FROM documents WHERE kind = 'grounds')")  # fmt: skip
    ran = run("audit", *PERIOD, "--out", "pack", "--json")
    assert (ran.code, ran.document["ok"]) == (1, False)
    page = (booked / "pack" / "README.md").read_text(encoding="utf-8")
    assert "- Calls: 1 (4 attempts" in page
    assert "Calls whose decision cannot be derived, so that only sums count them: 2**: the text of" in page
