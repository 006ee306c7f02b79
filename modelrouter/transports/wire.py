"""From a call to the bytes of a chat-completions request. Pure.

The body is built in this order, later members laid over earlier ones: the deployment's own parameters, the
request's, the members that ask for the reasoning level, the pins, and what is ours alone: model, messages, the
output limit that the bound rests on, and the stream options. What a request says is never dropped: where it could
not be sent as said, `refuse` tells so before anything is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from modelrouter.core.request import Reasoning
from modelrouter.transports.parameters import LIMITS, OWN, PARAMETERS, check_parameters

if TYPE_CHECKING:
    from modelrouter.core.request import JSON
    from modelrouter.ports import Call, Endpoint

__all__ = ["body_of", "check_parameters", "encode", "refuse"]

PASSTHROUGH: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
"""A date or a dataclass in a request is a mistake of the caller, not something to give a form of our own choice."""


def refuse(call: Call) -> str | None:
    """Why this endpoint cannot be sent this call as it is, or None.

    A parameter that it does not take, or one that would stand where a pin, the reasoning level or a member of ours
    stands.
    """
    endpoint = call.endpoint
    for name, value in call.parameters.items():
        reason = _refuse_parameter(endpoint, name, value)
        if reason is not None:
            return reason
    renamed = [endpoint.parameter_names.get(name, name) for name in call.parameters]
    twice = next((name for name in renamed if renamed.count(name) > 1), None)
    if twice is not None:
        return f"two parameters of the request become `{twice}` at `{endpoint.deployment}`: give one of them"
    return _refuse_reasoning(call)


def _refuse_parameter(endpoint: Endpoint, name: str, value: JSON) -> str | None:
    sent_as = endpoint.parameter_names.get(name, name)
    for member in (name, sent_as):
        if member in OWN:
            return f"parameter `{member}` is written by the router: {OWN[member]}"
    if name in LIMITS or sent_as == _limit_name(endpoint):
        return f"parameter `{name}` is the output limit: give it as `max_output_tokens`, so that it is counted"
    supported = PARAMETERS if endpoint.supported_parameters is None else endpoint.supported_parameters
    if name not in supported and sent_as not in supported and name not in endpoint.parameter_names:
        return f"`{endpoint.deployment}` does not take parameter `{name}`"
    if isinstance(value, float) and not math.isfinite(value):
        return f"parameter `{name}` is not a finite number, which JSON cannot say"
    if sent_as in endpoint.pins and value != endpoint.pins[sent_as]:
        return f"parameter `{name}` is pinned at `{endpoint.deployment}`, so that its facts hold: leave it out"
    return None


def _refuse_reasoning(call: Call) -> str | None:
    """A level that the deployment cannot be asked for, or that a parameter of the request contradicts."""
    endpoint = call.endpoint
    if call.reasoning is None:
        return None
    members = endpoint.reasoning.get(call.reasoning)
    if members is None:
        if call.reasoning is Reasoning.NONE:
            return None
        return f"`{endpoint.deployment}` has no parameter that asks for reasoning `{call.reasoning.value}`"
    for name, value in call.parameters.items():
        sent_as = endpoint.parameter_names.get(name, name)
        if sent_as in members and _contradict(members[sent_as], value):
            return f"parameter `{name}` contradicts reasoning `{call.reasoning.value}`: give one of them"
    return None


def _contradict(first: JSON, second: JSON) -> bool:
    """Whether two values of one member say different things; two objects do so only where a member of both differs."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return any(_contradict(first[name], second[name]) for name in first.keys() & second.keys())
    return first != second


def _limit_name(endpoint: Endpoint) -> str:
    return endpoint.parameter_names.get("max_tokens", "max_tokens")


def body_of(call: Call, *, stream: bool) -> dict[str, JSON]:
    """The request body, for a call that `refuse` has nothing against."""
    endpoint = call.endpoint
    names = endpoint.parameter_names
    body: dict[str, JSON] = {"model": endpoint.name, "messages": call.messages}
    for parameters in (endpoint.parameters, call.parameters):
        for name, value in parameters.items():
            body[names.get(name, name)] = value
    if call.reasoning is not None:
        _lay_over(body, endpoint.reasoning.get(call.reasoning, {}))
    _lay_over(body, endpoint.pins)
    for name in LIMITS | {"stream", "stream_options"}:
        body.pop(name, None)
    body["model"] = endpoint.name
    body["messages"] = call.messages
    body[_limit_name(endpoint)] = call.max_output_tokens
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _lay_over(body: dict[str, JSON], members: Mapping[str, JSON]) -> None:
    """Set members; an object is joined with the one that stands there, so that neither loses what is its own."""
    for name, value in members.items():
        there = body.get(name)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            joined = dict(there)
            _lay_over(joined, value)
            body[name] = joined
        else:
            body[name] = value


def encode(call: Call, *, stream: bool) -> bytes:
    """The request body as JSON.

    Raises:
        TypeError: something in the messages or parameters has no form in JSON.
    """
    return orjson.dumps(body_of(call, stream=stream), default=_plain, option=PASSTHROUGH)


def _plain(value: object) -> object:
    """Read-only mappings and sequences as the plain ones that the JSON writer knows."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError(f"`{type(value).__name__}` has no form in JSON")
