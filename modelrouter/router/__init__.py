"""The Router, and what it gives back. The rooms below it never import this one."""

from modelrouter.router.door import Router

__all__ = ["Router"]
