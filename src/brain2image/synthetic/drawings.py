"""Pictures whose pixels carry the latents: mosaics in the colours of a smooth field."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from brain2image.synthetic.latents import generator

# The eye's colour axes: light-dark, red-green, blue-yellow (rows; columns are R, G, B). Orthonormal, so that
# no latent is hidden in a direction that is hard to see.
COLOUR_AXES = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
N_FREQUENCIES = 4  # 4 x 4 spatial frequencies x 3 colour axes: room for 48 latents
CONTRAST = 1.3  # standard deviation of the colour field before the logistic curve
CELL_JITTER = 0.3  # of the colour of single tiles, in the same unit; it carries no latent
N_MOSAICS = 24
MOSAIC_SIZE = 300  # pixels


@dataclass(frozen=True)
class Mosaic:
    """One division of the picture into tiles.

    Attributes
    ----------
    labels : (300, 300) int64, the tile of each pixel.
    shade : (300, 300) float32, brightness factor, darker along the edges of the tiles.
    centres : (n_tiles, 2) float64, (row, column) between 0 and 1.
    """

    labels: np.ndarray
    shade: np.ndarray
    centres: np.ndarray


class Painter:
    """Paints latents as pictures; the same seed gives the same visual code.

    The logit of a pixel's colour is a sum of cosine modes of low spatial frequency along three colour axes;
    a random rotation spreads each latent over all modes. Each tile has the colour of the field at its centre.

    Parameters
    ----------
    n_latents : number of latents, at most 48.
    seed : of the rotation and of the mosaics.
    """

    def __init__(self, n_latents: int, *, seed: int) -> None:
        rng = generator(seed, "visual code")
        modes = sorted(
            ((u, v, axis) for u in range(N_FREQUENCIES) for v in range(N_FREQUENCIES) for axis in range(3)),
            key=lambda mode: (mode[0] ** 2 + mode[1] ** 2, mode),
        )[:n_latents]
        self.frequencies = np.array([mode[:2] for mode in modes])
        self.colours = COLOUR_AXES[[mode[2] for mode in modes]]
        self.rotation, _ = np.linalg.qr(rng.normal(size=(n_latents, n_latents)))
        self.mosaics = [_mosaic(rng) for _ in range(N_MOSAICS)]

    def field(self, latents: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Compute the colour field of one picture, before the logistic curve.

        Parameters
        ----------
        latents : (n_latents,) unit variance.
        places : (n_places, 2), (row, column) between 0 and 1.

        Returns
        -------
        (n_places, 3) float64, R, G and B; standard deviation about 1.3.
        """
        waves = np.cos(np.pi * places[:, None, :] * self.frequencies)  # (n_places, n_modes, 2)
        waves = waves.prod(axis=2) * np.sqrt(2.0) ** np.count_nonzero(self.frequencies, axis=1)
        scale = CONTRAST * np.sqrt(3 / len(self.frequencies))
        return scale * waves @ ((self.rotation @ latents)[:, None] * self.colours)

    def paint(self, latents: np.ndarray, *, size: int, rng: np.random.Generator) -> np.ndarray:
        """Paint one picture.

        Parameters
        ----------
        latents : (n_latents,) what the picture shows.
        size : its height and width in pixels, at most 300.
        rng : draws the mosaic and the jitter, which show nothing of the latents.

        Returns
        -------
        (size, size, 3) float32 between 0 and 1, RGB.
        """
        mosaic = self.mosaics[rng.integers(len(self.mosaics))]
        mirrored = rng.integers(2, size=2).astype(bool)
        centres = np.where(mirrored, 1 - mosaic.centres, mosaic.centres)
        logits = self.field(latents, centres) + rng.normal(scale=CELL_JITTER, size=(len(centres), 1))
        colours = (1 / (1 + np.exp(-logits))).astype(np.float32)
        pixels = np.arange(size) * MOSAIC_SIZE // size
        rows, columns = (np.flip(pixels) if flip else pixels for flip in mirrored)
        at = np.ix_(rows, columns)
        return colours[mosaic.labels[at]] * mosaic.shade[at][..., None]


def _mosaic(rng: np.random.Generator) -> Mosaic:
    """Draw Voronoi tiles around random points, stretched in a random direction: pebbles, shards, strokes."""
    n_tiles = int(np.exp(rng.uniform(np.log(40), np.log(400))))
    points = rng.uniform(-0.1, 1.1, size=(n_tiles, 2))
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 3)
    metric = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * [[stretch], [1]]
    axis = (np.arange(MOSAIC_SIZE) + 0.5) / MOSAIC_SIZE
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    distances, nearest = cKDTree(points @ metric.T).query(grid @ metric.T, k=2)
    edge = (distances[:, 1] - distances[:, 0]) * np.sqrt(n_tiles)  # 0 on an edge, about 1 inside
    shade = 0.65 + 0.35 * np.clip(edge / 0.25, 0, 1)
    shape = (MOSAIC_SIZE, MOSAIC_SIZE)
    return Mosaic(
        nearest[:, 0].reshape(shape), shade.reshape(shape).astype(np.float32), np.clip(points, 0, 1)
    )
