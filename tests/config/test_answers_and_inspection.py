"""What a config says of answers that are none, of foreign histories, and of inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.config import from_text
from modelrouter.core.failure import FailureKind
from modelrouter.core.inspection import Ladder
from tests.config.texts import config, load_files

if TYPE_CHECKING:
    from pathlib import Path

LADDER = "tags: {data_class: {values: [public, secret], raised_by: {api_key: secret}}}"


def test_answers_that_are_none_fall_back_unless_the_route_says_otherwise() -> None:
    """Nothing is returned and nothing stripped by default; each key stands for its own kind."""
    (plain,) = from_text(config()).routes.values()
    assert (plain.returned, plain.strips_history) == (frozenset(), False)
    keys = "on_refusal: return, on_filtered: fallback, on_empty: return, on_out_of_tokens: return, on_schema: return"
    routes = f"routes:\n  support: {{try: [own], {keys}, on_foreign_history: strip}}"
    (route,) = from_text(config(routes=routes)).routes.values()
    kind = FailureKind
    assert route.returned == {kind.REFUSED, kind.EMPTY, kind.OUT_OF_TOKENS_EMPTY, kind.REJECTED}
    assert route.strips_history


def test_inspection_and_what_it_raises() -> None:
    """Tags keep the order in which their values are written."""
    setup = from_text(config(tags=LADDER, more="inspect: [builtin]"))
    assert setup.inspect == ("builtin",)
    assert setup.ladders == {"data_class": Ladder(("public", "secret"), {"api_key": "secret"})}
    assert from_text(config()).inspect == ()


def test_a_house_may_have_requests_inspected(tmp_path: Path) -> None:
    """What a house inspects is inspected below it too, and what is asked for below comes beside it."""
    setup = load_files(
        tmp_path,
        house=f"modelrouter: 1\n{LADDER}\ninspect: [builtin]\n",
        modelrouter=config(include="include: [house.yaml]", tags="tags: {team: {}}"),
    )
    assert setup.inspect == ("builtin",)
    assert "data_class" in setup.ladders
