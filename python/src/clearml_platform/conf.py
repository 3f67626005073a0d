"""The file clearml.conf: what is read from it, and how addresses and a key are put into one that exists.

A file is HOCON that people edit. Only the text of our own settings (``api.web_server``, ``api.api_server``,
``api.files_server``, ``api.credentials``) is cut out and written anew. All other text, comments included, stays as it
is. The result is then read with the SDK's own parser: unless it says what it said before but for our settings, nothing
is written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from clearml_platform.errors import InputError, PlatformError

SERVERS = {"web_host": "web_server", "api_host": "api_server", "files_host": "files_server"}
KEYS = ("access_key", "secret_key")
OURS = {*SERVERS.values(), "credentials"}
HEADER = "# Configuration of the ClearML SDK, written by clearml-platform init.\n"


def path_in_force() -> Path:
    """Return the file that the SDK would read."""
    named = os.environ.get("CLEARML_CONFIG_FILE") or os.environ.get("TRAINS_CONFIG_FILE")
    return Path(named or "~/clearml.conf").expanduser()


def read(path: Path) -> dict[str, Any]:
    """Return the settings of a file.

    Raises:
        InputError: it cannot be read, or is no HOCON.
    """
    return parse(_text(path), path)


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the settings of a file's text, as the SDK understands it."""
    from clearml.utilities.pyhocon import ConfigFactory, ConfigTree

    try:
        tree = ConfigFactory.parse_string(text)
    except Exception as error:
        # Its message may quote a secret.
        line = getattr(error, "lineno", None)
        where = f" (line {line})" if line else ""
        raise InputError(
            f"{path} is not a configuration that the SDK can read{where}: correct it, or name another with --output.",
            reason="bad_file",
        ) from error
    if not isinstance(tree, ConfigTree):
        raise InputError(f"{path} holds a list: a configuration has named sections.", reason="bad_file")
    settings: dict[str, Any] = tree.as_plain_ordered_dict()
    return settings


def values(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses and the key of a file's settings, those that it has."""
    api = settings.get("api")
    api = api if isinstance(api, Mapping) else {}
    key = api.get("credentials")
    key = key if isinstance(key, Mapping) else {}
    found = {name: api.get(setting) for name, setting in SERVERS.items()} | {name: key.get(name) for name in KEYS}
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def verification(settings: Mapping[str, Any]) -> bool | str:
    """Return how certificates are verified: yes, no, or with the authorities of this file."""
    api = settings.get("api")
    wanted = os.environ.get("CLEARML_API_HOST_VERIFY_CERT") or (
        api.get("verify_certificate", True) if isinstance(api, Mapping) else True
    )
    word = str(wanted).strip().lower()
    if word in ("1", "true", "yes", "on", "y", "t"):
        return True
    return False if word in ("0", "false", "no", "off", "n", "f") else str(wanted)


def merged(text: str, new: Mapping[str, str], path: Path) -> str:
    """Return a file's text with these addresses and this key, and with everything else that it had.

    Args:
        text: What the file has now; nothing when there is none.
        new: ``api_host``, ``web_host``, ``files_host``, ``access_key`` and ``secret_key``.
        path: The file, for errors.

    Raises:
        InputError: the file is no HOCON, or is written in a way that cannot be changed safely.
    """
    section = {setting: new[name] for name, setting in SERVERS.items()}
    lines = [f"    {setting}: {_quoted(value)}" for setting, value in section.items()]
    lines += ["    credentials {", *(f"        {name}: {_quoted(new[name])}" for name in KEYS), "    }"]
    ours = "\n".join(lines) + "\n"
    alone = f"{HEADER}api {{\n{ours}}}\n"
    if values(parse(alone, path)) != new:
        raise InputError("The key or an address has signs that clearml.conf cannot hold.", reason="bad_value")
    if not text.strip():
        return alone
    before = parse(text, path)
    result = _replaced(_without_outer_braces(text), ours)
    api = before.get("api", {})
    if not isinstance(api, Mapping) or parse(result, path) != {
        **before,
        "api": {**api, **section, "credentials": {name: new[name] for name in KEYS}},
    }:
        raise InputError(
            f"{path} is written in a way that cannot be changed safely: write to another file with --output, and bring "
            "the two together by hand.",
            reason="bad_file",
        )
    return result


def write(path: Path, text: str) -> Path | None:
    """Write a file that nobody else can read; return the copy of what was there before.

    The new file takes the old one's place in one step. A file that has this text already stays as it is.

    Raises:
        PlatformError: it cannot be written.
    """
    path = path.resolve()
    backup = None
    temporary = None
    try:
        if path.exists():
            old = path.read_bytes()
            if old == text.encode():
                path.chmod(0o600)
                return None
            backup = _new_file(path, old)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if backup:
            backup.unlink(missing_ok=True)
        raise PlatformError(f"{path} cannot be written ({error.strerror}).", reason="not_written") from error
    return backup


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written, before anything is done for it.

    Raises:
        InputError: it is a folder, or its own folder is missing or closed.
    """
    path = path.resolve()
    if path.is_dir():
        raise InputError(f"--output: {path} is a folder: name a file, such as {path / 'clearml.conf'}.")
    if not path.parent.is_dir():
        raise InputError(f"--output: there is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"--output: nothing can be written into the folder {path.parent}.")


def current(path: Path) -> str:
    """Return a file's text; nothing when there is none."""
    return _text(path) if path.exists() else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).", reason="bad_file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8.", reason="bad_file") from error


def _new_file(path: Path, content: bytes) -> Path:
    """Keep what a file has beside it; the name says when."""
    stamp = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    number = 0
    while True:
        backup = path.with_name(f"{path.name}.{stamp}{f'-{number}' if number else ''}.backup")
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return backup


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _replaced(text: str, ours: str) -> str:
    """Return a text whose settings of ours are these, in the last section ``api`` or in one of their own."""
    sections = [(start, end) for key, start, end in _fields(text) if key == ["api"]]
    target = sections[-1] if sections else None
    for key, start, end in reversed(list(_fields(text))):
        if key[0] != "api":
            continue
        if len(key) > 1:
            text = text if key[1] not in OURS else _cut(text, start, end)
            continue
        opening = text.find("{", start, end)
        closing = text.rfind("}", start, end)
        if opening < 0 or closing < 0:
            continue
        body = text[opening + 1 : closing]
        for name, first, last in reversed(list(_fields(body))):
            if name[0] in OURS:
                body = _cut(body, first, last)
        if (start, end) == target:
            body = f"\n{ours}{body.lstrip(chr(10)) if body.strip() else ''}"
        text = text[: opening + 1] + body + text[closing:]
    return text if target else f"{text.rstrip()}\n\napi {{\n{ours}}}\n"


def _cut(text: str, start: int, end: int) -> str:
    """Return a text without a field, nor the separator behind it, nor the line that it leaves empty."""
    rest = text[end:]
    stripped = rest.lstrip(" \t")
    if stripped.startswith(","):
        rest = stripped[1:]
    line = text.rfind("\n", 0, start) + 1
    if not text[line:start].strip() and rest.lstrip(" \t").startswith("\n"):
        return text[:line] + rest.lstrip(" \t")[1:]
    return text[:start] + rest


def _without_outer_braces(text: str) -> str:
    """Return the text of a file without the braces around the whole, which JSON has and HOCON may."""
    tokens = [token for token in _tokens(text) if token[0] not in "#\n"]
    if not tokens or tokens[0][0] != "{" or tokens[-1][0] != "}":
        return text
    opening, closing = tokens[0][1], tokens[-1][1]
    return text[:opening] + text[opening + 1 : closing] + text[closing + 1 :]


def _fields(text: str) -> Iterator[tuple[list[str], int, int]]:
    """Yield the fields of a section: the words of the key, where the field begins and where its value ends."""
    depth = 0
    start = end = None
    separator: int | None = None
    for sign, first, last in [*_tokens(text), ("\n", len(text), len(text))]:
        if depth == 0 and sign in ("\n", ",", "#"):
            if start is not None and end is not None:
                yield _words(text[start : end if separator is None else separator]), start, end
            start = end = separator = None
            continue
        if sign in "\n#":
            continue
        if start is None:
            start = first
        if depth == 0 and separator is None and sign in (":", "=", "{"):
            separator = first
        depth += (sign in "{[") - (sign in "}]")
        end = last


def _words(key: str) -> list[str]:
    """Return the words of a key such as ``api."web_server"``."""
    return [word.strip().strip('"') for word in key.strip().rstrip("+").split(".")] or [""]


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the signs and the texts of HOCON, with where each begins and ends; comments are ``#``."""
    position = 0
    while position < len(text):
        sign = text[position]
        end = position + 1
        if text.startswith('"""', position):
            found = text.find('"""', position + 3)
            sign, end = "text", len(text) if found < 0 else found + 3
        elif sign == '"':
            while end < len(text) and text[end] not in '"\n':
                end += 2 if text[end] == "\\" else 1
            sign, end = "text", min(end + 1, len(text))
        elif sign == "#" or (text.startswith("//", position) and (position == 0 or text[position - 1] in " \t\n{}[],")):
            # Inside a word, as in http://clearml.example.com, two slashes begin no comment.
            found = text.find("\n", position)
            sign, end = "#", len(text) if found < 0 else found
        elif sign == "$" and text.startswith("${", position):
            found = text.find("}", position)
            sign, end = "text", len(text) if found < 0 else found + 1
        elif sign not in "{}[]:=,\n":
            if sign.isspace():
                position = end
                continue
            sign = "text"
        yield sign, position, end
        position = end
