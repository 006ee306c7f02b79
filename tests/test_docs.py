"""What the README promises holds, and what the package offers is listed and documented."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import modelrouter
from modelrouter import errors
from modelrouter.cli.app import app
from modelrouter.config import from_text
from modelrouter.config.files import policies_in
from modelrouter.router import engine
from modelrouter.testing import FakeTransport, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
STABLE = ["modelrouter", "modelrouter.config", "modelrouter.openai", "modelrouter.ports", "modelrouter.testing"]
"""The modules whose names semantic versioning covers, as the README says."""
COMMAND = re.compile(r"(?<![\w/.])modelrouter ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
SPANS = re.compile(r"`([^`\n]+)`")
KEY_VARIABLES = re.compile(r'"env:([A-Z_]+)"')


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for label, text in found if label == language]


def with_budgets() -> str:
    """The README's config with the README's budgets under it, and the tag that they are kept apart by."""
    config, budgets = blocks("yaml")
    return f"{config}tags: {{team: {{}}}}\n{budgets}"


def without_blocks() -> str:
    """The README's prose."""
    return re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)


# --- the README -------------------------------------------------------------------------------------------------------


def test_the_readme_has_the_blocks_that_are_tried_here() -> None:
    """One program, one config, its budgets, and the commands."""
    assert (len(blocks("python")), len(blocks("yaml")), len(blocks(""))) == (1, 2, 3)


def test_the_readmes_program_runs_with_the_readmes_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program answers under the config beside it; only the wire is played, so that no key is needed."""
    config = with_budgets()
    (tmp_path / "modelrouter.yaml").write_text(config, encoding="utf-8")
    for variable in KEY_VARIABLES.findall(config):
        monkeypatch.setenv(variable, "invented")
    lane = FakeTransport(reply("we are sorry, and the money is on its way"))
    monkeypatch.setattr(engine, "open_lanes", lambda _setup: {"direct": lane})
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), scope)  # noqa: S102 - running the README is the point
    with scope["router"]:
        printed = capsys.readouterr().out
        assert printed.startswith("we are sorry, and the money is on its way 0.0")
        assert scope["reply"].deployment == lane.calls[0].endpoint.deployment
        assert (tmp_path / "modelrouter.db").exists()


def test_the_readmes_route_is_served_by_all_it_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once the keys are there, the policy of the README's route permits each deployment that the route names."""
    config = with_budgets()
    for variable in KEY_VARIABLES.findall(config):
        monkeypatch.setenv(variable, "invented")
    path = tmp_path / "modelrouter.yaml"
    path.write_text(config, encoding="utf-8")
    with modelrouter.Router.from_config(path) as router:
        decision = router.explain("support")
    assert tuple(each.deployment for each in decision.permitted) == decision.considered


def test_every_command_that_is_named_exists() -> None:
    """README and CHANGELOG name no command that the program does not have."""
    program = get_command(app)
    assert isinstance(program, TyperGroup)
    spans = [*SPANS.findall(without_blocks()), *blocks(""), *SPANS.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))]
    named = {found for span in spans for found in COMMAND.findall(span)}
    assert len(named) > 5
    for first, second in named:
        command = program.commands.get(first)
        assert command is not None, f"modelrouter {first}"
        if isinstance(command, TyperGroup) and (second or not command.invoke_without_command):
            assert second in command.commands, f"modelrouter {first} {second}"


def test_every_flag_that_is_named_exists() -> None:
    """Each `--flag` of the README belongs to one of our commands, to the test commands, or to pip."""
    program = get_command(app)
    assert isinstance(program, TyperGroup)
    known = {"-c"}
    for command in _commands(program):
        known.update(flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts))
    for module in ("tests", "tests.simulation"):
        helped = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, check=True)
        known.update(re.findall(r"--[a-z][a-z-]*", helped.stdout.decode()))
    spans = [*SPANS.findall(without_blocks()), *blocks("")]
    named = {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", span)}
    assert named <= known


def _commands(group: TyperGroup) -> list[Any]:
    found: list[Any] = [group]
    for command in group.commands.values():
        found.extend(_commands(command) if isinstance(command, TyperGroup) else [command])
    return found


def test_every_policy_that_is_named_is_shipped_and_the_other_way_round() -> None:
    """The README's list of policies is the folder `policies`, and each of them can be used."""
    section = README.split("## Policies that come along")[1].split("## ")[0]
    named = {name for name in SPANS.findall(section) if re.fullmatch(r"[a-z-]+", name)}
    assert named == {path.stem for path in policies_in(ROOT / "policies")}
    for name in named:
        deployments = (
            "gpt: {model: gpt-5.6-sol, operator: openai}, mistral: {model: mistral-medium-3.5, operator: mistral}"
        )
        routes = "routes: {ask: {try: [gpt, mistral]}}"
        text = f"modelrouter: 1\npolicies: [{name}]\ndeployments: {{{deployments}}}\n{routes}\n"
        layers = from_text(text).routes["ask"].layers
        assert name in {layer.policy.name for layer in layers}  # beside those that it extends


def test_every_link_leads_somewhere() -> None:
    """Relative links of the README are files of the repository."""
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_name_of_the_reply_exists() -> None:
    """Each `reply.x`, `router.x` and `modelrouter.x` in the README is there."""
    owners = {"reply": modelrouter.Reply, "router": modelrouter.Router, "reply.decision": modelrouter.Decision}
    found = re.findall(r"\b(reply\.decision|reply|router)\.([a-z_]+)", README)
    assert {"reply", "router", "reply.decision"} == {owner for owner, _ in found}
    for owner, name in found:
        assert name in dir(owners[owner]) or name in owners[owner].__annotations__, f"{owner}.{name}"
    for module in re.findall(r"`(modelrouter(?:\.[a-z]+)+)`", README):
        assert importlib.util.find_spec(module), module


# --- what the package offers ------------------------------------------------------------------------------------------


def rooms() -> list[str]:
    """Every module of the package that can be imported without starting something."""
    walked = pkgutil.walk_packages(modelrouter.__path__, "modelrouter.")
    return ["modelrouter", *(found.name for found in walked if not found.name.endswith(("__main__", "llama_child")))]


def in_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name: the order that the linter keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("room", rooms())
def test_the_list_of_public_names(room: str) -> None:
    """`__all__` is sorted, without doubles, and each name is there."""
    module = importlib.import_module(room)
    listed: list[str] = getattr(module, "__all__", [])
    assert listed == sorted(set(listed), key=in_order)
    for name in listed:
        assert hasattr(module, name), name


@pytest.mark.parametrize("room", STABLE)
def test_the_stable_modules_list_all_that_they_offer(room: str) -> None:
    """What a stable module defines under a public name is in its `__all__`."""
    module = importlib.import_module(room)
    offered = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == room
    }
    assert offered <= set(module.__all__)
    assert f"`{room}`" in README or room == "modelrouter"


def test_the_package_offers_every_error() -> None:
    """Each error can be caught by a name of the top level."""
    assert set(errors.__all__) <= set(modelrouter.__all__)


def test_an_unknown_name_is_said_to_be_unknown() -> None:
    """Names that load when asked for do not hide typing errors."""
    with pytest.raises(AttributeError, match="no `Ruoter`"):
        modelrouter.__getattr__("Ruoter")
    assert set(modelrouter.__all__) <= set(dir(modelrouter))


@pytest.mark.parametrize("room", STABLE)
def test_every_public_name_is_documented(room: str) -> None:
    """Each stable name says what it is: classes and functions in a docstring, values in the text below them."""
    module = importlib.import_module(room)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
            assert not value.__doc__.startswith(f"{name}("), f"{name} has only the docstring that dataclasses make up"
        else:
            assert any(name in _told(each) for each in (module, *_rooms_of(module))), name


def _rooms_of(module: ModuleType) -> Iterator[ModuleType]:
    """The modules of a package, which may define what it shows."""
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield importlib.import_module(f"{module.__name__}.{found.name}")


def _told(module: ModuleType) -> set[str]:
    """Names of a module's values that have a text right below them."""
    body = ast.parse(inspect.getsource(module)).body
    told: set[str] = set()
    for statement, below in itertools.pairwise(body):
        target = statement.target if isinstance(statement, ast.AnnAssign) else None
        if isinstance(statement, ast.Assign):
            target = statement.targets[0] if isinstance(statement.targets[0], ast.Name) else None
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(target, ast.Name) and is_text:
            told.add(target.id)
    return told
