"""Write the San Diego scene and its mask as ENVI, which is what most users have, from san_diego.npz beside this file.

    python examples/data/make_envi.py [FOLDER]

makes san_diego.hdr and .img (uint16, band-interleaved by line, wavelengths in nm) and san_diego_mask.hdr and .img
(uint8) in FOLDER, by default the folder of this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from spectral.io import envi

HERE = Path(__file__).parent


def make_envi(folder: Path) -> None:
    """Write both ENVI pairs into a folder."""
    with np.load(HERE / "san_diego.npz", allow_pickle=False) as scene:
        wavelengths = [f"{wavelength:.1f}" for wavelength in scene["wavelengths"]]
        _write(
            folder / "san_diego.hdr",
            scene["cube"],
            {
                "description": "AVIRIS radiance over San Diego airport, 100 x 100 pixels, nominal wavelengths",
                "sensor type": "AVIRIS",
                "wavelength units": "Nanometers",
                "wavelength": wavelengths,
            },
        )
        _write(
            folder / "san_diego_mask.hdr",
            scene["mask"][..., None],
            {"description": "Aircraft in san_diego.img (Airport-Beach-Urban benchmark)", "band names": ["aircraft"]},
        )


def _write(header: Path, image: np.ndarray, metadata: dict[str, object]) -> None:
    envi.save_image(str(header), image, metadata=metadata, interleave="bil", byteorder=0, ext=".img", force=True)


if __name__ == "__main__":
    make_envi(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
