"""The table of faults: what the provider does, and what it would bill for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.matrix.plays import (
    CLOSE,
    DONE,
    HOLD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    RESET,
    answers,
    bomb,
    chunk,
    completion,
    deep,
    drips,
    error,
    finish,
    gives,
    later,
    role,
    says,
    sends,
    streams,
    text,
    then,
    trickles,
    usage,
    waits,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.matrix.plays import Act, Play
    from tests.matrix.server import Peer

__all__ = ["CASES", "OTHER", "Case"]

NOTHING: Final = (0, 0)
PROMPT: Final = (INPUT_TOKENS, 0)
PART: Final = (INPUT_TOKENS, OUTPUT_TOKENS - 1)
ALL: Final = (INPUT_TOKENS, OUTPUT_TOKENS)
SMALL: Final = "reply_bytes_max: 65536"
SHALLOW: Final = "reply_depth_max: 40"
HTML: Final = "<html><body>Please log in</body></html>"
HTML_TYPE: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Case:
    """One fault in one mode.

    Attributes:
        mode: `plain` or `stream`.
        bills: input and output tokens that the provider would bill for each request.
        place: where the deployment points: `here`, `refused`, `full`, `no tls`, `untrusted`.
        reads: the provider reads the request before it plays.
        more: YAML members of the deployment.
        is_slow: only a limit of time ends it.
        options: of the call, beside the prompt.
        is_primed: a good call to the same port goes before it, so that the connection is a kept one.
    """

    fault: str
    mode: str
    play: Play
    bills: tuple[int, int] = NOTHING
    place: str = "here"
    reads: bool = True
    more: str = ""
    is_slow: bool = False
    is_primed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Its name in the golden file."""
        return self.fault, self.mode


def _both(fault: str, play: Play, **more: Any) -> Iterator[Case]:
    for mode in ("plain", "stream"):
        yield Case(fault, mode, play, **more)


def _status(status: int, words: str = "", **members: Any) -> Iterator[Case]:
    yield from _both(f"status {status}{' ' if words else ''}{words}", says(status, **members))


def _plain(fault: str, play: Play, bills: tuple[int, int] = ALL, **more: Any) -> Iterator[Case]:
    yield Case(fault, "plain", play, bills, **more)


def _stream(fault: str, *acts: Act, bills: tuple[int, int] = PART, end: str = HOLD, **more: Any) -> Iterator[Case]:
    yield Case(fault, "stream", streams(*acts, end=end), bills, **more)


def _statuses() -> Iterator[Case]:
    """Each status that providers document, and the codes that make one mean something else."""
    yield from _status(400)
    yield from _status(400, "context code", code="context_length_exceeded")
    yield from _status(400, "context text", message="This model's maximum context length is 8192 tokens")
    yield from _status(400, "filter", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"})
    yield from _status(400, "parameter", code="unsupported_parameter")
    yield from _both("status 400 billed", says(400, code="content_filter"), bills=PROMPT, more="billed_statuses: [400]")
    for status in (401, 402, 403):
        yield from _status(status)
    yield from _status(403, "flagged", metadata={"reasons": ["violence"], "flagged_input": "x"})
    for status in (404, 405, 408, 409, 410, 413, 422, 424, 429):
        yield from _status(status)
    yield from _status(429, "quota", code="insufficient_quota")
    for status in (498, 499, 500, 501, 502, 503, 504, 520, 522, 524, 529):
        yield from _status(status)
    yield from _both("status 502 html", says(502, lambda peer: f"{HTML}{peer.echo}", kind=HTML_TYPE))
    yield from _both("status 500 cut", says(500, length=999))
    yield from _both("status 500 huge", says(500, lambda _: b"x" * 300_000, kind="text/plain"), more=SMALL)
    yield from _both("status 429 deep", says(429, lambda _: deep(100_000)))


def _waiting() -> Iterator[Case]:
    """429 and 503 that say when to come back, or try to."""
    yield from _both("retry after ms", says(429, headers={"retry-after-ms": "40"}))
    yield from _both("retry after 1 s", says(429, headers={"Retry-After": "1"}))
    yield from _both("retry after a date", says(503, headers=later("Retry-After", 1)))
    yield from _both("retry after the past", says(429, headers=later("Retry-After", -60)))
    yield from _both("retry after an hour", says(429, headers={"Retry-After": "3600"}))
    yield from _both("retry after garbage", says(429, headers=lambda peer: {"Retry-After": f"soon, {peer.echo}"}))
    yield from _both("retry after below 0", says(429, headers={"Retry-After": "-5"}))


def _network() -> Iterator[Case]:
    """What a network does before an answer is there."""
    never = waits()
    yield from _both("refused", never, place="refused")
    yield from _both("connect stalls", never, place="full", more="timeouts: {connect_s: 0.2}")
    yield from _both("no tls there", sends(b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE), place="no tls", reads=False)
    yield from _both("certificate unknown", never, place="untrusted", reads=False)
    yield from _both("closed unread", sends(b"", CLOSE), reads=False, bills=NOTHING)
    yield from _both("closed after request", sends(b"", CLOSE), bills=PROMPT)
    yield from _both("reset after request", sends(b"", RESET), bills=PROMPT)
    yield from _both("half a head", sends(b"HTTP/1.1 200 OK\r\nContent-", CLOSE), bills=PROMPT)
    yield from _both("not http", sends(lambda peer: f"SSH-2.0 {peer.echo}\r\n\r\n"), bills=PROMPT)
    yield from _both("endless head", sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000), bills=PROMPT)
    yield from _both("silent", waits(), bills=PROMPT, is_slow=True)
    good = {"plain": answers(), "stream": streams(role(), text(), finish(), usage(), DONE, end=CLOSE)}
    for mode, end in (("plain", CLOSE), ("plain", RESET)):
        play = then(answers(), sends(b"", end), good[mode])
        yield Case(f"kept connection {end}", mode, play, ALL, is_primed=True)
    yield from _both("redirect", says(307, headers=lambda peer: {"Location": f"{peer.trap_url}/chat/completions"}))
    yield from _both("redirect 301", says(301, headers=lambda peer: {"Location": f"{peer.trap_url}/chat/completions"}))


def _bodies() -> Iterator[Case]:
    """Plain replies with status 200 that are none, or not whole."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield from _plain("body cut", sends(head, CLOSE))
    yield from _plain("body reset", sends(head, RESET))
    yield from _plain("body stalls", sends(head), is_slow=True)
    yield from _plain("body trickles", trickles(), is_slow=True)
    yield from _plain("last chunk missing", sends(chunked + b"5\r\n{    \r\n", CLOSE))
    yield from _plain("empty body", says(200, lambda _: ""))
    yield from _plain("status 204", sends(b"HTTP/1.1 204 No Content\r\n\r\n"))
    yield from _plain("html", says(200, lambda peer: f"{HTML}{peer.echo}", kind=HTML_TYPE))
    yield from _plain("not json", says(200, lambda peer: f'{{"id": {peer.echo}'))
    yield from _plain("json of another shape", says(200, lambda peer: [peer.echo]))
    yield from _plain("no choices", answers(choices=None))
    yield from _plain("empty choices", answers(choices=[]))
    yield from _plain("choice without message", answers(choices=[{"index": 0, "finish_reason": "stop"}]))
    yield from _plain("stream instead", streams(role(), text(), finish(), usage(), DONE, end=CLOSE))
    yield from _plain("error in a 200", says(200, lambda peer: error(peer, code="server_overloaded")), NOTHING)
    yield from _plain("limit in a 200", says(200, lambda peer: error(peer, code=429)), NOTHING)
    yield from _plain("huge body", says(200, lambda _: b" " * 300_000), more=SMALL)
    yield from _plain("endless chunks", sends(chunked + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 10), more=SMALL)
    yield from _plain("deep body", says(200, lambda _: deep(100_000)))
    yield from _plain("deep answer", answers(message={"extra": [[[[[[[[]]]]]]]]}, x=_nested(50)), more=SHALLOW)
    yield from _plain(
        "gzip bomb", says(200, lambda _: bomb(50_000_000), headers={"Content-Encoding": "gzip"}), more=SMALL
    )
    yield from _plain("broken gzip", says(200, lambda _: b"\x1f\x8b\x08 no", headers={"Content-Encoding": "gzip"}))


def _nested(levels: int) -> list[object]:
    nested: list[object] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def _broken_streams() -> Iterator[Case]:
    """Streams that break, before content and after it."""
    yield from _stream("first token stalls", role(), is_slow=True, bills=PROMPT)
    comments = (b": processing\n\n",) * 600
    yield from _stream("only comments", drips(*comments), is_slow=True, bills=PROMPT)
    yield from _stream("comments after content", role(), text(), drips(*comments), is_slow=True)
    yield from _stream("stalls after content", role(), text(), is_slow=True)
    for words, first in (("before content", (role(),)), ("after content", (role(), text()))):
        bills = PROMPT if words == "before content" else PART
        yield from _stream(f"eof {words}", *first, end=CLOSE, bills=bills)
        yield from _stream(f"reset {words}", *first, end=RESET, bills=bills)
        yield from _stream(f"done alone {words}", *first, DONE, end=CLOSE, bills=bills)
        yield from _stream(f"half a chunk {words}", *first, b'data: {"id": "c', end=CLOSE, bills=bills)
        yield from _stream(f"not json {words}", *first, b"data: {oops}\n\n", bills=bills)
        yield from _stream(f"other json {words}", *first, b"data: [1]\n\n", bills=bills)
        yield from _stream(f"not utf-8 {words}", *first, b'data: {"id": "\xff\xfe"}\n\n', bills=bills)
        yield from _stream(f"deep chunk {words}", *first, f"data: {deep(5_000)}\n\n", bills=bills)
        told = NOTHING if words == "before content" else PART  # an error in place of an answer is not billed
        yield from _stream(f"error {words}", *first, gives(error), bills=told)
        yield from _stream(f"limit {words}", *first, gives(lambda peer: error(peer, code=429)), bills=told)
        yield from _stream(f"error event {words}", *first, gives(lambda p: {"message": p.echo}, "error"), bills=told)
        yield from _stream(f"error in choice {words}", *first, chunk(choices=[{"index": 0, "error": {"code": 502}}]),
                           bills=told)  # fmt: skip
        yield from _stream(f"endless {words}", *first, *[b": " + b"x" * 30_000 + b"\n\n"] * 5, bills=bills, more=SMALL)
        yield from _stream(f"server gives up {words}", *first, finish("error"), usage(), DONE, end=CLOSE, bills=ALL)
    yield from _stream("eof without a chunk", end=CLOSE, bills=PROMPT)
    yield from _stream("done without a chunk", DONE, end=CLOSE, bills=PROMPT)
    yield from _stream("huge event", role(), b"data: " + b"x" * 300_000, bills=PROMPT, more=SMALL)


def _wrong_streams() -> Iterator[Case]:
    """Something else in place of a stream."""
    yield Case("plain instead", "stream", answers(), ALL)
    yield Case("html", "stream", says(200, lambda peer: f"{HTML}{peer.echo}", kind=HTML_TYPE), PROMPT)
    yield Case("error in a 200", "stream", says(200, lambda peer: error(peer, code="server_overloaded")))
    yield Case("limit in a 200", "stream", says(200, lambda peer: error(peer, code=429)))
    packed = streams(bomb(50_000_000), end=HOLD, Content_Encoding="gzip")
    yield Case("gzip bomb", "stream", packed, PROMPT, more=SMALL)


def _odd_answers() -> Iterator[Case]:
    """Whole answers, plain and streamed, that are not what was asked for, or say odd things about themselves."""
    much, words = _usage(12, 90_000), {"prompt_tokens": "many"}
    odd: list[tuple[str, dict[str, object], tuple[Act, ...], tuple[int, int]]] = [
        ("usage missing", {"usage": None}, (finish(), DONE), ALL),
        ("usage of nothing", {"usage": _usage(0, 0)}, (finish(), usage(**_usage(0, 0)), DONE), ALL),
        ("usage below 0", {"usage": _usage(12, -3)}, (finish(), usage(**_usage(12, -3)), DONE), ALL),
        ("usage absurd", {"usage": _usage(12, 2**60)}, (finish(), usage(**_usage(12, 2**60)), DONE), ALL),
        ("usage beyond limit", {"usage": much}, (finish(), usage(**much), DONE), (12, 90_000)),
        ("usage of words", {"usage": words}, (finish(), chunk(choices=[], usage=words), DONE), ALL),
        ("no finish reason", {"reason": None}, (DONE,), ALL),
        ("filtered", {"reason": "content_filter"}, (finish("content_filter"), usage(), DONE), ALL),
        ("length with text", {"reason": "length"}, (finish("length"), usage(), DONE), ALL),
        ("aborted", {"reason": "abort"}, (finish("abort"), usage(), DONE), ALL),
    ]  # fmt: skip
    for fault, changes, acts, bills in odd:
        yield from _plain(fault, answers(**changes), bills)
        yield from _stream(fault, role(), text(), *acts, end=CLOSE, bills=bills)
    yield from _plain("no model named", answers(model=None))
    nameless = (chunk({"content": "one "}, model=None), chunk({}, "stop", model=None))
    report = chunk(choices=[], usage=_usage(12, 3), model=None)
    yield from _stream("no model named", *nameless, report, DONE, end=CLOSE, bills=ALL)
    yield from _plain("length with nothing", answers(text="", reason="length"))
    yield from _stream("length with nothing", role(), finish("length"), usage(), DONE, end=CLOSE, bills=ALL)
    yield from _plain("filtered with nothing", answers(text="", reason="content_filter"))
    yield from _stream("filtered with nothing", role(), finish("content_filter"), usage(), DONE, end=CLOSE, bills=ALL)
    yield from _plain("refusal", answers(text=None, message={"refusal": "I will not"}))
    yield from _stream(
        "refusal", role(), chunk({"refusal": "I will not"}), finish(), usage(), DONE, end=CLOSE, bills=ALL
    )
    yield from _plain("wrong model", answers(model="gpt-other"))
    yield from _stream("wrong model", chunk({"role": "assistant", "content": "one "}, model="gpt-other"), bills=PART)
    yield from _plain("model is the echo", says(200, lambda peer: completion(peer, model=peer.echo)))
    yield from _plain("model is the key", says(200, lambda peer: completion(peer, model=peer.echo.split()[1])))
    yield from _stream("model changes", role(), text(), chunk({"content": "two"}, model="gpt-other"))
    whole = (role(), text(), finish())
    yield from _stream("stalls after finish", *whole, bills=ALL, is_slow=True)
    yield from _stream("reset after finish", *whole, end=RESET, bills=ALL)
    cut = streams(*whole, end=CLOSE, Content_Length="99999")
    yield Case("cut after finish", "stream", cut, ALL)
    yield from _stream("reset after usage", *whole, usage(), end=RESET, bills=ALL)
    yield from _stream("finish without done", role(), text(), finish(), usage(), end=CLOSE, bills=ALL)
    yield from _stream("no end after done", role(), text(), finish(), usage(), DONE, bills=ALL)


SCHEMA: Final = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
BY_SCHEMA: Final = {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}}
ANY_JSON: Final = {"response_format": {"type": "json_object"}}


def _unmet() -> Iterator[Case]:
    """Whole answers that are not what the request asked for."""
    whole = (finish(), usage(), DONE)
    for fault, said, options in (
        ("schema violation", '{"a": "one"}', BY_SCHEMA),
        ("schema unread", "one two", BY_SCHEMA),
        ("no json", "one two", ANY_JSON),
    ):
        yield from _plain(fault, answers(text=said), options=options)
        first = text(said)
        yield from _stream(fault, role(), first, *whole, end=CLOSE, bills=ALL, options=options)
    yield from _plain("nothing said", answers(text=""))
    yield from _stream("nothing said", role(), *whole, end=CLOSE, bills=ALL)


def _usage(prompt: int, output: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


async def _healthy(peer: Peer) -> bool:
    """Answer well, in the way that was asked for."""
    whole = streams(role(), text('{"a": '), text("1}"), finish(), usage(), DONE, end=CLOSE)
    return await (whole if peer.wants_stream else answers(text='{"a": 1}'))(peer)


OTHER: Final = Case("none", "both", _healthy, ALL)
"""The deployment to fall back to."""

CASES: Final[tuple[Case, ...]] = (
    *_statuses(),
    *_waiting(),
    *_network(),
    *_bodies(),
    *_broken_streams(),
    *_wrong_streams(),
    *_odd_answers(),
    *_unmet(),
)
"""Every fault in every mode it can happen in."""

if len({case.key for case in CASES}) != len(CASES):
    raise AssertionError("a fault is in the table twice")
