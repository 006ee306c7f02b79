"""What is not known of vendors is not told as if it were, figures have units, and own servers are no provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter import Router
from modelrouter.testing import FakeClock, FakeTransport
from tests.cli.audit.packs import rows
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.command import Ran

ORGANISATIONS: Final = """\
organisations:
  seller: {country: SG, parent: behind, terms: {training: never}, source: the register}
  behind: {country: CN, source: the register}
"""
SOLD: Final = """\
  sold:
    model: gpt-oss-20b
    operator: seller
    hosts: ["127.0.0.1"]
    base_url: "http://127.0.0.1:9/v1"
    name: m
    processing: [SG]
    storage: none
    training: never
    retention_days: 0
    price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}
    source: the tests
  dear:"""
QUARTER: Final = ("--period", "2020-Q4", "--on", "2020-12-31", "--out", "pack")


def test_what_a_reader_could_take_for_something_else(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Owners, units, keys and own servers of a config with an owner of whom nobody knows who owns it."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    text = (ORGANISATIONS + TWO_ROUTES.partition("modelrouter: 1\n")[2]).replace("  dear:", SOLD, 1)
    (folder / "modelrouter.yaml").write_text(f"modelrouter: 1\n{text}  far: {{try: [sold]}}\n", encoding="utf-8")
    with Router.from_config(transports={"direct": FakeTransport()}, clock=FakeClock(1_600_000_000.0)) as router:
        router.explain("chat", "hi")
    ran = run("audit", *QUARTER)
    assert (ran.code, ran.err) == (0, "")
    pack = folder / "pack"
    vendors = {row["vendor"]: row for row in rows(pack, "vendors")}
    assert (vendors["seller"]["owners"], vendors["seller"]["owner_countries"]) == ("behind, unknown", "CN, unknown")
    assert (vendors["behind"]["owners"], vendors["behind"]["owner_countries"]) == ("unknown", "unknown")
    units = {(row["id"], row["fact"]): (row["value"], row["unit"]) for row in rows(pack, "facts")}
    assert units["own", "price"] == ("$1 in, $2 out", "USD per million tokens")
    assert units["sold", "seller.retention_days"] == ("0", "days")
    assert units["sold", "seller.storage"] == ("", "")
    services = {row["deployment"]: row for row in rows(pack, "deployments")}
    places = [services["sold"][name] for name in ("processing", "storage", "training", "retention_days")]
    assert places == ["SG", "none", "never", "0"]
    models = {row["model"]: row for row in rows(pack, "models")}
    assert models["gpt-6-sol"]["licence_conditions"] == "as the operator's terms say"
    assert models["gpt-oss-20b"]["licence_conditions"] != "as the operator's terms say"
    assert {row["provider"]: row["ultimate_owner_country"] for row in rows(pack, "dora_b_05_01")}["seller"] == ""


def test_own_servers_are_no_alternative_provider(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they alone would remain, no provider is identified; that they would remain stands apart."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    config = TWO_ROUTES.replace("  closed: {try: [dear]}\n", "")
    (folder / "modelrouter.yaml").write_text(config, encoding="utf-8")
    with Router.from_config(transports={"direct": FakeTransport()}, clock=FakeClock(1_600_000_000.0)) as router:
        router.explain("chat", "hi")
    assert run("audit", *QUARTER).code == 0
    (openai,) = rows(folder / "pack", "dora_b_07_01")
    assert (openai["provider"], openai["B_07.01.0050"]) == ("openai", "Easily substitutable")
    assert (openai["B_07.01.0110"], openai["B_07.01.0120"], openai["own_servers_left"]) == ("No", "", "yes")
