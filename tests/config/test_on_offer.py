"""What is on offer in a small catalog made by hand: how many, what policies admit, which facts are missing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog.loader import read_catalog
from modelrouter.config.caller_schema import CallerConfig
from modelrouter.config.faults import Faults
from modelrouter.config.on_offer import agreements_with_all, offers_in
from modelrouter.config.world import caller_from, tables_of, with_caller
from modelrouter.core.policy import Layer, Level, Policy, RuleSpec
from modelrouter.core.usable import Gap, Tally, tally, usable

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.core.usable import Usable

DAY = date(2026, 11, 29)
SOURCE = "source: {ref: x, checked_on: 2026-11-22, confidence: high, grade: contractual}"
FILES = {
    "organisations": f"""
acme: {{country: DE, parent: none, {SOURCE}}}
beta: {{country: US, parent: none, terms: {{training: never, processing: [DE]}}, {SOURCE}}}
hub: {{country: DE, parent: none, {SOURCE}}}
""",
    "licences": f"""
mit: {{spdx: MIT, commercial_use: true, conditions: none, {SOURCE}}}
nc: {{spdx: LicenseRef-nc, commercial_use: false, conditions: none, {SOURCE}}}
""",
    "groups": f"EEA: {{name: a group, members: [DE, FR], as_of: 2026-11-22, {SOURCE}}}\n",
    "models/all": f"""
one: {{developer: acme, licence: mit, openness: open_weights, derived_from: none, {SOURCE}}}
two: {{developer: beta, licence: nc, openness: open_weights, derived_from: none, {SOURCE}}}
three: {{developer: beta, licence: mit, openness: open_weights, {SOURCE}}}
four: {{developer: beta, licence: nc, openness: closed, derived_from: none, {SOURCE}}}
five: {{developer: beta, licence: mit, openness: open_weights, derived_from: none, retires_on: 2026-01-01, {SOURCE}}}
""",
    "operators/acme": f"""
operator: acme
kind: vendor_api
{SOURCE}
terms: {{training: never, retention_days: 30}}
wire: {{base_url: "https://api.acme.example/v1"}}
endpoints:
  eu: {{processing: [DE]}}
  us: {{processing: [US]}}
models:
  one: {{name: one, price: {{input_usd_per_mtok: 1, output_usd_per_mtok: 2, {SOURCE}}}}}
  three: {{name: three, endpoints: [eu]}}
""",
    "operators/beta": f"""
operator: beta
kind: host
{SOURCE}
terms: {{processing: [DE], storage: [DE], retention_days: 0}}
wire: {{base_url: "https://api.beta.example/v1"}}
models: {{one: {{name: one}}, four: {{name: four}}, five: {{name: five}}}}
""",
    "operators/hub": f"""
operator: hub
kind: aggregator
{SOURCE}
terms: {{processing: [DE], storage: none, training: never}}
wire: {{base_url: "https://api.hub.example/v1", name_suffix: ":{{provider}}"}}
providers: {{acme: a, beta: b}}
models: {{one: {{name: one}}, two: {{name: two}}}}
""",
    "operators/self-vllm": f"operator: self\nserver: vllm\nkind: self_hosted\n{SOURCE}\n",
}
RESIDENT = Policy(
    "resident",
    (
        RuleSpec("processing.country", allow=frozenset({"EEA"})),
        RuleSpec("storage.country", allow=frozenset({"EEA"})),
        RuleSpec("data.training", allow=frozenset({"never"})),
    ),
)
OPEN = Policy(
    "open",
    (
        RuleSpec("weights.openness", allow=frozenset({"open_weights"})),
        RuleSpec(
            "weights.use",
            require=frozenset({"commercial"}),
            options={"hosting": ("self_hosted", "managed", "vendor_api")},
        ),
    ),
)
SIGNED = Policy("signed", (RuleSpec("agreements", require=frozenset({"dpa"})),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two operators, an aggregator before both, and five models."""
    for name, text in FILES.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def _count(folder: Path, policy: Policy, *, country: str | None = "DE", signed: bool = False) -> Usable:
    tables = tables_of(read_catalog(folder), (), Faults())
    tables = with_caller(tables, caller_from(CallerConfig(country=country)))
    if signed:
        tables = agreements_with_all(tables, [policy])
    world, offers = offers_in(tables, DAY)
    return usable(world, offers, (Layer(policy, Level.REQUEST),), DAY)


def test_each_model_at_each_endpoint_is_on_offer_once(folder: Path) -> None:
    """Eight pairs of endpoint and model; an aggregator offers what the operator behind it serves; four to run."""
    _, offers = offers_in(tables_of(read_catalog(folder), (), Faults()), DAY)
    assert [each.id for each in offers if each.operator] == [
        "acme/eu/one", "acme/us/one", "acme/eu/three", "beta/one", "beta/four", "beta/five", "hub/acme/one",
        "hub/beta/one",
    ]  # fmt: skip
    assert tally(offers) == Tally(operators=("acme", "beta"), endpoints=5, models=4, offers=8, own=4)


def test_facts_that_are_missing_for_many_are_told_once(folder: Path) -> None:
    """Storage of one endpoint bars two offers, training of one operator two; nobody's own server lacks a thing."""
    found = _count(folder, RESIDENT)
    assert found.admitted == Tally(operators=(), endpoints=0, models=0, offers=0, own=3)
    assert found.refused_by == {"storage.country": 3, "processing.country": 2, "data.training": 2, "retires_on": 2}
    assert found.gaps == (
        Gap("acme/eu.storage", alone=2, together=2),
        Gap("beta.training", alone=2, together=4),
        Gap("beta.terms.storage", alone=1, together=5),
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "admits"),
    [
        ("operators/acme", "eu: {processing: [DE]}", "eu: {processing: [DE], storage: [FR]}", 2),
        ("operators/beta", "retention_days: 0", "retention_days: 0, training: never", 2),
        ("organisations", "processing: [DE]}", "processing: [DE], storage: none}", 1),
    ],
)
def test_a_gap_that_is_closed_admits_what_was_foretold(
    folder: Path, file: str, old: str, new: str, admits: int
) -> None:
    """With the fact in the catalog, as many offers are admitted as the gap said it would admit alone."""
    path = folder / f"{file}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert _count(folder, RESIDENT).admitted.offers == admits


def test_a_missing_price_is_told_apart(folder: Path) -> None:
    """Five offers have a licence that serves; three of them no price. One model lacks its lineage, at two places."""
    found = _count(folder, OPEN)
    assert found.admitted == Tally(operators=("acme", "beta"), endpoints=5, models=1, offers=5, own=1)
    assert found.unpriced == 3
    assert found.refused_by == {"weights.use": 3, "retires_on": 2, "weights.openness": 1}
    assert found.gaps == (Gap("three.derived_from", alone=2, together=2),)


def test_a_caller_who_signed_with_all_needs_no_more_papers(folder: Path) -> None:
    """Without papers only own servers are left; with all of them only the retired model is out."""
    assert _count(folder, SIGNED).admitted == Tally((), 0, 0, 0, 3)
    assert _count(folder, SIGNED).gaps == ()
    assert _count(folder, SIGNED, signed=True).admitted.offers == 7


def test_a_caller_without_a_country_is_the_missing_fact(folder: Path) -> None:
    """Own servers stand in the caller's country: where that is unknown, so is their place."""
    found = _count(folder, RESIDENT, country=None)
    assert found.admitted.own == 0
    assert Gap("self.processing", alone=3, together=3) == found.gaps[0]
