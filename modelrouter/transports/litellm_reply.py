"""What litellm made of a reply, set right by what the provider itself said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelrouter.transports.reply import INTERRUPTED, judge, report_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from modelrouter.core.attempts import Failure
    from modelrouter.ports import Answer, Endpoint
    from modelrouter.transports.litellm_evidence import Evidence

__all__ = ["Given", "GivenStream", "answer_of", "body_of_given", "with_report"]

EMPTY: Final[tuple[object, ...]] = (None, {}, [])


class Given(Protocol):
    """What litellm gives: a reply, a chunk, or a stream of chunks."""

    def model_dump(self) -> dict[str, Any]:
        """Its members as plain values."""
        ...


class GivenStream(Protocol):
    """A stream of litellm's."""

    def __aiter__(self) -> AsyncIterator[Given]:
        """Its chunks."""
        ...

    async def aclose(self) -> None:
        """Let go of it."""
        ...


def answer_of(endpoint: Endpoint, given: Given, evidence: Evidence) -> Answer | Failure:
    """A reply of litellm's as an answer, or as what is wrong with it."""
    body = body_of_given(given, evidence)
    body["usage"] = evidence.usage
    for choice in body.get("choices") or ():
        _set_reason(choice, evidence)
    return judge(endpoint, body)


def with_report(failure: Failure, endpoint: Endpoint, evidence: Evidence) -> Failure:
    """A failure of a reply that came whole: what its provider reported is billed."""
    return replace(failure, usage=report_of(evidence.usage, endpoint)[0])


def body_of_given(given: Given, evidence: Evidence) -> dict[str, Any]:
    """A reply or chunk of litellm's as plain values, without the members that it only fills up.

    Model and provider are named as they named themselves: litellm names whoever was asked.
    """
    body: dict[str, Any] = {name: value for name, value in given.model_dump().items() if value is not None}
    body["model"] = evidence.model
    if evidence.provider:
        body["provider"] = evidence.provider
    for choice in body.get("choices") or ():
        for name in ("message", "delta"):
            message = choice.get(name)
            if isinstance(message, Mapping):
                kept = {**_further(message), **{key: value for key, value in message.items() if value not in EMPTY}}
                choice[name] = {"content": None, **kept} if name == "message" else kept
                choice[name].pop("provider_specific_fields", None)
        if choice.get("provider_specific_fields") in EMPTY:
            choice.pop("provider_specific_fields", None)
    return body


def _further(message: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a message that litellm has no place for and puts aside, such as `refusal`."""
    aside = message.get("provider_specific_fields")
    return {key: value for key, value in aside.items() if value not in EMPTY} if isinstance(aside, Mapping) else {}


def _set_reason(choice: dict[str, Any], evidence: Evidence) -> None:
    """Undo that litellm turns no reason, and reasons of its provider that it does not know, into `stop`."""
    said = evidence.reasons.get(choice.get("index", 0))
    if said is None or said in INTERRUPTED:
        choice["finish_reason"] = said
