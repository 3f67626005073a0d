"""The errors of the ClearML API: status, subcode and message, as clients and log readers know them."""

from __future__ import annotations

from typing import Any

CATALOG = {
    "no_longer_supported": (301, 1, "this endpoint is no longer supported for the requested api version"),
    "request_path_has_invalid_version": (400, 2, "request path has invalid version"),
    "invalid_headers": (400, 5, "invalid headers"),
    "impersonation_error": (400, 6, "impersonation error"),
    "invalid_id": (400, 10, "invalid object id"),
    "missing_required_fields": (400, 11, "missing required fields"),
    "validation_error": (400, 12, "validation error"),
    "invalid_fields": (400, 14, "fields not defined for object"),
    "lookup_error": (400, 14, "lookup error"),
    "fields_conflict": (400, 15, "conflicting fields"),
    "fields_value_error": (400, 16, "invalid value for fields"),
    "batch_contains_no_items": (400, 17, "batch request contains no items"),
    "invalid_regex": (400, 21, "malformed regular expression"),
    "invalid_access_key": (400, 75, "access key not found"),
    "invalid_task_id": (400, 101, "invalid task id"),
    "invalid_task_status": (400, 110, "invalid task status"),
    "failed_changing_task_status": (
        400,
        121,
        "failed changing task status. probably someone changed it before you",
    ),
    "missing_task_fields": (400, 122, "task is missing expected fields"),
    "task_cannot_be_deleted": (400, 123, "task cannot be deleted"),
    "events_not_added": (400, 131, "events not added"),
    "operation_supported_on_reports_only": (400, 150, "passed task is not report"),
    "cannot_remove_all_runs": (400, 160, "at least one pipeline run should be left"),
    "invalid_model_id": (400, 201, "invalid model id"),
    "model_is_ready": (400, 203, "model is ready"),
    "model_in_use": (400, 205, "model is used by tasks"),
    "model_creating_task_exists": (400, 206, "task that created this model exists"),
    "invalid_user": (400, 300, "invalid user"),
    "invalid_user_id": (400, 301, "invalid user id"),
    "user_id_exists": (400, 302, "user id already exists"),
    "invalid_preferences_update": (400, 305, "Malformed key and/or value"),
    "invalid_project_id": (400, 401, "invalid project id"),
    "project_has_tasks": (400, 402, "project has associated tasks"),
    "project_has_models": (400, 405, "project has associated models"),
    "invalid_project_name": (400, 407, "invalid project name"),
    "cannot_update_project_location": (400, 408, "Cannot update project location. use projects.move instead"),
    "project_path_exceeds_max": (400, 409, "Project path exceed the maximum allowed depth"),
    "same_source_and_destination": (400, 410, "Project has the same source and destination paths"),
    "moved_under_itself": (400, 411, "Project can not be moved under itself in the projects hierarchy"),
    "merged_into_its_child": (400, 412, "Project can not be merged into its own child"),
    "invalid_queue_id": (400, 701, "invalid queue id"),
    "queue_not_empty": (400, 702, "queue is not empty"),
    "task_not_in_queue": (400, 703, "invalid queue id or task not in queue"),
    "task_already_queued": (400, 706, "failed adding task to queue since task is already queued"),
    "no_default_queue": (400, 707, "no queue is tagged as the default queue for this company"),
    "several_default_queues": (
        400,
        708,
        "more than one queue is tagged as the default queue for this company",
    ),
    "data_validation_error": (400, 800, "data validation error"),
    "expected_unique_data": (
        400,
        801,
        "value combination already exists (unique field already contains this value)",
    ),
    "invalid_worker_id": (400, 1001, "invalid worker id"),
    "worker_registration_failed": (400, 1002, "worker registration failed"),
    "worker_not_registered": (400, 1004, "worker is not registered"),
    "worker_stats_not_found": (400, 1005, "worker stats not found"),
    "invalid_scroll_id": (400, 1104, "Invalid scroll id"),
    "bad_auth_type": (401, 10, "unauthorized (bad authentication header type)"),
    "no_credentials": (401, 20, "unauthorized (missing credentials)"),
    "bad_credentials": (401, 21, "unauthorized (malformed credentials)"),
    "invalid_credentials": (401, 22, "unauthorized (invalid credentials)"),
    "invalid_token": (401, 30, "invalid token"),
    "role_not_allowed": (403, 20, "forbidden (not allowed for role)"),
    "no_write_permission": (403, 21, "forbidden (modification not allowed)"),
    "internal_error": (500, 1, "internal server error"),
    "low_disk_space": (
        500,
        4,
        "Critical server error! Server reports low or insufficient disk space. Please resolve immediately by"
        " allocating additional disk space or freeing up storage space.",
    ),
    "data_error": (500, 100, "general data error"),
}


class ApiError(Exception):
    """An answer other than 200, in the envelope that every answer has."""

    def __init__(self, status: int, message: str, subcode: int = 0, values: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.subcode = subcode
        self.values = values or {}


def error(name: str, detail: str = "", /, *, title: Any = "", **values: Any) -> ApiError:
    """Return the catalog's error `name`: "Message (detail): key=value, key=value"."""
    status, subcode, default = CATALOG[name]
    text = title or default[0].upper() + default[1:]
    if detail:
        text += f" ({detail})"
    if values:
        text += ": " + ", ".join(f"{key}={_text(value)}" for key, value in values.items())
    return ApiError(status, text, subcode, values)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"({', '.join(map(str, value))})"
    return str(value)
