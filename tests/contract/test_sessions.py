"""Sessions: opened, told where to look, closed."""

import uuid

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


@pytest.fixture
def search(stub, session):
    """Sets the session's search paths."""

    def call(*paths: str, **fields) -> pb.SetSessionSearchPathsResponse:
        return stub.SetSessionSearchPaths(
            pb.SetSessionSearchPathsRequest(session_id=session, search_paths=paths, **fields)
        )

    return call


@pytest.fixture
def folders(deployment, session) -> list[str]:
    """Two folders of the workspace."""
    made = [f"studies/{session}/{name}" for name in ("a", "b")]
    for folder in made:
        deployment.client.workspace.put(b"max_epochs: 3\n", f"{folder}/mine.yaml")
    return made


def test_an_id_is_a_uuid_and_no_two_are_alike(stub):
    ids = [stub.CreateSession(pb.CreateSessionRequest()).session_id for _ in range(20)]
    assert len({uuid.UUID(each) for each in ids}) == 20
    assert all(stub.CloseSession(pb.CloseSessionRequest(session_id=each)).success for each in ids)


def test_closing_twice_is_closing_what_is_not_there(stub, failure):
    closed = stub.CreateSession(pb.CreateSessionRequest()).session_id
    stub.CloseSession(pb.CloseSessionRequest(session_id=closed))
    code, text = failure(stub.CloseSession, pb.CloseSessionRequest(session_id=closed))
    assert code == "NOT_FOUND"
    assert text.startswith(f"Session {closed} not found")


def test_a_new_session_looks_in_the_configs_root(search):
    paths = search(append=True)
    assert len(paths.current_paths) == 1
    assert paths.current_paths[0].endswith("configs")


def test_paths_are_appended_in_order_unless_told_otherwise(search, folders):
    (root,) = search().current_paths
    answer = search(*folders, folders[0])
    assert answer.success
    assert answer.current_paths[0] == root
    assert [path.rsplit("/", 1)[1] for path in answer.current_paths[1:]] == ["a", "b"]
    assert list(search(folders[0]).current_paths) == list(answer.current_paths)


def test_replacing_starts_anew(search, folders):
    answer = search(folders[1], append=False)
    assert [path.rsplit("/", 1)[1] for path in answer.current_paths] == ["b"]


def test_replacing_by_nothing_that_is_there_resets_to_the_configs_root(search, folders):
    (root,) = search().current_paths
    search(*folders)
    answer = search("studies/none", append=False)
    assert answer.success
    assert list(answer.rejected_paths) == ["studies/none"]
    assert list(answer.current_paths) == [root]


def test_the_first_path_that_has_a_file_wins(deployment, stub, search, session, folders):
    deployment.client.workspace.put(b"max_epochs: 9\n", f"{folders[1]}/mine.yaml")
    search(folders[1], folders[0], append=False)
    resolved = stub.ResolveConfig(pb.ResolveConfigRequest(session_id=session, config_type="training", path="mine"))
    assert b'"max_epochs": 9' in resolved.config_bytes
