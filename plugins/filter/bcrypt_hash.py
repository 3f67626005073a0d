"""The filter bcrypt_hash: a password as ClearML's ``pass_hashed: true`` wants it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

try:
    import bcrypt
except ImportError:  # pragma: no cover
    bcrypt = None  # type: ignore[assignment]

# bcrypt's own order of the base64 digits.
_DIGITS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _normalize(salt: str) -> str:
    """Return the salt with the last digit that bcrypt would write: of its six bits only the upper two count."""
    return salt[:-1] + _DIGITS[_DIGITS.index(salt[-1]) & 0b110000]


def bcrypt_hash(password: object, salt: object, rounds: int = 12) -> str:
    """Return base64 of the bcrypt hash of ``password``. The same salt always gives the same hash."""
    if bcrypt is None:
        raise AnsibleFilterError("bcrypt_hash needs the Python package bcrypt on the controller: see requirements.txt.")
    if not isinstance(password, str):
        raise AnsibleFilterError(
            f"bcrypt_hash: the password is of type {type(password).__name__}: it must be a string (quote digits)."
        )
    if not isinstance(salt, str) or not re.fullmatch(r"[A-Za-z0-9./]{22}", salt):
        raise AnsibleFilterError("bcrypt_hash: the salt must be 22 letters, digits, dots or slashes.")
    if not isinstance(rounds, int) or not 4 <= rounds <= 31:
        raise AnsibleFilterError(f"bcrypt_hash: rounds is {rounds}: it must be a whole number from 4 to 31.")
    secret = password.encode()
    if not secret or b"\0" in secret or len(secret) > 72:
        raise AnsibleFilterError(
            "bcrypt_hash: the password must have 1 to 72 bytes in UTF-8 and no NUL: bcrypt ignores what is beyond."
        )
    hashed = bcrypt.hashpw(secret, f"$2b${rounds:02}${_normalize(salt)}".encode())
    return base64.b64encode(hashed).decode()


class FilterModule:
    """Filters for ClearML's fixed users."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"bcrypt_hash": bcrypt_hash}
