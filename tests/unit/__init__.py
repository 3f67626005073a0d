"""Unit tests. A package, so that they can share the fake platform."""
