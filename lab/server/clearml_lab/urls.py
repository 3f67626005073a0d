"""Which storage a URL is in, and what path it has there: the rule that decides whether a file is ever deleted."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

CLOUDS = {"s3://": "s3", "azure://": "azure", "gs://": "gs"}


class StorageRules:
    """The rule of services.async_urls_delete.fileserver.url_prefixes.

    A URL is the fileserver's when it starts with one of the prefixes; without prefixes none is, and files stay.
    A prefix is a base URL (http://host:8081) or only a path (/files).
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        self.prefixes = [prefix for prefix in prefixes if prefix]

    def storage_of(self, url: str) -> str | None:
        """Return the storage type, or None for a URL that nobody can delete."""
        for prefix, storage in CLOUDS.items():
            if url.startswith(prefix):
                return storage
        return "fileserver" if any(url.startswith(prefix) for prefix in self.prefixes) else None

    @staticmethod
    def folder_of(url: str) -> str | None:
        """Return the URL of the folder that a file is in, or None when it lies at the top."""
        base = url.partition("?")[0].partition("#")[0]
        folder, _, _ = base.rpartition("/")
        return folder if urlsplit(folder).path.strip("/") else None

    def path_on(self, host: str, url: str) -> str | None:
        """Return the path of a URL on the fileserver at `host`, or None when it is not that server's."""
        parts = urlsplit(url)
        for prefix in [*self.prefixes, host]:
            base = urlsplit(prefix)
            below = base.path.rstrip("/")
            if base.netloc and _origin(base) != _origin(parts):
                continue
            if below and not parts.path.startswith(below + "/"):
                continue
            return parts.path[len(below) :].strip("/") or None
        return None


def _origin(parts: SplitResult) -> tuple[str, str]:
    return parts.scheme, parts.netloc
