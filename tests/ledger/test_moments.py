"""Which moment a batch has, and when a clock is not believed."""

from __future__ import annotations

import time

import pytest

from modelrouter.ledger.moments import Moments, elapsed_of
from modelrouter.router.outside import SystemClock
from tests.ledger.builders import StillClock

SECOND_US = 1_000_000
START_US = 1_790_000_000 * SECOND_US


class Counting:
    """Seconds that a test counts."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


def test_a_moment_is_never_before_the_last_line() -> None:
    """Less than two seconds behind is a clock that was corrected a little: the book's time stands still."""
    moments = Moments(Counting())
    assert moments.next(START_US, 0).at_us == START_US
    late = moments.next(START_US - 1_999_999, START_US)
    assert (late.at_us, late.fault) == (START_US, None)


@pytest.mark.parametrize(("seconds", "words"), [(3, "3 s"), (150, "2 min"), (3 * 3_600, "3 h"), (5 * 86_400, "5 d")])
def test_a_clock_behind_the_book_is_not_believed(seconds: int, words: str) -> None:
    """The sentence says by how much, and when the last entry was."""
    found = Moments(Counting()).next(START_US - seconds * SECOND_US, START_US)
    assert found.at_us == START_US
    assert found.fault is not None
    assert f"went back by {words}" in found.fault.message
    assert "2026-09-21T14:13:20" in found.fault.message


def test_time_that_both_clocks_have_seen_is_no_jump() -> None:
    """A night without a batch, or a machine that slept: both clocks went on by the same."""
    counting = Counting()
    moments = Moments(counting)
    moments.next(START_US, 0)
    counting.now += 36_000
    assert moments.next(START_US + 36_000 * SECOND_US, START_US).fault is None


def test_a_jump_is_not_followed_and_is_over_when_the_clocks_agree() -> None:
    """More than a minute ahead of the counting clock: the moment is the one that was to be expected."""
    counting = Counting()
    moments = Moments(counting)
    moments.next(START_US, 0)
    counting.now += 10
    jumped = moments.next(START_US + 3_600 * SECOND_US, START_US)
    assert jumped.fault is not None
    assert "went forward by 60 min" in jumped.fault.message
    assert jumped.at_us == START_US + 10 * SECOND_US
    counting.now += 10
    assert moments.next(START_US + 3_610 * SECOND_US, START_US).fault is not None
    again = moments.next(START_US + 20 * SECOND_US, START_US)
    assert (again.at_us, again.fault) == (START_US + 20 * SECOND_US, None)


def test_a_clock_that_drifts_is_believed() -> None:
    """Half a minute from batch to batch is slow enough, however far it leads in the end."""
    counting = Counting()
    moments = Moments(counting)
    for number in range(10):
        assert moments.next(START_US + 30 * number * SECOND_US, 0).fault is None


def test_the_machine_s_clock_counts_through_sleep() -> None:
    """Where the clock is the machine's, seconds are taken from one that goes on while it sleeps; else from itself."""
    assert elapsed_of(SystemClock()) != time.monotonic or not hasattr(time, "CLOCK_BOOTTIME")
    counted = elapsed_of(SystemClock())
    assert counted() <= counted()
    clock = StillClock()
    assert elapsed_of(clock)() == clock.at_s
