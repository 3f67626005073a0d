"""What only a server that belongs to the tests can be asked: it is broken, flooded, reconfigured and looked at."""
