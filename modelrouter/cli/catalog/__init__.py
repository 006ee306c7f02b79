"""`modelrouter catalog …`: what is known, and from which source."""
