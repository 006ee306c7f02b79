"""Entries to values of the core: organisations, licences, models, data terms.

One path for shipped and for users' facts; they differ only in the `ownership` that every source carries. Each function
takes the entry as it was read, and reads every value through `Reading`, so a wrong one names its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.catalog.reading import Reading, nearest
from modelrouter.core.facts import (
    UNKNOWN_SOURCE,
    Condition,
    ConditionKind,
    Fact,
    Licence,
    Listing,
    Model,
    Openness,
    Organisation,
    Ownership,
    Standing,
    State,
    Terms,
    Training,
)
from modelrouter.core.request import CAPABILITIES

if TYPE_CHECKING:
    from datetime import date

    from modelrouter.catalog.reading import Entry, Place
    from modelrouter.core.facts import (
        Source,
    )

__all__ = [
    "LICENCE_KEYS",
    "METRICS",
    "MODEL_KEYS",
    "ORGANISATION_KEYS",
    "TERMS_KEYS",
    "capabilities",
    "group_from",
    "licence_from",
    "model_from",
    "organisation_from",
    "terms_from",
]

TERMS_KEYS: Final = frozenset({"processing", "storage", "training", "retention_days"})
ORGANISATION_KEYS: Final = frozenset(
    {"name", "country", "parent", "roles", "lists", "attestations", "terms", "source"},
)
LICENCE_KEYS: Final = frozenset(
    {"name", "spdx", "commercial_use", "conditions", "osi_approved", "reaches_hosted_use", "source"},
)
MODEL_KEYS: Final = frozenset(
    {
        "name", "developer", "family", "licence", "openness", "derived_from", "distilled_from", "lineage_claim",
        "context_tokens", "pinned", "retires_on", "capabilities", "alias_of", "source",
    },
)  # fmt: skip
ROLES: Final = frozenset({"developer", "operator", "aggregator", "cloud"})
METRICS: Final = frozenset(
    {"monthly_active_users", "daily_active_users", "monthly_revenue_usd", "yearly_revenue_usd"},
)
"""What licences count; each is the name of a fact about the caller."""

OF_WEIGHTS: Final = frozenset({"licence", "openness", "derived_from", "distilled_from", "lineage_claim"})
"""Facts that an alias does not have where it is known what it stands for."""

THRESHOLDS: Final = frozenset(
    {ConditionKind.THRESHOLD_ASK, ConditionKind.THRESHOLD_DISPLAY, ConditionKind.THRESHOLD_NO_RIGHTS},
)


def organisation_from(organisation_id: str, entry: object, ownership: Ownership, place: Place) -> Organisation:
    """An organisation: `country` of its contract entity, `parent` by id or `none`.

    Raises:
        CatalogError: an unknown key or role, no country code, a known fact without a source.
    """
    reading = Reading(entry, ownership, place)
    reading.only(ORGANISATION_KEYS)
    roles = frozenset(reading.texts("roles"))
    for role in sorted(roles - ROLES):
        place.at("roles").fail(f"`{role}` is no role{nearest(role, ROLES)}")
    terms = reading.inside("terms")
    terms.only(TERMS_KEYS | {"source"})
    return Organisation(
        id=organisation_id,
        name=reading.text("name", organisation_id),
        country=reading.fact("country", Reading.country),
        parent=reading.fact("parent", Reading.string, none="controlled by no other organisation"),
        roles=roles,
        lists=reading.fact("lists", lambda value, at: _listings(value, at, reading), none="on no list that is tracked"),
        attestations=reading.fact("attestations", Reading.identifiers, none="holds none"),
        terms=terms_from(terms.entry, terms.source, ownership, terms.place),
    )


def _listings(value: object, place: Place, outer: Reading) -> tuple[Listing, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        place.fail("write the lists as `- {list: us-bis-entity-list, since: 2025-01-16}`, or `none`")
    return tuple(_listing(item, place.at(index), outer) for index, item in enumerate(value))


def _listing(value: object, place: Place, outer: Reading) -> Listing:
    reading = Reading(value, outer.ownership, place, outer.source)
    reading.only({"list", "since", "until", "source"})
    since, until = _days(reading)
    return Listing(reading.text("list"), since, until, _sourced(reading))


def licence_from(licence_id: str, entry: object, ownership: Ownership, place: Place) -> Licence:
    """A licence of weights with its typed conditions.

    Raises:
        CatalogError: an unknown key or kind of condition, a threshold without metric or value.
    """
    reading = Reading(entry, ownership, place)
    reading.only(LICENCE_KEYS)
    return Licence(
        id=licence_id,
        spdx=reading.text("spdx"),
        name=reading.text("name", licence_id),
        commercial_use=reading.fact("commercial_use", Reading.boolean),
        conditions=reading.fact("conditions", _conditions, none="asks nothing"),
        osi_approved=reading.fact("osi_approved", Reading.boolean),
        reaches_hosted_use=reading.flag("reaches_hosted_use"),
    )


def _conditions(value: object, place: Place) -> tuple[Condition, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        place.fail("write the conditions as a list of `{kind: …, text: …}`, or `none`")
    return tuple(_condition(item, place.at(index)) for index, item in enumerate(value))


def _condition(value: object, place: Place) -> Condition:
    reading = Reading(value, Ownership.SHIPPED, place)
    reading.only({"kind", "text", "metric", "value", "territory"})
    kinds = {kind.value: kind for kind in ConditionKind}
    word = reading.text("kind")
    if word not in kinds:
        place.at("kind").fail(f"`{word}` is no kind of condition{nearest(word, kinds)}")
    kind, given = kinds[word], set(reading.entry) - {"kind", "text"}
    wanted = {"metric", "value"} if kind in THRESHOLDS else {"territory"} if kind is ConditionKind.TERRITORY else set()
    if given != wanted:
        place.fail(f"a condition `{word}` takes {' and '.join(f'`{key}`' for key in ['text', *sorted(wanted)])}")
    metric = reading.text("metric") if "metric" in wanted else None
    if metric is not None and metric not in METRICS:
        place.at("metric").fail(f"`{metric}` is no number of a caller{nearest(metric, METRICS)}")
    return Condition(
        kind=kind,
        text=reading.text("text"),
        metric=metric,
        value=Reading.count(reading.entry["value"], place.at("value")) if "value" in wanted else None,
        territory=Reading.places(reading.entry["territory"], place.at("territory"))
        if "territory" in wanted
        else frozenset(),
    )


def model_from(model_id: str, entry: object, ownership: Ownership, place: Place) -> Model:
    """A model. Its developer is what the entry says; no id or prefix tells it.

    A `lineage_claim` that is absent is `none`: an allegation exists only where somebody made one. So is an absent
    `alias_of`; an alias is never pinned.

    Raises:
        CatalogError: an unknown key or capability, no developer, a user's model that does not state `derived_from`.
    """
    reading = Reading(entry, ownership, place)
    reading.only(MODEL_KEYS)
    if ownership is Ownership.USER and not {"derived_from", "alias_of"} & set(reading.entry):
        place.fail("say what it was made from: `derived_from: [mistral-small-3.2]`, or `none` if from nothing")
    if "developer" not in reading.entry:
        place.fail("say who trained it: `developer:` with the id of an organisation, or `self`")
    if "lineage_claim" in reading.entry or reading.source is None:
        claim = reading.fact("lineage_claim", Reading.identifiers, none="nobody claims anything")
    else:
        claim = Fact.none(reading.source)
    alias_of = _alias_of(reading)
    return Model(
        id=model_id,
        name=reading.text("name", model_id),
        developer=reading.fact("developer", Reading.string),
        licence=reading.fact("licence", Reading.string),
        openness=reading.fact("openness", _openness),
        derived_from=reading.fact("derived_from", Reading.identifiers, none="its own pre-training"),
        distilled_from=reading.fact("distilled_from", Reading.identifiers, none="no teacher"),
        lineage_claim=claim,
        context_tokens=reading.fact("context_tokens", Reading.count),
        pinned=_pinned(reading, alias_of),
        retires_on=reading.fact("retires_on", Reading.day, none="no date is set"),
        capabilities=reading.fact("capabilities", capabilities, none="plain text only"),
        family=reading.text("family", ""),
        alias_of=alias_of,
    )


def _alias_of(reading: Reading) -> Fact[tuple[Standing, ...]]:
    """What an alias stands for; `none`, on the entry's own source, where the entry does not speak of it."""
    if "alias_of" not in reading.entry:
        return Fact.none(reading.source or UNKNOWN_SOURCE)
    found = reading.fact("alias_of", lambda value, at: _standings(value, at, reading), none="no alias")
    own = sorted(OF_WEIGHTS & set(reading.entry))
    if found.state is State.KNOWN and own:
        reading.place.at(own[0]).fail(f"`{own[0]}` is asked of what an alias stands for: remove it here")
    return found


def _pinned(reading: Reading, alias_of: Fact[tuple[Standing, ...]]) -> Fact[bool]:
    stated = reading.fact("pinned", Reading.boolean)
    if alias_of.state is State.NONE:
        return stated
    if stated.value:
        reading.place.at("pinned").fail("an alias is never pinned: remove `pinned` or `alias_of`")
    return Fact.known(value=False, source=reading.source) if reading.source is not None else stated


def _standings(value: object, place: Place, outer: Reading) -> tuple[Standing, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        place.fail("write what it stands for as `- {model: gpt-5-2025-08-07, since: 2025-08-07}`, or `unknown`")
    return tuple(_standing(item, place.at(index), outer) for index, item in enumerate(value))


def _standing(value: object, place: Place, outer: Reading) -> Standing:
    reading = Reading(value, outer.ownership, place, outer.source)
    reading.only({"model", "since", "until", "source"})
    since, until = _days(reading)
    return Standing(reading.text("model"), since, until, _sourced(reading))


def _days(reading: Reading) -> tuple[date | None, date | None]:
    """First and last day of an entry, both open where they are absent."""
    days: dict[str, date] = {
        key: Reading.day(reading.entry[key], reading.place.at(key))
        for key in ("since", "until")
        if key in reading.entry
    }
    since, until = days.get("since"), days.get("until")
    if since is not None and until is not None and until < since:
        reading.place.at("until").fail(f"`until: {until}` lies before `since: {since}`: correct one")
    return since, until


def _sourced(reading: Reading) -> Source:
    if reading.source is None:
        reading.place.fail("nobody could check this: add `source:`")
    return reading.source


def _openness(value: object, place: Place) -> Openness:
    words = {openness.value: openness for openness in Openness}
    if not isinstance(value, str) or value not in words:
        place.fail(f"`{value}` is not known here{nearest(str(value), words)}")
    return words[value]


def capabilities(value: object, place: Place) -> frozenset[str]:
    """Capabilities by their ids."""
    found = Reading.identifiers(value, place)
    for capability in sorted(found - CAPABILITIES):
        place.fail(f"`{capability}` is no capability{nearest(capability, CAPABILITIES)}")
    return found


def terms_from(entry: Entry, source: Source | None, ownership: Ownership, place: Place) -> Terms:
    """Data terms; keys that are not terms are left to whoever owns the rest of the entry.

    Args:
        entry: a `terms` mapping, or a deployment whose keys include these.
        source: what plain values rest on; where the entry has a `source` of its own, that one.
        ownership: whose file it is.
        place: where it stands.

    Raises:
        CatalogError: no place or country, no number of days, a known term without a source.
    """
    reading = Reading(entry, ownership, place, source)
    return Terms(
        processing=reading.fact("processing", Reading.places),
        storage=reading.fact("storage", Reading.places, none="stores nothing"),
        training=reading.fact("training", _training),
        retention_days=reading.fact("retention_days", Reading.count),
    )


def _training(value: object, place: Place) -> Training:
    words = {training.value: training for training in Training}
    if not isinstance(value, str) or value not in words:
        place.fail(f"`{value}` is not known here: write one of {', '.join(words)}")
    return words[value]


def group_from(group_id: str, entry: object, place: Place) -> frozenset[str]:
    """The members of a dated group of countries.

    Raises:
        CatalogError: no source, no day, a member that is no country code.
    """
    reading = Reading(entry, Ownership.SHIPPED, place)
    reading.only({"name", "members", "as_of", "source"})
    if reading.source is None:
        place.fail(f"say where the members of `{group_id}` are listed: add `source:`")
    Reading.day(reading.entry.get("as_of", ""), place.at("as_of"))
    members = Reading.identifiers(reading.entry.get("members", []), place.at("members"))
    for member in sorted(members):
        Reading.country(member, place.at("members"))
    return members
