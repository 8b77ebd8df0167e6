"""Distances between two samples x (N, d) and y (M, d), computed in float64."""

import numpy as np

from ..errors import DataError


def euclidean(x, y):
    """Euclidean distances (N, M) between the rows of x (N, d) and y (M, d)."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    square = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
    if x is y or x.shape == y.shape and (x == y).all():
        np.fill_diagonal(square, 0.0)
    return np.sqrt(np.maximum(square, 0.0))


def energy_distance(x, y):
    """Unbiased energy distance 2E‖X−Y‖ − E‖X−X′‖ − E‖Y−Y′‖ (Székely & Rizzo 2013); can be slightly negative."""
    within = lambda a: euclidean(a, a).sum() / (len(a) * (len(a) - 1))
    return float(2 * euclidean(x, y).mean() - within(x) - within(y))


def frechet_distance(x, y):
    """‖μx − μy‖² + tr(Cx + Cy − 2(Cx Cy)^½): the Fréchet distance of Gaussians fitted to x and y (Heusel et al. 2017).

    tr (Cx Cy)^½ = tr (A Cy A)^½ with A = Cx^½, and A Cy A is symmetric, so its eigenvalues give the trace.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    cx, cy = np.cov(x.T), np.cov(y.T)
    values, vectors = np.linalg.eigh(cx)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cy @ root), 0)).sum()
    return float(((x.mean(0) - y.mean(0))**2).sum() + np.trace(cx) + np.trace(cy) - 2 * cross)


def kernel_distance(x, y):
    """Unbiased MMD² with the kernel k(a, b) = (a·b/d + 1)³ (KID, Bińkowski et al. 2018); can be slightly negative."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    k = lambda a, b: (a @ b.T / a.shape[1] + 1)**3
    within = lambda a: (np.sum(m := k(a, a)) - np.trace(m)) / (len(a) * (len(a) - 1))
    return float(within(x) + within(y) - 2 * k(x, y).mean())


def precision_recall(x, y, k=3):
    """Share of samples x in the manifold of the real y, and share of y in the manifold of x (Kynkäänniemi et al. 2019).

    The manifold of a sample is the union of balls around its points; the radius of a ball is the distance from its
    centre to the k-th nearest neighbour. Raises DataError for k samples or fewer.
    """
    if min(len(x), len(y)) <= k:
        raise DataError(f"expected more than k = {k} samples on both sides, got {len(x)} and {len(y)}; draw more")
    radius = lambda a: np.partition(euclidean(a, a), k, axis=1)[:, k]   # the 0-th neighbour is the point itself
    d = euclidean(x, y)
    return float((d <= radius(y)).any(1).mean()), float((d <= radius(x)[:, None]).any(0).mean())
