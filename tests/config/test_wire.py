"""Endpoints: where a call goes, under which name, with what; nothing of it can contradict the declared facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.config import Config, DeploymentConfig, RouteConfig, build, load
from modelrouter.config.hosts import address_fault, host_of, is_loopback, is_private
from modelrouter.core.request import Reasoning
from modelrouter.core.usage import UsageDialect
from modelrouter.errors import ConfigError
from modelrouter.transports.credentials import CallableKey, EnvKey, FileKey

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.ports import Endpoint

OWN = {
    "model": "qwen3-32b",
    "operator": "self",
    "name": "q",
    "hosts": ["llm.internal"],
    "base_url": "http://llm.internal:8000/v1/",
}
MISTRAL = {"model": "mistral-medium-3.5", "operator": "mistral", "endpoint": "eu"}
CLAUDE = {"model": "claude-sonnet-5", "operator": "bedrock", "endpoint": "eu", "region": "eu-central-1"}


def _endpoint(**written: object) -> Endpoint:
    parts = {"policies": "none", "routes": {"r": {"try": ["d"]}}, "deployments": {"d": written}}
    return build(Config.model_validate(parts)).endpoints["d"]


def test_a_shipped_operator_is_called_as_its_template_says() -> None:
    """Address, hosts, name, key variable and aliases come from the catalog."""
    found = _endpoint(**MISTRAL)
    assert (found.lane, found.base_url) == ("direct", "https://api.eu.mistral.ai/v1")
    assert found.hosts == {"api.eu.mistral.ai"}
    assert found.key == EnvKey("MISTRAL_API_KEY")
    assert found.name == "mistral-medium-2604"
    assert "mistral-medium-latest" in found.answers_as


def test_placeholders_are_filled_from_the_deployment() -> None:
    """The resource is part of Azure's address and of the only host that may be connected to."""
    found = _endpoint(model="gpt-5.6-sol", operator="azure", endpoint="datazone-eu", resource="acme")
    assert found.base_url == "https://acme.openai.azure.com/openai/v1"
    assert found.hosts == {"acme.openai.azure.com"}
    assert found.key_header == "api-key"


def test_an_own_server_is_bound_to_its_declared_hosts() -> None:
    """The address loses its last slash; hosts are those that were declared, in lower case."""
    found = _endpoint(**{**OWN, "hosts": ["LLM.internal", "llm2.internal"]})
    assert found.base_url == "http://llm.internal:8000/v1"
    assert found.hosts == {"llm.internal", "llm2.internal"}
    assert found.key is None


def test_an_aggregator_is_pinned_to_the_declared_operator() -> None:
    """The pin names the operator as the aggregator does, and allows no other."""
    found = _endpoint(model="qwen3-32b", operator="groq", via="openrouter")
    provider = found.pins["provider"]
    assert isinstance(provider, dict)
    assert provider["only"] == ["groq"]
    assert provider["allow_fallbacks"] is False


def test_a_profile_of_another_geography_is_refused() -> None:
    """Region and model id of Bedrock say the same as the declared endpoint, or it is an error naming both."""
    assert _endpoint(**CLAUDE).name == "eu.anthropic.claude-sonnet-5"
    with pytest.raises(ConfigError, match="`us-east-1` contradicts endpoint `eu`"):
        _endpoint(**{**CLAUDE, "region": "us-east-1"})
    with pytest.raises(ConfigError, match=r"`us\.anthropic.claude-sonnet-5` contradicts endpoint `eu`"):
        _endpoint(**CLAUDE, name="us.anthropic.claude-sonnet-5")
    plain = {**CLAUDE, "model": "gpt-oss-120b", "endpoint": "region"}
    assert not _endpoint(**plain).name.startswith("eu.")
    with pytest.raises(ConfigError, match=r"`eu\.openai\.gpt-oss-120b-1:0` is a name of endpoint `eu`"):
        _endpoint(**plain, name="eu.openai.gpt-oss-120b-1:0")


def test_a_name_of_another_model_is_refused() -> None:
    """What the operator calls another model, or litellm another provider, contradicts the declared one."""
    with pytest.raises(ConfigError, match="is how `mistral` calls `mistral-large-2512`, and this deployment says"):
        _endpoint(**MISTRAL, name=_name_of("mistral-large-2512"))
    with pytest.raises(ConfigError, match="names litellm's provider `bedrock`"):
        _endpoint(**OWN | {"name": "bedrock/anthropic.claude"}, lane="litellm")


def _name_of(model: str) -> str:
    return _endpoint(**{**MISTRAL, "model": model}).name


def test_lanes_can_be_chosen() -> None:
    """A server that speaks OpenAI's protocol can be called through litellm; one without address only through it."""
    found = _endpoint(**OWN, lane="litellm")
    assert (found.lane, found.provider) == ("litellm", "openai")
    assert _endpoint(**CLAUDE).provider == "bedrock"
    with pytest.raises(ConfigError, match="add the address of the server"):
        _endpoint(**CLAUDE, lane="direct")


def test_keys_are_named_and_never_written(tmp_path: Path) -> None:
    """A variable, a file relative to the configuration, or a function of the application."""
    assert _endpoint(**OWN, key="env:LLM_KEY").key == EnvKey("LLM_KEY")

    def secret() -> str:
        return "invented"

    deployment = DeploymentConfig.model_validate({**OWN, "key": secret})
    config = Config(deployments={"d": deployment}, routes={"r": RouteConfig(try_=("d",))}, policies="none")
    found = build(config)
    assert found.endpoints["d"].key == CallableKey(secret)
    assert "invented" not in found.digests["config"].text
    path = tmp_path / "modelrouter.yaml"
    path.write_text(
        "modelrouter: 1\npolicies: none\nroutes: {r: {try: [d]}}\ndeployments:\n"
        "  d: {model: qwen3-32b, operator: self, name: q, hosts: [a.internal], base_url: 'http://a.internal',"
        " key: 'file:k'}\n"
    )
    assert load(path).endpoints["d"].key == FileKey(tmp_path / "k")


def test_what_a_deployment_states_of_its_wire_is_kept(tmp_path: Path) -> None:
    """Parameters, headers, reasoning, aliases, trust and timeouts reach the endpoint; a template's stay under them."""
    ca = tmp_path / "ca.pem"
    ca.write_text("invented")
    found = _endpoint(
        **OWN,
        server="vllm",
        params={"temperature": 0.2, "top_p": 1},
        headers={"X-Team": "search"},
        reasoning={"low": {"chat_template_kwargs": {"budget": 100}}},
        answers_as=["qwen-next"],
        ca_file=str(ca),
        proxy="http://proxy.internal:3128",
        timeouts={"connect_s": 2},
        billed_statuses=[500],
        usage="cache_apart",
        reply_bytes_max=1_000_000,
        reply_depth_max=20,
    )
    assert (found.reply_bytes_max, found.reply_depth_max) == (1_000_000, 20)
    assert found.parameters == {"temperature": 0.2, "top_p": 1}
    assert found.headers == {"X-Team": "search"}
    assert found.reasoning[Reasoning.LOW] == {"chat_template_kwargs": {"budget": 100}}
    assert found.reasoning[Reasoning.NONE] == {"chat_template_kwargs": {"enable_thinking": False}}
    assert found.answers_as >= {"qwen-next"}
    assert (found.tls.ca_file, found.proxy, found.timeouts.connect_s) == (str(ca), "http://proxy.internal:3128", 2.0)
    assert found.billed_statuses == {500}
    assert found.usage_dialect is UsageDialect.CACHE_APART


def test_a_template_of_ones_own_cannot_take_the_host_of_a_shipped_operator() -> None:
    """A host belongs to the operator that the catalog gives it to, whatever `operators` says."""
    template = {
        "operator": "mistral",
        "kind": "host",
        "source": "x",
        "wire": {"base_url": "https://api.openai.com/v1"},
        "models": {"qwen3-32b": {"name": "q"}},
    }
    parts = {
        "policies": "none",
        "routes": {"r": {"try": ["d"]}},
        "operators": {"mine": template},
        "deployments": {"d": {"model": "qwen3-32b", "operator": "mine"}},
    }
    with pytest.raises(ConfigError, match=r"`api\.openai\.com` belongs to operator `openai`"):
        build(Config.model_validate(parts))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.internal/v1",
        "a.internal/v1",
        "http://",
        "http:///v1",
        "https://user:pw@host/v1",
        "https://a.internal:0/v1",
        "https://a.internal:99999/v1",
        "https://a.internal/v1?x=1",
        "https://a.internal/v1#x",
        "https://a .internal/v1",
        "https://a.internal\\@evil.example/v1",
        "https://a.internal/\nv1",
        "https://-a-.internal/v1",
        "https://[::1/v1",
    ],
)
def test_texts_that_are_no_plain_address_are_refused(url: str) -> None:
    """User parts, queries, blanks, backslashes and ports out of range have no place in a base URL."""
    assert address_fault(url) is not None


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", "http://[::1]:8000/v1", "http://10.0.0.7:8000", "http://vllm/v1"]
)
def test_plain_addresses_pass(url: str) -> None:
    """Names and IP addresses, with and without port and path."""
    assert address_fault(url) is None
    assert host_of(url) is not None


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("localhost", True, True),
        ("127.0.0.1", True, True),
        ("127.8.9.1", True, True),
        ("::1", True, True),
        ("10.1.2.3", False, True),
        ("192.168.0.2", False, True),
        ("fd00::1", False, True),
        ("0.0.0.0", False, False),  # noqa: S104 - it is what must not count as private
        ("8.8.8.8", False, False),
        ("vllm", False, True),
        ("vllm.internal", False, True),
        ("api.svc.cluster.local", False, True),
        ("internal.example.com", False, False),
        ("localhost.example.com", False, False),
        ("127.0.0.1.example.com", False, False),
    ],
)
def test_private_is_only_what_no_public_name_server_answers_for(host: str, *, loopback: bool, private: bool) -> None:
    """Prompts go in the clear to this machine or a private network alone."""
    assert is_loopback(host) is loopback
    assert is_private(host) is private
