"""Facts of deployments: what the template says, what the deployment states, and what stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router
from modelrouter.catalog import load_catalog
from modelrouter.catalog.currency import scaled
from modelrouter.config import Config, build
from modelrouter.core.bounds import BoundBasis
from modelrouter.core.facts import Confidence, Grade, Hosting, LinkRole, Ownership, State, Training
from modelrouter.errors import ConfigError
from modelrouter.testing import MemoryLedger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.facts import Deployment, World

OWN = {
    "model": "qwen3-32b",
    "operator": "self",
    "hosts": ["llm.internal"],
    "base_url": "http://llm.internal/v1",
    "name": "q",
    "source": "platform team",
}


def _world(deployment: Mapping[str, object], **more: object) -> World:
    parts: dict[str, object] = {"policies": "none", "routes": {"r": {"try": ["d"]}}, "deployments": {"d": deployment}}
    return build(Config.model_validate({**parts, **more})).world


def _deployment(**written: object) -> Deployment:
    return _world(written).deployments["d"]


def test_shipped_facts_hold_where_nothing_is_stated() -> None:
    """A deployment that names operator, model and endpoint has the template's facts, as shipped ones."""
    found = _deployment(model="gpt-5.6-sol", operator="azure", endpoint="datazone-eu", resource="acme")
    terms = found.chain[0].terms
    assert terms.processing.value == frozenset({"EU"})
    assert terms.processing.source.ownership is Ownership.SHIPPED
    assert found.hosting is Hosting.MANAGED
    assert found.billed_statuses == {400, 408}
    assert found.bound_basis.value is BoundBasis.DOCUMENTED
    assert found.parameters is not None
    assert {"max_tokens", "max_completion_tokens", "tools"} <= found.parameters


def test_a_stated_fact_replaces_the_shipped_one_with_its_own_source() -> None:
    """Only the stated fact is the user's; its neighbours stay as shipped."""
    found = _deployment(
        model="mistral-medium-3.5",
        operator="mistral",
        endpoint="eu",
        retention_days=0,
        source={"ref": "contract 114", "checked_on": "2026-10-01", "confidence": "high", "grade": "contractual"},
    )
    terms = found.chain[0].terms
    assert terms.retention_days.value == 0
    assert terms.retention_days.source.ref == "contract 114"
    assert terms.retention_days.source.ownership is Ownership.USER
    assert (terms.retention_days.source.confidence, terms.retention_days.source.grade) == (
        Confidence.HIGH,
        Grade.CONTRACTUAL,
    )
    assert terms.processing.source.ownership is Ownership.SHIPPED


@pytest.mark.parametrize("state", ["unknown", "undisclosed", "none"])
def test_each_state_can_be_written(state: str) -> None:
    """A fact that is stated as not known takes the shipped one away."""
    found = _deployment(model="mistral-medium-3.5", operator="mistral", endpoint="eu", storage=state, source="page")
    assert found.chain[0].terms.storage.state.value == state


def test_a_fact_may_bring_a_source_of_its_own() -> None:
    """`{value, source}` wins over the deployment's source, and needs none of it."""
    found = _deployment(**{**OWN, "training": {"value": "never", "source": "works council"}})
    assert found.chain[0].terms.training.value is Training.NEVER
    assert found.chain[0].terms.training.source.ref == "works council"


def test_a_fact_without_any_source_is_refused() -> None:
    """Nobody could check it."""
    with pytest.raises(ConfigError, match="add `source:`"):
        _deployment(model="mistral-medium-3.5", operator="mistral", endpoint="eu", retention_days=0)


def test_the_price_of_an_endpoint_is_the_list_price_times_its_uplift_exactly() -> None:
    """Azure's data zone costs 1.1 times the global endpoint, to the last digit."""
    there = _deployment(model="gpt-5.6-sol", operator="azure", endpoint="global", resource="acme").price.value
    here = _deployment(model="gpt-5.6-sol", operator="azure", endpoint="datazone-eu", resource="acme").price.value
    assert there is not None
    assert here == scaled(there, Decimal("1.1"))
    assert here != there


def test_a_stated_price_is_what_is_paid() -> None:
    """No uplift is put on a price that a person wrote; zero without `free` is unknown."""
    price = {"input_usd_per_mtok": "3", "output_usd_per_mtok": "9"}
    azure = {
        "model": "gpt-5.6-sol",
        "operator": "azure",
        "endpoint": "datazone-eu",
        "resource": "acme",
        "source": "offer 7",
    }
    found = _deployment(**{**azure, "price": price}).price.value
    assert found is not None
    assert found.input_usd_per_mtok == 3
    zero = {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}
    assert _deployment(**{**OWN, "price": zero}).price.state is State.UNKNOWN
    assert _deployment(**{**OWN, "price": {"free": True}}).price.state is State.KNOWN


def test_capabilities_are_what_model_and_operator_share() -> None:
    """A hosted deployment can do what both can; a known server adds its own to any model."""
    catalog = load_catalog()
    found = _deployment(model="mistral-medium-3.5", operator="mistral", endpoint="eu")
    model = catalog.models["mistral-medium-3.5"].capabilities.value
    offered = catalog.templates["mistral"].models["mistral-medium-3.5"].capabilities.value
    assert model is not None
    assert offered is not None
    assert found.capabilities.value == model & offered
    served = _deployment(**{**OWN, "server": "vllm"}).capabilities.value
    qwen = catalog.models["qwen3-32b"].capabilities.value
    assert qwen is not None
    assert served is not None
    assert served >= qwen | {"json_schema"}
    assert _deployment(**{**OWN, "capabilities": ["tools"]}).capabilities.value == frozenset({"tools"})


def test_a_server_of_a_known_kind_brings_its_wire_facts() -> None:
    """With `server`, the basis of the bound and the parameters are known; without, nothing is guessed."""
    known, unknown = _deployment(**{**OWN, "server": "vllm"}), _deployment(**OWN)
    assert known.bound_basis.value is BoundBasis.DOCUMENTED
    assert known.parameters is not None
    assert unknown.bound_basis.state is State.UNKNOWN
    assert unknown.parameters is None


def test_a_stated_overhead_keeps_what_it_does_not_state() -> None:
    """One number in the place of the template's leaves its others, which are upper bounds too."""
    shipped = _deployment(**{**OWN, "server": "vllm"}).overhead
    mine = _deployment(**{**OWN, "server": "vllm", "overhead": {"per_message_tokens": 99}}).overhead
    assert shipped.per_message_tokens != 99
    assert (mine.per_request_tokens, mine.per_message_tokens) == (shipped.per_request_tokens, 99)


def test_an_alias_is_never_pinned() -> None:
    """A name that moves is not pinned; one of the user's choice is unknown; the operator's own is as shipped."""
    mistral = {"model": "mistral-medium-3.5", "operator": "mistral", "endpoint": "eu"}
    assert _deployment(**mistral).pinned.value is True
    assert _deployment(**mistral, name="ministral-8b-latest").pinned.value is False
    assert _deployment(**mistral, name="ft-mistral-medium-acme").pinned.state is State.UNKNOWN
    assert _deployment(**{**OWN, "name": "qwen:latest"}).pinned.value is False


def test_the_chain_of_an_own_server_is_complete_only_when_declared() -> None:
    """Without `runs_on` the cloud is unknown; `none` is our own rooms; a cloud becomes a link."""
    assert _deployment(**OWN).chain_complete.state is State.UNKNOWN
    rooms = _deployment(**OWN, runs_on="none")
    assert rooms.chain_complete.value is True
    assert [link.role for link in rooms.chain] == [LinkRole.OPERATOR]
    cloud = _deployment(**OWN, runs_on="hetzner", processing=["DE"])
    assert [link.organisation for link in cloud.chain] == ["self", "hetzner"]
    assert cloud.chain[1].terms.processing.value == frozenset({"DE"})


def test_an_aggregator_is_a_link_with_its_own_terms() -> None:
    """The deployment's terms are its operator's; the aggregator answers with its own, or with what `links` states."""
    through = {
        "model": "qwen3-32b",
        "operator": "groq",
        "via": "openrouter",
        "training": "never",
        "price": {"input_usd_per_mtok": "0.3", "output_usd_per_mtok": "0.6"},
        "source": "page",
    }
    found = _deployment(**through)
    assert [(link.role, link.organisation) for link in found.chain] == [
        (LinkRole.OPERATOR, "groq"),
        (LinkRole.VIA, "openrouter"),
    ]
    assert found.contract_partner == "openrouter"
    assert found.chain[0].terms.training.source.ownership is Ownership.USER
    assert found.chain[1].terms.training.source.ownership is Ownership.SHIPPED
    stated = _deployment(**through, links={"openrouter": {"processing": ["US"], "source": "letter"}})
    assert stated.chain[1].terms.processing.value == frozenset({"US"})
    assert stated.chain[1].terms.training == found.chain[1].terms.training


def test_a_sub_processor_is_a_link_where_it_differs() -> None:
    """Claude in Microsoft Foundry is processed by Anthropic; as Google manages it, by Google alone."""
    found = _deployment(model="claude-opus-5-5", operator="azure-foundry-claude", resource="acme")
    assert [(link.role, link.organisation) for link in found.chain][1:] == [(LinkRole.SUBPROCESSOR, "anthropic")]
    found = _deployment(model="claude-opus-5-5", operator="vertex", endpoint="global", project="acme")
    assert [link.organisation for link in found.chain] == ["google"]


def test_a_model_that_is_not_offered_can_be_used_with_name_and_price() -> None:
    """What the catalog does not know of an operator, a person may state."""
    mistral = {"model": "qwen3-32b", "operator": "mistral", "endpoint": "eu"}
    with pytest.raises(ConfigError, match="not known to serve `qwen3-32b`"):
        _deployment(**mistral)
    price = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}
    found = _deployment(**mistral, name="qwen", price=price, source="their mail")
    assert found.capabilities == load_catalog().models["qwen3-32b"].capabilities


STATED = {"name": "chat", "price": {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}, "source": "their mail"}


@pytest.mark.parametrize(
    ("operator", "endpoint", "more"),
    [
        ("azure", "datazone-eu", {"resource": "acme"}),
        ("azure-foundry", "datazone-us", {"resource": "acme"}),
        ("snowflake", "aws-us", {"account": "acme"}),
    ],
)
def test_a_model_that_is_not_offered_has_no_place_where_nothing_binds_it(
    operator: str, endpoint: str, more: dict[str, str]
) -> None:
    """Called like a model of another place, it may run there: its places are unknown until somebody states them."""
    written = {"model": "smollm2-135m-instruct", "operator": operator, "endpoint": endpoint, **more, **STATED}
    shipped = load_catalog().templates[operator].endpoints[endpoint].terms
    assert shipped.processing.state is State.KNOWN
    terms = _deployment(**written).chain[0].terms
    assert (terms.processing.state, terms.storage.state) == (State.UNKNOWN, State.UNKNOWN)
    assert terms.training == shipped.training
    stated = _deployment(**written, processing=["EU"]).chain[0].terms.processing
    assert (stated.value, stated.source.ownership) == (frozenset({"EU"}), Ownership.USER)


@pytest.mark.parametrize(
    ("operator", "endpoint", "name", "place"),
    [
        ("mistral", "eu", "chat", {"EU", "EFTA"}),
        ("fireworks", "us", "accounts/fireworks/routers/chat-us", {"US"}),
        ("scaleway", "paris", "chat", {"FR"}),
    ],
)
def test_a_model_that_is_not_offered_keeps_the_place_that_its_call_binds(
    operator: str, endpoint: str, name: str, place: set[str]
) -> None:
    """The address, or what the name must begin and end with, leads any model to the places of its endpoint."""
    found = _deployment(
        **{"model": "smollm2-135m-instruct", "operator": operator, "endpoint": endpoint, **STATED, "name": name}
    )
    assert found.chain[0].terms.processing.value == frozenset(place)


@pytest.mark.parametrize("name", ["accounts/fireworks/routers/chat", "accounts/fireworks/models/chat-us", "chat"])
def test_a_name_without_what_binds_the_place_is_refused(name: str) -> None:
    """A name of one's own that does not begin and end as the endpoint's names do would run elsewhere."""
    written = {"model": "smollm2-135m-instruct", "operator": "fireworks", "endpoint": "us", **STATED, "name": name}
    with pytest.raises(ConfigError, match=r"whose names (begin|end) with"):
        build(
            Config.model_validate({"policies": "none", "routes": {"r": {"try": ["d"]}}, "deployments": {"d": written}})
        )


def test_a_place_that_offers_state_for_themselves_is_not_that_of_another_model() -> None:
    """Where one model runs elsewhere, the operator's places do not bind a model of which nothing is known."""
    listed = {"name": "a", "terms": {"processing": ["US"]}, "price": STATED["price"]}
    operator = {
        "operator": "rhein-gmbh",
        "kind": "host",
        "source": "https://rhein.example/terms",
        "terms": {"processing": ["DE"]},
        "wire": {"base_url": "https://api.rhein.example/v1"},
        "models": {"qwen3-32b": listed},
    }
    world = _world(
        {"model": "smollm2-135m-instruct", "operator": "rhein", "key": "env:RHEIN_KEY", **STATED},
        organisations={"rhein-gmbh": {"country": "DE", "parent": "none", "source": "register"}},
        operators={"rhein": operator},
    )
    assert world.deployments["d"].chain[0].terms.processing.state is State.UNKNOWN


def test_an_entry_of_a_shipped_id_keeps_what_it_does_not_state() -> None:
    """A user's organisation entry replaces the country alone; the rest and its sources stay shipped."""
    world = _world(OWN, organisations={"mistral": {"country": "IE", "source": "register 2026"}})
    shipped, mine = load_catalog().organisations["mistral"], world.organisations["mistral"]
    assert mine.country.value == "IE"
    assert mine.country.source.ownership is Ownership.USER
    assert (mine.name, mine.parent, mine.terms) == (shipped.name, shipped.parent, shipped.terms)


def test_an_operator_of_ones_own_is_a_template() -> None:
    """A template under `operators` is used like a shipped one, its organisation being declared."""
    world = _world(
        {"model": "qwen3-32b", "operator": "rhein", "key": "env:RHEIN_KEY"},
        organisations={"rhein-gmbh": {"country": "DE", "parent": "none", "source": "register"}},
        operators={
            "rhein": {
                "operator": "rhein-gmbh",
                "kind": "host",
                "source": "https://rhein.example/terms",
                "terms": {"processing": ["DE"], "training": "never"},
                "wire": {"base_url": "https://api.rhein.example/v1"},
                "models": {
                    "qwen3-32b": {"name": "qwen3", "price": {"input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.3"}}
                },
            }
        },
    )
    found = world.deployments["d"]
    assert found.operator == "rhein-gmbh"
    assert found.hosting is Hosting.MANAGED
    assert found.chain[0].terms.processing.value == frozenset({"DE"})


def test_every_shipped_offer_makes_a_deployment() -> None:
    """Each model at each endpoint of each operator builds, with nothing but what its address asks for."""
    deployments: dict[str, dict[str, object]] = {}
    for template in load_catalog().templates.values():
        if template.server:
            continue
        for endpoint in template.endpoints.values():
            asked = endpoint.wire.placeholders - {"provider"}
            for model, offer in template.models.items():
                if offer.endpoints is not None and endpoint.name not in offer.endpoints:
                    continue
                region = min(endpoint.regions, default="eu-west-1")
                written: dict[str, object] = dict.fromkeys(asked, region)
                written |= {"model": model, "endpoint": endpoint.name} | ({} if offer.name else {"name": "x"})
                if template.providers:
                    written |= {"via": template.id, "operator": min(template.providers)}
                else:
                    written["operator"] = template.id
                deployments[f"{template.id}.{endpoint.name}.{model}"] = written
    assert len(deployments) >= 60
    parts = {"policies": "none", "routes": {"r": {"try": "any"}}, "deployments": deployments}
    built = build(Config.model_validate(parts))
    assert set(built.world.deployments) == set(built.endpoints) == set(deployments)


@pytest.mark.parametrize(("stated", "is_permitted"), [(None, False), (0, True), (29, True), (32, False)])
def test_what_a_caller_says_of_itself_may_carry_a_day(stated: int | None, is_permitted: bool) -> None:
    """A rule on the age of facts can be met by deployments of one's own, whose operator is the caller."""
    today = datetime.now(UTC).date()
    day = {} if stated is None else {"checked_on": (today - timedelta(days=stated)).isoformat()}
    source = {"ref": "platform team", "checked_on": today.isoformat(), "confidence": "high", "grade": "technical"}
    rules = {"operator.country": {"deny": ["CN"]}, "facts.age_days": {"max": 30}}
    written = {
        "policies": [{"policy": "fresh", "rules": rules}],
        "caller": {"country": "DE", "parent_country": "DE", **day},
        "routes": {"r": {"try": ["d"]}},
        "deployments": {"d": {**OWN, "runs_on": "none", "price": {"free": True}, "source": source}},
    }
    with Router(Config.model_validate(written), ledger=MemoryLedger()) as router:
        decision = router.explain("r")
    assert bool(decision.permitted) is is_permitted, decision.explain()
