"""Tests of `modelrouter.cli.catalog`."""
