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
    """Delete all events of tasks and models; return the URLs of the images that they mention."""
    urls: set[str] = set()
    if entities:
        delete_where(call, TYPES, [{"terms": {"task": list(entities)}}], urls)
    return urls


def delete_where(
    call: Call, kinds: Sequence[str], conditions: Sequence[dict[str, Any]], urls: set[str] | None = None
) -> int:
    """Delete the events that meet all conditions; return how many, and add the URLs that they mention to `urls`.

    The lab's Elasticsearch has no delete by query, so the ids are read first.
    """
    client, deleted = call.server.events, 0
    query = {"query": {"bool": {"must": list(conditions)}}, "_source": ["url", "source_urls"]}
    for kind in kinds:
        index = index_name(call.company, kind)
        try:
            hits = list(scan(client, query=query, index=index))
        except NotFoundError:
            continue
        if urls is not None:
            found = [hit.get("_source", {}) for hit in hits]
            urls.update(url for source in found for url in (source.get("url"), *source.get("source_urls", [])) if url)
        actions = ({"_op_type": "delete", "_index": index, "_id": hit["_id"]} for hit in hits)
        bulk(client, actions, refresh=True, raise_on_error=False)
        deleted += len(hits)
    return deleted
