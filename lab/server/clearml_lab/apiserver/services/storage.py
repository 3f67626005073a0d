"""storage.*: a company's keys for object stores. Kept and shown; nothing here ever uses them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from ...stores import now
from ..call import Call
from ..document_types import document, listed, text, validate
from ..errors import error
from ..fields import Field, Structure
from ..registry import endpoint


def _texts(names: str) -> tuple[Field, ...]:
    return tuple(Field(name) for name in names.split())


def _flags(names: str) -> tuple[Field, ...]:
    return tuple(Field(name, "bool") for name in names.split())


AWS_BUCKET = Structure(
    "AWSBucketSettings",
    (
        *_texts("bucket subdir host key secret token acl region"),
        *_flags("multipart secure verify use_credentials_chain"),
    ),
)
GOOGLE_BUCKET = Structure("GoogleBucketSettings", _texts("bucket subdir project credentials_json"))
AZURE_CONTAINER = Structure("AzureContainerSettings", _texts("account_name account_key container_name"))
SETTINGS = (
    Field(
        "aws",
        shape=Structure(
            "AWSSettings",
            (
                *_texts("key secret region token"),
                *_flags("use_credentials_chain"),
                Field("buckets", "list", of=AWS_BUCKET),
            ),
        ),
    ),
    Field(
        "google",
        shape=Structure(
            "GoogleSettings", (*_texts("project credentials_json"), Field("buckets", "list", of=GOOGLE_BUCKET))
        ),
    ),
    Field("azure", shape=Structure("AzureSettings", (Field("containers", "list", of=AZURE_CONTAINER),))),
)
STORES = tuple(field.name for field in SETTINGS)
CONTAINER_TYPE = document(
    "AzureStorageContainerSettings",
    "account_name account_key",
    account_name=text,
    account_key=text,
    container_name=text,
)
# What is shown of each, with its value when it is not set.
AWS = {"key": None, "secret": None, "token": None, "region": None, "use_credentials_chain": False}
AWS_UNSET = {"key": "", "secret": "", "token": "", "region": "", "use_credentials_chain": False, "buckets": []}
AWS_BUCKET_SHOWN = {
    **dict.fromkeys(("bucket", "subdir", "host", "key", "secret", "token"), ""),
    "multipart": True,
    "acl": "",
    "secure": True,
    "region": "",
    "verify": True,
    "use_credentials_chain": False,
    "extra_args": None,
    "profile": "",
}
GOOGLE_BUCKET_SHOWN = {
    "bucket": None,
    "subdir": "",
    "project": None,
    "credentials_json": None,
    "pool_connections": None,
    "pool_maxsize": None,
}
AZURE_CONTAINER_SHOWN = {
    "account_name": None,
    "account_key": None,
    "container_name": None,
    "use_default_credential": False,
}


@endpoint("storage.get_settings")
def get_settings(call: Call) -> dict[str, Any]:
    """Return the company's settings."""
    stored = call.mongo.storage_settings.get({"company": call.company}) or {}
    google, azure = stored.get("google") or {}, stored.get("azure") or {}
    settings = {
        "aws": _aws(stored["aws"]) if stored.get("aws") is not None else AWS_UNSET,
        "google": {
            "project": google.get("project"),
            "credentials_json": google.get("credentials_json") or None,
            "buckets": [_google_bucket(item) for item in google.get("buckets") or []],
        },
        "azure": {"containers": [{**AZURE_CONTAINER_SHOWN, **item} for item in azure.get("containers") or []]},
        "last_update": stored.get("last_update"),
    }
    return {"settings": settings}


@endpoint("storage.set_settings", *SETTINGS)
def set_settings(call: Call) -> dict[str, Any]:
    """Replace the settings of some kinds of stores."""
    given = {name: call.data[name] for name in STORES if call.data[name] is not None}
    credentials = given.get("google", {}).get("credentials_json")
    if credentials:
        try:
            json.loads(credentials)
        except ValueError as ex:
            raise error("validation_error", f"Invalid json credentials: {ex}") from None
    if not given:
        raise error("validation_error", "No settings were provided")
    validate({"containers": listed(CONTAINER_TYPE)}, given.get("azure", {}))
    table = call.mongo.storage_settings
    with table.lock:
        known = table.get({"company": call.company}, ["_id"])
        identifier = known["_id"] if known else uuid.uuid4().hex
        change = {"company": call.company, "last_update": now(), **given}
        table.update(identifier, {"$set": change}, upsert=True)
    return {"updated": 1}


@endpoint("storage.reset_settings", Field("keys", "list", of="str"))
def reset_settings(call: Call) -> dict[str, Any]:
    """Forget the settings of some kinds of stores."""
    keys = call.data["keys"] or []
    for key in keys:
        if key not in STORES:
            raise error("validation_error", f"error for field 'keys': value '{key}' is not a valid choice..")
    change: dict[str, Any] = {"$set": {"last_update": now()}}
    if keys:
        change["$unset"] = dict.fromkeys(keys, 1)
    return {"updated": call.mongo.storage_settings.update({"company": call.company}, change)}


def _aws(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for S3 as they are shown: without buckets that have no keys."""
    buckets = [{**AWS_BUCKET_SHOWN, **_set(item)} for item in stored.get("buckets") or []]
    usable = [_stripped(item) for item in buckets if (item["key"] and item["secret"]) or item["use_credentials_chain"]]
    return {**AWS, **{name: stored[name] for name in AWS if stored.get(name) is not None}, "buckets": usable}


def _google_bucket(stored: Mapping[str, Any]) -> dict[str, Any]:
    shown = {**GOOGLE_BUCKET_SHOWN, **_set(stored)}
    return {**shown, "subdir": shown["subdir"].strip("\"'").rstrip("/")}


def _stripped(bucket: dict[str, Any]) -> dict[str, Any]:
    return {**bucket, **{name: bucket[name].strip("\"'").rstrip("/") for name in ("bucket", "subdir")}}


def _set(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if value is not None}
