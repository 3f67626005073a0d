"""The types of a task's fields."""

from __future__ import annotations

from .document_types import anything, document, label, listed, mapped, mapping, one_of, text, text_or_nothing, whole

SCRIPT = document(
    "Script",
    binary=text,
    repository=text,
    tag=text,
    branch=text,
    version_num=text,
    entry_point=text,
    working_dir=text,
    requirements=mapping,
    diff=text,
)
ARTIFACT = document(
    "Artifact",
    "key type",
    key=text,
    type=text,
    mode=one_of("input", "output"),
    uri=text,
    hash=text,
    content_size=whole,
    timestamp=whole,
    type_data=document("ArtifactTypeData", preview=text, content_type=text, data_hash=text),
    display_data=listed(listed(anything)),
)
EXECUTION = document(
    "Execution",
    others=True,
    test_split=whole,
    parameters=mapping,
    model_desc=mapped(text),
    model_labels=mapped(label),
    framework=text,
    artifacts=mapped(ARTIFACT),
    queue=text,
)
PARAMETER = document(
    "ParamsItem", "section name value", section=text, name=text, value=text, type=text, description=text
)
CONFIGURATION = document("ConfigurationItem", "name value", name=text, value=text, type=text, description=text)
MODEL = document("ModelItem", "name model", name=text, model=text, updated=anything)
TASK = {
    "comment": text,
    "type": text,
    "status": text,
    "parent": text,
    "project": text,
    "output": document("Output", destination=text, error=text, result=text),
    "execution": EXECUTION,
    "tags": listed(text),
    "system_tags": listed(text),
    "script": SCRIPT,
    "hyperparams": mapped(mapped(PARAMETER)),
    "configuration": mapped(CONFIGURATION),
    "runtime": mapping,
    "models": document("Models", input=listed(MODEL), output=listed(MODEL)),
    "container": mapped(text_or_nothing),
}
