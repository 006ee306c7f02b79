"""What a failed attempt costs: the table of status, report and the operator's facts, for every kind and phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Billing, FailureKind, Phase, billing
from tests.core.test_attempts import FAULTY, USAGE, failure

if TYPE_CHECKING:
    from modelrouter.core.pricing import Usage


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("usage", [None, USAGE, FAULTY])
def test_what_was_never_sent_costs_nothing(kind: FailureKind, usage: Usage | None) -> None:
    """No kind and no report makes a bill of a request that did not leave."""
    assert billing(failure(kind, Phase.NOT_SENT, usage=usage), frozenset({500})) is Billing.UNBILLED


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("phase", [Phase.SENT, Phase.ANSWERING])
@pytest.mark.parametrize(
    ("status", "usage", "billed", "expected"),
    [
        (None, None, frozenset(), Billing.UNCERTAIN),  # timed out, broken, cancelled
        (None, USAGE, frozenset(), Billing.BILLED),
        (None, FAULTY, frozenset(), Billing.UNCERTAIN),
        (200, None, frozenset(), Billing.UNCERTAIN),
        (200, USAGE, frozenset(), Billing.BILLED),
        (200, FAULTY, frozenset(), Billing.UNCERTAIN),
        (302, None, frozenset(), Billing.UNBILLED),
        (400, None, frozenset(), Billing.UNBILLED),
        (429, None, frozenset({400, 408}), Billing.UNBILLED),
        (500, None, frozenset(), Billing.UNBILLED),
        (408, None, frozenset({400, 408}), Billing.UNCERTAIN),  # an operator that bills some of these
        (400, USAGE, frozenset({400, 408}), Billing.BILLED),
        (400, FAULTY, frozenset({400, 408}), Billing.UNCERTAIN),
    ],
)
def test_the_table_of_what_a_failure_costs(
    kind: FailureKind,
    phase: Phase,
    status: int | None,
    usage: Usage | None,
    billed: frozenset[int],
    expected: Billing,
) -> None:
    """Kind and phase after sending change nothing that status, report and the operator's facts do not say."""
    assert billing(failure(kind, phase, status=status, usage=usage), billed) is expected
