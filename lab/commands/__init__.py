"""The verbs of lab.py."""
