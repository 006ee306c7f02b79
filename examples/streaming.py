"""Streams, sync and async: words as they come, the same facts at the end, and a clean stop in the middle."""

import asyncio

from _local import configs
from modelrouter import Router

PROMPT = "List three things that make a letter kind."


def to_the_end(router: Router) -> None:
    """A whole stream."""
    stream = router.stream("support", PROMPT)
    pieces = []
    for chunk in stream:
        print(chunk.text, end="", flush=True)
        pieces.append(chunk.text)
    reply = stream.reply
    assert reply is not None
    print(f"\n-- {len(pieces)} pieces from {reply.deployment}, ${reply.cost_usd:f}\n")
    assert "".join(pieces) == reply.text
    assert len(pieces) > 1


def stopped(router: Router) -> None:
    """Leaving the block stops the server. What it may have counted by then is booked at the bound, as uncertain."""
    with router.stream("support", PROMPT) as stream:
        for number, chunk in enumerate(stream):
            print(chunk.text, end="", flush=True)
            if number == 4:
                break
    print(f"\n-- stopped after {stream.text!r}\n")
    assert stream.reply is None
    assert stream.text


async def from_async_code(router: Router) -> None:
    """The same for async code."""
    stream = router.astream("support", PROMPT)
    async for chunk in stream:
        print(chunk.text, end="", flush=True)
    reply = stream.reply
    assert reply is not None
    assert stream.text == reply.text
    print(f"\n-- async, ${reply.cost_usd:f}")


with configs() as folder, Router.from_config(folder / "quickstart.yaml") as shared:
    to_the_end(shared)
    stopped(shared)
    asyncio.run(from_async_code(shared))
