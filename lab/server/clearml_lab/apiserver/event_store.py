"""Events in Elasticsearch: one index a type and company, written at once and readable at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from elasticsearch import NotFoundError
from elasticsearch.helpers import bulk, scan

from .call import Call

SCALAR, LOG, PLOT, IMAGE = "training_stats_scalar", "log", "plot", "training_debug_image"
TYPES = (SCALAR, "training_stats_vector", IMAGE, PLOT, LOG)
SINGLE_VALUE = -(2**31)
ID_FIELDS = ("task", "iter", "metric", "variant", "key")


def index_name(company: str, kind: str) -> str:
    """Return the index of one event type."""
    return f"events-{kind}-{company.lower()}"


def event_id(event: dict[str, Any]) -> str:
    """Return the id that makes a later report of the same point replace the earlier one."""
    text = "-".join(str(event[field]) for field in ID_FIELDS if field in event)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def delete(call: Call, entities: Sequence[str]) -> set[str]:
    """Delete all events of tasks and models; return the URLs of the images that they mention.

    The lab's Elasticsearch has no delete by query, so the ids are read first.
    """
    if not entities:
        return set()
    client, urls = call.server.events, set()
    query = {"query": {"terms": {"task": list(entities)}}, "_source": ["url", "source_urls"]}
    for kind in TYPES:
        index = index_name(call.company, kind)
        try:
            hits = list(scan(client, query=query, index=index))
        except NotFoundError:
            continue
        for hit in hits:
            source = hit.get("_source", {})
            urls |= {url for url in (source.get("url"), *source.get("source_urls", [])) if url}
        bulk(
            client,
            ({"_op_type": "delete", "_index": index, "_id": hit["_id"]} for hit in hits),
            refresh=True,
            raise_on_error=False,
        )
    return urls
