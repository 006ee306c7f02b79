"""How a deployment is called: an `Endpoint` whose address, name and pins cannot contradict the declared facts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelrouter.config.hosts import address_fault, host_fault, host_of, is_loopback, is_private
from modelrouter.config.nearest import nearest
from modelrouter.core.facts import SELF
from modelrouter.core.request import Reasoning
from modelrouter.core.usage import UsageDialect
from modelrouter.errors import CatalogError, ConfigError
from modelrouter.ports import TLS, Endpoint
from modelrouter.transports.credentials import EnvKey, credential_from
from modelrouter.transports.parameters import BEYOND_THE_FACTS, COUNTED, LIMITS, OWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.catalog.templates import WireTemplate
    from modelrouter.config.deployment_schema import DeploymentConfig
    from modelrouter.config.hosts import HostOwners
    from modelrouter.config.offers import Offer
    from modelrouter.config.world import Tables
    from modelrouter.core.request import JSON
    from modelrouter.ports import Credential
    from modelrouter.transports.credentials import KeySource

__all__ = ["endpoint_from"]

FILLINGS: Final = ("account", "project", "region", "resource")
GEOGRAPHIES: Final = frozenset({"eu", "us"})
"""Geographies of inference profiles that also begin the names of their regions, as `eu-central-1`."""
HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key"}
)
OWN_HEADERS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"}
)
REMOTE_TAG: Final = re.compile(r"[^:]+:(?:.*-)?cloud")
"""A tag under which Ollama passes a request on to ollama.com, wherever the server stands that is asked."""
OPENAI_COMPATIBLE: Final = "openai"
"""litellm's provider id for any server that speaks OpenAI's protocol."""


def endpoint_from(  # noqa: PLR0917 - one per room that has a say
    name: str,
    written: DeploymentConfig,
    folder: Path,
    offer: Offer,
    owners: HostOwners,
    tables: Tables,
) -> Endpoint:
    """How to call one deployment.

    Args:
        folder: what its relative paths are relative to.
        owners: whose the hosts of all templates are.

    Raises:
        ConfigError: something contradicts the declared operator, aggregator, model or region; `key` is the key of the
            deployment that is wrong.
    """
    wire = _filled(written, offer)
    lane = written.lane or wire.lane
    keys = _keys(written, wire, folder)
    base_url, hosts = _address(written, offer, wire, owners, lane)
    return Endpoint(
        deployment=name,
        lane=lane,
        base_url=base_url,
        hosts=hosts,
        name=_name(written, offer, wire, lane, tables),
        provider=(wire.provider or OPENAI_COMPATIBLE) if lane == "litellm" else "",
        key=next(iter(keys), None),
        more_keys=keys[1:],
        key_header=_header_name(written.key_header or wire.key_header, "key_header"),
        headers={**wire.headers, **_headers(written, wire)},
        pins=wire.pins,
        parameters=_parameters(written, wire),
        parameter_names=wire.parameter_names,
        supported_parameters=(
            wire.supported_parameters
            if written.supported_parameters is None
            else frozenset(written.supported_parameters)
        ),
        reasoning={**wire.reasoning, **_reasoning(written)},
        answers_as=frozenset(written.answers_as) | offer.model.answers_as,
        billed_statuses=wire.billed_statuses if written.billed_statuses is None else frozenset(written.billed_statuses),
        tls=_tls(written, folder),
        proxy=_proxy(written),
        extra=wire.extra,
        usage_dialect=wire.usage if written.usage is None else UsageDialect(written.usage),
        reply_bytes_max=written.reply_bytes_max,
        reply_depth_max=written.reply_depth_max,
        timeouts=written.timeouts.timeouts(),
        wire_stream=written.wire_stream == "always",
    )


def _filled(written: DeploymentConfig, offer: Offer) -> WireTemplate:
    wire = offer.wire
    values = {key: value for key in FILLINGS if (value := getattr(written, key)) is not None}
    for key in values:
        if key not in wire.placeholders:
            choose = (
                "choose an `endpoint`"
                if len(offer.template.endpoints) > 1
                else "write where it runs under `processing`"
            )
            raise CatalogError(f"the address of `{offer.template.id}` has no {key}: remove it, or {choose}", key=key)
    _check_region(written.region, offer)
    return wire.filled({**values, "provider": offer.provider})


def _check_region(region: str | None, offer: Offer) -> None:
    """An endpoint whose names begin with a geography, as `eu.`, is called from a region of that geography."""
    geography = offer.endpoint.name_prefix.rstrip(".")
    if region is not None and geography in GEOGRAPHIES and region.partition("-")[0] != geography:
        reason = f"`{region}` contradicts endpoint `{offer.endpoint.name}`, called from `{geography}-…`: correct one"
        raise CatalogError(reason, key="region")
    known = offer.endpoint.regions
    if region is not None and known and region not in known:
        reason = f"`{region}` is no region from which endpoint `{offer.endpoint.name}` keeps to its places"
        raise CatalogError(f"{reason}: write one of {', '.join(sorted(known))}", key="region")


# --- where it goes ----------------------------------------------------------------------------------------------------


def _address(
    written: DeploymentConfig, offer: Offer, wire: WireTemplate, owners: HostOwners, lane: str
) -> tuple[str, frozenset[str]]:
    base_url = written.base_url or wire.base_url
    known = frozenset(host.lower().partition(":")[0] for host in wire.hosts)
    declared = frozenset(host.lower().strip("[]").rstrip(".") for host in written.hosts or ())
    for host in sorted(declared):
        reason = host_fault(host)
        if reason:
            raise ConfigError(reason, key="hosts")
    _check_owner(offer, owners, declared, "hosts")
    if not base_url:
        if lane == "direct":
            raise ConfigError("missing: add the address of the server, as `https://host/v1`", key="base_url")
        return "", declared or known
    reason = address_fault(base_url)
    found = host_of(base_url)
    if reason or found is None:
        raise ConfigError(reason or "no address", key="base_url")
    _check_owner(offer, owners, {found.host}, "base_url")
    hosts = _bound(offer, found.host, declared, known)
    if found.scheme == "http" and not is_loopback(found.host) and not (offer.is_bare and is_private(found.host)):
        raise ConfigError(
            f"`http` to `{found.host}` would send prompts in the clear: write `https`, or a host of a private network",
            key="base_url",
        )
    return base_url.rstrip("/"), hosts


def _check_owner(offer: Offer, owners: HostOwners, hosts: frozenset[str] | set[str], key: str) -> None:
    foreign = owners.foreign(hosts, offer.template.id)
    if foreign is not None:
        host, owner = foreign
        raise ConfigError(
            f"`{host}` belongs to operator `{owner}`, and this deployment says `{_declared(offer)}`: correct one",
            key=key,
        )


def _declared(offer: Offer) -> str:
    return f"via: {offer.template.id}" if offer.provider else f"operator: {offer.template.operator}"


def _bound(offer: Offer, host: str, declared: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """The hosts that may be connected to: the template's, of which a deployment may take some; else the declared."""
    if offer.is_bare:
        if not declared:
            whose = "your own server" if offer.operator == SELF else f"a server of `{offer.operator}`"
            raise ConfigError(f"missing: declare which hosts are {whose}, as `hosts: [{host}]`", key="hosts")
        if host not in declared:
            raise ConfigError(
                f"`{host}` is not among the declared hosts {_listed(declared)}: correct the address or declare it",
                key="base_url",
            )
        return declared
    if host not in known:
        raise ConfigError(f"`{host}` is no host of `{offer.template.id}`, which has {_listed(known)}", key="base_url")
    if not declared <= known:
        other = min(declared - known)
        raise ConfigError(f"`{other}` is no host of `{offer.template.id}`, which has {_listed(known)}", key="hosts")
    return declared or known


def _listed(hosts: frozenset[str]) -> str:
    return ", ".join(f"`{host}`" for host in sorted(hosts))


# --- under which name -------------------------------------------------------------------------------------------------


def _name(written: DeploymentConfig, offer: Offer, wire: WireTemplate, lane: str, tables: Tables) -> str:
    prefix = offer.endpoint.name_prefix
    if written.name is None:
        if not offer.model.name:
            raise ConfigError("missing: add the name under which this endpoint serves the model", key="name")
        return offer.template.called(replace(offer.endpoint, wire=wire), offer.model)
    name = written.name
    if offer.operator == SELF and written.server in {None, "ollama"} and REMOTE_TAG.fullmatch(name):
        reason = (
            f"`{name}` does not run here but at ollama.com: write `operator: ollama-cloud`, or a tag without `cloud`"
        )
        raise ConfigError(reason, key="name")
    if not name.startswith(prefix):
        reason = (
            f"`{name}` contradicts endpoint `{offer.endpoint.name}`, whose names begin with `{prefix}`: correct one"
        )
        raise ConfigError(reason, key="name")
    if not name.endswith(wire.name_suffix):
        reason = (
            f"`{name}` contradicts operator `{offer.operator}`, whose names end with `{wire.name_suffix}`: correct one"
        )
        raise ConfigError(reason, key="name")
    other = _prefixed_otherwise(name, offer)
    if other is not None:
        raise ConfigError(
            f"`{name}` is a name of endpoint `{other}`, and this deployment says `{offer.endpoint.name}`: correct one",
            key="name",
        )
    bare = name.removeprefix(prefix).removesuffix(wire.name_suffix)
    for model, offered in offer.template.models.items():
        if offered.name == bare and model != written.model:
            reason = (
                f"`{name}` is how `{offer.template.id}` calls `{model}`, and this deployment says `{written.model}`"
            )
            raise ConfigError(f"{reason}: correct one of the two", key="name")
    if lane == "litellm" and "/" in name:
        _check_provider(name, wire, tables)
    return name


def _prefixed_otherwise(name: str, offer: Offer) -> str | None:
    """Another endpoint to whose names this one belongs, because its prefix is there and is longer than our own."""
    for other in offer.template.endpoints.values():
        if len(other.name_prefix) > len(offer.endpoint.name_prefix) and name.startswith(other.name_prefix):
            return other.name
    return None


def _check_provider(name: str, wire: WireTemplate, tables: Tables) -> None:
    """A name such as `vertex_ai/…` would have litellm call another operator than the declared one."""
    first = name.partition("/")[0]
    own = wire.provider or OPENAI_COMPATIBLE
    providers = {endpoint.wire.provider for each in tables.templates.values() for endpoint in each.endpoints.values()}
    if first in providers - {"", own}:
        raise ConfigError(
            f"`{name}` names litellm's provider `{first}`, and this operator's is `{own}`: correct one", key="name"
        )


# --- with what --------------------------------------------------------------------------------------------------------


def _keys(written: DeploymentConfig, wire: WireTemplate, folder: Path) -> tuple[Credential, ...]:
    if written.key is None:
        return (EnvKey(wire.key),) if wire.key else ()
    try:
        found = tuple(credential_from(each, folder) for each in _each(written.key))
    except ConfigError as error:
        raise ConfigError(error.reason, key="key") from None
    names = [each.describe() for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} stands twice: remove one", key="key")
    return found


def _each(key: KeySource | tuple[KeySource, ...]) -> tuple[KeySource, ...]:
    return key if isinstance(key, tuple) else (key,)


def _header_name(name: str, key: str) -> str:
    if not HEADER.fullmatch(name):
        raise ConfigError("this is no name of a header: use letters, digits and hyphens", key=key)
    return name.lower()


def _headers(written: DeploymentConfig, wire: WireTemplate) -> dict[str, str]:
    key_header = (written.key_header or wire.key_header).lower()
    for name, value in written.headers.items():
        lower = _header_name(name, "headers")
        if lower in SECRET_HEADERS or lower == key_header:
            raise ConfigError(
                f"`{name}` holds a secret: name it under `key`, with `key_header: {lower}`", key="headers"
            )
        if lower in OWN_HEADERS:
            raise ConfigError(f"`{name}` is written by the transport: remove it", key="headers")
        if not value.isprintable():
            raise ConfigError(f"the value of `{name}` has control characters: remove them", key="headers")
    return dict(written.headers)


def _parameters(written: DeploymentConfig, wire: WireTemplate) -> Mapping[str, JSON]:
    for name, value in written.params.items():
        if name in OWN:
            raise ConfigError(f"`{name}` is written by the router: {OWN[name]}", key="params")
        if name in LIMITS:
            raise ConfigError(f"`{name}` is the output limit: set `output_tokens` of the route", key="params")
        if name in COUNTED:
            raise ConfigError(f"`{name}` is counted in the bound of each request: give it there", key="params")
        if name in BEYOND_THE_FACTS and value is not False:
            raise ConfigError(f"`{name}` may not stand here: it {BEYOND_THE_FACTS[name]}", key="params")
        if name in wire.pins and value != wire.pins[name]:
            raise ConfigError(f"`{name}` is pinned here so that the facts hold: remove it", key="params")
        supported = wire.supported_parameters if written.supported_parameters is None else written.supported_parameters
        if supported is not None and name not in supported:
            raise ConfigError(f"`{name}` is not taken by this endpoint{nearest(name, supported)}", key="params")
    return written.params


def _reasoning(written: DeploymentConfig) -> dict[Reasoning, Mapping[str, Any]]:
    levels = written.reasoning
    if levels is None:
        return {}
    return {level: members for level in Reasoning if (members := getattr(levels, level.value)) is not None}


def _tls(written: DeploymentConfig, folder: Path) -> TLS:
    paths: dict[str, str] = {}
    for key in ("ca_file", "client_certificate", "client_key"):
        value = getattr(written, key)
        if value is None:
            continue
        path = folder / Path(value).expanduser()
        if not path.is_file():
            raise ConfigError(f"there is no file `{value}`: correct the path", key=key)
        paths[key] = str(path)
    if "client_key" in paths and "client_certificate" not in paths:
        raise ConfigError("a client key without its certificate: add `client_certificate`", key="client_key")
    return TLS(**paths)


def _proxy(written: DeploymentConfig) -> str | None:
    if written.proxy is None:
        return None
    reason = address_fault(written.proxy)
    if reason:
        raise ConfigError(reason, key="proxy")
    return written.proxy
