"""Tests of the Compose files without Ansible."""

from __future__ import annotations

import os

# Another name lets two of these stacks run side by side.
PROJECT = os.environ.get("CLEARML_STACK_TEST_PROJECT", "clearml-stack-test")
