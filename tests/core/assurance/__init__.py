"""Tests of the vendor graph and of the survival proof."""
