"""Share caps in the attempt loop: a hard one is a refusal like any other, a soft one has the others asked first."""

from __future__ import annotations

from modelrouter.core.attempts import Answered, End, Failed, Granted, NotGranted, Reserve, Resolve, Resolved, Send, run
from modelrouter.core.failure import Failure, FailureKind, Phase
from modelrouter.core.shares import Holding, Measure, ShareCap, ShareDemand, ShareMode, ShareRefusal
from modelrouter.core.steps import Overload
from tests.core.test_attempts import USAGE, hop, plan
from tests.core.test_attempts_properties import refusal


def over(mode: ShareMode) -> NotGranted:
    """What a cap says."""
    cap = ShareCap("two/vendors.share", 1, 2, Measure.CALLS, "operator", 3_600, 10, mode)
    refusal = ShareRefusal(ShareDemand(cap, "azure", frozenset({"azure"})), Holding(9, 0, 9), 1)
    return NotGranted(f"{mode.value} cap", 1.0, share=refusal)


def played(names: str, says: dict[str, list[NotGranted | Failed | None]]) -> tuple[list[str], End, dict[str, str]]:
    """Run over candidates that say so, one after the other; None answers.

    Returns:
        who was asked (`!`: past soft caps, `.`: last of all), how it ended, and whom nothing was granted for.
    """
    flow, asked = run(plan(*map(hop, names))), list[str]()
    step = next(flow)
    try:
        while True:
            if isinstance(step, Reserve):
                asked.append(step.hop.deployment + "!" * step.is_past_soft_caps + "." * step.is_last)
                said = says[step.hop.deployment].pop(0) if says.get(step.hop.deployment) else None
                if isinstance(said, NotGranted):
                    step = flow.send(said)
                    continue
                step = flow.send(Granted(f"r-{len(asked)}", 1.0))
                assert isinstance(step, Send)
                step = flow.send(Answered(USAGE, 1.0) if said is None else said)
            else:
                assert isinstance(step, Resolve)
                step = flow.send(Resolved(1.0))
    except StopIteration as stop:
        return asked, stop.value.end, dict(stop.value.not_granted)


SOFT, HARD = ShareMode.SOFT, ShareMode.HARD
DOWN = Failed(Failure(FailureKind.SERVER_ERROR, Phase.ANSWERING, "500", status=500), 1.0)


def test_a_hard_cap_moves_on() -> None:
    """The next candidate is asked, and the first is not asked again."""
    assert played("ab", {"a": [over(HARD)]}) == (["a", "b"], End.ANSWERED, {"a": "hard cap"})


def test_a_hard_cap_on_everybody_is_told() -> None:
    """Nobody is left, and nothing was sent."""
    found = played("ab", {"a": [over(HARD)], "b": [over(HARD)]})
    assert found == (["a", "b"], End.NOT_GRANTED, {"a": "hard cap", "b": "hard cap"})


def test_a_soft_cap_has_the_others_tried_first() -> None:
    """Whoever is under its cap answers; who is over it is asked once more where all of them failed."""
    assert played("abc", {"a": [over(SOFT)]}) == (["a", "b"], End.ANSWERED, {"a": "soft cap"})
    assert played("abc", {"a": [over(SOFT)], "b": [DOWN], "c": [over(HARD)]}) == (
        ["a", "b", "c", "a!"],
        End.ANSWERED,
        {"c": "hard cap"},
    )


def test_soft_caps_on_everybody_refuse_nobody() -> None:
    """All are over: then they are asked in their order, as if there were no cap."""
    found = played("abc", {"a": [over(SOFT)], "b": [over(SOFT)], "c": [over(SOFT)]})
    assert found == (["a", "b", "c", "a!"], End.ANSWERED, {"b": "soft cap", "c": "soft cap"})


def test_a_soft_cap_is_asked_once() -> None:
    """Put off and then refused for another reason: it is not put off for ever."""
    found = played("ab", {"a": [over(SOFT), over(HARD)], "b": [over(HARD)]})
    assert found == (["a", "b", "a!"], End.NOT_GRANTED, {"a": "hard cap", "b": "hard cap"})


def test_one_that_was_put_off_may_still_be_waited_for() -> None:
    """Put off by its share, then full: room at it is waited for like at any other."""
    full = NotGranted("full", 1.0, overload=Overload(5.0))
    found = played("ab", {"a": [over(SOFT), full], "b": [over(HARD)]})
    assert found == (["a", "b", "a!", "a."], End.ANSWERED, {"b": "hard cap"})


def test_a_cap_that_comes_after_a_busy_budget_is_the_reason() -> None:
    """Money was waited for, and was not what was missing: the end says so, and nobody is told to try again for it."""
    busy = NotGranted("busy", 1.0, refusal=refusal(5.0))
    assert played("a", {"a": [busy, over(HARD)]}) == (["a", "a."], End.NOT_GRANTED, {"a": "hard cap"})
    spent = NotGranted("spent", 1.0, refusal=refusal(0.0, is_busy=False))
    assert played("a", {"a": [busy, spent]}) == (["a", "a."], End.BUDGET, {"a": "spent"})
