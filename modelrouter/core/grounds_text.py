"""The grounds of decisions as text: JSON that holds every value, so that a later version reads them as they were. Pure.

Sources are written once, in a table, and facts name them by their place. A fact without any source is null. Amounts are
text with every digit. The order of names is that of the configuration: a route tries its deployments in it.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.facts import Fact, Source
from modelrouter.core.grounds_reader import DECIMAL, GroundsReader
from modelrouter.core.policy import RuleSpec
from modelrouter.core.pricing import PriceList

if TYPE_CHECKING:
    from modelrouter.core.grounds import Grounds
    from modelrouter.core.grounds_reader import Written
    from modelrouter.core.policy import Policy
    from modelrouter.core.route import Route

__all__ = ["FORMAT", "VERSION", "grounds_from", "text_of"]

FORMAT: Final = "modelrouter-grounds"
VERSION: Final = 1
NO_FACT: Final[Fact[Any]] = Fact.unknown()


def text_of(grounds: Grounds) -> str:
    """The grounds as JSON; `grounds_from` gives them back exactly."""
    writer = _Writer()
    written = {
        "format": FORMAT,
        "version": VERSION,
        "package": grounds.version,
        "texts": dict(grounds.texts),
        "world": writer.plain(grounds.world),
        "routes": {name: writer.route(each) for name, each in grounds.routes.items()},
        "added": {name: [writer.place(each) for each in policies] for name, policies in grounds.policies.items()},
    }
    written["policies"] = [writer.fields(each) for each in writer.policies]
    written["sources"] = [writer.fields(each) for each in writer.sources]
    return json.dumps(written, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def grounds_from(text: str) -> Grounds:
    """The grounds that were written as `text`, by this version or an earlier one.

    Raises:
        ValueError: it is nothing of the kind, or of a later version.
    """
    try:
        written = json.loads(text)
        version = written["version"] if written["format"] == FORMAT else None
        if version == VERSION:
            return GroundsReader(written).grounds()
    except (KeyError, TypeError, AttributeError, IndexError, ArithmeticError, ValueError) as error:
        raise ValueError("this text holds no grounds of decisions") from error
    if version is None:
        raise ValueError("this text holds no grounds of decisions")
    raise ValueError(f"these grounds were written as version `{version}`, which needs a later release to be read")


# --- writing ----------------------------------------------------------------------------------------------------------


class _Writer:
    """Writes values, and collects sources and policies, each once."""

    def __init__(self) -> None:
        self.sources: dict[Source, int] = {}
        self.policies: list[Policy] = []
        self._places: dict[int, int] = {}

    def place(self, policy: Policy) -> int:
        """Where a policy stands in the table."""
        found = self._places.get(id(policy))
        if found is None:
            found = self._places[id(policy)] = len(self.policies)
            self.policies.append(policy)  # which keeps it, and so its id
        return found

    def route(self, route: Route) -> Written:
        """A route with its layers by their places."""
        layers = [[self.place(each.policy), each.level.value, each.waivers_active] for each in route.layers]
        return {**self.fields(route), "layers": layers}

    def fields(self, record: Any) -> Written:  # noqa: ANN401 - any dataclass
        """A record by the names of its fields."""
        return {
            each.name: self.plain(getattr(record, each.name))
            for each in fields(record)
            if each.init and each.name != "layers"
        }

    def plain(self, value: object) -> Any:  # noqa: ANN401 - JSON, one way for each kind of value
        """A value as JSON has it."""
        match value:
            case Fact():
                return self._fact(value)
            case Source():
                return self.sources.setdefault(value, len(self.sources))
            case PriceList():
                return json.loads(value.to_text())
            case RuleSpec():
                limits = {"at_least": _scalar(value.at_least), "at_most": _scalar(value.at_most)}
                return {**self.fields(value), **limits}
            case Decimal() | date():
                return str(value)
            case frozenset():
                return sorted(map(self.plain, value))
            case tuple() | list():
                return [self.plain(each) for each in value]
        return self._other(value)

    def _other(self, value: object) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, enum.Enum):
            return value.name.lower()
        if isinstance(value, Mapping):
            return {name: self.plain(each) for name, each in value.items()}
        return self.fields(value) if is_dataclass(value) else value

    def _fact(self, fact: Fact[Any]) -> Written | None:
        if fact == NO_FACT:
            return None
        return {"state": self.plain(fact.state), "value": self.plain(fact.value), "source": self.plain(fact.source)}


def _scalar(value: object) -> object:
    """A limit of a rule; a decimal is marked, because a text may look like one."""
    return {DECIMAL: str(value)} if isinstance(value, Decimal) else value
