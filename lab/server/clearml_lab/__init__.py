"""The lab server: a small implementation of the ClearML 2.3 HTTP API, standing in for the image clearml/server."""
