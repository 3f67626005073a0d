"""What the tests of all scenarios share."""
