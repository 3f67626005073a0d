"""What answers at an address, and whom it lets in.

What can go wrong between a laptop and a server is told apart here by looking at the server. Each case is one sentence
that says what would be right; its ``reason`` is a word for programs.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clearml_platform.addresses import ADDRESSES, SERVICES, STORAGE, neighbour, place
from clearml_platform.errors import InputError, PlatformError, ServerError

if TYPE_CHECKING:
    import requests

# How long an answer may take (and a connection, half of it), and how far two clocks may be apart, in seconds.
PATIENCE = 10.0
SKEW = 300.0
PROTECTED = (400, 301)


@dataclass(frozen=True)
class Account:
    """Who logged in, and to which version of the server."""

    name: str
    server_version: str
    token: str = field(repr=False)


class Client:
    """Requests without the SDK, which would try again for minutes and hide what went wrong.

    Args:
        verify: Whether certificates are verified, or the file of the authorities to trust.
    """

    def __init__(self, verify: bool | str = True, patience: float = PATIENCE) -> None:
        self._verify = verify
        self._patience = patience

    def check_services(self, addresses: Mapping[str, str], sources: Mapping[str, str]) -> None:
        """See that each address leads to the service that it is meant for; ``sources`` says where each came from.

        Raises:
            InputError: another service is there, or another protocol.
            ServerError: nothing answers.
        """
        for name in ADDRESSES:
            url, where = addresses[name], place(name, sources.get(name))
            if urlsplit(url).scheme in STORAGE:
                continue
            found = self._service(url, name, where)
            # A login page of somebody's own may stand before the web application, before the others not.
            if found == name or (name == "web_host" and found is None):
                continue
            if found is None:
                raise InputError(
                    f"{where}: what answers at {url} is not {SERVICES[name]} of a ClearML server: look at the address.",
                    reason="not_clearml",
                )
            raise InputError(
                f"{where}: {url} is {SERVICES[found]}, not {SERVICES[name]}{self._instead(url, name, found)}.",
                reason="wrong_service",
            )

    def login(self, api: str, access_key: str, secret_key: str) -> Account:
        """Log in with a key, or with a name and a password.

        Raises:
            ServerError: the server does not let them in.
            PlatformError: the clocks are too far apart.
        """
        answer = self._send("POST", f"{api}/auth.login", auth=(access_key, secret_key))
        data = self._data(answer, api, "auth.login")
        token = str(data.get("token", ""))
        said = _payload(token)
        _compare_clocks(answer, api)
        name = (said.get("identity") or {}).get("user_name") or (said.get("identity") or {}).get("user") or ""
        return Account(str(name), str(said.get("server_version") or "of an unknown version"), token)

    def make_key(self, api: str, username: str, password: str) -> tuple[str, str]:
        """Make a key for a person; return the access key and its secret.

        Raises:
            ServerError: name and password are not accepted, or this account may not make keys.
        """
        if ":" in username:
            raise InputError(f"--username: {username!r} has a colon, which no login name has.")
        try:
            account = self.login(api, username, password)
        except ServerError as error:
            if error.reason != "wrong_key":
                raise
            raise self._no_person(api, username) from error
        label = f"clearml-platform init on {socket.gethostname()}"
        answer = self._send("POST", f"{api}/auth.create_credentials", token=account.token, content={"label": label})
        made = self._data(answer, api, "auth.create_credentials", username)["credentials"]
        return str(made["access_key"]), str(made["secret_key"])

    def revoke(self, api: str, access_key: str, secret_key: str) -> None:
        """Take back a key that was made in vain; a server that is gone keeps it."""
        try:
            self._send(
                "POST",
                f"{api}/auth.revoke_credentials",
                auth=(access_key, secret_key),
                content={"access_key": access_key},
            )
        except PlatformError as error:
            print(f"warning: the key {access_key} stays on the server: {error}", file=sys.stderr)

    def _no_person(self, api: str, username: str) -> ServerError:
        modes = _json(self._send("GET", f"{api}/login.supported_modes")).get("data") or {}
        if not (modes.get("basic") or {}).get("enabled", True):
            return ServerError(
                f"The server {api} has no passwords: make a key in the web application, and give it with --access-key "
                "and --secret-key.",
                reason="no_passwords",
            )
        return ServerError(
            f"The server {api} does not accept the name {username!r} with this password: try them in the web "
            "application, or ask your operators.",
            reason="wrong_password",
        )

    def _service(self, url: str, name: str, where: str) -> str | None:
        """Return which service answers at an address, by the name of its setting."""
        answer = self._send("GET", f"{url}/debug.ping")
        if isinstance((_json(answer).get("meta") or {}).get("endpoint"), dict):
            return "api_host"
        self._check_redirect(answer, url, name, where)
        if answer.status_code >= 500:
            raise ServerError(
                f"{where}: {url} answers, but the server behind it does not (status {answer.status_code}): "
                "it is starting or down, so try again in a minute.",
                reason="not_ready",
            )
        if answer.status_code == 400 and url.startswith("http://") and _speaks_tls(url):
            raise _other_scheme(url, where)
        if self._send("GET", f"{url}/").text.strip() == "OK":
            return "files_host"
        version = self._send("GET", f"{url}/version.json")
        return "web_host" if "version" in _json(version) or "clearml" in answer.text.lower() else None

    def _check_redirect(self, answer: requests.Response, url: str, name: str, where: str) -> None:
        if not answer.is_redirect or name == "web_host":
            return
        target = answer.headers.get("Location", "")
        host = urlsplit(url).hostname
        if url.startswith("http://") and target.startswith("https://") and urlsplit(target).hostname == host:
            right = target.removesuffix("/debug.ping").rstrip("/")
            raise InputError(f"{where}: {url} only redirects to https: give {right} instead.", reason="wrong_scheme")
        raise InputError(
            f"{where}: {url} redirects to {target[:200]}, where programs cannot follow: give the address of "
            f"{SERVICES[name]} itself.",
            reason="not_clearml",
        )

    def _instead(self, url: str, name: str, found: str) -> str:
        """Return where the service that was meant is, if it is at a usual place beside the one that was found."""
        candidates = [neighbour(url, found, name)]
        if name == "api_host":
            candidates.append(f"{url}/api")
        for candidate in filter(None, candidates):
            if self._is(candidate, name):
                return f": that is {candidate}"
        return ""

    def _is(self, url: str, name: str) -> bool:
        try:
            return self._service(url, name, url) == name
        except PlatformError:
            return False

    def _data(self, answer: requests.Response, api: str, endpoint: str, username: str = "") -> dict[str, Any]:
        """Return the data of an answer of the API."""
        content = _json(answer)
        meta = content.get("meta") or {}
        if answer.status_code == 200 and isinstance(content.get("data"), dict):
            return dict(content["data"])
        if answer.status_code == 401 and meta:
            raise ServerError(
                f"The server {api} does not know this access key with this secret: make a new one in the web "
                "application (Settings, Workspace), or ask your operators.",
                reason="wrong_key",
            )
        if (meta.get("result_code"), meta.get("result_subcode")) == PROTECTED:
            raise ServerError(
                f"{username!r} is a service account (protected identity), whose key stands in the server's "
                "configuration and which makes no others: give that key with --access-key and --secret-key, or name a "
                "person with --username.",
                reason="protected_identity",
            )
        said = str(meta.get("result_msg") or f"status {answer.status_code}").rstrip(".")
        raise ServerError(f"The server {api} refused {endpoint}: {said}.", reason="refused")

    def _send(
        self,
        method: str,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        content: Mapping[str, str] | None = None,
    ) -> requests.Response:
        import requests

        # As bytes: a password may have letters that are not in Latin 1.
        pair = requests.auth.HTTPBasicAuth(auth[0].encode(), auth[1].encode()) if auth else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with warnings.catch_warnings():
                # Whoever switched verification off in clearml.conf knows.
                warnings.simplefilter("ignore")
                return requests.request(
                    method,
                    url,
                    auth=pair,
                    headers=headers,
                    json=content,
                    timeout=(self._patience / 2, self._patience),
                    verify=self._verify,
                    allow_redirects=False,
                )
        except (requests.RequestException, OSError, ValueError) as error:
            raise self._explained(error, url) from error

    def _explained(self, error: Exception, url: str) -> PlatformError:
        """Return what a failed request means."""
        import requests

        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        chain = list(_chain(error))
        certificate = next((one for one in chain if isinstance(one, ssl.SSLCertVerificationError)), None)
        if certificate:
            return _certificate_problem(certificate, base)
        if "CA certificate bundle" in str(error):
            return InputError(
                f"The file of certificates that REQUESTS_CA_BUNDLE or clearml.conf names cannot be used: {error}.",
                reason="certificate",
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return ServerError(
                f"The proxy of this machine does not reach {base}: correct HTTP_PROXY and HTTPS_PROXY, or name "
                f"{parts.hostname} in NO_PROXY.",
                reason="unreachable",
            )
        if parts.scheme == "https" and _speaks_http(base):
            # Some servers wait for the end of what they take for a request, others break off.
            return _other_scheme(base)
        if isinstance(error, requests.exceptions.SSLError):
            return ServerError(
                f"{base} does not agree on TLS with this machine ({_short(error)}).", reason="certificate"
            )
        if isinstance(error, requests.exceptions.Timeout):
            return ServerError(
                f"{base} does not answer: see whether a firewall is in between, and whether the port is the right one.",
                reason="unreachable",
            )
        if any(isinstance(one, socket.gaierror) for one in chain) or "NameResolution" in str(error):
            return ServerError(
                f"The name {parts.hostname} is not known here: see that it is spelled right, and that the network "
                "(VPN) is up.",
                reason="unreachable",
            )
        if any(isinstance(one, ConnectionRefusedError) for one in chain):
            return ServerError(
                f"Nothing listens at {base}: see that the server is up and the port the right one.",
                reason="unreachable",
            )
        if parts.scheme == "http" and _speaks_tls(base):
            return _other_scheme(base)
        return ServerError(f"{base} cannot be reached ({_short(error)}).", reason="unreachable")


def _compare_clocks(answer: requests.Response, api: str) -> None:
    """Refuse a clock with which tokens expire at once and curves lie in another hour."""
    try:
        there = parsedate_to_datetime(answer.headers["Date"])
        seconds = (datetime.now(timezone.utc) - there).total_seconds()
    except (KeyError, TypeError, ValueError):
        return
    if abs(seconds) > SKEW:
        raise PlatformError(
            f"The clock of this machine is {_span(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} that of "
            f"{api}: set the one that is wrong (timedatectl set-ntp true), for experiments would have wrong times.",
            reason="clock",
        )


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _certificate_problem(error: ssl.SSLCertVerificationError, base: str) -> ServerError:
    said = error.verify_message
    if "ostname mismatch" in said or "not valid for" in said:
        advice = f"it is for another name than {urlsplit(base).hostname}: use the name that it is for"
    elif "expired" in said or "not yet valid" in said:
        today = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
        advice = f"{said}, by the clock of this machine ({today}): renew it on the server, or set the clock"
    else:
        advice = f"{said}: name the file of its authority in REQUESTS_CA_BUNDLE, or ask your operators for it"
    return ServerError(f"The certificate of {base} cannot be trusted: {advice}.", reason="certificate")


def _other_scheme(url: str, where: str = "") -> InputError:
    """Return that an address has the other one of http and https."""
    scheme = urlsplit(url).scheme
    right = "http" if scheme == "https" else "https"
    return InputError(
        f"{where}{': ' if where else ''}{url} speaks {right}, not {scheme}: give {right}{url[len(scheme) :]} instead.",
        reason="wrong_scheme",
    )


def _speaks_tls(url: str) -> bool:
    """Say whether TLS is spoken at an address; who it is does not matter, nothing is sent."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except OSError:
        return False


def _speaks_http(url: str) -> bool:
    """Say whether plain HTTP is spoken at an address that was meant for TLS."""
    import requests

    parts = urlsplit(url)
    try:
        port = "" if parts.port else ":443"
        answer = requests.get(f"http://{parts.netloc}{port}/debug.ping", timeout=5, allow_redirects=False)
        # 400 is what servers of TLS say to this.
        return answer.status_code != 400
    except (requests.RequestException, OSError):
        return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was made of."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or one in seen:
            continue
        seen.append(one)
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None)]
        waiting += [part for part in one.args if isinstance(part, BaseException)]


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _payload(token: str) -> dict[str, Any]:
    """Return what a token says. It is not verified: the server that gave it was asked."""
    try:
        middle = token.split(".")[1]
        content = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _short(error: Exception) -> str:
    last = list(_chain(error))[-1]
    return str(last)[-200:].strip(" .") or type(last).__name__
