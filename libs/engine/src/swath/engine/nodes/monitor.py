"""Nodes that write what others report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LEARNING, LIST, Port, ports
from swath.engine.graph.records import Measurement, Picture, flatten
from swath.engine.hparams import whole

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardMonitorNode(Node):
    """Writes numbers and pictures as TensorBoard events, named ``stage/name``, at the optimizer step of the context.

    Args:
        output_dir: Folder of the runs.
        run_name: Folder of this run below it, or ``<name>_v2`` and so on where it exists; ``run_01`` and so on when
            left out.
        comment: Takes no part: it is a suffix of folder names that TensorBoard makes up itself.
        flush_secs: Seconds after which events are written out at the latest.
    """

    stages = LEARNING
    category = "sink"
    tags = ("evaluation", "training")
    effect = True
    inputs = ports(
        artifacts=Port(LIST, optional=True, variadic=True, description="Pictures"),
        metrics=Port(LIST, optional=True, variadic=True, description="Numbers"),
    )

    def __init__(
        self, output_dir: str = "./runs", run_name: str | None = None, comment: str = "", flush_secs: int = 120
    ) -> None:
        super().__init__()
        self.output_dir = str(output_dir)
        self.run_name = run_name
        if run_name is not None and Path(run_name).name != run_name:
            raise ValueError(f"run_name must be the name of a folder, got {run_name!r}")
        self.flush_seconds = whole("flush_secs", flush_secs, at_least=1)
        self._writer: SummaryWriter | None = None

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        items = flatten(inputs.get("metrics", [])) + flatten(inputs.get("artifacts", []))
        if not items:
            return {}
        writer = self._open(context)
        for item in items:
            tag = f"{context.stage.value}/{item.name}"
            if isinstance(item, Measurement):
                writer.add_scalar(tag, item.value, context.step)
            elif isinstance(item, Picture):
                writer.add_image(tag, item.pixels, context.step, dataformats="HWC")
        return {}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, context: Context) -> SummaryWriter:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import

            folder = self._folder(context.resolve(self.output_dir))
            self._writer = SummaryWriter(log_dir=str(folder), flush_secs=self.flush_seconds)
        return self._writer

    def _folder(self, root: Path) -> Path:
        names = [f"run_{number:02d}" for number in range(1, 10_000)]
        if self.run_name is not None:
            names = [self.run_name, *(f"{self.run_name}_v{number}" for number in range(2, 10_000))]
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                (root / name).mkdir()
            except FileExistsError:
                continue
            return root / name
        raise FileExistsError(f"{root} holds ten thousand runs of this name")
