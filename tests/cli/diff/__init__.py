"""Tests of `modelrouter.cli.check.command`."""
