"""Inspection at the door: what is found moves a request or refuses it, on real servers, and is told by kind alone."""

from __future__ import annotations

import importlib.machinery
import logging
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import Router, errors
from modelrouter.core.detectors import find
from modelrouter.openai import OpenAI
from modelrouter.router.presidio import MODEL, PresidioInspector
from modelrouter.testing import FakeTransport, ListSink, MemoryLedger, failure, reply
from tests.router.configs import Served, write_config
from tests.router.played import Played, hello, played
from tests.router.speaking import MODES, Speaking, ask_in, choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CARD = "4111 1111 1111 1111"
KEY = "sk" + "-proj-" + "aB3dE6gH9kL2nP5rS8uV1xY4zA7cD0fG"
VALUES = "values: [public, personal, secret]"
RAISED = "raised_by: {payment_card: personal, iban: personal, api_key: secret, token: secret, private_key: secret}"
TOP = f"tags: {{data_class: {{{VALUES}, {RAISED}}}, team: {{}}}}\ninspect: [builtin]\npolicies: [secrets-stay]"
OWN_KIND = f"tags: {{data_class: {{{VALUES}, raised_by: {{staff_number: secret}}}}}}"


def routed(folder: Path, server: Speaking, *, top: str = TOP, **more: Any) -> Router:
    """A route over a server abroad and one at home; secrets may be seen by the one at home alone."""
    (folder / "policies").mkdir()
    (folder / "policies" / "secrets-stay.yaml").write_text(
        "policy: secrets-stay\napplies_to: {data_class: [secret]}\nrules: {processing.country: {allow: [DE]}}\n",
        "utf-8",
    )
    served = [Served(name, server.base_url, name=name) for name in ("abroad", "home")]
    path = write_config(folder, served, "  ask: {try: [abroad, home]}\n  out: {try: [abroad]}", top=top)
    text = path.read_text(encoding="utf-8").replace("processing: [DE]", "processing: [US]", 1)
    path.write_text(text, encoding="utf-8")
    return Router.from_config(path, **more)


@pytest.mark.parametrize("mode", MODES)
def test_a_secret_stays_at_home(tmp_path: Path, mode: str) -> None:
    """The same question goes abroad without a key in it, and home with one; what is found is told by kind alone."""
    sink, ledger = ListSink(), MemoryLedger()
    with (
        Speaking(abroad=choice({"content": "x"}), home=choice({"content": "y"})) as server,
        routed(tmp_path, server, ledger=ledger, events=sink) as router,
    ):
        plain = ask_in(mode, router, "What is this?", tags={"data_class": "public"})
        secret = ask_in(mode, router, f"What is this? {KEY}", tags={"data_class": "public"})
    assert (plain.deployment, secret.deployment) == ("abroad", "home")
    assert dict(secret.decision.inspected.found) == {"api_key": 1}
    assert dict(secret.decision.inspected.raised) == {"data_class": "secret"}
    assert "inspection: 1 api_key; data_class raised to secret" in secret.decision.explain()
    written = [each.call.decision for each in ledger.reservations.values()]
    assert '"found"' not in written[0]
    assert '"found":{"api_key":1},"raised":{"data_class":"secret"}' in written[1]
    assert KEY[8:] not in f"{written} {sink.events} {secret.decision.explain()} {secret.attempts}"


def test_nobody_may_see_it(tmp_path: Path) -> None:
    """Where no candidate is at home the request is refused, unsent, and the error quotes nothing."""
    ledger = MemoryLedger()
    with Speaking() as server, routed(tmp_path, server, ledger=ledger) as router:
        with pytest.raises(errors.NoRouteError, match="processing") as raised:
            router.complete("out", f"my key is {KEY}", tags={"data_class": "public"})
        assert server.connections == 0
    assert KEY not in str(raised.value)
    assert not ledger.reservations


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "text", "text": f"see {KEY}"}]}],
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"key": "' + KEY + '"}'}}]}],
        [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "1", "content": KEY}],
        [{"role": "system", "content": KEY}, {"role": "user", "content": "x"}],
        [{"role": "user", "content": "x", "name": KEY}],
        [{"role": "user", "content": f"data: {KEY}"}],
        [{"role": "user", "content": [{"type": "text", "text": f"data:text/plain,{KEY}"}]}],
        [{"role": "user", "content": [{"type": "text", "text": "x", "data": KEY}]}],
        [{"role": "user", "content": [{"type": f"see {KEY}", "text": "x"}]}],
    ],
)  # fmt: skip
def test_every_text_of_a_request_is_looked_at(tmp_path: Path, messages: list[Any]) -> None:
    """Parts, arguments of tools, their results, instructions and names, also where they begin like a picture."""
    with Speaking() as server, routed(tmp_path, server, ledger=MemoryLedger()) as router:
        decision = router.explain("ask", messages, tags={"data_class": "public"})
    assert dict(decision.inspected.found) == {"api_key": 1}
    assert [each.deployment for each in decision.permitted] == ["home"]


def test_parameters_are_looked_at_and_pictures_are_not(tmp_path: Path) -> None:
    """A tool's description is text, and so is all that is no content part; what is drawn, spoken or attached is not."""
    tool: Any = {"type": "function", "function": {"name": "f", "description": KEY, "parameters": {}}}
    picture: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;{KEY}"}}]}]
    with Speaking() as server, routed(tmp_path, server, ledger=MemoryLedger()) as router:
        tags = {"data_class": "public"}
        assert dict(router.explain("ask", "x", tags=tags, tools=[tool]).inspected.found) == {"api_key": 1}
        for noted in ({"data": KEY}, {"note": f"data: {KEY}"}, {f"of {KEY}": "x"}):
            options: Any = {"tags": tags, "metadata": noted}
            assert dict(router.explain("ask", "x", **options).inspected.found) == {"api_key": 1}
        spoken: Any = [{"type": "input_audio", "input_audio": {"data": KEY, "format": "wav"}}]
        attached: Any = [{"type": "file", "file": {"file_data": KEY, "filename": "a.pdf"}}]
        hidden: Any = [{"type": "redacted_thinking", "data": KEY}]
        for parts in (picture[0]["content"], spoken, attached, hidden):
            asked: Any = [{"role": "user", "content": parts}]
            assert not router.explain("ask", asked, tags=tags).inspected.found


def test_tags_are_raised_and_never_lowered(tmp_path: Path) -> None:
    """A card raises to its value; a request that calls itself secret stays so."""
    with Speaking() as server, routed(tmp_path, server, ledger=MemoryLedger()) as router:
        for tags, raised in (
            ({"data_class": "public"}, {"data_class": "personal"}),
            ({"data_class": "secret"}, {}),
            ({}, {"data_class": "personal"}),
        ):
            decision = router.explain("ask", f"pay with {CARD}", tags=tags)
            assert dict(decision.inspected.raised) == raised
            assert dict(decision.inspected.found) == {"payment_card": 1}


def test_openai_clients_are_inspected_too(tmp_path: Path) -> None:
    """Whatever comes through the client's own class passes the same door."""
    with (
        Speaking(abroad=choice({"content": "x"}), home=choice({"content": "y"})) as server,
        routed(tmp_path, server, ledger=MemoryLedger()) as router,
        OpenAI(router) as client,
    ):
        got = client.chat.completions.create(
            model="ask",
            messages=[{"role": "user", "content": KEY}],
            extra_body={"modelrouter": {"tags": {"data_class": "public"}}},
        )
    assert got.choices[0].message.content == "y"


# --- inspectors of one's own ------------------------------------------------------------------------------------------


def staff_numbers(texts: Sequence[str]) -> Mapping[str, int]:
    """How many staff numbers are in the texts."""
    return {"staff_number": sum(text.count("STAFF-") for text in texts)}


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    """It answers with counts by kind, beside or without those of the config; a reload keeps it."""
    with played(tmp_path, FakeTransport(), top=OWN_KIND) as plain:
        config = str(tmp_path / "modelrouter.yaml")
        assert not plain.explain("ask", "STAFF-7").inspected.found
    with Router.from_config(config, ledger=MemoryLedger(), inspect=[staff_numbers]) as router:
        for _ in range(2):
            found = router.explain("ask", "STAFF-7 and STAFF-8").inspected
            assert (dict(found.found), dict(found.raised)) == ({"staff_number": 2}, {"data_class": "secret"})
            assert not router.explain("ask", "nobody").inspected.found
            router.reload()


def raising(texts: Sequence[str]) -> Mapping[str, int]:
    """Breaks, quoting what it was given, as such errors do."""
    raise ValueError(texts[0])


def unknown(texts: Sequence[str]) -> Mapping[str, int]:
    """Finds what nobody declared."""
    return {"passport": 1}


def telling(texts: Sequence[str]) -> Mapping[str, int]:
    """Names what it found where a kind belongs."""
    return {texts[0]: 1}


def silly(texts: Sequence[str]) -> Any:
    """Answers with what it found."""
    return list(texts)


def negative(texts: Sequence[str]) -> Mapping[str, int]:
    """Would take findings away."""
    return {"staff_number": -1}


@pytest.mark.parametrize(
    ("inspector", "said"),
    [
        (raising, r"inspection by `raising` failed \(ValueError\)"),
        (unknown, "found `passport`, which raises no tag"),
        (telling, "found a kind that is no word"),
        (silly, "must answer with counts by kind"),
        (negative, "must answer with counts by kind"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_cannot_be_inspected_is_refused(
    tmp_path: Path, mode: str, inspector: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is decided, reserved or sent, and nothing of the text stands in the error, its chain, or any log."""
    caplog.set_level(logging.DEBUG)
    lane, ledger = FakeTransport(), MemoryLedger()
    with played(tmp_path, lane, top=OWN_KIND):
        config = str(tmp_path / "modelrouter.yaml")
    with (
        Router.from_config(config, ledger=ledger, transports={"direct": lane}, inspect=[inspector]) as router,
        pytest.raises(errors.RequestError, match=said) as raised,
    ):
        ask_in(mode, router, "canary-7731")
    assert not lane.calls
    assert not ledger.reservations
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert "canary" not in str(raised.value) + caplog.text


@pytest.mark.parametrize("inspect", [["builtin"], [staff_numbers], ["bilutin"]])
def test_inspection_that_could_raise_nothing_is_no_inspection(tmp_path: Path, inspect: list[Any]) -> None:
    """It would find and change nothing: told when the Router is built."""
    with played(tmp_path, FakeTransport()):
        config = str(tmp_path / "modelrouter.yaml")
    with pytest.raises(errors.ConfigError, match="no tag says what inspection raises"):
        Router.from_config(config, ledger=MemoryLedger(), inspect=inspect)


def test_an_inspector_that_is_none(tmp_path: Path) -> None:
    """A name that nobody has is told."""
    with played(tmp_path, FakeTransport(), top=OWN_KIND):
        config = str(tmp_path / "modelrouter.yaml")
    with pytest.raises(errors.ConfigError, match="no inspector `bilutin`"):
        Router.from_config(config, ledger=MemoryLedger(), inspect=["bilutin"])


def test_without_inspectors_nothing_is_looked_at(tmp_path: Path) -> None:
    """A request without inspection costs none of it and is decided as before."""
    with played(tmp_path, FakeTransport(reply("x")), top=OWN_KIND) as router:
        got = router.complete("ask", KEY)
    assert not got.decision.inspected.found
    assert find([KEY], ["api_key"]) == {"api_key": 1}


# --- Presidio ---------------------------------------------------------------------------------------------------------


class Found:
    """One thing that an analyzer found."""

    def __init__(self, entity_type: str) -> None:
        self.entity_type = entity_type


class EmailRecognizer:
    """Would look suffixes up, over the network."""

    is_looked_up = True

    def validate_result(self, address: str) -> bool:
        """As Presidio's own does."""
        assert not self.is_looked_up, f"{address} was looked up"
        return True


class Analyzer:
    """Finds a person wherever somebody is greeted, as Presidio's engine is asked."""

    made = 0

    def __init__(self) -> None:
        Analyzer.made += 1
        self.emails = EmailRecognizer()
        self.registry = types.SimpleNamespace(recognizers=[object.__new__(Found), self.emails])

    def analyze(self, text: str, language: str, *, entities: list[str], score_threshold: float) -> list[Found]:
        """Only what is asked for."""
        assert (language, score_threshold) == ("en", 0.5)
        assert self.emails.validate_result("ada@example.org") or "Dear" not in text
        return [Found("PERSON")] * text.count("Dear") if "PERSON" in entities else []


def suffix_list(*, suffix_list_urls: tuple[str, ...], cache_dir: str | None) -> Any:
    """The list that comes with tldextract, if it is made so that it fetches none and writes none."""
    assert (suffix_list_urls, cache_dir) == ((), None)
    return lambda address: types.SimpleNamespace(fqdn=address.partition("@")[2])


PEOPLE = f"tags: {{data_class: {{{VALUES}, raised_by: {{person: personal, api_key: secret}}}}}}"


def test_presidio_is_asked_for_what_raises_a_tag(tmp_path: Path) -> None:
    """Its entities are kinds in lower case; an analyzer of one's own may be brought along."""
    with played(tmp_path, FakeTransport(), top=PEOPLE):
        config = str(tmp_path / "modelrouter.yaml")
    analyzer = Analyzer()
    analyzer.emails.is_looked_up = False
    inspector = PresidioInspector(["person"], analyzer=analyzer)
    with Router.from_config(config, ledger=MemoryLedger(), inspect=["builtin", inspector]) as router:
        found = router.explain("ask", "Dear Ms Lovelace").inspected
    assert (dict(found.found), dict(found.raised)) == ({"person": 1}, {"data_class": "personal"})


def test_presidio_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The config asks for it, the package is missing: said when the Router is built, with how to install it."""
    with pytest.raises(errors.MissingDependencyError, match=r"pip install \"modelrouter\[presidio\]\""):
        played(tmp_path, FakeTransport(), top=f"{PEOPLE}\ninspect: [presidio]")


def test_presidio_loads_with_the_first_request_and_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its language model it is refused, for Presidio would fetch it; with it, the engine is made once."""
    package = types.ModuleType("presidio_analyzer")
    package.__spec__ = importlib.machinery.ModuleSpec("presidio_analyzer", None)
    package.AnalyzerEngine = Analyzer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "presidio_analyzer", package)
    with pytest.raises(errors.MissingDependencyError, match=f"the spaCy model `{MODEL}`"):
        played(tmp_path, FakeTransport(), top=f"{PEOPLE}\ninspect: [presidio]")
    model = types.ModuleType(MODEL)
    model.__spec__ = importlib.machinery.ModuleSpec(MODEL, None)
    monkeypatch.setitem(sys.modules, MODEL, model)
    suffixes = types.ModuleType("tldextract")
    suffixes.TLDExtract = suffix_list  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tldextract", suffixes)
    monkeypatch.setattr(Analyzer, "made", 0)
    with played(tmp_path, FakeTransport(), top=f"{PEOPLE}\ninspect: [presidio]") as router:
        assert Analyzer.made == 0
        for _ in range(2):
            assert dict(router.explain("ask", "Dear sir").inspected.found) == {"person": 1}
    assert Analyzer.made == 1


def test_a_request_that_waited_through_a_reload_is_looked_into_by_the_new_config(tmp_path: Path) -> None:
    """A stream begins when it is entered, and goes by what holds then: the config that inspects, not the one before."""
    with Speaking(abroad=choice({"content": "x"}), home=choice({"content": "y"})) as server:
        uninspected = TOP.replace("inspect: [builtin]\n", "")
        with routed(tmp_path, server, top=uninspected, ledger=MemoryLedger()) as router:
            stream = router.stream("ask", f"What is this? {KEY}", tags={"data_class": "public"})
            config = tmp_path / "modelrouter.yaml"
            config.write_text(config.read_text("utf-8").replace(uninspected, TOP), "utf-8")
            router.reload()
            with stream:
                assert "".join(piece.text for piece in stream) == "y"
        assert server.asked == ["home"]


def test_a_call_under_way_is_looked_into_before_its_next_hop(tmp_path: Path) -> None:
    """Inspection that a reload brings keeps a call's further attempts from where they may not go."""

    def reload(call: object) -> Any:
        config = tmp_path / "modelrouter.yaml"
        config.write_text(config.read_text("utf-8").replace(uninspected, TOP), "utf-8")
        router.reload()
        return failure("timed_out")

    uninspected = TOP.replace("inspect: [builtin]\n", "")
    (tmp_path / "policies").mkdir()
    policy = "policy: secrets-stay\napplies_to: {data_class: [secret]}\nrules: {processing.country: {allow: [FR]}}\n"
    (tmp_path / "policies" / "secrets-stay.yaml").write_text(policy, "utf-8")
    lane = Played(reload, hello())
    with played(tmp_path, lane, top=uninspected) as router, pytest.raises(errors.AttemptsExhaustedError):
        router.complete("ask", f"see {KEY}", tags={"data_class": "public"})
    assert lane.asked == ["a"]
