"""The `…_many` endpoints: the same operation on many objects, of which some may fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .errors import ApiError
from .fields import Field

IDS = Field("ids", "list", of="str", shortest=1)


def run(ids: Sequence[str], operation: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Do something to each object; return what became of those that it could be done to, and why not to others."""
    succeeded, failed = [], []
    for identifier in ids:
        try:
            succeeded.append({"id": identifier, **operation(identifier)})
        except ApiError as ex:
            problem = {"codes": [ex.status, ex.subcode], "msg": str(ex), "data": ex.values}
            failed.append({"id": identifier, "error": problem})
    return {"succeeded": succeeded, "failed": failed}
