"""What a configuration's decisions rest on, for the book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.grounds import Grounds, needed

if TYPE_CHECKING:
    from modelrouter.config.setup import Setup

__all__ = ["grounds_of"]


def grounds_of(setup: Setup) -> Grounds:
    """The static part of the decisions under a configuration, whole: nothing has to be looked up elsewhere later."""
    from modelrouter import __version__

    return Grounds(
        world=needed(setup.world),
        routes=setup.routes,
        policies=setup.policies,
        version=__version__,
        texts={name: each.sha256 for name, each in setup.digests.items()},
    )
