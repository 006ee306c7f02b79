"""Who asks and which policy is asked: from options, or from a config, for `catalog why`."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from modelrouter.catalog.reading import Place
from modelrouter.cli.catalog.offered import offered_deployments
from modelrouter.config.nearest import nearest
from modelrouter.core.facts import World
from modelrouter.core.policy import Layer, Level
from modelrouter.errors import CatalogError, ConfigError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.config import Setup
    from modelrouter.config.files import ConfigFile
    from modelrouter.core.decision import Decision
    from modelrouter.core.policy import Policy

__all__ = ["Asked", "agreement_of", "ask"]

ROUTE: Final = "why"


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer.

    Attributes:
        policy: its name.
        layers: the policy with those that it extends, itself last.
        world: the offers as deployments, among everything that is known to whoever asks.
    """

    policy: str
    layers: tuple[Policy, ...]
    world: World
    decision: Decision


def ask(
    model: str, policy: str, *, country: str | None, agreements: Sequence[tuple[str, str]], config: str | None
) -> Asked:
    """Ask a policy about every offer of a model.

    Args:
        policy: a name, or the path of a policy file.
        country: the caller's.
        agreements: type and partner of each paper.
        config: a file with caller, policies and entries of one's own; instead of the two before.

    Raises:
        ConfigError: something that was named is not there, or is wrong.
    """
    given = None if config is None else _config(config)
    files = given[0] if given else [_caller(country, agreements)]
    world = _offers(model, files)
    name, layers = _policy(policy, given)
    return Asked(name, layers, world, _decide(world, layers))


def _config(path: str) -> tuple[list[ConfigFile], Setup]:
    from modelrouter.config import find_config, load
    from modelrouter.config.files import read_config, read_file

    found = Path(find_config(path)).expanduser().absolute()
    return read_config(read_file(found, path), path, found.parent, found), load(path)


def _caller(country: str | None, agreements: Sequence[tuple[str, str]]) -> ConfigFile:
    """A config that says no more than who asks."""
    from modelrouter.config import Config
    from modelrouter.config.files import ConfigFile

    papers = [{"type": kind, "with": partner} for kind, partner in agreements]
    caller: dict[str, Any] = {**({"country": country} if country else {}), "agreements": papers}
    return ConfigFile(Config.model_validate({"modelrouter": 1, "caller": caller}), Path.cwd())


def _offers(model: str, files: Sequence[ConfigFile]) -> World:
    """The offers as deployments, in the world of whoever asks. Only facts are asked for: no address is filled in."""
    from modelrouter.catalog import load_catalog
    from modelrouter.config import DeploymentConfig
    from modelrouter.config.deployments import deployment_from
    from modelrouter.config.faults import Faults
    from modelrouter.config.offers import offer_for
    from modelrouter.config.world import tables_of

    faults = Faults()
    tables = tables_of(load_catalog(), files, faults)
    faults.raise_any()
    known = tables.models.get(model)
    if known is None:
        raise CatalogError(f"model `{model}` is not in the catalog{nearest(model, tables.models)}")
    written = offered_deployments(tables.templates, known, tables.caller.country.value)
    if not written:
        raise CatalogError(f"nobody in the catalog offers `{model}`, and its weights are closed: nothing can be asked")
    deployments = {}
    for name, each in written.items():
        stated = DeploymentConfig.model_validate(each)
        deployments[name] = deployment_from(
            name, stated, Place(None, ("deployments", name)), offer_for(stated, tables), tables
        )
    return World(
        organisations=tables.organisations,
        licences=tables.licences,
        models=tables.models,
        deployments=deployments,
        groups=tables.groups,
        caller=tables.caller,
    )


# --- the policy -------------------------------------------------------------------------------------------------------


def _policy(policy: str, given: tuple[list[ConfigFile], Setup] | None) -> tuple[str, tuple[Policy, ...]]:
    from modelrouter.config import Config, build

    path = Path(policy).expanduser()
    if path.suffix in {".yaml", ".yml"} or "/" in policy:
        return path.stem, _of_file(path)
    if given is not None:
        return policy, given[1].policy_layers(policy)
    return policy, build(Config.model_validate(_alone([policy], _tags(Path.cwd())))).policy_layers(policy)


def _of_file(path: Path) -> tuple[Policy, ...]:
    """A policy file that no config names: its tags are declared for it, and it may extend what is beside it."""
    from modelrouter.config import Config, build
    from modelrouter.config.files import read_policy

    if not path.is_file():
        raise PolicyError(f"there is no file `{path}`: correct the path, or name a policy that comes along")
    policy, _ = read_policy(path)
    inside = path.absolute().parent.name == "policies"
    folder = path.absolute().parent.parent if inside else path.absolute().parent
    tags = {**_tags(folder), **{tag: {} for tag in policy.applies_to}}
    written = _alone([policy.policy if inside else policy], tags)
    try:
        return build(Config.model_validate(written), folder).policy_layers(policy.policy)
    except ConfigError as error:
        file = error.file or str(path)
        raise PolicyError(error.reason, file=file, line=error.line, key=error.key) from None


def _tags(folder: Path) -> dict[str, Any]:
    """The tags that policies beside a config ask for, as it would declare them; what is no policy is told elsewhere."""
    from modelrouter.config.files import policy_files, read_policy

    found: dict[str, Any] = {}
    for path in policy_files(folder):
        with contextlib.suppress(ConfigError):
            found.update({tag: {} for tag in read_policy(path)[0].applies_to})
    return found


def _alone(policies: list[Any], tags: dict[str, Any]) -> dict[str, Any]:
    """A config for nothing but its policies."""
    own = {
        "model": "gpt-oss-20b",
        "operator": "self",
        "hosts": ["127.0.0.1"],
        "base_url": "http://127.0.0.1:1",
        "name": "x",
    }
    return {
        "modelrouter": 1,
        "tags": tags,
        "policies": policies,
        "deployments": {ROUTE: own},
        "routes": {ROUTE: {"try": [ROUTE]}},
    }


def _decide(world: World, policies: tuple[Policy, ...]) -> Decision:
    from modelrouter.core.decision import Moment, Route, Try, decide, layers_for
    from modelrouter.core.request import Request, measure, normalise_messages

    messages = normalise_messages("?")
    request = Request(ROUTE, messages, size=measure(messages, {}))
    layers = layers_for({}, tuple(Layer(policy, Level.REQUEST) for policy in policies))
    route = Route(ROUTE, tuple(Try({name: 1}) for name in world.deployments))
    return decide(request, route, layers, world, Moment(now_s=time.time(), seed=ROUTE))


def agreement_of(text: str) -> tuple[str, str]:
    """Type and partner of `dpa:mistral`."""
    kind, mark, partner = text.partition(":")
    if not mark or not kind or not partner:
        raise typer.BadParameter(f"`{text}` is no agreement: write it as `dpa:mistral`", param_hint="--agreement")
    return kind, partner
