"""The bound beside what a real llama.cpp server renders and counts, with the facts that the catalog ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.catalog import load_catalog
from modelrouter.catalog.token_servers import Endpoint, LlamaCpp
from modelrouter.core.bounds import BoundBasis
from tests.core.bound_trial import Breach, Outcome, proved_bound, rows_of
from tests.real_model import MODEL_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelrouter.core.bounds import Overhead
    from tests.core.bound_conversations import Conversation
    from tests.real_model import LocalModel

__all__ = ["NAME", "served_trial", "shipped_overhead"]

NAME: Final = "SmolLM2-135M on llama.cpp"
SENT: Final = frozenset({"chat_template_kwargs", "response_format", "tools"})


def shipped_overhead() -> Overhead:
    """What the catalog says that the template of SmolLM2 adds; the claim is that it was proved."""
    offer = load_catalog().template("self-llamacpp").offer(MODEL_ID)
    if offer.overhead is None or offer.bound_basis.value is not BoundBasis.PROVED:
        raise AssertionError("the catalog claims no proof for SmolLM2 on llama.cpp")
    return offer.overhead


def served_trial(
    asked: Iterable[Conversation],
    model: LocalModel,
    bound: Callable[[Conversation], Callable[[Overhead], int]] = proved_bound,
) -> Outcome:
    """Have the server render and count every conversation."""
    overhead, ratios, breaches, total = shipped_overhead(), [], [], 0
    with Endpoint(model.base_url, model.key) as endpoint:
        server = LlamaCpp(endpoint)
        for each in asked:
            sent = {name: value for name, value in each.parameters.items() if name in SENT}
            counted = server.count(server.render(each.messages, sent))
            most = bound(each)(overhead)
            ratios.append((NAME, each.script, most / max(counted, 1)))
            if most < counted:
                breaches.append(Breach(NAME, NAME, most, counted, each))
            total += 1
    return Outcome(total, total, rows_of(ratios), tuple(breaches))
