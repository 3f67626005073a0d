"""The lab server's own logic, without databases. What it does with them, the tests of the stack show."""
