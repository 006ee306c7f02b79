"""What can be lost at once: a vendor, all vendors of a country, one owner's family, one credential.

A loss is asked of one deployment and answered so that nothing unknown survives: a vendor whose country is not known may
be of any country.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.assurance.vendors import doubt
from modelrouter.core.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.assurance.vendors import Vendors
    from modelrouter.core.facts import World

__all__ = ["Loss", "LossKind", "falls_with"]


class LossKind(enum.Enum):
    """What goes away at once."""

    VENDOR = "vendor"
    COUNTRY = "country"
    PARENT = "parent"
    CREDENTIAL = "credential"


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """One thing that is lost.

    Attributes:
        name: id of an organisation; a country or group; a reference as `env:MISTRAL_API_KEY` or `file:/run/key`.
    """

    name: str
    kind: LossKind = LossKind.VENDOR

    @property
    def text(self) -> str:
        """As it is written on the command line: `openai`, `country:US`."""
        return self.name if self.kind is LossKind.VENDOR else f"{self.kind.value}:{self.name}"


def falls_with(loss: Loss, vendors: Vendors, world: World, credentials: Mapping[str, str]) -> bool:
    """Whether a deployment is gone, or may be gone, after a loss.

    Args:
        credentials: deployment to the reference of its key; calls with one key stand on one account.
    """
    if loss.kind is LossKind.CREDENTIAL:
        return credentials.get(vendors.deployment) == loss.name
    if loss.kind is LossKind.COUNTRY:
        countries = world.groups.get(loss.name, frozenset({loss.name}))
        return any(_may_be_of(world, each, countries) for each in vendors.ids)
    return loss.name in vendors.ids  # owners are vendors too, so an owner's loss is that of its whole family


def _may_be_of(world: World, organisation: str, countries: frozenset[str]) -> bool:
    found = world.organisations.get(organisation)
    country: Fact[str] = Fact.unknown() if found is None else found.country
    return bool(doubt(country)) or country.value is None or country.value in countries
