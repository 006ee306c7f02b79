"""What a caller gets back: the answer, what it cost, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.attempts import Billing
from modelrouter.core.money import usd_from_nano

if TYPE_CHECKING:
    from decimal import Decimal

    from modelrouter.core.attempts import Attempt
    from modelrouter.core.decision import Decision
    from modelrouter.core.failure import FailureKind
    from modelrouter.core.pricing import Usage
    from modelrouter.core.request import JSON
    from modelrouter.ports import Answer

__all__ = ["Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request.

    Attributes:
        answer: as the transport gave it; `answer.body` is the whole reply in OpenAI's shape.
        deployment: id of the deployment that answered.
        attempts: all of them, the failed ones included.
        decision: who was permitted and why the others were not.
        call_id: the call in the ledger.
        cost_nano_usd: all attempts together, in billionths of a dollar.
        saved_nano_usd: what the baseline deployment would have cost for the same usage, less `cost_nano_usd`; negative
            when this call was dearer. None without a baseline, or when no usage was reported.
    """

    answer: Answer
    deployment: str
    attempts: tuple[Attempt, ...]
    decision: Decision
    call_id: str
    cost_nano_usd: int
    saved_nano_usd: int | None

    @property
    def text(self) -> str:
        """The words of the first choice; empty when the model only called tools."""
        content = self.answer.message.get("content")
        return content if isinstance(content, str) else ""

    @property
    def message(self) -> Mapping[str, JSON]:
        """The assistant message, in OpenAI's shape, fit to be appended to a conversation."""
        return self.answer.message

    @property
    def tool_calls(self) -> Sequence[Mapping[str, JSON]]:
        """The tool calls of the first choice, in OpenAI's shape; empty when there are none."""
        calls = self.answer.message.get("tool_calls")
        if not isinstance(calls, Sequence) or isinstance(calls, str):
            return ()
        return tuple(call for call in calls if isinstance(call, Mapping))

    @property
    def usage(self) -> Usage | None:
        """Tokens of the attempt that answered; None when the server reported none."""
        return self.answer.usage

    @property
    def finish_reason(self) -> str:
        """`stop`, `length`, `tool_calls`, … as the server said."""
        return self.answer.finish_reason

    @property
    def flaw(self) -> FailureKind | None:
        """Why this is no proper answer, as `refused`; only where the route says `return`. None for every proper one."""
        return self.answer.flaw

    @property
    def length_reached(self) -> bool:
        """Whether the answer was cut off at its output limit."""
        return self.answer.finish_reason == "length"

    @property
    def cost_usd(self) -> Decimal:
        """Exact cost of all attempts of this request."""
        return usd_from_nano(self.cost_nano_usd)

    @property
    def cost_is_certain(self) -> bool:
        """False while a part of the cost is booked at its bound, because the provider did not say what it counted."""
        return all(attempt.billing is not Billing.UNCERTAIN for attempt in self.attempts)

    @property
    def saved_usd(self) -> Decimal | None:
        """What was saved against the baseline; see `saved_nano_usd`."""
        return None if self.saved_nano_usd is None else usd_from_nano(self.saved_nano_usd)

    def __str__(self) -> str:
        """The text, so that `print(reply)` does what one hopes."""
        return self.text
