"""A process that calls through a Router until it is told to stop, some of it held by the server for long.

    python -m tests.money.cut_off_caller CONFIG NAME TASKS WAYS

`WAYS` are words with commas, dealt to the tasks in turn: calls of `plain` and `streamed` are answered at once, those of
`hold` and `held_stream` late. It prints `ready`, waits for a line, works until the next line, lets what is under way
end, and prints one line of JSON: how calls ended, and by whom they were answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

from modelrouter import ModelRouterError, Router

if TYPE_CHECKING:
    from collections.abc import Sequence


class Caller:
    """What one process does."""

    def __init__(self, router: Router, name: str) -> None:
        self.router = router
        self.name = name
        self.count = 0
        self.seen: Counter[str] = Counter()
        self.stopped = False

    async def work(self, way: str) -> None:
        """One task: call after call, all in one way, so that some are always held and others always go on."""
        while not self.stopped:
            self.count += 1
            try:
                await self.call(f"{self.name}-{self.count}", way)
            except ModelRouterError as error:
                self.seen[type(error).__name__] += 1

    async def call(self, call: str, way: str) -> None:
        """Make one call."""
        prompt = f"{'hold' if way.startswith('h') else 'answer'} {call} please"
        if way in {"streamed", "held_stream"}:
            async with self.router.astream("ask", prompt, request_id=call) as stream:
                async for _ in stream:
                    pass
            reply = stream.reply
            assert reply is not None
        else:
            reply = await self.router.acomplete("ask", prompt, request_id=call)
        self.seen[f"answered by {reply.deployment}"] += 1
        self.seen["fell back"] += len(reply.attempts) > 1


async def run(config: str, name: str, tasks: int, ways: Sequence[str]) -> dict[str, int]:
    """Run all tasks until the word comes, close, and say what was seen."""
    router = Router.from_config(config)
    caller = Caller(router, name)
    working = [asyncio.create_task(caller.work(ways[number % len(ways)])) for number in range(tasks)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    caller.stopped = True
    await asyncio.gather(*working)
    await router.aclose()
    return dict(caller.seen)


def main() -> None:
    """Wait for the word, work, and report."""
    config, name, tasks, ways = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    report = asyncio.run(run(config, name, int(tasks), ways.split(",")))
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
