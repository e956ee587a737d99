"""Clusters around means.

Source: S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982; how it
starts: D. Arthur, S. Vassilvitskii, "k-means++: The advantages of careful seeding", SODA 2007.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, choice, whole
from swath.engine.mixins.pixel_fit import MASKED_CUBE, PixelFit, Pixels, sizes


class KMeansClusterer(PixelFit):
    """Gives each pixel the nearest of K centroids, in Euclidean distance, that scikit-learn's k-means has learnt.

    Args:
        n_clusters: Number of clusters K.
        init: How the centroids start: ``k-means++`` or ``random``.
        n_init: How often the fit starts anew; the best result counts.
        max_iter: Most iterations of each start.
        random_state: Seed of the fit.
        max_fit_pixels: Most pixels that the fit looks at; all when 0.
        fit_seed: Seed of the choice among more.
    """

    category = "model"
    tags = ("hyperspectral", "classification", "stateful", "torch")
    independence = Independence.PIXEL
    inputs = MASKED_CUBE
    outputs = ports(
        class_mask=Port(
            torch.int32, (-1, -1, -1), invalid=-1, description="Cluster, from 0; -1 where invalid [B, H, W]"
        ),
        scores=Port(torch.float32, (-1, -1, -1, 1), description="Distance to its centroid [B, H, W, 1]"),
    )
    statistics = sizes(centroids=("n_clusters", "C"))

    centroids: Tensor

    def __init__(
        self,
        n_clusters: int = 8,
        init: str = "k-means++",
        n_init: int = 10,
        max_iter: int = 300,
        random_state: int = 0,
        max_fit_pixels: int = 20_000,
        fit_seed: int = 0,
    ) -> None:
        super().__init__(max_fit_pixels, fit_seed)
        self.n_clusters = channels("n_clusters", n_clusters)
        self.init = choice("init", init, ("k-means++", "random"))
        self.starts = whole("n_init", n_init, at_least=1)
        self.max_iter = whole("max_iter", max_iter, at_least=1)
        self.seed = whole("random_state", random_state, at_least=0)

    def min_pixels(self) -> int:
        return max(2, self.n_clusters)

    def learn(self, pixels: Pixels) -> dict[str, Tensor]:
        from sklearn.cluster import KMeans  # slow to import, and only fits need it

        model = self.estimate(
            KMeans,
            pixels,
            n_clusters=self.n_clusters,
            init=self.init,
            n_init=self.starts,
            max_iter=self.max_iter,
            random_state=self.seed,
        )
        return {"centroids": torch.from_numpy(model.cluster_centers_)}

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        cube: Tensor = inputs["cube"]
        self.require_channels(cube, self.centroids.shape[1])
        rows = cube.reshape(-1, cube.shape[-1])
        # By differences: what a product of matrices gives cancels where spectra are alike and far from zero.
        distances = torch.cdist(rows, self.centroids.to(rows.dtype), compute_mode="donot_use_mm_for_euclid_dist")
        nearest, cluster = distances.min(dim=1)
        return {
            "class_mask": cluster.to(torch.int32).reshape(cube.shape[:3]),
            "scores": nearest.to(cube.dtype).reshape(*cube.shape[:3], 1),
        }
