"""What policies assert of routes when a configuration is loaded: refused with a counterexample, or in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from modelrouter.config import Config, DeploymentConfig, PolicyConfig, RouteConfig, RuleConfig, build, from_text
from modelrouter.config.build import read
from modelrouter.config.setup import Origin
from modelrouter.errors import ConfigError, PolicyError
from tests.config.texts import config, load_files

if TYPE_CHECKING:
    from pathlib import Path

ASKED = "policies: [no-single-vendor]"
CLOSED = """deployments:
  gpt: {model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu, resource: acme}
  openai: {model: gpt-5.6-sol, operator: openai}
  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu, key: "file:/run/keys/mistral"}
"""


def refused(text: str, *, now_s: float | None = None) -> str:
    """The sentence with which a configuration is refused."""
    with pytest.raises(PolicyError) as caught:
        from_text(text, now_s=now_s)
    return caught.value.reason


def test_two_operators_of_closed_weights_are_one_vendor() -> None:
    """GPT at Azure and at OpenAI falls with OpenAI; beside Mistral, nobody is indispensable."""
    reason = refused(config(deployments=CLOSED, routes="routes: {ask: {try: [gpt, openai]}}", policies=ASKED))
    assert reason.startswith(
        "the loss of `openai` leaves nobody for `ask`, and no-single-vendor/vendors.survive_loss_of"
    )
    assert (
        from_text(config(deployments=CLOSED, routes="routes: {ask: {try: [gpt, mistral]}}", policies=ASKED)).notes == ()
    )


def test_the_error_stands_at_the_route() -> None:
    """File, line and key are those of the route, for that is what lacks somebody."""
    routes = "routes:\n  good: {try: [gpt, mistral]}\n  ask: {try: [gpt]}"
    text = config(deployments=CLOSED, routes=routes, policies=ASKED)
    with pytest.raises(PolicyError) as caught:
        from_text(text, "acme.yaml")
    line = text.splitlines().index("  ask: {try: [gpt]}") + 1
    assert (caught.value.file, caught.value.line, caught.value.key) == ("acme.yaml", line, "routes.ask")


def test_every_route_is_told_at_once() -> None:
    """The second error is in the message of the first."""
    text = config(deployments=CLOSED, routes="routes: {a: {try: [gpt]}, b: {try: [mistral]}}", policies=ASKED)
    with pytest.raises(PolicyError) as caught:
        from_text(text)
    assert "leaves nobody for `a`" in caught.value.message
    assert "leaves nobody for `b`" in caught.value.message


@pytest.mark.parametrize(("least", "lost"), [(1, None), (2, "`azure` and `mistral`"), (9, "`azure` and `mistral`")])
def test_more_losses_ask_for_more(least: int, lost: str | None) -> None:
    """Two deployments survive one loss, and no two; the counterexample is never longer than it must be."""
    asked = f"policies: [{{policy: mine, rules: {{vendors.survive_loss_of: {{min: {least}}}}}}}]"
    text = config(deployments=CLOSED, routes="routes: {ask: {try: [gpt, mistral]}}", policies=asked)
    if lost is None:
        assert from_text(text).routes
    else:
        assert f"the loss of {lost} leaves nobody" in refused(text)
        assert f"any {least} vendors" in refused(text)


def test_only_those_that_every_layer_permits_are_left() -> None:
    """A deployment that another layer refuses is no way out, in whichever of the layers the assertion stands."""
    routes = "routes: {ask: {try: [gpt, mistral], policies: [RULE]}}"
    for rule in (
        "{policy: mine, rules: {operator.id: {deny: [mistral]}}}",
        "{policy: mine, rules: {price.input_usd_per_mtok: {max: 0.001}}}",
    ):
        text = config(deployments=CLOSED, routes=routes.replace("RULE", rule), policies=ASKED)
        assert "`ask`" in refused(text)


@pytest.mark.parametrize(
    "limits",
    [
        "needs: {vision: true}",
        "needs: {context_tokens: 900000}",
        "output_tokens: {default: 1000, min: 1000}, policies: [{policy: p, rules: {request.cost_usd: {max: 0.0001}}}]",
    ],
)
def test_needs_and_ceilings_are_in_force(limits: str) -> None:
    """Whoever cannot do what the route needs, or costs more than its ceiling, is not left after a loss."""
    own = config()[config().index("  own:") : config().index("  mistral:")]
    own = own.replace("source:", "context_tokens: 4096\n    capabilities: [tools]\n    source:")
    deployments = CLOSED + own
    plain = config(deployments=deployments, routes="routes: {ask: {try: [gpt, own]}}", policies=ASKED)
    assert from_text(plain).routes
    text = config(deployments=deployments, routes=f"routes: {{ask: {{try: [gpt, own], {limits}}}}}", policies=ASKED)
    assert "`ask`" in refused(text)


def test_a_deployment_of_unknown_vendors_never_counts() -> None:
    """Without `runs_on` nobody knows with whom our own server falls; the sentence names the fact that is missing."""
    text = config(routes="routes: {ask: {try: [own, mistral]}}", policies=ASKED)
    assert from_text(text).routes
    unclear = text.replace("    runs_on: none\n", "")
    reason = refused(unclear)
    assert "the loss of `mistral` leaves nobody" in reason
    assert reason.endswith("not all vendors are known of `own` (own.runs_on)")
    alone = refused(unclear.replace("try: [own, mistral]", "try: [own]"))
    assert "has nobody whose vendors are all known" in alone


def test_a_policy_that_only_observes_makes_a_note() -> None:
    """What would be refused is told, and the configuration is taken."""
    asked = "policies: [{policy: mine, observe: true, rules: {vendors.survive_loss_of: {min: 1}}}]"
    setup = from_text(config(deployments=CLOSED, routes="routes: {ask: {try: [gpt]}}", policies=asked))
    [note] = setup.notes
    assert note.startswith("observed: the loss of `azure` leaves nobody for `ask`")


def test_what_is_asserted_refuses_no_request() -> None:
    """A policy that asserts binds its routes as a layer, and has no verdict about any deployment."""
    from modelrouter.core.decision import compile_rows, day_of

    setup = from_text(config(routes="routes: {ask: {try: [own, mistral]}}", policies=ASKED))
    route = setup.routes["ask"]
    assert [layer.policy.name for layer in route.layers] == ["no-single-vendor"]
    rows = compile_rows(setup.world, route.layers, route, route.needs, day_of(1_795_000_000.0)).rows
    assert {verdict.layer for row in rows.values() for verdict in row.verdicts} <= {"catalog", "route"}


def test_a_tag_that_is_missing_binds() -> None:
    """The proof is for a request without tags: every layer binds, and what one of them refuses is not left."""
    tagged = "{policy: personal, applies_to: {data_class: [personal]}, rules: {operator.id: {deny: [mistral]}}}"
    text = config(
        deployments=CLOSED,
        routes="routes: {ask: {try: [gpt, mistral]}}",
        policies=f"policies: [no-single-vendor, {tagged}]",
    )
    assert "the loss of `azure` leaves nobody" in refused(text)


def test_a_house_may_assert_for_everybody(tmp_path: Path) -> None:
    """An assertion of an included house holds for the routes below it, and is told at the route."""
    house = "modelrouter: 1\npolicies: [no-single-vendor]\n"
    text = config(include="include: [house.yaml]", routes="routes: {ask: {try: [mistral]}}")
    with pytest.raises(PolicyError, match="`ask`") as caught:
        load_files(tmp_path, house=house, modelrouter=text)
    assert str(caught.value.file).endswith("modelrouter.yaml")


def test_it_is_proved_for_the_moment_that_is_given() -> None:
    """A model that has retired by then is nobody's way out."""
    retiring = CLOSED.replace("endpoint: eu,", "endpoint: eu, retires_on: 2026-12-31, source: notice,")
    text = config(deployments=retiring, routes="routes: {ask: {try: [gpt, mistral]}}", policies=ASKED)
    last = datetime(2026, 12, 31, 12, tzinfo=UTC).timestamp()
    assert from_text(text, now_s=last).routes
    assert "the loss of `azure` leaves nobody" in refused(text, now_s=last + 86_400)


def test_a_configuration_in_python_is_proved_too() -> None:
    """The same sentence, at the key of the route."""
    made = Config(
        policies=(PolicyConfig(policy="mine", rules={"vendors.survive_loss_of": RuleConfig(min=1)}),),
        deployments={"mistral": DeploymentConfig(model="mistral-medium-3.5", operator="mistral", endpoint="eu")},
        routes={"ask": RouteConfig(try_=("mistral",))},
    )
    with pytest.raises(PolicyError, match="the loss of `mistral`") as caught:
        build(made)
    assert (caught.value.file, caught.value.key) == (None, "routes.ask")


def test_read_takes_what_load_refuses(tmp_path: Path) -> None:
    """Whoever tells all that speaks against a configuration can read it; other errors are errors there as well."""
    text = config(deployments=CLOSED, routes="routes:\n  ask: {try: [gpt]}", policies=ASKED)
    path = tmp_path / "modelrouter.yaml"
    path.write_text(text, encoding="utf-8")
    setup = read(path).setup
    assert setup.origins == {"ask": Origin(str(path), text.splitlines().index("  ask: {try: [gpt]}") + 1)}
    assert setup.credentials == {
        "gpt": "env:AZURE_OPENAI_API_KEY",
        "openai": "env:OPENAI_API_KEY",
        "mistral": "file:/run/keys/mistral",
    }
    path.write_text(text.replace("[gpt]", "[gpd]"), encoding="utf-8")
    with pytest.raises(ConfigError, match="gpd"):
        read(path)
