"""The unmodified SDK and agent, against any ClearML server that a clearml.conf names."""
