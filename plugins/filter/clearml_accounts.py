"""The filters account_problems, account_secrets and account_config: who may log in, as an inventory says it."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    import bcrypt
except ImportError:  # pragma: no cover
    bcrypt = None  # type: ignore[assignment]

USERS = "clearml_access_users"
ACCOUNTS = "clearml_access_service_accounts"
PASSWORD_LENGTH, SALT_LENGTH, KEY_LENGTH, SECRET_LENGTH = 24, 22, 30, 60
# The server's own entries of secure.credentials, and what its own secrets begin with.
RESERVED = ("apiserver", "fileserver", "webserver", "services_agent", "tests", "session", "token")
# What HOCON, .env files and shells take for something else than a letter of a password.
TRAPS = "#$\"'`\\"

# bcrypt's own order of the base64 digits.
_DIGITS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _normalize(salt: str) -> str:
    """Return the salt with the last digit that bcrypt would write: of its six bits only the upper two count."""
    return salt[:-1] + _DIGITS[_DIGITS.index(salt[-1]) & 0b110000]


def bcrypt_hash(password: object, salt: object, rounds: int = 12) -> str:
    """Return base64 of the bcrypt hash of ``password``. The same salt always gives the same hash."""
    if bcrypt is None:
        raise AnsibleFilterError("bcrypt_hash needs the Python package bcrypt on the controller: see requirements.txt.")
    if not isinstance(password, str):
        raise AnsibleFilterError(
            f"bcrypt_hash: the password is of type {type(password).__name__}: it must be a string (quote digits)."
        )
    if not isinstance(salt, str) or not re.fullmatch(r"[A-Za-z0-9./]{22}", salt):
        raise AnsibleFilterError("bcrypt_hash: the salt must be 22 letters, digits, dots or slashes.")
    if not isinstance(rounds, int) or not 4 <= rounds <= 31:
        raise AnsibleFilterError(f"bcrypt_hash: rounds is {rounds}: it must be a whole number from 4 to 31.")
    secret = password.encode()
    if not secret or b"\0" in secret or len(secret) > 72:
        raise AnsibleFilterError(
            "bcrypt_hash: the password must have 1 to 72 bytes in UTF-8 and no NUL: bcrypt ignores what is beyond."
        )
    hashed = bcrypt.hashpw(secret, f"$2b${rounds:02}${_normalize(salt)}".encode())
    return base64.b64encode(hashed).decode()


# -- what is wrong


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _entries(variable: str, value: object, known: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the form of a list of people or accounts, so that the rest may rely on it."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        yield f"{variable} is of type {type(value).__name__}: it must be a list of mappings."
        return
    for number, entry in enumerate(value):
        where = f"{variable}[{number}]"
        if not isinstance(entry, Mapping):
            yield f"{where} is {entry}: it must be a mapping of {', '.join(known)}."
            continue
        for key in entry:
            if key not in known:
                yield f"{where} has {key}: known are {', '.join(known)}."


def _repeated(variable: str, key: str, values: Sequence[object]) -> Iterator[str]:
    for value, times in Counter(map(str, values)).items():
        if times > 1:
            yield f"{variable} has {key} {value} {times} times: it must be unique."


def _password(where: str, value: object) -> Iterator[str]:
    """Yield what is wrong with a password, without the password."""
    if not isinstance(value, str):
        yield f"{where} is of type {type(value).__name__}: it must be a string (put it in quotes)."
    elif trap := next((sign for sign in value if sign in TRAPS or not "!" <= sign <= "~"), ""):
        yield (
            f"{where} has {'a blank' if trap == ' ' else trap if trap in TRAPS else 'a sign that is no ASCII'} in it: "
            f"it must be 8 to 72 letters, digits and signs, but none of {' '.join(TRAPS)}, "
            "which configuration files and shells take for something else."
        )
    elif not 8 <= len(value) <= 72:
        yield f"{where} has {len(value)} characters: it must have 8 to 72."


def _hash(value: object) -> str | None:
    """Return a bcrypt hash as the server wants it, in base64; None when it is none."""
    text = str(value)
    if not text.startswith("$"):
        try:
            text = base64.b64decode(text, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
    return (
        base64.b64encode(text.encode()).decode() if re.fullmatch(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}", text) else None
    )


def _key(where: str, value: object) -> Iterator[str]:
    """Yield what is wrong with a key or its secret, without it."""
    wanted = "it must be a string of at least 16 letters, digits, dashes and underscores, not of digits alone"
    if not isinstance(value, str):
        yield f"{where} is of type {type(value).__name__}: {wanted} (put it in quotes)."
    elif value.isdigit():
        yield f"{where} is of digits alone: {wanted}."
    elif bad := re.search(r"[^A-Za-z0-9_-]", value):
        yield f"{where} has {bad[0]} in it: {wanted}."
    elif len(value) < 16:
        yield f"{where} has {len(value)} characters: {wanted}."


def _user_problems(users: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not users:
        yield f"{USERS} is empty: it must have one person at least, the first is the operator."
    for number, user in enumerate(users):
        where = f"{USERS}[{number}]"
        username = user.get("username")
        if not isinstance(username, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]*", username):
            yield (
                f"{where}.username is {username}: it must be a string of letters, digits, dots, dashes, underscores "
                "and at signs, beginning with a letter or digit."
            )
        if not _text(user.get("name")):
            yield f"{where}.name is {user.get('name')}: it must be the name to show for {username}, a string."
        if "password" in user and "password_hash" in user:
            yield f"{where} ({username}) has both password and password_hash: it must have one of them, or neither."
        if "password" in user:
            yield from _password(f"{where}.password ({username})", user["password"])
        if "password_hash" in user and not _hash(user["password_hash"]):
            yield (
                f"{where}.password_hash ({username}) is no bcrypt hash: it must be one such as $2b$12$ and 53 more "
                "characters, or its base64."
            )
    yield from _repeated(USERS, "the username", [user.get("username") for user in users])


def _account_problems(accounts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, account in enumerate(accounts):
        where = f"{ACCOUNTS}[{number}]"
        name = account.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            yield (
                f"{where}.name is {name}: it must be a string of lower-case letters, digits, dashes and underscores, "
                "beginning with a letter."
            )
        elif name in RESERVED:
            yield f"{where}.name is {name}, which the server needs for itself: use none of {', '.join(RESERVED)}."
        if "display_name" in account and not _text(account["display_name"]):
            yield f"{where}.display_name is {account['display_name']}: it must be a string, what to show for {name}."
        if ("access_key" in account) != ("secret_key" in account):
            yield f"{where} ({name}) has one of access_key and secret_key: it must have both or neither."
        for key in ("access_key", "secret_key"):
            if key in account:
                yield from _key(f"{where}.{key} ({name})", account[key])
    yield from _repeated(ACCOUNTS, "the name", [account.get("name") for account in accounts])
    # Two accounts with one key would be one account; the key itself is not shown.
    owners = [str(account.get("name")) for account in accounts if "access_key" in account]
    keys = [account["access_key"] for account in accounts if "access_key" in account]
    for key in {key for key in keys if keys.count(key) > 1}:
        both = [owner for owner, own in zip(owners, keys, strict=True) if own == key]
        yield f"{ACCOUNTS} gives {' and '.join(both)} the same access_key: it must be unique."


def account_problems(
    users: Any, service_accounts: Any, client_account: object, queues: object, removed_accounts: Any
) -> list[str]:
    """Return a sentence for each thing that is wrong with who may log in."""
    problems = [
        *_entries(USERS, users, ("username", "name", "password", "password_hash")),
        *_entries(ACCOUNTS, service_accounts, ("name", "display_name", "access_key", "secret_key")),
    ]
    for variable, value in (("clearml_access_queues", queues), ("clearml_access_removed_accounts", removed_accounts)):
        if not isinstance(value, Sequence) or isinstance(value, str):
            problems.append(f"{variable} is {value}: it must be a list of names.")
            continue
        problems += [
            f"{variable}[{number}] is {name}: it must be a name, a string of 3 characters or more."
            for number, name in enumerate(value)
            if not _text(name) or len(name) < 3
        ]
    if problems:
        return problems
    problems += [*_user_problems(users), *_account_problems(service_accounts)]
    names = [account.get("name") for account in service_accounts]
    if client_account not in names:
        problems.append(
            f"clearml_access_client_account is {client_account}: it must be one of {ACCOUNTS}, "
            f"which are {', '.join(map(str, names))}."
        )
    usernames = [user.get("username") for user in users]
    problems += [
        f"clearml_access_removed_accounts has {name}, which {USERS if name in usernames else ACCOUNTS} has as well: "
        "take it out of one of them."
        for name in removed_accounts
        if name in usernames or name in names
    ]
    return problems


# -- what follows


def account_secrets(
    users: Sequence[Mapping[str, Any]], service_accounts: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """Return the length of each secret that has to be made, by its name."""
    lengths = {}
    for user in users:
        if "password_hash" in user:
            continue
        lengths[f"{user['username']}_salt"] = SALT_LENGTH
        if "password" not in user:
            lengths[f"{user['username']}_password"] = PASSWORD_LENGTH
    for account in service_accounts:
        if "access_key" not in account:
            lengths |= {f"{account['name']}_key": KEY_LENGTH, f"{account['name']}_secret": SECRET_LENGTH}
    return lengths


def account_config(
    users: Sequence[Mapping[str, Any]], service_accounts: Sequence[Mapping[str, Any]], kept: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the server and its clients have to know of people and accounts. ``kept`` are the secrets made before.

    fixed_users: the list of the server's auth.fixed_users.users, hashed.
    credentials: the server's secure.credentials, an entry for each service account.
    keys: access_key and secret_key of each service account by its name.
    operator: username of the first person, and the password, unless only its hash is known.
    """

    def password(user: Mapping[str, Any]) -> str:
        return str(user.get("password") or kept[f"{user['username']}_password"])

    def hashed(user: Mapping[str, Any]) -> str | None:
        if "password_hash" in user:
            return _hash(user["password_hash"])
        return bcrypt_hash(password(user), kept[f"{user['username']}_salt"])

    keys = {
        account["name"]: {
            "access_key": account.get("access_key") or kept[f"{account['name']}_key"],
            "secret_key": account.get("secret_key") or kept[f"{account['name']}_secret"],
        }
        for account in service_accounts
    }
    operator = {"username": users[0]["username"]}
    if "password_hash" not in users[0]:
        operator["password"] = password(users[0])
    return {
        "fixed_users": [
            {"username": user["username"], "password": hashed(user), "name": user["name"]} for user in users
        ],
        # With the role admin the server could not load them.
        "credentials": {
            account["name"]: {
                "role": "user",
                "display_name": account.get("display_name", account["name"]),
                "user_key": keys[account["name"]]["access_key"],
                "user_secret": keys[account["name"]]["secret_key"],
            }
            for account in service_accounts
        },
        "keys": keys,
        "operator": operator,
    }


class FilterModule:
    """Filters for the role clearml_access."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "account_config": account_config,
            "account_problems": account_problems,
            "account_secrets": account_secrets,
        }
