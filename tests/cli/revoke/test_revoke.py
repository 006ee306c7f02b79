"""`modelrouter revoke` and `restore`: what they take away, where they write it, and what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import RevokedError, Router
from modelrouter.testing import FakeTransport, reply
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

WHY = ("--reason", "contract ended")


@pytest.fixture(autouse=True)
def _config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes `chat` (own), `closed` (dear) and `both` (dear, own); OpenAI made both models, and runs one."""
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES, encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "invented")


def asked(folder: Path, route: str = "both") -> str:
    """Who answers one call."""
    lane = FakeTransport(reply("hello"))
    with Router.from_config(folder / "modelrouter.yaml", transports={"direct": lane, "litellm": lane}) as router:
        return router.complete(route, "hi").deployment


def document(run: Callable[..., Ran], *arguments: str) -> dict[str, Any]:
    """What a command prints for programs; it must end well."""
    ran = run(*arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    return ran.document


def test_a_vendor_is_revoked_in_every_role_or_in_some(folder: Path, run: Callable[..., Ran]) -> None:
    """As an operator OpenAI leaves what we run ourselves; in every role it leaves nobody. `restore` undoes both."""
    assert asked(folder) == "dear"
    found = document(run, "revoke", "openai", *WHY, "--as", "operator")
    assert found["revoked"]["roles"] == ["operator"]
    assert list(found["deployments"]) == ["dear"]
    assert found["routes"] == [
        {"route": "closed", "taken": ["dear"], "left": []},
        {"route": "both", "taken": ["dear"], "left": ["own"]},
    ]
    assert found["warnings"][0] == "nobody is left for route `closed`: `dear` is cut off"
    assert asked(folder) == "own"
    every = document(run, "revoke", "vendor:openai", *WHY, "--abort-in-flight")
    assert (len(every["revoked"]["roles"]), every["revoked"]["abort_in_flight"]) == (6, True)
    with pytest.raises(RevokedError, match="the vendor `openai` was revoked as developer"):
        asked(folder)
    number = every["revoked"]["number"]
    restored = document(run, "restore", str(number), "--reason", "mended")
    assert [each["number"] for each in restored["restored"]] == [number]
    assert [each["roles"] for each in restored["still_revoked"]] == [["operator"]]
    assert asked(folder) == "own"
    document(run, "restore", "openai")
    assert asked(folder) == "dear"
    assert run("ledger", "verify").code == 0


def test_what_it_takes_away_is_printed_for_people(run: Callable[..., Ran]) -> None:
    """Routes, who is left, a warning for a route with nobody, and how to undo it; the exit code is good."""
    ran = run("revoke", "deployment:dear", *WHY, "--until", "2h")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    assert "deployment:dear is revoked: number 2 in sqlite:///" in ran.out.splitlines()[0]
    assert ["closed", "dear", "nobody"] in lines
    assert ["both", "dear", "own"] in lines
    assert "warning: nobody is left for route `closed`: `dear` is cut off" in ran.out
    assert "undo it with `modelrouter restore 2`" in ran.out


def test_a_revocation_of_what_nobody_uses_says_so(run: Callable[..., Ran]) -> None:
    """A vendor of the catalog that plays no part here may be revoked all the same: a reload may bring it."""
    ran = run("revoke", "mistral", *WHY)
    assert (ran.code, ran.err) == (0, "")
    assert "no deployment of this config falls under it" in ran.out
    assert "not known, so not taken away: whether dear belongs to it (gpt-6-sol.derived_from)" in ran.out


def test_what_was_revoked_before_is_no_rest(run: Callable[..., Ran]) -> None:
    """Who is left is told with everything that is in force."""
    document(run, "revoke", "own", *WHY)
    found = document(run, "revoke", "deployment:dear", *WHY)
    (both,) = [each for each in found["routes"] if each["route"] == "both"]
    assert (sorted(both["taken"]), both["left"]) == (["dear", "own"], [])


def test_the_list_shows_what_is_revoked(folder: Path, run: Callable[..., Ran]) -> None:
    """Before the first call there is nothing, and no file is made for the question."""
    empty = document(run, "revoke", "--list")
    assert empty["revoked"] == []
    assert "nothing is revoked in sqlite:///" in run("revoke", "--list").out
    assert not (folder / "modelrouter.db").exists()
    run("revoke", "gpt-6-sol", *WHY, "--until", "2999-12-31")
    (found,) = document(run, "revoke", "--list")["revoked"]
    assert (found["subject"], found["until"], found["in_force"]) == ("model:gpt-6-sol", "3000-01-01T00:00:00Z", True)
    shown = run("revoke", "--list").out
    assert "model:gpt-6-sol" in shown
    assert "dear: the model `gpt-6-sol` was revoked by entry 2 until 3000-01-01T00:00:00Z (contract ended)" in shown


def test_status_shows_who_is_cut_off(run: Callable[..., Ran]) -> None:
    """Beside how each deployment has fared."""
    assert {each["revoked"] for each in document(run, "status")["deployments"]} == {None}
    run("revoke", "dear", *WHY)
    said = {each["deployment"]: each["revoked"] for each in document(run, "status")["deployments"]}
    assert said == {"own": None, "dear": "the deployment `dear` was revoked by entry 2 (contract ended)"}
    assert "dear is cut off: the deployment `dear` was revoked by entry 2" in run("status").out


def test_export_has_each_revocation_with_its_end(run: Callable[..., Ran]) -> None:
    """What was undone stays in the book, with who undid it and why."""
    run("revoke", "openai", *WHY, "--as", "via")
    run("revoke", "own", "--reason", "broken", "--until", "2999-12-31")
    run("restore", "openai", "--reason", "mended")
    ran = run("ledger", "export", "--what", "revocations")
    assert ran.code == 0
    first, second = (json.loads(line) for line in ran.out.splitlines())
    assert (first["kind"], first["name"], first["roles"], first["in_force"]) == ("vendor", "openai", '["via"]', 0)
    assert (first["restored_by"] > second["seq"], first["why_restored"]) == (True, "mended")
    assert (second["name"], second["until"], second["restored_by"], second["in_force"]) == (
        "own", "3000-01-01T00:00:00.000000Z", None, 1,
    )  # fmt: skip


def test_explain_and_the_summary_know_it(run: Callable[..., Ran]) -> None:
    """`explain` reads the ledger: a revoked candidate is refused with the entry."""
    assert run("explain", "closed").code == 0
    run("revoke", "dear", *WHY)
    ran = run("explain", "closed", "--json")
    assert ran.code == 1
    (refused,) = ran.document["refused"]
    (refusal,) = [each for each in refused["refusals"] if each["rule"] == "revoked"]
    assert refusal["reason"] == "the deployment `dear` was revoked by entry 2 (contract ended)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("revoke", "openay", *WHY), "there is no vendor, model or deployment `openay`: did you mean `openai`?"),
        (("revoke", "model:dear", *WHY), "there is no model `dear`"),
        (("revoke", "self", *WHY), "`self` is you, and no vendor"),
        (("revoke", "openai"), "say why"),
        (("revoke", "openai", "--reason", " "), "say why"),
        (("revoke",), "say whom, or write `--list`"),
        (("revoke", "openai", "--list"), "leave out the rest"),
        (("revoke", "openai", *WHY, "--as", "operater"), "is not revoked as `operater`: did you mean `operator`?"),
        (("revoke", "openai", *WHY, "--as", "itself"), "a vendor is not revoked as `itself`"),
        (("revoke", "dear", *WHY, "--as", "operator"), "a deployment is not revoked as `operator`"),
        (("revoke", "openai", *WHY, "--until", "2001-01-01"), "`2001-01-01` is not ahead"),
        (("revoke", "openai", *WHY, "--until", "soon"), "`soon` is no length and no day"),
        (("revoke", "openai", *WHY, "--in-file"), "the config names no signed file"),
        (("revoke", "openai", *WHY, "--signing-key", "env:X"), "add `--in-file`"),
    ],
)
def test_wrong_use_is_told_and_writes_nothing(
    folder: Path, run: Callable[..., Ran], arguments: tuple[str, ...], words: str
) -> None:
    """Exit 2, one sentence with what to write instead, and no ledger."""
    ran = run(*arguments)
    assert ran.code == 2
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (folder / "modelrouter.db").exists()


def test_restore_of_what_is_not_revoked_is_told(run: Callable[..., Ran]) -> None:
    """By name or number; the nearest that is."""
    run("revoke", "openai", *WHY)
    for name, words in (
        ("opnai", "`opnai` is not revoked here: did you mean `openai`?"),
        ("1", "`1` is not revoked here: choose one of `openai`"),
    ):
        ran = run("restore", name)
        assert ran.code == 2
        assert words in ran.err


def test_a_signed_file_takes_the_place_of_the_ledger(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--in-file` makes it, adds to it and takes away; Routers obey it, and no ledger is written for that."""
    monkeypatch.setenv("REVOCATIONS_KEY", "a secret of more than sixteen bytes")
    text = TWO_ROUTES + "revocations: {file: revoked.json, key: 'env:REVOCATIONS_KEY'}\n"
    (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
    first = document(run, "revoke", "dear", *WHY, "--in-file")
    assert first["where"].endswith("/revoked.json")
    assert first["deployments"] == {
        "dear": "the deployment `dear` was revoked by number 1 of revoked.json (contract ended)"
    }
    document(run, "revoke", "own", *WHY, "--in-file")
    assert not (folder / "modelrouter.db").exists()
    with pytest.raises(RevokedError):
        asked(folder)
    assert [each["number"] for each in document(run, "revoke", "--list", "--in-file")["revoked"]] == [1, 2]
    document(run, "restore", "1", "--in-file")
    assert asked(folder) == "dear"
    with pytest.raises(RevokedError):
        asked(folder, "chat")
    monkeypatch.setenv("REVOCATIONS_KEY", "another secret of such a length")
    ran = run("revoke", "dear", *WHY, "--in-file")
    assert ran.code == 2
    assert "its signature is not right" in ran.err


def test_whom_a_signed_file_cuts_off_is_told_where_the_ledger_is_asked(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routers of the config obey both, so `status` and `attest` tell of both, with or without a book."""
    monkeypatch.setenv("REVOCATIONS_KEY", "a secret of more than sixteen bytes")
    text = TWO_ROUTES + "revocations: {file: revoked.json, key: 'env:REVOCATIONS_KEY'}\n"
    (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
    document(run, "revoke", "vendor:openai", *WHY, "--in-file")
    why = "the vendor `openai` was revoked as developer by number 1 of revoked.json (contract ended)"
    for book in (False, True):
        if book:
            document(run, "revoke", "deployment:own", *WHY)
        said = {each["deployment"]: each["revoked"] for each in document(run, "status")["deployments"]}
        assert said["dear"] == why
    assert "by entry 2 " in said["own"]
    attested = document(run, "attest", "--vendor", "openai", "--since", "2026-11-01")["document"]
    assert {each["deployment"]: each["revoked"] for each in attested["verdicts"]}["dear"] == why
    assert [each["id"] for each in attested["revoked"]] == ["entry 2", "number 1 of revoked.json"]
    shown = " ".join(run("revoke", "--list").out.split())
    assert "and by signed file: vendor:openai; see" in shown
    assert "nobody is left for route `both`" in shown
    assert document(run, "revoke", "model:qwen3-32b", *WHY)["deployments"].keys() == {"own", "dear"}
    monkeypatch.delenv("REVOCATIONS_KEY")
    assert document(run, "revoke", "--list")["deployments"].keys() == {"own"}, "as far as it can be proved here"
