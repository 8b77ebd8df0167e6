"""Numerical derivatives, and what is known about their error."""

import numpy as np

from tinygan import gradcheck
from tinygan.gradcheck.differences import kinks, rounding
from tinygan.layers import Pointwise, ReLU

from .helpers import mutant


def test_differences_are_of_five_points():
    """Two points know a derivative to 4e-12 at best."""
    estimate, _ = gradcheck.derivative(lambda h: np.exp(np.array([1.0, -2.0]) + h))
    np.testing.assert_allclose(estimate, np.exp([1.0, -2.0]), rtol=3e-13)


def test_a_kink_raises_no_alarm():
    x = np.array([[1e-4, -3e-5, 2e-3, 1.0]])
    for seed in range(5):
        gradcheck.check_layer(ReLU(), x, rng=seed).raise_if_wrong()


def test_near_the_end_of_where_a_function_is_defined():
    class Log(Pointwise):
        def f(self, x):
            return np.log(x)

        def d1(self, t, x, y):
            return t / x

        def d2(self, t, x, y):
            return -t / x**2
    x = 0.01 * (0.5 + np.random.default_rng(0).random((3, 4)))
    assert gradcheck.check_layer(Log(), x).raise_if_wrong().worst < 1e-9
    wrong = mutant(Log(), d1=lambda f, t, x, y: 1.001 * f(t, x, y))
    assert not gradcheck.check_layer(wrong, x).ok


def test_rounding_is_measured():
    """It bounds the error of a difference, and by not too much; what does not change has none."""
    a = np.array([1.0, -2.0, 0.3])
    for size in (1.0, 1e4):     # intermediate results that cancel
        f = lambda h: np.append((np.exp(a + h) + size) - size, 5.0)
        for h in (2.0**-13, 2.0**-17):
            bound = rounding(f, h)
            estimate = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)
            error = abs(estimate[:3] - np.exp(a))
            assert (error <= bound[:3] + h**4).all() and bound[3] == 0
            assert bound[:3].max() < 200 * size * 2.0**-53 / h


def test_kinks_are_found_and_curvature_is_not():
    kinked = lambda h: np.array([abs(h), np.maximum(h, 0), np.sign(h - 1e-7), 1e-3 * abs(h), abs(h + 1e-7)])
    found, left, right = kinks(kinked)
    assert found.all()
    np.testing.assert_allclose([left[0], right[0], left[1], right[1]], [-1, 1, 0, 1], atol=1e-12)
    smooth = lambda h: np.array([np.exp(h), np.sin(30 * h), 1e3 + h, h**2, 5.0, abs(h + 1e-5), 1e-5 * h, np.tanh(h)])
    assert not kinks(smooth)[0].any()
