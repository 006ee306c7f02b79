"""`check` and `explain`: who may serve, who may not, on which fact and from which source; nothing is sent or made."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import sys
import threading
from typing import TYPE_CHECKING, Final

from modelrouter.cli.unwritten import UnwrittenLedger
from tests.cli.command import SERVERLESS, TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.command import Ran

COLOUR: Final = re.compile(r"\x1b\[[0-9;]*3[0-7]")
TAGGED: Final = """\
policies:
  - policy: team-rule
    applies_to: {team: [blue]}
    rules: {hosting: {allow: [vendor_api], because: "the blue team rents"}}
"""


def test_a_route_with_somebody_is_good(folder: Path, run: Callable[..., Ran]) -> None:
    """The permitted stand in order with what they cost; the ledger is not made."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    told, document = run("check"), run("check", "--json").document
    assert told.code == 0
    assert "every route can be served" in told.out
    assert document["ok"] is True
    [route] = document["routes"]
    [candidate] = route["permitted"]
    assert (candidate["deployment"], candidate["bound_basis"]) == ("own", "documented")
    assert 0 < float(candidate["expected_usd"]) < float(candidate["most_usd"])
    assert document["ledger"]["exists"] is False
    assert document["notes"] == ["in no route: dear"]
    assert sorted(path.name for path in folder.iterdir()) == ["modelrouter.yaml"]


def test_a_route_with_nobody_is_1_and_says_why(folder: Path, run: Callable[..., Ran]) -> None:
    """The refused deployment is shown with rule, reason, fact and source, for people and for programs."""
    text = TWO_ROUTES.replace("training: never", "training: used")
    (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
    told, document = run("check"), run("check", "--json").document
    assert told.code == 1
    assert "nobody may serve: chat, closed, both" in told.out
    for words in ("baseline/data.training: used", "own.training = used", "the tests (undated", "OPENAI_API_KEY"):
        assert words in told.out
    chat = document["routes"][0]
    [refusal] = chat["refused"][0]["refusals"]
    assert (chat["ok"], refusal["rule"], refusal["outcome"]) == (False, "data.training", "refused")
    assert refusal["source"] == {
        "ref": "the tests",
        "checked_on": None,
        "confidence": "medium",
        "grade": "asserted",
        "ownership": "user",
    }
    assert document["routes"][2]["refused"][0]["refusals"][0]["policy"] == "wire"


def test_check_judges_without_tags_and_says_so(folder: Path, run: Callable[..., Ran]) -> None:
    """A policy that asks for a tag binds a request without it; `explain --tag` judges with it."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS.replace("policies: [baseline]\n", TAGGED), encoding="utf-8")
    checked = run("check")
    assert checked.code == 1
    assert "judged without tags" in checked.out
    assert run("explain", "chat", "--tag", "team=red").code == 0
    refused = run("explain", "chat", "--tag", "team=blue", "--json")
    assert refused.code == 1
    assert refused.document["refused"][0]["refusals"][0]["because"] == "the blue team rents"


def test_explain_takes_policies_and_a_ceiling_of_the_call(folder: Path, run: Callable[..., Ran]) -> None:
    """A policy of the call takes candidates away, and so does a ceiling that no bound fits under."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    assert run("explain", "chat", "Hello", "--policy", "zdr-no-train").code == 1
    document = run("explain", "chat", "Hello", "--policy", "permissive-licence-only", "--json").document
    assert [policy["level"] for policy in document["policies"]] == ["config", "request"]
    poor = run("explain", "chat", "Hello", "--max-cost-usd", "0.00000001")
    assert poor.code == 1
    assert "request.cost_usd" in poor.out


def test_neither_connects_to_an_endpoint(folder: Path, run: Callable[..., Ran]) -> None:
    """A listening socket in the place of the server sees no connection, from a permitted nor a refused deployment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        (folder / "modelrouter.yaml").write_text(SERVERLESS.replace("127.0.0.1:9", address), encoding="utf-8")
        assert run("check").code == 0
        assert run("explain", "chat", "Hello").code == 0
        assert run("explain", "chat", "Hello", "--max-cost-usd", "0.00000001").code == 1
        seen = []
        with contextlib.suppress(TimeoutError):
            seen.append(listening.accept())
    assert seen == []


def test_their_ledger_grants_nothing() -> None:
    """Even a call by mistake could not be sent from `check`: every reservation is refused."""
    told: list[Exception | None] = []
    done = threading.Event()

    def refused(error: Exception | None) -> None:
        told.append(error)
        done.set()

    ledger = UnwrittenLedger()
    ledger.reserve(_Asked(), refused)  # type: ignore[arg-type]
    assert done.wait(1)
    assert [type(error).__name__ for error in told] == ["LedgerUnavailableError"]
    assert ledger.spend(by="day") == ()


class _Asked:
    deployment = "own"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_for_those_who_want_it(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe gets none, a terminal does, and with NO_COLOR it does not."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    assert "\x1b" not in run("check").out
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = []
    for no_color in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_color)
        terminal = _Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        run("check")
        shown.append(terminal.getvalue())
    assert [bool(COLOUR.search(text)) for text in shown] == [True, False]


def test_everything_fits_80_columns(folder: Path, run: Callable[..., Ran]) -> None:
    """Long facts and sources fold; no line is wider than a terminal, but for a path, which stays whole."""
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES, encoding="utf-8")
    for command in (("check",), ("explain", "both"), ("catalog", "list"), ("catalog", "show", "gpt-oss-120b")):
        lines = run(*command).out.splitlines()
        assert max(len(line) for line in lines if str(folder) not in line) <= 80, command
