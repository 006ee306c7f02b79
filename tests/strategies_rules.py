"""Rules as people would write them, several of each key, for the generated policies; `vendors.*` is not among them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import SELF
from modelrouter.core.policy import RuleSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["KEYS", "LISTS", "SPECS"]

LISTS: Final = ("list-a", "list-b")


def _allow(key: str, *names: str) -> RuleSpec:
    return RuleSpec(key, allow=frozenset(names))


def _deny(key: str, *names: str) -> RuleSpec:
    return RuleSpec(key, deny=frozenset(names))


def _both(key: str, allow: Iterable[str], deny: Iterable[str]) -> RuleSpec:
    return RuleSpec(key, allow=frozenset(allow), deny=frozenset(deny))


def _places(key: str) -> tuple[RuleSpec, ...]:
    return (
        _deny(key, "CN"),
        _deny(key, "CN", "HK"),
        _deny(key, "EU"),
        _deny(key, "NO"),
        _allow(key, "EEA", "US"),
        _allow(key, "EU", "US", "CN"),
        _allow(key, "EEA"),
        _both(key, ("EEA", "US"), ("FR",)),
    )


def _ids(key: str, prefix: str) -> tuple[RuleSpec, ...]:
    first, second, third = (f"{prefix}{number}" for number in (1, 2, 3))
    return (
        _deny(key, first),
        _deny(key, second, third),
        _allow(key, first, second),
        _allow(key, first, second, third, SELF),
        _both(key, (first, third, SELF), (second,)),
    )


def _required(key: str, *groups: tuple[str, ...]) -> tuple[RuleSpec, ...]:
    return tuple(RuleSpec(key, require=frozenset(group)) for group in groups)


def _true(key: str) -> tuple[RuleSpec, ...]:
    return (RuleSpec(key, require=True),)


def _most(key: str, *limits: int | Decimal) -> tuple[RuleSpec, ...]:
    return tuple(RuleSpec(key, at_most=limit) for limit in limits)


def _least(key: str, *limits: str) -> tuple[RuleSpec, ...]:
    return tuple(RuleSpec(key, at_least=limit) for limit in limits)


SPECS: Final[Mapping[str, tuple[RuleSpec, ...]]] = {
    "developer.country": _places("developer.country"),
    "developer.id": _ids("developer.id", "o"),
    "developer.lists": (_deny("developer.lists", "list-a"), _deny("developer.lists", *LISTS)),
    "operator.country": _places("operator.country"),
    "operator.id": _ids("operator.id", "o"),
    "operator.attestations": _required("operator.attestations", ("c5",), ("c5", "hds")),
    "processing.country": _places("processing.country"),
    "storage.country": _places("storage.country"),
    "data.training": (
        _allow("data.training", "never"),
        _allow("data.training", "never", "opt_out"),
        _allow("data.training", "never", "opt_out", "used"),
    ),
    "data.retention_days": _most("data.retention_days", 30, 0, 31),
    "agreements": _required("agreements", ("dpa",), ("dpa", "licence")),
    "weights.licence": (
        _allow("weights.licence", "LIC-A", "lic-b", "lic-own"),
        _allow("weights.licence", "lic-a", "LIC-B", "LIC-C", "LicenseRef-own"),
        _deny("weights.licence", "LIC-C"),
        _deny("weights.licence", "lic-a"),
    ),
    "weights.use": _required("weights.use", ("commercial",)),
    "weights.openness": (
        _allow("weights.openness", "open_weights", "open_source"),
        _deny("weights.openness", "closed"),
    ),
    "hosting": (_allow("hosting", "self_hosted", "managed"), _deny("hosting", "vendor_api")),
    "quantization": (_allow("quantization", "bf16", "fp8"), _deny("quantization", "q4")),
    "model.id": _ids("model.id", "m"),
    "model.pinned": _true("model.pinned"),
    "capability.tools": _true("capability.tools"),
    "capability.vision": _true("capability.vision"),
    "capability.context_tokens": (RuleSpec("capability.context_tokens", at_least=4000),),
    "price.input_usd_per_mtok": _most("price.input_usd_per_mtok", Decimal(1), Decimal(3), Decimal("0.5")),
    "price.output_usd_per_mtok": _most("price.output_usd_per_mtok", Decimal(2), Decimal("0.333333"), Decimal(15)),
    "price.cached_input_usd_per_mtok": _most("price.cached_input_usd_per_mtok", Decimal(1), Decimal("0.1")),
    "price.reasoning_usd_per_mtok": _most("price.reasoning_usd_per_mtok", Decimal(3), Decimal("0.5")),
    "price.request_usd": _most("price.request_usd", Decimal("0.00001"), Decimal(0)),
    "request.cost_usd": _most("request.cost_usd", Decimal("0.01"), Decimal("0.0002"), Decimal("0.00013"), Decimal(0)),
    "request.bound": _least("request.bound", "documented", "proved", "window"),
    "facts.confidence": _least("facts.confidence", "medium", "high"),
    "facts.age_days": _most("facts.age_days", 364, 30, 29, 90),
}
KEYS: Final = tuple(SPECS)
