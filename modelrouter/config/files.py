"""Finding, reading and including configuration and policy files; nothing here knows what they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.config.faults import Fault
from modelrouter.config.fields import Base
from modelrouter.config.policy_schema import PolicyConfig
from modelrouter.config.schema import Config
from modelrouter.core.policy import Level
from modelrouter.errors import ConfigError, PolicyError
from modelrouter.yaml12 import dotted, parse

if TYPE_CHECKING:
    from modelrouter.yaml12 import Document

__all__ = [
    "CASES",
    "ConfigFile",
    "cases_in",
    "checked",
    "find_config",
    "houses_of",
    "policies_in",
    "policy_files",
    "read_config",
    "read_file",
    "read_policy",
    "read_policy_as",
    "shipped_folder",
    "shipped_policies",
]

VARIABLE: Final = "MODELROUTER_CONFIG"
DEFAULT: Final = "modelrouter.yaml"
CASES: Final = ".cases.yaml"
SIZE_MAX: Final = 4_000_000
"""Bytes of the longest file that is read as a configuration."""

M = TypeVar("M", bound=Base)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration as it was read, or as it was built in Python.

    Attributes:
        config: what it says.
        folder: what its relative paths are relative to.
        level: HOUSE for an included file, CONFIG for the one that includes.
        document: for lines; None for one built in Python.
        label: `config`, or `include/NAME`: its name among the static inputs.
        path: the file, absolute; None where there is none.
    """

    config: Config
    folder: Path
    level: Level = Level.CONFIG
    document: Document | None = None
    label: str = "config"
    path: Path | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.document.file if self.document else "the configuration built in Python"

    def fault(self, reason: str, *path: str | int, kind: type[ConfigError] = ConfigError) -> Fault:
        """What is wrong at a key of it."""
        return Fault.at(self.document, path, reason, kind)

    def place(self, *path: str | int) -> str:
        """A key of it in words, as `house.yaml:3`."""
        line = self.document.line(path) if self.document else None
        return self.name if line is None else f"{self.name}:{line}"


def find_config(explicit: str | None = None) -> str:
    """The configuration to use: the one that was named, else `MODELROUTER_CONFIG`, else `./modelrouter.yaml`.

    Raises:
        ConfigError: there is none, or the named one does not exist.
    """
    if explicit == "":
        raise ConfigError("the name of the config is empty: name a file, or leave it out")
    named = explicit or os.environ.get(VARIABLE)
    if named:
        found = Path(named).expanduser()
        if not _is_file(found):
            whence = "" if explicit else f", which `{VARIABLE}` names"
            if found.is_dir():
                raise ConfigError(f"`{named}`{whence}{',' if whence else ''} is a folder: name the file in it")
            raise ConfigError(
                f"there is no file `{named}`{whence}: correct the path, or write one with `modelrouter init`"
            )
        return named
    if not Path(DEFAULT).is_file():
        raise ConfigError(
            f"there is no `{DEFAULT}` here and `{VARIABLE}` is not set: write one with `modelrouter init`, or name one "
            "with `--config`"
        )
    return DEFAULT


def _is_file(path: Path) -> bool:
    """Whether there is a file; one in a folder that may not be entered is taken for one, and reading it says so."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def read_file(path: Path, shown: str) -> str:
    """The text of a file.

    Raises:
        ConfigError: it is not there, cannot be read, is too long, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file: correct the path, or write one with `modelrouter init`", file=shown
        ) from None
    except IsADirectoryError:
        raise ConfigError("this is a folder: name the file in it", file=shown) from None
    except PermissionError:
        raise ConfigError("the file may not be read: change its permissions, or its folder's", file=shown) from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {os.strerror(error.errno or 0).lower()}", file=shown) from None
    if len(content) > SIZE_MAX:
        raise ConfigError(f"the file has more than {SIZE_MAX} bytes: is it a configuration?", file=shown)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError("the file is not UTF-8 text: save it as UTF-8", file=shown, line=line) from None


def checked(model: type[M], document: Document) -> M:
    """What a document says, as the part of a configuration that it must be.

    Raises:
        ConfigError: it has another shape; all errors are told.
    """
    if not isinstance(document.value, dict):
        raise model.error_kind()(
            "expected keys with values, as `key: value`", file=document.file, line=document.line(())
        )
    return model.model_validate(document.value, context=document)


def read_config(text: str, file: str, folder: Path, path: Path | None = None) -> list[ConfigFile]:
    """A configuration and every house file above it, the highest first.

    Raises:
        ConfigError: one of them cannot be read or has a wrong shape, or they include each other in a circle.
    """
    found: dict[str, ConfigFile] = {}
    document = parse(text, file)
    main = _config_file(document, folder, Level.CONFIG, "config", path)
    _add_houses(main, found, [path.resolve() if path else None], [file])
    return [*found.values(), main]


def houses_of(main: ConfigFile) -> list[ConfigFile]:
    """The house files above a configuration that was built in Python, the highest first, and itself."""
    found: dict[str, ConfigFile] = {}
    _add_houses(main, found, [None], [main.name])
    return [*found.values(), main]


def _config_file(document: Document, folder: Path, level: Level, label: str, path: Path | None) -> ConfigFile:
    value = document.value
    if isinstance(value, dict) and "modelrouter" not in value:
        reason = "missing: add `modelrouter: 1`, the version of the format" + (
            "; this is a policy file, which belongs into the folder `policies`" if "policy" in value else ""
        )
        raise ConfigError(reason, file=document.file, line=document.line(()), key="modelrouter")
    return ConfigFile(checked(Config, document), folder, level, document, label, path)


def _add_houses(below: ConfigFile, found: dict[str, ConfigFile], trail: list[Path | None], names: list[str]) -> None:
    for index, name in enumerate(below.config.include):
        path = (below.folder / Path(name).expanduser()).absolute()
        resolved = path.resolve()
        if resolved in trail:
            circle = " -> ".join([*names[trail.index(resolved) :], name])
            raise below.fault(f"files include each other in a circle: {circle}: remove one", "include", index).error()
        if str(resolved) in found:
            continue
        if path.is_dir():
            raise below.fault(f"`{name}` is a folder: name the file in it", "include", index).error()
        if not _is_file(path):
            raise below.fault(f"there is no file `{name}`: correct the path", "include", index).error()
        document = parse(read_file(path, str(path)), str(path))
        house = _config_file(document, path.parent, Level.HOUSE, f"include/{name}", path)
        _add_houses(house, found, [*trail, resolved], [*names, name])
        found[str(resolved)] = house


def read_policy(path: Path) -> tuple[PolicyConfig, Document]:
    """A policy file, whose policy has the file's name.

    Raises:
        PolicyError: it has a wrong shape or another name.
        ConfigError: it cannot be read, or is not YAML.
    """
    policy, document = read_policy_as(path, str(path))
    if policy.policy != path.stem:
        reason = f"the policy is called `{policy.policy}` and its file `{path.name}`: give them one name"
        raise PolicyError(reason, file=document.file, line=document.line(("policy",)), key=dotted(("policy",)))
    return policy, document


def read_policy_as(path: Path, shown: str) -> tuple[PolicyConfig, Document]:
    """A policy file, whatever its name.

    Raises:
        PolicyError: it has a wrong shape.
        ConfigError: it cannot be read, or is not YAML.
    """
    document = parse(read_file(path, shown), shown)
    return checked(PolicyConfig, document), document


def policies_in(place: Path) -> list[Path]:
    """The policy files of a folder, by name.

    Raises:
        ConfigError: the folder may not be listed, or a file would not be read for its name; without it, a name could
            stand for a policy that is shipped.
    """
    return sorted(path for path in _yaml_in(place) if not path.name.endswith(CASES))


def cases_in(place: Path) -> list[Path]:
    """The files of cases of a folder, by name."""
    return sorted(path for path in _yaml_in(place) if path.name.endswith(CASES))


def _yaml_in(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    try:  # not by `glob`, which finds nothing where nothing may be read
        with os.scandir(place) as entries:
            found = [
                place / entry.name for entry in entries if entry.name.endswith((".yaml", ".yml")) and entry.is_file()
            ]
    except PermissionError:
        reason = "the folder may not be listed, and policies are found in it: change its permissions"
        raise ConfigError(reason, file=str(place)) from None
    for path in found:
        if path.suffix == ".yml":  # somebody wrote rules, and nobody would follow them
            raise ConfigError(f"policies are read from `.yaml` files: call it `{path.stem}.yaml`", file=str(path))
    return found


def policy_files(folder: Path) -> list[Path]:
    """The policy files in the folder `policies` beside a configuration, by name."""
    return policies_in(folder / "policies")


def shipped_folder() -> Path:
    """The folder of the policies that come with the package: inside it when installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "policies"
    return inside if inside.is_dir() else package.parent / "policies"


def shipped_policies() -> list[Path]:
    """The policy files that come with the package."""
    return policies_in(shipped_folder())
