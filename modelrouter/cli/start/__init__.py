"""`modelrouter init` and what it shares with `catalog add`: a first config, a deployment as text."""
