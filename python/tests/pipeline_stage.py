"""A stand-in for a stage of the pipeline: it takes the options of all four, and leaves what they did in the task."""

import argparse
import json
import sys
from pathlib import Path

from clearml import Task

task = Task.init(project_name="stages", task_name=Path(sys.argv[0]).stem, auto_resource_monitoring=False)
parser = argparse.ArgumentParser()
for option in ("config", "set", "data_task", "train_task", "model_type", "flaky", "note"):
    parser.add_argument(f"--{option}", default="")
parser.add_argument("--fails", type=int, default=0)
options = parser.parse_args()
print(f"{Path(sys.argv[0]).stem} begins with {options.model_type or 'no model'}")
if options.flaky and not Path(options.flaky).exists():
    Path(options.flaky).touch()
    sys.exit("fails the first time")
if options.fails:
    sys.exit("fails every time")
before = Task.get_task(task_id=options.data_task).artifacts["data"].get() if options.data_task else {"rows": 3}
config = Path(options.config).read_text(encoding="utf-8").strip()
task.upload_artifact("data", {"rows": before["rows"] + 1, "config": config}, wait_on_upload=True)
task.get_logger().report_single_value("rows", before["rows"])
task.get_logger().report_scalar("test", "r2", 0.5, 1)
print(json.dumps({"rows": before["rows"]}))
