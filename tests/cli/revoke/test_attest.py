"""`modelrouter attest`: attempts counted by role, the verdicts of now, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router
from modelrouter.testing import FakeTransport, failure, reply
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran


@pytest.fixture(autouse=True)
def _config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI made both models of this config, and runs one."""
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES, encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "invented")


def call(folder: Path, *turns: object) -> None:
    """One call of the route `both`: first `dear`, then `own`."""
    lane = FakeTransport(*turns)  # type: ignore[arg-type]
    with Router.from_config(folder / "modelrouter.yaml", transports={"direct": lane, "litellm": lane}) as router:
        router.complete("both", "hi")


def test_attempts_are_counted_by_role(folder: Path, run: Callable[..., Ran]) -> None:
    """A failed attempt was made; one that never left is told apart. Exit 1: there were some."""
    call(folder, failure("server_error", status=503), reply("hello"))
    call(folder, failure("unreachable", sent=False), reply("hello"))
    ran = run("attest", "--vendor", "openai", "--since", "1d", "--json")
    assert ran.code == 1
    attempts = ran.document["document"]["attempts"]
    assert (attempts["made"], attempts["not_sent"]) == (3, 1)
    assert attempts["roles"] == {"developer": 3, "operator": 1}
    assert attempts["deployments"] == {"dear": 1, "own": 2}
    assert attempts["not_in_config"] == {}
    other = run("attest", "--vendor", "mistral", "--since", "1d", "--json")
    assert (other.code, other.document["document"]["attempts"]["made"]) == (0, 0)
    assert other.document["document"]["verdicts"] == []


def test_after_a_revocation_nothing_was_made(folder: Path, run: Callable[..., Ran]) -> None:
    """The document to sign: nothing asked since, everybody cut off, by which entry, and what it was judged by."""
    run("revoke", "openai", "--reason", "ended", "--as", "operator")
    call(folder, reply("hello"))
    ran = run("attest", "--vendor", "openai", "--since", "1d", "--json")
    found = ran.document["document"]
    assert ran.code == 1  # as a developer it was still asked
    assert found["attempts"]["roles"] == {"developer": 1}
    said = {each["deployment"]: each["revoked"] for each in found["verdicts"]}
    assert said == {"own": None, "dear": "the vendor `openai` was revoked as operator by entry 2 (ended)"}
    assert [each["id"] for each in found["revoked"]] == ["entry 2"]
    head = run("ledger", "head", "--json").document
    assert found["ledger_head"] in json.dumps(head)
    with Router.from_config(folder / "modelrouter.yaml") as router:
        setup = router.setup
    assert found["facts_sha256"] == setup.world.epoch
    assert found["config_sha256"] == setup.digest
    assert found["catalog_sha256"] == setup.digests["catalog"].sha256


def test_the_document_is_canonical_and_its_hash_is_told(folder: Path, run: Callable[..., Ran]) -> None:
    """On stdout stands what is to be signed and nothing else; a file gets the same form, and is never written over."""
    call(folder, reply("hello"))
    ran = run("attest", "--vendor", "mistral", "--since", "2020-01-01")
    document = json.loads(ran.out)
    assert ran.out == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    assert ran.err == f"sha256 {hashlib.sha256(ran.out.encode()).hexdigest()}\n"
    assert (document["since"], document["vendor"]) == ("2020-01-01T00:00:00Z", "mistral")
    written = run("attest", "--vendor", "mistral", "--since", "2020-01-01", "--out", "said.json")
    assert written.code == 0
    text = (folder / "said.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() in written.out
    assert {**json.loads(text), "until": ""} == {**document, "until": ""}
    again = run("attest", "--vendor", "mistral", "--since", "2020-01-01", "--out", "said.json")
    assert again.code == 2
    assert "is there already" in again.err
    assert (folder / "said.json").read_bytes() == text


def test_what_the_config_no_longer_knows_is_told(folder: Path, run: Callable[..., Ran]) -> None:
    """Of a deployment that is gone, operator and developer are in the book; its other roles are not known."""
    call(folder, reply("hello"))
    renamed = TWO_ROUTES.replace("dear", "other")
    (folder / "modelrouter.yaml").write_text(renamed, encoding="utf-8")
    attempts = run("attest", "--vendor", "openai", "--since", "1d", "--json").document["document"]["attempts"]
    assert attempts["not_in_config"] == {"dear": 1}
    assert attempts["roles"] == {"developer": 1, "operator": 1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vendor", "openay", "--since", "1d"), "did you mean `openai`?"),
        (("--vendor", "deployment:dear", "--since", "1d"), "is no vendor"),
        (("--vendor", "openai", "--since", "ever"), "is no length and no day"),
    ],
)
def test_wrong_use_is_told(run: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    """Exit 2 and one sentence."""
    ran = run("attest", *arguments)
    assert ran.code == 2
    assert words in ran.err
