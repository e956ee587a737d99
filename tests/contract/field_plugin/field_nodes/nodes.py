"""Nodes that learn, nodes that may, and a decider."""

from __future__ import annotations

import torch

from field_nodes.base import Decider, Node, PortSpec

CUBE = PortSpec(torch.float32, (-1, -1, -1, "channels"), description="Cube [B, H, W, C]")
MAP = PortSpec(torch.float32, (-1, -1, -1, 1), description="Map [B, H, W, 1]")
MASK = PortSpec(torch.int32, (-1, -1, -1), description="Labels [B, H, W]")


class Labels(Node):
    """Passes labels on: the one node whose mask is the ground truth."""

    INPUT_SPECS = {"mask": PortSpec(torch.int32, (-1, -1, -1), optional=True)}
    OUTPUT_SPECS = {"mask": PortSpec(torch.int32, (-1, -1, -1), optional=True)}

    def forward(self, context, mask=None):
        return {} if mask is None else {"mask": mask}


class Centre(Node):
    """Subtracts the mean spectrum of the training frames; it has nothing to subtract before its fit."""

    INPUT_SPECS = {"cube": CUBE}
    OUTPUT_SPECS = {"centred": CUBE}
    TRAINABLE_BUFFERS = ("mean",)

    def __init__(self, channels, **kwargs):
        self.channels = channels
        super().__init__(channels=channels, **kwargs)
        self.register_buffer("mean", torch.full((channels,), torch.nan))

    def statistical_initialization(self, input_stream):
        rows = torch.cat([batch["cube"].reshape(-1, self.channels) for batch in input_stream])
        self.mean.copy_(rows.mean(dim=0))
        self._statistically_initialized = True

    def forward(self, cube, context):
        if not self._statistically_initialized:
            raise RuntimeError("Centre requires statistical_initialization() or loaded weights before forward().")
        return {"centred": cube - self.mean}


class Gain(Node):
    """Multiplies by a number that it may learn, 1 before a fit; notes how many frames it has learnt from."""

    INPUT_SPECS = {"cube": CUBE}
    OUTPUT_SPECS = {"scaled": CUBE, "frames": PortSpec(torch.int64, (1,))}

    def __init__(self, channels, **kwargs):
        self.channels = channels
        super().__init__(channels=channels, **kwargs)
        self.register_buffer("gain", torch.ones(()))
        self.learnt = {"frames": 0, "from": []}

    def statistical_initialization(self, input_stream):
        peaks = [batch["cube"].amax(dim=(1, 2, 3)) for batch in input_stream]
        self.gain.copy_(1 / torch.cat(peaks).max())
        self.learnt = {"frames": sum(len(each) for each in peaks), "from": [self.name]}

    def get_extra_state(self):
        return self.learnt

    def set_extra_state(self, state):
        self.learnt = state

    def forward(self, cube, context):
        return {"scaled": cube * self.gain, "frames": torch.tensor([self.learnt["frames"]])}


class Distance(Node):
    """Squared length of each pixel's spectrum, times a weight that gradients may change."""

    INPUT_SPECS = {"data": CUBE}
    OUTPUT_SPECS = {"logits": MAP}

    def __init__(self, channels, **kwargs):
        self.channels = channels
        super().__init__(channels=channels, **kwargs)
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.prepared = 0

    def prepare_inference(self):
        self.prepared += 1

    def forward(self, data, context):
        if str(context.stage) == "inference" and not self.prepared:
            raise RuntimeError("not prepared for inference")
        return {"logits": self.weight * (data**2).sum(dim=-1, keepdim=True)}


class Cutoff(Decider):
    """Decides by a threshold in the middle of the gap between the classes, where there is one."""

    def __init__(self, threshold=0.0, **kwargs):
        super().__init__(threshold=threshold, **kwargs)

    def forward(self, logits, context):
        return {"decisions": logits > self.threshold}

    def calibrate(self, scores, targets):
        targets = targets.reshape(scores.shape) != 0
        before, self.threshold = self.threshold, float((scores[~targets].max() + scores[targets].min()) / 2)
        return {"class": "Cutoff", "threshold": {"old": before, "new": self.threshold}, "f1": 1.0}


class Silent(Decider):
    """A decider with nothing to report."""

    def forward(self, logits, context):
        return {"decisions": logits > self.threshold}

    def calibrate(self, scores, targets):
        return None


class Flatness(Node):
    """A loss: the mean of the map."""

    INPUT_SPECS = {"logits": MAP}
    OUTPUT_SPECS = {"loss": PortSpec(torch.float32, ())}
    EXECUTION_STAGES = frozenset({"train", "val", "test"})

    def forward(self, logits, context):
        return {"loss": logits.mean()}
