"""A task that tells what it sees."""

import os
import sys

import clearml
import packaged

task = clearml.Task.init()
task.get_logger().report_scalar("n", "v", value=7, iteration=0)
seen = {
    "clearml": clearml.__version__,
    "packaged": packaged.TEXT,
    "environment": sys.prefix,
    "user": os.getuid(),
    "site": os.environ["SITE"],
    "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
}
task.upload_artifact("seen", seen, wait_on_upload=True)
