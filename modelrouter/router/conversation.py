"""A conversation on its way to one candidate, and an answer on its way back into one; see `core.portability`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.adapting import adapted, marked
from modelrouter.core.portability import origin_of, target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.request import JSON, Message, Request
    from modelrouter.core.route import Route
    from modelrouter.core.subject import Subject
    from modelrouter.ports import Answer

__all__ = ["marked_answer", "messages_for"]


def messages_for(request: Request, route: Route, subject: Subject) -> Sequence[Message]:
    """The conversation as a candidate can take it, where the route lets it be stripped."""
    if request.history.is_plain or not route.strips_history:
        return request.messages
    return adapted(request.messages, request.history, target_of(subject, request, route))


def marked_answer(answer: Answer, subject: Subject) -> Answer:
    """An answer whose message says who wrote it, if not everybody will be able to take it back."""
    message = marked(answer.message, origin_of(subject))
    if message is answer.message:
        return answer
    choices = answer.body.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], Mapping)):
        return replace(answer, message=message)
    first: JSON = {**choices[0], "message": message}
    return replace(answer, message=message, body={**answer.body, "choices": [first, *choices[1:]]})
