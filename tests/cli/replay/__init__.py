"""Tests of `modelrouter.cli.replay`."""
