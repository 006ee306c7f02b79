"""Tests of `modelrouter.cli.start`."""
