"""Facts of organisations, licences, groups and models that contradict each other: one of the two must be wrong.

Only what can be decided from the catalog itself is asked; what a source says is for a person to read.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Final

from modelrouter.catalog.verify.findings import Kind
from modelrouter.core.facts import ConditionKind, Openness, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.catalog.verify.shelf import Shelf
    from modelrouter.core.facts import Licence, Model, Organisation

__all__ = ["check_sense", "kin", "released_on"]

LEGAL_FORMS: Final = (
    (re.compile(r"\bGmbH\b"), frozenset({"DE", "AT", "CH", "LI"})),
    (re.compile(r"\bPte\.? Ltd\b"), frozenset({"SG"})),
    (re.compile(r"\bP\.?B\.?C\.?(?!\w)"), frozenset({"US"})),
    (re.compile(r"\bLLC\b"), frozenset({"US", "AE", "RU"})),
    (re.compile(r"\bB\.V\."), frozenset({"NL", "BE"})),
)
"""Legal forms that exist in few countries only."""
MORE_THAN_OPEN: Final = frozenset(
    {
        ConditionKind.THRESHOLD_ASK, ConditionKind.THRESHOLD_DISPLAY, ConditionKind.THRESHOLD_NO_RIGHTS,
        ConditionKind.REGISTRATION, ConditionKind.TERRITORY, ConditionKind.FIELD_OF_USE,
    },
)  # fmt: skip
"""What no licence asks that keeps the Open Source Definition (https://opensource.org/osd, points 1, 5 and 6)."""
NO_WEIGHTS: Final = "proprietary"
"""In the SPDX reference of a licence under which no weights are released."""
UNCOMMERCIAL: Final = re.compile(r"(?:^|[-_.])(?:nc|non-?commercial|research)(?:$|[-_.])")
DATED: Final = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
VERSIONED: Final = re.compile(r"(?P<brand>[a-z]+)-(?P<version>\d+(?:\.\d+)?)(?=-|$)")
WORD_END: Final = re.compile(r"[-._\d]")
LATEST: Final = re.compile(r"(?:^|[-:])latest$")


def check_sense(shelf: Shelf, today: date) -> None:
    """Note contradictions in everything but operators' files, and dates of days to come."""
    for organisation in shelf.organisations.values():
        _organisation(shelf, organisation, today)
    for licence in shelf.licences.values():
        for key, message in _licence_faults(licence):
            shelf.contradiction("licences", licence.id, (key,), message)
    _groups(shelf, today)
    trained = {model.developer.value for model in shelf.models.values()} - {None}
    for name in sorted(str(each) for each in trained):
        if name in shelf.organisations and "developer" not in shelf.organisations[name].roles:
            message = "it has trained a model: add `developer` to its roles"
            shelf.contradiction("organisations", name, ("roles",), message)
    brands = _brands(shelf)
    for model in shelf.models.values():
        faults = (*_openness_faults(shelf, model), *_lineage_faults(shelf, model), *_name_faults(model))
        for key, message in (*faults, *_licence_of_another_family(shelf, model, brands)):
            shelf.contradiction("models", model.id, (key,), message)


# --- organisations, groups, licences ----------------------------------------------------------------------------------


def _organisation(shelf: Shelf, organisation: Organisation, today: date) -> None:
    key, country = organisation.id, organisation.country.value
    for form, countries in LEGAL_FORMS:
        found = form.search(organisation.name)
        if found and country is not None and country not in countries:
            where = ", ".join(sorted(countries))
            message = f"`{found.group()}` is a legal form of {where}, not of `{country}`: correct one"
            shelf.contradiction("organisations", key, ("country",), message)
    for index, listing in enumerate(organisation.lists.value or ()):
        for name, day in (("since", listing.since), ("until", listing.until)):
            if name == "since" and day is not None and day > today:
                shelf.add(
                    Kind.DATE, "organisations", key, ("lists", index, name), f"{day} has not come yet: correct it"
                )
        if listing.since is not None and listing.until is not None and listing.until < listing.since:
            message = f"it ends on {listing.until}, before it begins on {listing.since}: correct one"
            shelf.contradiction("organisations", key, ("lists", index, "until"), message)
    terms = organisation.terms
    if terms.storage.state is State.NONE and terms.retention_days.value:
        message = f"what is stored nowhere cannot be kept for {terms.retention_days.value} days: correct one"
        shelf.contradiction("organisations", key, ("terms", "retention_days"), message)


def _groups(shelf: Shelf, today: date) -> None:
    for key, entry in shelf.raw.get("groups", {}).items():
        members = entry.get("members")
        counts = Counter(map(str, members if isinstance(members, list) else ()))
        for twice in sorted(member for member, count in counts.items() if count > 1):
            shelf.contradiction("groups", key, ("members",), f"`{twice}` is a member twice: one may stand for another")
        try:
            day = date.fromisoformat(str(entry.get("as_of", "")))
        except ValueError:
            continue  # the reader of the entry has said so
        if day > today:
            shelf.add(Kind.DATE, "groups", key, ("as_of",), f"{day} has not come yet: correct it")
    union, area, free_trade = (shelf.groups.get(name) for name in ("EU", "EEA", "EFTA"))
    if union is None or area is None or free_trade is None:
        return
    # The EEA is the EU with Iceland, Liechtenstein and Norway: every member of EFTA but Switzerland.
    if area != union | (free_trade - {"CH"}):
        odd = ", ".join(sorted(area ^ (union | (free_trade - {"CH"}))))
        message = f"the EEA is the EU and EFTA without Switzerland, and differs in {odd}: correct one of the three"
        shelf.contradiction("groups", "EEA", ("members",), message)
    if union & free_trade:
        both = ", ".join(sorted(union & free_trade))
        shelf.contradiction("groups", "EFTA", ("members",), f"{both} cannot be in the EU and in EFTA: correct one")


def _licence_faults(licence: Licence) -> Iterator[tuple[str, str]]:
    osi, commercial = licence.osi_approved.value, licence.commercial_use.value
    if osi and licence.spdx.startswith("LicenseRef-"):
        yield "osi_approved", f"a licence that the OSI approved has an SPDX id, not `{licence.spdx}`: correct one"
    if osi and licence.spdx.startswith("CC"):
        yield "osi_approved", f"the OSI has approved no licence of Creative Commons, as `{licence.spdx}`: correct one"
    if osi and commercial is False:
        yield "commercial_use", "a licence that the OSI approved permits commercial use: correct one"
    asked = sorted(each.kind.value for each in licence.conditions.value or () if each.kind in MORE_THAN_OPEN)
    if osi and asked:
        yield "conditions", f"no licence that the OSI approved has a condition `{asked[0]}`: correct one"
    if commercial and any(UNCOMMERCIAL.search(each.lower()) for each in (licence.id, licence.spdx)):
        yield "commercial_use", f"by its name `{licence.spdx}` is for other than commercial use: correct one"
    if commercial and NO_WEIGHTS in licence.spdx.lower():
        yield "commercial_use", "no weights are released under it, so there is no use to permit: correct one"


# --- models -----------------------------------------------------------------------------------------------------------


def _openness_faults(shelf: Shelf, model: Model) -> Iterator[tuple[str, str]]:
    openness, licence = model.openness.value, shelf.licences.get(model.licence.value or "")
    if openness is None or licence is None:
        return
    releases = NO_WEIGHTS not in licence.spdx.lower()
    if openness is Openness.CLOSED and releases:
        yield "openness", f"a closed model has no weights to release under `{licence.id}`: correct one"
    if openness is not Openness.CLOSED and not releases:
        yield "openness", f"its weights are out, and `{licence.id}` says that they are not: correct one"
    if openness is Openness.OPEN_SOURCE and False in {licence.osi_approved.value, licence.commercial_use.value}:
        yield "openness", f"open source needs an open licence, and `{licence.id}` is none: write `open_weights`"


def _lineage_faults(shelf: Shelf, model: Model) -> Iterator[tuple[str, str]]:
    derived = model.derived_from.value or frozenset()
    for claimed in sorted(derived & (model.lineage_claim.value or frozenset())):
        yield "lineage_claim", f"`{claimed}` is its origin, so nobody need claim it: remove one of the two"
    for each in sorted(derived):
        base = shelf.models.get(each)
        if base is None or base.openness.value is not Openness.CLOSED:
            continue
        developer, other = model.developer.value, base.developer.value
        if developer is not None and other is not None and not kin(shelf, developer, other):
            yield "derived_from", f"the weights of `{each}` are closed: only `{other}` can continue them; correct one"


def _licence_of_another_family(shelf: Shelf, model: Model, brands: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """A licence that is called after a family of models is one of that family, or of what was made from it."""
    licence = model.licence.value
    if licence is None:
        return
    brand = _brand(licence)
    line = list(_ancestry(shelf, model))
    named = {each.developer.value or "" for each in line}
    is_of_it = named & brands.get(brand, set()) or any(brand in f"{each.id} {each.family}" for each in line)
    if brand in brands and not is_of_it:
        yield "licence", f"`{licence}` is a licence of another family, which is not among its origins: correct one"
        return
    own, of_licence = VERSIONED.match(model.id), VERSIONED.match(licence)
    if own and of_licence and own["brand"] == of_licence["brand"] and own["version"] != of_licence["version"]:
        message = f"`{licence}` is the licence of version {of_licence['version']}, this is {own['version']}: correct it"
        yield "licence", message


def _brands(shelf: Shelf) -> dict[str, set[str]]:
    """The first word of each model's and developer's id, and who trains models that are called so."""
    found: dict[str, set[str]] = {}
    for model in shelf.models.values():
        developer = model.developer.value or ""
        for word in (_brand(model.id), _brand(developer)):
            found.setdefault(word, set()).add(developer)
    return found


def _brand(name: str) -> str:
    return WORD_END.split(name, maxsplit=1)[0]


def _ancestry(shelf: Shelf, model: Model) -> Iterator[Model]:
    """A model and everything that its weights were made from."""
    seen: set[str] = set()
    ahead = [model.id]
    while ahead:
        each = ahead.pop()
        found = shelf.models.get(each)
        if each not in seen and found is not None:
            seen.add(each)
            yield found
            ahead.extend(found.derived_from.value or ())


def _name_faults(model: Model) -> Iterator[tuple[str, str]]:
    if model.pinned.value and LATEST.search(model.id):
        yield "pinned", f"`{model.id}` is an alias that moves, and never pinned: write `false`"
    released, retires = released_on(model.id), model.retires_on.value
    if released is not None and retires is not None and retires < released:
        yield "retires_on", f"it would retire on {retires}, before its release on {released}: correct it"


def released_on(name: str) -> date | None:
    """The day in a dated name, as `gpt-4o-2024-08-06`."""
    found = DATED.search(name)
    try:
        return None if found is None else date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def kin(shelf: Shelf, first: str, second: str) -> bool:
    """Whether two organisations are one, or have one above them; yes where one of them could not be read."""
    if first not in shelf.organisations or second not in shelf.organisations:
        return True

    def line(name: str) -> set[str]:
        found: set[str] = set()
        each: str | None = name
        while each is not None and each not in found:
            found.add(each)
            organisation = shelf.organisations.get(each)
            each = None if organisation is None else organisation.parent.value
        return found

    return bool(line(first) & line(second))
