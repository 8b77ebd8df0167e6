"""Adam: the fractions of the pencil, the expectations of the moments, the first steps, and momentum in a game."""

import numpy as np
import pytest

from tinygan import optim


@pytest.fixture
def names(chapter):
    return chapter("07_adam").names


def test_the_pencil(names):
    m, v, step = names["trace"]([4, -4, 4], 0.5, 15 / 16).T
    np.testing.assert_allclose(m, [2, -1, 3 / 2], rtol=1e-12)
    np.testing.assert_allclose(m / [1 / 2, 3 / 4, 7 / 8], [4, -4 / 3, 12 / 7], rtol=1e-12)
    np.testing.assert_allclose(v, [1, 31 / 16, 721 / 256], rtol=1e-12)
    assert m[0] / v[0]**0.5 == 2        # without the corrections the first step is twice as long
    np.testing.assert_allclose(step, [1, -1 / 3, 3 / 7], rtol=1e-6)


def test_the_weights_of_the_gradients(names, rng):
    """m and v unrolled: Σ (1 − β)β^(t−i) gᵢ, with weights that add up to 1 − βᵗ."""
    g, t = rng.standard_normal(7), np.arange(1, 8)
    m, v, _ = names["trace"](g, 0.9, 0.99).T
    for k in t:
        for beta, found, terms in ((0.9, m, g), (0.99, v, g * g)):
            weights = (1 - beta) * beta**(k - t[:k])
            np.testing.assert_allclose(found[k - 1], weights @ terms[:k], rtol=1e-12)
            np.testing.assert_allclose(weights.sum(), 1 - beta**k, rtol=1e-12)


def test_the_expectations(names):
    """Within five standard errors of the Monte Carlo mean; without 1 − βᵗ they are far off."""
    moments, share = names["moments"], names["share"]
    variance = {0: 4 * 0.1 / 1.9, 1: (3 * 16 + 6 * 4 + 1 - 25) * 0.001 / 1.999}
    for k, mean in ((0, 1), (1, 5)):
        allowed = 5 * (variance[k] / 10_000)**0.5 + 1e-3
        assert abs(moments[:, k] - mean * share[:, k]).max() < allowed
        assert abs(moments[0, k] - mean) > 0.8 * mean


@pytest.mark.parametrize("beta1", [0.9, 0.5, 0.0])
def test_the_length_of_the_steps(names, beta1):
    t = np.arange(1, 51)
    np.testing.assert_allclose(names["step_lengths"](beta1, 50), (1 - beta1**t) / np.sqrt(1 - 0.999**t), rtol=1e-6)
    np.testing.assert_allclose(names["step_lengths"](beta1, 50, corrected=True), 1, rtol=1e-6)


@pytest.mark.parametrize("beta1", [0.8, 0.5, 0.3])
def test_the_growth_that_momentum_adds(names, beta1):
    """hβ₁/(1 − β₁) to first order in h: at h = 0.02 and these β₁ to a tenth."""
    h, turn = names["h"], names["turn"]
    path = names["play"](lambda: optim.SGD(h * (1 - beta1), momentum=beta1), 2 * turn)
    distance = np.hypot(*path.T)
    growth = np.log(distance[2 * turn] / distance[turn]) / (h * turn)
    assert growth == pytest.approx(h * beta1 / (1 - beta1), rel=0.1)


def test_adam_in_the_game(names):
    """Without a penalty β₁ = 0.9 and 0.5 spiral outward; with R1 only 0.9 does not converge."""
    end = lambda beta1, gamma: np.hypot(*names["play"](lambda: optim.Adam(0.05, beta1), 500, gamma)[-1])
    assert end(0.9, 0.0) > 5 > end(0.5, 0.0) > 2 > end(0.0, 0.0)
    assert end(0.9, 1.0) > 0.5 and end(0.5, 1.0) < 1e-3 and end(0.0, 1.0) < 1e-6
