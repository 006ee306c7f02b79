"""Requests that another system served, as requests that a route of ours could have served."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from modelrouter.cli.replay.usage_file import BadLine, usage_lines
from modelrouter.core.bounds import Size
from modelrouter.core.decision_record import Recorded
from modelrouter.core.pricing import Span, Usage
from modelrouter.core.replay import Past
from modelrouter.core.request import Request
from modelrouter.core.route import Moment
from modelrouter.errors import CatalogError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelrouter.catalog import Catalog
    from modelrouter.cli.replay.usage_file import UsageLine
    from modelrouter.config import Setup
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.replay import Difference

__all__ = ["ForeignCalls", "model_names"]

BAD_SHOWN: Final = 5
UNSAID: Final = "not said"


@dataclass(slots=True)
class ForeignCalls:
    """The requests of a usage log.

    Attributes:
        left_out: requests that are not replayed, by the reason.
        bad_lines: the first lines that could not be used.
        unmatched: requests by names of models that the catalog does not know; they are replayed all the same.
        estimated: requests without a cost of their own, whose cost before is the catalog's price for the model.
    """

    path: Path
    setup: Setup
    catalog: Catalog
    since_us: int = 0
    route: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    bad_lines: list[BadLine] = field(default_factory=list)
    unmatched: Counter[str] = field(default_factory=Counter)
    estimated: int = 0
    _names: dict[str, str] = field(init=False)
    _prices: dict[str, PriceList | None] = field(default_factory=dict)
    _uncosted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Every name that a model goes by."""
        self._names = model_names(self.catalog)
        if self.route is not None and self.route not in self.setup.routes:
            raise RequestError(f"there is no route `{self.route}`: name one of {', '.join(sorted(self.setup.routes))}")

    def __iter__(self) -> Iterator[Past]:
        """Each line as a request, with what it cost there.

        Raises:
            RequestError: the file cannot be read, or none of its lines can be used.
        """
        now_s = time.time()
        used = False
        for line in usage_lines(self.path):
            if isinstance(line, BadLine):
                self.left_out["lines that cannot be used"] += 1
                if len(self.bad_lines) < BAD_SHOWN:
                    self.bad_lines.append(line)
                continue
            used = True
            at_s = now_s if line.at_s is None else line.at_s
            if at_s * 1_000_000 < self.since_us:
                continue
            route = line.route or self.route
            if route is None:
                self.left_out["lines without a route: name one with `--route`"] += line.requests
                continue
            yield self._past(line, route, at_s)
        if not used:
            why = f"; {self.bad_lines[0].place}: {self.bad_lines[0].reason}" if self.bad_lines else ""
            raise RequestError(f"`{self.path}` holds no usage that can be read{why}")

    def costed(self, past: Past, difference: Difference) -> Difference:
        """The difference, without a cost where the cost before is not known: there is nothing to compare with."""
        if past.recorded.moment.seed in self._uncosted:
            self._uncosted.discard(past.recorded.moment.seed)
            return replace(difference, cost_nano_usd=None)
        return difference

    def _past(self, line: UsageLine, route: str, at_s: float) -> Past:
        model = self._matched(line.model)
        if model is None:
            self.unmatched[line.model] += line.requests
        each = max(1, line.requests)
        usage = Usage(line.input_tokens // each, line.output_tokens // each, line.cached_input_tokens // each)
        span = Span(int(at_s * 1_000_000), int(at_s * 1_000_000))
        cost = line.cost_nano_usd
        if cost is None:
            price = None if model is None else self._price(model)
            if price is None:
                self._uncosted.add(line.place)
            else:
                cost = price.cost_nano_usd(usage, span) * line.requests
                self.estimated += line.requests
        tokens = usage.input_tokens
        request = Request(
            route, (), size=Size(tokens, message_count=1, expected_tokens=tokens), tags={**line.tags}
        )  # a token has at least a byte, so as many bytes stand for a prompt of that length
        entry = None if model is None else self.catalog.models[model]
        return Past(
            Recorded("", request, Moment(at_s, seed=line.place), ""),
            order=(model or line.model,),
            answered=model or line.model,
            operator=line.operator or UNSAID,
            developer=UNSAID if entry is None else entry.developer.value or UNSAID,
            cost_nano_usd=cost or 0,
            answer_nano_usd=cost or 0,
            usage=usage,
            span=span,
            count=line.requests,
        )

    def _matched(self, name: str) -> str | None:
        """The catalog's id for a model that a log names; a part behind the last slash is tried as well."""
        text = name.lower()
        plain = text.rpartition("/")[2]
        for each in (text, plain, plain.partition(":")[0], plain.partition(".")[2]):
            found = self._names.get(each)
            if found is not None:
                return found
        return None

    def _price(self, model: str) -> PriceList | None:
        """The one price of a model: in the config, at the only operator that offers it, or at its developer."""
        if model not in self._prices:
            from modelrouter.cli.spend.compare import comparison

            try:
                self._prices[model] = comparison(self.setup, self.catalog, model).price
            except (RequestError, CatalogError):
                self._prices[model] = None
        return self._prices[model]


def model_names(catalog: Catalog) -> dict[str, str]:
    """Every name under which a model is known or offered, in lower case, to its id; names of several are left out."""
    found: dict[str, str | None] = {}

    def note(name: str, model: str) -> None:
        text = name.lower()
        if text and found.setdefault(text, model) != model:
            found[text] = None

    for template in catalog.templates.values():
        for model, offer in template.models.items():
            for name in (offer.name, offer.name.rpartition("/")[2], *offer.answers_as):
                note(name, model)
    ids: dict[str, str] = {name.lower(): name for name in catalog.models}
    return {**{name: model for name, model in found.items() if model is not None}, **ids}
