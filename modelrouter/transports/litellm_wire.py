"""The connections that litellm is given: bound to one call, watched, and ours to close. Loads httpx.

litellm would use clients of its own: shared by the process, open to proxies from the environment, following redirects,
trying again by themselves. So every call brings a client whose transport is a `Wire`. It lets one request through, to
the endpoint's own address only, and looks at what goes out and what comes back. What fails there is lifted out past
litellm as a `Lifted`, which is no `Exception`: litellm maps exceptions by their text, logs them, prints, and retries.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
import orjson

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.bounded import ReplyTooLongError, Unpacked, UnreadableError
from modelrouter.transports.exchange import CLOSING_SERVERS, NO_STREAM
from modelrouter.transports.litellm_evidence import USAGE_MEMBERS, Evidence, Frames
from modelrouter.transports.litellm_faults import network_failure
from modelrouter.transports.litellm_reply import with_report
from modelrouter.transports.reply import decode, failed_choice, is_error_only
from modelrouter.transports.sse import EventReader, EventTooLongError
from modelrouter.transports.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from modelrouter.core.request import JSON
    from modelrouter.ports import Call

__all__ = ["Lifted", "Outgoing", "Wire", "body_of_request"]

T = TypeVar("T")

LINGER_S: Final = 0.05
"""How long the end of a reply is waited for after its last event."""

BINARY_STREAM: Final = "application/vnd.amazon.eventstream"
DONE: Final = b"[DONE]"
NO_USAGE: Final = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "accept-encoding"})
"""Headers that follow from address and body, and the one that says what we can unpack."""


class Lifted(BaseException):
    """An outcome on its way out.

    Attributes:
        failure: what the attempt came to; None for the end of a stream that litellm need not see.
        reported: an object that holds an error, which means more where content has come before it.
    """

    def __init__(self, failure: Failure | None, reported: JSON = None) -> None:
        super().__init__()
        self.failure = failure
        self.reported = reported


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call that is ready for litellm.

    Attributes:
        arguments: of `litellm.acompletion`, without the client.
        check: why a request may not leave as litellm has made it, or None.
        headers: the headers to send, from those that litellm has made.
        laid: the body to send, from the one that litellm has made; None sends that.
        url: where to send it; None is where litellm wants to.
    """

    arguments: Mapping[str, Any]
    check: Callable[[httpx.Request], Failure | None]
    headers: Callable[[Mapping[str, str]], Mapping[str, str]]
    laid: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    url: httpx.URL | None = None


@dataclass(slots=True)
class _Progress:
    """How far a call has come, as httpcore's trace tells it."""

    is_sent: bool = False
    is_new: bool = False
    is_answering: bool = False

    async def trace(self, event: str, _details: Mapping[str, Any]) -> None:
        self.is_new = self.is_new or event == "connection.connect_tcp.started"
        self.is_sent = self.is_sent or event.endswith("send_request_headers.started")

    @property
    def phase(self) -> Phase:
        if self.is_answering:
            return Phase.ANSWERING
        return Phase.SENT if self.is_sent else Phase.NOT_SENT


@dataclass(slots=True)
class Wire(httpx.AsyncBaseTransport):
    """The connection of one call.

    Attributes:
        evidence: what the provider itself has said.
        lifts_end: litellm need not see the stream's end any more.
        has_ended: the stream's end was seen.
    """

    call: Call
    outgoing: Outgoing
    connections: httpx.AsyncBaseTransport
    is_stream: bool
    evidence: Evidence = field(init=False)
    lifts_end: bool = False
    has_ended: bool = False
    _progress: _Progress = field(default_factory=_Progress)
    _is_used: bool = False
    _reply: httpx.Response | None = None
    _pieces: AsyncGenerator[bytes, None] | None = None
    _told_reply: _StreamedReply | None = None

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.call.endpoint.reply_depth_max)

    @property
    def phase(self) -> Phase:
        """How far the call has come."""
        return self._progress.phase

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let the call's one request through."""
        if self._is_used:
            raise Lifted(
                self._failure(FailureKind.PORTABILITY, "litellm wanted to ask twice: the first answer is lost")
            )
        refusal = self.outgoing.check(request)
        if refusal is not None:
            raise Lifted(refusal)
        self._is_used = True
        try:
            self._reply = reply = await self.connections.handle_async_request(self._bound(request))
            self._progress.is_answering = True
            reply.request = request
            if self.is_stream and reply.status_code == 200 and _type_of(reply) not in NO_STREAM:
                return self._stream_of(reply)
            body = await self._read(reply)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as fault:
            raise Lifted(self._fault(fault)) from None
        return self._whole(reply, body)

    async def hang_up(self) -> None:
        """Close the call's connection, unless its reply was read to the end."""
        if self._told_reply is not None:
            await self._told_reply.end_iterations()
        if self._pieces is not None:
            await self._pieces.aclose()
        if self._reply is not None:
            await self._reply.aclose()

    async def aclose(self) -> None:
        """Nothing: litellm closes clients, and the connections belong to the lane."""

    def _bound(self, request: httpx.Request) -> httpx.Request:
        """The request as it leaves: our headers, our pins, our limits of time."""
        outgoing = self.outgoing
        headers = {name: value for name, value in outgoing.headers(request.headers).items() if name.lower() not in OURS}
        body = request.content
        made = None if outgoing.laid is None else body_of_request(request)
        if outgoing.laid is not None and isinstance(made, dict):
            body = orjson.dumps(outgoing.laid(made))
        headers["Accept-Encoding"] = "identity" if self.is_stream else "gzip"  # compression would hold pieces back
        timeout = {"connect": self.call.connect_s, "read": None, "write": None, "pool": None}
        extensions = {"trace": self._progress.trace, "timeout": timeout}
        url = outgoing.url or request.url
        return httpx.Request(request.method, url, headers=headers, content=body, extensions=extensions)

    async def _read(self, reply: httpx.Response) -> bytes:
        try:
            unpacked = Unpacked(reply.headers.get("content-encoding", "").lower(), self.call.endpoint.reply_bytes_max)
            async for piece in reply.aiter_raw():
                unpacked.take(piece)
            return unpacked.whole()
        except ReplyTooLongError:
            raise Lifted(self._too_long(reply)) from None
        except UnreadableError as fault:
            failure = self._failure(FailureKind.MALFORMED_REPLY, f"the reply {fault.what}")
            raise Lifted(self._by_status(reply, failure)) from None
        finally:
            await reply.aclose()

    def _whole(self, reply: httpx.Response, body: bytes) -> httpx.Response:
        """A complete reply for litellm to translate, if there is anything to translate.

        Raises:
            Lifted: an error status, something that is no JSON object, an error in place of an answer.
        """
        endpoint = self.call.endpoint
        reported: JSON = None
        with contextlib.suppress(UnreadableError):  # `decode` says what is wrong with it
            reported = self.evidence.take_bytes(body)
        if reply.status_code != 200 or not isinstance(reported, dict) or is_error_only(reported):
            decoded = decode(endpoint, reply.status_code, reply.headers, body)
            if isinstance(decoded, Failure):
                raise Lifted(decoded)
        if self.is_stream:
            detail = "answered in one piece where a stream was asked for"
            raise Lifted(with_report(self._answering(FailureKind.MALFORMED_REPLY, detail), endpoint, self.evidence))
        if isinstance(reported, dict) and "choices" in reported and usage_of(reported.get("usage")) is None:
            body = orjson.dumps({**reported, "usage": NO_USAGE})  # litellm fails over counts that are none
        headers = {name: value for name, value in reply.headers.items() if name != "content-encoding"}
        headers["content-length"] = str(len(body))
        return httpx.Response(reply.status_code, headers=headers, content=body, request=reply.request)

    def _stream_of(self, reply: httpx.Response) -> httpx.Response:
        if "content-encoding" in reply.headers:
            raise Lifted(self._failure(FailureKind.MALFORMED_REPLY, "a stream was compressed, which nobody asked for"))
        self._pieces = pieces = self._frames(reply) if _type_of(reply) == BINARY_STREAM else self._events(reply)
        self._told_reply = told = _StreamedReply(
            200, headers=reply.headers, stream=_Pieces(pieces, reply), request=reply.request
        )
        return told

    async def _events(self, reply: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Events one by one, so that litellm hands out what came before an error or a cut."""
        reader = EventReader()
        async with contextlib.aclosing(self._raw(reply)) as raw:
            async for piece in raw:
                try:
                    events = reader.feed(piece) if piece is not None else reader.end()
                except EventTooLongError:
                    raise Lifted(self._too_long(reply)) from None
                for event in events:
                    if event.data == DONE:
                        await self._linger(reply, raw)
                        self._end()
                        return
                    told = self._told(event.data, error="error" if event.is_error else "", is_last=piece is None)
                    if told:
                        yield b"data: " + orjson.dumps(told) + b"\n\n"
        self._end()

    async def _linger(self, reply: httpx.Response, raw: AsyncGenerator[bytes | None, None]) -> None:
        """Read the end of a reply whose answer is complete, so that its connection can be used again."""
        if reply.headers.get("server") in CLOSING_SERVERS:
            return
        try:
            async with asyncio.timeout(LINGER_S):
                while await anext(raw, None) is not None:
                    pass
        except (TimeoutError, Lifted):
            await reply.aclose()

    def _told(self, data: bytes, *, error: str, is_last: bool = False) -> dict[str, Any]:
        """One event as litellm is told it: without its usage, which litellm would count from and warn about.

        Raises:
            Lifted: it is none, or reports an error.
        """
        reported: Any = None
        what = "is not a JSON object"
        try:
            reported = self.evidence.take_bytes(data)
        except UnreadableError as fault:
            what = fault.what
        if not isinstance(reported, dict):
            if is_last:
                raise Lifted(self._answering(FailureKind.TRUNCATED, "the stream ended in the middle of a chunk"))
            raise Lifted(self._answering(FailureKind.MALFORMED_REPLY, f"a chunk of the stream {what}"))
        if error or reported.get("error") or is_error_only(reported):
            raise Lifted(None, {"type": error, **reported})
        failed = failed_choice(reported.get("choices"))
        if failed is not None:
            raise Lifted(None, failed)
        told = {name: value for name, value in reported.items() if name not in USAGE_MEMBERS}
        only_usage = told.get("choices") == [] and len(told) < len(reported)
        return {} if only_usage else told

    async def _frames(self, reply: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The messages of an AWS event stream, which are framed otherwise."""
        reader = Frames()
        async with contextlib.aclosing(self._raw(reply)) as raw:
            async for piece in raw:
                try:
                    frames = reader.feed(piece or b"")
                except ValueError:
                    detail = "the stream is not framed as it says"
                    raise Lifted(self._answering(FailureKind.MALFORMED_REPLY, detail)) from None
                for frame in frames:
                    told = self._told(frame.payload, error=frame.error)
                    if told.keys() - {"metrics", "trace"}:
                        yield frame.whole
        self._end()

    async def _raw(self, reply: httpx.Response) -> AsyncGenerator[bytes | None, None]:
        """The bytes as they come, and None at their end."""
        left = self.call.endpoint.reply_bytes_max
        try:
            async for piece in reply.aiter_raw():
                yield piece[:left]
                left -= len(piece)
                if left < 0:
                    raise Lifted(self._too_long(reply))
        except (httpx.HTTPError, httpx.StreamError, OSError) as fault:
            raise Lifted(self._fault(fault)) from None
        yield None

    def _end(self) -> None:
        """The stream is over. litellm would end any stream with `stop`, and count what usage it was not told.

        Raises:
            Lifted: it was cut, or litellm has given all that it has.
        """
        self.has_ended = True
        if not self.evidence.is_whole:
            raise Lifted(self._answering(FailureKind.TRUNCATED, "the stream ended before the answer did"))
        if self.lifts_end:
            raise Lifted(None)

    def _fault(self, fault: Exception) -> Failure:
        progress = self._progress
        failure = network_failure(
            fault, self.call.endpoint.deployment, progress.phase, is_reused=progress.is_sent and not progress.is_new
        )
        reply = self._reply
        return failure if reply is None else self._by_status(reply, failure)

    def _too_long(self, reply: httpx.Response) -> Failure:
        return self._by_status(reply, self._failure(FailureKind.MALFORMED_REPLY, "the reply is longer than is read"))

    def _by_status(self, reply: httpx.Response, failure: Failure) -> Failure:
        """An error status that was read counts more than a body that could not be."""
        if 200 <= reply.status_code < 300:
            return failure
        decoded = decode(self.call.endpoint, reply.status_code, reply.headers, b"")
        return decoded if isinstance(decoded, Failure) else failure

    def _failure(self, kind: FailureKind, detail: str) -> Failure:
        return Failure(kind, self.phase, f"`{self.call.endpoint.deployment}`: {detail}")

    def _answering(self, kind: FailureKind, detail: str) -> Failure:
        return Failure(kind, Phase.ANSWERING, detail, status=200)


class _StreamedReply(httpx.Response):
    """A reply that knows who iterates over it. litellm leaves iterations unfinished, and the loop would find them."""

    def _remember(self, iteration: AsyncIterator[T]) -> AsyncIterator[T]:
        self.__dict__.setdefault("iterations", []).append(iteration)
        return iteration

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return self._remember(super().aiter_raw(chunk_size))

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return self._remember(super().aiter_bytes(chunk_size))

    def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        return self._remember(super().aiter_text(chunk_size))

    def aiter_lines(self) -> AsyncIterator[str]:
        return self._remember(super().aiter_lines())

    async def end_iterations(self) -> None:
        """End what was left unfinished, the outermost first."""
        for iteration in self.__dict__.pop("iterations", ()):
            await iteration.aclose()


@dataclass(slots=True)
class _Pieces(httpx.AsyncByteStream):
    """A stream of a reply, as httpx wants it."""

    pieces: AsyncGenerator[bytes, None]
    reply: httpx.Response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        await self.pieces.aclose()
        await self.reply.aclose()


def body_of_request(request: httpx.Request) -> JSON:
    """The body that is about to be sent, decoded; None where it is no JSON."""
    try:
        body: JSON = orjson.loads(request.content)
        return body
    except (orjson.JSONDecodeError, httpx.RequestNotRead):
        return None


def _type_of(reply: httpx.Response) -> str:
    return str(reply.headers.get("content-type", "")).partition(";")[0].strip().lower()
