"""The reference's base classes, as far as its contract describes them; its own where they are installed."""

from __future__ import annotations

import fnmatch
import inspect
import posixpath
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import torch

try:
    from cuvis_ai_core.data.datamodule import BaseCuvisAIDataModule as DataModule
    from cuvis_ai_core.deciders.base_decider import BinaryDecider as Decider
    from cuvis_ai_core.node.node import Node
    from cuvis_ai_schemas.pipeline import PortSpec
    from cuvis_ai_schemas.training.data import SampleRef
except ImportError:

    class PortSpec(SimpleNamespace):  # type: ignore[no-redef]
        """Type and shape of a port."""

        def __init__(self, dtype, shape, description="", optional=False, variadic=False):
            super().__init__(dtype=dtype, shape=shape, description=description, optional=optional, variadic=variadic)

    class Node(torch.nn.Module):  # type: ignore[no-redef]
        """Records its arguments, says whether it needs a fit, and is fitted once it was given a state."""

        INPUT_SPECS: dict[str, Any] = {}
        OUTPUT_SPECS: dict[str, Any] = {}
        TRAINABLE_BUFFERS: tuple[str, ...] = ()

        def __init__(self, name=None, **kwargs):
            super().__init__()
            bound = inspect.signature(type(self).__init__).bind(self, **kwargs)
            bound.apply_defaults()
            swallowed = bound.arguments.pop("kwargs", {})
            self.hparams = {key: value for key, value in {**bound.arguments, **swallowed}.items() if key != "self"}
            self._name = name or type(self).__name__
            self._statistically_initialized = False

        @property
        def name(self):
            return self._name

        @property
        def requires_initial_fit(self):
            return type(self).statistical_initialization is not Node.statistical_initialization

        def statistical_initialization(self, input_stream):
            return None

        def unfreeze(self):
            for name in self.TRAINABLE_BUFFERS:
                if name in self._buffers:
                    value = self._buffers[name]
                    delattr(self, name)
                    setattr(self, name, torch.nn.Parameter(value.clone()))
            self.requires_grad_(True)

        def load_state_dict(self, state_dict, strict=True, assign=False):
            result = super().load_state_dict(state_dict, strict=strict, assign=assign)
            self._statistically_initialized |= bool(state_dict) and self.requires_initial_fit
            return result

    class Decider(Node):  # type: ignore[no-redef]
        """Decides by a threshold."""

        INPUT_SPECS = {"logits": PortSpec(torch.float32, (-1, -1, -1, -1))}
        OUTPUT_SPECS = {"decisions": PortSpec(torch.bool, (-1, -1, -1, 1))}

        def __init__(self, threshold=0.5, **kwargs):
            super().__init__(threshold=threshold, **kwargs)
            self.threshold = threshold

        @property
        def is_calibrated(self):
            return True

        def calibrate(self, scores, targets):
            return None

    class SampleRef(SimpleNamespace):  # type: ignore[no-redef]
        """One frame of a source."""

        @property
        def uid(self):
            return f"{self.source}#{self.index}"

    class DataModule:  # type: ignore[no-redef]
        """Chooses frames by selectors, whose paths are compared letter by letter once they are normalised."""

        OWNS_SPLITS = True

        def __init__(self, *, splits=None, batch_size=1, num_workers=0, samples_per_frame=1, **params):
            self.splits = splits
            self.params = params

        @staticmethod
        def validate_params(params):
            return None

        def setup(self, stage=None):
            samples = self.enumerate(frozenset())
            for name in ("train", "val", "test"):
                chosen = [ref for selector in self.splits[name] for ref in _matches(selector, samples)]
                setattr(self, f"{name}_ds", self.build_dataset_from_refs(chosen) if chosen else None)

        def train_dataloader(self):
            raise AssertionError("loaders are the server's")

    def _matches(selector, samples):
        wanted = {posixpath.normpath(path) for path in [*selector["paths"], selector["source"] or "."]}
        match selector["kind"]:
            case "glob":
                names = {ref.source: (ref.source, PurePosixPath(ref.source).stem) for ref in samples}
                found = [ref for ref in samples if fnmatch.filter(names[ref.source], selector["pattern"])]
            case "union":
                found = list({ref.uid: ref for child in selector["of"] for ref in _matches(child, samples)}.values())
            case kind:
                found = [ref for ref in samples if posixpath.normpath(ref.source) in wanted]
                found = [ref for ref in found if kind == "files" or ref.index in selector["ids"]]
        if not found:
            raise ValueError(f"selector '{selector['kind']}' matched 0 samples")
        return found


__all__ = ["DataModule", "Decider", "Node", "PortSpec", "SampleRef"]
