"""Does the auditor find everything that somebody with the book's file in hands can do to it?

A book of `--entries` lines is written from a seed (three writers, budgets, failures, overruns, corrections,
checkpoints) into tables that refuse nothing. Then each cell of each row is changed once, each row is deleted and
doubled, lines are swapped, copied, cut off, renumbered and given hashes of their own, one thing at a time, and the
audit is asked each time. `--part 10` does a tenth, by chance. Exit 1 if anything was not found.

Two things no book can tell by itself: that its end was cut off, or its history written anew, with every hash and every
sum made to match. They are tried as well, without a head and with one that was kept outside.
"""

from __future__ import annotations

import random
import sys
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, record, table

sys.path.insert(0, str(ROOT))

from modelrouter.ledger.audit.heads import head_of
from tests.ledger.audit_story import story
from tests.ledger.tampering import MEANINGLESS, is_found, tamperings

if TYPE_CHECKING:
    from modelrouter.ledger.audit.heads import Head
    from tests.ledger.audit_book import HonestBook

SEED = 20261122
STEP = 10
"""Of the cuts and rewritings that need a head, one at every so many lines."""


def single(book: HonestBook, part: int, chance: random.Random) -> dict[str, list[int]]:
    """How many things were done and how many of them found, by kind."""
    found: dict[str, list[int]] = {}
    with closing(book.unguarded()) as connection:
        if is_found(connection):
            raise AssertionError("the book has a fault before anything was done to it")
        for each in tamperings(book, connection, chance):
            if part > 1 and chance.randrange(part):
                continue
            counts = found.setdefault(each.kind, [0, 0])
            counts[0] += 1
            told = is_found(connection, each)
            counts[1] += bool(told)
            if not told:
                print(f"not found: {each.kind}, {each.place}: {each.steps}")
    return found


def whole(book: HonestBook) -> dict[str, dict[str, int]]:
    """Books that were made to match throughout: how many are found without a head, and with one."""
    last = len(book.lines)
    head = head_at(book, last)
    found = {name: {"tried": 0, "without": 0, "with": 0} for name in ("cut off at the end", "written anew")}
    for seq in range(STEP, last, STEP):
        for name, made in (("cut off at the end", book.until(seq)), ("written anew", book.rewritten(seq, detail="x"))):
            with closing(made.unguarded()) as connection:
                counts = found[name]
                counts["tried"] += 1
                counts["without"] += bool(is_found(connection))
                counts["with"] += bool(is_found(connection, against=head))
    return found


def head_at(book: HonestBook, seq: int) -> Head:
    """What somebody kept when this was the last line."""
    return head_of(seq, {book.writers[writer][0]: end for writer, end in book.until(seq).heads.items()})


def main() -> int:
    """Run, print, perhaps record."""
    given = arguments(__doc__, entries=1_000, part=1, seed=SEED)
    begun_s = perf_counter()
    book = story(given.seed, given.entries)
    found = single(book, given.part, random.Random(given.seed))  # noqa: S311 - spread
    rows = [[kind, f"{done:,}", f"{told:,}"] for kind, (done, told) in found.items()]
    done, told = (sum(counts[place] for counts in found.values()) for place in (0, 1))
    table(["what was done", "times", "found"], [*rows, ["all", f"{done:,}", f"{told:,}"]])
    print()
    made = whole(book)
    table(
        ["with all hashes and sums made to match", "tried", "found without a head", "with one"],
        [[name, *map(str, counts.values())] for name, counts in made.items()],
    )
    print(
        f"\n{len(book.lines)} lines, {perf_counter() - begun_s:.0f} s; left out, because they say nothing of the past:"
    )
    print("  " + ", ".join(sorted(".".join(cell) for cell in MEANINGLESS)))
    figures = {"found": {kind: {"done": each[0], "found": each[1]} for kind, each in found.items()}, "whole": made}
    record(given.record, "tamper", {"entries": len(book.lines), "part": given.part, "seed": given.seed}, figures)
    return 0 if done == told and all(each["with"] == each["tried"] for each in made.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
