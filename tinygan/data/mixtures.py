"""Mixtures of 2-D Gaussians: data with known modes.

Source: Srivastava et al. 2017 (VEEGAN), section 5.1; Lin et al. 2018 (PacGAN), section 4.1.
"""

import numpy as np

from ..errors import ConfigError, ShapeError


class Mixture:
    """Equal parts of Gaussians N(means[i], sigma²·I).  means (K, 2) float64; sigma > 0.

    Raises ShapeError or ConfigError for other means or another sigma.
    """

    def __init__(self, means, sigma):
        self.means, self.sigma = np.asarray(means, np.float64), float(sigma)
        if self.means.ndim != 2 or self.means.shape[1] != 2 or not len(self.means):
            raise ShapeError(f"expected means (K, 2) with K ≥ 1, got shape {self.means.shape}; give a point (x, y) "
                             f"for each mode")
        if not np.isfinite(self.means).all():
            raise ConfigError("expected finite means, got NaN or infinity; give a point (x, y) for each mode")
        if not 0 < self.sigma < np.inf:
            raise ConfigError(f"expected a finite sigma above 0, got {sigma}; the ring has 0.01, the grid 0.05")

    @property
    def scale(self):
        """The root mean square of a coordinate, √(mean of means² + sigma²): data divided by scale has RMS 1."""
        return float(np.sqrt((self.means**2).mean() + self.sigma**2))

    def sample(self, n, rng):
        """points (n, 2) float32 and which component each is from (n,) int64, by a NumPy generator."""
        component = rng.integers(len(self.means), size=n)
        points = self.means[component] + self.sigma * rng.standard_normal((n, 2))
        return points.astype(np.float32), component


def ring(modes=8, radius=1.0, sigma=0.01):
    """`modes` Gaussians evenly on a circle around 0."""
    angle = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), sigma)


def grid(side=5, spacing=2.0, sigma=0.05):
    """side² Gaussians on a square grid centred at 0; by default means {−4, −2, 0, 2, 4}²."""
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2), sigma)
