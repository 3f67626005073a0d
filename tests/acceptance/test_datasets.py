"""Data sets of the SDK, and their versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from clearml import Dataset

from .server import Api, wait_for


def files(folder: str | Path) -> dict[str, str]:
    """The content of all files below a folder, by their paths."""
    return {str(path.relative_to(folder)): path.read_text() for path in Path(folder).rglob("*.txt")}


@pytest.fixture(scope="module")
def versions(project: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    """A data set, and a version of it in which a file is new, one changed and one gone."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "sub").mkdir()
    for name in ("same", "changes", "sub/goes"):
        (folder / f"{name}.txt").write_text(name)
    first = Dataset.create(
        dataset_project=project, dataset_name="numbers", dataset_version="1.0.0", dataset_tags=["first"]
    )
    first.add_files(str(folder))
    first.set_metadata({"rows": 3}, metadata_name="about", ui_visible=False)
    first.upload(show_progress=False)
    assert first.finalize()

    (folder / "new.txt").write_text("new")
    (folder / "changes.txt").write_text("changed")
    (folder / "sub/goes.txt").unlink()
    second = Dataset.create(
        dataset_project=project, dataset_name="numbers", dataset_version="1.1.0", parent_datasets=[first.id]
    )
    removed, added, modified = second.sync_folder(str(folder))
    assert (removed, added, modified) == (1, 1, 1)
    second.upload(show_progress=False)
    assert second.finalize()
    return first, second


NEWEST = {"same.txt": "same", "changes.txt": "changed", "new.txt": "new"}


def test_the_newest_version_is_got_whole(versions: tuple[Dataset, Dataset], project: str) -> None:
    first, second = versions
    newest = Dataset.get(dataset_project=project, dataset_name="numbers")
    assert (newest.id, newest.version) == (second.id, "1.1.0")
    assert files(newest.get_local_copy()) == NEWEST
    assert newest.get_dependency_graph() == {second.id: [first.id], first.id: []}


def test_an_older_version_is_got_as_it_was(versions: tuple[Dataset, Dataset], project: str) -> None:
    first, _ = versions
    found = Dataset.get(dataset_project=project, dataset_name="numbers", dataset_version="1.0.0")
    assert found.id == first.id
    assert files(found.get_local_copy()) == {"same.txt": "same", "changes.txt": "changes", "sub/goes.txt": "sub/goes"}
    assert found.get_metadata("about") == {"rows": 3}


def test_files_are_listed_without_being_got(versions: tuple[Dataset, Dataset]) -> None:
    first, second = (Dataset.get(dataset_id=version.id) for version in versions)
    assert first.list_files() == ["changes.txt", "same.txt", "sub/goes.txt"]
    assert first.list_files("sub/*") == ["sub/goes.txt"]
    assert second.list_added_files() == ["new.txt"]
    assert second.list_removed_files() == ["sub/goes.txt"]
    assert second.list_modified_files() == ["changes.txt"]


def test_a_copy_to_work_on(versions: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    _, second = versions
    target = tmp_path / "copy"
    Dataset.get(dataset_id=second.id).get_mutable_local_copy(str(target))
    (target / "same.txt").write_text("mine")
    assert files(Dataset.get(dataset_id=second.id).get_local_copy()) == NEWEST


def test_data_sets_are_listed(versions: tuple[Dataset, Dataset], project: str) -> None:
    first, second = versions
    listed = Dataset.list_datasets(dataset_project=project, partial_name="numbers", only_completed=True)
    assert {item["id"] for item in listed} == {first.id, second.id}
    assert {item["version"] for item in listed} == {"1.0.0", "1.1.0"}
    tagged = Dataset.list_datasets(dataset_project=project, partial_name="numbers", tags=["first"])
    assert [item["id"] for item in tagged] == [first.id]


def test_versions_are_squashed_into_one(versions: tuple[Dataset, Dataset], project: str) -> None:
    _, second = versions
    squashed = Dataset.squash("squashed", dataset_ids=[second.id])
    found = Dataset.get(dataset_id=squashed.id)
    assert found.get_dependency_graph() == {squashed.id: []}
    assert files(found.get_local_copy()) == NEWEST


def test_a_published_version_is_found_as_such_and_an_open_one_is_not_got(project: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    data = Dataset.create(dataset_project=project, dataset_name="open", dataset_version="1.0.0")
    with pytest.raises(ValueError, match="Could not find"):
        Dataset.get(dataset_project=project, dataset_name="open", only_completed=True)
    data.add_files(str(tmp_path / "a.txt"))
    data.upload(show_progress=False)
    assert data.finalize()
    with pytest.raises(ValueError, match="Could not find"):
        Dataset.get(dataset_project=project, dataset_name="open", only_published=True)
    assert data.publish()
    assert Dataset.get(dataset_project=project, dataset_name="open", only_published=True).id == data.id


def test_deleting_a_version_deletes_its_files(project: str, tmp_path: Path, api: Api) -> None:
    (tmp_path / "a.txt").write_text("a")
    data = Dataset.create(dataset_project=project, dataset_name="goes away", dataset_version="1.0.0")
    data.add_files(str(tmp_path / "a.txt"))
    data.upload(show_progress=False)
    assert data.finalize()
    task = api.call("tasks.get_by_id", task=data.id)["task"]
    urls = [artifact["uri"] for artifact in task["execution"]["artifacts"] if artifact["uri"].startswith("http")]
    assert urls and all(api.file(url).status_code == 200 for url in urls)
    Dataset.delete(dataset_id=data.id, force=True)
    assert Dataset.list_datasets(dataset_project=project, partial_name="goes away", only_completed=False) == []
    wait_for("the files are gone", lambda: all(api.file(url).status_code == 404 for url in urls), seconds=60)
