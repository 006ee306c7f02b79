"""An OpenAI-shaped server that keeps its own account of what it would bill; a process of its own.

    python -m tests.money.counting_server LOG

It prints the port it listens on and ends when its standard input does. The first word of the last message says how to
behave; a number after it draws how long the answer is, so that the same call always costs the same:

- `answer`: answer whole, plain or streamed, with usage;
- `late`: the same after a short while;
- `cut`: close the connection in the middle of the answer; what was generated so far is billed;
- `stall`: answer a little, then nothing any more; billed likewise;
- `fail`: status 500, not billed.

`LOG` gets a line `CALL NANO_USD` for each billed request **before** a byte of its answer is sent, as a provider's meter
would run: whatever becomes of the client, this was billed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["INPUT_NANO_USD", "MODEL", "OUTPUT_NANO_USD"]

MODEL: Final = "smollm2-135m-instruct"
INPUT_NANO_USD: Final = 2_000
"""Of a token: 2 USD a million."""
OUTPUT_NANO_USD: Final = 8_000
"""Of a token: 8 USD a million."""
LATE_S: Final = 0.02
PIECES: Final = 4


class Meter:
    """The provider's own account: one line for each billed request, in one write, so that no kill halves it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def bill(self, call: str, input_tokens: int, output_tokens: int) -> None:
        """Write down what this request costs."""
        cost = input_tokens * INPUT_NANO_USD + output_tokens * OUTPUT_NANO_USD
        os.write(self._file, f"{call} {cost}\n".encode())


async def serve(meter: Meter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until either side closes it."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            if not await answer(meter, json.loads(await reader.readexactly(length)), writer):
                break
    writer.close()


async def answer(meter: Meter, asked: dict[str, JSON], writer: asyncio.StreamWriter) -> bool:
    """Answer one request; False: the connection is over."""
    messages = asked["messages"]
    assert isinstance(messages, list)
    text = str(messages[-1]["content"])
    kind, call, *_ = text.split()
    most = int(str(asked["max_tokens"]))
    wanted = random.Random(call).randrange(1, most + 1)
    input_tokens = max(len(text.encode()) // 4, 1) + 8 * len(messages)
    if kind == "fail":
        await send(writer, json.dumps({"error": {"message": "no"}}).encode(), status="500 Internal Server Error")
        return True
    if kind == "late":
        await asyncio.sleep(LATE_S)
    broken = kind in {"cut", "stall"}
    output_tokens = max(wanted // 2, 1) if broken else wanted
    meter.bill(call, input_tokens, output_tokens)
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    if asked.get("stream"):
        await stream(writer, kind, None if broken else usage)
    elif broken:
        await send(writer, b'{"id": "half', length=1_000)
    else:
        await send(writer, json.dumps(whole(usage)).encode())
    if kind == "stall":
        await asyncio.Event().wait()  # until the client goes, or the process is ended
    return not (broken or asked.get("stream"))


def whole(usage: dict[str, int]) -> dict[str, object]:
    """A complete answer."""
    message = {"role": "assistant", "content": "so be it"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}


async def send(writer: asyncio.StreamWriter, body: bytes, *, status: str = "200 OK", length: int | None = None) -> None:
    """A plain reply; a `length` beyond the body leaves it incomplete."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def stream(writer: asyncio.StreamWriter, kind: str, usage: dict[str, int] | None) -> None:
    """A stream of pieces; without usage it stops after the second."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for number in range(PIECES):
        writer.write(event({"delta": {"role": "assistant", "content": f"piece {number} "}, "finish_reason": None}))
        await writer.drain()
        if usage is None and number == 1:
            return
        if kind == "late":
            await asyncio.sleep(LATE_S / PIECES)
    writer.write(event({"delta": {}, "finish_reason": "stop"}))
    writer.write(event(None, usage) + b"data: [DONE]\n\n")
    await writer.drain()


def event(choice: dict[str, JSON] | None, usage: dict[str, int] | None = None) -> bytes:
    """One event of a stream."""
    body: dict[str, object] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    body["choices"] = [] if choice is None else [{"index": 0, **choice}]
    if usage is not None:
        body["usage"] = usage
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def main() -> None:
    """Listen on a free port of loopback until standard input ends."""
    meter = Meter(sys.argv[1])
    server = await asyncio.start_server(lambda reader, writer: serve(meter, reader, writer), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    os._exit(0)  # connections that stall are nobody's any more


if __name__ == "__main__":
    asyncio.run(main())
