"""`modelrouter status`: how deployments have fared, by the book and by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter import AttemptsExhaustedError, Router
from modelrouter.testing import FakeTransport, failure, reply
from tests.cli.command import SERVERLESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran


@pytest.fixture
def booked(folder: Path) -> Path:
    """A book with two answers, a timeout, a full house and a prompt that was too long."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    lane = FakeTransport(
        reply("one"),
        reply("two"),
        failure("timed_out"),
        failure("rate_limited", status=429, retry_after_s=1e9),
        failure("context_too_long", status=400),
    )
    with Router.from_config(transports={"direct": lane}) as router:
        for _ in range(2):
            router.complete("chat", "Hello")
        for _ in range(3):
            with pytest.raises(AttemptsExhaustedError):
                router.complete("chat", "Hello")
    return folder


def test_every_deployment_has_a_line_with_what_came_of_it(booked: Path, run: Callable[..., Ran]) -> None:
    """Success counts what says something about the deployment: two answers and a timeout, and neither 429 nor 400."""
    document = run("status", "--json").document
    [own] = [each for each in document["deployments"] if each["deployment"] == "own"]
    assert (own["attempts"], own["answered"], own["open"]) == (5, 2, 0)
    assert own["failures"] == {"timed_out": 1, "rate_limited": 1, "context_too_long": 1}
    assert own["blamed"] == {"deployment": 1, "identity": 0, "capacity": 1, "credential": 0, "nobody": 1}
    assert own["success_share"] == pytest.approx(2 / 3, abs=1e-4)
    assert own["failures_in_a_row"] == 1
    assert 0 <= own["duration_s"]["half"] <= own["duration_s"]["most"]
    assert own["last_answer"] <= own["last_failure"]
    shown = run("status").out
    assert "66.7%" in shown
    assert "1 timed_out" in shown
    assert "by the book" in shown


def test_it_says_what_it_cannot_know(booked: Path, run: Callable[..., Ran]) -> None:
    """A command has no live Router, and does not play one."""
    assert "explain" in run("status", "--json").document["note"]


def test_without_a_book_there_are_no_attempts_and_none_is_made(folder: Path, run: Callable[..., Ran]) -> None:
    """Looking makes no file."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    before = sorted(folder.iterdir())
    document = run("status", "--json").document
    assert {each["attempts"] for each in document["deployments"]} == {0}
    assert {each["success_share"] for each in document["deployments"]} == {None}
    assert sorted(folder.iterdir()) == before


def test_a_length_that_is_none_is_wrong_use(booked: Path, run: Callable[..., Ran]) -> None:
    """It names the option."""
    ran = run("status", "--since", "soon")
    assert ran.code == 2
    assert "--since" in ran.err
