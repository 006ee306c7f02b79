"""One policy without a configuration: by its name or its file, against the shipped catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.catalog import load_catalog
from modelrouter.config.cases import Ground, try_file
from modelrouter.config.faults import Faults
from modelrouter.config.files import CASES, policies_in, read_policy, shipped_policies
from modelrouter.config.lint import findings_alone
from modelrouter.config.nearest import nearest
from modelrouter.config.policies import policies_beside
from modelrouter.config.world import tables_of
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from modelrouter.config.cases import Tried
    from modelrouter.config.lint import Located
    from modelrouter.config.policy_schema import PolicyConfig

__all__ = ["SUFFIX", "check_alone", "extended_by", "policy_path"]

FOLDER: Final = "policies"
SUFFIX: Final = ".yaml"


def policy_path(named: str) -> Path:
    """The file that a name or a path means: a file, else one of `./policies`, else a shipped one.

    Raises:
        ConfigError: there is none.
    """
    if named.endswith(CASES):
        raise ConfigError(f"`{named}` holds cases: name the policy itself, `{named.removesuffix(CASES)}{SUFFIX}`")
    if named.endswith(SUFFIX) or "/" in named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"there is no file `{named}`: correct the path, or name a shipped policy")
        return path
    known = {path.stem: path for path in (*shipped_policies(), *policies_in(Path(FOLDER)))}
    found = known.get(named)
    if found is None:
        raise ConfigError(f"unknown policy `{named}`{nearest(named, known)}")
    return found


def check_alone(path: Path, today: date) -> tuple[list[Located], list[Tried]]:
    """What lint finds in a policy, and how its cases end.

    Raises:
        ConfigError: the policy, one that it extends, or a case is wrong; names file, line and key.
    """
    faults = Faults()
    tables = tables_of(load_catalog(), (), faults)
    book = policies_beside([path, *extended_by(read_policy(path)[0], [path.parent])], tables, faults)
    faults.raise_any()
    cases = path.with_name(f"{path.stem}{CASES}")
    tried = try_file(cases, Ground(book, tables, today), faults) if cases.is_file() else []
    faults.raise_any()
    return findings_alone(book, path.stem, tables), tried


def extended_by(policy: PolicyConfig, folders: Sequence[Path]) -> list[Path]:
    """The files of these folders that a policy extends, the first that holds one; what is in none is a shipped one."""
    found: list[Path] = []
    ahead = [policy]
    while ahead:
        for name in ahead.pop().extends:
            places = (folder / f"{name}{SUFFIX}" for folder in folders)
            path = next((each for each in places if each.is_file()), None)
            if path is not None and path not in found:
                found.append(path)
                ahead.append(read_policy(path)[0])
    return found
