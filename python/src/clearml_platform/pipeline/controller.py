"""The code of a controller that runs on an agent. It stands in the controller's task, so nothing has to be cloned.

Whatever may be changed from run to run (steps, parameters, the steps' queue) is read from the task, not from here.
That is why this file imports nothing but the SDK.
"""

from __future__ import annotations

import json
from typing import Any

from clearml import PipelineController, Task

# How often the controller looks after its steps, in minutes; the SDK's own is 12 seconds.
LOOKS_EVERY = 2 / 60


def add_steps(pipeline: Any, steps: dict[str, dict[str, Any]], retries: int) -> None:
    """Add steps to a ``PipelineController``.

    Args:
        pipeline: the controller.
        steps: by name, as the SDK keeps them in the configuration "Pipeline" of a controller; ``factory``, which is
            not kept there, makes the task of a step that has no template.
        retries: how often a step that failed is run again.
    """
    for name, step in steps.items():
        pipeline.add_step(
            name=name,
            base_task_id=step.get("base_task_id"),
            base_task_factory=step.get("factory"),
            parents=step["parents"],
            parameter_override=step["parameters"],
            configuration_overrides=step.get("configurations"),
            task_overrides=step.get("task_overrides"),
            cache_executed_step=step["cache_executed_step"],
            retry_on_failure=retries,
        )


def main() -> None:
    """Run the pipeline of this task."""
    task = Task.init(auto_resource_monitoring=False)
    version = task.get_user_properties(value_only=True).get("version")
    pipeline = PipelineController(
        name=task.name, project=None, version=version, pool_frequency=LOOKS_EVERY, add_run_number=False
    )
    parameters = task.get_parameters_as_dict()["Args"]
    for name, value in parameters.items():
        pipeline.add_parameter(name, value)
    add_steps(pipeline, json.loads(task.get_configuration_object("Pipeline")), int(parameters["retries"]))
    pipeline.start()


if __name__ == "__main__":
    main()
