"""Whatever is done to a book with the file in hands is found; what needs a head that was kept outside is listed."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelrouter.ledger.audit.heads import head_of
from tests.ledger.audit_story import story
from tests.ledger.tampering import is_found, sample, tamperings

if TYPE_CHECKING:
    from modelrouter.ledger.audit.heads import Head
    from tests.ledger.audit_book import HonestBook

SEED = 20261122


def head_at(book: HonestBook, seq: int) -> Head:
    """The head that somebody took when line `seq` was the last."""
    then = book.until(seq)
    return head_of(seq, {then.writers[writer][0]: end for writer, end in then.heads.items()})


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_book_has_no_fault(seed: int) -> None:
    """The auditor and the plain writer of the tests come to the same, for books with everything in them."""
    with closing(story(seed, 400).unguarded()) as connection:
        assert is_found(connection) == ""


def test_every_kind_of_tampering_is_found() -> None:
    """Edits, deletions, duplications, swaps and cuts of lines, of records and of derived tables, some of each kind."""
    chance = random.Random(SEED)
    book = story(SEED, 150)
    with closing(book.unguarded()) as connection:
        assert is_found(connection) == ""
        done = sample(list(tamperings(book, connection, chance)), 250, chance)
        assert [each for each in done if not is_found(connection, each, to_the_end=True)] == []
        assert is_found(connection) == ""


@pytest.mark.long
def test_a_tenth_of_all_tampering_with_a_thousand_entries_is_found() -> None:
    """Of every single thing that can be done to a book of a thousand entries, a tenth by chance."""
    chance = random.Random(SEED)
    book = story(SEED, 1_000)
    with closing(book.unguarded()) as connection:
        everything = list(tamperings(book, connection, chance))
        done = sample(everything, len(everything) // 10, chance)
        assert [each for each in done if not is_found(connection, each)] == []


@pytest.mark.parametrize("kept", [30, 90, 149])
def test_a_cut_that_leaves_all_sums_right_is_found_with_a_head_alone(kept: int) -> None:
    """Lines taken off the end, with every other table made anew to match: no book can tell, whoever has a head can."""
    book = story(SEED, 150)
    head = head_at(book, len(book.lines))
    kept += book.lines[kept]["kind"] == "overrun"  # without it its settlement is one that somebody cut off
    with closing(book.until(kept).unguarded()) as connection:
        assert is_found(connection) == ""
        assert is_found(connection, against=head).startswith("head")
        assert is_found(connection, against=head_at(book, kept)) == ""


@pytest.mark.parametrize("seq", [8, 60, 140])
def test_a_history_written_anew_is_found_with_a_head_alone(seq: int) -> None:
    """One line changed, and every hash and sum after it made anew: the head of any later line no longer fits."""
    book = story(SEED, 150)
    forged = book.rewritten(seq, detail="never happened")
    with closing(forged.unguarded()) as connection:
        assert is_found(connection) == ""
        assert is_found(connection, against=head_at(book, len(book.lines))).startswith("head")
        assert is_found(connection, against=head_at(book, seq)).startswith("head")
        assert is_found(connection, against=head_at(book, seq - 1)) == ""


def test_a_book_that_goes_on_agrees_with_its_earlier_heads() -> None:
    """A head is no more than what was there when it was taken: later lines do not contradict it."""
    book = story(SEED, 200)
    with closing(book.unguarded()) as connection:
        for seq in (0, 1, 77, 199):
            head = head_at(book, seq) if seq else head_of(0, {})
            assert is_found(connection, against=head) == ""
