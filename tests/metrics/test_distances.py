"""Distances between samples: known values, and the formulas written a second time."""

import numpy as np
import pytest

from tinygan import metrics
from tinygan.errors import DataError


def test_energy_distance():
    x = np.random.default_rng(0).standard_normal((400, 2))
    y = np.random.default_rng(1).standard_normal((500, 2))
    pairs = lambda a, b: np.linalg.norm(a[:, None] - b, axis=2)
    expected = 2 * pairs(x, y).mean() - pairs(x, x).sum() / 400 / 399 - pairs(y, y).sum() / 500 / 499
    np.testing.assert_allclose(metrics.energy_distance(x, y), expected, rtol=1e-6)
    assert metrics.energy_distance(x, y + 1) > 0.2


def test_frechet_distance_of_gaussians():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 3))
    x = rng.standard_normal((2000, 3)) @ A
    assert abs(metrics.frechet_distance(x, x)) < 1e-9
    np.testing.assert_allclose(metrics.frechet_distance(x, x + [1, 2, 0]), 5, rtol=1e-9)
    scaled = metrics.frechet_distance(x, 2 * x)     # ‖μ‖² + tr(C + 4C − 4C) = ‖μ‖² + tr C
    np.testing.assert_allclose(scaled, (x.mean(0)**2).sum() + np.trace(np.cov(x.T)), rtol=1e-9)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    same = [metrics.kernel_distance(*rng.standard_normal((2, 100, 4))) for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 200**0.5 and min(same) < 0
    assert metrics.kernel_distance(rng.standard_normal((100, 4)), rng.standard_normal((100, 4)) + 1) > 1


def test_precision_and_recall():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (600, 2)), rng.uniform(0, 1, (600, 2))
    precision, recall = metrics.precision_recall(a, b)
    assert precision > 0.9 and recall > 0.9
    precision, recall = metrics.precision_recall(a[a[:, 0] < 0.5], b)         # half is not drawn
    assert precision > 0.9 and 0.4 < recall < 0.6
    precision, recall = metrics.precision_recall(np.r_[a, a + 10], b)          # half is not real
    assert 0.45 < precision < 0.55 and recall > 0.9


def test_the_formulas_of_features():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3)), rng.standard_normal((200, 3)) + 1
    cx, cy = np.cov(x.T), np.cov(y.T)       # they do not commute
    frechet = ((x.mean(0) - y.mean(0))**2).sum() + np.trace(cx + cy - 2 * _root(cx @ cy))
    np.testing.assert_allclose(metrics.frechet_distance(x, y), frechet, rtol=1e-10)
    k = lambda a, b: (a @ b.T / 3 + 1)**3
    within = lambda a: k(a, a)[~np.eye(len(a), dtype=bool)].mean()
    np.testing.assert_allclose(metrics.kernel_distance(x, y), within(x) + within(y) - 2 * k(x, y).mean(), rtol=1e-10)
    distance = lambda a, b: np.linalg.norm(a[:, None] - b, axis=2)
    reach = lambda a: np.sort(distance(a, a), 1)[:, 3]
    precision, recall = ((distance(a, b) <= reach(b)).any(1).mean() for a, b in ((x, y), (y, x)))
    assert metrics.precision_recall(x, y) == (precision, recall) and precision != recall
    with pytest.raises(DataError, match="more than k = 3"):
        metrics.precision_recall(x[:3], y)


def _root(matrix):
    values, vectors = np.linalg.eig(matrix)
    return ((vectors * np.sqrt(values)) @ np.linalg.inv(vectors)).real
