"""Saturating and non-saturating: the gradients are those of 2·JSD and KL − 2·JSD, and their preferences differ."""

import numpy as np
import pytest


@pytest.fixture
def ten(chapter):
    return chapter("10_saturating").names


@pytest.mark.parametrize("theta", [0.3, 1.5, 3.0, 6.0])
def test_gradients_are_those_of_the_divergences(ten, theta):
    found, mean = ten["gradients"](theta)
    np.testing.assert_allclose(found, ten["theory"](theta), rtol=1e-3)
    np.testing.assert_allclose(found.sum(), theta, rtol=1e-9)           # −D − (1 − D) = −1
    np.testing.assert_allclose(found[0], theta * mean, rtol=1e-9)       # ∂ℓ/∂x = −θ at every sample


def test_divergences_of_equal_densities(ten):
    p = ten["normal"](0, 1)
    np.testing.assert_allclose(ten["divergences"](p, p), 0, atol=1e-12)
    assert ten["kl"](ten["normal"](3, 1), p) == pytest.approx(4.5, rel=1e-9)


def test_the_two_losses_prefer_different_densities(ten):
    one, wide = (ten["divergences"](ten["two_modes"], q) for q in ten["candidates"].values())
    assert one[0] > wide[0] and one[1] < wide[1]
    assert ten["kl"](ten["candidates"]["one mode"], ten["two_modes"]) == pytest.approx(np.log(2), abs=0.01)
    spread = (ten["two_modes"] * ten["x"]**2).sum() * ten["dx"]
    assert spread == pytest.approx(1.5**2 + 0.5**2, rel=1e-6)


def test_the_saturating_gradient_is_largest_between_1_and_2(ten):
    thetas = np.linspace(0.5, 4, 36)
    best = thetas[np.argmax([ten["gradients"](t)[0][0] for t in thetas])]
    assert 1 < best < 2
