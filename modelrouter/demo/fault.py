"""What can go wrong around the demo, in one sentence for the person who runs it."""

from __future__ import annotations

from modelrouter.errors import ModelRouterError

__all__ = ["DemoError"]


class DemoError(ModelRouterError):
    """The demo cannot go on: no model file, no model server, or nothing that answers. The message says what to do."""
