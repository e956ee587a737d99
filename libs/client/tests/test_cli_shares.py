"""How percentages of an alias are written, and what replicas say is shown, without a server."""

import pytest
from rich.console import Console

from swath.client.cli.models import _show, shares_of
from swath.client.cli.publish import labels_of, targets_text
from swath.client.errors import LocalError
from swath.models.v1 import models_pb2 as pb


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["3"], {3: 100.0}),
        (["3:95", "4:5"], {3: 95.0, 4: 5.0}),
        (["3:95%", "4"], {3: 95.0, 4: 5.0}),
        (["3", "4:5", "5"], {3: 47.5, 4: 5.0, 5: 47.5}),
        # What does not sum up is the server's to refuse.
        (["3:60", "4:30"], {3: 60.0, 4: 30.0}),
    ],
)
def test_shares_as_they_are_written(written: list[str], expected: dict[int, float]) -> None:
    assert shares_of(written) == expected


@pytest.mark.parametrize("written", ["x", "3:", "3:x", ":5", "", "3:5:6"])
def test_what_is_no_share_is_named(written: str) -> None:
    with pytest.raises(LocalError, match="expected VERSION or VERSION:PERCENT, such as 3 or 3:95, got"):
        shares_of([written])


def test_a_version_is_named_once() -> None:
    with pytest.raises(LocalError, match="version 3 is named twice"):
        shares_of(["3:50", "3:50"])


def test_targets_and_labels() -> None:
    assert targets_text([pb.Share(version=3, percent=100)]) == "3"
    assert (
        targets_text([pb.Share(version=3, percent=99.5), pb.Share(version=4, percent=0.5)]) == "3 (99.5 %), 4 (0.5 %)"
    )
    assert labels_of(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    assert labels_of(None) is None
    with pytest.raises(LocalError, match="--label: expected KEY=VALUE, got 'a'"):
        labels_of(["a"])


def test_a_model_is_shown_with_what_replicas_say() -> None:
    model = pb.Model(
        name="rx",
        owner="ann",
        revision=4,
        callers=["bob"],
        pinned=True,
        labels={"site": "[red]San Diego"},
        versions=[pb.ModelVersion(number=2, published_by="eve", description="[bold]new")],
        aliases=[pb.Alias(name="stable", targets=[pb.Share(version=2, percent=100)])],
    )
    states = [
        pb.ReplicaState(
            replica="gpu-0", name="rx", version=2, state=pb.ReplicaState.STATE_READY, memory_bytes=2_500_000
        ),
        pb.ReplicaState(
            replica="gpu-1", name="rx", version=2, state=pb.ReplicaState.STATE_FAILED, reason="CUDA out of memory [0]"
        ),
    ]
    console = Console(width=100, record=True, color_system=None)
    with console.capture() as captured:
        _show(console, model, states)
    shown = [" ".join(line.split()) for line in captured.get().splitlines()]
    assert shown[0] == "rx owner ann · revision 4 · pinned"
    for line in (
        "callers bob",
        "editors the owner alone",
        "labels site=[red]San Diego",
        "gpu-0 2 ready 2.5 MB",
        "gpu-1 2 failed CUDA out of memory [0]",
    ):
        assert line in shown
    assert any(line.startswith("2 ") and line.endswith("eve [bold]new") for line in shown)
