"""Configs of servers on loopback, as text: what a user would write, with the ports of this run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Served", "write_config"]


@dataclass(frozen=True, slots=True)
class Served:
    """One deployment on loopback.

    Attributes:
        more: further YAML members of the deployment, as `lane: litellm`.
        price: input and output price of a million tokens, USD.
    """

    id: str
    base_url: str
    name: str = "smollm2-135m-instruct"
    key: str = ""
    price: tuple[str, str] = ("0.05", "0.20")
    context_tokens: int = 2048
    more: str = ""

    def as_yaml(self) -> str:
        """The entry under `deployments:`."""
        key = f"key: 'env:{self.key}', " if self.key else ""
        more = f", {self.more}" if self.more else ""
        return (
            f"  {self.id}: {{model: smollm2-135m-instruct, operator: self, runs_on: none, hosts: [127.0.0.1], "
            f"base_url: '{self.base_url}', name: {self.name}, {key}"
            f"processing: [DE], storage: none, retention_days: 0, training: never, "
            f"context_tokens: {self.context_tokens}, capabilities: [tools, json_schema, json_object, vision, seed], "
            f"price: {{input_usd_per_mtok: '{self.price[0]}', output_usd_per_mtok: '{self.price[1]}'}}, "
            f"source: {{ref: platform team, checked_on: 2026-11-01, confidence: high, grade: technical}}{more}}}"
        )


def write_config(folder: Path, served: list[Served], routes: str, *, top: str = "") -> Path:
    """Write a config for these deployments.

    Args:
        folder: where the config and the ledger go.
        served: the deployments.
        routes: the lines under `routes:`, indented by two.
        top: further members of the top level; `policies: none` is there unless it names policies.
    """
    lines = [
        "modelrouter: 1",
        "caller: {name: Acme GmbH, country: DE, parent_country: DE, monthly_active_users: 40000}",
        "ledger: sqlite:///book.db",
        *([] if "policies:" in top else ["policies: none"]),
        *([top] if top else []),
        "deployments:",
        *(each.as_yaml() for each in served),
        "routes:",
        routes,
        "",
    ]
    path = folder / "modelrouter.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
