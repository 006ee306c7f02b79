"""`explain --call`: an old decision from the ledger alone, and what is said when something stored was altered."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter import Router, errors
from modelrouter.testing import FakeClock, FakeTransport, failure, reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

HOUSE: Final = "{policy: house, rules: {operator.country: {deny: [CN]}, request.cost_usd: {max: 0.02}}}"
PERSONAL: Final = "{policy: own-people, applies_to: {user: [ann]}, rules: {hosting: {allow: [self_hosted]}}}"
CONFIG: Final = """\
modelrouter: 1
caller: {name: Acme GmbH, country: DE, parent_country: DE}
ledger: sqlite:///book.db
policies: [HOUSE, PERSONAL]
tags: {user: {personal: true}, team: {default: none}}
models: {mine: {developer: self, derived_from: [smollm2-135m-instruct], licence: apache-2.0, openness: open_weights,
                context_tokens: 8192, source: the tests}}
deployments:
  near: {model: mine, operator: self, runs_on: none, hosts: [127.0.0.1], base_url: 'http://127.0.0.1:9/v1', name: m,
         processing: [DE], storage: none, retention_days: 0, training: never, context_tokens: 8192,
         price: {input_usd_per_mtok: 'PRICE', output_usd_per_mtok: 0.20}, source: {ref: tests, checked_on: 2026-11-01}}
  far:  {model: mine, operator: self, runs_on: none, hosts: [127.0.0.1], base_url: 'http://127.0.0.1:9/v1', name: m,
         processing: [US], storage: none, retention_days: 0, training: never, context_tokens: 8192,
         price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}, source: {ref: tests, checked_on: 2026-11-01}}
routes:
  ask: {try: [near, far], output_tokens: {default: 100}}
  shut: {try: [far], policies: [{policy: here, rules: {processing.country: {allow: [EU]}}}]}
"""
REPLACED: Final = """\
modelrouter: 1
ledger: sqlite:///book.db
policies: none
deployments:
  other: {model: smollm2-135m-instruct, operator: self, runs_on: none, hosts: [127.0.0.1], processing: [DE],
          base_url: 'http://127.0.0.1:9/v1', name: m, storage: none, retention_days: 0, training: never,
          price: {input_usd_per_mtok: 7, output_usd_per_mtok: 7}, source: tests}
routes: {elsewhere: {try: [other]}}
"""
SECRET: Final = "a prompt that nobody may find again"


def text_of(price: str = "0.05") -> str:
    """The configuration under which the calls are made."""
    return CONFIG.replace("HOUSE", HOUSE).replace("PERSONAL", PERSONAL).replace("PRICE", price)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str, str]:
    """A book with a call that fell back, under a personal tag, and one that nobody might serve."""
    folder = tmp_path_factory.mktemp("made")
    config = folder / "modelrouter.yaml"
    config.write_text(text_of(), encoding="utf-8")
    lane = FakeTransport(reply("hello", input_tokens=9, output_tokens=4), scripts={"near": [failure("server_error")]})
    with Router.from_config(config, transports={"direct": lane}, clock=FakeClock()) as router:
        got = router.complete("ask", SECRET, tags={"user": "ann"}, request_id="order-7", temperature=0.5)
        with pytest.raises(errors.NoRouteError) as refused:
            router.complete("shut", SECRET)
    assert refused.value.call_id is not None
    with sqlite3.connect(folder / "book.db") as book:
        book.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    book.close()
    return (folder / "book.db").read_bytes(), got.call_id, refused.value.call_id


@pytest.fixture
def asked(folder: Path, made: tuple[bytes, str, str]) -> tuple[str, str]:
    """The two calls, in a book that is all that is left: policies, prices and deployments were replaced."""
    (folder / "book.db").write_bytes(made[0])
    (folder / "modelrouter.yaml").write_text(REPLACED, encoding="utf-8")
    return made[1:]


def test_a_call_is_explained_after_all_was_replaced(
    folder: Path, run: Callable[..., Ran], asked: tuple[str, str]
) -> None:
    """Candidates, rules, facts, prices and attempts are those of its day; its request id names it as well."""
    told, document = run("explain", "--call", asked[0]), run("explain", "--call", "order-7", "--json").document
    assert told.code == 0
    for words in (asked[0], "order-7", "near", "far", "server_error", "the same outcome", "own-people (config)"):
        assert words in told.out
    assert (document["call_id"], document["ok"], document["faults"]) == (asked[0], True, [])
    decision = document["decision"]
    assert [each["deployment"] for each in decision["permitted"]] == ["near", "far"]
    assert [each["name"] for each in decision["policies"]] == ["house", "own-people"]
    assert [each["deployment"] for each in document["attempts"]] == ["near", "far"]
    assert document["tags"]["team"] == "none"
    assert document["tags"]["user"].startswith("~")
    assert float(document["cost_usd"]) > 0
    assert SECRET not in (folder / "book.db").read_bytes().decode("utf-8", "replace")


def test_a_refused_call_is_explained_and_counted(run: Callable[..., Ran], asked: tuple[str, str]) -> None:
    """It was never attempted and is in the book all the same, with the rule that refused it."""
    told, document = run("explain", "--call", asked[1]), run("explain", "--call", asked[1], "--json").document
    assert told.code == 0
    assert "refused once before anything was reserved" in told.out
    assert (document["refused"], document["count"], document["attempts"]) == (True, 1, [])
    assert document["decision"]["refused"][0]["refusals"][0]["rule"] == "processing.country"
    listed = run("explain", "--refused", "--json").document
    assert listed["refused"] == 1
    [group] = listed["groups"]
    assert (group["route"], group["rules"], group["call_id"]) == ("shut", {"far": "here/processing.country"}, asked[1])
    assert "here/processing.country" in run("explain", "--refused", "--since", "52000w").out


def alter(folder: Path, *statements: str) -> None:
    """Change the book behind its back: without the triggers that keep it."""
    with sqlite3.connect(folder / "book.db") as book:
        triggers = book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            book.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert book.execute(statement).rowcount
    book.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE documents SET body = replace(body, '0.05', '0.04') WHERE kind = 'grounds'", "it was altered"),
        ("UPDATE documents SET body = replace(body, '\"CN\"', '\"DE\"') WHERE kind = 'grounds'", "document `grounds`"),
        ("UPDATE documents SET body = '{}' WHERE kind = 'grounds'", "document `grounds`"),
        ("DELETE FROM documents WHERE kind = 'grounds'", "is missing"),
        ("UPDATE calls SET decision = replace(decision, '\"text_bytes\":', '\"text_bytes\":1')", "it was altered"),
        ("UPDATE calls SET decision = '{}'", "does not hold what the decision rests on"),
        ("UPDATE calls SET route = 'other'", "it was altered"),
        ("UPDATE calls SET tags = '{}'", "it was altered"),
        ("UPDATE calls SET session = 's'", "it was altered"),
        ("UPDATE entries SET call_digest = 'x' WHERE call_digest IS NOT NULL", "which vouches for it, was altered"),
        ("DELETE FROM entries WHERE call_id IS NOT NULL", "no line of the book vouches"),
    ],
)
def test_an_altered_input_is_found(
    folder: Path, run: Callable[..., Ran], asked: tuple[str, str], statement: str, said: str
) -> None:
    """Whatever a derivation rests on is checked before it is believed, and the answer is no."""
    alter(folder, statement)
    told, document = run("explain", "--call", asked[0]), run("explain", "--call", asked[0], "--json").document
    assert told.code == 1
    assert said in told.out
    assert document["ok"] is False
    assert any(said in fault for fault in document["faults"])


def test_a_record_that_fits_its_line_but_not_its_outcome_is_found(
    folder: Path, run: Callable[..., Ran], asked: tuple[str, str]
) -> None:
    """Another outcome on the same inputs is told as such, with both versions."""
    alter(folder, 'UPDATE calls SET decision = replace(decision, \'"outcome":"\', \'"outcome":"x\')')
    told = run("explain", "--call", asked[0])
    assert told.code == 1
    assert "decides otherwise on the same inputs" in told.out


def test_an_altered_refusal_is_found(folder: Path, run: Callable[..., Ran], asked: tuple[str, str]) -> None:
    """A refused call has no record of its own; its line is checked."""
    alter(folder, "UPDATE entries SET content = replace(content, '\"count\":1', '\"count\":9') WHERE kind = 'refused'")
    told = run("explain", "--call", asked[1])
    assert told.code == 1
    assert "was altered" in told.out


def test_a_refusal_that_cannot_be_read_is_no_traceback(
    folder: Path, run: Callable[..., Ran], asked: tuple[str, str]
) -> None:
    """A line that holds something else is named; the answer is no."""
    alter(folder, "UPDATE entries SET content = '{}' || content WHERE kind = 'refused'")
    for arguments in (("explain", "--call", asked[1]), ("explain", "--refused"), ("replay",)):
        told = run(*arguments)
        assert told.code == 1
        assert "does not say what was refused" in told.err


def test_the_book_with_refusals_passes_the_audit(run: Callable[..., Ran], asked: tuple[str, str]) -> None:
    """The auditor knows lines of refused requests and the grounds that decisions name."""
    document = run("ledger", "verify", "--json").document
    assert document["good"] is True
    assert not document["faults"]


def test_the_audit_misses_grounds_that_are_gone(folder: Path, run: Callable[..., Ran], asked: tuple[str, str]) -> None:
    """Old decisions could not be explained any more: the book is not whole."""
    alter(folder, "DELETE FROM documents WHERE kind = 'grounds'")
    assert run("ledger", "verify").code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain",), "name a route"),
        (("explain", "ask", "--call", "x"), "asks about a new request"),
        (("explain", "--call", "x", "--policy", "p"), "asks about a new request"),
        (("explain", "--call", "x", "--refused"), "ask one"),
        (("explain", "--since", "7d", "ask"), "`--refused`"),
        (("explain", "--refused", "--since", "soon"), "is no length"),
        (("explain", "--call", "nobody"), "knows no call `nobody`"),
    ],
)
def test_wrong_use_is_2(run: Callable[..., Ran], asked: tuple[str, str], arguments: tuple[str, ...], said: str) -> None:
    """What cannot be asked together, and a call that nobody made, are told in a sentence."""
    told = run(*arguments)
    assert told.code == 2
    assert said in told.err


def test_a_book_of_the_first_version_says_what_it_lacks(
    folder: Path, run: Callable[..., Ran], asked: tuple[str, str]
) -> None:
    """Records that name no grounds are shown with their attempts, and the reason why there is no more."""
    alter(folder, """UPDATE calls SET decision = '{"epoch":"e","policies":[]}'""")
    document = json.loads(run("explain", "--call", asked[0], "--json").out)
    assert document["decision"] is None
    assert len(document["attempts"]) == 2
