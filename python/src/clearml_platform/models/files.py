"""The files of models: to the fileserver (or the bucket that takes its place) and back, with their hash."""

from __future__ import annotations

import hashlib
import re
import uuid
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote

from clearml_platform.errors import InputError, PlatformError, ServerError
from clearml_platform.server import Server

CHUNK = 1024 * 1024
# Seconds to connect, and between two pieces of an answer.
TIMEOUT = (10, 300)
OK, NOT_FOUND = 200, 404


def checked_path(path: str | Path, option: str) -> Path:
    """Return the path of a file that can be registered.

    Raises:
        InputError: there is no such file, it is empty, or its name cannot be written down.
    """
    file = Path(path)
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise InputError(f"{option}: the path {str(path)!r} is not UTF-8; rename it.") from None
    try:
        if file.is_dir():
            raise InputError(f"{option}: {str(path)!r} is a folder; a model is one file, so pack the folder first.")
        if not file.is_file():
            raise InputError(f"{option}: there is no file {str(path)!r}.")
        if not file.stat().st_size:
            raise InputError(f"{option}: the file {str(path)!r} is empty.")
        with file.open("rb"):
            return file
    except (OSError, ValueError) as error:
        raise InputError(f"{option}: the file {str(path)!r} cannot be read ({error}).") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def upload(server: Server, path: Path, project: str, name: str) -> str:
    """Store a file at an address that no other has; return the address.

    Raises:
        ServerError: it could not be stored.
    """
    # Letters that every store, form and address takes alike: the name itself is kept in the metadata.
    place = "/".join([_plain(project), "models", _plain(name), uuid.uuid4().hex, _plain(path.name)])
    url = f"{server.files_host.rstrip('/')}/{quote(place)}"
    if not url.startswith("http"):
        return _uploaded_by_sdk(path, url)
    from clearml.utilities.requests_toolbelt import MultipartEncoder

    with path.open("rb") as file:
        form = MultipartEncoder(fields={place: (place, file, "application/octet-stream")})
        headers = {**server.file_headers(url), "Content-Type": form.content_type}
        try:
            answer = _http().post(server.files_host, data=form, headers=headers, timeout=TIMEOUT)
        except OSError as error:
            raise ServerError(f"The fileserver {server.files_host} did not take the file ({_why(error)}).") from error
    if answer.status_code != OK:
        raise ServerError(f"The fileserver {server.files_host} refused the file (HTTP {answer.status_code}).")
    return url


def remove(server: Server, url: str) -> None:
    """Take a file away that no model names. What cannot be removed is left."""
    with suppress(Exception):
        if url.startswith("http"):
            _http().delete(url, headers=server.file_headers(url), timeout=TIMEOUT)
        else:
            from clearml.storage.helper import StorageHelper

            StorageHelper.get(url).delete(url, silent=True)


def download(server: Server, url: str, target: Path, expected: str) -> None:
    """Write a file whose hash is right; what is at the target is replaced only then.

    Raises:
        InputError: the target's folder cannot be written.
        ServerError: the file is not to be had.
        PlatformError: it is not the file that was registered.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part", delete=False) as file:
            part = Path(file.name)
    except OSError as error:
        raise InputError(f"The folder {str(target.parent)!r} cannot be written ({error.strerror}).") from error
    try:
        _fetch(server, url, part)
        found = sha256(part)
        if found != expected:
            raise PlatformError(
                f"The file at {url} is not the one that was registered: its SHA-256 is {found}, not {expected}."
            )
        part.chmod(0o644)
        try:
            part.replace(target)
        except OSError as error:
            raise InputError(f"{str(target)!r} cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)


def _fetch(server: Server, url: str, part: Path) -> None:
    if not url.startswith("http"):
        from clearml import StorageManager

        found = StorageManager.get_local_copy(url, extract_archive=False, force_download=True)
        if not found:
            raise ServerError(f"The file {url} is not to be had.")
        part.write_bytes(Path(found).read_bytes())
        return
    try:
        with _http().get(url, headers=server.file_headers(url), timeout=TIMEOUT, stream=True) as answer:
            if answer.status_code == NOT_FOUND:
                raise ServerError(f"The file {url} is no longer there.")
            if answer.status_code != OK:
                raise ServerError(f"The file {url} is not to be had (HTTP {answer.status_code}).")
            with part.open("wb") as file:
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
    except OSError as error:
        raise ServerError(f"The file {url} did not arrive ({_why(error)}).") from error


def _uploaded_by_sdk(path: Path, url: str) -> str:
    """Store a file where the SDK knows the way: S3, Google, Azure, a folder."""
    from clearml import StorageManager

    try:
        return str(StorageManager.upload_file(str(path), url))
    except Exception as error:  # each kind of store has errors of its own
        raise ServerError(f"The file could not be stored at {url} ({error}).") from error


def _http() -> Any:
    """Return a session that trusts whom clearml.conf trusts. The SDK's own tries for a quarter of an hour."""
    from clearml.backend_api.utils import get_http_session_with_retry

    return get_http_session_with_retry(total=2, connect=2, read=0, backoff_factor=0.3, backoff_max=2.0)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip(".") or "_"


def _why(error: Exception) -> str:
    text = str(error)
    return "connection refused" if "refused" in text else type(error).__name__
