"""`modelrouter spend`: what was spent, on what, and what it would have cost elsewhere."""
