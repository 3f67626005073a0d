"""Who logs in where: find the values, try them against the server, and write them into clearml.conf."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clearml_platform import conf
from clearml_platform.addresses import ADDRESSES, OPTIONS, SERVICES, address, neighbour, option, words
from clearml_platform.command import print_json
from clearml_platform.errors import InputError, PlatformError
from clearml_platform.probe import Account, Client

VARIABLES = {
    "api_host": "CLEARML_API_HOST",
    "web_host": "CLEARML_WEB_HOST",
    "files_host": "CLEARML_FILES_HOST",
    "access_key": "CLEARML_API_ACCESS_KEY",
    "secret_key": "CLEARML_API_SECRET_KEY",
}
PASSWORD = "CLEARML_PASSWORD"  # noqa: S105 (the name of a variable)
# Where the role clearml_access leaves the operator's files on the server's host.
LEFT_BY_ANSIBLE = Path("/opt/clearml/client")
Place = tuple[str, Mapping[str, str]]
HOW = f"""How to get an address and a key:

  With a browser    In the web application: Settings, Workspace, "Create new credentials". Then
                      clearml-platform init --api-host http://clearml.example.com:8008 --access-key KEY --secret-key SECRET
  With a password   A key of your own is made for you; the password is asked for, or read from {PASSWORD}:
                      clearml-platform init --api-host http://clearml.example.com:8008 --username anna
  From Ansible      On the server's host, as root, or with a copy of {LEFT_BY_ANSIBLE}/credentials.json:
                      clearml-platform init --from {LEFT_BY_ANSIBLE}
  In CI             {", ".join(VARIABLES.values())}
                    in the environment. They need no file, and `clearml-platform init --check` tests them.

--web-host and --files-host are found from the API's address when they have the usual names or ports
(api., app., files.; 8008, 8080, 8081). scripts/clearml/init_clearml.py has the same options.
"""  # noqa: E501


@dataclass(frozen=True)
class Connection:
    """Addresses and a key. ``sources`` says where each came from."""

    api_host: str
    web_host: str
    files_host: str
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    sources: Mapping[str, str] = field(default_factory=dict)

    def with_key(self, access_key: str, secret_key: str) -> Connection:
        """Return the same addresses with another key."""
        return Connection(self.api_host, self.web_host, self.files_host, access_key, secret_key, self.sources)

    def addresses(self) -> dict[str, str]:
        """Return the three addresses."""
        return {name: str(getattr(self, name)) for name in ADDRESSES}

    def values(self) -> dict[str, str]:
        """Return what is written into clearml.conf."""
        return {name: str(getattr(self, name)) for name in VARIABLES}


@dataclass(frozen=True)
class Written:
    """What ``init`` did. ``backup`` is the copy of the former file; ``notes`` is what else the user should know."""

    path: Path
    backup: Path | None
    connection: Connection
    account: Account
    notes: tuple[str, ...]


def init(
    given: Mapping[str, str | None] | None = None,
    *,
    username: str | None = None,
    password: str | None = None,
    left: Path | None = None,
    output: Path | None = None,
) -> Written:
    """Log in, and write clearml.conf. Whatever fails, the file stays as it was.

    Args:
        given: ``api_host``, ``web_host``, ``files_host``, ``access_key`` and ``secret_key``, those that are known. The
            others come from the environment, then from ``left``, and addresses from ``output`` as it is.
        username: A person for whom a key is made.
        password: The password of this person.
        left: The file that Ansible left, or its folder; None for where the role leaves it on the server's host.
        output: The file to write; None for the one that the SDK reads.

    Raises:
        InputError: a value is missing or wrong.
        ServerError: the server does not answer, or does not let this account in.
        PlatformError: this machine's clock is wrong, or the file cannot be written.
    """
    path = (output or conf.path_in_force()).expanduser()
    conf.check_writable(path)
    text = conf.current(path)
    settings = conf.parse(text, path) if text.strip() else {}
    connection = gather(given or {}, conf.values(settings), path, left=left, with_key=username is None)
    client = Client(conf.verification(settings))
    client.check_services(connection.addresses(), connection.sources)
    made = None
    if username is not None:
        made = client.make_key(connection.api_host, username, password or "")
        connection = connection.with_key(*made)
    try:
        account = client.login(connection.api_host, connection.access_key, connection.secret_key)
        backup = conf.write(path, conf.merged(text, connection.values(), path))
    except BaseException:
        if made:
            client.revoke(connection.api_host, *made)
        raise
    return Written(path, backup, connection, account, tuple(_notes(path, connection)))


def check() -> tuple[Connection, Account]:
    """Log in with what the SDK would use now, and look at all three services. Nothing is changed.

    Raises:
        InputError: a value is missing or wrong.
        ServerError: the server does not answer, or does not let this account in.
        PlatformError: this machine's clock is wrong.
    """
    path = conf.path_in_force()
    settings = conf.read(path) if path.exists() else {}
    filed = {name: (value, str(path)) for name, value in conf.values(settings).items()}
    found = {**filed, **{name: (value, f"{VARIABLES[name]}") for name, value in _environment().items()}}
    if not found:
        raise InputError(
            f"There is no {path}, and none of {', '.join(VARIABLES.values())} is set: run `clearml-platform init`.",
            reason="no_values",
        )
    for name in ("api_host", "access_key", "secret_key"):
        if name not in found:
            raise InputError(
                f"Neither {path} nor {VARIABLES[name]} says the {words(name)}: run `clearml-platform init`.",
                reason="no_values",
            )
    connection = _connection({name: value for name, (value, _) in found.items()}, {n: s for n, (_, s) in found.items()})
    client = Client(conf.verification(settings))
    client.check_services(connection.addresses(), connection.sources)
    return connection, client.login(connection.api_host, connection.access_key, connection.secret_key)


def gather(
    given: Mapping[str, str | None],
    existing: Mapping[str, str],
    path: Path,
    *,
    left: Path | None = None,
    with_key: bool = True,
) -> Connection:
    """Find the values: each from the first place that has it, of options, environment, file of Ansible, former file.

    Once a place said where the API is, places behind it are not asked for addresses: theirs may be another server's.
    A key and its secret always come from one place.
    """
    options: Place = (OPTIONS, {name: value for name, value in given.items() if value})
    environment: Place = ("the environment", _environment())
    filed = _left(left)
    # A file that is named goes before what happens to be set. One that is just there is for its own server alone: its
    # key is not sent to another one.
    places = [options, filed, environment] if left else [options, environment]
    chosen = next((values["api_host"] for _, values in places if "api_host" in values), None)
    if not left and chosen in (None, filed[1].get("api_host")):
        places.append(filed)
    places.append((str(path), {name: value for name, value in existing.items() if name in ADDRESSES}))
    found: dict[str, str] = {}
    sources: dict[str, str] = {}
    for source, values in places:
        for name in ADDRESSES if "api_host" not in found else ():
            if name in values and name not in found:
                found[name], sources[name] = values[name], source
    if with_key:
        keys = ("access_key", "secret_key")
        source, key = next((one for one in places if any(name in one[1] for name in keys)), ("", dict[str, str]()))
        for name in keys:
            if name in key:
                found[name], sources[name] = key[name], source
            elif key:
                raise InputError(
                    f"Of the key, {source} lacks the {words(name)}: give {option(name)} or {VARIABLES[name]} with it.",
                    reason="no_values",
                )
    if "api_host" not in found and (not with_key or "access_key" not in found):
        raise InputError("Nothing says where the server is and who logs in.", reason="no_values")
    if "api_host" not in found:
        raise InputError(
            f"The address of the API is missing: give --api-host or {VARIABLES['api_host']}.", reason="no_values"
        )
    if with_key and "access_key" not in found:
        raise InputError(
            f"There is no key for {found['api_host']}: give --access-key and --secret-key, or --username.",
            reason="no_values",
        )
    return _connection(found, sources)


def command(
    given: Mapping[str, str | None],
    *,
    username: str | None = None,
    left: Path | None = None,
    output: Path | None = None,
    only_check: bool = False,
    as_json: bool = False,
) -> int:
    """Do what the script and the command ``init`` do, and print what came out of it. No secret is printed."""
    try:
        if only_check:
            if username or left or output or any(given.values()):
                raise InputError("--check tests what is in force: leave out the other options, but --json.")
            connection, account = check()
            written = None
        else:
            if username is not None and any(given.get(name) for name in ("access_key", "secret_key")):
                raise InputError("--username makes a key: leave out --access-key and --secret-key.")
            password = _password(username) if username is not None else None
            written = init(given, username=username, password=password, left=left, output=output)
            connection, account = written.connection, written.account
    except PlatformError as error:
        if as_json:
            how = {"how": HOW} if error.reason == "no_values" else {}
            print_json({"ok": False, "reason": error.reason or "wrong_input", "message": str(error), **how})
        elif error.reason == "no_values" and not only_check:
            print(HOW)
        raise
    if as_json:
        report: dict[str, object] = {"ok": True, **connection.addresses()}
        report |= {"user": account.name, "server_version": account.server_version, "sources": connection.sources}
        if written:
            report |= {"file": written.path, "backup": written.backup, "notes": written.notes}
        print_json(report)
        return 0
    print(f"Logged in to {connection.api_host} (ClearML {account.server_version}) as {account.name}.")
    print(f"Web application: {connection.web_host}\nFiles: {connection.files_host}")
    if written:
        kept = f"; what was there before is in {written.backup}" if written.backup else ""
        print(f"Written: {written.path} (mode 0600){kept}.")
        for note in written.notes:
            print(f"note: {note}", file=sys.stderr)
    return 0


def _password(username: str) -> str:
    password = os.environ.get(PASSWORD)
    if password:
        return password
    if not sys.stdin.isatty():
        raise InputError(f"--username: there is no terminal to ask for the password: set {PASSWORD}.")
    return getpass.getpass(f"Password of {username}: ")


def _environment() -> dict[str, str]:
    return {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}


def _left(path: Path | None) -> Place:
    """Return the file that Ansible left, and what it says; one that is not asked for may be missing, or closed."""
    asked = path is not None
    place = (path or LEFT_BY_ANSIBLE).expanduser()
    try:
        file = place
        if place.is_dir():
            file = next((one for one in (place / "credentials.json", place / "clearml.conf") if one.is_file()), place)
        if not file.is_file():
            if asked:
                raise InputError(
                    f"--from: there is no credentials.json and no clearml.conf at {place}.", reason="bad_file"
                )
            return str(file), {}
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if not asked:
            return str(place), {}
        why = getattr(error, "strerror", None) or "it is no text"
        raise InputError(
            f"--from: {place} cannot be read ({why}): is it readable by root alone?", reason="bad_file"
        ) from error
    if file.suffix == ".json":
        try:
            content = json.loads(text)
            return str(file), {name: str(content[name]) for name in VARIABLES if content.get(name)}
        except (ValueError, AttributeError):
            raise InputError(
                f"--from: {file} is not the credentials.json that Ansible writes.", reason="bad_file"
            ) from None
    return str(file), conf.values(conf.parse(text, file))


def _connection(found: Mapping[str, str], sources: Mapping[str, str]) -> Connection:
    """Return a connection with addresses that were looked at, those that are missing guessed from the API's."""
    known = {name: address(found[name], name, sources[name]) for name in ADDRESSES if name in found}
    for name in ADDRESSES:
        if name not in known:
            guess = neighbour(known["api_host"], "api_host", name)
            if guess is None:
                raise InputError(
                    f"The address of {SERVICES[name]} does not follow from {known['api_host']}: give {option(name)} "
                    f"or {VARIABLES[name]}.",
                    reason="no_values",
                )
            known[name] = guess
    keys = {name: found.get(name, "").strip() for name in ("access_key", "secret_key")}
    return Connection(**known, **keys, sources=dict(sources))


def _notes(path: Path, connection: Connection) -> Iterator[str]:
    """Yield why the SDK would not use what was written."""
    for name, value in _environment().items():
        if value.rstrip("/") != getattr(connection, name):
            yield f"{VARIABLES[name]} is set to something else, and wins over the file: unset it."
    force = conf.path_in_force()
    if force.resolve() != path.resolve():
        yield f"The SDK reads {force}: set CLEARML_CONFIG_FILE={path} for this file."
