"""Entries become values of the core by one path; wrong ones say where they stand and what to change."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from modelrouter.catalog.countries import COUNTRIES, country_fault
from modelrouter.catalog.entries import (
    licence_from,
    model_from,
    organisation_from,
    terms_from,
)
from modelrouter.catalog.price_entries import price_from
from modelrouter.catalog.reading import Place, source_from
from modelrouter.catalog.schema import (
    ConditionEntry,
    ModelEntry,
    OrganisationEntry,
    PriceEntry,
    TermsEntry,
)
from modelrouter.core.facts import (
    UNKNOWN_SOURCE,
    Condition,
    ConditionKind,
    Confidence,
    Fact,
    Grade,
    Ownership,
    Source,
    State,
    Training,
)
from modelrouter.errors import CatalogError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from collections.abc import Callable

USER = Ownership.USER
SHIPPED = Ownership.SHIPPED
HERE = Place("house.yaml", ("models", "mine"))
PAPER = Source("training log 77", ownership=USER)


def read(text: str) -> dict[str, object]:
    """YAML as the package reads it."""
    value = parse(text, "test.yaml").value
    assert isinstance(value, dict)
    return dict(value)


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_bare_source_is_medium_asserted_and_undated() -> None:
    """Somebody's word, and no more than that."""
    assert source_from("platform team", USER, HERE) == Source("platform team", ownership=USER)
    assert source_from("x", USER, HERE).confidence is Confidence.MEDIUM
    assert source_from("x", USER, HERE).grade is Grade.ASSERTED
    assert source_from("x", USER, HERE).checked_on is None


def test_a_full_source_keeps_every_part() -> None:
    """Day, confidence and grade are read from YAML text."""
    entry = read("{ref: contract 4, checked_on: 2026-11-01, confidence: high, grade: contractual}")
    assert source_from(entry, USER, HERE) == Source(
        "contract 4", date(2026, 11, 1), Confidence.HIGH, Grade.CONTRACTUAL, USER
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("", "the source is empty"),
        (7, "a text, or a mapping with `ref`"),
        ({}, "`ref` is missing"),
        ({"ref": "x", "confidence": "certain"}, "write one of low, medium, high"),
        ({"ref": "x", "grade": "sworn"}, "write one of contractual, technical, asserted"),
        ({"ref": "x", "checked_on": "yesterday"}, "`yesterday` is no day"),
        ({"ref": "x", "checked": "2026-01-01"}, "did you mean `checked_on`"),
    ],
)
def test_a_wrong_source_says_what_to_write(entry: object, words: str) -> None:
    """Each fault of a source has its own sentence."""
    with pytest.raises(CatalogError, match=words):
        source_from(entry, USER, HERE)


# --- four states -----------------------------------------------------------------------------------------------------

STATES = """
name: Acme support
developer: self
licence: undisclosed
openness: unknown
derived_from: none
distilled_from: {state: undisclosed, source: press release}
context_tokens: {value: 8192, source: {ref: server log, confidence: high}}
source: training log 77
"""


def test_a_fact_has_four_states() -> None:
    """Known, none, undisclosed and unknown stay apart; an absent fact is unknown; each keeps its own source."""
    model = model_from("mine", read(STATES), USER, HERE)
    assert model.developer == Fact.known("self", PAPER)
    assert model.licence == Fact.undisclosed(PAPER)
    assert model.openness == Fact.unknown()
    assert model.derived_from == Fact.none(PAPER)
    assert model.distilled_from == Fact.undisclosed(Source("press release", ownership=USER))
    assert model.context_tokens.value == 8192
    assert model.context_tokens.source.confidence is Confidence.HIGH
    assert model.pinned == Fact.unknown()
    assert model.pinned.source is UNKNOWN_SOURCE


def test_unknown_needs_no_source() -> None:
    """Saying that one does not know is no claim."""
    organisation = organisation_from("acme", {"country": "unknown", "parent": "unknown"}, USER, HERE)
    assert organisation.country.state is State.UNKNOWN


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"developer": "self", "derived_from": "none"}, "nobody could check"),
        ({"developer": "self", "derived_from": [], "source": "x"}, "an empty list says nothing"),
        ({"developer": "none", "derived_from": "none", "source": "x"}, "`developer` cannot be `none`"),
        ({"developer": "self", "source": "x"}, "say what it was made from"),
        ({"derived_from": "none", "source": "x"}, "say who trained it"),
        ({"developer": "self", "derived_from": "none", "source": "x", "licens": "mit"}, "did you mean `licence`"),
        ({"developer": "self", "derived_from": "none", "source": "x", "pinned": "yes"}, "must be `true` or `false`"),
        ({"developer": "self", "derived_from": "none", "source": "x", "context_tokens": -1}, "a whole number"),
        ({"developer": "self", "derived_from": "none", "source": "x", "context_tokens": True}, "a whole number"),
        ({"developer": "self", "derived_from": "none", "source": "x", "openness": "open"}, "did you mean `open_"),
        (
            {"developer": "self", "derived_from": "none", "source": "x", "capabilities": ["tool"]},
            "did you mean `tools`",
        ),
        (
            {"developer": "self", "derived_from": {"value": ["a"], "state": "none"}, "source": "x"},
            "write `value` or `state`, not both",
        ),
        ({"developer": "self", "derived_from": "none", "source": "x", "retires_on": "soon"}, "`soon` is no day"),
        (["developer"], "a mapping of keys"),
    ],
)
def test_a_wrong_model_says_what_to_write(entry: object, words: str) -> None:
    """Each fault of a model has its own sentence, with file and key."""
    with pytest.raises(CatalogError, match=words) as caught:
        model_from("mine", entry, USER, HERE)
    assert caught.value.file == "house.yaml"
    assert (caught.value.key or "").startswith("models.mine")


def test_an_error_names_the_line_of_the_key() -> None:
    """A place that knows its document finds the line."""
    document = parse("models:\n  mine:\n    developer: self\n    derived_from: none\n    pinned: 7\n", "house.yaml")
    place = Place("house.yaml", ("models", "mine"), document.line)
    entry = {"developer": "self", "derived_from": "none", "pinned": 7, "source": "x"}
    with pytest.raises(CatalogError) as caught:
        model_from("mine", entry, USER, place)
    assert (caught.value.file, caught.value.line, caught.value.key) == ("house.yaml", 5, "models.mine.pinned")


def test_a_developer_is_never_taken_from_the_name() -> None:
    """A model called after a vendor belongs to whom its entry says."""
    entry = {"developer": "self", "derived_from": ["mistral-small-3.2"], "source": "x"}
    assert model_from("mistral/deepseek-v4", entry, USER, HERE).developer.value == "self"


def test_shipped_models_may_leave_lineage_unknown() -> None:
    """Only a user must state `derived_from`: we ship unknown where we have no source."""
    model = model_from("gpt", {"developer": "openai", "source": "x"}, SHIPPED, HERE)
    assert model.derived_from.state is State.UNKNOWN


def test_nobody_claims_anything_unless_somebody_does() -> None:
    """No entry means that there is no allegation."""
    entry = {"developer": "self", "derived_from": "none", "source": "x"}
    assert model_from("mine", entry, USER, HERE).lineage_claim.state is State.NONE
    claimed = model_from("mine", {**entry, "lineage_claim": ["qwen2.5-14b"]}, USER, HERE)
    assert claimed.lineage_claim.value == frozenset({"qwen2.5-14b"})


def test_an_alias_is_read_with_its_days() -> None:
    """Each model that it stands for has days and a source; what is not written is no alias."""
    text = """
    developer: mistral
    alias_of:
      - {model: mistral-medium-2508, until: 2026-08-31}
      - {model: mistral-medium-3.5, since: 2026-07-03, source: "model card"}
    source: {ref: "price map", checked_on: 2026-11-29}
    """
    alias = model_from("mistral-medium-latest", parse(text, "models.yaml").value, SHIPPED, HERE)
    assert [(each.model, each.since, each.until, each.source.ref) for each in alias.alias_of.value or ()] == [
        ("mistral-medium-2508", None, date(2026, 8, 31), "price map"),
        ("mistral-medium-3.5", date(2026, 7, 3), None, "model card"),
    ]
    assert alias.pinned.value is False
    fixed = model_from("gpt", {"developer": "openai", "source": "x"}, SHIPPED, HERE)
    assert fixed.alias_of.state is State.NONE
    assert fixed.pinned.state is State.UNKNOWN


def test_an_alias_of_nobody_knows_what() -> None:
    """It is an alias all the same, and never pinned; a user's need not state from what it was made."""
    alias = model_from("mine-latest", {"developer": "self", "alias_of": "unknown", "source": "x"}, USER, HERE)
    assert alias.alias_of.state is State.UNKNOWN
    assert alias.pinned.value is False


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"pinned": True}, "never pinned"),
        ({"licence": "mit"}, "`licence` is asked of what an alias stands for"),
        ({"derived_from": "none"}, "`derived_from` is asked of what an alias stands for"),
        ({"alias_of": []}, "write what it stands for"),
        ({"alias_of": [{"model": "a", "since": "2026-02-02", "until": "2026-02-01"}]}, "lies before"),
        ({"alias_of": [{"modle": "a"}]}, "unknown key `modle`"),
    ],
)
def test_an_alias_that_contradicts_itself(facts: dict[str, object], fault: str) -> None:
    """An alias has no weights of its own, is not pinned, and its days are in order."""
    entry = {"developer": "mistral", "alias_of": [{"model": "mistral-medium-3.5"}], "source": "x", **facts}
    with pytest.raises(CatalogError, match=fault):
        model_from("mistral-medium-latest", entry, SHIPPED, HERE)


# --- organisations and terms -----------------------------------------------------------------------------------------


def test_an_organisation_with_lists_and_terms() -> None:
    """Dated list entries inherit the source; data terms may have one of their own."""
    text = """
    country: "NO"
    parent: none
    roles: [operator]
    lists: [{list: us-bis-entity-list, since: 2025-01-16}]
    attestations: [c5]
    terms: {processing: [EEA], training: never, retention_days: 0, storage: none, source: dpa}
    source: register
    """
    organisation = organisation_from("fjord", read(text), USER, HERE)
    assert organisation.country.value == "NO"
    assert organisation.parent.state is State.NONE
    assert (organisation.lists.value or ())[0].since == date(2025, 1, 16)
    assert organisation.attestations.value == frozenset({"c5"})
    assert organisation.terms.processing == Fact.known(frozenset({"EEA"}), Source("dpa", ownership=USER))
    assert organisation.terms.storage.state is State.NONE
    assert organisation.terms.training.value is Training.NEVER


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"country": "UK", "source": "x"}, "write `GB`"),
        ({"country": "de", "source": "x"}, "write `DE`"),
        ({"country": "Germany", "source": "x"}, "no ISO 3166-1 country code"),
        ({"roles": ["hoster"], "source": "x"}, "`hoster` is no role"),
        ({"lists": [], "source": "x"}, "or `none`"),
        ({"lists": [{"list": "x", "since": "2025"}], "source": "x"}, "is no day"),
        ({"lists": [{"list": "x"}]}, "nobody could check"),
        ({"terms": {"processing": ["DE"]}}, "nobody could check"),
        ({"terms": {"retention": 3, "source": "x"}}, "did you mean `retention_days`"),
        ({"parents": "acme"}, "did you mean `parent`"),
    ],
)
def test_a_wrong_organisation_says_what_to_write(entry: object, words: str) -> None:
    """Each fault of an organisation has its own sentence."""
    with pytest.raises(CatalogError, match=words):
        organisation_from("acme", entry, USER, HERE)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"processing": ["UK"]}, "write `GB`"),
        ({"processing": ["eu"]}, "`EU`|must be in capitals|is no"),
        ({"processing": ["Europe"]}, "`Europe` is no place"),
        ({"processing": "EU"}, "must be a list"),
        ({"processing": "none"}, "`processing` cannot be `none`"),
        ({"training": "sometimes"}, "write one of never, opt_out, used"),
        ({"retention_days": "30"}, "a whole number"),
    ],
)
def test_wrong_terms_say_what_to_write(entry: dict[str, object], words: str) -> None:
    """Each fault of data terms has its own sentence."""
    with pytest.raises(CatalogError, match=words):
        terms_from(entry, PAPER, USER, HERE)


def test_terms_leave_other_keys_to_their_owner() -> None:
    """A deployment's terms stand among its other keys."""
    terms = terms_from({"model": "x", "processing": ["DE"], "retention_days": 0}, PAPER, USER, HERE)
    assert terms.processing.value == frozenset({"DE"})
    assert terms.training.state is State.UNKNOWN


def test_country_codes_are_those_of_iso_3166() -> None:
    """All 249 officially assigned codes, and no other two letters."""
    assert len(COUNTRIES) == 249
    assert country_fault("NO") is None
    assert country_fault("EU") is not None


# --- licences --------------------------------------------------------------------------------------------------------


def test_a_licence_with_conditions() -> None:
    """Thresholds carry metric and value, territories their places, duties their words."""
    text = """
    spdx: LicenseRef-mine
    commercial_use: true
    conditions:
      - {kind: threshold_ask, metric: monthly_active_users, value: 1000, text: ask}
      - {kind: territory, territory: [EU, KR], text: not there}
      - {kind: attribution, text: say so}
    reaches_hosted_use: true
    source: x
    """
    licence = licence_from("mine", read(text), USER, HERE)
    assert licence.conditions.value == (
        Condition(ConditionKind.THRESHOLD_ASK, "ask", "monthly_active_users", 1000),
        Condition(ConditionKind.TERRITORY, "not there", territory=frozenset({"EU", "KR"})),
        Condition(ConditionKind.ATTRIBUTION, "say so"),
    )
    assert licence.reaches_hosted_use
    assert licence.osi_approved.state is State.UNKNOWN


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"kind": "threshold", "text": "x"}, "`threshold` is no kind of condition"),
        ({"kind": "threshold_ask", "text": "x"}, "takes `text` and `metric` and `value`"),
        ({"kind": "threshold_ask", "text": "x", "metric": "users", "value": 1}, "`users` is no number of a caller"),
        ({"kind": "attribution", "text": "x", "value": 1}, "takes `text`"),
        ({"kind": "territory", "text": "x", "territory": ["UK"]}, "write `GB`"),
        ({"kind": "attribution"}, "`text` is missing"),
    ],
)
def test_a_wrong_condition_says_what_to_write(condition: dict[str, object], words: str) -> None:
    """Each fault of a condition has its own sentence; the schema refuses the same ones."""
    with pytest.raises(CatalogError, match=words):
        licence_from("mine", {"spdx": "X", "conditions": [condition], "source": "x"}, USER, HERE)
    with pytest.raises(ValidationError):
        ConditionEntry.model_validate(condition)


# --- schema ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "entry"),
    [
        (ModelEntry.model_validate, {"developer": "self", "derivedfrom": "none"}),
        (ModelEntry.model_validate, {"derived_from": "none"}),
        (ModelEntry.model_validate, {"developer": "self", "pinned": "true"}),
        (ModelEntry.model_validate, {"developer": "self", "retires_on": 20261122}),
        (OrganisationEntry.model_validate, {"country": "UK"}),
        (TermsEntry.model_validate, {"processing": ["UK"]}),
        (TermsEntry.model_validate, {"retention_days": "30"}),
        (PriceEntry.model_validate, {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 1}),
        (PriceEntry.model_validate, {"input_usd_per_mtok": "1"}),
    ],
)
def test_the_schema_refuses(check: Callable[[object], object], entry: object) -> None:
    """Unknown keys, wrong types, codes that are no countries, floats, half a price."""
    with pytest.raises(ValidationError):
        check(entry)


def test_what_the_schema_accepted_can_be_dumped_and_read() -> None:
    """A typed entry and its text come to the same value."""
    text = read(STATES)
    dumped = ModelEntry.model_validate(text).model_dump(exclude_unset=True)
    assert model_from("mine", dumped, USER, HERE) == model_from("mine", text, USER, HERE)
    price = {"input_usd_per_mtok": "0.1", "output_usd_per_mtok": 2, "source": {"ref": "x", "checked_on": "2026-11-01"}}
    dumped = PriceEntry.model_validate(price).model_dump(exclude_unset=True)
    assert price_from(dumped, None, USER, HERE) == price_from(price, None, USER, HERE)
