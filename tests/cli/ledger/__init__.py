"""Tests of `modelrouter.cli.ledger.group`."""
