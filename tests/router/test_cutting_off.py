"""Cut-off as application code meets it: what a revocation does to decisions, to calls under way, and in drills."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.assurance import ROLES_OF, Revocation, RevokedKind, RevokedRole
from modelrouter.core.attempts import Billing
from modelrouter.core.failure import FailureKind
from modelrouter.errors import NoRouteError, RequestError, RevokedError, StreamBrokenError
from modelrouter.testing import ListSink, MemoryLedger
from tests.router.configs import Served
from tests.router.played import HANGS, NOWHERE, SOON_S, Played, hello, piece, played, served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from modelrouter.core.failure import Failure
    from modelrouter.ports import Answer, Call

ASK = "?"


def revoked(name: str, kind: RevokedKind = RevokedKind.DEPLOYMENT, *, abort: bool = False) -> Revocation:
    """A revocation in every role."""
    return Revocation(kind, name, "contract ended", ROLES_OF[kind], abort_in_flight=abort)


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread will do."""
    give_up_at = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < give_up_at, "it has not happened"
        time.sleep(0.005)


class Heard(ListSink):
    """Events, and an ear for one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.revoked = threading.Event()

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Keep it."""
        super().emit(event, fields)
        if event == "revoked":
            self.revoked.set()


# --- decisions --------------------------------------------------------------------------------------------------------


def test_a_revoked_deployment_is_not_asked_and_explain_says_why(tmp_path: Path) -> None:
    """The verdict names what was revoked, by which entry and why; the next candidate answers."""
    ledger, lane = MemoryLedger(), Played(hello())
    with played(tmp_path, lane, ledger=ledger) as router:
        ledger.revoke(revoked("a"))
        reply = router.complete("ask", ASK)
        assert (reply.deployment, lane.asked) == ("b", ["b"])
        text = router.explain("ask").explain()
        assert "cut-off/revoked: the deployment `a` was revoked by entry 1 (contract ended)" in text
        assert "the deployment `a`" in reply.decision.moment.revoked["a"]
        ledger.restore([1])
        assert router.complete("ask", ASK).deployment == "a"


def test_what_was_revoked_before_the_router_began_is_seen_by_explain(tmp_path: Path) -> None:
    """The ledger is read once, before the first decision."""
    ledger = MemoryLedger()
    ledger.revoke(revoked("a"))
    with played(tmp_path, Played(hello()), ledger=ledger) as router:
        assert [each.deployment for each in router.explain("ask").permitted] == ["b", "c"]


def test_the_reserve_refuses_what_the_decision_did_not_know(tmp_path: Path) -> None:
    """A Router that has heard nothing yet is refused by the ledger itself, and moves on."""
    ledger, lane = Deaf(), Played(hello())
    ledger.revoke(revoked("a"))
    with played(tmp_path, lane, ledger=ledger) as router:
        reply = router.complete("ask", ASK)
        assert [each.deployment for each in reply.decision.permitted] == ["a", "b", "c"]
        assert (reply.deployment, lane.asked, len(reply.attempts)) == ("b", ["b"], 1)


class Deaf(MemoryLedger):
    """A book that never tells who was revoked, and only refuses."""

    def watch(self, told: object) -> None:
        """Tell nothing."""

    def revoked(self) -> tuple[Revocation, ...]:
        """Say nothing."""
        return ()


@pytest.mark.parametrize("kind", [MemoryLedger, Deaf])
def test_when_everybody_is_revoked_the_error_says_so(tmp_path: Path, kind: type[MemoryLedger]) -> None:
    """Refused by the decision or by the reserve: the same error, a NoRouteError, and nothing is sent."""
    ledger, lane = kind(), Played(hello())
    for name in "abc":
        ledger.revoke(revoked(name))
    with played(tmp_path, lane, ledger=ledger) as router:
        with pytest.raises(RevokedError, match="`c` was revoked by entry 3") as raised:
            router.complete("ask", ASK)
        assert isinstance(raised.value, NoRouteError)
    assert not lane.calls
    assert not ledger.reservations


def test_a_revocation_that_has_ended_holds_nobody(tmp_path: Path) -> None:
    """`until` ends it by itself."""
    ledger, lane = MemoryLedger(), Played(hello())
    ended = Revocation(RevokedKind.DEPLOYMENT, "a", "x", frozenset({RevokedRole.ITSELF}), until_us=1)
    ledger.revoke(ended)
    with played(tmp_path, lane, ledger=ledger) as router:
        assert router.complete("ask", ASK).deployment == "a"


# --- drills -----------------------------------------------------------------------------------------------------------


def test_a_drill_ends_with_its_block_and_writes_nothing_but_attempts(tmp_path: Path) -> None:
    """Inside it the Router works as if they were revoked, drills nest, and afterwards all is as before."""
    ledger, lane = MemoryLedger(), Played(hello())
    with played(tmp_path, lane, ledger=ledger) as router:
        with router.losing("a"):
            assert router.complete("ask", ASK).deployment == "b"
            with router.losing("deployment:b", "a"):
                assert router.complete("ask", ASK).deployment == "c"
                assert "by `Router.losing` (a drill)" in router.explain("ask").explain()
            assert router.complete("ask", ASK).deployment == "b"
        assert router.complete("ask", ASK).deployment == "a"
    assert not ledger.revoked()


def test_a_drill_takes_models_and_everything_made_of_them(tmp_path: Path) -> None:
    """All three serve one model, so the loss of it leaves nobody, and the error says why."""
    for name, sentence in (
        ("smollm2-135m-instruct", "the model `smollm2-135m-instruct` was revoked"),
        ("huggingface", "the vendor `huggingface` was revoked as developer"),
    ):
        with (
            played(tmp_path, Played(hello())) as router,
            router.losing(name),
            pytest.raises(RevokedError, match=sentence),
        ):
            router.complete("ask", ASK)


async def test_a_drill_works_in_async_code(tmp_path: Path) -> None:
    """A plain `with` around awaits; it is the Router that is drilled, so other tasks see it as well."""
    async with played(tmp_path, Played(hello())) as router:
        with router.losing("a"):
            found = await asyncio.gather(*(router.acomplete("ask", ASK) for _ in range(3)))
        assert {each.deployment for each in found} == {"b"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hugingface", "there is no vendor, model or deployment `hugingface`: did you mean `huggingface`?"),
        ("model:huggingface", "there is no model `huggingface`"),
        ("self", "`self` is you, and no vendor"),
        ("vendor:self", "`self` is you, and no vendor"),
        ("", "there is no vendor, model or deployment"),
    ],
)
def test_a_name_that_means_nothing_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    """The sentence says what was probably meant."""
    with played(tmp_path, Played(hello())) as router:
        with pytest.raises(RequestError, match=sentence.replace("?", "[?]")), router.losing(name):
            pass
        assert router.complete("ask", ASK).deployment == "a"


def test_a_name_of_several_things_must_say_which(tmp_path: Path) -> None:
    """A deployment that is called as a vendor is not taken for it."""
    lane = Played(hello())
    with played(tmp_path, lane, deployments=served("mistral", "b"), route="{try: [mistral, b]}") as router:
        with (
            pytest.raises(RequestError, match="write `vendor:mistral` or `deployment:mistral`"),
            router.losing("mistral"),
        ):
            pass
        with router.losing("vendor:mistral"):
            assert router.complete("ask", ASK).deployment == "mistral"
        with router.losing("deployment:mistral"):
            assert router.complete("ask", ASK).deployment == "b"


# --- calls under way --------------------------------------------------------------------------------------------------


def test_a_call_under_way_finishes_unless_it_is_to_be_aborted(tmp_path: Path) -> None:
    """Without `abort_in_flight` the answer comes and is booked; the next call goes elsewhere."""
    ledger, answer = MemoryLedger(), threading.Event()

    class Slow(Played):
        async def send(self, call: Call) -> Answer | Failure:
            self.hanging.set()
            await asyncio.to_thread(answer.wait, SOON_S)
            return await super().send(call)

    lane = Slow(hello())
    with played(tmp_path, lane, ledger=ledger) as router:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(router.complete("ask", ASK).deployment))
        thread.start()
        assert lane.hanging.wait(SOON_S)
        ledger.revoke(revoked("a"))
        answer.set()
        thread.join(SOON_S)
        assert found == ["a"]
        assert router.complete("ask", ASK).deployment == "b"


@pytest.mark.parametrize("stream", [False, True])
def test_an_aborted_call_falls_back_while_nothing_was_handed_out(tmp_path: Path, *, stream: bool) -> None:
    """It is booked as cancelled at its bound, since it may be billed, and somebody else answers the caller."""
    ledger = MemoryLedger()
    lane = Played(HANGS, hello()) if not stream else Played([piece(), HANGS], hello())
    with played(tmp_path, lane, ledger=ledger) as router:
        found: list[object] = []

        def ask() -> None:
            if stream:
                with router.stream("ask", ASK) as pieces:
                    found.extend(each.text for each in pieces)
                    found.append(pieces.reply)
            else:
                found.append(router.complete("ask", ASK))

        thread = threading.Thread(target=ask)
        thread.start()
        assert lane.hanging.wait(SOON_S)
        ledger.revoke(revoked("a", abort=True))
        thread.join(SOON_S)
        assert lane.asked == ["a", "b"]
        reply = found[-1]
        first, second = reply.attempts  # type: ignore[attr-defined]
        assert (first.failure.kind, first.billing) == (FailureKind.CANCELLED, Billing.UNCERTAIN)
        assert "interrupted: the deployment `a` was revoked by entry 1" in first.failure.detail
        assert second.failure is None
    assert len(ledger.resolutions) == len(ledger.reservations) == 2


def test_an_aborted_stream_that_was_handed_out_breaks(tmp_path: Path) -> None:
    """After content there is no fallback: the reader is told who was revoked and keeps the text; it is booked."""
    ledger = MemoryLedger()
    lane = Played([piece("so"), HANGS])
    with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.stream("ask", ASK)
        assert next(stream).text == "so"
        threading.Timer(0.05, lambda: ledger.revoke(revoked("a", abort=True))).start()
        with pytest.raises(StreamBrokenError, match="the deployment `a` was revoked by entry 1") as raised:
            next(stream)
        assert raised.value.text == "so"
        assert lane.let_go.wait(SOON_S)
    (ended,) = ledger.resolutions.values()
    assert ended.billing is Billing.UNCERTAIN


def test_others_calls_go_on(tmp_path: Path) -> None:
    """An abort touches calls to the revoked deployment alone."""
    ledger, lane = MemoryLedger(), Played([piece("x"), HANGS])
    with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.stream("ask", ASK)
        assert next(stream).text == "x"
        ledger.revoke(revoked("b", abort=True))
        until(lambda: not any(each.name == "modelrouter-revoked" for each in threading.enumerate()))
        assert not ledger.resolutions
        stream.close()


@dataclass(frozen=True, slots=True)
class Hosted(Served):
    """A server of our own in somebody's cloud."""

    cloud: str = "none"

    def as_yaml(self) -> str:
        """With its cloud."""
        return Served.as_yaml(self).replace("runs_on: none", f"runs_on: {self.cloud}")


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_one_vendor_left_is_warned_of_once_and_traffic_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The event says who was taken and who is left; the log says it once, however often it is looked at."""
    ledger, events = MemoryLedger(), Heard()
    deployments: list[Served] = [Hosted("a", NOWHERE, cloud="hetzner")]
    deployments += [Hosted(name, NOWHERE, cloud="ovhcloud") for name in "bc"]
    with (
        caplog.at_level(logging.WARNING, "modelrouter"),
        played(tmp_path, Played(hello()), deployments=deployments, ledger=ledger, events=events) as router,
    ):
        assert router.complete("ask", ASK).deployment == "a"
        ledger.revoke(revoked("hetzner", RevokedKind.VENDOR))
        assert events.revoked.wait(SOON_S)
        assert router.complete("ask", ASK).deployment == "b"
        events.revoked.clear()
        ledger.revoke(revoked("hetzner", RevokedKind.VENDOR))
        assert events.revoked.wait(SOON_S)
        until(lambda: not any(each.name == "modelrouter-revoked" for each in threading.enumerate()))
    fields: Any = next(fields for event, fields in events.events if event == "revoked")
    (route,) = fields["routes"]
    assert (route["route"], route["taken"], route["left"]) == ("ask", ["a"], ["b", "c"])
    assert "hangs on the one vendor `ovhcloud` now: `a` is cut off" in route["warning"]
    assert [each.getMessage() for each in caplog.records if "ovhcloud" in each.getMessage()] == [route["warning"]]
