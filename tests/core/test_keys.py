"""Credentials in turn: a refused one is out alone, a full one rests, and there is always one to try."""

from __future__ import annotations

import pytest

from modelrouter.core.failure import Failure, FailureKind, Phase
from modelrouter.core.keys import HOLD_ASKED_MOST_S, OUT_MOST_S, Keys


def failure(kind: FailureKind, retry_after_s: float | None = None) -> Failure:
    """A failure of this kind."""
    return Failure(kind, Phase.ANSWERING, "a test", retry_after_s=retry_after_s)


def used(keys: Keys, now_s: float, *failures: Failure | None) -> list[int]:
    """Which key each call took, one after the other."""
    found = []
    for each in failures:
        place = keys.pick(now_s)
        keys.began(place)
        keys.ended(now_s, place, each)
        found.append(place)
    return found


def test_keys_take_turns_and_the_busy_one_rests() -> None:
    """One after the other; while one is in use the others come first."""
    keys = Keys(3)
    assert used(keys, 0.0, None, None, None, None) == [0, 1, 2, 0]
    keys.began(1)
    assert used(keys, 0.0, None, None, None) == [2, 0, 2]


def test_a_refused_key_is_out_alone_and_comes_back_later() -> None:
    """The others serve; after half a minute it gets another chance, and after a second refusal a minute."""
    keys = Keys(2)
    no = failure(FailureKind.UNAUTHORIZED)
    assert used(keys, 0.0, no, None, None) == [0, 1, 1]
    assert keys.trouble(0.0) == ""
    assert used(keys, 30.0, no, None) == [0, 1]
    assert used(keys, 89.0, None, None) == [1, 1]
    assert used(keys, 90.0, None) == [0]


def test_with_no_key_left_the_deployment_is_in_trouble_and_still_has_one_to_try() -> None:
    """Nothing ever says that there is none."""
    keys = Keys(1)
    assert used(keys, 0.0, failure(FailureKind.QUOTA_EXHAUSTED)) == [0]
    assert keys.trouble(0.0) == "no key of it is in use (its account is used up); the next try is in 30 s"
    assert keys.pick(0.0) == 0
    for _ in range(40):
        used(keys, 0.0, failure(FailureKind.UNAUTHORIZED))
    assert not keys.has_well(OUT_MOST_S - 1)
    assert keys.has_well(OUT_MOST_S)
    assert keys.held_until_s(0.0) is None


@pytest.mark.parametrize(
    ("asked_s", "held_s"),
    [(7.0, 7.0), (None, 1.0), (0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (float("inf"), 1.0), (1e9, 3600.0)],
)
def test_a_full_key_is_held_back_as_long_as_was_asked(asked_s: float | None, held_s: float) -> None:
    """What cannot be read is a second, and nothing is held back for longer than an hour."""
    keys = Keys(1)
    used(keys, 0.0, failure(FailureKind.RATE_LIMITED, asked_s))
    assert keys.held_until_s(0.0) == held_s <= HOLD_ASKED_MOST_S
    assert "full" in keys.trouble(0.0)
    assert keys.trouble(held_s) == ""


def test_holds_without_a_time_double_and_a_success_ends_that() -> None:
    """One second, two, four … up to thirty."""
    keys, now_s = Keys(1), 0.0
    for held_s in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        used(keys, now_s, failure(FailureKind.RATE_LIMITED))
        assert keys.held_until_s(now_s) == now_s + held_s
        now_s += held_s
    used(keys, now_s, None, failure(FailureKind.RATE_LIMITED))
    assert keys.held_until_s(now_s) == now_s + 1.0
