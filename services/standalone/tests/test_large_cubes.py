"""A cube that is larger than what the server may keep of it passes through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from swath.client import Client, CubeRows
from swath_standalone.process import ServerProcess

MIB = 1 << 20
BANDS, COLUMNS = 100, 100
WAVELENGTHS = np.arange(400, 900, 5, dtype=np.int32)
NIR = 80  # 800 nm
NDVI = {
    "nodes": [
        {
            "name": "ndvi",
            "class_name": "cuvis_ai.node.channel_selector.NDVISelector",
            "hparams": {"nir_nm": 800, "red_nm": 650},
        }
    ],
    "connections": [],
}


def _memory(pid: int, key: str) -> float:
    """Return the memory of a process in MiB: VmRSS is what it has, VmHWM the most since `clear_refs` was written."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def _rows(item: int, first: int, end: int) -> np.ndarray:
    rows = np.full((end - first, COLUMNS, BANDS), 1.0, np.float32)
    rows[..., NIR] = 1 + np.arange(first, end, dtype=np.float32)[:, None]
    return rows


@pytest.mark.timeout(300)
def test_a_cube_of_400_mb_takes_less_than_150_mb_of_the_server(tmp_path: Path) -> None:
    cube = CubeRows((1, 10_000, COLUMNS, BANDS), np.dtype(np.float32), _rows)
    assert cube.nbytes == 400_000_000
    environment = {"SWATH_INFERENCE_CUBE_BYTES": str(32 * MIB)}
    with ServerProcess(tmp_path / "state", environment=environment) as server, Client(server.target) as client:
        with client.session() as session:
            session.load_pipeline(NDVI)
            session.infer_cube(_rows(0, 0, 100)[None], wavelengths=WAVELENGTHS, outputs=["index_image"])
            assert server.pid is not None
            Path(f"/proc/{server.pid}/clear_refs").write_text("5")
            before = _memory(server.pid, "VmRSS")
            found = session.infer_cube(cube, wavelengths=WAVELENGTHS, outputs=["index_image"])["ndvi.index_image"]
            assert _memory(server.pid, "VmHWM") - before < 150
        nir = 1 + np.arange(10_000, dtype=np.float32)
        expected = np.broadcast_to(((nir - 1) / (nir + 1))[None, :, None, None], found.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
