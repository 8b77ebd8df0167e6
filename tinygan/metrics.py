"""How well does a generator match the data? Host arrays in, plain numbers out.

For 2-D mixtures the modes are known, so quality and coverage can be counted (Srivastava et al. 2017; Lin et al. 2018):

    modes            modes with at least one high-quality sample as their nearest
    high_quality     share of samples within 3σ of the nearest mean (Mahalanobis); 98.9% for perfect ones
    reverse_kl       KL(generated ‖ true) over modes, each sample counted for its nearest mean, in nats
    worst_covariance over modes, the largest factor by which a mode's covariance is off: max(λ/σ², σ²/λ) over its
                     eigenvalues λ, from the high-quality samples (their truncation at 3σ divided out); ∞ if missed
    energy           energy distance 2E‖X−Y‖ − E‖X−X′‖ − E‖Y−Y′‖ to real samples (Székely & Rizzo 2013); unbiased

Every figure has a floor: the same figure for as many real samples. Print it beside.
"""

import numpy as np

# The variance, in σ², of a coordinate of a 2-D Gaussian cut off at radius 3: 1 − (9/2)·e^(−9/2)/(1 − e^(−9/2)).
_TRUNCATED = 1 - 4.5 * np.exp(-4.5) / (1 - np.exp(-4.5))


def mixture(points, model, real=None, rng=0):
    """The figures above for points (N, 2) against a data.Mixture -> dict of floats.

    real (M, 2): samples for the energy distance; drawn from the model by rng if not given.
    """
    points = np.asarray(points, np.float64)
    distance = _distances(points, model.means)
    nearest = distance.argmin(1)
    good = distance[np.arange(len(points)), nearest] <= 3 * model.sigma
    share = np.bincount(nearest, minlength=len(model.means)) / len(points)
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


def energy_distance(x, y):
    """2E‖X−Y‖ − E‖X−X′‖ − E‖Y−Y′‖ of samples x (N, d), y (M, d), without bias (so it can be slightly negative)."""
    within = lambda a: _distances(a, a).sum() / (len(a) * (len(a) - 1))
    return float(2 * _distances(x, y).mean() - within(x) - within(y))


def _distances(x, y):
    """Euclidean distances (N, M) between the rows of x (N, d) and y (M, d), in float64."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    square = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
    if x is y or x.shape == y.shape and (x == y).all():
        np.fill_diagonal(square, 0.0)
    return np.sqrt(np.maximum(square, 0.0))
