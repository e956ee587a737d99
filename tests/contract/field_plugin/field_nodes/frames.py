"""A data module whose samples are named by the path that it was given."""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from field_nodes.base import DataModule, SampleRef


class Stack(DataModule):
    """Frames of an .npz file with cubes and masks."""

    DATA_MODULE_NAME = "field_stack"
    OWNS_SPLITS = False

    @staticmethod
    def validate_params(params):
        if "stack_path" not in params:
            raise ValueError("field_stack needs the parameter stack_path")

    def supported_attrs(self):
        return frozenset()

    def enumerate(self, required_attrs=frozenset()):
        path = self.params["stack_path"]
        with np.load(path) as content:
            return [SampleRef(source=path, index=index) for index in range(len(content["cubes"]))]

    def build_dataset_from_refs(self, refs):
        return Frames(refs)


class Frames(Dataset):
    """The frames of some samples."""

    def __init__(self, refs):
        self.refs = [(ref.source, ref.index) for ref in refs]

    def __len__(self):
        return len(self.refs)

    def __getitem__(self, at):
        path, index = self.refs[at]
        with np.load(path) as content:
            return {"cube": content["cubes"][index], "mask": content["masks"][index]}
