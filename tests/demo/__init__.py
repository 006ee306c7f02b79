"""Tests of the demo: the model file, the real model server, and the whole show."""
