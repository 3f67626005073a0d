"""What users must put right. The text of each error is one sentence that says what, and what would be right."""

from __future__ import annotations


class PlatformError(Exception):
    """Something that the user or an operator must put right. ``exit_code`` is that of a command that ends with it.

    ``reason`` is a word by which programs tell errors apart, where they have to.
    """

    exit_code = 1

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class InputError(PlatformError):
    """A value, a file or an id that cannot be used. Nothing was changed."""

    exit_code = 2


class ServerError(PlatformError):
    """A server that does not answer, or that refuses what was asked of it."""

    exit_code = 3
