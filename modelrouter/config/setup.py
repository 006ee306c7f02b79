"""What a configuration comes to: everything the router needs, immutable, with nothing left to look up in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.config.nearest import nearest
from modelrouter.core.budget import Spending
from modelrouter.core.health import BreakerTerms
from modelrouter.core.retries import RetryTerms
from modelrouter.core.route import Timeouts
from modelrouter.errors import PolicyError
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.transports.credentials import reference_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.config.revoked_schema import RevokedPlace
    from modelrouter.core.budget import Budget
    from modelrouter.core.decision import Route
    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.inspection import Ladder
    from modelrouter.core.load import Limits
    from modelrouter.core.policy import Policy
    from modelrouter.core.pricing import PriceList
    from modelrouter.ports import Endpoint

__all__ = ["SQLITE", "Origin", "Setup", "Static", "Tag", "shown_address"]

SQLITE: Final = "sqlite:///"
TAG: Final = "tag."


def shown_address(ledger: str) -> str:
    """A book's address as it may be shown: without a user and a password."""
    return ledger if ledger.startswith(SQLITE) else postgres_address(ledger).shown


@dataclass(frozen=True, slots=True)
class Tag:
    """A declared tag.

    Attributes:
        values: the only values it takes; None takes any text.
        default: what ledger and budgets book where a request has none. Policies never see a default.
        personal: stored as a keyed hash only.
    """

    values: frozenset[str] | None = None
    default: str | None = None
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something is written, for messages.

    Attributes:
        file: as it was named; None for a configuration built in Python.
        line: from 1.
    """

    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Static:
    """A static input of decisions, for the ledger: a decision can be replayed from these.

    Attributes:
        sha256: of `text` in UTF-8.
        text: the input in canonical form, so that comments and layout change nothing; never a secret.
    """

    sha256: str
    text: str


@dataclass(frozen=True, slots=True)
class Setup:
    """A checked configuration with the catalog under it.

    Attributes:
        world: all static facts; `world.epoch` hashes them.
        endpoints: how to call each deployment of `world.deployments`.
        routes: what application code may name, with the layers of the house, the config and the route.
        policies: every policy that a call may name with `policy=`, each with those it extends, the policy itself last.
        tags: the declared tags.
        ledger: URL of the book, as `sqlite:////var/lib/acme/modelrouter.db`; absolute. It may hold a password: show
            `ledger_shown`.
        baseline: the deployment that `saved_usd` is measured against.
        offline: connect to declared endpoints only.
        timeouts: what holds where neither a deployment nor a route sets anything.
        timeout_s: what routes use that set none.
        digests: static inputs by name: `config`, `catalog`, `include/NAME`, `policy/NAME`.
        files: every file that was read, absolute: a reload watches these.
        notes: what a person should know and nothing refuses, as facts overridden where a house wants that flagged.
        digest: hash of all static inputs together.
        binding_tags: tags by which some policy chooses whether it binds.
        budgets: limits on money, those of houses first.
        limits: what each deployment is asked at most.
        health: when a deployment is tried last.
        retries: how many failing retries and fallbacks each deployment takes.
        lease_s: after how long without a sign of life a process's reservations expire.
        ladders: tags that inspection raises.
        inspect: names of the inspectors that look into every request, those of houses first.
        revoked: signed files that say who is cut off; they are read by whoever obeys them.
        spool: folder for what could not be written into the book; None leaves it to the store.
        origins: route to where it is written.
    """

    world: World
    endpoints: Mapping[str, Endpoint]
    routes: Mapping[str, Route]
    policies: Mapping[str, tuple[Policy, ...]]
    tags: Mapping[str, Tag]
    ledger: str = field(repr=False)
    baseline: str | None = None
    offline: bool = False
    timeouts: Timeouts = field(default_factory=lambda: Timeouts(5.0, 120.0, 60.0, 300.0))
    timeout_s: float = 600.0
    digests: Mapping[str, Static] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    digest: str = ""
    binding_tags: frozenset[str] = frozenset()
    budgets: tuple[Budget, ...] = ()
    limits: Mapping[str, Limits] = field(default_factory=dict)
    health: BreakerTerms = field(default_factory=BreakerTerms)
    retries: RetryTerms = field(default_factory=RetryTerms)
    lease_s: float = 30.0
    spool: str | None = None
    revoked: tuple[RevokedPlace, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
    inspect: tuple[str, ...] = ()

    @property
    def baseline_price(self) -> PriceList | None:
        """What the baseline charges; None without one, or where its price is not known."""
        return None if self.baseline is None else self.world.deployments[self.baseline].price.value

    @property
    def credentials(self) -> Mapping[str, str]:
        """Deployment to the reference of its key, as `env:MISTRAL_API_KEY`, where it has one that can be written."""
        found = {name: reference_to(endpoint.key) for name, endpoint in self.endpoints.items()}
        return {name: reference for name, reference in found.items() if reference is not None}

    @property
    def ledger_path(self) -> str:
        """The book's file; empty where it is on a server."""
        return self.ledger.removeprefix(SQLITE) if self.ledger.startswith(SQLITE) else ""

    @property
    def ledger_shown(self) -> str:
        """The book's address without a user and a password."""
        return shown_address(self.ledger)

    @property
    def reach(self) -> str:
        """Whose calls the budgets count: everybody's who writes into the same book."""
        if self.ledger_path:
            return f"one SQLite file: every process on this machine that uses `{self.ledger_path}`"
        return f"one PostgreSQL database: every process of the fleet that uses `{self.ledger_shown}`"

    def routes_under(self, budget: Budget) -> tuple[str, ...]:
        """The routes of which some call may fall under a budget, whatever its tags and the policies that it adds."""
        return tuple(name for name, route in self.routes.items() if self._is_under(budget, route))

    def _is_under(self, budget: Budget, route: Route) -> bool:
        wanted = {name: values for name, values in budget.only.items() if not name.startswith(TAG)}
        attempts = [self.spending(route.name, name, tuple(self.policies), {}) for name in route.candidates]
        return any(
            all(not values.isdisjoint(each.values(name)) for name, values in wanted.items()) for each in attempts
        )

    def spending(self, route: str, deployment: str, policies: tuple[str, ...], tags: Mapping[str, str]) -> Spending:
        """An attempt as budgets see it; tags as they are stored."""
        found = self.world.deployments[deployment]
        return Spending(route, policies, found.id, found.operator, self.developer_of(found), tags)

    def developer_of(self, deployment: Deployment) -> str:
        """Who trained its model; empty if that is not known."""
        return self.world.models[deployment.model].developer.value or ""

    def policy_layers(self, name: str) -> tuple[Policy, ...]:
        """A policy with those that it extends, each a layer of its own, as `policy=` of a call adds them.

        Raises:
            PolicyError: there is no policy of this name.
        """
        found = self.policies.get(name)
        if found is None:
            raise PolicyError(f"unknown policy `{name}`{nearest(name, self.policies)}")
        return found
