"""One process that serves several deployments, each on a port of its own, and writes down what comes to which.

    python -m tests.money.cut_off_server LOG HOLD_S NAME…

It prints one port for each name and ends when its standard input does. The first word of the last message says how to
behave: `answer` at once; `hold` after `HOLD_S` seconds, but at the last of the names at once as well. `LOG` gets a line
`NAME CALL` for each request when it has come, before any byte of its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.money.counting_server import event, send, whole

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}


async def serve(
    arrived: Callable[[str], None], hold_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one connection until either side closes it."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            asked = json.loads(await reader.readexactly(length))
            kind, call, *_ = str(asked["messages"][-1]["content"]).split()
            arrived(call)
            if not asked.get("stream"):
                await asyncio.sleep(hold_s if kind == "hold" else 0)
                await send(writer, json.dumps(whole(USAGE)).encode())
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            writer.write(event({"delta": {"role": "assistant", "content": "begun "}, "finish_reason": None}))
            await writer.drain()
            await asyncio.sleep(hold_s if kind == "hold" else 0)
            writer.write(event({"delta": {}, "finish_reason": "stop"}) + event(None, USAGE) + b"data: [DONE]\n\n")
            await writer.drain()
            break
    writer.close()


async def main() -> None:
    """Listen on as many free ports of loopback as there are names, until standard input ends."""
    log, hold_s, *names = sys.argv[1:]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def arrived(name: str, call: str) -> None:
        os.write(file, f"{name} {call}\n".encode())

    for name in names:
        wait_s = 0.0 if name == names[-1] else float(hold_s)
        server = await asyncio.start_server(partial(serve, partial(arrived, name), wait_s), "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    os._exit(0)  # connections that are held are nobody's any more


if __name__ == "__main__":
    asyncio.run(main())
