"""The filter certificate_problems: which files of host_ca_certificates a host could not trust."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def _problem(path: str) -> str | None:
    """Return what is wrong with one file, as the middle of a sentence."""
    try:
        text = Path(path).expanduser().read_bytes().decode("latin-1")
    except OSError as error:
        return f"which cannot be read on this controller ({error.strerror})"
    if "PRIVATE KEY-----" in text:
        return "which holds a private key, and would be readable for everybody on the host"
    blocks = _BLOCK.findall(text)
    if not blocks:
        return "which holds no certificate in PEM format"
    try:
        for block in blocks:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block)
    except (ssl.SSLError, ValueError):
        return "in which a certificate is damaged"
    return None


def certificate_problems(paths: Sequence[str]) -> list[str]:
    """Return a sentence for each file that is no certificate, or would be installed in place of another one."""
    problems = [
        f"host_ca_certificates has {path}, {problem}: it must be a file with certificates in PEM format "
        "(-----BEGIN CERTIFICATE-----) and nothing secret."
        for path in paths
        if (problem := _problem(path))
    ]
    # They are installed under their own name with the suffix .crt.
    installed: dict[str, str] = {}
    for path in paths:
        other = installed.setdefault(Path(path).stem, path)
        if other != path:
            problems.append(
                f"host_ca_certificates has {other} and {path}, which would both be installed as {Path(path).stem}.crt: "
                "give one of them another name."
            )
    return problems


class FilterModule:
    """Filters for certificate authorities."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"certificate_problems": certificate_problems}
