"""debug.ping: a sign of life that needs no database."""

from __future__ import annotations

from typing import Any

from ..call import Call
from ..registry import endpoint


@endpoint("debug.ping", authorize=False)
def ping(call: Call) -> dict[str, Any]:
    """Say that the server is there, and what it was told."""
    return {"msg": "ClearML server", **call.data}
