"""A stream of litellm's that is being read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import Delta
from modelrouter.transports.assembly import Assembly
from modelrouter.transports.litellm_faults import exception_failure
from modelrouter.transports.litellm_import import quiet
from modelrouter.transports.litellm_reply import body_of_given
from modelrouter.transports.litellm_wire import Lifted
from modelrouter.transports.reply import INTERRUPTED
from modelrouter.transports.stream import CUTS, REST_S

if TYPE_CHECKING:
    from modelrouter.core.request import JSON
    from modelrouter.ports import Call, StreamEnd
    from modelrouter.transports.litellm_import import Litellm
    from modelrouter.transports.litellm_reply import Given, GivenStream
    from modelrouter.transports.litellm_wire import Wire

__all__ = ["Stream"]


class Stream:
    """One streamed reply whose headers have come.

    The first content must come by `first_deadline_s`, and then each piece within the call's time between chunks.

    litellm is asked for pieces until it has given every finish_reason that the wire has seen; from then on the wire
    lifts the end, because litellm would count usage by itself there, and fetch a tokenizer for it.
    """

    def __init__(
        self, call: Call, given: GivenStream, wire: Wire, litellm: Litellm, *, first_deadline_s: float
    ) -> None:
        self._call = call
        self._given = given
        self._pieces = aiter(given)
        self._wire = wire
        self._litellm = litellm
        self._deadline_s = first_deadline_s
        self._assembly = Assembly(call.endpoint)
        self._finished: set[int] = set()
        self._is_over = False
        self._waiting: asyncio.Timeout | None = None  # of whoever waits for a piece
        self._nobody_waits = asyncio.Event()

    async def next(self) -> Delta | StreamEnd | Failure:
        """The next piece, the end, or why there is none."""
        try:
            piece = await self._next()
        except BaseException:
            await self.close()
            raise
        if not isinstance(piece, Delta):
            await self.close()
        return piece

    async def close(self) -> None:
        """Drop the connection, unless the reply was read to its end. Whoever waits for a piece is woken first.

        litellm's generators cannot be closed while they run, so a close from another task ends the wait by its limit.
        """
        if not self._is_over:
            self._is_over = True
            if self._waiting is not None:
                self._waiting.reschedule(asyncio.get_running_loop().time())
                await self._nobody_waits.wait()
            with quiet(self._litellm), contextlib.suppress(Exception, Lifted):
                await self._given.aclose()
            await self._wire.hang_up()

    async def _next(self) -> Delta | StreamEnd | Failure:
        evidence = self._wire.evidence
        if self._wire.has_ended and evidence.is_whole and evidence.reasons.keys() <= self._finished:
            return self._end()
        if self._assembly.begun:
            wait_s = min(self._call.next_chunk_s, REST_S) if self._assembly.is_whole else self._call.next_chunk_s
            self._deadline_s = asyncio.get_running_loop().time() + wait_s
        try:
            chunk = await self._given_next()
        except Lifted as lifted:
            return self._lifted(lifted)
        except (StopAsyncIteration, TimeoutError) as fault:
            return self._end() if isinstance(fault, StopAsyncIteration) else self._late()
        except Exception as fault:  # noqa: BLE001 - litellm raises what it likes
            failure = exception_failure(fault, self._call.endpoint.deployment, Phase.ANSWERING)
            return self._assembly.broken(failure)
        return self._take(chunk)

    async def _given_next(self) -> Given:
        """The next chunk of litellm's, waited for until the deadline or until the stream is closed."""
        self._nobody_waits.clear()
        try:
            with quiet(self._litellm):
                async with asyncio.timeout_at(self._deadline_s) as self._waiting:
                    return await anext(self._pieces)
        finally:
            self._waiting = None
            self._nobody_waits.set()

    def _take(self, chunk: Given) -> Delta | Failure:
        """One chunk of litellm's, as the provider meant it."""
        evidence = self._wire.evidence
        body = body_of_given(chunk, evidence)
        body["object"] = "chat.completion.chunk"
        body.pop("usage", None)
        for choice in body.get("choices") or ():
            index = choice.get("index", 0)
            said = evidence.reasons.get(index)
            if choice.get("finish_reason") is not None:
                self._finished.add(index)
                if said in INTERRUPTED:
                    choice["finish_reason"] = said
        self._wire.lifts_end = bool(evidence.reasons) and evidence.reasons.keys() <= self._finished
        return self._assembly.take_chunk(body)

    def _lifted(self, lifted: Lifted) -> StreamEnd | Failure:
        if lifted.failure is not None:
            return self._broken(lifted.failure)
        reported = lifted.reported
        return self._assembly.reported(reported) if isinstance(reported, Mapping) else self._end()

    def _end(self) -> StreamEnd | Failure:
        evidence = self._wire.evidence
        self._assembly.take_usage(evidence.usage)
        said: list[JSON] = [{"index": index, "delta": {"refusal": text}} for index, text in evidence.refusals.items()]
        if said:
            self._assembly.take_chunk({"model": evidence.model, "choices": said})
        ended = self._assembly.end()
        if isinstance(ended, Failure) and ended.kind is FailureKind.TRUNCATED:
            return replace(ended, detail="litellm gave no end of the answer")
        return ended

    def _late(self) -> StreamEnd | Failure:
        call = self._call
        what, limit_s = (
            ("next piece", call.next_chunk_s) if self._assembly.begun else ("first content", call.first_content_s)
        )
        detail = f"the {what} did not come in {limit_s:g} s"
        return self._broken(Failure(FailureKind.TIMED_OUT, Phase.ANSWERING, detail))

    def _broken(self, failure: Failure) -> StreamEnd | Failure:
        """What a connection's end comes to: nothing, once the answer is whole."""
        is_whole = self._assembly.is_whole and self._wire.evidence.is_whole
        return self._end() if is_whole and failure.kind in CUTS else self._assembly.broken(failure)
