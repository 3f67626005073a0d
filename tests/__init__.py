"""The tests, each kind in a folder of its own."""
