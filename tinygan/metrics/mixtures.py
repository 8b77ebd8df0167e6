"""Metrics of 2-D points against a mixture whose modes are known (Srivastava et al. 2017; Lin et al. 2018)."""

import numpy as np

from ..errors import DataError
from .distances import energy_distance, euclidean

# The variance, in σ², of a coordinate of a 2-D Gaussian truncated at radius 3σ: 1 − (9/2)·e^(−9/2)/(1 − e^(−9/2)).
_TRUNCATED = 1 - 4.5 * np.exp(-4.5) / (1 - np.exp(-4.5))


def mixture(points, model, real=None, rng=0):
    """Metrics of points (N, 2) against a data.Mixture -> dict of floats.

    modes             modes that are the nearest mode of at least one high-quality sample
    high_quality      share of samples within 3σ of the nearest mean; 98.9% for samples of the mixture itself
    reverse_kl        KL(generated ‖ true) over modes, in nats; each sample is counted for its nearest mean
    worst_covariance  maximum over modes and eigenvalues λ of a mode's covariance of max(λ/σ², σ²/λ); the covariance is
                      that of the high-quality samples, corrected for their truncation at 3σ; ∞ for a missed mode
    energy            energy distance to real samples

    real (M, 2): samples for the energy distance; by default N are drawn from the model with the seed rng. Raises
    DataError for fewer than two points, or points of another shape.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) < 2 or points.shape[1] != model.means.shape[1]:
        raise DataError(f"expected at least two points (N, {model.means.shape[1]}), got shape {points.shape}; draw "
                        f"more")
    distance = euclidean(points, model.means)
    nearest = distance.argmin(1)
    good = distance[np.arange(len(points)), nearest] <= 3 * model.sigma
    share = np.bincount(nearest, minlength=len(model.means)) / len(points)
    if real is not None and len(real) < 2:
        raise DataError(f"expected at least two real points, got {len(real)}; draw more")
    if real is None:
        real, _ = model.sample(len(points), np.random.default_rng(rng))
    return {
        "modes": float(len(np.unique(nearest[good]))),
        "high_quality": float(good.mean()),
        "reverse_kl": float((share * np.log(np.maximum(share, 1e-300) * len(share))).sum()),
        "worst_covariance": max(_covariance_ratio(points[good & (nearest == k)], model.sigma)
                                for k in range(len(model.means))),
        "energy": energy_distance(points, real),
    }


def _covariance_ratio(points, sigma):
    if len(points) < 3:
        return float("inf")
    eigenvalues = np.linalg.eigvalsh(np.cov(points.T)) / (_TRUNCATED * sigma**2)
    return float(max(eigenvalues.max(), 1 / max(eigenvalues.min(), 1e-300)))
