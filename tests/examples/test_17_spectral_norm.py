"""Spectral normalisation: the worked example, the gradient, the speed of power iteration, and the bound."""

import numpy as np
import pytest


@pytest.fixture
def spectral(chapter):
    return chapter("17_spectral_norm").names


def test_the_worked_example(spectral):
    W, u, v = spectral["W"], spectral["u1"], spectral["v1"]
    np.testing.assert_allclose(W @ u, 45**0.5 * v, rtol=1e-14)
    np.testing.assert_allclose(W.T @ v, 45**0.5 * u, rtol=1e-14)
    np.testing.assert_allclose(spectral["gradient"](u, v) * 45**0.5, [[0.9, -0.1], [-0.3, -0.3]], rtol=1e-14)
    np.testing.assert_allclose(spectral["gradient"](u, v), spectral["reference"], rtol=1e-9)
    assert spectral["lam"] == pytest.approx(1 / 5**0.5)


def test_power_iteration_gains_a_factor_of_nine(spectral):
    angles, gradients = np.array(spectral["errors"]).T
    np.testing.assert_allclose(angles[:-1] / angles[1:], 9, rtol=1e-6)
    np.testing.assert_allclose(gradients[2:-1] / gradients[3:], 9, rtol=0.05)


def test_the_gradient_of_any_matrix():
    """The derivation for a random matrix and cotangent, u and v from the decomposition, σ exact."""
    rng = np.random.default_rng(0)
    W, dW_bar, E = rng.standard_normal((3, 4, 3))
    left, s, right = np.linalg.svd(W)
    v, u = left[:, 0], right[0]
    loss = lambda h: (dW_bar * (W + h * E) / np.linalg.norm(W + h * E, 2)).sum()
    lam = (dW_bar * W).sum() / s[0]
    dW = (dW_bar - lam * np.outer(v, u)) / s[0]
    assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx((dW * E).sum(), rel=1e-8)
    assert (dW * W).sum() == pytest.approx(0, abs=1e-14)


def test_the_critic_is_1_lipschitz(spectral):
    history, slope = spectral["runs"]["spectral norm"]
    assert abs(slope).max() <= 1.01 and history[-1] <= spectral["distance"]
