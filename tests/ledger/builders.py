"""Reservations, resolutions and a clock for tests, and an ear for callbacks."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from modelrouter.core.attempts import Attempt, Billing, Failure, FailureKind, Phase
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.budget import Budget, Window
from modelrouter.core.pricing import PriceList
from modelrouter.core.shares import Measure, ShareCap, ShareDemand, ShareMode
from modelrouter.ports import CallRecord, Reservation, Resolution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelrouter.core.pricing import Usage
    from modelrouter.ports import LedgerStore

START_S = 1_790_000_000.25  # 2026-09-21, 14:13:20.25 UTC
PRICE = PriceList(Decimal("0.0333"), Decimal("0.4"), cached_input_usd_per_mtok=Decimal("1E-7"), request_usd=Decimal(0))
WAIT_S = 60.0
"""How long a test waits for something that must come."""


class StillClock:
    """A clock that stands still until a test moves it.

    Attributes:
        at_s: what both of its hands show; add to it to let time go by.
    """

    def __init__(self, now_s: float = START_S) -> None:
        self.at_s = now_s
        self._wrong_s = 0.0

    def set_back(self, seconds: float) -> None:
        """Set the hand that tells the time, not the one that counts."""
        self._wrong_s -= seconds

    def now_s(self) -> float:
        """Seconds since 1970."""
        return self.at_s + self._wrong_s

    def now_us(self) -> int:
        """The same in microseconds."""
        return round(self.now_s() * 1_000_000)

    def monotonic_s(self) -> float:
        """The hand that only counts."""
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        """Move instead of waiting."""
        self.at_s += seconds


class Heard:
    """A callback that counts how often it is called, keeps what it was told, and can be waited for."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = []
        self.thread: threading.Thread | None = None
        self._told = threading.Event()

    def __call__(self, outcome: Exception | None) -> None:
        """Be told."""
        self.outcomes.append(outcome)
        self.thread = threading.current_thread()
        self._told.set()

    def outcome(self) -> Exception | None:
        """What was told, once it was."""
        assert self._told.wait(WAIT_S), "the callback was never called"
        return self.outcomes[0]


def call_record(
    call_id: str = "call-1",
    *,
    request_id: str | None = None,
    route: str = "support",
    tags: dict[str, str] | None = None,
    session: str | None = None,
) -> CallRecord:
    """The record of a call."""
    return CallRecord(
        call_id=call_id,
        request_id=request_id,
        route=route,
        tags=tags or {},
        decision='{"epoch":"e1"}',
        policies=("house", "eu-customers"),
        session=session,
    )


def reservation(
    name: str = "r-1",
    *,
    call: CallRecord | None = None,
    number: int = 1,
    deployment: str = "small",
    operator: str = "self",
    model: str = "qwen3-32b",
    bound_nano_usd: int = 5_000,
    price: PriceList = PRICE,
    developer: str = "alibaba",
    wait_s: float = 0.0,
    shares: tuple[ShareDemand, ...] = (),
) -> Reservation:
    """A reservation; its call is its own unless given."""
    return Reservation(
        reservation_id=name,
        call=call or call_record(f"call-of-{name}"),
        number=number,
        deployment=deployment,
        operator=operator,
        model=model,
        bound=Bound(bound_nano_usd, 120, 400, BoundBasis.DOCUMENTED),
        price=price,
        developer=developer,
        wait_s=wait_s,
        shares=shares,
    )


def budget(
    name: str = "all",
    limit_nano_usd: int = 1_000,
    *,
    window: Window = Window.TOTAL,
    length_s: int = 0,
    each: str = "",
    only: dict[str, set[str]] | None = None,
    wait_s: float = 0.0,
    zone_name: str = "UTC",
) -> Budget:
    """A budget."""
    limits = {key: frozenset(values) for key, values in (only or {}).items()}
    zone = ZoneInfo(zone_name)
    return Budget(
        name, limit_nano_usd, window, length_s, zone=zone, zone_name=zone_name, each=each, only=limits, wait_s=wait_s
    )


def share(
    vendor: str = "azure",
    most: tuple[int, int] = (1, 2),
    of: Measure = Measure.SPEND,
    by: str = "operator",
    *,
    least: int = 1_000,
    window_h: int = 24,
    members: frozenset[str] | None = None,
    mode: ShareMode = ShareMode.HARD,
) -> ShareDemand:
    """A share cap, asked of a vendor."""
    cap = ShareCap("two/vendors.share", *most, of, by, window_h * 3_600, least, mode)
    return ShareDemand(cap, vendor, frozenset({vendor}) if members is None else members)


def resolution(
    name: str = "r-1",
    *,
    billing: Billing = Billing.BILLED,
    cost_nano_usd: int | None = None,
    usage: Usage | None = None,
    failure: Failure | None = None,
    saved_nano_usd: int | None = None,
    length_reached: bool = False,
) -> Resolution:
    """The end of a reservation."""
    cost = (0 if billing is Billing.UNBILLED else 1_234) if cost_nano_usd is None else cost_nano_usd
    attempt = Attempt(
        number=1,
        deployment="small",
        bound=Bound(5_000, 120, 400, BoundBasis.DOCUMENTED),
        price=PRICE,
        started_s=7.0,
        ended_s=8.5,
        failure=failure,
        usage=usage,
        billing=billing,
        cost_nano_usd=cost,
        length_reached=length_reached,
    )
    return Resolution(name, billing, cost, attempt, saved_nano_usd)


def timed_out() -> Failure:
    """A failure that may have been billed."""
    return Failure(FailureKind.TIMED_OUT, Phase.SENT, "no byte within 2 s")


def reserve(store: LedgerStore, wanted: Reservation) -> Exception | None:
    """Reserve, and wait for the outcome."""
    heard = Heard()
    store.reserve(wanted, heard)
    return heard.outcome()


def resolve(store: LedgerStore, ended: Resolution) -> Exception | None:
    """Resolve, and wait for the outcome."""
    heard = Heard()
    store.resolve(ended, heard)
    return heard.outcome()


def reserve_all(store: LedgerStore, wanted: Iterable[Reservation]) -> list[Heard]:
    """Queue reservations at once, then wait for all outcomes."""
    heard = []
    for each in wanted:
        ear = Heard()
        store.reserve(each, ear)
        heard.append(ear)
    for ear in heard:
        ear.outcome()
    return heard
