"""Tests of `modelrouter.config`."""
