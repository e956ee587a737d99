"""Patches around labelled pixels, and maps put together from patches."""

from typing import Any

import numpy as np
import pytest
import torch

from swath.engine.graph.registry import create
from swath.engine.nodes.patch_inference import ClassMapAccumulator, PatchSampler
from swath.errors import GraphInvalid, InputInvalid


@pytest.fixture
def cube():
    return torch.arange(2 * 5 * 6 * 2.0).reshape(2, 5, 6, 2)


@pytest.fixture
def targets():
    """Frame 0 has class 1 at two pixels and class 3 at one; frame 1 has class 2 at one."""
    classes = torch.full((2, 5, 6), -100)
    classes[0, 0, 0] = classes[0, 2, 3] = 1
    classes[0, 4, 5] = 3
    classes[1, 1, 1] = 2
    return classes


def test_patches_are_cut_from_the_mirrored_picture(cube, targets):
    outputs = PatchSampler(patch_size=5, mode="eval").forward(cube=cube, targets=targets)
    padded = np.pad(cube.numpy(), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    places = [(0, 0, 0), (0, 2, 3), (0, 4, 5), (1, 1, 1)]
    expected = np.stack([padded[frame, row : row + 5, column : column + 5] for frame, row, column in places])
    np.testing.assert_array_equal(outputs["patches"].numpy(), expected)
    assert outputs["labels"].tolist() == [1, 1, 3, 2]


def test_a_patch_of_one_pixel_is_its_spectrum(cube, targets):
    outputs = PatchSampler(patch_size=1, mode="eval").forward(cube=cube, targets=targets)
    assert torch.equal(outputs["patches"][3, 0, 0], cube[1, 1, 1])


def test_evaluation_can_take_even_steps(cube, targets):
    targets[0] = torch.arange(30).reshape(5, 6)
    labels = PatchSampler(mode="eval", patch_size=3, max_per_frame=4).forward(cube=cube, targets=targets)["labels"]
    assert labels.tolist() == [0, 8, 16, 24, 2]


def test_classes_of_a_frame_are_drawn_alike(cube, targets):
    labels = PatchSampler(samples_per_frame=100, patch_size=3).forward(cube=cube, targets=targets)["labels"]
    assert labels.bincount().tolist() == [0, 50, 100, 50]


def test_pixels_can_be_drawn_alike_instead(cube, targets):
    torch.manual_seed(0)
    node = PatchSampler(samples_per_frame=3000, patch_size=1, class_balanced=False)
    labels = node.forward(cube=cube[:1], targets=targets[:1])["labels"]
    assert (labels == 1).float().mean().item() == pytest.approx(2 / 3, abs=0.05)


def test_more_classes_than_samples_are_thinned(cube):
    targets = torch.arange(60).reshape(2, 5, 6)
    labels = PatchSampler(samples_per_frame=4, patch_size=1).forward(cube=cube, targets=targets)["labels"]
    assert len(labels) == 8
    assert (labels[:4] < 30).all()


def test_draws_differ_from_call_to_call_and_follow_the_seed(cube):
    node, targets = PatchSampler(samples_per_frame=9, patch_size=1), torch.zeros(2, 5, 6, dtype=torch.int64)
    torch.manual_seed(1)
    first, second = (node.forward(cube=cube, targets=targets)["patches"] for _ in range(2))
    torch.manual_seed(1)
    assert not torch.equal(first, second)
    assert torch.equal(first, node.forward(cube=cube, targets=targets)["patches"])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_without_labels_there_are_no_patches(cube, targets, mode):
    outputs = PatchSampler(patch_size=3, mode=mode).forward(cube=cube, targets=torch.full_like(targets, -100))
    assert outputs["patches"].shape == (0, 3, 3, 2)
    assert outputs["labels"].shape == (0,)


def test_a_picture_is_larger_than_half_a_patch(cube, targets):
    with pytest.raises(InputInvalid, match="a height and a width above 5"):
        PatchSampler(patch_size=11).forward(cube=cube, targets=targets)
    with pytest.raises(InputInvalid, match="targets"):
        PatchSampler().forward(cube=cube, targets=targets[:1])


@pytest.mark.parametrize(
    ("hparams", "words"),
    [({"patch_size": 4}, "patch_size must be odd"), ({"mode": "test"}, "train, eval"), ({"samples_per_frame": 0}, "1")],
)
def test_hparams_are_checked(hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        create("PatchSampler", "it", hparams)


def test_gradients_reach_the_cube(targets):
    cube = torch.rand(2, 5, 6, 2, dtype=torch.float64, requires_grad=True)
    node = PatchSampler(patch_size=3, mode="eval")
    assert torch.autograd.gradcheck(lambda values: node.forward(cube=values, targets=targets)["patches"], cube)


def _patches(classes, frame, y, x, size=(2, 3)) -> dict[str, Any]:
    count = len(classes)
    return {
        "logits": torch.nn.functional.one_hot(torch.tensor(classes), 4).float(),
        "frame_id": torch.tensor(frame),
        "y": torch.tensor(y),
        "x": torch.tensor(x),
        "height": torch.full((count,), size[0]),
        "width": torch.full((count,), size[1]),
    }


def test_maps_grow_from_call_to_call():
    node = ClassMapAccumulator(background_value=-7)
    node.forward(**_patches([3, 1], frame=[5, 8], y=[0, 1], x=[2, 0]))
    node.forward(**_patches([2], frame=[5], y=[1], x=[1]))
    assert {frame: classes.tolist() for frame, classes in node.class_maps.items()} == {
        5: [[-7, -7, 3], [-7, 2, -7]],
        8: [[-7, -7, -7], [1, -7, -7]],
    }


def test_maps_are_forgotten_when_asked():
    node = ClassMapAccumulator()
    node.forward(**_patches([0], frame=[1], y=[0], x=[0]))
    node.class_maps[1].fill_(9)
    assert node.class_maps[1][0, 0] == 0
    node.forget()
    assert node.class_maps == {}


def test_no_patches_change_nothing():
    node = ClassMapAccumulator()
    none: dict[str, Any] = {port: value[:0] for port, value in _patches([0], [1], [0], [0]).items()}
    node.forward(**none)
    assert node.class_maps == {}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"y": torch.tensor([2])}, r"inside of frame 1 of 2 by 3, got one at \(2, 0\)"),
        ({"x": torch.tensor([-1])}, r"got one at \(0, -1\)"),
        ({"height": torch.tensor([0])}, "one height and width, at least 1"),
        ({"width": torch.tensor([3, 3])}, "1 numbers, one per patch"),
        ({"logits": torch.zeros(1, 0)}, "at least one class"),
    ],
)
def test_patches_say_where_they_come_from(changed, words):
    with pytest.raises(InputInvalid, match=words):
        ClassMapAccumulator().forward(**(_patches([0], [1], [0], [0]) | changed))


def test_a_frame_keeps_its_size():
    node = ClassMapAccumulator()
    node.forward(**_patches([0], frame=[1], y=[0], x=[0]))
    with pytest.raises(InputInvalid, match="for all patches of frame 1"):
        node.forward(**_patches([0], frame=[1], y=[0], x=[0], size=(9, 9)))
