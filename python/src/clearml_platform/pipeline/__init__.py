"""The four stages as a ClearML pipeline: here or on agents, on a schedule, watched in the terminal."""

from clearml_platform.pipeline.create import Pipeline, create_clearml_pipeline
from clearml_platform.pipeline.templates import create_templates

__all__ = ["Pipeline", "create_clearml_pipeline", "create_templates"]
