"""A hundred calls at once, one Router, and a book that agrees with the replies to the last digit."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from _local import configs
from modelrouter import Reply, Router

CALLS = 100


async def ask_all(config: Path) -> list[Reply]:
    """Ask everything at once. Share one Router: it is safe for any number of tasks, threads and loops."""
    async with Router.from_config(config) as router:
        questions = (f"Say the number {number}." for number in range(CALLS))
        return await asyncio.gather(
            *(router.acomplete("support", question, max_output_tokens=4) for question in questions)
        )


def booked_nano_usd(ledger: Path) -> int:
    """What the book says. It is an SQLite file, so any tool can read it; `modelrouter spend` is one."""
    with closing(sqlite3.connect(ledger)) as book:
        rows = book.execute("SELECT sum(amount_nano_usd) FROM entries WHERE kind IN ('settle', 'uncertain')")
        (total,) = rows.fetchone()
    return int(total)


with configs() as folder:
    replies = asyncio.run(ask_all(folder / "quickstart.yaml"))
    in_replies = sum(reply.cost_nano_usd for reply in replies)
    in_book = booked_nano_usd(folder / "quickstart.db")
    print(f"{len(replies)} answers, {sum(len(reply.text) for reply in replies)} characters")
    print(f"in the replies  {in_replies} billionths of a dollar")
    print(f"in the book     {in_book} billionths of a dollar")

    assert len(replies) == CALLS
    assert in_replies == in_book > 0
