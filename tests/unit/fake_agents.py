"""A fake platform with agents that take tasks off queues and run them, each of which can be broken in one way."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

from .fake_platform import Platform, RefusedError

BUSY = {"id": "a-task-of-somebody", "name": "training"}


class Fleet(Platform):
    """The services, and workers that run what is enqueued at the next look at it."""

    def __init__(self) -> None:
        super().__init__()
        self.queues = ["default", "services", "gpu"]
        self.workers: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, list[str]] = {name: [] for name in self.queues}
        self.consoles: dict[str, list[str]] = {}
        self.lock = threading.RLock()
        self.add_worker("host:default", "default")
        self.add_worker("host:gpu", "gpu", "default")
        # Children of a worker are workers, too.
        self.add_worker("host:default:service:1234")

    def add_worker(self, name: str, *queues: str) -> None:
        """Register a worker."""
        self.workers[name] = {"id": name, "queues": [{"id": f"id of {queue}", "name": queue} for queue in queues]}

    def make_busy(self, *names: str) -> None:
        """Let workers run another task."""
        for name in names:
            self.workers[name]["task"] = BUSY

    def is_empty(self) -> bool:
        """Tell whether nothing is left of a check."""
        return super().is_empty() and not any(self.entries.values())

    def _call(self, endpoint: str, data: Any, role: str | None) -> object:
        with self.lock:
            if endpoint == "workers.get_all":
                return {"workers": list(self.workers.values())}
            if endpoint == "queues.get_all":
                return {"queues": self._only(data, {f"id of {name}": {"name": name} for name in self.queues})}
            if endpoint == "queues.get_num_entries":
                return {"num": len(self.entries[data["queue"].removeprefix("id of ")])}
            if endpoint == "tasks.get_all":
                self._run_all()
                return {
                    "tasks": self._only(data, {name: self.tasks[name] for name in data["id"] if name in self.tasks})
                }
            if endpoint == "events.get_task_log":
                return {"events": [{"msg": line} for line in self.consoles.get(data["task"], [])]}
            return super()._call(endpoint, data, role)

    @staticmethod
    def _only(data: Any, found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the fields that the request names, and no others, as the real server."""
        whole = [{"id": identity, **document} for identity, document in found.items()]
        return [{name: item[name] for name in data["only_fields"] if name in item} for item in whole]

    def _write(self, endpoint: str, data: Any) -> object:
        if endpoint == "tasks.enqueue":
            self.entries[data["queue"].removeprefix("id of ")].append(data["task"])
            self.tasks[data["task"]]["status"] = "queued"
            return {"queued": 1}
        if endpoint == "queues.move_task_to_front":
            if "taken at once" in self.faults:
                self._run_all()
            entries = self.entries[data["queue"].removeprefix("id of ")]
            if data["task"] not in entries:
                raise RefusedError(400, "Invalid task id: not in queue")
            entries.remove(data["task"])
            entries.insert(0, data["task"])
            return {"position": 0}
        if endpoint == "tasks.delete":
            for entries in self.entries.values():
                entries[:] = [task for task in entries if task != data["task"]]
        if endpoint == "projects.delete":
            assert data["delete_contents"]
            left = [name for name, task in self.tasks.items() if task["project"] == data["project"]]
            for name in left:
                del self.tasks[name]
        return super()._write(endpoint, data)

    def _run_all(self) -> None:
        """Let each worker that is free run the first task of each of its queues."""
        for name, worker in self.workers.items():
            for queue in worker["queues"]:
                entries = self.entries[queue["id"].removeprefix("id of ")]
                if entries and "task" not in worker and "asleep" not in self.faults:
                    self._run(entries.pop(0), name)

    def _run(self, identity: str, worker: str) -> None:
        task = self.tasks[identity]
        task["last_worker"] = worker
        if "task vanishes" in self.faults:
            del self.tasks[identity]
            return
        if "never ends" in self.faults:
            task["status"] = "in_progress"
            self.consoles[identity] = ["Collecting pip"]
            return
        # What an agent needs to know to run code without a repository, and to install nothing.
        script = task["script"]
        assert script["working_dir"] == "." and script["binary"].startswith("python")
        assert script["requirements"] == {"pip": ""} and script["entry_point"].endswith(".py")
        printed = subprocess.run(
            [sys.executable, "-c", script["diff"]], capture_output=True, text=True, check=True
        ).stdout
        self.consoles[identity] = ["Environment setup completed successfully\n", printed]
        task["status"] = "completed"
        if "task fails" in self.faults:
            task |= {"status": "failed", "status_reason": "worker execution exit code 1", "status_message": ""}
            self.consoles[identity] = [
                "",
                "ERROR: no matching distribution for platform-secret-marker\n",
                "Exited with 1",
            ]
        if "shows the code" in self.faults:
            self.consoles[identity] = [script["diff"]]
        if "console lost" in self.faults:
            self.consoles[identity] = []
