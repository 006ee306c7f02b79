"""From a call to litellm's arguments, and to what its request must be when it leaves. Loads httpx.

A provider is called only if litellm takes our client for it, so that its one request can be bound; `ROUTES` lists them.
OpenAI-shaped endpoints get the very request that the direct lane would send. For the others litellm translates, and the
wire checks what it made: address, key, model and the output limit that the bound rests on.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import httpx
import orjson

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.direct import address_of, read_key
from modelrouter.transports.litellm_evidence import output_limit
from modelrouter.transports.litellm_wire import Outgoing, body_of_request
from modelrouter.transports.wire import body_of, encode, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.core.request import JSON
    from modelrouter.ports import Call, Endpoint
    from modelrouter.transports.direct import DirectTransport

__all__ = ["ROUTES", "Route", "prepare"]

_K = FailureKind


@dataclass(frozen=True, slots=True)
class Route:
    """How a provider is reached through litellm.

    Attributes:
        provider: litellm's provider id.
        prefix: stands before the model's name and chooses one of litellm's ways to that provider.
        is_openai_shaped: the endpoint takes chat completions, so nothing is translated.
        path: what the request's path must end with; empty where the provider has more than one.
        package: module that litellm needs beside itself.
    """

    provider: str
    prefix: str = ""
    is_openai_shaped: bool = False
    path: tuple[str, ...] = ()
    package: str = ""


# litellm's own `openai` sets a global of the package openai in every call; `hosted_vllm` speaks the same and does not.
_SHAPED: Final = Route("hosted_vllm", is_openai_shaped=True)

ROUTES: Final[Mapping[str, Route]] = {
    "openai": _SHAPED,
    "hosted_vllm": _SHAPED,
    "custom_openai": _SHAPED,
    "openai_like": _SHAPED,
    "anthropic": Route("anthropic", path=("/v1/messages",)),
    "bedrock": Route("bedrock", prefix="converse/", path=("/converse", "/converse-stream")),
    "gemini": Route("gemini", path=(":generateContent", ":streamGenerateContent")),
    "vertex_ai": Route("vertex_ai", path=(":generateContent", ":streamGenerateContent"), package="google.auth"),
}
"""The providers of this lane, by the id in `Endpoint.provider`. Each has a test that sees its request on our wire."""

KEYLESS: Final = frozenset({"vertex_ai"})
"""Providers whose credentials the operator's own library finds."""

NOT_PARAMETERS: Final = frozenset({"extra_headers", "max_retries", "stream", "stream_options"})
"""What litellm counts among parameters and is not one."""

KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
FOREIGN_HEADERS: Final = ("x-stainless-", "openai-", "x-litellm-")


def prepare(
    call: Call, *, stream: bool, direct: DirectTransport, supported: Callable[[str, str], Sequence[str] | None]
) -> Outgoing | Failure:
    """What to ask of litellm, or why this call cannot be made through it.

    Args:
        direct: makes the request for OpenAI-shaped endpoints.
        supported: litellm's list of parameters that it can give to a model of a provider.
    """
    endpoint = call.endpoint
    if call.timeout_s <= 0:
        return _not_sent(_K.TIMED_OUT, endpoint, "no time is left for it")
    route = ROUTES.get(endpoint.provider)
    if route is None:
        known = ", ".join(sorted(ROUTES))
        detail = f"litellm's provider `{endpoint.provider}` is none whose connections can be bound: use one of {known}"
        return _not_sent(_K.PORTABILITY, endpoint, detail)
    if stream and {**endpoint.parameters, **call.parameters}.get("n", 1) != 1:
        return _not_sent(_K.PORTABILITY, endpoint, "litellm gives one choice of a stream only: leave `n` out")
    if route.is_openai_shaped:
        return _shaped(call, route, direct, stream=stream)
    return _translated(call, route, supported, stream=stream)


# --- endpoints that take chat completions ---------------------------------------------------------------------------


def _shaped(call: Call, route: Route, direct: DirectTransport, *, stream: bool) -> Outgoing | Failure:
    """All members go as `extra_body`, which litellm lays over what it makes of the rest."""
    endpoint = call.endpoint
    wanted = direct.outgoing(call, stream=stream)
    if isinstance(wanted, Failure):
        return wanted
    body: dict[str, Any] = orjson.loads(wanted.body)
    extra = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
    given = {**_basics(call, route, stream=stream), "messages": orjson.loads(wanted.body)["messages"]}
    url = httpx.URL(wanted.url)
    address = url.copy_with(query=None)  # litellm would write behind a query: the wire puts it back
    given |= {"api_base": str(address).removesuffix("/chat/completions"), "api_key": "none", "extra_body": extra}

    def check(request: httpx.Request) -> Failure | None:
        if request.url != address:
            return _not_sent(_K.PORTABILITY, endpoint, "litellm would call another address than the declared one")
        made = body_of_request(request)
        names = [name for name in body if not isinstance(made, dict) or made.get(name, _MISSING) != body[name]]
        names += [name for name in made if name not in body] if isinstance(made, dict) else []
        return (
            _not_sent(_K.PORTABILITY, endpoint, f"litellm would change `{names[0]}` of the request") if names else None
        )

    return Outgoing(given, check, lambda _made: wanted.headers, lambda _made: body, url)


_MISSING: Final = object()


# --- endpoints that litellm translates for --------------------------------------------------------------------------


def _translated(
    call: Call, route: Route, supported: Callable[[str, str], Sequence[str] | None], *, stream: bool
) -> Outgoing | Failure:
    endpoint = call.endpoint
    refusal = _refuse(call, route)
    if refusal is not None:
        return refusal
    key = read_key(endpoint)
    if isinstance(key, Failure):
        return key
    model = f"{route.prefix}{endpoint.name}"
    parameters = _parameters(call)
    known = frozenset(supported(model, route.provider) or ()) - NOT_PARAMETERS
    unknown = next((name for name in parameters if name not in known), None)
    if unknown is not None:
        detail = f"litellm cannot give parameter `{unknown}` to provider `{route.provider}`"
        return _not_sent(_K.PORTABILITY, endpoint, detail)
    try:
        messages = orjson.loads(encode(call, stream=stream))["messages"]  # a copy: litellm writes into what it is given
    except TypeError:
        return _not_sent(_K.INVALID_REQUEST, endpoint, "a message or parameter has no form in JSON")
    given = {**_basics(call, route, stream=stream), "messages": messages, "max_tokens": call.max_output_tokens}
    given |= {"api_key": key or None, "api_base": _base(endpoint)}
    if route.provider == "bedrock":  # a variable of the environment would win over `api_base`
        given["aws_bedrock_runtime_endpoint"] = given["api_base"]
    given |= {**parameters, **endpoint.extra}
    return Outgoing(given, _checker(call, route, key), _heads(endpoint, key), _laid(endpoint, parameters))


def _refuse(call: Call, route: Route) -> Failure | None:
    """What can be known before litellm is asked."""
    endpoint = call.endpoint
    address = address_of(endpoint) if endpoint.base_url else ""
    if isinstance(address, Failure):
        return address
    if not endpoint.hosts:
        return _not_sent(_K.UNREACHABLE, endpoint, "it declares no `hosts`, so its address cannot be bound")
    if endpoint.key is None and route.provider not in KEYLESS:
        return _not_sent(_K.UNAUTHORIZED, endpoint, f"provider `{route.provider}` needs a `key`")
    if route.package and not _is_installed(route.package):
        package = route.package.replace(".", "-")
        return _not_sent(_K.PORTABILITY, endpoint, f"litellm needs the package `{package}` for it: install it")
    reason = refuse(call)
    if reason is None and _has_remote_part(call.messages):
        reason = "litellm would fetch what a message names by its address: give it as a `data:` URL"
    return None if reason is None else _not_sent(_K.PORTABILITY, endpoint, reason)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is missing
        return False


def _parameters(call: Call) -> dict[str, JSON]:
    """The parameters of the deployment, of the request and of the reasoning level, without what is sent otherwise."""
    endpoint = call.endpoint
    limit = endpoint.parameter_names.get("max_tokens", "max_tokens")
    aside = {"model", "messages", "stream", "stream_options", limit, *endpoint.pins}
    return {name: value for name, value in body_of(call, stream=False).items() if name not in aside}


def _base(endpoint: Endpoint) -> str | None:
    """Where litellm is to send it; None leaves it litellm's own address, which the wire then checks."""
    if endpoint.base_url:
        return endpoint.base_url
    return (
        f"https://{next(iter(endpoint.hosts))}" if endpoint.provider == "bedrock" and len(endpoint.hosts) == 1 else None
    )


def _checker(call: Call, route: Route, key: str) -> Callable[[httpx.Request], Failure | None]:
    endpoint = call.endpoint
    declared = urlsplit(endpoint.base_url) if endpoint.base_url else None

    def check(request: httpx.Request) -> Failure | None:
        url = request.url
        host = url.host.lower().rstrip(".")
        if host not in endpoint.hosts and f"{host}:{url.port}" not in endpoint.hosts:
            return _not_sent(_K.UNREACHABLE, endpoint, f"host `{host}` is not among its hosts")
        wanted = (declared.scheme, declared.port) if declared is not None else ("https", None)
        if (url.scheme, url.port) != wanted or not url.path.endswith(route.path):
            return _not_sent(_K.PORTABILITY, endpoint, "litellm would call another address than the declared one")
        if key and not any(key in request.headers.get(name, "") for name in KEY_HEADERS):
            return _not_sent(_K.UNAUTHORIZED, endpoint, "litellm would send another key than the declared one")
        return _check_body(call, request)

    return check


def _check_body(call: Call, request: httpx.Request) -> Failure | None:
    """Model and output limit, on which the facts and the bound rest."""
    endpoint = call.endpoint
    body = body_of_request(request)
    if not isinstance(body, dict):
        return _not_sent(_K.PORTABILITY, endpoint, "litellm would send something else than JSON")
    if body.get("model", endpoint.name) != endpoint.name or (
        "model" not in body and not _names(endpoint, request.url.path)
    ):
        return _not_sent(_K.PORTABILITY, endpoint, "litellm would ask for another model")
    if output_limit(body, "max_tokens") != call.max_output_tokens:
        return _not_sent(_K.PORTABILITY, endpoint, "litellm would change the output limit that the bound rests on")
    return None


def _names(endpoint: Endpoint, path: str) -> bool:
    return f"/{endpoint.name}" in unquote(path)


def _heads(endpoint: Endpoint, key: str) -> Callable[[Mapping[str, str]], Mapping[str, str]]:
    """The headers that litellm makes, without what it adds from the environment, with the endpoint's own."""

    def heads(made: Mapping[str, str]) -> Mapping[str, str]:
        kept = {name: value for name, value in made.items() if not name.lower().startswith(FOREIGN_HEADERS)}
        if key:
            kept = {name: value for name, value in kept.items() if name.lower() not in KEY_HEADERS or key in value}
        own = {name: value for name, value in endpoint.headers.items() if name.lower() not in kept}
        return {**kept, **own, "user-agent": "modelrouter"}

    return heads


def _laid(endpoint: Endpoint, parameters: Mapping[str, JSON]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The body with the endpoint's pins, and without the temperature that litellm gives Google's models unasked."""

    def laid(body: dict[str, Any]) -> dict[str, Any]:
        settings = body.get("generationConfig")
        if "temperature" in parameters or not isinstance(settings, Mapping):
            return {**body, **endpoint.pins}
        kept = {name: value for name, value in settings.items() if name != "temperature"}
        return {**body, "generationConfig": kept, **endpoint.pins}

    return laid


def _has_remote_part(messages: Sequence[Mapping[str, JSON]]) -> bool:
    """Whether a part names something by its address, which litellm may fetch from this machine."""
    contents = (message.get("content") for message in messages)
    parts = (part for content in contents if isinstance(content, Sequence) for part in content)
    return any(_is_remote(part) for part in parts if isinstance(part, Mapping))


def _is_remote(part: Mapping[str, JSON]) -> bool:
    for value in part.values():
        if isinstance(value, Mapping) and _is_remote(value):
            return True
    named = [part.get(name) for name in ("url", "image_url", "file_id", "video_url")]
    return any(isinstance(each, str) and not each.startswith("data:") for each in named)


# --- common -----------------------------------------------------------------------------------------------------------


def _basics(call: Call, route: Route, *, stream: bool) -> dict[str, Any]:
    """What every call gives: no retry, nothing dropped, nothing that litellm would keep."""
    given: dict[str, Any] = {
        "model": f"{route.provider}/{route.prefix}{call.endpoint.name}",
        "custom_llm_provider": route.provider,
        "timeout": call.timeout_s,
        "max_retries": 0,
        "num_retries": 0,
        "drop_params": False,
    }
    if stream:
        given |= {"stream": True, "stream_options": {"include_usage": True}}
    return given


def _not_sent(kind: FailureKind, endpoint: Endpoint, detail: str) -> Failure:
    return Failure(kind, Phase.NOT_SENT, f"`{endpoint.deployment}`: {detail}")
