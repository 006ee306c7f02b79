"""What the application's own functions may do to a Router: end the program, block, ask it again. Others go on."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.errors import DeadlineExceededError
from modelrouter.testing import MemoryLedger
from tests.router.played import SOON_S, Played, hello, played

if TYPE_CHECKING:
    from collections.abc import Mapping

JUDGES = 40
"""More than a loop's executor ever has threads: 32 at most."""
ENDS_WITHIN_S = 60
NEVER_BACK = """
import sys, threading
from pathlib import Path
from modelrouter.errors import DeadlineExceededError
from tests.router.played import Played, hello, played

never = threading.Event()
with played(Path(sys.argv[1]), Played(hello())) as router:
    try:
        router.complete("ask", "x", accept=lambda _message: never.wait(), timeout_s=0.2)
    except DeadlineExceededError:
        print("ended")
"""


class LeavingSink:
    """A sink that ends the program, as far as it can."""

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Only where a call is told of."""
        if event == "attempt":
            sys.exit(3)


async def leaving(_message: object) -> bool:
    """A test of an answer that ends the program."""
    sys.exit(3)


def test_a_test_that_exits_ends_its_own_call_only(tmp_path: Path) -> None:
    """`sys.exit` in `accept` reaches whoever made the call; the loop that serves everybody else goes on."""
    ledger = MemoryLedger()
    with played(tmp_path, Played(hello()), ledger=ledger) as router:
        for accept in (leaving, lambda _message: sys.exit(3)):
            with pytest.raises(SystemExit):
                router.complete("ask", "x", accept=accept)
            assert router.complete("ask", "x").text == "hello there"
    assert len(ledger.resolutions) == 4
    assert all(each.billing is Billing.BILLED for each in ledger.resolutions.values())


def test_a_sink_that_exits_costs_no_answer(tmp_path: Path) -> None:
    """`sys.exit` in an event sink is its author's mistake, as anything else that it raises."""
    with played(tmp_path, Played(hello()), events=LeavingSink()) as router:
        assert [router.complete("ask", "x").text for _ in range(2)] == ["hello there"] * 2


def test_tests_that_ask_the_router_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Judges may be models too, many at once, with personal tags whose keys are read in a thread."""
    together = threading.Barrier(JUDGES)
    with (
        played(tmp_path, Played(hello()), top="tags: {user: {personal: true}}") as router,
        ThreadPoolExecutor(JUDGES) as threads,
    ):
        options: dict[str, Any] = {"tags": {"user": "ada"}, "timeout_s": ENDS_WITHIN_S}

        def judge(_message: object) -> bool:
            together.wait(SOON_S)
            return router.complete("ask", "is it good?", **options).text == "hello there"

        calls = [threads.submit(router.complete, "ask", "x", accept=judge, **options) for _ in range(JUDGES)]
        assert [each.result(ENDS_WITHIN_S).text for each in calls] == ["hello there"] * JUDGES


def test_a_test_that_never_comes_back_holds_nothing_up(tmp_path: Path) -> None:
    """It ends with its deadline, the Router is closed as ever, and so does the program end."""
    command = [sys.executable, "-c", NEVER_BACK, str(tmp_path)]
    ran = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, timeout=ENDS_WITHIN_S, check=False
    )
    assert (ran.returncode, ran.stdout.decode().strip(), ran.stderr.decode()) == (0, "ended", "")


def test_a_test_that_blocks_past_the_deadline_is_booked(tmp_path: Path) -> None:
    """What it says later is nobody's: the answer was billed, and rejected."""
    ledger, late = MemoryLedger(), threading.Event()
    with played(tmp_path, Played(hello()), ledger=ledger) as router:
        with pytest.raises(DeadlineExceededError, match="`accept` did not answer"):
            router.complete("ask", "x", accept=lambda _message: late.wait(SOON_S), timeout_s=0.2)
        late.set()
    (resolution,) = ledger.resolutions.values()
    assert resolution.billing is Billing.BILLED
