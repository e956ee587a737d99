"""Colours, and pictures put together."""

import pytest
import torch
from torch.nn.functional import interpolate

from swath.engine.draw import colours
from swath.engine.nodes.colormap import ClassMapToRGB, ScalarHSVColormapNode
from swath.engine.nodes.compositing import (
    ImageConcatenator,
    InsetComposer,
    LabelOverlay,
    LegendStrip,
    ROIZoomNode,
    TitleOverlay,
)
from swath.errors import InputInvalid

RED, BLACK = (255, 0, 0), (0.0, 0.0, 0.0)


@pytest.fixture
def picture():
    return torch.rand(2, 40, 60, 3, generator=torch.Generator().manual_seed(1))


def test_numbers_become_hues():
    data = torch.tensor([-1.0, 0.0, 2.0, 3.0, 6.0, float("nan")]).reshape(1, 1, 6, 1)
    colour = ScalarHSVColormapNode(value_min=0, value_max=6).forward(data=data)["rgb_image"][0, 0]
    assert colour[:5].tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert colour[5].isnan().all()


def test_classes_have_colours_that_start_over():
    node = ClassMapToRGB(palette=[[255, 0, 0], [0, 0, 51]])
    classes = torch.tensor([[[0, 1, 2, -1, 1]]])
    mask = torch.tensor([[[1, 1, 1, 1, 0]]], dtype=torch.int32)
    colour = node.forward(class_map=classes, mask=mask)["label_rgb"][0, 0]
    expected = [[1, 0, 0], [0, 0, 0.2], [1, 0, 0], BLACK, BLACK]
    torch.testing.assert_close(colour, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(("number", "colour"), [(0, (230, 25, 75)), (11, (220, 190, 255))])
def test_objects_keep_their_colours(number, colour):
    assert colours.of_object(number) == colour


@pytest.mark.parametrize("number", [-1, 12, 10**9])
def test_further_objects_are_never_dark(number):
    assert all(89 <= part <= 255 for part in colours.of_object(number))


def test_labels_are_blended_where_there_are_any(picture):
    label = torch.zeros_like(picture)
    label[:, 3, 4] = torch.tensor([0.0, 1.0, 0.5])
    blend = LabelOverlay(alpha=0.25).forward(rgb_image=picture, label_rgb=label)["frame"]
    torch.testing.assert_close(blend[:, 3, 4], 0.75 * picture[:, 3, 4] + 0.25 * label[:, 3, 4])
    picture[:, 3, 4] = blend[:, 3, 4]
    assert torch.equal(blend, picture)


def test_a_title_changes_its_corner_alone(picture):
    titled = TitleOverlay(font_size=10, pad_px=6).forward(frame=picture, caption=["µm²", " "])["frame"]
    changed = (titled != picture).any(dim=-1)
    assert changed[0, :20, :40].any()
    assert not changed[0, 25:].any()
    assert not changed[1].any()


def test_a_title_for_all_frames_is_an_argument(picture):
    titled = TitleOverlay(text="all", text_color=[255, 0, 0], box_alpha=1.0).forward(frame=picture)["frame"]
    assert (titled[:, 8:28, 8:40] == torch.tensor([1.0, 0.0, 0.0])).all(dim=-1).any(dim=2).any(dim=1).all()


def test_captions_are_one_per_frame(picture):
    with pytest.raises(InputInvalid, match="2 captions"):
        TitleOverlay().forward(frame=picture, caption=["one"])


def test_a_title_lets_gradients_through():
    frame = torch.rand(1, 30, 30, 3, dtype=torch.float64, requires_grad=True)
    titled = TitleOverlay(text="i", font_size=9).forward(frame=frame)["frame"]
    (slope,) = torch.autograd.grad(titled.sum(), frame)
    assert slope[0, -1].eq(1).all()


@pytest.fixture
def legend():
    return LegendStrip(entries=[("stone", RED), ("leaf", (0, 255, 0)), ("more", (0, 0, 255))], n_columns=2)


def test_a_legend_has_a_row_for_each_pair_of_classes(legend, picture):
    shown = legend.forward(frame=picture)["frame"]
    assert shown.shape == (2, 40 + 2 * 22 + 2 * 6, 60, 3)
    assert torch.equal(shown[:, :40], picture)
    assert shown[0, 40 + 6 + 5, 6 + 5].tolist() == [1.0, 0.0, 0.0]  # the patch of the first class


def test_what_a_frame_has_none_of_is_dimmed(legend, picture):
    labels = torch.zeros_like(picture)
    labels[1, 2:5, 2:5] = torch.tensor([1.0, 0.0, 0.0])
    shown = legend.forward(frame=picture, label_rgb=labels)["frame"]
    patch = shown[:, 40 + 6 + 5, 6 + 5, 0].tolist()
    assert patch == pytest.approx([85 / 255, 1.0])


def test_blobs_are_counted_by_frame(legend):
    labels = torch.zeros(8, 8, 3, dtype=torch.uint8)
    for row, column in ((0, 0), (1, 1), (5, 5)):  # the first two touch by a corner
        labels[row, column] = torch.tensor(RED, dtype=torch.uint8)
    assert legend._counts(labels.numpy()) == (2, 0, 0)


@pytest.mark.parametrize("size", [(8, 9), (50, 64)])
def test_a_box_is_resized(picture, size):
    boxes = torch.tensor([[10.4, 5.0, 30.0, 25.0], [-3.0, -3.0, 100.0, 100.0]])
    zoom = ROIZoomNode(*size).forward(source=picture, bbox=boxes)["zoom"]
    for index, (top, bottom, left, right) in enumerate([(5, 25, 10, 30), (0, 40, 0, 60)]):
        crop = picture[index : index + 1, top:bottom, left:right].permute(0, 3, 1, 2)
        expected = interpolate(crop, size=size, mode="bilinear").permute(0, 2, 3, 1)
        torch.testing.assert_close(zoom[index : index + 1], expected)


@pytest.mark.parametrize(
    ("box", "valid"), [([5.0, 5, 9, 9], 0), ([9.0, 9, 5, 5], 1), ([70.0, 70, 90, 90], 1), ([float("nan")] * 4, 1)]
)
def test_no_box_gives_the_background(picture, box, valid):
    node = ROIZoomNode(8, 8, bg_color=[0.5, 0.25, 0.0])
    zoom = node.forward(source=picture[:1], bbox=torch.tensor([box]), valid=torch.tensor([valid], dtype=torch.int32))
    assert zoom["zoom"].unique(dim=2)[0, 0, 0].tolist() == [0.5, 0.25, 0.0]


@pytest.mark.parametrize(
    ("corner", "top", "left"),
    [("top-left", 3, 3), ("top-right", 3, 45), ("bottom-left", 27, 3), ("bottom-right", 27, 45)],
)
def test_an_inset_lies_in_its_corner(picture, corner, top, left):
    before = picture.clone()
    inset = torch.zeros(2, 8, 10, 3)
    node = InsetComposer(corner=corner, margin_px=3, border_px=1, border_color=[1.0, 0.0, 0.0])
    composite = node.forward(base=picture, inset=inset, valid=torch.tensor([1, 0], dtype=torch.int32))["composite"]
    assert composite[0, top, left].tolist() == [1.0, 0.0, 0.0]
    assert composite[0, top + 1 : top + 9, left + 1 : left + 11].eq(0).all()
    assert torch.equal(composite[1], picture[1])
    assert torch.equal(picture, before)


def test_an_inset_must_fit(picture):
    with pytest.raises(InputInvalid, match="at most 4 rows and 24 columns"):
        InsetComposer().forward(base=picture, inset=torch.zeros(2, 5, 5, 3))


@pytest.mark.parametrize(("align", "row"), [("start", 0), ("center", 10), ("end", 20)])
def test_pictures_lie_in_a_row(picture, align, row):
    small = torch.zeros(2, 20, 5, 3)
    sheet = ImageConcatenator(gap=2, align=align).forward(images=[picture, small])["rgb_image"]
    assert sheet.shape == (2, 40, 67, 3)
    assert torch.equal(sheet[:, :, :60], picture)
    assert sheet[:, :, 60:62].eq(1).all()
    assert sheet[:, row : row + 20, 62:].eq(0).all()
    assert sheet[:, :, 62:].sum().item() == 2 * 20 * 5 * 3


def test_pictures_lie_in_a_column(picture):
    sheet = ImageConcatenator(axis="vertical").forward(images=[picture, picture[:, :7]])["rgb_image"]
    assert torch.equal(sheet, torch.cat([picture, picture[:, :7]], dim=1))


def test_pictures_have_as_many_frames(picture):
    with pytest.raises(InputInvalid, match="2 frames"):
        ImageConcatenator().forward(images=[picture, picture[:1]])


@pytest.mark.parametrize("cls", [ImageConcatenator, InsetComposer, LabelOverlay, ROIZoomNode, TitleOverlay])
def test_no_frames_give_no_frames(cls):
    none = torch.zeros(0, 64, 64, 3)
    inputs = {
        ImageConcatenator: {"images": [none]},
        InsetComposer: {"base": none, "inset": none[:, :8, :8]},
        LabelOverlay: {"rgb_image": none, "label_rgb": none},
        ROIZoomNode: {"source": none, "bbox": torch.zeros(0, 4)},
        TitleOverlay: {"frame": none},
    }[cls]
    (shown,) = cls().forward(**inputs).values()
    assert shown.shape[0] == 0


@pytest.mark.parametrize(
    ("cls", "hparams"),
    [
        (ScalarHSVColormapNode, {"value_max": -1.0}),
        (ClassMapToRGB, {"palette": []}),
        (ClassMapToRGB, {"palette": [[0, 0, 256]]}),
        (LabelOverlay, {"alpha": 2}),
        (LabelOverlay, {"background_color": [0, 0]}),
        (TitleOverlay, {"text_color": "red"}),
        (LegendStrip, {"entries": []}),
        (LegendStrip, {"entries": ["stone"]}),
        (ROIZoomNode, {"zoom_height": 7}),
        (InsetComposer, {"corner": "middle"}),
        (ImageConcatenator, {"axis": "diagonal"}),
    ],
)
def test_arguments_are_checked(cls, hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        cls(**hparams)
