"""The audit pack as files: built whole in memory, then written into a folder that holds nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.audit.book_sheets import book_sheets, policy_file
from modelrouter.cli.audit.dora_sheets import dora_sheets
from modelrouter.cli.audit.fact_sheets import fact_sheets
from modelrouter.cli.audit.readme import readme_of
from modelrouter.cli.audit.sheet import csv_of
from modelrouter.cli.audit.vendor_sheets import vendor_sheets
from modelrouter.core.assurance import dependence, exposure_of, revoked_by
from modelrouter.core.subject import Calendar, Subject
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.made import Made
    from modelrouter.config import Setup
    from modelrouter.core.facts import World

__all__ = ["MANIFEST", "manifest_of", "pack_of", "write_pack"]

MANIFEST: Final = "manifest.json"


def pack_of(setup: Setup, evidence: Evidence, made: Made) -> dict[str, bytes]:
    """Every file by its path in the folder, `manifest.json` last; the same for the same ledger, period and day."""
    cut_off = _cut_off(setup.world, evidence, made)
    found = dependence(setup.routes, setup.world, made.noon_s, cut_off)
    sheets = (
        *book_sheets(evidence, made),
        *vendor_sheets(setup, evidence, found.vendors),
        *fact_sheets(setup, evidence, found, cut_off),
        *dora_sheets(setup, evidence, found.vendors),
    )
    tables = {f"{sheet.name}.csv": csv_of(sheet) for sheet in sheets}
    texts = {
        "README.md": readme_of(setup, evidence, found, sheets, made),
        **tables,
        "audit.json": _json({**made.document(evidence), **{sheet.name: sheet.documents() for sheet in sheets}}),
        **_policies(evidence),
    }
    files = {name: text.encode() for name, text in texts.items()}
    return {**files, MANIFEST: _json(manifest_of(files, evidence, made)).encode()}


def manifest_of(files: Mapping[str, bytes], evidence: Evidence, made: Made) -> dict[str, Any]:
    """What the pack holds, each file with its length and hash."""
    return {
        **made.document(evidence),
        "files": [
            {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
            if name != MANIFEST
        ],
    }


def write_pack(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all of it, or nothing.

    Raises:
        RequestError: the folder holds something already, or cannot be written.
    """
    written: list[Path] = []
    was_there = folder.is_dir()
    try:
        if was_there and any(folder.iterdir()):
            raise RequestError(f"`{folder}` is not empty: name a new folder with `--out`")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            with path.open("xb") as file:
                written.append(path)
                file.write(content)
    except OSError as error:
        _remove(folder, written, keep=was_there)
        reason = (error.strerror or type(error).__name__).lower()
        raise RequestError(f"`{folder}` cannot be written ({reason}): name another folder with `--out`") from None


def _cut_off(world: World, evidence: Evidence, made: Made) -> dict[str, str]:
    """The deployments that are cut off by the ledger, and by which of its lines."""
    calendar, at_us = Calendar(made.today), made.judged_us(evidence)
    found: dict[str, str] = {}
    for name, each in world.deployments.items():
        revocation = revoked_by(exposure_of(Subject(each, world, calendar)).marks, evidence.not_restored, at_us)
        if revocation is not None:
            found[name] = revocation.id
    return found


def _remove(folder: Path, written: list[Path], *, keep: bool) -> None:
    """Take back what was written, and the folders that were made for it."""
    for path in written:
        path.unlink(missing_ok=True)
    made = {path.parent for path in written} - {folder}
    for each in (*made, *(() if keep else (folder,))):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()


def _policies(evidence: Evidence) -> dict[str, str]:
    """The texts of policies in force, as the ledger keeps them: the hash is of these bytes."""
    bodies = {each.digest: each.body for each in evidence.documents}
    layers = {(layer.policy, layer.digest) for layer in evidence.tally.policies if layer.digest in bodies}
    return {policy_file(name, digest): bodies[digest] for name, digest in sorted(layers)}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
