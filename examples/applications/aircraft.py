"""Finds aircraft in a scene by a published model, and draws them. `app` is the application.

The model, "san_diego_rx", is Swath's: how unusual each pixel's spectrum is. What is done before and after it is here:
reading what the client sends, marking the most unusual pixels, a picture. Calls of all clients meet in Swath's batches.
"""

import io
import os
from pathlib import Path

import numpy as np
from aircraft_pb2 import FindResponse
from PIL import Image

from swath import serve


@serve.deployment
class Finder:
    def __init__(self, model, painter):
        self._model, self._painter = model, painter
        self._folder = Path(os.environ.get("SCENES", "."))

    async def Find(self, request, grpc_context):
        try:
            cube, wavelengths = self._read(request)
        except (OSError, KeyError, ValueError) as error:
            grpc_context.abort(3, f"scene: expected an .npz archive with cube and wavelengths, got {error}")
        outputs = await self._model.remote(cube=cube[None], wavelengths=wavelengths[None])
        scores = outputs.only("scores")[0, :, :, 0]
        threshold = np.quantile(scores, 1 - (request.percent or 1.0) / 100)
        mask = scores > threshold
        # Not the whole cube: one channel makes the picture.
        picture = self._painter.remote(cube[:, :, cube.shape[2] // 4], mask)
        line, sample = np.unravel_index(scores.argmax(), scores.shape)
        return FindResponse(
            mask_png=png(mask.astype(np.uint8) * 255),
            picture_png=await picture,
            marked=int(mask.sum()),
            threshold=threshold,
            highest=scores.max(),
            line=line,
            sample=sample,
        )

    def _read(self, request):
        """Return the cube as the model takes it, float32 [H, W, C], and the wavelengths, int32 [C]."""
        if request.WhichOneof("scene") == "file":
            source = self._folder / Path(request.file).name  # a name, whatever the client says
        else:
            source = io.BytesIO(request.npz)
        with np.load(source) as scene:
            return scene["cube"].astype(np.float32), scene["wavelengths"].astype(np.int32)


@serve.deployment
class Painter:
    def __call__(self, channel: np.ndarray, mask: np.ndarray) -> bytes:
        low, high = np.quantile(channel, (0.02, 0.98))
        grey = (np.clip((channel - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
        picture = np.repeat(grey[:, :, None], 3, axis=2)
        picture[mask] = (255, 0, 0)
        return png(picture)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


app = Finder.bind(serve.model("san_diego_rx@stable", outputs="scores"), Painter.bind())
