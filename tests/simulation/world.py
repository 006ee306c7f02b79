"""The simulated world: operators and what they charge, routes, budgets, limits, and requests to draw from.

It stands still; what changes while it is simulated (policies, faults, load) is drawn elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Hop
from modelrouter.core.bounds import BoundBasis, Overhead, Size
from modelrouter.core.budget import Budget, Window
from modelrouter.core.health import BreakerTerms
from modelrouter.core.load import Limits
from modelrouter.core.pricing import PriceList
from modelrouter.core.request import Request
from modelrouter.core.retries import RetryTerms
from modelrouter.core.route import Objective, Route, Try
from modelrouter.ports import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BUDGETS",
    "CASES",
    "EPOCH_S",
    "HOSTS",
    "ROUTES",
    "TEAMS",
    "Case",
    "Host",
    "Terms",
    "expected_nano_usd",
    "terms",
]

EPOCH_S: Final = 1_767_225_600.0  # 2026-01-01T00:00:00Z
OVERHEAD: Final = Overhead(5, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Host:
    """A deployment, and the truth about it that only its operator knows.

    Attributes:
        input_nano_usd: what it charges for an input token.
        output_nano_usd: for an output token.
        pace_s: how long a usual answer takes.
    """

    hop: Hop
    operator: str
    developer: str
    input_nano_usd: int
    output_nano_usd: int
    pace_s: float
    keys: int
    limits: Limits

    @property
    def name(self) -> str:
        """Its name as a deployment."""
        return self.hop.deployment


def _host(
    name: str, operator: str, rates: tuple[int, int], pace_s: float, keys: int, limits: Limits, billed: frozenset[int]
) -> Host:
    """A deployment whose price list says what it charges."""
    per_input, per_output = (Decimal(rate) / 1000 for rate in rates)
    price = PriceList(input_usd_per_mtok=per_input, output_usd_per_mtok=per_output)
    hop = Hop(name, price, OVERHEAD, BoundBasis.PROVED, 4096, billed)
    return Host(hop, operator, f"dev-{name[0]}", *rates, pace_s, keys, limits)


BILLED: Final = frozenset({400, 500})
HOSTS: Final = {
    host.name: host
    for host in (
        _host("a-large", "alpha", (3000, 15_000), 2.5, 2, Limits(max_in_flight=8), frozenset()),
        _host("a-small", "alpha", (150, 600), 0.8, 2, Limits(requests_per_minute=30), frozenset()),
        _host("b-large", "beta", (2500, 10_000), 2.0, 1, Limits(max_in_flight=4, max_queue=6), BILLED),
        _host("b-small", "beta", (100, 400), 0.6, 1, Limits(tokens_per_minute=15_000), BILLED),
        _host("c-large", "gamma", (900, 900), 3.0, 3, Limits(max_in_flight=5, requests_per_minute=25), frozenset()),
        _host("c-small", "gamma", (50, 80), 1.2, 1, Limits(max_in_flight=3, max_queue=4), frozenset()),
    )
}

ROUTES: Final = (
    Route(
        "support",
        (Try({"a-large": 1}), Try({"b-large": 1}), Try({"c-large": 1})),
        timeout_s=30.0,
        attempts_max=4,
        retries_max=1,
    ),
    Route(
        "bulk",
        (Try({"c-small": 3, "b-small": 2, "a-small": 1}), Try({"c-large": 1})),
        timeout_s=60.0,
        attempts_max=6,
        retries_max=2,
        least_output_tokens=16,
    ),
    Route(
        "cheap",
        (Try({"a-small": 1, "b-small": 1, "c-small": 1, "c-large": 1}, equals=True),),
        objective=Objective.COST,
        timeout_s=12.0,
        attempts_max=3,
        retries_max=0,
    ),
    Route(
        "fast",
        (Try({"a-small": 1, "b-small": 1}, equals=True), Try({"b-large": 1})),
        objective=Objective.LATENCY,
        timeout_s=8.0,
        attempts_max=2,
        retries_max=2,
    ),
)

TEAMS: Final = ("blue", "green", "red")
BUDGETS: Final = (
    Budget("everything", 90_000_000_000, Window.DAY),
    Budget("operators", 700_000_000, Window.HOUR, each="operator", wait_s=3.0),
    Budget("teams", 400_000_000, Window.ROLLING, length_s=1800, each="tag.team", wait_s=1.0),
    Budget("support", 300_000_000, Window.ROLLING, length_s=600, only={"route": frozenset({"support"})}),
    Budget("bulk-blue", 5_000_000, Window.HOUR, only={"route": frozenset({"bulk"}), "tag.team": frozenset({"blue"})}),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One shape of a request.

    Attributes:
        expected: deployment to what an answer of the usual length would cost, as `decide` tells the order.
    """

    route: Route
    request: Request
    size: Size
    wanted_output_tokens: int
    ceiling_nano_usd: int | None
    team: str
    expected: Mapping[str, int]


def expected_nano_usd(host: Host, size: Size, wanted: int) -> int:
    """Bytes by four, and half of what is wanted."""
    return host.input_nano_usd * (size.text_bytes // 4 + 1) + host.output_nano_usd * (wanted // 2)


def _cases() -> tuple[Case, ...]:
    found = []
    for place in range(96):
        route, team = ROUTES[place % 4], TEAMS[place % 3]
        size, wanted = Size(text_bytes=(80, 400, 1500)[place // 4 % 3]), (40, 200, 600)[place // 12 % 3]
        ceiling = (None, None, 6_000_000, 1_500_000)[place // 5 % 4]
        request = Request(route.name, (), session=(None, None, None, f"session {place}")[place // 7 % 4])
        expected = {name: expected_nano_usd(HOSTS[name], size, wanted) for name in route.candidates}
        found.append(Case(route, request, size, wanted, ceiling, team, expected))
    return tuple(found)


CASES: Final = _cases()


@dataclass(frozen=True, slots=True)
class Terms:
    """What `router.traffic.Traffic` reads of a setup."""

    endpoints: Mapping[str, Endpoint]
    limits: Mapping[str, Limits]
    health: BreakerTerms
    retries: RetryTerms


def terms() -> Terms:
    """The terms by which this world's traffic goes."""
    return Terms(
        {name: _endpoint(host) for name, host in HOSTS.items()},
        {name: host.limits for name, host in HOSTS.items()},
        BreakerTerms(),
        RetryTerms(),
    )


@dataclass(frozen=True, slots=True)
class _Key:
    """A credential that is never read: nothing is sent."""

    name: str
    can_be_checked: bool = False

    def read(self) -> str | None:
        return None

    def describe(self) -> str:
        return self.name


def _endpoint(host: Host) -> Endpoint:
    first, *others = (_Key(f"key {place}") for place in range(host.keys))
    return Endpoint(host.name, "simulated", "", frozenset(), host.name, key=first, more_keys=tuple(others))
