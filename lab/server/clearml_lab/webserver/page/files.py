"""Links to files: which addresses become links, and where they lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class FileLinks:
    """Where the fileserver is, for browsers that are to reach it through the web server alone."""

    proxied: str = ""  # what the addresses of its files begin with; empty when they lead there by themselves

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> FileLinks:
        """Read the settings by which the official web application decides the same."""
        base = settings.get("fileBaseUrl")
        return cls(f"{base.rstrip('/')}/" if settings.get("useFilesProxy") and isinstance(base, str) and base else "")

    def link(self, address: str) -> str:
        """Return where a link to a file leads; empty for what must not be a link, such as a script or a local path."""
        if self.proxied and address.startswith(self.proxied):
            return f"/files/{address.removeprefix(self.proxied)}"
        try:
            parts = urlsplit(address)
        except ValueError:
            return ""
        return address if parts.scheme in ("http", "https") and parts.netloc else ""
