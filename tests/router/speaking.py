"""A server on loopback that answers each model by name: whole, or as a stream of the same answer, as it is asked."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from modelrouter import Router
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.testing import MemoryLedger

__all__ = ["FULL_USAGE", "MODES", "Speaking", "ask_async", "ask_in", "choice", "speaking"]

FULL_USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
"""1,500 nano-dollars at the usual price: 10 x 50 and 5 x 200."""
MODES: Final = ("plain", "stream", "async", "astream")


def choice(message: dict[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    """One choice of an answer."""
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}


class Speaking(LoopbackServer):
    """Answers with the choice that stands under the model's name.

    Attributes:
        bodies: every request, decoded, in order.
    """

    def __init__(self, **choices: dict[str, Any]) -> None:
        super().__init__()
        self.bodies: list[dict[str, Any]] = []
        self._choices = choices

    @property
    def asked(self) -> list[str]:
        """The models that were asked, in order."""
        return [body["model"] for body in self.bodies]

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer once."""
        body = json.loads(await self.request(reader))
        self.bodies.append(body)
        head = {"id": "1", "created": 0, "model": body["model"]}
        found = self._choices[body["model"]]
        if body.get("stream"):
            kind, content = "text/event-stream", _events(head, found)
        else:
            whole = {**head, "object": "chat.completion", "choices": [found], "usage": FULL_USAGE}
            kind, content = "application/json", json.dumps(whole).encode()
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
            "".encode()
            + content
        )
        await writer.drain()


def _events(head: dict[str, Any], found: dict[str, Any]) -> bytes:
    """The same as chunks: each text in two pieces, then the reason, then the usage."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for name, value in found["message"].items():
        if name != "role" and isinstance(value, str) and value:
            half = (len(value) + 1) // 2
            deltas += [{name: value[:half]}, {name: value[half:]}]
        elif name != "role" and value:
            deltas.append({name: value})
    chunks = [{**head, "object": "chat.completion.chunk", "choices": [_piece(delta)]} for delta in deltas]
    chunks.append({**chunks[0], "choices": [_piece({}, found["finish_reason"])]})
    chunks.append({**chunks[0], "choices": [], "usage": FULL_USAGE})
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


def _piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def speaking(
    folder: Path, server: Speaking, names: list[str], *, route: str = "", top: str = "", ledger: MemoryLedger
) -> Router:
    """A Router whose route `ask` tries these models of the server in order."""
    more = f", {route}" if route else ""
    routes = f"  ask: {{try: [{', '.join(names)}], output_tokens: {{default: 100, min: 10}}{more}}}"
    config = write_config(folder, [Served(name, server.base_url, name=name) for name in names], routes, top=top)
    return Router.from_config(config, ledger=ledger)


def ask_in(mode: str, router: Router, prompt: Any = "Say it.", **options: Any) -> Any:
    """Ask in one of four ways; the reply, whichever way it came."""
    if mode == "plain":
        return router.complete("ask", prompt, **options)
    if mode == "stream":
        with router.stream("ask", prompt, **options) as stream:
            for _ in stream:
                pass
            return stream.reply
    return asyncio.run(ask_async(mode, router, prompt, **options))


async def ask_async(mode: str, router: Router, prompt: Any, **options: Any) -> Any:
    """The two ways of async code."""
    try:
        if mode == "async":
            return await router.acomplete("ask", prompt, **options)
        async with router.astream("ask", prompt, **options) as stream:
            async for _ in stream:
                pass
            return stream.reply
    finally:
        for lane in router._engine().lanes.values():
            await lane.close()
