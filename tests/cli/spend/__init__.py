"""Tests of `modelrouter.cli.spend.command`."""
