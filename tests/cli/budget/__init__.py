"""Tests of `modelrouter.cli.budget.command`."""
