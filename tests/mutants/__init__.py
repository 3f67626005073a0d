"""Deliberate faults, one at a time, each of which some test must catch (`make mutants`)."""
