"""The genuine openai clients over a Router: same classes, same types, same errors, no server in between.

    from modelrouter.openai import OpenAI

    client = OpenAI("modelrouter.yaml")
    client.chat.completions.create(model="support", messages=[…])     # `model` names a route

Only the transport under the client is ours. `transport(router)` and `async_transport(router)` give it for any other
library that takes an httpx client, as langchain's `ChatOpenAI(http_client=…)`.

A failure arrives as openai's own class by status: 400 `BadRequestError`, 403 `PermissionDeniedError` (no candidate is
permitted, the ceiling is too low, or a budget is spent), 409 `ConflictError`, 429 `RateLimitError` (also for a budget
that calls under way hold, and for limits of our own), 5xx `InternalServerError`; in the middle of a stream it is an
`APIError`, as with OpenAI. `error.code` tells them apart, `error.body["modelrouter"]` has `call_id` and `cost_usd`. The
Router has already retried and fallen back, so the client is told not to.

A `timeout` set on the client or on a call is the deadline of plain calls. Streams keep the timeouts of their route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import orjson

from modelrouter.chat import Chunks, Problem, asked, completion, problem_of
from modelrouter.errors import ModelRouterError
from modelrouter.router import Router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from modelrouter.chat import Asked
    from modelrouter.router.reply import Reply
    from modelrouter.router.streams import AsyncReplyStream, ReplyStream

__all__ = ["BASE_URL", "AsyncOpenAI", "OpenAI", "async_transport", "transport"]

BASE_URL = "http://modelrouter.invalid/v1"
"""Never connected to: a name under `.invalid` (RFC 2606), so that a client without our transport fails at once."""
PATH = "/v1/chat/completions"
UNUSED_KEY = "not-used"
DEFAULT_TIMEOUT_S = 600.0
"""The read timeout of an openai client on which none was set; the route's own deadline holds then. Source:
`DEFAULT_TIMEOUT` in openai-python's `_constants.py`."""
JSON_HEADERS = {"content-type": "application/json", "x-should-retry": "false"}
STREAM_HEADERS = {"content-type": "text/event-stream", "x-should-retry": "false"}


class OpenAI(openai.OpenAI):
    """`openai.OpenAI` over a Router.

    Args:
        router: a Router, or the path of a config; None finds the config as `Router.from_config` does.
        options: arguments of `openai.OpenAI`.
    """

    def __init__(self, router: Router | str | Path | None = None, **options: Any) -> None:
        """Build the client, and the Router if it is given as a path."""
        if "http_client" not in options:
            found = router if isinstance(router, Router) else Router.from_config(router)
            self.router = found
            options["http_client"] = httpx.Client(transport=_Transport(found, owned=found is not router))
        else:  # a copy of a client of ours, by `with_options`
            self.router = _router_of(options["http_client"])
        super().__init__(**_with_defaults(options))


class AsyncOpenAI(openai.AsyncOpenAI):
    """`openai.AsyncOpenAI` over a Router; arguments as for `OpenAI`."""

    def __init__(self, router: Router | str | Path | None = None, **options: Any) -> None:
        """Build the client, and the Router if it is given as a path."""
        if "http_client" not in options:
            found = router if isinstance(router, Router) else Router.from_config(router)
            self.router = found
            options["http_client"] = httpx.AsyncClient(transport=_AsyncTransport(found, owned=found is not router))
        else:
            self.router = _router_of(options["http_client"])
        super().__init__(**_with_defaults(options))


def transport(router: Router) -> httpx.BaseTransport:
    """An httpx transport that answers chat completions from a Router. Closing it leaves the Router open."""
    return _Transport(router, owned=False)


def async_transport(router: Router) -> httpx.AsyncBaseTransport:
    """The same for `httpx.AsyncClient`."""
    return _AsyncTransport(router, owned=False)


def _with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    return {"api_key": UNUSED_KEY, "base_url": BASE_URL, "max_retries": 0, **options}


def _router_of(client: httpx.Client | httpx.AsyncClient) -> Router:
    found = getattr(client, "_transport", None)
    if isinstance(found, (_Transport, _AsyncTransport)):
        return found.router
    raise TypeError("give a Router or a config path instead of `http_client`: the transport is what makes this client")


class _Transport(httpx.BaseTransport):
    def __init__(self, router: Router, *, owned: bool) -> None:
        self.router = router
        self._owned = owned

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        try:
            ask = _asked(request, request.read())
            if isinstance(ask, Problem):
                return _refusal(ask)
            if not ask.stream:
                return _json(200, completion(self.router.complete(ask.route, ask.messages, **ask.options)))
            stream = self.router.stream(ask.route, ask.messages, **ask.options)
            stream.__enter__()
            return httpx.Response(200, headers=STREAM_HEADERS, stream=_Events(stream, ask))
        except ModelRouterError as error:
            return _refusal(problem_of(error))

    def close(self) -> None:
        """Close the Router if this client built it."""
        if self._owned:
            self.router.close()


class _AsyncTransport(httpx.AsyncBaseTransport):
    def __init__(self, router: Router, *, owned: bool) -> None:
        self.router = router
        self._owned = owned

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        try:
            ask = _asked(request, await request.aread())
            if isinstance(ask, Problem):
                return _refusal(ask)
            if not ask.stream:
                return _json(200, completion(await self.router.acomplete(ask.route, ask.messages, **ask.options)))
            stream = self.router.astream(ask.route, ask.messages, **ask.options)
            await stream.__aenter__()
            return httpx.Response(200, headers=STREAM_HEADERS, stream=_AsyncEvents(stream, ask))
        except ModelRouterError as error:
            return _refusal(problem_of(error))

    async def aclose(self) -> None:
        """Close the Router if this client built it."""
        if self._owned:
            await self.router.aclose()


class _Events(httpx.SyncByteStream):
    """A reply stream as server-sent events."""

    def __init__(self, stream: ReplyStream, ask: Asked) -> None:
        self._stream = stream
        self._chunks = Chunks(include_usage=ask.include_usage)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._stream:
                yield from map(_event, self._chunks.take(piece.body))
        except ModelRouterError as error:
            yield _broken(self._chunks, error)
        else:
            if self._stream.reply is not None:
                yield _whole(self._chunks, self._stream.reply)

    def close(self) -> None:
        self._stream.close()


class _AsyncEvents(httpx.AsyncByteStream):
    """The same for async code."""

    def __init__(self, stream: AsyncReplyStream, ask: Asked) -> None:
        self._stream = stream
        self._chunks = Chunks(include_usage=ask.include_usage)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                for chunk in self._chunks.take(piece.body):
                    yield _event(chunk)
        except ModelRouterError as error:
            yield _broken(self._chunks, error)
        else:
            if self._stream.reply is not None:
                yield _whole(self._chunks, self._stream.reply)

    async def aclose(self) -> None:
        await self._stream.aclose()


def _asked(request: httpx.Request, content: bytes) -> Asked | Problem:
    if request.method != "POST" or request.url.path != PATH:
        message = f"`{request.method} {request.url.path}` is not served: this version serves chat completions only"
        return Problem(404, "not_served", message, {})
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return Problem(400, "invalid_request", "the request body is not JSON", {})
    ask = asked(body)
    deadline_s = request.extensions.get("timeout", {}).get("read")
    if deadline_s not in {None, DEFAULT_TIMEOUT_S} and not ask.stream:
        ask.options.setdefault("timeout_s", deadline_s)
    return ask


def _whole(chunks: Chunks, reply: Reply) -> bytes:
    return b"".join(map(_event, chunks.end(reply))) + b"data: [DONE]\n\n"


def _broken(chunks: Chunks, error: ModelRouterError) -> bytes:
    return b"".join(map(_event, [*chunks.held(), problem_of(error).body]))


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _json(status: int, body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(status, headers=JSON_HEADERS, content=orjson.dumps(body))


def _refusal(problem: Problem) -> httpx.Response:
    return _json(problem.status, problem.body)
