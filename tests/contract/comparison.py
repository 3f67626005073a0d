"""How far two answers agree: each value counts once, and so does each length of a list."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .patterns import ID, TIME, TOKEN, blurred
from .translation import Translation

MISSING, ABSENT = "<missing>", "<absent>"
# Values that no two runs share: of these only the type is compared.
VOLATILE = frozenset(
    "last_update last_change last_changed created started completed published status_changed active_duration timestamp"
    " ts exp iat last_report_time last_activity_time register_time ip secret_key scroll_id uid session_id took build"
    " commit last_used last_used_from added hash api_version server_version number version updated time".split()
)


@dataclass(frozen=True)
class Field:
    """One value of an answer: where it stands, and whether the two servers agree on it."""

    path: str
    agrees: bool
    recorded: Any = None
    actual: Any = None


def compare(recorded: Any, actual: Any, translation: Translation, path: str, key: str = "") -> Iterator[Field]:
    """Yield all values of an answer. `key` is the name under which the value stands."""
    if isinstance(recorded, dict):
        yield from _compare_objects(recorded, actual, translation, path)
    elif isinstance(recorded, list):
        yield from _compare_lists(recorded, actual, translation, path, key)
    elif key in VOLATILE:
        yield Field(path, _same_type(recorded, actual), recorded, actual)
    elif isinstance(recorded, str) and isinstance(actual, str):
        wanted = translation.translate(recorded)
        yield Field(path, _same_text(recorded, wanted, actual, translation), wanted, actual)
    elif _is_number(recorded) and _is_number(actual):
        yield Field(path, math.isclose(recorded, actual, rel_tol=1e-6), recorded, actual)
    else:
        yield Field(path, bool(recorded == actual), recorded, actual)


def _compare_objects(recorded: dict[str, Any], actual: Any, translation: Translation, path: str) -> Iterator[Field]:
    if not isinstance(actual, dict):
        yield Field(path, False, recorded, actual)
        return
    names = {key: translation.ids.get(key, key) for key in recorded}
    for key, name in names.items():
        if name in actual:
            yield from compare(recorded[key], actual[name], translation, f"{path}.{key}", key)
        else:
            yield Field(f"{path}.{key}", False, recorded[key], MISSING)
    for name in sorted(actual.keys() - names.values()):
        yield Field(f"{path}.{name}", False, ABSENT, actual[name])


def _compare_lists(recorded: list[Any], actual: Any, translation: Translation, path: str, key: str) -> Iterator[Field]:
    if not isinstance(actual, list):
        yield Field(f"{path}#", False, f"{len(recorded)} items", actual)
        return
    yield Field(f"{path}#", len(recorded) == len(actual), f"{len(recorded)} items", f"{len(actual)} items")
    for position, (one, other) in enumerate(translation.pairs(recorded, actual)):
        yield from compare(one, other, translation, f"{path}[{position}]", key)


def _same_text(recorded: str, wanted: str, actual: str, translation: Translation) -> bool:
    if wanted == actual or any(pattern.fullmatch(recorded) and pattern.fullmatch(actual) for pattern in (TIME, TOKEN)):
        return True
    if recorded not in translation.ids and ID.fullmatch(recorded) and ID.fullmatch(actual):
        return True  # an id that was never seen before
    return blurred(wanted) == blurred(actual)


def _same_type(recorded: Any, actual: Any) -> bool:
    numbers = isinstance(recorded, (int, float)) and isinstance(actual, (int, float))
    return numbers or isinstance(actual, type(recorded))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
