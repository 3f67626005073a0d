"""Names that several rooms share."""

from __future__ import annotations

# The project of everything that names none. It is made on first use.
PROJECT = "Engineering Practices ML"
