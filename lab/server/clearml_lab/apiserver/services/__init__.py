"""The endpoints, one module per ClearML service. Importing a module registers its endpoints."""

from . import auth, debug, events, login, projects, queues, server, tasks, users, workers

__all__ = ["auth", "debug", "events", "login", "projects", "queues", "server", "tasks", "users", "workers"]
