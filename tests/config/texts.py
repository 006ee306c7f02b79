"""Configurations as text for the tests: a small one that is right, whose parts a case replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.config import Setup

__all__ = ["MARK", "PARTS", "config", "load_files", "marked_line"]

MARK: Final = "#!"
"""Stands on the line that an error must name."""

PARTS: Final = {
    "modelrouter": "modelrouter: 1",
    "include": "",
    "caller": "caller: {name: Acme GmbH, country: DE, agreements: [{type: dpa, with: mistral}]}",
    "tags": "tags: {data_class: {values: [public, personal]}, team: {}}",
    "models": "",
    "deployments": """deployments:
  own:
    model: qwen3-32b
    operator: self
    runs_on: none
    hosts: [llm.internal]
    base_url: "http://llm.internal:8000/v1"
    name: qwen
    processing: [DE]
    storage: none
    training: never
    retention_days: 0
    price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}
    source: platform team
  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu}""",
    "routes": "routes:\n  support: {try: [own, mistral]}",
    "policies": "policies: [baseline]",
    "more": "",
}


def config(**parts: str) -> str:
    """The small configuration with some parts replaced; an empty part is left out."""
    return "\n".join(text for text in {**PARTS, **parts}.values() if text) + "\n"


def marked_line(text: str) -> int | None:
    """The line that holds the mark, from 1."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if MARK in line]
    return lines[0] if lines else None


def load_files(folder: Path, **files: str) -> Setup:
    """Write files (`a__b` stands for `a/b`, each ends in `.yaml`) and load `modelrouter.yaml`."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load(folder / "modelrouter.yaml")
