"""Index templates: how Elasticsearch stores events and statistics. They are put again at every boot."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch

SETTINGS = {"number_of_replicas": 0, "number_of_shards": 1}
KEYWORD, DATE, FLOAT, INTEGER = ({"type": kind} for kind in ("keyword", "date", "float", "integer"))
HIDDEN_TEXT = {"type": "text", "index": False}

EVENT = {
    "@timestamp": DATE,
    "timestamp": DATE,
    **dict.fromkeys(("task", "type", "worker", "metric", "variant", "company_id"), KEYWORD),
    "iter": {"type": "long"},
    "value": FLOAT,
    "model_event": {"type": "boolean"},
}
EVENT_TYPES: dict[str, dict[str, Any]] = {
    "log": {"msg": HIDDEN_TEXT, "level": KEYWORD},
    "plot": {"plot_str": HIDDEN_TEXT, "plot_data": {"type": "binary"}},
    "training_debug_image": {"key": KEYWORD, "url": KEYWORD},
    "training_stats_scalar": {},
}
STATISTICS: dict[str, dict[str, Any]] = {
    "worker_stats": {
        "timestamp": DATE,
        **dict.fromkeys(("worker", "category", "metric", "variant", "unit", "task", "company_id"), KEYWORD),
        "value": FLOAT,
    },
    "queue_metrics": {
        "timestamp": DATE,
        **dict.fromkeys(("queue", "company_id"), KEYWORD),
        "average_waiting_time": FLOAT,
        "queue_length": INTEGER,
    },
}


def apply(client: Elasticsearch) -> None:
    """Put all templates."""
    common = {"settings": SETTINGS, "mappings": {"properties": EVENT}}
    client.cluster.put_component_template(name="events_common", template=common)
    for kind, properties in EVENT_TYPES.items():
        client.indices.put_index_template(
            name=f"events_{kind}",
            index_patterns=f"events-{kind}-*",
            template={"mappings": {"properties": properties}},
            priority=500,
            composed_of=["events_common"],
        )
    for name, properties in STATISTICS.items():
        client.indices.put_index_template(
            name=name,
            index_patterns=f"{name}_*",
            template={"settings": SETTINGS, "mappings": {"properties": properties}},
        )
