"""`vendors.share`: what one vendor may have of all that is bought.

How much that is stands in the book, so whether it is too much is asked when a reservation is made (`core.shares`).
Asked here is only what that takes: a hard cap refuses a deployment of which is not known whose share it would add to.
`self` is no vendor; what runs here adds to nobody's share, and counts in the total.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Final

from modelrouter.core.facts import SELF, Fact
from modelrouter.core.lineage import owners
from modelrouter.core.money import exact_decimal, nano_from_usd
from modelrouter.core.rules.base import RuleFamily
from modelrouter.core.rules.grammar import Grammar, Limit, amount
from modelrouter.core.shares import BY, Measure, ShareCap, ShareMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import Policy, RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["SHARE", "ShareFamily", "cap_of", "refuses_nobody"]

SHARE: Final = "vendors.share"
MODES: Final = ("hard", "soft")
ALONE: Final = ("permit", "refuse")
MEASURES: Final = tuple(each.value for each in Measure)
WINDOW: Final = re.compile(r"([1-9][0-9]{0,4})([hd])", re.ASCII)
SECONDS: Final = {"h": 3_600, "d": 86_400}
LONGEST_S: Final = 366 * 86_400
LARGEST: Final = 2**53


class ShareFamily(RuleFamily):
    """Caps on shares of spend, calls or tokens."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        SHARE: Grammar(
            ("max",),
            limit=Limit.AMOUNT,
            free_options=("of", "by", "window", "min_volume", "mode", "when_alone"),
        ),
    }

    def fault(self, spec: RuleSpec) -> str | None:
        """Also a share that is none, and parameters that are missing or mean nothing."""
        return super().fault(spec) or _fault_of_share(spec) or _fault_of_words(spec) or _fault_of_volume(spec)

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Whether it is known to whose share the deployment adds."""
        by, deployment = spec.options.get("by", BY[0]), hearing.subject.deployment
        if spec.options.get("mode") == "soft":
            return
        if by == "developer":
            model = hearing.model
            developer: Fact[str] = Fact.unknown() if model is None else model.developer
            hearing.read(f"{deployment.model}.developer", developer)
        elif not deployment.chain:
            nobody: Fact[str] = Fact.unknown()
            hearing.read(f"{deployment.id}.operator", nobody)
        elif by == "country" and deployment.operator != SELF:
            _hear_countries(hearing, deployment.operator)


def _hear_countries(hearing: Hearing, operator: str) -> None:
    """Every country that counts for an operator, and whether there may be another."""
    for owner in owners(hearing.world, operator):
        for seat in owner.seats:
            hearing.read(seat.path, seat.fact)
        if owner.parent is not None:
            hearing.read(owner.parent_path, owner.parent, empty="")


def cap_of(policy: Policy, spec: RuleSpec) -> ShareCap | None:
    """The cap that a rule sets; None for any other rule, and for one without a meaning, which permits nobody."""
    if spec.key != SHARE or ShareFamily().fault(spec) is not None:
        return None
    options = spec.options
    numerator, denominator = amount(spec.at_most).as_integer_ratio()
    measure = Measure(options.get("of", MEASURES[0]))
    mode = ShareMode.OBSERVED if policy.observe else ShareMode(options.get("mode", MODES[0]))
    return ShareCap(
        rule=f"{policy.name}/{SHARE}",
        numerator=numerator,
        denominator=denominator,
        of=measure,
        by=str(options.get("by", BY[0])),
        window_s=_length_s(options["window"]),
        least=_volume(measure, options["min_volume"]),
        mode=mode,
        permits_alone=mode is ShareMode.SOFT or options.get("when_alone") != "refuse",
    )


def refuses_nobody(spec: RuleSpec) -> bool:
    """Whether a rule only has others tried first."""
    return spec.key == SHARE and spec.options.get("mode") == ShareMode.SOFT.value and not _fault_of_words(spec)


def _fault_of_share(spec: RuleSpec) -> str | None:
    share = amount(spec.at_most)
    if share <= 0:
        return f"`max: {spec.at_most}` leaves nothing to anybody: write a share, as 0.6, or refuse the vendor by its id"
    if share >= 1:
        return f"`max: {spec.at_most}` is no part of a whole: write a share of less than 1, as 0.6 for 60 %"
    return None


def _fault_of_words(spec: RuleSpec) -> str | None:
    options = spec.options
    for name, known in (("of", MEASURES), ("by", BY), ("mode", MODES), ("when_alone", ALONE)):
        value = options.get(name, known[0])
        if value not in known:
            return f"`{name}: {value}` is not one of {', '.join(f'`{word}`' for word in known)}"
    is_hard = options.get("mode", MODES[0]) == "hard"
    if is_hard and "when_alone" not in options:
        return (
            "a hard cap must say what happens where every permitted deployment of a route is one vendor's: add "
            "`when_alone: permit` or `when_alone: refuse`"
        )
    if not is_hard and "when_alone" in options:
        return "`when_alone` means nothing with `mode: soft`, which never refuses: remove it"
    window = options.get("window")
    if window is None:
        return "`window` is missing: write how far back the share is measured, as `window: 30d`"
    length_s = _length_s(window)
    if not length_s:
        return f"`window: {window}` is no length in whole hours or days: write it as `30d` or `24h`"
    return f"`window: {window}` is too long: at most a year, as `366d`" if length_s > LONGEST_S else None


def _fault_of_volume(spec: RuleSpec) -> str | None:
    volume = spec.options.get("min_volume")
    measure = Measure(spec.options.get("of", MEASURES[0]))
    unit = {"spend": "US dollars", "calls": "calls", "tokens": "tokens"}[measure.value]
    if volume is None:
        return (
            f"`min_volume` is missing: write from how many {unit} on the share is measured, as `min_volume: 100`; "
            "without it the first call would be all of what there is"
        )
    least = _volume(measure, volume)
    if least < 0:
        return f"`min_volume: {volume}` is no exact amount of {unit}"
    return f"`min_volume: {volume}` would refuse the first call: write more than 0" if not least else None


def _length_s(window: object) -> int:
    found = WINDOW.fullmatch(window) if isinstance(window, str) else None
    return int(found[1]) * SECONDS[found[2]] if found else 0


def _volume(measure: Measure, volume: object) -> int:
    """The least volume in the units of its measure; negative where it is none."""
    if not isinstance(volume, (str, int, Decimal)):
        return -1
    try:
        if measure is Measure.SPEND:
            return nano_from_usd(volume)
        number = exact_decimal(volume)
    except ValueError:
        return -1
    is_count = number == number.to_integral_value() and number <= LARGEST
    return int(number) if is_count else -1
