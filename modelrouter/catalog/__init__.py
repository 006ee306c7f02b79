"""Shipped facts, and the one path by which shipped and users' facts become values of the core.

The facts are the YAML files beside this module; a person reviews them line by line. `entries` and `templates` turn what
was read into values, `loader` reads and joins the files, `schema` (pydantic, imported only where people's own text is
checked) says what an entry may hold. Nothing here reads a network, a clock or the environment.
"""

from __future__ import annotations

from modelrouter.catalog.loader import Catalog, load_catalog

__all__ = ["Catalog", "load_catalog"]
