"""Errors travel whole: pickled to another process, copied, with every field they have."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from modelrouter import errors
from modelrouter.core.budget import Balance, Budget, Position, Refusal, Window
from modelrouter.core.shares import Holding, Measure, ShareCap, ShareDemand, ShareMode, ShareRefusal
from modelrouter.testing import failure
from tests.router.played import Played, piece, played

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ModelRouterError) and kind.__module__ == errors.__name__
]
BERLIN = Budget(
    "team", 5, Window.DAY, zone=ZoneInfo("Europe/Berlin"), zone_name="Europe/Berlin", only={"route": frozenset({"ask"})}
)
SHARE = ShareRefusal(
    ShareDemand(
        ShareCap("two/vendors.share", 3, 5, Measure.SPEND, "operator", 3600, 9, ShareMode.HARD), "a", frozenset("a")
    ),
    Holding(1, 2, 3),
    4,
)
REFUSAL = Refusal(Position(BERLIN, "", Balance(1, 2, 3, 4, -5), 7), 6, is_busy=True, wait_s=0.5)
MORE: dict[type[errors.ModelRouterError], dict[str, Any]] = {
    errors.ConfigError: {"file": "m.yaml", "line": 7, "key": "routes.support"},
    errors.PolicyError: {"file": "p.yaml", "line": 1, "key": "rules"},
    errors.CatalogError: {"key": "model"},
    errors.BudgetError: {"refusal": REFUSAL},
    errors.BudgetBusyError: {"refusal": REFUSAL},
    errors.ShareCapError: {"refusal": SHARE},
    errors.BudgetExceededError: {"refusal": REFUSAL},
    errors.DuplicateRequestError: {"first_call_id": "first"},
}
WAYS: list[Callable[[Any], Any]] = [copy.copy, lambda error: pickle.loads(pickle.dumps(error))]  # noqa: S301 - our own


def test_every_error_of_the_tree_is_public() -> None:
    """What can be raised can be caught by its name."""
    assert {kind.__name__ for kind in KINDS} == set(errors.__all__)
    assert all(kind.__doc__ for kind in KINDS)


@pytest.mark.parametrize("way", WAYS, ids=["copy", "pickle"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_error_keeps_its_class_words_and_fields(kind: Any, way: Callable[[Any], Any]) -> None:
    """Message, own fields and notes are there again, and it can be raised."""
    error = kind("what to change", **MORE.get(kind, {}))
    error.call_id = "call-1"
    error.add_note("while testing")
    again = way(error)
    assert type(again) is kind
    assert again is not error
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("way", WAYS, ids=["copy", "pickle"])
def test_a_real_error_keeps_its_decision_attempts_and_cost(tmp_path: Path, way: Callable[[Any], Any]) -> None:
    """Whole decisions and attempts cross a border, and still explain themselves."""
    with played(tmp_path, Played([piece("one"), failure("truncated")])) as router:
        stream = router.stream("ask", "hi", policy="no-prc-operator")
        next(stream)
        with pytest.raises(errors.StreamBrokenError) as raised:
            next(stream)
    assert raised.value.decision is not None
    again = way(raised.value)
    assert again.text == "one"
    assert again.attempts == raised.value.attempts
    assert again.cost_usd == raised.value.cost_usd
    assert again.decision.explain() == raised.value.decision.explain()
