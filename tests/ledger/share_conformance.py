"""What every store must do with share caps: a part of `conformance` and of `store_conformance`."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, TypeAlias

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.core.pricing import Usage
from modelrouter.core.shares import HOUR_US, Holding, Measure
from modelrouter.errors import BudgetExceededError, ShareCapError
from modelrouter.ledger import shares
from modelrouter.ports import Correction
from tests.ledger.builders import (
    Heard,
    budget,
    reservation,
    reserve,
    reserve_all,
    resolution,
    resolve,
    share,
    timed_out,
)
from tests.ledger.soundness import assert_sound, lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.shares import ShareDemand
    from modelrouter.ledger.store import StoredLedger
    from modelrouter.ports import LedgerStore
    from tests.ledger.lease_conformance import Shelf


def bought(store: LedgerStore, name: str, cost_nano_usd: int, *, operator: str = "azure", developer: str = "") -> None:
    """Buy something, at exactly what was reserved for it, with 10 tokens in and 5 out."""
    most = reservation(name, bound_nano_usd=cost_nano_usd, operator=operator, developer=developer)
    assert reserve(store, most) is None
    assert resolve(store, resolution(name, cost_nano_usd=cost_nano_usd, usage=Usage(10, 5))) is None


def asked(store: LedgerStore, name: str, bound_nano_usd: int, *caps: ShareDemand) -> Holding | None:
    """Reserve at `azure` under caps; what stood against it, or None where it was granted."""
    error = reserve(store, reservation(name, bound_nano_usd=bound_nano_usd, operator="azure", shares=caps))
    if error is None:
        return None
    assert isinstance(error, ShareCapError)
    return error.refusal.holding


class ShareConformance:
    """The rules of share caps, by the port alone."""

    def test_a_share_may_be_used_up_and_not_passed(self, store: LedgerStore) -> None:
        """Half of the least volume of 1,000 fits exactly while nothing is settled; one nano-dollar more does not."""
        assert asked(store, "r-1", 501, share()) == Holding(0, 0, 0)
        assert asked(store, "r-2", 500, share()) is None
        assert asked(store, "r-3", 1, share()) == Holding(0, 500, 0)

    def test_what_others_are_paid_makes_room(self, store: LedgerStore) -> None:
        """The cap is taken of all that is settled, once that is more than the least volume; pending makes no room."""
        bought(store, "r-1", 500)
        assert reserve(store, reservation("r-2", bound_nano_usd=1_500, operator="mistral")) is None
        assert asked(store, "r-3", 1, share()) == Holding(500, 0, 500)
        resolve(store, resolution("r-2", cost_nano_usd=1_500))
        assert asked(store, "r-4", 501, share()) == Holding(500, 0, 2_000)
        assert asked(store, "r-5", 500, share()) is None

    def test_what_is_uncertain_counts_with_what_is_settled(self, store: LedgerStore) -> None:
        """On the side of the vendor, and in the total."""
        reserve(store, reservation("r-1", bound_nano_usd=400, operator="azure"))
        resolve(store, resolution("r-1", billing=Billing.UNCERTAIN, cost_nano_usd=400, failure=timed_out()))
        assert asked(store, "r-2", 101, share()) == Holding(400, 0, 400)

    def test_what_is_released_counts_no_more(self, store: LedgerStore) -> None:
        """An attempt that cost nothing leaves no money; as a call it was made."""
        reserve(store, reservation("r-1", bound_nano_usd=500, operator="azure"))
        resolve(store, resolution("r-1", billing=Billing.UNBILLED, failure=timed_out()))
        assert asked(store, "r-2", 501, share()) == Holding(0, 0, 0)
        assert asked(store, "r-3", 1, share(of=Measure.CALLS, least=2, most=(1, 3))) == Holding(1, 0, 1)

    def test_what_cost_more_than_its_bound_counts_whole(self, store: LedgerStore) -> None:
        """An overrun is spent too."""
        reserve(store, reservation("r-1", bound_nano_usd=300, operator="azure"))
        resolve(store, resolution("r-1", cost_nano_usd=700))
        assert asked(store, "r-2", 1, share()) == Holding(700, 0, 700)

    @pytest.mark.parametrize(
        ("cap", "holding"),
        [
            (share(of=Measure.CALLS, least=2), Holding(1, 1, 2)),
            (share(of=Measure.TOKENS, least=700), Holding(15, 520, 30)),
            (share("openai", by="developer", least=100), Holding(60, 0, 60)),
            (
                share("microsoft", by="parent", least=100, members=frozenset({"azure", "github"})),
                Holding(100, 100, 100),
            ),
            (share("US", by="country", least=100, members=frozenset({"github"})), Holding(40, 0, 100)),
        ],
    )
    def test_each_measure_and_each_way_to_tell_vendors_apart(
        self, store: LedgerStore, cap: ShareDemand, holding: Holding
    ) -> None:
        """Of money, attempts or tokens; of operators, of developers, and of several operators that are one vendor."""
        if cap.cap.by == "developer":
            bought(store, "r-1", 60, developer="openai")
        else:
            bought(store, "r-1", 60)
            bought(store, "r-2", 40, operator="github")
            if cap.vendor != "US":
                reserve(store, reservation("r-3", bound_nano_usd=100, operator="azure"))
        assert asked(store, "r-4", 1_000, cap) == holding

    def test_all_caps_hold_beside_all_budgets(self, store: LedgerStore) -> None:
        """The first that has no room is told, a budget before a share; whatever it is, nothing was set aside."""
        store.configure(budgets=[budget(limit_nano_usd=400)])
        caps = share(least=800), share(most=(1, 10), of=Measure.CALLS, least=10)
        both = reservation("r-1", bound_nano_usd=401, operator="azure", shares=caps)
        assert isinstance(reserve(store, both), BudgetExceededError)
        assert asked(store, "r-2", 400, *caps) is None
        resolve(store, resolution("r-2", billing=Billing.UNBILLED, failure=timed_out()))
        assert asked(store, "r-3", 1, *caps) == Holding(1, 0, 1)

    def test_reservations_that_come_together_see_each_other(self, store: LedgerStore) -> None:
        """Of sixty that are queued at once, as many are granted as the cap has room for, and no more."""
        wanted = [reservation(f"r-{n}", bound_nano_usd=50, operator="azure", shares=(share(),)) for n in range(60)]
        outcomes = [heard.outcomes[0] for heard in reserve_all(store, wanted)]
        assert outcomes.count(None) == 10
        assert sum(isinstance(outcome, ShareCapError) for outcome in outcomes) == 50

    def test_ends_that_come_together_with_reservations_count(self, store: LedgerStore) -> None:
        """Whether an end and a reservation share a batch or not, the second sees the first, line by line."""
        assert asked(store, "r-1", 500, share()) is None
        ended, granted = Heard(), Heard()
        store.resolve(resolution("r-1", cost_nano_usd=100), ended)
        store.reserve(reservation("r-2", bound_nano_usd=400, operator="azure", shares=(share(),)), granted)
        assert ended.outcome() is None
        assert granted.outcome() is None
        assert asked(store, "r-3", 1, share()) == Holding(100, 400, 100)

    def test_a_refusal_says_in_figures_what_stands_in_the_way(self, store: LedgerStore) -> None:
        """Rule, vendor, share now, cap, window, and what was needed."""
        bought(store, "r-1", 400)
        error = reserve(store, reservation("r-2", bound_nano_usd=101, operator="azure", shares=(share(),)))
        assert isinstance(error, ShareCapError)
        assert error.message == (
            "`two/vendors.share` caps operator `azure` at 50 % of spend over 24h, and this call could bring it to "
            "50.1 %: $0.0000004 booked (100 %), $0 held by calls under way, $0.000000101 needed, of $0.0000004 in all, "
            "counted as $0.000001; use other vendors, or raise its `max` or `min_volume`"
        )


class SharedBookConformance:
    """The rules of share caps in a book that several writers share."""

    def test_every_writer_sees_what_the_others_wrote(self, shelf: Shelf) -> None:
        """Two processes, each with a cap of its own: line by line each goes by what both have done."""
        first, second = shelf.open(), shelf.open()
        strict, loose = share(most=(3, 10)), share(most=(6, 10))
        assert asked(first, "r-1", 200, strict) is None
        assert asked(second, "r-2", 300, loose) is None
        assert asked(first, "r-3", 1, strict) == Holding(0, 500, 0)
        assert asked(second, "r-4", 101, loose) == Holding(0, 500, 0)
        resolve(second, resolution("r-2", cost_nano_usd=50))
        resolve(first, resolution("r-1", cost_nano_usd=50))
        assert asked(first, "r-5", 200, strict) is None
        assert asked(second, "r-6", 301, loose) == Holding(100, 200, 100)
        assert_sound(first)

    def test_what_left_the_window_counts_no_more(self, shelf: Shelf) -> None:
        """An hour counts until its last microsecond has left the window, for the vendor and in the total."""
        store, cap = shelf.open(), share(window_h=2)
        bought(store, "r-1", 500)
        shelf.clock.at_s += 2 * 3_600
        assert asked(store, "r-2", 1, cap) == Holding(500, 0, 500)
        shelf.clock.at_s += 3_600
        assert asked(store, "r-3", 501, cap) == Holding(0, 0, 0)
        other = shelf.open()
        assert asked(other, "r-4", 501, cap) == Holding(0, 0, 0)
        assert asked(other, "r-5", 1, share(window_h=48)) == Holding(500, 0, 500)

    def test_an_expired_reservation_counts_at_its_bound(self, shelf: Shelf) -> None:
        """Whoever has gone leaves what may have been paid; a late end corrects it, also where it was looked up."""
        first, second = shelf.open(), shelf.open()
        assert asked(first, "r-1", 400, share()) is None
        first.let_go()
        shelf.clock.at_s += 31
        assert asked(second, "r-2", 101, share()) == Holding(400, 0, 400)
        assert asked(second, "r-3", 100, share()) is None
        assert asked(second, "r-4", 1, share()) == Holding(400, 100, 400)
        resolve(first, resolution("r-1", cost_nano_usd=150))
        assert asked(second, "r-5", 300, share()) == Holding(150, 100, 150)
        assert_sound(first)

    def test_a_correction_counts(self, shelf: Shelf) -> None:
        """What reconciling brings to light changes a share, whichever writer looks."""
        first, second = shelf.open(), shelf.open()
        bought(first, "r-1", 400)
        assert asked(second, "r-2", 101, share()) == Holding(400, 0, 400)
        heard = Heard()
        first.correct([Correction("r-1", 250, "the invoice")], heard)
        assert heard.outcome() is None
        assert asked(second, "r-3", 300, share()) == Holding(250, 0, 250)
        assert asked(first, "r-4", 300, share()) == Holding(250, 0, 250)
        assert_sound(first)

    @pytest.mark.parametrize("lag_max", [2, 20_000])
    def test_whoever_looks_sees_what_the_lines_say(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, lag_max: int
    ) -> None:
        """Two writers do what comes; they, and one that has just begun, see what an adding up of all lines gives."""
        monkeypatch.setattr(shares, "LAG_MAX", lag_max)
        seed = 20261129
        chance = random.Random(seed)
        writers = [shelf.open(), shelf.open()]
        pending: dict[str, StoredLedger] = {}
        ended: list[str] = []
        kinds = itertools.product(Measure, ("operator", "developer"), (1, 30))
        asking = [_unmet(of, by, window_h) for of, by, window_h in kinds]
        for number in range(40):
            store = chance.choice(writers)
            match chance.choice(("reserve", "reserve", "end", "end", "correct", "wait")):
                case "reserve":
                    name, most = f"r-{number}", chance.randrange(1_000)
                    operator, developer = chance.choice(("azure", "mistral", "self")), chance.choice(("x", ""))
                    wanted = reservation(name, bound_nano_usd=most, operator=operator, developer=developer)
                    assert reserve(store, wanted) is None
                    pending[name] = store
                case "end" if pending:
                    name = chance.choice(sorted(pending))
                    billing = chance.choice(list(Billing))
                    cost = 0 if billing is Billing.UNBILLED else chance.randrange(1_500)
                    usage = chance.choice((None, Usage(chance.randrange(90), 7)))
                    end = resolution(name, billing=billing, cost_nano_usd=cost, usage=usage)
                    assert resolve(pending.pop(name), end) is None
                    ended.append(name)
                case "correct" if ended:
                    heard = Heard()
                    right = Correction(chance.choice(ended), chance.randrange(1_500), "the invoice", Usage(4, 3))
                    writers[0].correct([right], heard)
                    assert heard.outcome() is None
                case "wait":
                    shelf.clock.at_s += chance.choice((1, 25, 1_700))
                case _:
                    continue
            if number % 4 == 0:
                _see_the_same(shelf, [*writers, shelf.open()], asking, seed)
        assert_sound(writers[0])


Line: TypeAlias = "Mapping[str, str | int | None]"


def _unmet(of: Measure, by: str, window_h: int) -> ShareDemand:
    """A cap that nothing fits under, so that it tells what stands and changes nothing."""
    member = "x" if by == "developer" else "azure"
    return share(member, (1, 10**15), of, by, least=1, window_h=window_h)


def _see_the_same(shelf: Shelf, stores: list[StoredLedger], asking: list[ShareDemand], seed: int) -> None:
    for store in stores:
        seen = [asked(store, "never", 10**15, wanted) for wanted in asking]
        book = lines(store)
        now_h = max(_number(book[-1], "at_us"), shelf.clock.now_us()) // HOUR_US
        assert seen == [_added_up(book, wanted, now_h) for wanted in asking], f"seed {seed}"


def _added_up(book: Sequence[Line], wanted: ShareDemand, now_h: int) -> Holding:
    """The sums of the lines, as the rule defines them, one reservation after the other."""
    of, column = wanted.cap.of, "developer" if wanted.cap.by == "developer" else "operator"
    settled = reserved = total = 0
    for line in book:
        if line["kind"] != "reserve" or _number(line, "at_us") // HOUR_US < now_h - wanted.cap.window_s // 3_600:
            continue
        later = [each for each in book if line["seq"] in {each["resolves"], each["corrects"]}]
        is_over = any(each["resolves"] for each in later)
        tokens = sum(_number(each, "input_tokens") + _number(each, "output_tokens") for each in later)
        money = sum(_number(each, "amount_nano_usd") for each in later)
        booked = {Measure.SPEND: money, Measure.CALLS: int(is_over), Measure.TOKENS: tokens}[of]
        most = {
            Measure.SPEND: _number(line, "amount_nano_usd"),
            Measure.CALLS: 1,
            Measure.TOKENS: _number(line, "bound_input_tokens") + _number(line, "bound_output_tokens"),
        }[of]
        total += booked
        if str(line[column] or "") in wanted.members:
            settled += booked
            reserved += 0 if is_over else most
    return Holding(settled, reserved, total)


def _number(line: Line, column: str) -> int:
    return int(str(line[column] or 0))
