"""Metrics of mixtures: known values, and what each one measures."""

import numpy as np
import pytest

from tinygan import data, metrics
from tinygan.errors import DataError
from tinygan.metrics import mixtures


def test_samples_of_the_mixture_itself_reach_the_published_values():
    for name, modes in (("ring", 8), ("grid", 25)):
        model = data.stream(name)
        figures = [metrics.mixture(model.sample(2500, np.random.default_rng(s))[0], model) for s in range(5)]
        mean = {key: np.mean([f[key] for f in figures]) for key in figures[0]}
        assert mean["modes"] == modes and abs(mean["high_quality"] - 0.989) < 0.002
        assert abs(mean["reverse_kl"] - (modes - 1) / 5000) < 0.001      # χ² of K − 1 degrees over 2n
        assert mean["worst_covariance"] < (1.4 if modes == 8 else 1.8) and abs(mean["energy"]) < 0.002


def test_a_mixture_that_misses():
    model = data.ring()
    points, component = model.sample(4000, np.random.default_rng(0))
    half = metrics.mixture(points[component < 4], model)
    assert half["modes"] == 4 and half["worst_covariance"] == np.inf and half["energy"] > 0.1
    np.testing.assert_allclose(half["reverse_kl"], np.log(2), atol=0.01)
    blurred = metrics.mixture(points + 0.03 * np.random.default_rng(1).standard_normal(points.shape), model)
    assert blurred["high_quality"] < 0.5 and blurred["modes"] == 8
    narrow = metrics.mixture(model.means[component] + 0.5 * (points - model.means[component]), model)
    assert narrow["high_quality"] == 1.0 and narrow["worst_covariance"] > 3


def test_a_mixture_is_measured_on_points():
    for shape in ((0, 2), (1, 2), (5, 3), (4,)):
        with pytest.raises(DataError, match="at least two points"):
            metrics.mixture(np.zeros(shape), data.ring())


def test_the_formulas_of_mixtures():
    model = data.Mixture([[0, 0], [10, 0]], 1.0)
    found = metrics.mixture(np.array([[2.999, 0], [3.001, 0], [0, 0.1], [10, 4]]), model)
    assert found["modes"] == 1 and found["high_quality"] == 0.5
    np.testing.assert_allclose(found["reverse_kl"], 0.75 * np.log(1.5) + 0.25 * np.log(0.5), rtol=1e-12)
    with pytest.raises(DataError, match="two real points"):
        metrics.mixture(np.zeros((4, 2)), model, real=np.zeros((1, 2)))
    # Angles on a grid, radii at the quantiles of a Gaussian cut off at 3σ: the ratio is 1, to quadrature.
    radii = np.sqrt(-2 * np.log(1 - (np.arange(400) + 0.5) / 400 * (1 - np.exp(-4.5))))
    angles = 2 * np.pi * np.arange(64) / 64
    exact = (radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], 1)).reshape(-1, 2)
    for scale, ratio in (([1, 1], 1), ([2, 1], 4), ([1, 0.5], 4)):
        np.testing.assert_allclose(mixtures._covariance_ratio(exact * scale, 1.0), ratio, rtol=0.005)
