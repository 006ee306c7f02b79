"""Books with everything in them, from a seed: several writers, budgets, failures, corrections, checkpoints."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from modelrouter.core.budget import Budget, Window
from modelrouter.core.pricing import Usage
from tests.ledger.audit_book import PRICES, HonestBook

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BUDGETS", "LATER_BUDGETS", "story"]

USD: Final = 1_000_000_000
BERLIN: Final = ZoneInfo("Europe/Berlin")
MONTH: Final = Budget("month", 100 * USD, Window.MONTH, zone=BERLIN, zone_name="Europe/Berlin")
TEAM: Final = Budget("team", 50 * USD, Window.ROLLING, length_s=7_200, each="tag.team", wait_s=5.0)
BUDGETS: Final = (MONTH, TEAM)
LATER_BUDGETS: Final = (
    Budget("month", 200 * USD, Window.MONTH, zone=BERLIN, zone_name="Europe/Berlin"),
    TEAM,
    Budget("ever", 900 * USD, Window.TOTAL, only={"deployment": frozenset({"large"})}),
)
POLICIES: Final = '{"policies":[["house","%s","house"]],"epoch":"e1"}'
PAUSES_US: Final = (0, 0, 1, 900, 250_000, 30_000_000, 400_000_000)


def story(
    seed: int,
    lines: int,
    *,
    budgets: Sequence[Budget] = BUDGETS,
    later: Sequence[Budget] = LATER_BUDGETS,
    most_open: int = 1_000,
) -> HonestBook:
    """A book of at least so many lines; up to `most_open` of its reservations are without an end at a time."""
    chance = random.Random(seed)
    book = HonestBook()
    for writer in (1, 2, 3):
        book.open(writer)
    policy = book.remember(1, "policy", "policy/house", '{"rules":{}}')
    book.remember(2, "config", "config", '{"routes":{"straße":{}}}')
    book.apply(1, budgets)
    held: list[int] = []
    corrected: list[int] = []
    revoked: list[int] = []
    count = 0
    while len(book.lines) < lines:
        book.at_us += chance.choice(PAUSES_US)
        writer = chance.choice((1, 2, 3))
        if len(book.lines) % 150 == 149:
            book.checkpoint(writer)
        if later and len(book.lines) > lines // 2:
            book.apply(writer, later)
            later = ()
        if not revoked and len(book.lines) > lines // 3:
            revoked = [book.revoke(writer, name) for name in ("lion", "bear", "wolf")]
            book.restore(writer, revoked[1])
        if (chance.random() < 0.5 or not held) and len(held) < most_open:
            count += 1
            held.append(_reserve(book, chance, writer, count, policy))
        else:
            ended = held.pop(chance.randrange(len(held)))
            if _end(book, chance, writer, ended):
                corrected.append(ended)
        if corrected and chance.random() < 0.6:
            _correct(book, chance, writer, corrected.pop(0))
    return book


def _reserve(book: HonestBook, chance: random.Random, writer: int, count: int, policy: str) -> int:
    again = chance.random() < 0.2 and count > 1
    which = chance.randrange(len(PRICES))
    return book.reserve(
        writer,
        f"r-{count}",
        chance.choice((500, 60_000, 4_000_000)),
        call=f"call-{max(count - 1, 1) if again else count}",
        price=PRICES[which],
        deployment=("small", "large")[which],
        route=chance.choice(("support", "straße")),
        request_id=chance.choice((None, f"q-{count}")),
        session=chance.choice((None, "s-1")),
        tags={"team": chance.choice("ab")} if chance.random() < 0.8 else {},
        policies=["house"],
        decision=POLICIES % policy,
    )


def _end(book: HonestBook, chance: random.Random, writer: int, seq: int) -> bool:
    """End a reservation somehow; whether a correction may follow."""
    kind = chance.choice(("settle", "settle", "settle", "failed", "release", "uncertain", "expire"))
    usage = Usage(chance.randrange(1, 900), chance.randrange(1, 300), chance.randrange(0, 2))
    if kind == "settle":
        book.settle(writer, seq, usage, saved_nano_usd=chance.choice((None, 12, -7)))
        return False
    failure = {"failure": "timed_out", "phase": "sent", "detail": "no byte within 2 s", "duration_us": 2_000_000}
    if kind == "failed":
        book.settle(writer, seq, usage, **{**failure, "status": 500})
        return False
    book.end(writer, seq, kind, **({} if kind == "expire" else failure))
    return kind != "release"


def _correct(book: HonestBook, chance: random.Random, writer: int, seq: int) -> None:
    amount = book.lines[seq - 1]["amount_nano_usd"]
    usage = Usage(11, 7) if chance.random() < 0.5 else None
    book.correct(writer, seq, chance.choice((-amount, -amount // 3, 17)), usage)
