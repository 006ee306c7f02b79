"""The closed list of failure kinds: what follows from each, and what each costs, as tables that a person can read."""

from __future__ import annotations

import pytest

from modelrouter.core.failure import BILLING, RULES, Billing, Blame, Evidence, Failure, FailureKind, Phase, Remedy
from modelrouter.core.failure import billing as billing_of
from modelrouter.core.pricing import Usage

EXPECTED = """
rate_limited         retry here  capacity
quota_exhausted      fall back   credential
timed_out            fall back   deployment
unreachable          retry here  deployment
server_error         retry here  deployment
unauthorized         fall back   credential
invalid_request      stop        nobody
context_too_long     fall back   nobody
content_filtered     fall back   nobody
refused              fall back   nobody
rejected             fall back   nobody
malformed_reply      fall back   deployment
truncated            fall back   deployment
out_of_tokens_empty  fall back   nobody
empty                fall back   nobody
model_missing        fall back   deployment
wrong_model          fall back   identity
portability          fall back   nobody
cancelled            stop        nobody
"""


def test_the_list_is_closed_and_every_kind_has_its_rule() -> None:
    """A new kind breaks this test until somebody says what follows from it."""
    assert set(RULES) == set(FailureKind)
    shown = [f"{kind.value:<20} {RULES[kind].remedy.value:<11} {RULES[kind].blame.value}" for kind in FailureKind]
    assert shown == EXPECTED.strip().splitlines()


def test_only_what_may_pass_by_itself_is_tried_again_at_the_same_place() -> None:
    """What a deployment would do again in the same way is not asked of it twice in one request."""
    again = {kind for kind, rule in RULES.items() if rule.remedy is Remedy.RETRY_HERE}
    assert again == {FailureKind.RATE_LIMITED, FailureKind.UNREACHABLE, FailureKind.SERVER_ERROR}
    assert {RULES[kind].blame for kind in again} == {Blame.CAPACITY, Blame.DEPLOYMENT}


def test_the_billing_table_is_whole() -> None:
    """Every phase with every evidence has a line; what was not sent is free, and what nobody can tell is uncertain."""
    assert set(BILLING) == {(phase, evidence) for phase in Phase for evidence in Evidence}
    assert {BILLING[Phase.NOT_SENT, evidence] for evidence in Evidence} == {Billing.UNBILLED}
    assert {BILLING[phase, Evidence.NOTHING] for phase in (Phase.SENT, Phase.ANSWERING)} == {Billing.UNCERTAIN}


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("status", [None, 200, 302, 400, 408, 429, 500, 503])
@pytest.mark.parametrize("billed", [frozenset(), frozenset({400, 408})])
@pytest.mark.parametrize("usage", [None, Usage(3, 2)])
def test_kind_phase_and_operator_override(
    kind: FailureKind, phase: Phase, status: int | None, billed: frozenset[int], usage: Usage | None
) -> None:
    """The sentences of the design, said in another way than the table, for every kind."""
    expected = Billing.UNCERTAIN if usage is None else Billing.BILLED
    if phase is Phase.NOT_SENT or (status in {302, 400, 408, 429, 500, 503} and status not in billed):
        expected = Billing.UNBILLED
    assert billing_of(Failure(kind, phase, "a test", status, usage=usage), billed) is expected
