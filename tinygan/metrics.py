"""How well does a generator match the data? Host arrays in, plain numbers out.

For 2-D mixtures the modes are known, so quality and coverage can be counted (Srivastava et al. 2017; Lin et al. 2018):

    modes            modes with at least one high-quality sample as their nearest
    high_quality     share of samples within 3σ of the nearest mean (Mahalanobis); 98.9% for perfect ones
    reverse_kl       KL(generated ‖ true) over modes, each sample counted for its nearest mean, in nats
    worst_covariance over modes, the largest factor by which a mode's covariance is off: max(λ/σ², σ²/λ) over its
                     eigenvalues λ, from the high-quality samples (their truncation at 3σ divided out); ∞ if missed
    energy           energy distance 2E‖X−Y‖ − E‖X−X′‖ − E‖Y−Y′‖ to real samples (Székely & Rizzo 2013); unbiased

For digits a small frozen classifier (`classifier.py`) gives features and classes in the place of Inception:

    classes          classes that make up at least 1% of the samples
    total_variation  ½ Σ |share of a class − its share among the real| of the class histogram
    frechet          Fréchet distance of Gaussians fitted to the features (Heusel et al. 2017)
    kid              unbiased squared MMD of the features, kernel (x·y/d + 1)³ (Bińkowski et al. 2018)
    precision        share of samples within the real manifold, by the radius to the third neighbour (k = 3)
    recall           share of real images within the samples' manifold (Kynkäänniemi et al. 2019)
    nearest          mean Euclidean distance, in pixels' range [−1, 1], to the nearest real image: memorising shows
                     as a figure far below its floor

For stacked digits (`data.Stacked`) the same classifier names the digit in each channel, and so the mode:

    modes            of 1,000, those with at least one sample
    kl               KL(generated ‖ uniform) over modes, in nats

Every figure has a floor: the same figure for as many real samples, unseen. Print it beside.
"""

import numpy as np

from . import classifier
from .errors import DataError

# The variance, in σ², of a coordinate of a 2-D Gaussian cut off at radius 3: 1 − (9/2)·e^(−9/2)/(1 − e^(−9/2)).
_TRUNCATED = 1 - 4.5 * np.exp(-4.5) / (1 - np.exp(-4.5))


def mixture(points, model, real=None, rng=0):
    """The figures above for points (N, 2) against a data.Mixture -> dict of floats.

    real (M, 2): samples for the energy distance; drawn from the model by rng if not given. Raises DataError for fewer
    than two points, or of another shape.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or len(points) < 2 or points.shape[1] != model.means.shape[1]:
        raise DataError(f"expected at least two points (N, {model.means.shape[1]}), got shape {points.shape}; draw "
                        f"more")
    distance = _distances(points, model.means)
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


def digits(images, real, net=None):
    """The figures above for digits (N, 28, 28, 1) against real ones (M, 28, 28, 1), in [−1, 1] -> dict of floats.

    Raises DataError for fewer than 100 of either (the covariances of the features would mean nothing).
    """
    if min(len(images), len(real)) < 100:
        raise DataError(f"expected at least 100 digits on both sides, got {len(images)} and {len(real)}; draw more")
    (x, p), (y, q) = classifier.look(images, net), classifier.look(real, net)
    shares = [np.bincount(probability.argmax(1), minlength=10) / len(probability) for probability in (p, q)]
    precision, recall = precision_recall(x, y)
    flat = lambda a: a.reshape(len(a), -1)
    nearest = [_distances(flat(images[i:i + 500]), flat(real)).min(1) for i in range(0, len(images), 500)]
    return {
        "classes": float((shares[0] >= 0.01).sum()),
        "total_variation": float(abs(shares[0] - shares[1]).sum() / 2),
        "frechet": frechet_distance(x, y),
        "kid": kernel_distance(x, y),
        "precision": precision,
        "recall": recall,
        "nearest": float(np.concatenate(nearest).mean()),
    }


def stacked(images, net=None):
    """The figures above for stacked digits (N, 28, 28, 3) in [−1, 1] -> dict of floats. 26,000 of them by custom."""
    if images.ndim != 4 or images.shape[-1] != 3:
        raise DataError(f"expected stacked digits (N, 28, 28, 3), got {images.shape}; draw them from a model of them")
    digits = [classifier.look(images[..., c:c + 1], net)[1].argmax(1) for c in range(3)]
    share = np.bincount(100 * digits[0] + 10 * digits[1] + digits[2], minlength=1000) / len(images)
    return {"modes": float((share > 0).sum()),
            "kl": float((share * np.log(np.maximum(share, 1e-300) * 1000)).sum())}


def frechet_distance(x, y):
    """‖μx − μy‖² + tr(Cx + Cy − 2(Cx Cy)^½) of features x (N, d), y (M, d).

    tr (Cx Cy)^½ = tr (A Cy A)^½ with A = Cx^½, and A Cy A is symmetric: eigenvalues do.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    cx, cy = np.cov(x.T), np.cov(y.T)
    values, vectors = np.linalg.eigh(cx)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cy @ root), 0)).sum()
    return float(((x.mean(0) - y.mean(0))**2).sum() + np.trace(cx) + np.trace(cy) - 2 * cross)


def kernel_distance(x, y):
    """KID: unbiased MMD² of x (N, d), y (M, d) with k(a, b) = (a·b/d + 1)³; can be slightly negative."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    k = lambda a, b: (a @ b.T / a.shape[1] + 1)**3
    within = lambda a: (np.sum(m := k(a, a)) - np.trace(m)) / (len(a) * (len(a) - 1))
    return float(within(x) + within(y) - 2 * k(x, y).mean())


def precision_recall(x, y, k=3):
    """Shares of samples x (N, d) in the manifold of the real y (M, d), and the reverse.

    The manifold of a set is the union of balls around its points, each reaching to its k-th nearest neighbour.
    """
    if min(len(x), len(y)) <= k:
        raise DataError(f"expected more than k = {k} samples on both sides, got {len(x)} and {len(y)}; draw more")
    reach = lambda a: np.partition(_distances(a, a), k, axis=1)[:, k]   # the 0-th is the point itself
    d = _distances(x, y)
    return float((d <= reach(y)).any(1).mean()), float((d <= reach(x)[:, None]).any(0).mean())
