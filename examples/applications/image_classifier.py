"""Says what is in a picture: one deployment fetches it, one prepares it, one runs the model. `g2` is the application.

The model and its labels are files beside this one, in the folder `model`, which `make_model.py` writes.
"""

import urllib.request
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from make_model import ColourModel
from PIL import Image
from user_defined_protos_pb2 import ImageClass, ImageData

from swath import serve
from swath.serve.handle import DeploymentHandle


@serve.deployment
class ImageClassifier:
    def __init__(self, _image_downloader: DeploymentHandle, _data_preprocessor: DeploymentHandle):
        self._image_downloader = _image_downloader
        self._data_preprocessor = _data_preprocessor
        folder = Path(__file__).with_name("model")
        self.categories = (folder / "classes.txt").read_text().split()
        self.model = ColourModel(len(self.categories))
        self.model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
        self.model.eval()

    async def Predict(self, image_data: ImageData) -> ImageClass:
        image = await self._image_downloader.remote(image_data.url)
        input_batch = await self._data_preprocessor.remote(image)
        with torch.no_grad():
            output = self.model(input_batch)
        return self.process_model_outputs(torch.nn.functional.softmax(output[0], dim=0))

    def process_model_outputs(self, probabilities: torch.Tensor) -> ImageClass:
        best, numbers = torch.topk(probabilities, 5)
        return ImageClass(classes=[self.categories[number] for number in numbers], probabilities=best.tolist())


@serve.deployment
class ImageDownloader:
    def __call__(self, image_url: str) -> Image.Image:
        with urllib.request.urlopen(image_url) as answer:
            return Image.open(BytesIO(answer.read())).convert("RGB")


@serve.deployment
class DataPreprocessor:
    def __call__(self, image: Image.Image) -> torch.Tensor:
        pixels = np.asarray(image.resize((64, 64)), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)  # a batch of one, as the model takes it


g2 = ImageClassifier.options(name="grpc-image-classifier").bind(ImageDownloader.bind(), DataPreprocessor.bind())
