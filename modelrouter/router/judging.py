"""Whether an answer is one: the route's rules, the JSON that was asked for, and the caller's own test.

A lane tells what a reply says by itself (a refusal, a filter, nothing said). What only this request knows is asked
here, of whole answers alone: a stream can be judged only at its end. Every failure found here was answered, so it is
billed by its usage, and nothing in it shows any of the answer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson

from modelrouter.core.failure import Failure, FailureKind, Phase
from modelrouter.errors import RequestError
from modelrouter.ports import Unwanted
from modelrouter.router.json_format import schema_of, wants_json
from modelrouter.router.own_thread import in_own_thread
from modelrouter.transports.reply import says, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.request import JSON, Accept, Message, Request
    from modelrouter.core.route import Route
    from modelrouter.ports import Answer

__all__ = ["Judge"]

INLINE_CHARACTERS: Final = 32 * 1024
"""Longer answers are held against a schema in a thread, so that other calls of this loop go on."""
CHARACTERS_MAX: Final = 4 * 1024 * 1024


class Judge:
    """Judges the answers of one request.

    Attributes:
        fault: what the caller's own test raised. The answer is booked as one, and this is raised to the caller.
    """

    def __init__(self, request: Request, route: Route) -> None:
        self.fault: Exception | None = None
        self._accept: Accept | None = request.accept
        self._returned = route.returned
        self._wants_json = wants_json(request.parameters)
        self._schema = schema_of(request.parameters)

    async def judge(self, got: Answer | Failure, left_s: float) -> Answer | Failure:
        """An answer that this request wants, or why it is none.

        Args:
            left_s: seconds until the request's deadline, for the caller's own test.
        """
        if isinstance(got, Failure) and not isinstance(got, Unwanted):
            return got
        unwanted = got if isinstance(got, Unwanted) else _empty(got) or await self._not_the_json(got)
        answer = got.answer if isinstance(got, Unwanted) else got
        if unwanted is not None:
            if unwanted.kind not in self._returned:
                return unwanted
            answer = replace(answer, flaw=unwanted.kind)
        return answer if self._accept is None else await self._asked(self._accept, answer, left_s)

    async def _not_the_json(self, answer: Answer) -> Unwanted | None:
        """Why no choice is the JSON that was asked for; tool calls are not held against it."""
        if not self._wants_json:
            return None
        messages = _messages(answer)
        texts = [text_of(each.get("content")) for each in messages if not each.get("tool_calls")]
        if len(texts) < len(messages):
            return None
        long = sum(map(len, texts)) > INLINE_CHARACTERS
        detail = await asyncio.to_thread(self._broken, texts) if long else self._broken(texts)
        if not detail:
            return None
        cut = " (it was cut off at its output limit)" if answer.finish_reason == "length" else ""
        return _unwanted(FailureKind.REJECTED, detail + cut, answer)

    def _broken(self, texts: Sequence[str]) -> str:
        """What is wrong with the first text, where something is wrong with all of them; else empty."""
        details = [self._detail(text) for text in texts]
        return details[0] if all(details) else ""

    def _detail(self, text: str) -> str:
        if len(text) > CHARACTERS_MAX:
            return f"the answer is longer than {CHARACTERS_MAX} characters, which is not checked"
        try:
            value: JSON = orjson.loads(text)
        except orjson.JSONDecodeError:
            return "the answer is not JSON"
        if self._schema is None:
            return "" if isinstance(value, dict) else "the answer is no JSON object"
        from modelrouter.router.json_schema import broken_keyword

        broken = broken_keyword(self._schema, value)
        return "" if broken is None else f"the answer breaks the asked schema (`{broken}`)"

    async def _asked(self, accept: Accept, answer: Answer, left_s: float) -> Answer | Failure:
        """Ask the caller. A test that breaks is the caller's error: the answer stands, and is booked as one."""
        try:
            async with asyncio.timeout(max(left_s, 0.0)) as limit:
                is_async = inspect.iscoroutinefunction(accept) or inspect.iscoroutinefunction(type(accept).__call__)
                said = (
                    accept(answer.message) if is_async else await in_own_thread(partial(_call, accept, answer.message))
                )
                wanted: object = await said if inspect.isawaitable(said) else said
        except Exception as error:  # noqa: BLE001 - a function of the application may raise anything
            if isinstance(error, TimeoutError) and limit.expired():
                return _unwanted(FailureKind.REJECTED, "`accept` did not answer by the deadline", answer)
            self.fault = error
            return answer
        if not isinstance(wanted, bool):
            self.fault = RequestError(f"`accept` must answer True or False, not a `{type(wanted).__name__}`")
            return answer
        return answer if wanted else _unwanted(FailureKind.REJECTED, "`accept` did not take the answer", answer)


def _call(accept: Accept, message: Message) -> object:
    """What it says; no future could carry a StopIteration, so that it would be waited for until the deadline.

    Raises:
        RuntimeError: in its place, as in a generator.
    """
    try:
        return accept(message)
    except StopIteration as error:
        raise RuntimeError("`accept` raised StopIteration") from error


def _messages(answer: Answer) -> list[Mapping[str, JSON]]:
    """The message of every choice."""
    choices = answer.body.get("choices")
    found = [each.get("message") for each in choices if isinstance(each, Mapping)] if isinstance(choices, list) else []
    return [each for each in found if isinstance(each, Mapping)] or [answer.message]


def _empty(answer: Answer) -> Unwanted | None:
    """What an answer that says nothing is: a lane of the caller's own may leave that to be found here."""
    if any(says(message) for message in _messages(answer)):
        return None
    kind = {"length": FailureKind.OUT_OF_TOKENS_EMPTY, "content_filter": FailureKind.CONTENT_FILTERED}.get(
        answer.finish_reason, FailureKind.EMPTY
    )
    return _unwanted(kind, "the answer ended and said nothing", answer)


def _unwanted(kind: FailureKind, detail: str, answer: Answer) -> Unwanted:
    return Unwanted(
        kind=kind,
        phase=Phase.ANSWERING,
        detail=detail,
        status=200,
        usage=answer.usage,
        text=text_of(answer.message.get("content")),
        answer=answer,
    )
