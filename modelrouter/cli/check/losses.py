"""What `--lose` and `--need` may name, and the sentence for what they may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelrouter.config import Setup
    from modelrouter.core.assurance import Loss
    from modelrouter.core.request import Needs

__all__ = ["losses_from", "needs_from"]


def losses_from(text: str, setup: Setup) -> tuple[Loss, ...]:
    """What is lost together, as `openai,azure`, `country:US`, `parent:microsoft` or `credential:env:OPENAI_API_KEY`.

    Raises:
        typer.BadParameter: a name is not known, or stands twice.
    """
    found = tuple(_loss(part.strip(), setup) for part in text.split(","))
    if len(set(found)) < len(found):
        raise typer.BadParameter(f"`{text}` names something twice: name it once", param_hint="--lose")
    return found


def needs_from(names: Sequence[str]) -> Needs:
    """Capabilities that every request is asked to need beside its route's.

    Raises:
        typer.BadParameter: there is no such capability.
    """
    from modelrouter.core.request import CAPABILITIES, Needs

    for name in names:
        if name not in CAPABILITIES:
            known = _nearest(name, CAPABILITIES)
            raise typer.BadParameter(f"`{name}` is no capability{known}", param_hint="--need")
    return Needs(capabilities=frozenset(names))


def _loss(text: str, setup: Setup) -> Loss:
    from modelrouter.catalog.countries import country_fault
    from modelrouter.core.assurance import Loss, LossKind
    from modelrouter.core.facts import SELF

    kind, mark, name = text.partition(":")
    if not mark:
        kind, name = LossKind.VENDOR.value, text
    kinds = {each.value: each for each in LossKind}
    if kind not in kinds:
        raise typer.BadParameter(
            f"`{text}` is no loss: write a vendor, or `country:`, `parent:` or `credential:` with a name behind it",
            param_hint="--lose",
        )
    reason: str | None
    if kinds[kind] is LossKind.COUNTRY:
        reason = None if name in setup.world.groups else country_fault(name)
    else:
        is_key = kinds[kind] is LossKind.CREDENTIAL
        known = set(setup.credentials.values() if is_key else setup.world.organisations) - {SELF}
        missing = f"no deployment has the key `{name}`" if is_key else f"no organisation is called `{name}`"
        reason = None if name in known else missing + _nearest(name, known)
    if reason is not None:
        raise typer.BadParameter(reason, param_hint="--lose")
    return Loss(name, kinds[kind])


def _nearest(name: str, known: Collection[str]) -> str:
    from modelrouter.config.nearest import nearest

    return nearest(name, known)
