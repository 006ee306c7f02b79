"""From a configuration and the catalog to a `Setup`; everything that is wrong is told at once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelrouter.catalog import load_catalog
from modelrouter.config.budgets import Names, budgets_of, ledger_of, unreached
from modelrouter.config.canonical import canonical, static
from modelrouter.config.deployments import deployment_from
from modelrouter.config.faults import Fault, Faults
from modelrouter.config.files import ConfigFile, houses_of, read_config, read_file, read_policy_as
from modelrouter.config.hosts import HostOwners
from modelrouter.config.house import check_houses
from modelrouter.config.nearest import nearest
from modelrouter.config.offers import offer_for
from modelrouter.config.policies import policies_of
from modelrouter.config.proof import proved
from modelrouter.config.revoked_schema import revoked_places
from modelrouter.config.routes import routes_of
from modelrouter.config.setup import Origin, Setup, Tag, shown_address
from modelrouter.config.traffic_schema import HealthConfig, RetriesConfig, TimeoutsConfig
from modelrouter.config.wire import endpoint_from
from modelrouter.config.world import place_in, tables_of
from modelrouter.core.facts import World
from modelrouter.core.inspection import Ladder
from modelrouter.errors import CatalogError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.catalog import Catalog
    from modelrouter.config.deployment_schema import DeploymentConfig
    from modelrouter.config.policies import PolicyBook
    from modelrouter.config.policy_schema import PolicyConfig
    from modelrouter.config.schema import Config
    from modelrouter.config.setup import Static
    from modelrouter.config.world import Tables
    from modelrouter.core.facts import Deployment
    from modelrouter.core.load import Limits
    from modelrouter.ports import Endpoint
    from modelrouter.yaml12 import Document

__all__ = ["Reading", "build", "check_model", "from_text", "load", "read", "read_text"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration as it was read, and what it came to.

    Attributes:
        files: the highest house first, the configuration itself last.
        tables: the shipped entries with those of the files laid over them.
        book: every policy that can be named, and where it stands.
    """

    setup: Setup
    files: tuple[ConfigFile, ...]
    tables: Tables
    book: PolicyBook


def load(path: str | Path, *, now_s: float | None = None) -> Setup:
    """Read a configuration file with everything it includes.

    Args:
        now_s: the moment at which what policies assert of routes must hold; None is now.

    Raises:
        ConfigError: something in it is wrong; names file, line and key, and lists further errors.
        PolicyError: a route does not meet an assertion; names the shortest counterexample.
    """
    return proved(read(path).setup, now_s)


def from_text(text: str, file: str = "modelrouter.yaml", *, now_s: float | None = None) -> Setup:
    """Read a configuration from text.

    Args:
        text: YAML.
        file: its name for messages; relative paths in the text are relative to this file's folder.
        now_s: as for `load`.

    Raises:
        ConfigError: as `load`.
    """
    return proved(_setup(read_config(text, file, Path(file).expanduser().absolute().parent)), now_s)


def build(config: Config, folder: Path | None = None, *, now_s: float | None = None) -> Setup:
    """Check a configuration that was built in Python.

    Args:
        folder: what relative paths in it are relative to, and which `policies` stands in; None is the working folder.
        now_s: as for `load`.

    Raises:
        ConfigError: something in it is wrong; names the key.
    """
    return proved(_setup(houses_of(ConfigFile(config, folder or Path.cwd()))), now_s)


def read(path: str | Path, *, catalog: Catalog | None = None, policy: str | Path | None = None) -> Reading:
    """As `load`, with what was read on the way, and without judging what policies assert of routes.

    For whoever tells all that speaks against a configuration, or asks what another one would do.

    Args:
        catalog: in place of the shipped one.
        policy: a file whose policy stands in for the one of its name.

    Raises:
        ConfigError: as `load`; or no policy of that name is there to be replaced.
    """
    found = Path(path).expanduser().absolute()
    other = None if policy is None else read_policy_as(Path(policy).expanduser().absolute(), str(policy))
    return _reading(read_config(read_file(found, str(path)), str(path), found.parent, found), catalog, other)


def read_text(text: str, shown: str, path: Path) -> Reading:
    """As `read`, for a file that was read already.

    Args:
        shown: its name for messages.
        path: the file, absolute.

    Raises:
        ConfigError: as `load`.
    """
    return _reading(read_config(text, shown, path.parent, path))


def _setup(files: Sequence[ConfigFile]) -> Setup:
    return _reading(files).setup


def _reading(
    files: Sequence[ConfigFile],
    other_catalog: Catalog | None = None,
    other_policy: tuple[PolicyConfig, Document] | None = None,
) -> Reading:
    faults = Faults()
    catalog = load_catalog() if other_catalog is None else other_catalog
    notes = check_houses(files, faults)
    timeouts = next((file.config.timeouts for file in files if file.config.timeouts), TimeoutsConfig())
    tables = tables_of(catalog, files, faults)
    deployments, endpoints = _deployments(files, tables, faults)
    declared = tuple(dict.fromkeys(name for file in files for name in file.config.deployments))
    book = policies_of(files, tables, declared, faults, other_policy)
    routes = routes_of(files, {name: deployments.get(name) for name in declared}, book, timeouts, faults)
    baseline = _baseline(files, declared, faults)
    ledger = ledger_of(files, faults)
    names = Names(routes, declared, tables.organisations, book.expanded, _tags(files))
    budgets = budgets_of(files, names, ledger, faults)
    revoked = revoked_places(files, faults)
    _check_inspect(files, faults)
    faults.raise_any()
    digests = _digests(files, catalog, book)
    setup = Setup(
        world=_world(tables, deployments, catalog),
        endpoints=endpoints,
        routes=routes,
        policies=book.expanded,
        tags=_tags(files),
        ledger=ledger.url,
        baseline=baseline,
        offline=any(file.config.offline for file in files),
        timeouts=timeouts.timeouts(),
        timeout_s=timeouts.request_s,
        digests=digests,
        files=_files(files, book),
        notes=notes,
        digest=static(canonical({name: each.sha256 for name, each in digests.items()})).sha256,
        binding_tags=frozenset(
            tag for policies in book.expanded.values() for each in policies for tag in each.applies_to
        ),
        budgets=budgets.found,
        limits=_limits(files),
        health=next((file.config.health for file in files if file.config.health), HealthConfig()).terms(),
        retries=next((file.config.retries for file in files if file.config.retries), RetriesConfig()).terms(),
        lease_s=ledger.lease_s,
        spool=ledger.spool,
        revoked=revoked,
        origins=_origins(files),
        ladders=_ladders(files),
        inspect=tuple(dict.fromkeys(name for file in files for name in file.config.inspect)),
    )
    setup = replace(setup, notes=(*notes, *budgets.notes, *unreached(setup)))
    return Reading(setup, tuple(files), tables, book)


def _deployments(
    files: Sequence[ConfigFile], tables: Tables, faults: Faults
) -> tuple[dict[str, Deployment], dict[str, Endpoint]]:
    owners = HostOwners(tables.templates)
    deployments: dict[str, Deployment] = {}
    endpoints: dict[str, Endpoint] = {}
    for file in files:
        for name, written in file.config.deployments.items():
            if name in deployments:
                continue
            with _noted(faults, file, name):
                check_model(written, tables)
                offer = offer_for(written, tables)
                with _noted(faults, file, name):
                    endpoints[name] = endpoint_from(name, written, file.folder, offer, owners, tables)
                with _noted(faults, file, name):
                    facts = deployment_from(name, written, place_in(file, "deployments", name), offer, tables)
                    deployments[name] = _with_wire_facts(facts, endpoints.get(name))
    return deployments, endpoints


def _limits(files: Sequence[ConfigFile]) -> dict[str, Limits]:
    """What each deployment is asked at most; the first file that names one says it, as all of it."""
    found: dict[str, Limits] = {}
    for file in files:
        for name, written in file.config.deployments.items():
            found.setdefault(name, written.limits.limits())
    return found


@contextmanager
def _noted(faults: Faults, file: ConfigFile, name: str) -> Iterator[None]:
    """Note what is wrong with a deployment; an error that only knows the deployment's key gets its place here."""
    try:
        yield
    except ConfigError as error:
        path: tuple[str, ...] = ("deployments", name)
        if error.file is None and (error.key is None or not error.key.startswith("deployments")):
            path = (*path, error.key) if error.key else path
            faults.add(file.fault(error.reason, *path, kind=type(error)))
        else:
            faults.add(Fault(error.reason, error.file, error.line, error.key, type(error)))


def _with_wire_facts(facts: Deployment, endpoint: Endpoint | None) -> Deployment:
    """What decisions need to know of the wire."""
    if endpoint is None:
        return facts
    taken = endpoint.supported_parameters
    parameters = None if taken is None else taken | frozenset(endpoint.parameter_names)
    return replace(facts, parameters=parameters, billed_statuses=endpoint.billed_statuses)


def check_model(written: DeploymentConfig, tables: Tables) -> None:
    """The model of a deployment must be known.

    Raises:
        CatalogError: it is not; `key` is `model`.
    """
    if written.model not in tables.models:
        raise CatalogError(f"unknown model `{written.model}`{nearest(written.model, tables.models)}", key="model")


def _world(tables: Tables, deployments: Mapping[str, Deployment], catalog: Catalog) -> World:
    """The world, with a hash over what is shipped and what is not."""
    own = {
        name: {key: item for key, item in getattr(tables, name).items() if getattr(catalog, name).get(key) is not item}
        for name in ("organisations", "licences", "models")
    }
    text = canonical({"catalog": catalog.digest, "caller": tables.caller, "deployments": deployments, **own})
    world = World(
        organisations=tables.organisations,
        licences=tables.licences,
        models=tables.models,
        deployments=deployments,
        groups=tables.groups,
        caller=tables.caller,
    )
    return replace(world, epoch=static(text).sha256)


def _baseline(files: Sequence[ConfigFile], deployments: Sequence[str], faults: Faults) -> str | None:
    file = next((file for file in files if file.config.baseline is not None), None)
    if file is None or file.config.baseline is None:
        return None
    baseline = file.config.baseline
    if baseline not in deployments:
        faults.add(file.fault(f"unknown deployment `{baseline}`{nearest(baseline, deployments)}", "baseline"))
    return baseline


def _tags(files: Sequence[ConfigFile]) -> dict[str, Tag]:
    return {
        name: Tag(None if tag.values is None else frozenset(tag.values), tag.default, tag.personal)
        for file in files
        for name, tag in file.config.tags.items()
    }


def _origins(files: Sequence[ConfigFile]) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    for file in files:
        for name in file.config.routes:
            document = file.document
            line = None if document is None else document.line(("routes", name))
            found.setdefault(name, Origin(None if document is None else document.file, line))
    return found


def _check_inspect(files: Sequence[ConfigFile], faults: Faults) -> None:
    file = next((file for file in files if file.config.inspect), None)
    if file is not None and not _ladders(files):
        faults.add(
            file.fault(
                "no tag says what inspection raises: add `raised_by` to one under `tags`, as "
                "`{values: [public, secret], raised_by: {api_key: secret}}`",
                "inspect",
            )
        )


def _ladders(files: Sequence[ConfigFile]) -> dict[str, Ladder]:
    return {
        name: Ladder(tag.values or (), tag.raised_by)
        for file in files
        for name, tag in file.config.tags.items()
        if tag.raised_by
    }


def _digests(files: Sequence[ConfigFile], catalog: Catalog, book: PolicyBook) -> dict[str, Static]:
    found = {"catalog": static(canonical({"catalog": catalog.digest}))}
    for file in files:
        found[file.label] = static(canonical(_without_secrets(file.config)))
    for name, policies in book.expanded.items():
        found[f"policy/{name}"] = static(canonical(replace(policies[-1], digest="")))
    return found


def _without_secrets(config: Config) -> dict[str, object]:
    """What a configuration says, for the book. Keys are named in it and never written; an address may hold one."""
    written = config.model_dump(by_alias=True, exclude_unset=True)
    if config.ledger is not None:
        address = config.ledger if isinstance(config.ledger, str) else config.ledger.url
        written["ledger"] = shown_address(address)
        if not isinstance(config.ledger, str):
            written["ledger"] = {**config.ledger.model_dump(exclude_unset=True), "url": written["ledger"]}
    return written


def _files(files: Sequence[ConfigFile], book: PolicyBook) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(str(file.path) for file in files if file.path is not None), *book.files]))
