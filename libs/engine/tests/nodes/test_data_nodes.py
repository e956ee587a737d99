"""How batches enter a pipeline."""

import pytest
import torch

from swath.documents import PipelineDocument
from swath.engine.graph.pipeline import Pipeline
from swath.engine.nodes.data import AnomalyDataNode, CU3SDataNode, LentilsAnomalyDataNode
from swath.errors import InputInvalid


@pytest.fixture
def batch():
    return {
        "cube": torch.tensor([1, 65535], dtype=torch.uint16).reshape(1, 1, 2, 1),
        "mask": torch.tensor([0, 3], dtype=torch.int32).reshape(1, 1, 2),
        "wavelengths": torch.tensor([[500.5]]),
        "mesu_index": torch.tensor([7]),
    }


def test_the_cube_becomes_float_and_the_rest_is_handed_on(batch):
    outputs = CU3SDataNode().forward(**batch)
    assert outputs["cube"].dtype is torch.float32
    assert outputs["cube"].flatten().tolist() == [1.0, 65535.0]
    assert outputs["mask"] is batch["mask"]
    assert outputs["mesu_index"] is batch["mesu_index"]


def test_a_float_cube_is_not_copied(batch):
    cube = batch["cube"].float()
    assert CU3SDataNode().forward(**(batch | {"cube": cube}))["cube"] is cube


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.float64])
def test_wavelengths_of_the_first_frame_keep_their_type(batch, dtype):
    outputs = CU3SDataNode().forward(**(batch | {"wavelengths": torch.tensor([[500], [600]], dtype=dtype)}))
    assert outputs["wavelengths"].tolist() == [500]
    assert outputs["wavelengths"].dtype is dtype


def test_wavelengths_need_a_frame(batch):
    with pytest.raises(InputInvalid, match="at least one row"):
        CU3SDataNode().forward(**(batch | {"wavelengths": torch.zeros(0, 1)}))


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"normal_class_ids": [0, 1]}, [False, False, True, True]),
        ({"normal_class_ids": []}, [True] * 4),
        ({"normal_class_ids": [0], "anomaly_class_ids": [2]}, [False, False, True, False]),
    ],
)
def test_classes_become_anomalous_or_not(batch, hparams, expected):
    classes = torch.tensor([0, 1, 2, 3], dtype=torch.int32).reshape(1, 2, 2)
    mask = AnomalyDataNode(**hparams).forward(**(batch | {"mask": classes}))["mask"]
    assert mask.shape == (1, 2, 2, 1)
    assert mask.flatten().tolist() == expected


def test_a_class_mask_of_any_type_becomes_whole_numbers(batch):
    outputs = LentilsAnomalyDataNode([0]).forward(**batch, class_mask=torch.ones(1, 1, 2, dtype=torch.uint8))
    assert outputs["class_mask"].dtype is torch.int32
    assert outputs["class_mask"].shape == (1, 1, 2, 1)


def test_without_a_mask_there_is_none(batch):
    del batch["mask"]
    assert "mask" not in AnomalyDataNode([0]).forward(**batch)


def test_a_scene_needs_wavelengths_only_where_a_node_uses_them(batch):
    data = {"name": "data", "class_name": "cuvis_ai.node.data.CU3SDataNode", "hparams": {}}
    ndvi = {"name": "ndvi", "class_name": "cuvis_ai.node.channel_selector.NDVISelector", "hparams": {}}
    edges = [{"source": f"data.outputs.{port}", "target": f"ndvi.inputs.{port}"} for port in ("cube", "wavelengths")]
    bare = {key: value for key, value in batch.items() if key != "wavelengths"}

    alone = Pipeline.from_document(PipelineDocument.model_validate({"nodes": [data], "connections": []}))
    assert set(alone(bare)) == {"data.cube", "data.mask", "data.mesu_index"}
    assert not alone.input_specs()["wavelengths"].optional  # as the reference reports it

    both = Pipeline.from_document(PipelineDocument.model_validate({"nodes": [data, ndvi], "connections": edges}))
    with pytest.raises(
        InputInvalid,
        match=r"Node 'ndvi' missing required inputs: \['wavelengths'\] .*no wavelengths: .*\+data\.params\.wavelengths",
    ):
        both(bare)
