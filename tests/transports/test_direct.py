"""The direct lane against real sockets: what is sent, what is refused before that, what a plain call comes to."""

from __future__ import annotations

import asyncio
import gzip
import socket
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp import web

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import Answer
from modelrouter.transports import open_lane
from modelrouter.transports.credentials import CallableKey, EnvKey
from modelrouter.transports.direct import DirectTransport, address_of
from tests.transports.builders import call_to, completion, endpoint_of
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from modelrouter.ports import Transport
    from tests.transports.servers import Peer

K = FailureKind
SECRET = "sk" + "-live-0123456789"


@pytest.fixture
async def lane() -> AsyncIterator[DirectTransport]:
    """A lane that is closed afterwards."""
    transport = DirectTransport()
    yield transport
    await transport.close()


def replies(*answers: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Answer each request of a connection with the next reply, then close."""

    async def behave(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)

    return behave


async def failed(lane: DirectTransport, endpoint: Any, **changes: Any) -> Failure:
    """The failure of a plain call."""
    got = await lane.send(call_to(endpoint, **changes))
    assert isinstance(got, Failure), got
    return got


def test_lane_is_a_transport() -> None:
    """The lanes are opened by name, and an unknown one is an error."""
    transport: Transport = open_lane("direct")
    assert isinstance(transport, DirectTransport)
    with pytest.raises(ValueError, match="no lane `carrier-pigeon`"):
        open_lane("carrier-pigeon")


async def test_what_is_sent(lane: DirectTransport) -> None:
    """Path, headers and body of a request, against a server that is not ours; no cookie comes back to it."""
    seen: list[tuple[str, dict[str, str], Any]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append((str(request.rel_url), {**request.headers}, await request.json()))
        return web.json_response(completion(), headers={"Set-Cookie": "a=b; Path=/"})

    application = web.Application()
    application.router.add_post("/v1/chat/completions", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    base = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/?api-version=1"
    endpoint = endpoint_of(base, key=CallableKey(lambda: SECRET), headers={"X-Team": "a", "Accept": "text/plain"})
    for _ in range(2):
        assert isinstance(await lane.send(call_to(endpoint, parameters={"seed": 1})), Answer)
    await runner.cleanup()
    for path, headers, body in seen:
        assert path == "/v1/chat/completions?api-version=1"
        assert body["model"] == "tiny"
        assert body["seed"] == 1
        assert headers.pop("Host").startswith("127.0.0.1:")
        assert int(headers.pop("Content-Length")) == len(orjson.dumps(body))
        assert headers == {
            "Authorization": f"Bearer {SECRET}",
            "X-Team": "a",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "modelrouter",
        }


async def test_key_in_a_header_of_its_own(lane: DirectTransport) -> None:
    """Azure's way: the bare key under another name, and no authorisation."""
    async with RawServer(replies(http(completion()))) as server:
        endpoint = endpoint_of(
            server.url, key=CallableKey(lambda: SECRET), key_header="api-key", headers={"API-Key": "x"}
        )
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        headers = server.requests[0].headers
    assert headers["api-key"] == SECRET
    assert "authorization" not in headers


async def test_connection_is_kept_for_the_next_call(lane: DirectTransport) -> None:
    """Three calls share one connection; a fresh one is another and does not stay."""
    async with RawServer(replies(*[http(completion())] * 9)) as server:
        endpoint = endpoint_of(server.url)
        for _ in range(3):
            assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert server.connections == 1
        for _ in range(2):
            assert isinstance(await lane.send(call_to(endpoint, fresh_connection=True)), Answer)
        assert server.connections == 3
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert server.connections == 3


async def test_large_prompt_is_sent_whole(lane: DirectTransport) -> None:
    """A body of several megabytes, as pictures make them, arrives as it is and without a warning."""
    picture = "data:image/png;base64," + "A" * 3_000_000
    messages = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": picture}}]},)
    async with RawServer(replies(http(completion()))) as server:
        assert isinstance(await lane.send(call_to(endpoint_of(server.url), messages=messages)), Answer)
        assert server.requests[0].json["messages"] == list(messages)


async def test_many_calls_at_once(lane: DirectTransport) -> None:
    """A hundred calls at once all answer; nobody waits for a free connection."""

    async def behave(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            if len(peer.server.requests) == 100:
                everybody.set()
            await everybody.wait()
            await peer.send(http(completion(asked.json["messages"][0]["content"])))

    everybody = asyncio.Event()
    async with RawServer(behave) as server:
        endpoint = endpoint_of(server.url)
        asked = [({"role": "user", "content": f"number {index}"},) for index in range(100)]
        got = await asyncio.gather(*(lane.send(call_to(endpoint, messages=each)) for each in asked))
    texts = [each.message["content"] for each in got if isinstance(each, Answer)]
    assert texts == [f"number {index}" for index in range(100)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hosts": frozenset()}, "host `127.0.0.1` is not among its hosts"),
        ({"hosts": frozenset({"example.com", "127.0.0.2"})}, "host `127.0.0.1`"),
        ({"hosts": frozenset({"127.0.0.1:1"})}, "host `127.0.0.1`"),
    ],
)
async def test_host_that_is_not_declared_sees_no_connection(
    lane: DirectTransport, changes: dict[str, Any], says: str
) -> None:
    """The address is checked against the endpoint's hosts before anything is connected, plain and streaming."""
    async with RawServer(replies(http(completion()))) as server:
        endpoint = endpoint_of(server.url, **changes)
        got = await failed(lane, endpoint)
        assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)
        assert says in got.detail
        assert await lane.open(call_to(endpoint)) == got
    assert server.connections == 0


@pytest.mark.parametrize(
    ("base_url", "hosts", "result"),
    [
        ("https://API.Mistral.ai/v1", {"api.mistral.ai"}, "https://API.Mistral.ai/v1/chat/completions"),
        ("https://api.mistral.ai./v1/", {"api.mistral.ai"}, "https://api.mistral.ai./v1/chat/completions"),
        ("http://[::1]:8000", {"::1"}, "http://[::1]:8000/chat/completions"),
        ("http://h:8000/v1?a=b#c", {"h:8000"}, "http://h:8000/v1/chat/completions?a=b"),
        ("http://h@evil.example/v1", {"h"}, "user name"),
        ("http://user:pw@h/v1", {"h"}, "user name"),
        ("http://evil.example\\@h/v1", {"h"}, None),
        ("ftp://h/v1", {"h"}, "no http address"),
        ("h/v1", {"h"}, "no http address"),
        ("http:///v1", {""}, "no http address"),
        ("http://h:port/v1", {"h"}, "no address"),
        ("http://[::1/v1", {"::1"}, "no address"),
    ],
)
def test_address(base_url: str, hosts: set[str], result: str | None) -> None:
    """The host that is checked is the host that is called, and no key hides in the address."""
    got = address_of(endpoint_of(base_url, hosts=frozenset(hosts)))
    if isinstance(got, str):
        assert got == result
    else:
        assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)
        assert "pw" not in got.detail
        assert (result or "") in got.detail


async def test_refusals_send_nothing(lane: DirectTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter not taken, a value without JSON, no time, no key: each names what to change, none connects."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    def explode() -> str:
        raise RuntimeError(SECRET)

    async with RawServer(replies(http(completion()))) as server:
        endpoint = endpoint_of(server.url)
        cases = [
            (await failed(lane, endpoint, parameters={"top_k": 1}), K.PORTABILITY, "`top_k`"),
            (await failed(lane, endpoint, parameters={"metadata": {"a": object()}}), K.INVALID_REQUEST, "JSON"),
            (await failed(lane, endpoint, timeout_s=0.0), K.TIMED_OUT, "no time"),
            (
                await failed(lane, endpoint_of(server.url, key=EnvKey("NO_SUCH_KEY"))),
                K.UNAUTHORIZED,
                "environment variable `NO_SUCH_KEY`",
            ),
            (await failed(lane, endpoint_of(server.url, key=CallableKey(lambda: ""))), K.UNAUTHORIZED, "missing"),
            (await failed(lane, endpoint_of(server.url, key=CallableKey(explode))), K.UNAUTHORIZED, "RuntimeError"),
            (
                await failed(lane, endpoint_of(server.url, key=CallableKey(lambda: f"{SECRET}\r\nX: y"))),
                K.UNAUTHORIZED,
                "characters",
            ),
            (
                await failed(lane, endpoint_of(server.url, key=CallableKey(lambda: f"{SECRET}ü"))),
                K.UNAUTHORIZED,
                "characters",
            ),
        ]
    assert server.connections == 0
    for got, kind, says in cases:
        assert (got.kind, got.phase, got.status) == (kind, Phase.NOT_SENT, None)
        assert says in got.detail
        assert SECRET not in repr(got)


async def test_key_is_read_for_each_call(lane: DirectTransport) -> None:
    """A key that changes is sent as it is at the time of the call."""
    keys = iter(["one", "two"])
    async with RawServer(replies(http(completion()), http(completion()))) as server:
        endpoint = endpoint_of(server.url, key=CallableKey(lambda: next(keys)))
        for _ in range(2):
            assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert [each.headers["authorization"] for each in server.requests] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    ("reply", "kind", "status"),
    [
        (http({"error": {"message": "x"}}, 400), K.INVALID_REQUEST, 400),
        (http({"error": {"type": "exceed_context_size_error"}}, 400), K.CONTEXT_TOO_LONG, 400),
        (http({}, 401), K.UNAUTHORIZED, 401),
        (http({}, 404), K.MODEL_MISSING, 404),
        (http(b"<html>busy</html>", 503), K.SERVER_ERROR, 503),
        (http({"error": {"code": 429}}, 200), K.RATE_LIMITED, 429),
        (http(b"", 204), K.MALFORMED_REPLY, 200),
        (http(b"not json"), K.MALFORMED_REPLY, 200),
        (http(completion(model="other")), K.WRONG_MODEL, 200),
        (http(completion("", "length")), K.OUT_OF_TOKENS_EMPTY, 200),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf", K.SERVER_ERROR, 500),
    ],
)
@pytest.mark.parametrize("method", ["send", "open"])
async def test_replies_that_fail(
    lane: DirectTransport, method: str, reply: bytes, kind: FailureKind, status: int | None
) -> None:
    """The same failure over the plain and the streaming call, with the status that was seen."""
    async with RawServer(replies(reply)) as server:
        got = await getattr(lane, method)(call_to(endpoint_of(server.url)))
    assert isinstance(got, Failure)
    expected = 204 if reply.startswith(b"HTTP/1.1 204") and got.status == 204 else status
    assert (got.kind, got.phase, got.status) == (kind, Phase.ANSWERING, expected)


async def test_retry_after_reaches_the_failure(lane: DirectTransport) -> None:
    """The header is read from the real reply, whatever its case."""
    async with RawServer(replies(http({}, 429, headers={"retry-after": "3"}))) as server:
        assert (await failed(lane, endpoint_of(server.url))).retry_after_s == 3.0


async def test_compressed_reply(lane: DirectTransport) -> None:
    """A gzip body is unpacked; a broken one is malformed."""
    packed = gzip.compress(orjson.dumps(completion("x" * 1000)))
    async with RawServer(replies(http(packed, headers={"Content-Encoding": "gzip"}))) as server:
        got = await lane.send(call_to(endpoint_of(server.url)))
        assert isinstance(got, Answer)
        assert got.message["content"] == "x" * 1000
    async with RawServer(replies(http(b"no gzip at all", headers={"Content-Encoding": "gzip"}))) as server:
        assert (await failed(lane, endpoint_of(server.url))).kind is K.MALFORMED_REPLY


@pytest.mark.parametrize("form", ["announced", "unannounced", "chunked", "packed", "error status"])
async def test_reply_that_is_too_long(form: str) -> None:
    """A reply beyond the limit is not read on, however it is framed; it does not fill the memory."""
    lane = DirectTransport()
    big = b"x" * 80_000
    frames = {
        "announced": http(big),
        "unannounced": b"HTTP/1.1 200 OK\r\n\r\n" + big,
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n" % len(big)
        + big
        + b"\r\n0\r\n\r\n",
        "packed": http(gzip.compress(big), headers={"Content-Encoding": "gzip"}),
        "error status": http(big, 500),
    }
    async with RawServer(replies(frames[form])) as server:
        got = await failed(lane, endpoint_of(server.url, reply_bytes_max=50_000))
    await lane.close()
    assert got.kind is (K.SERVER_ERROR if form == "error status" else K.MALFORMED_REPLY)
    assert got.phase is Phase.ANSWERING


async def test_redirect_is_not_followed(lane: DirectTransport) -> None:
    """The host that a redirect leads to sees no connection, and no key goes there."""
    async with RawServer(replies(http(completion()))) as target:
        for status in (301, 302, 303, 307, 308):
            moved = http(b"", status, headers={"Location": f"{target.url}/chat/completions"})
            async with RawServer(replies(moved, moved)) as server:
                endpoint = endpoint_of(server.url, key=CallableKey(lambda: SECRET))
                for got in (await failed(lane, endpoint), await lane.open(call_to(endpoint))):
                    assert isinstance(got, Failure)
                    assert (got.kind, got.status) == (K.UNREACHABLE, status)
    assert target.connections == 0


async def test_answer_where_a_stream_was_asked_for(lane: DirectTransport) -> None:
    """A server that ignores `stream` has been paid: malformed, with its usage."""
    async with RawServer(replies(http(completion()))) as server:
        got = await lane.open(call_to(endpoint_of(server.url)))
    assert isinstance(got, Failure)
    assert got.kind is K.MALFORMED_REPLY
    assert got.usage is not None


async def test_stream_where_an_answer_was_asked_for(lane: DirectTransport) -> None:
    """Events in place of a JSON object are malformed."""
    async with RawServer(replies(sse_head() + b"data: {}\n\n")) as server:
        assert (await failed(lane, endpoint_of(server.url))).kind is K.MALFORMED_REPLY
