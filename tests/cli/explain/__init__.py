"""Tests of `modelrouter.cli.explain`."""
